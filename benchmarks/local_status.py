"""The status of a tree in which nothing, or little, has changed: ``pull-status --offline`` beside git, rclone, dvc."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measuring import ASTICA, ROOT, Command, Figure, compare, has, skipped
from benchmarks.trees import write_files

CHANGED = 100
MOST_FILES_FOR_DVC = 100_000
"""Adding a million to dvc takes the better part of an hour."""

CLASSES = 200


def make(scratch: Path, files: int, size: int = 2000) -> Path:
    """The store, made by another process so that this one stays small; kept for the next run."""
    store = scratch / f"{files} files" / "photos"
    if not (store / ".astica-sync").exists():
        store.mkdir(parents=True, exist_ok=True)
        _call(sys.executable, "-m", "benchmarks.trees", store, files, "--size", size, "--classes", CLASSES)
    return store


def status(store: Path, *more: str) -> Command:
    home = store.parent / "home"
    return Command(
        [*ASTICA, "pull-status", "--offline", *more],
        store,
        {"HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
    )


def figures(scratch: Path, files: int, times: int) -> list[Figure]:
    store = make(scratch, files)
    work = f"no-change status, {files:,} files"
    commands = {"astica-sync pull-status --offline": status(store), "find -printf": find(store)}
    missing: list[Figure] = []
    for name, build in (("git status", git), ("rclone sync --dry-run", rclone), ("dvc status", dvc)):
        command = build(store, files)
        if isinstance(command, str):
            missing.append(skipped(work, name, command))
        else:
            commands[name] = command
    ours = "astica-sync pull-status --offline"
    reach = {
        (ours, "git status"): "<= 1.0",
        (ours, "rclone sync --dry-run"): "<= 0.2",
        (ours, "dvc status"): "",
        (ours, "find -printf"): "",
    }
    return compare(work, commands, times, reach) + missing


def changed_figures(scratch: Path, files: int, times: int) -> list[Figure]:
    """The same store with and without a hundred changed files, in turn."""
    store = make(scratch, files)
    number = 0

    def change() -> None:
        nonlocal number
        number += 1
        # New bytes each time: a size of its own makes every file differ from what the index knows.
        write_files(store, CHANGED, CLASSES, 3000 + number)

    def restore() -> None:
        _call(*status(store).arguments, cwd=store, env=status(store).environ)

    plain = status(store)
    commands = {
        "no change": Command(plain.arguments, store, plain.environ, restore),
        f"{CHANGED} changes": Command(plain.arguments, store, plain.environ, change),
    }
    reach = {(f"{CHANGED} changes", "no change"): "<= 1.05"}
    return compare(f"status after {CHANGED} changes, {files:,} files", commands, times, reach)


def find(store: Path) -> Command:
    return Command(["find", ".", "-printf", "%s %T@ %C@ %i %p\\n"], store)


def git(store: Path, files: int) -> Command | str:
    if not has("git"):
        return "git is not installed"
    repository = store.parent / "git"
    begin = ["git", f"--git-dir={repository}", f"--work-tree={store}"]
    if not repository.exists():
        _call("git", "init", "--quiet", "--bare", repository)
        (repository / "info" / "exclude").write_text(".astica-sync\n")
        for key, value in (("core.bare", "false"), ("gc.auto", "0"), ("user.name", "A"), ("user.email", "a@b")):
            _call(*begin, "config", key, value)
        _call(*begin, "add", ".", cwd=store)
        _call(*begin, "commit", "--quiet", "-m", "all", cwd=store)
    return Command([*begin, "status", "--short"], store)


def rclone(store: Path, files: int) -> Command | str:
    if not has("rclone"):
        return "rclone is not installed"
    copy = store.parent / "copy"
    arguments = ["rclone", "sync", store, copy, "--exclude", ".astica-sync/**"]
    if not copy.exists():
        _call(*arguments)
    return Command([*arguments, "--dry-run"], store)


def dvc(store: Path, files: int) -> Command | str:
    program = dvc_program()
    if program is None:
        return "dvc is not installed (name it by BENCH_DVC)"
    if files > MOST_FILES_FOR_DVC:
        return f"it is given {MOST_FILES_FOR_DVC:,} files at most"
    folder = store.parent
    environ = {"HOME": str(folder / "home"), "DVC_NO_ANALYTICS": "1"}
    if not (folder / ".dvc").exists():
        (folder / "home").mkdir(exist_ok=True)
        (folder / ".dvcignore").write_text(".astica-sync\n")
        _call(program, "init", "--no-scm", "--quiet", cwd=folder, env=environ)
        _call(program, "config", "cache.type", "copy", cwd=folder, env=environ)
        _call(program, "add", "--quiet", "photos", cwd=folder, env=environ)
    return Command([program, "status", "--quiet"], folder, environ)


def dvc_program() -> str | None:
    return os.environ.get("BENCH_DVC") or shutil.which("dvc")


def _call(*arguments: str | int | Path, cwd: Path = ROOT, env: "object" = None) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **(env if isinstance(env, dict) else {})}
    subprocess.run([str(argument) for argument in arguments], cwd=cwd, env=environ, check=True, capture_output=True)
