"""The status of a store in which nothing, or little, has changed: ``pull-status --offline`` and git, rclone, dvc."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.harness.measure import (
    ASTICA,
    ROOT,
    Command,
    Figure,
    compare,
    environ_of,
    has,
    judge,
    skipped,
    take_turns,
    value,
)
from benchmarks.harness.store_trees import change_files, restore_files

CHANGED = 100
MOST_FILES_FOR_DVC = 100_000
"""Adding a million files to dvc takes most of an hour."""

CLASSES = 200
SIZE = 2000
MEMORY_MB = 300
ASIDE = "state set aside"
OURS = "astica-sync pull-status --offline"


def make(scratch: Path, files: int, size: int = SIZE) -> Path:
    """Creates the store in another process, so that this one stays small; a later run uses it again.

    The folder is renamed when it is complete, so an incomplete one is created again.
    """
    folder = scratch / f"{files} files of {size}"
    if (folder / ASIDE).exists():
        put_back(folder)
    if not folder.exists():
        making = folder.with_name(f"{folder.name}, being made")
        shutil.rmtree(making, ignore_errors=True)
        (making / "photos").mkdir(parents=True)
        (making / "home").mkdir()
        # A store identifies its folder by the inode, which a rename does not change.
        call(
            sys.executable,
            "-m",
            "benchmarks.harness.store_trees",
            making / "photos",
            files,
            "--size",
            size,
            "--classes",
            CLASSES,
        )
        making.rename(folder)
    return folder / "photos"


def put_back(folder: Path) -> None:
    """Restores the state of a store that an interrupted benchmark set aside."""
    shutil.rmtree(folder / "photos" / ".astica-sync", ignore_errors=True)
    (folder / ASIDE).rename(folder / "photos" / ".astica-sync")


def home_of(store: Path) -> dict[str, str]:
    home = str(store.parent / "home")
    return {"HOME": home, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home}


def status(store: Path, prepare: Callable[[], object] = lambda: None) -> Command:
    return Command([*ASTICA, "pull-status", "--offline"], store, home_of(store), prepare)


def figures(scratch: Path, files: int, times: int) -> list[Figure]:
    store = make(scratch, files)
    work = f"no-change status, {files:,} files"
    commands = {OURS: status(store), "find -printf": find(store)}
    missing: list[Figure] = []
    for name, build in (("git status", git), ("rclone sync --dry-run", rclone), ("dvc status", dvc)):
        command = build(store, files)
        if isinstance(command, str):
            missing.append(skipped(work, name, command))
        else:
            commands[name] = command
    in_sync(store)
    # The targets are for large stores; smaller ones show how the time grows.
    large = files >= 100_000
    target = {
        (OURS, "git status"): "<= 1.0" if large else "",
        (OURS, "rclone sync --dry-run"): "<= 0.2" if large else "",
        (OURS, "dvc status"): "",
        (OURS, "find -printf"): "",
    }
    found = compare(work, commands, times, target)
    peak = value(work, f"{OURS}, peak memory", found[0].peak_mb, "MB", f"<= {MEMORY_MB}" if large else "", runs=times)
    return [*found, peak, *missing]


def in_sync(store: Path) -> None:
    """Checks that the status finds nothing to do.

    Raises:
        RuntimeError: store and last observation differ.
    """
    code = subprocess.run(
        [*ASTICA, "pull-status", "--offline", "--exit-code"],
        cwd=store,
        env=environ_of(status(store)),
        capture_output=True,
        check=False,
    ).returncode
    if code:
        raise RuntimeError(
            f"{store} is not in sync with its last observation (exit code {code}); remove {store.parent}"
        )


def changed_figures(scratch: Path, files: int, times: int) -> list[Figure]:
    """The status of the same store with and without a hundred changed files, in turn."""
    store = make(scratch, files)
    with restored(store, files):
        plain = status(store)

        def change() -> None:
            change_files(store, CHANGED, files, CLASSES, SIZE)

        def restore() -> None:
            restore_files(store, CHANGED, files, CLASSES, SIZE)
            call(*plain.arguments, cwd=store, env=plain.environ)

        commands = {"no change": status(store, restore), f"{CHANGED} changes": status(store, change)}
        costs = take_turns(commands, times)
    target = {(f"{CHANGED} changes", "no change"): "<= 1.05"}
    return judge(f"status after {CHANGED} changes, {files:,} files", costs, target)


@contextlib.contextmanager
def restored(store: Path, files: int) -> Iterator[None]:
    """Restores the first files at the end, and updates the index."""
    try:
        yield
    finally:
        restore_files(store, CHANGED, files, CLASSES, SIZE)
        call(*status(store).arguments, cwd=store, env=status(store).environ)


def find(store: Path) -> Command:
    return Command(["find", ".", "-printf", "%s %T@ %C@ %i %p\\n"], store)


def git_here(store: Path, repository: Path) -> list[str | Path]:
    """The arguments with which every git command on this store begins."""
    return ["git", f"--git-dir={repository}", f"--work-tree={store}"]


def git_init(store: Path, repository: Path) -> None:
    begin = git_here(store, repository)
    call("git", "init", "--quiet", "--bare", repository)
    (repository / "info" / "exclude").write_text(".astica-sync\n")
    for key, setting in (("core.bare", "false"), ("gc.auto", "0"), ("user.name", "A"), ("user.email", "a@b")):
        call(*begin, "config", key, setting)


def git(store: Path, files: int) -> Command | str:
    if not has("git"):
        return "git is not installed"
    repository = store.parent / "git"
    begin = git_here(store, repository)
    if not repository.exists():
        making = repository.with_name("git, being made")
        shutil.rmtree(making, ignore_errors=True)
        git_init(store, making)
        call(*git_here(store, making), "add", ".", cwd=store)
        call(*git_here(store, making), "commit", "--quiet", "-m", "all", cwd=store)
        making.rename(repository)
    return Command([*begin, "status", "--short"], store)


def rclone(store: Path, files: int) -> Command | str:
    if not has("rclone"):
        return "rclone is not installed"
    copy = store.parent / "copy"
    if not copy.exists():
        making = copy.with_name("copy, being made")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        # Copies the times too, by which rclone compares. A copy by rclone takes minutes.
        call("cp", "-a", "--reflink=auto", *sorted(store.glob("class *")), making)
        making.rename(copy)
    return Command(["rclone", "sync", store, copy, "--exclude", ".astica-sync/**", "--dry-run"], store)


def dvc(store: Path, files: int) -> Command | str:
    program = dvc_program()
    if program is None:
        return "dvc is not installed (set BENCH_DVC to its path)"
    if files > MOST_FILES_FOR_DVC:
        return f"run with at most {MOST_FILES_FOR_DVC:,} files"
    folder = store.parent
    environ = dvc_environ(folder)
    if not (folder / "photos.dvc").exists():
        dvc_init(program, folder)
        call(program, "add", "--quiet", "photos", cwd=folder, env=environ)
    return Command([program, "status", "--quiet"], folder, environ)


def dvc_environ(folder: Path) -> dict[str, str]:
    home = str(folder / "home")
    return {
        "HOME": home,
        "XDG_CACHE_HOME": f"{home}/cache",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": f"{home}/site",
    }


def dvc_init(program: str, folder: Path) -> None:
    """Creates a dvc project around the store; an existing one is replaced."""
    environ = dvc_environ(folder)
    shutil.rmtree(folder / "home" / "site", ignore_errors=True)
    shutil.rmtree(folder / ".dvc", ignore_errors=True)
    (folder / "photos.dvc").unlink(missing_ok=True)
    (folder / ".dvcignore").write_text(".astica-sync\n")
    call(program, "init", "--no-scm", "--quiet", cwd=folder, env=environ)
    call(program, "config", "cache.type", "copy", cwd=folder, env=environ)


def dvc_program() -> str | None:
    return os.environ.get("BENCH_DVC") or shutil.which("dvc")


def call(*arguments: str | int | Path, cwd: Path = ROOT, env: "object" = None) -> str:
    """Runs a command that is not measured; returns its standard output.

    Raises:
        RuntimeError: the command failed.
    """
    texts = [str(argument) for argument in arguments]
    environ = environ_of(Command(texts, environ=env if isinstance(env, dict) else {}))
    done = subprocess.run(texts, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{texts} ended with {done.returncode}: {done.stderr}")
    return done.stdout
