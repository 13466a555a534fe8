"""HTTP responses of the sandbox, including broken ones."""

import json

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

TRANSPORT = "astica_sync.transport"
"""The key in an ASGI scope under which the connection is; see ``server.ClosableProtocol``."""

PAGE = """<!doctype html>
<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>
"""


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def error_response(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """The documented JSON object of an error."""
    return json_response(json.dumps({"status": "ERROR", "error": text}).encode(), status, headers)


def html_page(title: str, status: int) -> Response:
    return Response(PAGE.format(title=title), status, media_type="text/html")


def cut_response(body: bytes) -> Response:
    """Half of the JSON, with a Content-Length that matches it."""
    return json_response(body[: len(body) // 2])


class LostResponse(Response):
    """Closes the connection without an answer, or after half of the body if there is one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.body:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            part = self.body[: len(self.body) // 2]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        scope[TRANSPORT].close()
        while (await receive())["type"] != "http.disconnect":
            pass
