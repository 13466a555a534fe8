"""Answers that never end, services that never begin, clocks that jump and a push that is stopped for minutes."""

import contextlib
import itertools
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync.errors import NotTheService
from astica_sync.remote.deadline import DeadlineBackend, ThreadDeadline
from astica_sync.remote.http_exchange import Answer, ExchangeLimits, HttpClient, NoAnswer
from astica_sync.remote.outcome import classify
from astica_sync.remote.request_body import RequestBody
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.secret import Secret
from tests.harness.misbehaving_server import read_request, strange
from tests.harness.shell import Shell, fill, in_store, on_service

SOON = ExchangeLimits(seconds=0.4, idle_seconds=10, answer_bytes=10_000_000)


def post(url: str) -> Answer | NoAnswer:
    client = HttpClient(url)
    try:
        return client.post("/model/view", RequestBody(Secret("the-key"), {"uid": "u"}), SOON)
    finally:
        client.close()


ENDLESS: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "informational answers": (b"", lambda number: b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints": (b"", lambda number: b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nX-Long: ", lambda number: b"y"),
    "headers": (b"HTTP/1.1 200 OK\r\n", lambda number: b"X-%d: y\r\n" % number),
    "a size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", lambda number: b"0"),
    "chunks of one byte": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", lambda number: b"1\r\n \r\n"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", lambda number: b"X-%d: y\r\n" % number),
    "a body without a length": (b"HTTP/1.1 200 OK\r\n\r\n", lambda number: b" "),
    "a status line": (b"HTTP/1.1 200 O", lambda number: b"K"),
    "empty lines": (b"", lambda number: b"\r\n"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_arrives_byte_by_byte_ends_at_the_deadline(kind: str) -> None:
    start, piece = ENDLESS[kind]

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        for number in itertools.count():
            connection.sendall(piece(number))
            time.sleep(0.01)

    with strange(drip) as server:
        began = time.monotonic()
        found = post(server.url)
        assert time.monotonic() - began < 8
    assert isinstance(found, NoAnswer)
    assert found.sent


@contextlib.contextmanager
def slow_receiver() -> Iterator[tuple[socket.socket, str]]:
    """A listener whose connections take few bytes until they are read."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_what_was_not_sent_at_the_deadline_never_arrives() -> None:
    """The service would count it after its place in the limit is free again."""
    with slow_receiver() as (listener, url):
        client = HttpClient(url)
        found = client.post("/model/view", RequestBody(Secret("the-key"), {"image": "x" * 4_000_000}), SOON)
        client.close()
        assert isinstance(found, NoAnswer) and found.sent
        connection, _ = listener.accept()
        with connection, pytest.raises(ConnectionResetError):
            while connection.recv(1 << 20):
                pass


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no TCP_USER_TIMEOUT")
def test_the_system_gives_up_what_a_killed_process_has_left() -> None:
    deadline = ThreadDeadline()
    deadline.start(7.0)
    with slow_receiver() as (listener, _):
        stream = DeadlineBackend(deadline).connect_tcp(*listener.getsockname())
        opened = stream.get_extra_info("socket")
        limit = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        stream.close()
    assert 6000 < limit <= 7000


@pytest.mark.parametrize("through", ["the service", "a proxy"])
def test_a_connection_that_is_accepted_and_never_used_ends_at_the_deadline(
    through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The TLS handshake, or the proxy's answer, never comes; nothing of the request was sent."""
    ended = threading.Event()

    def silent(connection: socket.socket) -> None:
        ended.wait(8)

    with strange(silent) as server:
        if through == "a proxy":
            monkeypatch.setenv("https_proxy", server.url)
            monkeypatch.delenv("no_proxy", raising=False)
        url = "https://train.example" if through == "a proxy" else server.url.replace("http://", "https://")
        began = time.monotonic()
        found = post(url)
        assert time.monotonic() - began < 6
        ended.set()
    assert isinstance(found, NoAnswer)
    assert not found.sent
    assert not any(b"the-key" in request for request in server.requests)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 306, 307, 308, 399])
@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example", "/model/view", "file:///x", ""]
)
def test_no_kind_of_redirect_is_followed(status: int, target: str) -> None:
    error = classify(
        Answer(status, {"location": target}, b'{"status": "OK"}'), host="h", key=Secret("k"), now=0.0, sent=()
    )
    assert type(error) is NotTheService


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0, 1e9, -1e9])
def test_a_clock_that_jumps_at_each_look_changes_no_outcome(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    fill(pushed, {"Jar": 4}, start=40)
    (pushed / "Can" / "000.png").unlink()
    sandbox.set_faults("upload:2=lost-after", "upload:3=lost-before")
    looks = itertools.count(1)
    now = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + jump * (next(looks) % 3))
        ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)
    sandbox.clear_log()
    assert shell("push", "--store", pushed, "--json").json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.long
@pytest.mark.parametrize("after", ["view", "upload"])
def test_a_push_that_is_stopped_for_two_minutes_goes_on_within_limit_and_deadlines(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, after: str
) -> None:
    """Longer than the window of the limit and than the time of any exchange."""
    fill(pushed, {"Jar": 30}, start=40)
    sandbox.set_faults("upload:2=lost-after", latency="20-60ms")
    sandbox.clear_log()
    process = shell.start("push", "--yes", "--store", pushed)
    try:
        while not sandbox.requests_of(after):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        time.sleep(125)
        process.send_signal(signal.SIGCONT)
        assert shell.finish(process).code == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert on_service(sandbox, model_id) == in_store(pushed)
    assert sandbox.max_in_any_window() <= 90
    sandbox.clear_log()
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]
