"""How long a command takes that has next to nothing to do."""

from pathlib import Path

from benchmarks import local_status
from benchmarks.measuring import ASTICA, Command, Figure, compare, has, skipped


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    version = {"astica-sync --version": Command([*ASTICA, "--version"])}
    store = local_status.make(scratch, 100)
    status = {"astica-sync pull-status --offline, 100 files": local_status.status(store)}
    missing = []
    if has("rclone"):
        version["rclone version"] = Command(["rclone", "version"])
    else:
        missing.append(skipped("start", "rclone version", "rclone is not installed"))
    if program := local_status.dvc_program():
        status["dvc --version"] = Command([program, "--version"])
    else:
        missing.append(skipped("start", "dvc --version", "dvc is not installed (name it by BENCH_DVC)"))
    (first,), (second,) = list(version)[:1], list(status)[:1]
    return (
        compare("start", version, 2 * times, {(first, "rclone version"): "<= 1.0"})
        + compare("start", status, 2 * times, {(second, "dvc --version"): "<= 1.0"})
        + missing
    )
