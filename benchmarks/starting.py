"""How long a command takes that has next to nothing to do."""

from pathlib import Path

from benchmarks import local_status
from benchmarks.measuring import ASTICA, Command, Figure, compare, has, skipped

VERSION = "astica-sync --version"
STATUS = "astica-sync pull-status --offline, 100 files"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    """All take turns, and more turns than elsewhere: they take a tenth of a second."""
    store = local_status.make(scratch, 100)
    commands = {VERSION: Command([*ASTICA, "--version"]), STATUS: local_status.status(store)}
    missing = []
    if has("rclone"):
        commands["rclone version"] = Command(["rclone", "version"])
    else:
        missing.append(skipped("start", "rclone version", "rclone is not installed"))
    if program := local_status.dvc_program():
        commands["dvc --version"] = Command([program, "--version"])
    else:
        missing.append(skipped("start", "dvc --version", "dvc is not installed (name it by BENCH_DVC)"))
    dvc = local_status.dvc(store, 100)
    if not isinstance(dvc, str):
        commands["dvc status, 100 files"] = dvc
    if has("hf"):
        commands["hf --help"] = Command(["hf", "--help"])
    else:
        missing.append(skipped("start", "hf --help", "hf is not installed"))
    reach = {
        (VERSION, "rclone version"): "<= 1.0",
        (STATUS, "dvc --version"): "<= 1.0",
        (STATUS, "dvc status, 100 files"): "",
        (VERSION, "hf --help"): "",
    }
    return compare("start", commands, 3 * times, reach) + missing
