"""Writes, syncs and renames that fail in the kernel, under a real push: strace answers for the disk.

What the backup's own tests do with a disk that lies (``tests/local/test_backup.py``) and the simulation at every
effect happens here to the real system calls, those of SQLite included.
"""

import functools
import resource
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import xxhash

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Ran, Shell, draw, in_store, on_service

pytestmark = pytest.mark.long

# The calls by which Python and SQLite make things durable, how they fail, and how many a small push makes of each.
FAULTS = [
    *(("fsync", "EIO", number) for number in (1, 2, 3, 4, 5, 7, 9, 12, 16, 21)),
    *(("fdatasync", "EIO", number) for number in (1, 2, 3, 5, 8)),
    *(("rename", "EIO", number) for number in (1, 2, 3, 5)),
    *(("write", "ENOSPC", number) for number in (1, 2, 4, 7, 11, 16)),
    *(("pwrite64", "ENOSPC", number) for number in (1, 2, 4, 9, 17, 30)),
    *(("copy_file_range", "EIO", number) for number in (1, 2)),
]
# Those that make test runs: the first and a later call of each kind.
FOR_EVER = [("fsync", "EIO"), ("fdatasync", "EIO"), ("write", "ENOSPC"), ("pwrite64", "ENOSPC")]
QUARANTINE = "0.3"


@functools.cache
def can_inject() -> bool:
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "true"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


@pytest.fixture
def strace() -> None:
    if not can_inject():
        pytest.skip("strace cannot make system calls fail here")


def push_with(shell: Shell, store: Path, call: str, error: str, when: str) -> Ran:
    """A push under which the given calls of one kind fail: ``3`` is the third, ``3+`` the third and all after it."""
    process = shell.start("push", "--yes", "--store", store, under=inject(call, error, when))
    return shell.finish(process)


def inject(call: str, error: str, when: str) -> list[str]:
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", f"trace={call}"]
    return [*trace, "-e", f"inject={call}:error={error}:when={when}"]


def check_promises(store: Path, before: Counter[tuple[str, bytes]], box: RunningSandbox, model_id: int) -> None:
    """Whatever failed: the store is untouched, nothing is there twice, and all that is there is in the backup."""
    assert in_store(store) == before
    held = on_service(box, model_id)
    assert max(held.values(), default=1) == 1
    for _, image in held:
        [kept] = (store / ".astica-sync" / "backup" / "objects").glob(f"*/{xxhash.xxh3_128_hexdigest(image)}.*")
        assert kept.read_bytes() == image
    for kept in (store / ".astica-sync" / "backup" / "objects").glob("*/[0-9a-f]*"):
        assert xxhash.xxh3_128_hexdigest(kept.read_bytes()) == kept.stem


@pytest.fixture
def changed(shell: Shell, pushed: Path) -> Path:
    """A pushed store with work for the next push: two new images, a moved one and a removed one."""
    draw(pushed / "Can" / "new.png", 50)
    draw(pushed / "Jar" / "new.png", 51)
    (pushed / "Glass" / "000.png").rename(pushed / "Can" / "moved.png")
    (pushed / "Bottle" / "001.png").unlink()
    shell.environ["ASTICA_QUARANTINE"] = QUARANTINE
    return pushed


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    ("call", "error", "number"),
    FAULTS,
    ids=str,
)
def test_a_system_call_that_fails_once_loses_nothing_and_the_next_push_recovers(
    shell: Shell, sandbox: RunningSandbox, changed: Path, model_id: int, call: str, error: str, number: int
) -> None:
    before = in_store(changed)
    ran = push_with(shell, changed, call, error, str(number))
    assert "Traceback" not in ran.err
    check_promises(changed, before, sandbox, model_id)
    again = shell("push", "--yes", "--store", changed)
    assert again.code == 0, again.err
    assert on_service(sandbox, model_id) == before
    assert shell("backup", "verify", "--store", changed).code == 0


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(("call", "error"), FOR_EVER, ids=str)
def test_system_calls_that_fail_from_the_first_on_send_nothing(
    shell: Shell, sandbox: RunningSandbox, changed: Path, model_id: int, call: str, error: str
) -> None:
    before = in_store(changed)
    held = on_service(sandbox, model_id)
    ran = push_with(shell, changed, call, error, "1+")
    assert ran.code == 1 or not ran.err, ran.err
    assert ran.err.count("\n") < 8, "said once, not for each sample"
    assert on_service(sandbox, model_id) == held
    assert not sandbox.requests_of("upload")
    assert not sandbox.requests_of("sample_remove")
    check_promises(changed, before, sandbox, model_id)
    assert shell("push", "--yes", "--store", changed).code == 0
    assert on_service(sandbox, model_id) == before


@pytest.mark.parametrize("files", [8, 12, 16, 24, 32])
def test_a_low_limit_of_open_files_removes_nothing(
    shell: Shell, sandbox: RunningSandbox, changed: Path, model_id: int, files: int
) -> None:
    before = in_store(changed)
    process = shell.start(
        "push", "--store", changed, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    )
    shell.finish(process)
    check_promises(changed, before, sandbox, model_id)
    held = on_service(sandbox, model_id)
    assert sum(held.values()) >= 8, "nothing went but what had its new place, and what was deleted"
    assert shell("push", "--store", changed).code == 0
    assert on_service(sandbox, model_id) == before


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    "file", ["journal.db", "journal.db-journal", "index.db", "backup/catalog.jsonl", "last-view.json"]
)
@pytest.mark.parametrize("when", ["1+", "3+"])
def test_a_disk_that_is_full_for_one_file_alone_loses_nothing(
    shell: Shell, sandbox: RunningSandbox, changed: Path, model_id: int, file: str, when: str
) -> None:
    before = in_store(changed)
    calls = "write,pwrite64"
    full = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(changed / ".astica-sync" / file)]
    full += ["-e", f"trace={calls}", "-e", f"inject={calls}:error=ENOSPC:when={when}"]
    ran = shell.finish(shell.start("push", "--yes", "--store", changed, under=full))
    assert "Traceback" not in ran.err
    check_promises(changed, before, sandbox, model_id)
    if file.startswith("journal") and when == "1+":
        assert ran.code == 1 and not sandbox.requests_of("upload") and not sandbox.requests_of("sample_remove"), ran.err
    again = shell("push", "--yes", "--store", changed)
    assert again.code == 0, again.err
    assert on_service(sandbox, model_id) == before
    assert shell("backup", "verify", "--store", changed).code == 0
