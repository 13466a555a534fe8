"""The time of commands that have almost nothing to do."""

from pathlib import Path

from benchmarks.harness.measure import ASTICA, Command, Figure, compare, has, skipped
from benchmarks.local import store_status

VERSION = "astica-sync --version"
STATUS = "astica-sync pull-status --offline, 100 files"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    """Three times as many turns as elsewhere, since each command takes a tenth of a second."""
    store = store_status.make(scratch, 100)
    commands = {VERSION: Command([*ASTICA, "--version"]), STATUS: store_status.status(store)}
    missing = []
    if has("rclone"):
        commands["rclone version"] = Command(["rclone", "version"])
    else:
        missing.append(skipped("start", "rclone version", "rclone is not installed"))
    if program := store_status.dvc_program():
        commands["dvc --version"] = Command([program, "--version"])
    else:
        missing.append(skipped("start", "dvc --version", "dvc is not installed (set BENCH_DVC to its path)"))
    dvc = store_status.dvc(store, 100)
    if not isinstance(dvc, str):
        commands["dvc status, 100 files"] = dvc
    if has("hf"):
        commands["hf --help"] = Command(["hf", "--help"])
    else:
        missing.append(skipped("start", "hf --help", "hf is not installed"))
    target = {
        (VERSION, "rclone version"): "<= 1.0",
        (STATUS, "dvc --version"): "<= 1.0",
        (STATUS, "dvc status, 100 files"): "",
        (VERSION, "hf --help"): "",
    }
    return compare("start", commands, 3 * times, target) + missing
