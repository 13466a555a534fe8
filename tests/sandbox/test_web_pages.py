"""A web page in a browser on this machine can neither drive a sandbox nor read a watcher's metrics."""

import contextlib
import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from astica_sync.cli.watch.watch_metrics import local_requests_only
from astica_sync.sandbox.embedded import RunningSandbox, running

FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:{port}"},
    {"Host": "127.0.0.1.evil.example:{port}"},
    {"Host": "localhost.evil.example:{port}"},
    {"Host": "127.0.0.1@evil.example:{port}"},
    {"Host": "192.168.0.7:{port}"},
    {"Host": "0.0.0.0:{port}"},
    {"Host": "[::ffff:10.0.0.1]:{port}"},
    {"Host": ""},
    {"Host": "[::1"},
    {"Host": "127.0.0.1:{port}", "Origin": "https://evil.example"},
    {"Host": "127.0.0.1:{port}", "Origin": "http://evil.example:{port}"},
    {"Host": "127.0.0.1:{port}", "Origin": "http://127.0.0.1:1"},
    {"Host": "127.0.0.1:{port}", "Origin": "http://localhost:{port}"},
    {"Host": "127.0.0.1:{port}", "Origin": "null"},
    {"Host": "127.0.0.1:{port}", "Origin": ""},
    {"Host": "127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
    {"Host": "127.0.0.1:{port}", "Sec-Fetch-Site": "same-site"},
]
LOCAL = [
    {"Host": "127.0.0.1:{port}"},
    {"Host": "localhost:{port}"},
    {"Host": "LOCALHOST"},
    {"Host": "[::1]:{port}"},
    {"Host": "127.0.0.1:{port}", "Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
    {"Host": "127.0.0.1:{port}", "Sec-Fetch-Site": "none"},
]


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    with running() as started:
        yield started


def send(box: RunningSandbox, method: str, headers: dict[str, str]) -> tuple[int, list[str]]:
    """One request with these headers alone, as JSON in the form that a page may send without asking first; the status
    and the names of the headers of its answer."""
    port = urlsplit(box.url).port
    body = f'{{"tkn": "{box.key}", "dataset_title": "T", "dataset_type": "v", "dataset_purpose": "p"}}'.encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest(method, "/model/create", skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Type": "text/plain", "Content-Length": str(len(body))}.items():
            connection.putheader(name, value.format(port=port))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, [name.lower() for name, _ in answer.getheaders()]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_sandbox_refuses_what_a_web_page_sends(box: RunningSandbox, headers: dict[str, str]) -> None:
    models, requests = box.models(), len(box.log)
    for method in ("POST", "GET", "OPTIONS"):
        status, names = send(box, method, headers)
        assert status in (400, 403)
        assert not any(name.startswith("access-control") for name in names)
    assert (box.models(), len(box.log)) == (models, requests)


@pytest.mark.parametrize("headers", LOCAL, ids=str)
def test_a_sandbox_answers_programs_on_this_machine(box: RunningSandbox, headers: dict[str, str]) -> None:
    status, names = send(box, "POST", headers)
    assert status == 200
    assert not any(name.startswith("access-control") for name in names)


def ask_for_metrics(headers: dict[str, str]) -> str:
    """The HTTP status of the metrics page for a request with these headers."""
    statuses: list[str] = []
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value.format(port=9101) for name, value in headers.items()}
    app = local_requests_only(lambda environ, start: start("200 OK", []) or [b"secret"])
    answer = b"".join(app(environ, lambda status, headers: statuses.append(status)))
    assert (answer == b"secret") == (statuses == ["200 OK"])
    return statuses[0]


@pytest.mark.parametrize("headers", [one for one in FOREIGN if "Sec-Fetch-Site" not in one] + [{}], ids=str)
def test_the_metrics_are_not_shown_under_another_name(headers: dict[str, str]) -> None:
    """What a page may send to the right name is no danger: it cannot read the answer."""
    assert ask_for_metrics(headers) == "403 Forbidden"


@pytest.mark.parametrize("headers", [one for one in LOCAL if "Origin" not in one], ids=str)
def test_the_metrics_are_shown_to_programs_on_this_machine(headers: dict[str, str]) -> None:
    assert ask_for_metrics(headers) == "200 OK"
