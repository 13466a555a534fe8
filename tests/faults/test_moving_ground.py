"""What changes during a push: files that are rewritten, a suspended process, memory that runs out, a backup on a disk
of its own that disappears."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

pytestmark = pytest.mark.long


def test_a_file_that_is_rewritten_constantly_is_never_sent_in_part(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    versions = [draw(tmp_path / f"{number}.png", 60 + number).read_bytes() + bytes(300_000) for number in range(3)]
    moving = pushed / "Can" / "moving.png"
    moving.write_bytes(versions[0])
    ended = threading.Event()

    def rewrite() -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            with moving.open("r+b") as file:
                for start in range(0, len(versions[0]), 50_000):
                    file.seek(start)
                    file.write(versions[turn % 3][start : start + 50_000])

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(5):
            assert shell("push", "--yes", "--store", pushed).code in (0, 3)
    finally:
        ended.set()
        writer.join()
    for title, image in on_service(sandbox, model_id):
        [kept] = (pushed / ".astica-sync/backup/objects").glob(f"*/{xxhash.xxh3_128_hexdigest(image)}.*")
        assert kept.read_bytes() == image, title
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.parametrize("after", ["view", "upload", "sample_remove"])
def test_a_push_suspended_for_longer_than_the_quarantine_repeats_nothing(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, after: str
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0.3"
    fill(pushed, {"Jar": 6}, start=40)
    (pushed / "Can" / "000.png").unlink()
    sandbox.set_faults("upload:2=lost-after", "upload:5=late~0.1", "sample_remove:1=lost-after", latency="5-20ms")
    process = shell.start("push", "--yes", "--store", pushed)
    while not sandbox.requests_of(after):
        assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    assert shell("push", "--store", pushed).code == 1, "it still holds the lock"
    time.sleep(0.7)
    process.send_signal(signal.SIGCONT)
    assert shell.finish(process).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)
    sandbox.clear_log()
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.parametrize("megabytes", [90, 120, 150, 200, 300])
def test_a_push_that_runs_out_of_memory_loses_nothing(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, megabytes: int
) -> None:
    fill(pushed, {"Jar": 6}, start=40)
    (pushed / "Can" / "000.png").unlink()
    bytes_ = megabytes << 20
    process = shell.start(
        "push", "--yes", "--store", pushed, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))
    )
    shell.finish(process)
    assert max(on_service(sandbox, model_id).values()) == 1
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)
    assert shell("backup", "verify", "--store", pushed).code == 0


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_all_samples_are_left_where_a_push_ends_for_want_of_threads_or_memory(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("astica_sync.sync.apply.upload.check_image", fail)
    ran = shell("push", "--store", store)
    assert f"Uploaded 0, removed 0, with 1 request. {len(in_store(store))} samples left to do" in ran.out


@pytest.fixture
def disk(store: Path) -> Iterator[Path]:
    """The backup of ``store`` on a disk of its own."""
    backup = store / ".astica-sync" / "backup"
    backup.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(backup)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield backup
    finally:
        subprocess.run(["umount", "-l", str(backup)], capture_output=True, check=False)


def test_all_new_samples_are_left_where_several_checks_end_so(
    shell: Shell, pushed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(pushed, {"Jar": 6}, start=40)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("astica_sync.sync.apply.upload.check_image", fail)
    assert "6 samples left to do" in shell("push", "--store", pushed).out


def test_nothing_is_removed_while_the_disk_of_the_backup_is_missing(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, disk: Path
) -> None:
    assert shell("push", "--store", store).code == 0
    assert shell("backup", "verify", "--store", store).code == 0
    subprocess.run(["umount", str(disk)], check=True)
    (store / "Can" / "000.png").unlink()
    draw(store / "Can" / "new.png", 40)
    ran = shell("push", "--store", store)
    assert ran.code == 3, ran.out
    assert "missing in the backup" in ran.out
    assert not sandbox.requests_of("sample_remove")
    assert shell("backup", "verify", "--store", store).code == 1


def test_the_backup_shares_no_inode_with_hard_linked_files(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    os.link(store / "Can" / "000.png", store / "Bottle" / "linked.png")
    assert shell("push", "--store", store).code == 0
    data = (store / "Can" / "000.png").read_bytes()
    with (store / "Can" / "000.png").open("r+b") as file:
        file.write(b"edited in place")
    kept = [path.read_bytes() for path in (store / ".astica-sync/backup/objects").glob("*/*")]
    assert kept.count(data) == 1


def test_link_loops_fifos_and_sockets_block_nothing_and_remove_nothing(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    before = in_store(pushed)
    (pushed / "Can" / "up").symlink_to("..")
    (pushed / "Can" / "self").symlink_to("self")
    (pushed / "Loop").symlink_to(pushed)
    os.mkfifo(pushed / "Can" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(pushed / "Glass"):
        listener.bind("socket.png")
    os.link(pushed / "Can" / "000.png", pushed / "Glass" / "linked.png")
    draw(pushed / "Can" / "new.png", 70)
    ran = shell("push", "--yes", "--json", "--store", pushed)
    assert (ran.json["uploaded"], ran.json["removed"]) == (2, 0), ran.out
    assert {problem["path"] for problem in ran.json["problems"]} >= {"Can/pipe.png", "Glass/socket.png", "Can/up"}
    assert not before - on_service(sandbox, model_id)
