"""A bucket of a real S3 server on this machine, and a proxy that denies, throttles, and changes what is read."""

import re
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

SECRET = "test-secret-of-the-bucket"


def run_server() -> Iterator[str]:
    """The address of an S3 server, for a fixture that yields from it."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


def use_server(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the address and its credentials in the environment."""
    for name, value in {
        "AWS_ENDPOINT": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


def empty_bucket(server: str) -> "Bucket":
    """The bucket ``s3://photos`` of a server on which nothing else is left."""
    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset", b"", method="POST")).close()
    return Bucket(server)


class Proxy:
    """Stands before the S3 server. ``status`` has what is answered for a key, one after the other, 0 for the answer of
    the server; ``rule`` tells it by the first byte of a range. ``knows_if_match``: the server gets that header.
    ``lists_bare_tags``: a list has the ETags without quotes, as those of Azure."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.status: dict[str, list[int]] = {}
        self.rule: Callable[[int], int] = lambda _: 0
        self.knows_if_match = True
        self.lists_bare_tags = False
        self.seen: Counter[str] = Counter()
        self.ranges: list[tuple[int, int]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def do_HEAD(self) -> None:
                outer.answer(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        key = handler.path.partition("?")[0]
        self.seen[key] += 1
        waiting = self.status.get(key, [])
        status = (waiting.pop(0) if len(waiting) > 1 else waiting[0]) if waiting else 0
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        if not self.knows_if_match:
            headers = {name: value for name, value in headers.items() if name.lower() != "if-match"}
        if (asked := handler.headers.get("Range")) is not None:
            start, end = map(int, asked.removeprefix("bytes=").split("-"))
            self.ranges.append((start, end + 1))
            status = status or self.rule(start)
        if status:
            body, answer = b"<Error><Code>Injected</Code></Error>", {"Content-Type": "application/xml"}
        else:
            request = urllib.request.Request(self.behind + handler.path, headers=headers, method=handler.command)
            try:
                with urllib.request.urlopen(request) as opened:
                    status, body, answer = opened.status, opened.read(), dict(opened.headers)
            except urllib.error.HTTPError as error:
                status, body, answer = error.code, error.read(), dict(error.headers)
        if self.lists_bare_tags and "list-type=" in handler.path:
            body = re.sub(rb"<ETag>\W*(?:quot;|#34;)?(\w+).*?</ETag>", rb"<ETag>\1</ETag>", body)
        handler.send_response(status)
        for name, value in answer.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                handler.send_header(name, value)
        length = answer.get("Content-Length", "0") if handler.command == "HEAD" else str(len(body))
        handler.send_header("Content-Length", length)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)


class Bucket:
    def __init__(self, url: str) -> None:
        self.url = url
        self._request("", b"", {})

    def put(self, key: str, data: bytes) -> None:
        self._request(f"/{key}", data, {})

    def _request(self, key: str, data: bytes, headers: dict[str, str]) -> None:
        auth = "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        request = urllib.request.Request(
            f"{self.url}/photos{key}",
            data,
            {"Authorization": auth, "Content-Type": "application/octet-stream", **headers},
            method="PUT",
        )
        urllib.request.urlopen(request).close()
