"""Promise 10 over whole processes: after every kind of failure, with all logging on, the key is nowhere.

A key that nothing else looks like is searched in all that a process wrote: both outputs with every library's debug
log, the index, the journal, the backup, the state of the machine, core files; and in the list of processes meanwhile.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.cli.render.watch_output import DesktopOutput, JsonWatchOutput
from astica_sync.local.create_store import create_store
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.parallel.directory_prefetch import Prefetcher
from astica_sync.local.scan.parallel.hash_pool import HashPool
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.misbehaving_server import Talk, http, read_request, strange
from tests.harness.shell import Shell, draw, fill

CANARY = "canary-7d41e0b2c9"
MODEL = 5

# What a user might turn on to find a fault, and more: every logger, tracebacks of all threads, warnings.
LOUD = """
import faulthandler, logging, sys, threading, warnings
faulthandler.enable(all_threads=True)
logging.basicConfig(level=1, stream=sys.stderr, format="%(name)s %(message)s %(args)s")
warnings.simplefilter("always")
from astica_sync.cli.main import main
from tests.harness.short_pauses import shorten
shorten()
main(["--debug", *sys.argv[1:]])
"""


def start(shell: Shell, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    """A command as loud as can be, which may write core files."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")}
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", LOUD, *map(str, arguments)],
        env={**rest, **shell.environ},
        cwd=shell.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
    )


def check(process: "subprocess.Popen[bytes]", *folders: Path) -> tuple[int, str]:
    """Waits for the command, then searches everything; its exit code and what it said."""
    out, err = process.communicate(timeout=60)
    assert CANARY.encode() not in out
    assert CANARY.encode() not in err
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                assert CANARY.encode() not in path.read_bytes(), path
            assert CANARY not in path.name
    return process.returncode, (out + err).decode("utf-8", "replace")


def in_list(process: "subprocess.Popen[bytes]") -> bytes:
    """The command lines of the process and of all below it, as everybody on the machine can see them."""
    found = b""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if process.pid in (int(entry.name), parent):
                found += (entry / "cmdline").read_bytes()
    return found


def children_of(parent: int) -> dict[int, tuple[bytes, bytes]]:
    """The command line and the environment of every process below this one, by its id."""
    found: dict[int, tuple[bytes, bytes]] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(entry.name)] = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
                found |= children_of(int(entry.name))
    return found


@pytest.fixture(autouse=True)
def canary(shell: Shell, sandbox: RunningSandbox) -> None:
    sandbox.set_key(CANARY)
    shell.environ["ASTICA_API_KEY"] = CANARY
    shell.environ["ASTICA_QUARANTINE"] = "0.2"


def wrong_key(sandbox: RunningSandbox, store: Path) -> None:
    sandbox.set_key("another")


def lost_answers(sandbox: RunningSandbox, store: Path) -> None:
    sandbox.set_faults("upload:1=lost-after", "upload:2=5xx", "upload:3=cut", "sample_remove:1=lost-before")


def every_answer_lost(sandbox: RunningSandbox, store: Path) -> None:
    sandbox.set_faults("*=lost-before")


def broken_view(sandbox: RunningSandbox, store: Path) -> None:
    sandbox.set_faults("view=partial")


def broken_journal(sandbox: RunningSandbox, store: Path) -> None:
    (store / ".astica-sync/journal.db").write_bytes(b"no database" * 1000)


def broken_index(sandbox: RunningSandbox, store: Path) -> None:
    (store / ".astica-sync/index.db").write_bytes(b"no database" * 1000)


def broken_settings(sandbox: RunningSandbox, store: Path) -> None:
    (store / "astica-sync.toml").write_text("limit = 'many'")


def broken_backup(sandbox: RunningSandbox, store: Path) -> None:
    for path in (store / ".astica-sync/backup/objects").glob("*/*"):
        path.write_bytes(b"damaged")


def over_the_limit(sandbox: RunningSandbox, store: Path) -> None:
    sandbox.set_limit(3, 0.5)


def nothing_wrong(sandbox: RunningSandbox, store: Path) -> None:
    """A push that has work and does it."""


TROUBLES: dict[Callable[[RunningSandbox, Path], None], int] = {
    nothing_wrong: 0,
    wrong_key: 1,
    lost_answers: 0,
    every_answer_lost: 1,
    broken_view: 1,
    broken_journal: 1,
    broken_index: 0,
    broken_settings: 1,
    broken_backup: 3,
    over_the_limit: 0,
}


# Those that make test runs; make test-long runs the others.
TELLING = (nothing_wrong, lost_answers, every_answer_lost, broken_backup)


@pytest.mark.long
@pytest.mark.parametrize(
    "trouble",
    [pytest.param(one, id=one.__name__, marks=() if one in TELLING else pytest.mark.long) for one in TROUBLES],
)
def test_no_trouble_of_a_push_shows_the_key(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, trouble: Callable[[RunningSandbox, Path], None]
) -> None:
    fill(pushed, {"Jar": 4}, start=40)
    (pushed / "Can" / "000.png").unlink()
    trouble(sandbox, pushed)
    code, said = check(start(shell, "push", "--yes", "--store", pushed), pushed, shell.home)
    assert code == TROUBLES[trouble], said
    assert "httpcore" in said or trouble in (broken_journal, broken_settings), "the log is as loud as it should be"


def echoing(connection: socket.socket) -> None:
    """Says the key back in every field that anybody might show."""
    request = read_request(connection)
    key = json.loads(request.partition(b"\r\n\r\n")[2])["tkn"]
    error = {"status": "ERROR", "error": f"Model {key} said: bad image from {key}"}
    connection.sendall(http(json.dumps(error).encode()))


def page(connection: socket.socket) -> None:
    body = read_request(connection).partition(b"\r\n\r\n")[2]
    connection.sendall(http(b"<html>" + body))


def cut(connection: socket.socket) -> None:
    body = read_request(connection).partition(b"\r\n\r\n")[2]
    connection.sendall(http(body, length=len(body) + 100))


def no_http(connection: socket.socket) -> None:
    connection.sendall(read_request(connection).partition(b"\r\n\r\n")[2])


@pytest.mark.long
@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(echoing, id="echoing"),
        pytest.param(cut, id="cut"),
        pytest.param(page, id="page", marks=pytest.mark.long),
        pytest.param(no_http, id="no http", marks=pytest.mark.long),
    ],
)
def test_a_service_that_echoes_the_key_is_not_quoted(shell: Shell, tmp_path: Path, talk: Talk) -> None:
    with strange(talk) as server:
        store = fill(tmp_path / "mirrored", {"Can": 1})
        create_store(store, model_id=MODEL, train_url=server.url, now=0.0)
        shell.environ["ASTICA_TRAIN_URL"] = server.url
        code, said = check(start(shell, "push", "--store", store), store, shell.home)
    assert code == 1, said
    assert CANARY.encode() in server.requests[0]


@pytest.mark.long
def test_a_service_whose_answers_repeat_the_key_puts_it_into_no_file_and_no_output(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    sandbox.add_sample(model_id, f"made with {CANARY}", (pushed / "Can" / "001.png").read_bytes(), f"uid {CANARY}")
    for command in ("pull-status", "push", "log", "models"):
        code, said = check(
            start(shell, command, *(["--store", pushed] if command != "models" else [])), pushed, shell.home
        )
        assert code == 0, said


@pytest.mark.long
def test_the_error_for_an_unreachable_service_does_not_contain_the_key(shell: Shell, tmp_path: Path) -> None:
    store = fill(tmp_path / "mirrored", {"Can": 1})
    create_store(store, model_id=MODEL, train_url="http://127.0.0.1:1", now=0.0)
    shell.environ["ASTICA_TRAIN_URL"] = "http://127.0.0.1:1"
    code, said = check(start(shell, "push", "--store", store), store, shell.home)
    assert code == 1, said


@pytest.mark.long
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGSEGV,
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in (signal.SIGINT, signal.SIGTERM, signal.SIGABRT, signal.SIGKILL)
        ),
    ],
)
def test_no_way_to_end_a_push_leaves_the_key_behind(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, number: signal.Signals
) -> None:
    fill(pushed, {"Jar": 4}, start=40)
    sandbox.set_faults("upload=slow~30")
    process = start(shell, "push", "--store", pushed)
    while not sandbox.requests_of("upload"):
        assert process.poll() is None
    assert CANARY.encode() not in in_list(process)
    assert b"push" in in_list(process)
    sandbox.set_faults()
    process.send_signal(number)
    if number in (signal.SIGINT, signal.SIGTERM):
        # The second one insists; two at a time would be taken for one.
        time.sleep(0.3)
        process.send_signal(number)
    code, said = check(process, pushed, shell.home)
    assert code != 0, said
    if number in (signal.SIGABRT, signal.SIGSEGV):
        assert "Fatal Python error" in said, "the loudest end there is"
    assert not [path for path in shell.home.iterdir() if path.name.startswith("core")]


@pytest.mark.long
def test_the_decoder_of_a_push_has_no_key_in_its_environment_or_command_line(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path
) -> None:
    # The key under every name that we read, and the path of its file.
    shell.environ["ASTICA_API_KEY_FILE"] = str(tmp_path / CANARY)
    fill(pushed, {"Jar": 4}, start=40)
    sandbox.set_faults("upload=slow~30")
    process = start(shell, "push", "--store", pushed)
    while not sandbox.requests_of("upload"):
        assert process.poll() is None
    children = children_of(process.pid)
    process.kill()
    process.communicate()
    assert any(b"decoder_process" in line for line, _ in children.values())
    for line, environment in children.values():
        assert CANARY.encode() not in line + environment
        assert b"ASTICA" not in environment
        assert b"PATH=" in environment, "it is an environment that was read"


def test_nor_have_the_processes_of_a_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTICA_API_KEY", CANARY)
    fill(tmp_path, {"Can": 2})
    prefetcher = Prefetcher()
    before = children_of(os.getpid())
    try:
        with HashPool(FileSystem(), 2, many=0) as pool:
            pool.hash([str(path) for path in tmp_path.glob("*/*")]).result()
            children = children_of(os.getpid())
    finally:
        prefetcher.close()
    assert before and len(children) > len(before)
    for line, environment in children.values():
        assert CANARY.encode() not in line + environment


# No process waits for that program to end.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nor_has_the_program_that_shows_notifications(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "shown"
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ntr "\\0" "\\n" < /proc/$$/environ > {shown}.tmp\necho "$@" >> {shown}.tmp\n'
                       f"mv {shown}.tmp {shown}\n")  # fmt: skip
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ASTICA_API_KEY", CANARY)
    output = DesktopOutput(JsonWatchOutput())
    output.event("/store", "refused", "a decision is needed")
    while not shown.exists():
        time.sleep(0.01)
    assert "a decision is needed" in shown.read_text() and "PATH=" in shown.read_text()
    assert CANARY not in shown.read_text()


def test_a_service_file_has_neither_the_key_nor_a_password_of_an_address(shell: Shell, pushed: Path) -> None:
    key_file = shell.home / "key"
    key_file.touch(0o600)
    key_file.write_text(CANARY)
    shell.environ["ASTICA_API_KEY_FILE"] = str(key_file)
    assert shell("watch", "install", "--store", pushed).code == 0
    shell.environ["ASTICA_DETECT_URL"] = f"https://user:{CANARY}@detect.example"
    refused = shell("watch", "install", "--store", pushed)
    assert refused.code == 1 and "detect_url" in refused.err
    assert CANARY not in refused.out + refused.err
    units = [path for path in shell.home.rglob("*.service") if path.is_file()]
    assert units and not [path for path in units if CANARY in path.read_text()]


@pytest.mark.long
@pytest.mark.parametrize("key", [f"{CANARY} x", f"{CANARY}\x1b"])
def test_an_invalid_key_is_refused_without_being_shown(shell: Shell, pushed: Path, key: str) -> None:
    shell.environ["ASTICA_API_KEY"] = key
    code, said = check(start(shell, "push", "--store", pushed), pushed, shell.home)
    assert code == 1
    assert "Copy it again" in said


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604])
def test_a_key_file_is_read_when_it_is_its_owners_alone(shell: Shell, pushed: Path, tmp_path: Path, mode: int) -> None:
    draw(pushed / "Can" / "new.png", 40)
    file = tmp_path / "the key"
    file.write_text(f"{CANARY}\n")
    file.chmod(mode)
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(file)
    code, said = check(start(shell, "push", "--store", pushed), pushed, shell.home)
    assert (code, "chmod 600" in said) == ((0, False) if mode == 0o600 else (1, True)), said


@pytest.mark.parametrize("command", ["pull-status", "models", "log", "backup verify", "backup prune --older-than 1d"])
def test_no_other_command_shows_the_key(shell: Shell, pushed: Path, command: str) -> None:
    words = command.split()
    if words != ["models"]:
        words += ["--store", str(pushed)]
    code, said = check(start(shell, *words), pushed, shell.home)
    assert code == 0, said


@pytest.mark.long
def test_the_journal_of_a_refused_upload_does_not_keep_what_the_service_said_of_the_key(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    draw(pushed / "Can" / "new.png", 40)
    sandbox.set_switches(invalid_image=f"Bad image for {CANARY}")
    (pushed / "Can" / "new.png").write_bytes((pushed / "Can" / "new.png").read_bytes())
    code, _ = check(start(shell, "push", "--store", pushed), pushed, shell.home)
    assert code == 0
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/journal.db")) as journal:
        assert journal.execute("SELECT count(*) FROM history").fetchone()[0] == 9
