"""Stands between the program and an S3 server: denies, throttles, and changes answers."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rule = Callable[[str, str, Any], int]


class Gate:
    """Stands before the S3 server; ``rule`` gives the status that is answered in place of it, from method, path and
    headers, 0 for the answer of the server. ``drop``: headers that the server does not get. ``edit`` changes the body
    of an answer, by method and path."""

    def __init__(self, behind: str) -> None:
        self.rule: Rule = lambda _method, _path, _headers: 0
        self.drop: set[str] = set()
        self.edit: Callable[[str, str, bytes], bytes] = lambda _method, _path, body: body
        self.status = 0
        """The status of an answer whose body is changed, 0 for that of the server."""
        self.seen: list[tuple[str, str, bool]] = []
        """Method, path, and whether the request is conditional."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, "If-None-Match" in self.headers))
                status, answer, headers = outer.rule(self.command, self.path, self.headers), b"", {}
                if not status:
                    kept = {k: v for k, v in self.headers.items() if k.lower() not in {"host", *outer.drop}}
                    # What urllib adds by itself is a form, which the server takes apart.
                    kept.setdefault("Content-Type", "application/octet-stream")
                    request = urllib.request.Request(behind + self.path, body or None, kept, method=self.command)
                    try:
                        with urllib.request.urlopen(request) as opened:
                            status, answer, headers = opened.status, opened.read(), dict(opened.headers)
                    except urllib.error.HTTPError as error:
                        status, answer, headers = error.code, error.read(), dict(error.headers)
                    edited = outer.edit(self.command, self.path, answer)
                    status = outer.status if edited != answer and outer.status else status
                    answer = edited
                elif self.command != "HEAD":
                    code = "NotImplemented" if status == 501 else "AccessDenied"
                    answer = f"<Error><Code>{code}</Code></Error>".encode()
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                head = self.command == "HEAD"
                self.send_header("Content-Length", headers.get("Content-Length", "0") if head else str(len(answer)))
                self.end_headers()
                if not head:
                    self.wfile.write(answer)

            def do_GET(self) -> None:
                self._answer()

            def do_HEAD(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def do_DELETE(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
