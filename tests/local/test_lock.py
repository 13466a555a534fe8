import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from astica_sync.errors import StoreBusy, StoreError
from astica_sync.local import lock
from astica_sync.local.layout import Layout
from astica_sync.local.lock import is_wanted, watcher_lock, writer_lock

HOLD = """
import sys
from pathlib import Path
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
with writer_lock(Layout(Path(sys.argv[1])), now=1e9, command=sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / ".astica-sync").mkdir()
    return Layout(tmp_path)


@contextmanager
def held_elsewhere(layout: Layout, command: str = "astica-sync push") -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(layout.root), command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_gets_an_error_that_names_the_writer(layout: Layout) -> None:
    with held_elsewhere(layout) as process:
        with pytest.raises(StoreBusy) as caught, writer_lock(layout):
            pass
        assert f"process {process.pid} (astica-sync push) since 2001-09-0" in str(caught.value)
        assert caught.value.hint


def test_the_lock_of_a_killed_process_is_free(layout: Layout) -> None:
    with held_elsewhere(layout) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with writer_lock(layout):
            pass


def test_one_process_cannot_hold_it_twice(layout: Layout) -> None:
    with writer_lock(layout):
        with pytest.raises(StoreBusy, match=f"process {os.getpid()}"), writer_lock(layout):
            pass
        with pytest.raises(StoreBusy), writer_lock(layout):
            pass


def test_it_is_free_again_after_use_and_after_an_error(layout: Layout) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), writer_lock(layout):
            raise RuntimeError
    assert not (layout.state / "lock-holder.json").exists()


def test_a_refused_process_leaves_the_note_of_the_holder_alone(layout: Layout) -> None:
    with writer_lock(layout, command="first"):
        for _ in range(2):
            with pytest.raises(StoreBusy, match="first"), writer_lock(layout, command="second"):
                pass


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"pid": 1}', b'{"pid": 1, "command": "x", "since": 1e99}'])
def test_with_a_damaged_lock_note_the_store_is_still_busy(layout: Layout, note: bytes) -> None:
    with writer_lock(layout):
        (layout.state / "lock-holder.json").write_bytes(note)
        with pytest.raises(StoreBusy, match="is locked by"), writer_lock(layout):
            pass


def test_a_note_cannot_write_to_the_terminal(layout: Layout) -> None:
    with writer_lock(layout, command="\x1b[2Jpush"):
        with pytest.raises(StoreBusy) as caught, writer_lock(layout):
            pass
        assert "\x1b" not in str(caught.value)


def test_a_store_that_is_not_mounted_is_not_locked_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot lock"), writer_lock(Layout(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_opened_is_an_error_with_advice(layout: Layout) -> None:
    layout.lock_file.mkdir()
    with pytest.raises(StoreError, match="cannot lock") as caught, writer_lock(layout):
        pass
    assert caught.value.hint


def test_a_waiting_process_gets_the_lock_before_one_that_can_do_without(layout: Layout) -> None:
    with held_elsewhere(layout) as process, watcher_lock(layout):
        assert not is_wanted(layout)
        patient = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(layout.root), "astica-sync push"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with patient:
            while not is_wanted(layout):
                assert patient.poll() is None
            with pytest.raises(StoreBusy, match="another command waits"), writer_lock(layout, patient=False):
                pass
            process.kill()
            assert patient.stdout is not None
            assert patient.stdout.readline() == "held\n"
            assert not is_wanted(layout)
            patient.kill()
    with writer_lock(layout, patient=False):
        pass


def test_who_waits_for_a_watcher_says_so_and_gets_the_lock(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astica_sync.local.lock.SILENT_WAIT_S", 0.01)
    said: list[tuple[float, str]] = []
    watcher = ExitStack()
    watcher.enter_context(watcher_lock(layout))
    batch = watcher.enter_context(ExitStack())
    batch.enter_context(writer_lock(layout, command="astica-sync watch", patient=False))

    def end_batch(seconds: float, why: str) -> None:
        said.append((seconds, why))
        batch.close()

    with watcher:
        for _ in range(2):
            with writer_lock(layout, on_wait=end_batch):
                pass
    assert said == [(30.0, f"the store is locked by process {os.getpid()} (astica-sync watch)")]


def test_a_holder_of_another_container_is_said_to_be_there(layout: Layout) -> None:
    """Its process number is another program's here, or none's."""
    assert lock.process_space()
    with writer_lock(layout, command="astica-sync push"):
        with pytest.raises(StoreBusy, match=f"by process {os.getpid()} ") as here, writer_lock(layout):
            pass
        assert here.value.hint is not None and "stop it;" in here.value.hint
        note = layout.state / "lock-holder.json"
        note.write_text(json.dumps({**json.loads(note.read_text()), "where": "another pid:[1]", "pid": 17}))
        elsewhere = re.escape("by a process of another container or machine (astica-sync push, process 17 there)")
        with pytest.raises(StoreBusy, match=elsewhere) as there, writer_lock(layout):
            pass
        assert there.value.hint is not None and "stop it there;" in there.value.hint


def test_where_the_system_tells_no_space_of_processes_a_number_is_one_of_here(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock.Path, "readlink", lambda self: (_ for _ in ()).throw(OSError()))
    assert lock.process_space() == ""
    with writer_lock(layout), pytest.raises(StoreBusy, match=f"by process {os.getpid()} "), writer_lock(layout):
        pass
