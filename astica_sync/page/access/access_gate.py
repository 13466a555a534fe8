"""The gate before every answer: who asks, from where, and for what. Nothing of the page answers without it.

Loopback alone protects nothing: a web page whose name was rebound to 127.0.0.1 has the page's own address as its
origin, and other users of the machine reach the port as well. So the name in ``Host`` is compared with the exact list,
and a cookie, which the user's browser got for a token that was used once, names the user.
"""

import hmac
import json
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-astica-page"
MOST_JSON = 8_000_000
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_GO_ON = b'<!doctype html><title>astica-sync page</title><meta http-equiv="refresh" content="0; url=/">\n'
_NO_ENTRY = "Open the address that astica-sync page printed; each address works once. For a new one, run it again."


class Entrance:
    """The token that is exchanged for the cookie. A used token is replaced, and ``on_used`` gets the next one.

    The cookie is another one at each start: browsers send it to every server on 127.0.0.1, whatever its port, so once
    the command has ended another user of this machine could get it, who listens at the same port.
    """

    def __init__(self, port: int, on_used: Callable[[str], None] = lambda _: None) -> None:
        self.cookie: str = f"astica_page_{port}"
        self._session = secrets.token_urlsafe(32)
        self._on_used = on_used
        self.token: str = secrets.token_urlsafe(24)

    def exchange(self, token: str) -> str | None:
        """The value of the Set-Cookie header for the token; None for any other one, used ones included."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self.token = secrets.token_urlsafe(24)
        self._on_used(self.token)
        return f"{self.cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def admits(self, header: str) -> bool:
        """Whether a Cookie header has the value."""
        try:
            found = SimpleCookie(header).get(self.cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._session.encode())


class AccessGate:
    """Wraps the application: checks each request, and adds the security headers to each answer."""

    def __init__(self, app: ASGIApp, port: int, entrance: Entrance) -> None:
        self._app, self._entrance = app, entrance
        self._hosts = frozenset((f"127.0.0.1:{port}", f"localhost:{port}"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                extra = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
                if b"cache-control" not in present:
                    extra.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is None and scope["path"] == "/" and b"token=" in scope["query_string"]:
            token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            cookie = self._entrance.exchange(token) if scope["method"] == "GET" else None
            if cookie is not None:
                taken = (b"set-cookie", cookie.encode())
                if _one(headers, b"sec-fetch-site") == "cross-site":
                    # From the file that the command opens: a browser follows a redirect without the new cookie then.
                    await _answer(send_secured, 200, _GO_ON, [(b"content-type", b"text/html; charset=utf-8"), taken])
                else:
                    await _answer(send_secured, 303, b"", [(b"location", b"/"), taken])
                return
            # A used address, opened again by the browser that used it.
            if self._entrance.admits(_one(headers, b"cookie")):
                await _answer(send_secured, 303, b"", [(b"location", b"/")])
                return
            refusal = 403, "this address was used before, or belongs to another run", _NO_ENTRY
        if refusal is None and not self._entrance.admits(_one(headers, b"cookie")):
            refusal = 401, "this browser has not been let in", _NO_ENTRY
        if refusal is not None:
            await _refuse(send_secured, *refusal)
            return
        await self._app(scope, _bounded(receive, headers), send_secured)

    def _refusal(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> tuple[int, str, str] | None:
        """Why the request is refused with the cookie as well; None where it is not."""
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in self._hosts:
            return 421, "the page is not served under this name", "Open the address that astica-sync page printed."
        method, site = scope["method"], _one(headers, b"sec-fetch-site")
        if method in ("GET", "HEAD"):
            # An address that the user typed or that another page links to may be opened, and nothing else.
            if site not in ("", "same-origin", "none") and scope["path"] != "/":
                return 403, "asked for by another page", "Use the page itself."
            return None
        if method != "POST":
            return 405, f"{method} is not used here", "Use GET or POST."
        if site:
            same = site == "same-origin"
        else:
            same = _one(headers, b"origin").lower() == f"http://{hosts[0].decode('latin-1').lower()}"
        if not same:
            return 403, "a change was asked for by another page", "Use the page itself."
        if _one(headers, HEADER) != "1":
            return 403, "a change without the header X-Astica-Page", "Use the page itself."
        return None


class TooLong(Exception):
    """A request has more bytes than it may."""


def _bounded(receive: Receive, headers: dict[bytes, list[bytes]]) -> Receive:
    """Reads no more of a JSON body than ``MOST_JSON``; what reads another body bounds it itself."""
    if not _one(headers, b"content-type").startswith("application/json"):
        return receive
    total = 0

    async def receive_bounded() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_JSON:
            raise TooLong
        return message

    return receive_bounded


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


def _one(headers: dict[bytes, list[bytes]], name: bytes) -> str:
    """The value of a header; "" where it is missing, and several values in one text, which equals none."""
    return ", ".join(value.decode("latin-1") for value in headers.get(name, ()))


async def _refuse(send: Send, status: int, error: str, hint: str) -> None:
    body = json.dumps({"error": error, "hint": hint}).encode()
    await _answer(send, status, body, [(b"content-type", b"application/json")])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
