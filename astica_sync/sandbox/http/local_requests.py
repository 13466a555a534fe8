"""Refuses what a web page in a browser on this machine may have sent: it could otherwise drive the sandbox.

A page can send requests to a loopback address, and by DNS rebinding under a name of its own even read the answers. A
program sends an address of this machine as ``Host``, and no ``Origin``.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_REFUSED = "This sandbox answers programs on this machine: send its own address as Host, and no Origin.\n"


class LocalRequestsOnly:
    """Passes on requests to a name of this machine that no page of another origin has caused.

    Args:
        is_loopback: whether the host of an address is this machine.
    """

    def __init__(self, app: ASGIApp, is_loopback: Callable[[str], bool]) -> None:
        self._app = app
        self._is_loopback = is_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_local(Headers(scope=scope)):
            await PlainTextResponse(_REFUSED, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_local(self, headers: Headers) -> bool:
        host = headers.get("host", "")
        origin = headers.get("origin", f"http://{host}")
        if len(headers.getlist("host")) != 1 or origin.lower() != f"http://{host}".lower():
            return False
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return False
        try:
            return self._is_loopback(urlsplit(f"//{host}").hostname or "")
        except ValueError:
            return False
