"""HTTP exchanges with slow, wrong and foreign servers."""

import contextlib
import gc
import gzip
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.errors import ConfigError
from astica_sync.remote.http_exchange import Answer, ExchangeLimits, HttpClient, NoAnswer
from astica_sync.remote.request_body import RequestBody
from astica_sync.secret import Secret
from tests.harness.misbehaving_server import Strange, Talk, http, read_request, saying, strange

OK = b'{"status": "OK"}'
LIMITS = ExchangeLimits(seconds=10, idle_seconds=10, answer_bytes=10_000)
SOON = ExchangeLimits(seconds=0.3, idle_seconds=0.2, answer_bytes=10_000)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def body(image: bytes | None = None) -> RequestBody:
    return RequestBody(Secret("the-key"), {"uid": "u"}, image)


def void(_: object) -> None:
    """Makes a lambda return None."""


def post(url: str, limits: ExchangeLimits = LIMITS, image: bytes | None = None) -> Answer | NoAnswer:
    client = HttpClient(url)
    try:
        return client.post("/model/view", body(image), limits)
    finally:
        client.close()


def test_a_post_has_json_with_a_content_length_and_the_key_in_its_body_only() -> None:
    with strange(saying(http(OK, "200 OK", "X-More: yes"))) as server:
        answer = post(server.url)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.headers["x-more"]) == (200, OK, "yes")
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /model/view http/1.1"
    assert b"content-type: application/json" in lines
    assert b"content-length: %d" % len(sent) in lines
    assert json.loads(sent) == {"tkn": "the-key", "uid": "u"}
    assert b"the-key" not in head
    assert not any(line.startswith((b"authorization", b"cookie", b"transfer-encoding")) for line in lines)


def test_connections_are_reused() -> None:
    with strange(saying(*[http(OK)] * 3)) as server:
        client = HttpClient(server.url)
        answers = [client.post("/", body(), LIMITS) for _ in range(3)]
        client.close()
    assert all(isinstance(answer, Answer) for answer in answers)
    assert server.connections == 1


@pytest.mark.parametrize("ending", ["answer", "cut answer", "broken off", "not begun"])
def test_the_body_is_freed_at_the_end_of_the_exchange(ending: str) -> None:
    """Not only by the garbage collector, which runs seldom; an image is large."""
    ended = threading.Event()
    talk: Talk = {
        "answer": saying(*[http(OK)] * 2),
        "cut answer": saying(http(OK, length=99)),
        "broken off": lambda connection: void(ended.wait(5)),
        "not begun": saying(),
    }[ending]
    gc.collect()
    gc.disable()
    try:
        with strange(talk) as server:
            client = HttpClient("http://127.0.0.1:1" if ending == "not begun" else server.url)
            sent = body(bytes(20_000_000 if ending == "broken off" else 5000))
            seen = weakref.ref(sent)
            found = client.post("/", sent, SOON if ending == "broken off" else LIMITS)
            assert isinstance(found, Answer) == (ending == "answer")
            del sent
            assert seen() is None
            ended.set()
            client.close()
    finally:
        gc.enable()


def test_a_connection_that_the_server_closed_is_not_reused() -> None:
    closed = threading.Event()

    def talk(connection: socket.socket) -> None:
        saying(http(OK))(connection)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with strange(talk) as server:
        client = HttpClient(server.url)
        for _ in range(3):
            closed.clear()
            assert isinstance(client.post("/", body(), LIMITS), Answer)
            assert closed.wait(5)
        client.close()
    assert server.connections == 3


def test_a_closed_port_proves_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = post(url)
    assert isinstance(found, NoAnswer)
    assert not found.sent
    assert "refused" in found.reason
    assert found.advice == ""


def test_too_few_open_files_are_not_taken_for_the_network() -> None:
    with strange(saying(http(OK))) as server:
        assert isinstance(post(server.url), Answer)
        free = os.dup(0)
        os.close(free)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            found = post(server.url)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert isinstance(found, NoAnswer)
    assert not found.sent
    assert "ulimit -n" in found.advice


def test_an_unknown_host_proves_that_nothing_was_sent() -> None:
    answer = post("https://no-such-host.invalid")
    assert isinstance(answer, NoAnswer)
    assert not answer.sent


def test_a_server_without_tls_receives_nothing() -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(http(OK))

    with strange(talk) as server:
        answer = post(server.url.replace("http://", "https://"))
    assert isinstance(answer, NoAnswer)
    assert not answer.sent
    assert not any(b"the-key" in request for request in server.requests)


BROKEN = {
    "nothing": b"",
    "a cut head": b"HTTP/1.1 200",
    "one byte less": http(OK)[:-1],
    "a length that lies": http(OK, length=100),
    "another language": b"not http at all\r\n\r\n",
    "a cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    "a chunk without a size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000,
    "no gzip": http(b"not gzip", "200 OK", "Content-Encoding: gzip"),
    "cut gzip": http(gzip.compress(OK)[:-6], "200 OK", "Content-Encoding: gzip"),
    "an unknown packing": http(OK, "200 OK", "Content-Encoding: br"),
    "packed twice": http(gzip.compress(gzip.compress(OK)), "200 OK", "Content-Encoding: gzip, gzip"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_incomplete_answer_is_no_answer_after_sending(kind: str) -> None:
    with strange(saying(BROKEN[kind])) as server:
        found = post(server.url)
    assert isinstance(found, NoAnswer)
    assert found.sent


def test_bytes_beyond_the_content_length_belong_to_no_answer() -> None:
    with strange(saying(http(OK, length=len(OK) - 1), http(OK))) as server:
        client = HttpClient(server.url)
        first, second = (client.post("/", body(), LIMITS) for _ in range(2))
        client.close()
    assert isinstance(first, Answer)
    assert first.body == OK[:-1]
    assert isinstance(second, NoAnswer)
    assert second.sent


def test_a_compressed_answer_is_read() -> None:
    with strange(saying(http(gzip.compress(OK), "200 OK", "Content-Encoding: gzip"))) as server:
        answer = post(server.url)
    assert isinstance(answer, Answer)
    assert answer.body == OK


@pytest.mark.parametrize("size", [9_999, 10_000, 10_001, 100_000])
@pytest.mark.parametrize("packed", [False, True])
def test_the_size_limit_of_an_answer_holds_for_compressed_ones_too(size: int, packed: bool) -> None:
    content = b" " * size
    answer = http(gzip.compress(content), "200 OK", "Content-Encoding: gzip") if packed else http(content)
    with strange(saying(answer)) as server:
        found = post(server.url)
    if size <= 10_000:
        assert isinstance(found, Answer)
        assert found.body == content
    else:
        assert isinstance(found, NoAnswer)
        assert "larger" in found.reason


def test_a_gzip_bomb_does_not_fill_the_memory() -> None:
    import tracemalloc

    bomb = http(gzip.compress(bytes(50_000_000)), "200 OK", "Content-Encoding: gzip")
    with strange(saying(bomb)) as server:
        tracemalloc.start()
        try:
            found = post(server.url)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(found, NoAnswer)
    assert most < 5_000_000


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
    ids=["status line", "headers", "body"],
)
def test_a_slow_answer_ends_at_the_deadline_of_the_exchange(start: bytes) -> None:
    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start or b"HTTP/1.1 ")
        for _ in range(1000):
            time.sleep(0.02)
            connection.sendall(b"2" if not start else b"X: y\r\n" if not start.endswith(b"\r\n\r\n") else b" ")

    with strange(drip) as server:
        found = post(server.url, ExchangeLimits(seconds=0.3, idle_seconds=10, answer_bytes=10_000))
    assert found == NoAnswer(True, "timed out before the answer was complete")


def test_an_endless_answer_ends_at_the_deadline_of_the_exchange() -> None:
    def flood(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.0001)

    with strange(flood) as server:
        found = post(server.url, ExchangeLimits(seconds=0.3, idle_seconds=10, answer_bytes=1 << 40))
    assert found == NoAnswer(True, "timed out before the answer was complete")


def test_a_connection_timeout_proves_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        for _ in range(3):
            early = waiting.enter_context(socket.socket())
            early.setblocking(False)
            early.connect_ex(listener.getsockname())
        found = post(f"http://127.0.0.1:{listener.getsockname()[1]}", SOON)
    assert found == NoAnswer(False, "timed out while connecting")


@pytest.mark.parametrize(("seconds", "quiet"), [(60, 0.2), (0.2, 60)])
def test_a_silent_server_times_out_after_the_idle_time_or_at_the_deadline(seconds: float, quiet: float) -> None:
    ended = threading.Event()
    with strange(lambda connection: void(ended.wait(5))) as server:
        found = post(server.url, ExchangeLimits(seconds, quiet, answer_bytes=10_000))
        ended.set()
    assert found == NoAnswer(True, "timed out before the answer was complete")


def test_a_server_that_reads_nothing_times_out() -> None:
    ended = threading.Event()
    with strange(lambda connection: void(ended.wait(5))) as server:
        found = post(server.url, SOON, image=bytes(20_000_000))
        ended.set()
    assert isinstance(found, NoAnswer)
    assert found.sent


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_returned_and_never_followed(status: str) -> None:
    with strange(saying(http(OK))) as other, strange(saying(http(b"", status, f"Location: {other.url}/"))) as server:
        answer = post(server.url)
    assert isinstance(answer, Answer)
    assert answer.headers["location"] == f"{other.url}/"
    assert other.connections == 0


def test_an_answer_before_the_end_of_the_request_is_read() -> None:
    """A server may refuse a large body because of its headers, and close the connection."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(http(OK, "413 Too Large"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with strange(refuse) as server:
        answer = post(server.url, image=bytes(3_000_000))
    assert isinstance(answer, Answer)
    assert answer.status == 413


@pytest.mark.parametrize(
    "url",
    [
        "http://train.astica.ai",
        "http://192.168.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://train.astica.ai",
        "train.astica.ai",
        "https://",
        "https://user:secret@train.astica.ai",
        "",
    ],
)
def test_only_https_or_this_machine_is_allowed(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpClient(url)
    assert "secret" not in str(caught.value) + caught.value.hint


def test_requests_to_this_machine_bypass_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with strange(saying(http(OK))) as proxy, strange(saying(http(OK))) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert isinstance(post(server.url), Answer)
    assert proxy.connections == 0


def test_https_uses_a_tunnel_so_that_the_proxy_learns_the_host_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with strange(saying(http(b"no", "403 Forbidden"))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        found = post("https://train.example")
    assert isinstance(found, NoAnswer)
    assert not found.sent
    assert proxy.requests[0].startswith(b"CONNECT train.example:443 ")
    assert b"the-key" not in b"".join(proxy.requests)


def test_no_proxy_excludes_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with strange(saying(http(OK))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "no-such-host.invalid")
        post("https://no-such-host.invalid")
    assert proxy.connections == 0


@pytest.mark.parametrize("proxy", ["nonsense://user:secret@x", "http://x:port", "socks5://127.0.0.1:1"])
def test_the_error_about_an_unusable_proxy_does_not_contain_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigError) as caught:
        post("https://train.example")
    assert "secret" not in str(caught.value) + caught.value.hint


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", made),
        ],
        check=True,
        capture_output=True,
    )
    return key, made


@pytest.fixture
def tls_server(certificate: tuple[Path, Path]) -> Iterator[Strange]:
    """A server at ``https://localhost`` with a self-signed certificate."""
    key, made = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection._connection, server_side=True) as secure:  # type: ignore[attr-defined]
            received.append(read_request(secure))
            secure.sendall(http(OK))

    received: list[bytes] = []
    with strange(talk) as server:
        yield Strange(server.url.replace("http://127.0.0.1", "https://localhost"), received)


def test_a_server_with_an_untrusted_certificate_receives_nothing(tls_server: Strange) -> None:
    found = post(tls_server.url)
    assert isinstance(found, NoAnswer)
    assert not found.sent
    assert "certificate" in found.reason
    assert found.advice == ""
    assert tls_server.requests == []


def test_a_server_with_a_certificate_for_another_name_receives_nothing(
    tls_server: Strange, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    found = post(tls_server.url.replace("localhost", "127.0.0.1"))
    assert isinstance(found, NoAnswer)
    assert tls_server.requests == []


def test_a_certificate_from_ssl_cert_file_is_trusted(
    tls_server: Strange, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    assert isinstance(post(tls_server.url), Answer)
    assert b"the-key" in tls_server.requests[0]


def test_threads_share_one_http_client() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from astica_sync.sandbox.embedded import running

    with running(limit=1000) as sandbox, ThreadPoolExecutor(16) as threads:
        client = HttpClient(sandbox.url)
        answers = list(threads.map(lambda _: client.post("/model/list", body(), LIMITS), range(200)))
        client.close()
    assert [answer.body for answer in answers if isinstance(answer, Answer)] == [
        b'{"status": "ERROR", "error": "Invalid API key"}'
    ] * 200
