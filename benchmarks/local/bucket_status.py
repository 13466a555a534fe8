"""The status of a store whose images lie in a bucket in which nothing changed, and the list of that bucket alone."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.measure import ASTICA, ROOT, Command, Figure, compare, value
from benchmarks.local.store_status import CLASSES, MEMORY_MB, call

OURS, LIST = "astica-sync pull-status --offline", "the same list alone"
PAUSES_MS = (0, 30)
"""How much later a page comes than on this machine: the way to a bucket and back."""


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    keys = 1_000_000 if full else 20_000
    found: list[Figure] = []
    for pause in PAUSES_MS:
        work = f"no-change status of a bucket, {keys:,} keys, pages {pause} ms late"
        with served(keys, pause) as settings:
            store = make(scratch, keys, settings)
            environ = settings | home_of(store)
            commands = {
                OURS: Command([*ASTICA, "pull-status", "--offline", "--exit-code"], store, environ),
                LIST: Command([sys.executable, "-m", "benchmarks.harness.bucket_store", "list", store], ROOT, environ),
            }
            lines = compare(work, commands, times, {(OURS, LIST): "<= 1.3"})
        found += [*lines, value(work, f"{OURS}, peak memory", lines[0].peak_mb, "MB", f"<= {MEMORY_MB}", runs=times)]
    return found


@contextlib.contextmanager
def served(keys: int, pause_ms: int) -> Iterator[dict[str, str]]:
    """A server that lists so many objects, and what names it in the environment."""
    program = [sys.executable, "-m", "benchmarks.harness.s3_list_server", str(keys), str(CLASSES), str(pause_ms)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            yield {
                "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
                "AWS_ALLOW_HTTP": "true",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
            }
        finally:
            server.kill()


def make(scratch: Path, keys: int, settings: dict[str, str]) -> Path:
    """The store; a later run uses it again."""
    folder = scratch / f"bucket of {keys} keys"
    store = folder / "records"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "home").mkdir(parents=True)
        call(
            sys.executable,
            "-m",
            "benchmarks.harness.bucket_store",
            "make",
            store,
            keys,
            env=settings | home_of(store),
        )
        (folder / "made").touch()
    return store


def home_of(store: Path) -> dict[str, str]:
    home = str(store.parent / "home")
    return {"HOME": home, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home}
