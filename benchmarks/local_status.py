"""The status of a tree in which nothing, or little, has changed: ``pull-status --offline`` beside git, rclone, dvc."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measuring import (
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
from benchmarks.trees import change_files, restore_files

CHANGED = 100
MOST_FILES_FOR_DVC = 100_000
"""Adding a million to dvc takes the better part of an hour."""

CLASSES = 200
SIZE = 2000
MEMORY_MB = 300
ASIDE = "state set aside"
OURS = "astica-sync pull-status --offline"


def make(scratch: Path, files: int, size: int = SIZE) -> Path:
    """The store, made by another process so that this one stays small; kept for the next run.

    It gets its name when it is whole: one that was cut short is made again.
    """
    folder = scratch / f"{files} files of {size}"
    if (folder / ASIDE).exists():
        put_back(folder)
    if not folder.exists():
        making = folder.with_name(f"{folder.name}, being made")
        shutil.rmtree(making, ignore_errors=True)
        (making / "photos").mkdir(parents=True)
        (making / "home").mkdir()
        # The store knows its folder by the inode, which a rename leaves alone.
        call(sys.executable, "-m", "benchmarks.trees", making / "photos", files, "--size", size, "--classes", CLASSES)
        making.rename(folder)
    return folder / "photos"


def put_back(folder: Path) -> None:
    """Ends what a benchmark left behind that was cut short: the state of the store lies beside it."""
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
    # What is wanted is wanted of a million; smaller trees show how it grows.
    large = files >= 100_000
    reach = {
        (OURS, "git status"): "<= 1.0" if large else "",
        (OURS, "rclone sync --dry-run"): "<= 0.2" if large else "",
        (OURS, "dvc status"): "",
        (OURS, "find -printf"): "",
    }
    found = compare(work, commands, times, reach)
    peak = value(work, f"{OURS}, peak memory", found[0].peak_mb, "MB", f"<= {MEMORY_MB}" if large else "", runs=times)
    return [*found, peak, *missing]


def in_sync(store: Path) -> None:
    """Makes sure that what is measured is a status that finds nothing to do."""
    code = subprocess.run(
        [*ASTICA, "pull-status", "--offline", "--exit-code"],
        cwd=store,
        env=environ_of(status(store)),
        capture_output=True,
        check=False,
    ).returncode
    if code:
        raise RuntimeError(f"{store} does not equal its last observation (exit code {code}); remove {store.parent}")


def changed_figures(scratch: Path, files: int, times: int) -> list[Figure]:
    """The same store with and without a hundred changed files, in turn."""
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
    reach = {(f"{CHANGED} changes", "no change"): "<= 1.05"}
    return judge(f"status after {CHANGED} changes, {files:,} files", costs, reach)


@contextlib.contextmanager
def restored(store: Path, files: int) -> Iterator[None]:
    """Puts the first files back as they were made, whatever happens, and lets the index know."""
    try:
        yield
    finally:
        restore_files(store, CHANGED, files, CLASSES, SIZE)
        call(*status(store).arguments, cwd=store, env=status(store).environ)


def find(store: Path) -> Command:
    return Command(["find", ".", "-printf", "%s %T@ %C@ %i %p\\n"], store)


def git_here(store: Path, repository: Path) -> list[str | Path]:
    """The beginning of every git command on this store."""
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
        # With the times, by which rclone compares; it would take minutes to make the same copy itself.
        call("cp", "-a", "--reflink=auto", *sorted(store.glob("class *")), making)
        making.rename(copy)
    return Command(["rclone", "sync", store, copy, "--exclude", ".astica-sync/**", "--dry-run"], store)


def dvc(store: Path, files: int) -> Command | str:
    program = dvc_program()
    if program is None:
        return "dvc is not installed (name it by BENCH_DVC)"
    if files > MOST_FILES_FOR_DVC:
        return f"it is given {MOST_FILES_FOR_DVC:,} files at most"
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
    """A dvc project around the store; one that is there begins anew."""
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
    """Runs a command of the preparations; its standard output.

    Raises:
        RuntimeError: it failed.
    """
    texts = [str(argument) for argument in arguments]
    environ = environ_of(Command(texts, environ=env if isinstance(env, dict) else {}))
    done = subprocess.run(texts, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{texts} ended with {done.returncode}: {done.stderr}")
    return done.stdout
