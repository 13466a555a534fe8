"""The first scan of a store, compared with tools that hash or import the same files.

python -m benchmarks.local.first_scan STORE SCRATCH      scans into a fresh index
"""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.harness.measure import Command, Figure, has, judge, skipped, take_turns
from benchmarks.local import store_status

OURS = "astica-sync's scan"
ONE = "xxh128sum"
TWO = "xxh128sum, two at once"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    sizes = ((100_000, 20_000), (1_000_000, 2_000)) if full else ((10_000, 20_000), (20_000, 2_000))
    return [figure for files, size in sizes for figure in _figures(scratch, files, size, times)]


def _figures(scratch: Path, files: int, size: int, times: int) -> list[Figure]:
    store = store_status.make(scratch, files, size)
    work = f"first scan, {files:,} files of {size // 1000} kB"
    missing = []
    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        commands = {OURS: Command([sys.executable, "-m", "benchmarks.local.first_scan", store, folder])}
        if has("xxh128sum"):
            commands[ONE] = Command(["sh", "-c", _hash_all(1)], store)
            commands[TWO] = Command(["sh", "-c", _hash_all(2)], store)
        else:
            missing.append(skipped(work, ONE, "xxhash is not installed"))
        costs = take_turns(commands, times)
        # Tools that copy what they read take minutes for each turn, so they get two turns unless a target needs more.
        few = min(2, times)
        slow = ("git add", _git_add, few), ("restic backup", _restic, few), ("dvc add", _dvc_add, times)
        for name, build, turns in slow:
            command = build(store, Path(folder), files)
            if isinstance(command, str):
                missing.append(skipped(work, name, command))
            else:
                costs |= take_turns({name: command}, turns, warm=False)
        shutil.rmtree(store.parent / ".dvc", ignore_errors=True)
        (store.parent / "photos.dvc").unlink(missing_ok=True)
    target = {(OURS, ONE): "<= 1.5", (OURS, TWO): "", (OURS, "dvc add"): "<= 0.1"}
    return judge(work, costs, target | {(OURS, "git add"): "", (OURS, "restic backup"): ""}) + missing


def _hash_all(processes: int) -> str:
    return f"find . -name '*.png' -print0 | xargs -0 -n 5000 -P {processes} xxh128sum > /dev/null"


def _git_add(store: Path, folder: Path, files: int) -> Command | str:
    if not has("git"):
        return "git is not installed"
    repository = folder / "git"

    def prepare() -> None:
        shutil.rmtree(repository, ignore_errors=True)
        store_status.git_init(store, repository)

    return Command([*store_status.git_here(store, repository), "add", "."], store, prepare=prepare)


def _restic(store: Path, folder: Path, files: int) -> Command | str:
    if not has("restic"):
        return "restic is not installed"
    repository = folder / "restic"
    environ = {"RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD": "a benchmark", "XDG_CACHE_HOME": str(folder)}

    def prepare() -> None:
        shutil.rmtree(repository, ignore_errors=True)
        store_status.call("restic", "init", env=environ)

    return Command(["restic", "backup", "--quiet", "--exclude", ".astica-sync", "."], store, environ, prepare)


def _dvc_add(store: Path, folder: Path, files: int) -> Command | str:
    program = store_status.dvc_program()
    if program is None:
        return "dvc is not installed (set BENCH_DVC to its path)"
    if files > store_status.MOST_FILES_FOR_DVC:
        return f"run with at most {store_status.MOST_FILES_FOR_DVC:,} files"
    project = store.parent
    environ = store_status.dvc_environ(project)
    return Command(
        [program, "add", "--quiet", "photos"], project, environ, lambda: store_status.dvc_init(program, project)
    )


def main() -> None:
    from astica_sync.clock import SystemClock
    from astica_sync.local.db.index import Index
    from astica_sync.local.layout import Layout
    from astica_sync.local.scan.scanner import scan_store

    store, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=scratch) as folder, Index(Path(folder, "index.db")) as index:
        scan = scan_store(Layout(store), index, clock=SystemClock())
        assert scan.hashed == scan.files, scan


if __name__ == "__main__":
    main()
