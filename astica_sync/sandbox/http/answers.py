"""Ways to answer an HTTP request, the broken ones included."""

import json

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

TRANSPORT = "astica_sync.transport"
"""Where a request's scope holds its connection; see ``server.Protocol``."""

PAGE = """<!doctype html>
<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>
"""


def whole(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def error(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """The documented error object."""
    return whole(json.dumps({"status": "ERROR", "error": text}).encode(), status, headers)


def page(title: str, status: int) -> Response:
    return Response(PAGE.format(title=title), status, media_type="text/html")


def half(body: bytes) -> Response:
    """JSON that ends in its middle, under a Content-Length that fits."""
    return whole(body[: len(body) // 2])


class Lost(Response):
    """No answer: the connection closes, after half of the body where there is one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.body:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            part = self.body[: len(self.body) // 2]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        scope[TRANSPORT].close()
        while (await receive())["type"] != "http.disconnect":
            pass
