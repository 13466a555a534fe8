"""A misbehaving service, as seen from the terminal: what a push does, prints and leaves behind.

Each answer alone is dealt with in ``tests/remote``; the sandbox's own faults are in ``tests/cli/test_faults.py``.
"""

import contextlib
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from astica_sync.local.create_store import create_store
from astica_sync.remote import client
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.misbehaving_server import Strange, Talk, http, read_request, saying, strange
from tests.harness.shell import Ran, Shell, fill, in_store, on_service

# Seconds of real processes or trainings for each test.
pytestmark = pytest.mark.long

MODEL = 5
OK = b'{"status": "OK"}'


def view(*classes: tuple[int, str, list[tuple[int, str]]]) -> bytes:
    """A whole answer about (class id, title, [(sample id, uid)])."""
    listed = [
        {"id": class_id, "title": title, "samples": [{"id": number, "uid": uid} for number, uid in samples]}
        for class_id, title, samples in classes
    ]
    count = sum(len(samples) for _, _, samples in classes)
    dataset = {"id": MODEL, "title": "Cans", "numClass": len(classes), "numSample": count, "class_list": listed}
    return json.dumps({"status": "OK", "dataset": dataset}).encode()


def service(upload: bytes, shown: bytes = view()) -> Talk:
    """A service that shows the model and answers everything else with the same bytes."""

    def talk(connection: socket.socket) -> None:
        while request := read_request(connection):
            is_view = request.startswith(b"POST /model/view ")
            connection.sendall(http(shown) if is_view else upload)
            if not is_view:
                return

    return talk


@contextlib.contextmanager
def store_of(shell: Shell, tmp_path: Path, talk: Talk, count: int = 4) -> Iterator[tuple[Path, Strange]]:
    """A store of the model of that service."""
    with strange(talk) as server:
        store = fill(tmp_path / "mirrored", {"Can": count})
        create_store(store, model_id=MODEL, train_url=server.url, now=0.0)
        for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
            shell.environ.pop(name, None)
        assert shell("trust", "--store", store, "--yes").code == 0
        yield store, server


def calls(server: Strange) -> list[str]:
    return [request.split(b" ", 2)[1].decode() for request in server.requests]


def marks(shell: Shell, store: Path) -> int:
    import sqlite3

    with contextlib.closing(sqlite3.connect(store / ".astica-sync/journal.db")) as journal:
        return int(journal.execute("SELECT count(*) FROM mark").fetchone()[0])


def is_explained(ran: Ran) -> bool:
    lines = ran.err.splitlines()
    return lines[-2].startswith("astica-sync: ") and lines[-1].startswith("  ") and "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(b'{"status": "ERROR", "error": "Invalid API key"}'), "refused the API key"),
        (http(b'{"status": "ERROR", "error": "API key is disabled"}', "401 Unauthorized"), "refused the API key"),
        (http(b"<html>Sign in</html>", "403 Forbidden"), "answered 403"),
        (http(b'{"status": "ERROR", "error": "Model not found"}'), "Model not found"),
    ],
)
def test_what_would_fail_for_every_sample_stops_at_the_first_answer(
    shell: Shell, tmp_path: Path, answer: bytes, says: str
) -> None:
    with store_of(shell, tmp_path, service(answer)) as (store, server):
        ran = shell("push", "--store", store)
        assert ran.code == 1
        assert says in ran.err
        assert is_explained(ran)
        assert calls(server) == ["/model/view", "/model/upload"]
        again = shell("push", "--store", store)
    assert again.code == 1
    assert calls(server) == ["/model/view", "/model/upload"] * 2, "no sample is blamed, and none is in doubt"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
@pytest.mark.parametrize("at", ["view", "upload"])
def test_a_redirect_never_receives_the_key(shell: Shell, tmp_path: Path, status: str, at: str) -> None:
    with strange(saying(http(OK))) as thief:
        answer = http(b"", status, f"Location: {thief.url}/model/view")
        talk = service(answer) if at == "upload" else saying(answer)
        with store_of(shell, tmp_path, talk) as (store, server):
            ran = shell("push", "--store", store)
        assert ran.code == 1
        assert "redirects to" in ran.err
        assert is_explained(ran)
        assert calls(server)[-1] == f"/model/{at}"
    assert thief.connections == 0


def test_a_self_signed_certificate_receives_no_request(shell: Shell, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []

    def talk(connection: Any) -> None:
        with context.wrap_socket(connection._connection, server_side=True) as secure:
            received.append(read_request(secure))

    with strange(talk) as server:
        store = fill(tmp_path / "mirrored", {"Can": 1})
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        create_store(store, model_id=MODEL, train_url=url, now=0.0)
        shell.environ["ASTICA_TRAIN_URL"] = url
        ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "certificate" in ran.err.lower()
    assert is_explained(ran)
    assert received == []


def endless(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def dripping(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    connection.settimeout(0.02)
    while True:
        connection.sendall(b" ")
        with contextlib.suppress(TimeoutError):
            if connection.recv(1) == b"":
                return


WHOLE = view((1, "Can", [(7, "made elsewhere")]))
NO_ANSWERS: dict[str, Talk] = {
    "endless": endless,
    "dripping": dripping,
    "a gzip bomb": saying(http(gzip.compress(b" " * 50_000_000), "200 OK", "Content-Encoding: gzip")),
    "shorter than announced": saying(http(WHOLE, length=len(WHOLE) + 10)),
    "cut by its own length": saying(http(WHOLE, length=len(WHOLE) - 10)),
    "two bodies": saying(http(WHOLE + WHOLE)),
    "a login page": saying(http(b"<!doctype html><title>Sign in</title>")),
    "nothing": saying(b""),
    "no http": saying(b"220 mail.example ESMTP\r\n"),
}


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_an_unusable_answer_changes_nothing_and_is_explained(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("astica_sync.remote.rate_limited_client.READ_TRIES", 1)
    monkeypatch.setattr(client, "VIEW", replace(client.VIEW, seconds=0.7, answer_bytes=10_000_000))
    with store_of(shell, tmp_path, NO_ANSWERS[kind]) as (store, server):
        ran = shell("push", "--store", store)
    assert ran.code == 1
    assert is_explained(ran), ran.err
    assert set(calls(server)) == {"/model/view"}
    assert marks(shell, store) == 0


UPLOAD_ANSWERS = {
    "a gzip bomb": http(gzip.compress(b" " * 50_000_000), "200 OK", "Content-Encoding: gzip"),
    "shorter than announced": http(OK, length=100),
    "a login page": http(b"<html>Sign in</html>"),
    "a bare 500": http(b"", "500 Oh"),
    "an error that may have done it": http(b'{"status": "ERROR", "error": "Database timeout, try again"}'),
}


@pytest.mark.parametrize("kind", UPLOAD_ANSWERS)
def test_an_upload_without_a_clear_answer_is_not_sent_again_before_its_quarantine(
    shell: Shell, tmp_path: Path, kind: str
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "3600"
    with store_of(shell, tmp_path, service(UPLOAD_ANSWERS[kind]), count=1) as (store, server):
        for _ in range(2):
            process = shell.start("push", "--store", store, stderr=subprocess.STDOUT)
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("waiting "):
                    break
            process.kill()
            process.communicate()
    assert calls(server).count("/model/upload") == 1


def test_an_open_circuit_breaker_is_reported(shell: Shell, tmp_path: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    refused = http(b'{"status": "ERROR", "error": "The account is full"}')
    with store_of(shell, tmp_path, service(refused), count=20) as (store, server):
        ran = shell("push", "--store", store)
        assert ran.code == 1
        assert "refused 5 requests in a row" in ran.err
        assert "The account is full" in ran.err
        assert is_explained(ran)
        assert calls(server).count("/model/upload") == 5
        status = shell("pull-status", "--json", "--store", store).json
    assert (status["problems"], status["plan"]["requests"]) == ([], 22), "no sample is blamed"


def test_an_open_circuit_breaker_starts_no_further_request(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    fill(pushed, {"Jar": 60}, start=100)
    sandbox.set_faults("upload=5xx")
    shell.environ["ASTICA_QUARANTINE"] = "0"
    ran = shell("push", "--store", pushed)
    assert ran.code == 1
    assert "8 answers in a row were lost" in ran.err
    assert is_explained(ran)
    assert len(sandbox.requests_of("upload")) <= 8 + 16
    sandbox.set_faults()
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.parametrize("call", ["upload", "sample_remove"])
def test_a_sample_that_fails_every_time_does_not_block_the_push(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, call: str
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0.1"
    if call == "upload":
        fill(pushed, {"Jar": 1}, start=40)
    else:
        (pushed / "Can" / "000.png").unlink()
    sandbox.set_faults(f"{call}=5xx")
    ran = shell("push", "--json", "--store", pushed)
    assert (ran.code, ran.json["in_sync"], len(ran.json["failed"])) == (3, False, 1), ran.out
    assert "the next push tries it again" in ran.json["failed"][0]["reason"]
    assert len(sandbox.requests_of(call)) == 3
    sandbox.set_faults()
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_moved_sample_whose_upload_is_given_up_keeps_its_old_place(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0.1"
    before = on_service(sandbox, model_id)
    (pushed / "Can" / "000.png").rename(pushed / "Glass" / "moved.png")
    sandbox.set_faults("upload=5xx")
    assert shell("push", "--yes", "--store", pushed).code == 3
    assert not sandbox.requests_of("sample_remove")
    assert on_service(sandbox, model_id) == before


def test_a_service_that_goes_away_is_given_up_after_a_few_tries(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astica_sync.sync.apply.circuit_breaker.FIRST_PAUSE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def talk_once() -> None:
            connection, _ = listener.accept()
            with connection:
                read_request(connection)
                connection.sendall(http(view(), "200 OK", "Connection: close"))
            listener.close()

        import threading

        thread = threading.Thread(target=talk_once)
        thread.start()
        store = fill(tmp_path / "mirrored", {"Can": 3})
        create_store(store, model_id=MODEL, train_url=url, now=0.0)
        shell.environ["ASTICA_TRAIN_URL"] = url
        ran = shell("push", "--store", store)
        thread.join()
    assert ran.code == 1
    assert "given up after 4 tries" in ran.err
    assert is_explained(ran)
    assert marks(shell, store) == 0, "nothing was sent, so nothing is in doubt"


def test_a_duplicated_or_misplaced_sample_is_there_once_after_a_push(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    one, other, *_ = sandbox.samples(model_id)
    sandbox.add_sample(model_id, one.class_title, one.image, one.uid)
    sandbox.add_sample(model_id, "Glass", other.image, other.uid)
    ran = shell("push", "--yes", "--json", "--store", pushed)
    assert (ran.code, ran.json["removed"], ran.json["uploaded"]) == (0, 2, 0)
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_view_with_one_sample_id_in_two_classes_is_refused(shell: Shell, tmp_path: Path) -> None:
    shown = view((1, "Can", [(7, "a")]), (2, "Jar", [(7, "a")]))
    with store_of(shell, tmp_path, service(http(OK), shown)) as (store, server):
        ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "contains a sample id twice" in ran.err
    assert calls(server) == ["/model/view"]


HOSTILE = "\x1b]0;owned\x07\x1b[2J../../x\u202egnp\u2028\nnext line \x9b31m" + "y" * 300


def test_text_from_the_service_is_printed_without_control_characters(
    shell: Shell, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    refusal = http(json.dumps({"status": "ERROR", "error": HOSTILE}).encode())
    outputs = []
    with store_of(shell, tmp_path, service(refusal), count=2) as (store, _):
        outputs += [shell("push", "--store", store), shell("log", "--store", store)]
        outputs += [shell("pull-status", "--store", store), shell("push", "--store", store)]
    shell.environ["ASTICA_TRAIN_URL"] = sandbox.url
    model_id = sandbox.add_model(HOSTILE, tags=HOSTILE)
    sandbox.add_sample(model_id, HOSTILE, b"image", HOSTILE)
    folder = fill(tmp_path / "other", {"Can": 1})
    outputs += [shell("models"), shell("models", "show", str(model_id))]
    outputs += [shell("init", folder, "--model", str(model_id)), shell("pull-status", "--store", folder)]
    outputs += [shell("push", "--store", folder)]
    for ran in outputs:
        said = ran.out + ran.err
        assert not {"\x1b", "\x07", "\u202e", "\u2028", "\x9b"} & set(said), said
        assert "\nnext line" not in said
    assert "\\x1b" in outputs[0].err + outputs[0].out
    assert sys.stdout is not None
