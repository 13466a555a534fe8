"""The check of a whole image in processes of its own: it does no harm, whatever the bytes do."""

import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from astica_sync.errors import StoreError
from astica_sync.local.child_process import ChildProcess
from astica_sync.local.image import worker_pool
from astica_sync.local.image.decoder import WORKER_MEMORY, Decoder
from astica_sync.local.image.format import MAX_BYTES
from astica_sync.local.image.worker_pool import all_passes
from tests.harness.damaged_images import DAMAGED, VERDICTS, make_png

# Sends the message that it is ready; what follows reads images with ask() and answers with say().
READY = """
import os, signal, struct, sys, time
def say(text): os.write(1, struct.pack("<Q", len(text)) + text.encode())
def ask(): return sys.stdin.buffer.read(struct.unpack("<Q", sys.stdin.buffer.read(8))[0])
say("")
"""


def acting(script: str, patience: float = 30.0) -> Decoder:
    """A decoder whose workers do what the script says."""
    return Decoder(workers=1, patience=patience, program=(sys.executable, "-c", READY + script))


def good() -> bytes:
    return (DAMAGED / "see-through.png").read_bytes()


def test_every_damaged_fixture_gets_its_verdict_from_real_workers() -> None:
    with Decoder(workers=2) as decoder, ThreadPoolExecutor(4) as threads:
        verdicts = dict(zip(VERDICTS, threads.map(lambda name: decoder.check(DAMAGED / name), VERDICTS), strict=True))
    for name, verdict in verdicts.items():
        expected = VERDICTS[name]["reason"]
        assert (verdict is None) if expected is None else (verdict is not None and expected in verdict), name


def test_a_file_over_the_limit_is_refused_without_reading_it(tmp_path: Path) -> None:
    with open(tmp_path / "large.jpg", "wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(MAX_BYTES + 1)
    with Decoder(program=("no such program",)) as decoder:
        assert "limit of 20 MB" in str(decoder.check(tmp_path / "large.jpg"))
        assert "limit of 20 MB" in str(decoder.check_bytes((tmp_path / "large.jpg").read_bytes()))


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(DAMAGED / "see-through.png")
    with Decoder() as decoder:
        for name in ("pipe.png", "link.png", "absent.png"):
            with pytest.raises(OSError):
                decoder.check(tmp_path / name)


def test_time_in_which_this_program_was_stopped_is_not_the_time_of_an_image() -> None:
    """Each wait of a stopped program ends at once when it goes on, whatever the clock says by then."""
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 7

    assert all_passes(4.5, wait)
    assert waits == [1.0, 1.0, 1.0, 1.0, 0.5]
    assert not all_passes(4.5, wait)
    assert len(waits) == 7


def test_an_image_that_hangs_the_decoder_is_broken_and_the_next_one_is_not() -> None:
    hang = "if ask().endswith(b'hang'): time.sleep(1000)\nsay('')\nask()"
    with acting(hang, patience=1.0) as decoder:
        assert "takes more than 20 seconds" in str(decoder.check_bytes(good() + b"hang"))
        assert decoder.check_bytes(good()) is None


def test_time_is_counted_on_the_processor() -> None:
    rows = bytes((1 + 16_000 // 8) * 16_000)
    with Decoder(seconds=0.001, patience=60) as decoder:
        assert "takes more than 0.001 seconds" in str(decoder.check_bytes(make_png(16_000, 16_000, 1, 0, False, rows)))


def test_time_is_counted_even_where_the_signal_was_ignored_from_the_start() -> None:
    image = make_png(16_000, 16_000, 1, 0, False, bytes((1 + 16_000 // 8) * 16_000))
    worker = (sys.executable, "-P", "-m", "astica_sync.local.image.decoder_process")
    ignoring = ("sh", "-c", 'trap "" PROF; exec "$@"', "sh", *worker)
    with Decoder(seconds=0.001, patience=60, program=ignoring) as decoder:
        assert "takes more than" in str(decoder.check_bytes(image))


def test_a_worker_can_write_no_file(tmp_path: Path) -> None:
    script = f"""
from astica_sync.local.image.worker_process import bound
bound({WORKER_MEMORY})
file = open({str(tmp_path / "file")!r}, "wb", buffering=0)
try:
    file.write(b"x")
except OSError:
    print("refused")
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"refused\n"


def test_memory_is_bounded() -> None:
    image = make_png(4_000, 8_000, 8, 4, False, bytes((1 + 8_000) * 8_000))
    with Decoder(memory=128 << 20) as decoder:
        assert "too much memory" in str(decoder.check_bytes(image))
    with Decoder(memory=WORKER_MEMORY) as decoder:
        assert decoder.check_bytes(image) is None


def test_an_image_that_kills_the_decoder_twice_is_broken(tmp_path: Path) -> None:
    with acting(f"ask(); open({str(tmp_path / 'deaths')!r}, 'a').write('x'); os.abort()") as decoder:
        assert "ended by SIGABRT" in str(decoder.check_bytes(good()))
    assert (tmp_path / "deaths").read_text() == "xx"


def test_the_exit_code_of_a_worker_is_reported() -> None:
    with acting("ask(); sys.exit(7)") as decoder:
        assert "ended by exit code 7" in str(decoder.check_bytes(good()))


def test_a_worker_killed_for_lack_of_memory_does_not_make_the_image_damaged(tmp_path: Path) -> None:
    once = f"""
ask()
if not os.path.exists({str(tmp_path / "killed")!r}):
    open({str(tmp_path / "killed")!r}, 'w')
    os.kill(os.getpid(), signal.SIGKILL)
say('')
ask()
"""
    with acting(once) as decoder:
        assert decoder.check_bytes(good()) is None


def test_a_worker_that_stops_in_the_middle_of_its_answer_is_dead() -> None:
    with acting("ask(); os.write(1, struct.pack('<Q', 100) + b'brok')") as decoder:
        assert "broken image" in str(decoder.check_bytes(good()))


@pytest.mark.parametrize("program", [("no such program",), ("false",), (sys.executable, "-c", "input()")])
def test_a_worker_that_does_not_start_makes_no_image_damaged(
    program: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "START_SECONDS", 0.5)
    with Decoder(program=program) as decoder, pytest.raises(StoreError, match="cannot be started"):
        decoder.check_bytes(good())


def test_the_worker_gets_neither_the_key_nor_open_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASTICA_API_KEY", "canary")
    with open(tmp_path / "journal", "w") as journal:
        os.set_inheritable(journal.fileno(), True)
        tell = 'ask(); say(f\'{sorted(os.environ)} canary={"canary" in str(os.environ)}'
        with acting(tell + f' open={{os.path.exists("/proc/self/fd/{journal.fileno()}")}}\')') as decoder:
            shown = str(decoder.check_bytes(good()))
    assert "PATH" in shown
    assert "ASTICA" not in shown
    assert "canary=False open=False" in shown


def test_modules_in_the_current_folder_are_never_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("struct", "PIL", "astica_sync"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with Decoder() as decoder:
        assert decoder.check_bytes(good()) is None


def test_a_worker_ends_with_the_program_that_started_it() -> None:
    command = [sys.executable, "-m", "astica_sync.local.image.decoder_process", str(WORKER_MEMORY), "20"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        assert worker.stdout.read(8) == bytes(8)
        worker.stdin.write(struct.pack("<Q", 1000) + b"half a question")
        worker.stdin.close()
        assert worker.wait(30) == 0
        assert worker.stdout.read() == b""


def test_a_worker_whose_answer_is_not_read_ends_without_a_message() -> None:
    command = [sys.executable, "-m", "astica_sync.local.image.decoder_process", str(WORKER_MEMORY), "20"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
        worker.stdout.close()
        worker.stdin.write(struct.pack("<Q", len(good())) + good())
        worker.stdin.close()
        assert worker.stderr.read() == b""
        assert worker.wait(30) == 0


def test_workers_are_few_and_are_used_again(tmp_path: Path) -> None:
    count = f"""
open({str(tmp_path / "started")!r}, 'a').write('x')
while True:
    ask()
    say('')
"""
    with Decoder(workers=2, program=(sys.executable, "-c", READY + count)) as decoder, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: decoder.check_bytes(good()), range(40))) == [None] * 40
    assert len((tmp_path / "started").read_text()) <= 2


def test_a_closed_decoder_keeps_no_process() -> None:
    decoder = Decoder(workers=1)
    assert decoder.check_bytes(good()) is None
    decoder.close()
    # One that was asked in the last moment still gets its answer.
    assert decoder.check_bytes(good()) is None
    assert decoder._workers._idle == []
    decoder.close()


def test_an_interrupted_check_leaves_no_worker_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object) -> bytes:
        raise KeyboardInterrupt

    with Decoder(workers=1) as decoder:
        assert decoder.check_bytes(good()) is None
        process = decoder._workers._idle[0]._process
        monkeypatch.setattr(ChildProcess, "receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            decoder.check_bytes(good())
        assert process.exit_code is not None
        monkeypatch.undo()
        assert decoder.check_bytes(good()) is None


def test_images_of_many_pixels_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    # A worker notes when it begins and ends, and in between gives another one half a second to begin as well.
    slow = f"""
log = open({str(tmp_path / "log")!r}, 'ab+', buffering=0)
while True:
    ask()
    log.write(b'begin ')
    for _ in range(50):
        log.seek(0)
        if log.read().endswith(b'begin begin '): break
        time.sleep(0.01)
    log.write(b'end ')
    say('')
"""
    heavy = make_png(9_000, 9_000, 1, 0, False, b"")
    with Decoder(workers=2, program=(sys.executable, "-c", READY + slow)) as decoder, ThreadPoolExecutor(2) as threads:
        assert list(threads.map(decoder.check_bytes, [heavy, heavy])) == [None, None]
        assert (tmp_path / "log").read_text() == "begin end begin end "
