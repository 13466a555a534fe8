"""One HTTP exchange: a whole answer, or silence with what is known about it.

What an answer means is not decided here. Here stand the bounds: a deadline for the whole exchange however slowly
bytes drip in, a size no answer may exceed even when it comes compressed, verified TLS, no redirect, no ``.netrc``.
"""

import io
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from astica_sync.errors import ConfigError
from astica_sync.remote.request_body import RequestBody

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No whole answer. ``sent``: whether anything of the request itself may have left; ``why``: for people."""

    sent: bool
    why: str


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """The seconds a whole exchange may take, the longest time in it without a single byte, and the largest answer,
    uncompressed."""

    seconds: float
    quiet_seconds: float
    answer_bytes: int


class HttpClient:
    """Reused connections to one address; for any number of threads.

    Args:
        url: https, or http on this machine.

    Raises:
        ConfigError: the address is not allowed.
    """

    def __init__(self, url: str) -> None:
        self.url = checked_address(url)
        self._deadlines = Deadlines()
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def _opened(self) -> "httpx.Client":
        """Made when the first request is sent: a command that sends none need not load what sends it."""
        with self._lock:
            if self._client is None:
                from astica_sync.remote.http_transport import make_client

                self._client = make_client(self.url, self._deadlines)
            return self._client

    def post(self, path: str, body: RequestBody, bounds: ExchangeLimits) -> Answer | NoAnswer:
        """Sends one POST and reads its answer.

        Raises:
            ConfigError: the proxy of the environment cannot be used; nothing was sent.
        """
        import httpx

        client = self._opened()
        evidence = _Evidence()
        lent, length = _Lent(body), len(body)
        # What an error remembers of this call holds no image either.
        del body
        self._deadlines.set(bounds.seconds)
        try:
            with client.stream(
                "POST",
                self.url + path,
                content=lent,
                headers={"Content-Type": "application/json", "Content-Length": str(length)},
                timeout=httpx.Timeout(bounds.quiet_seconds, connect=CONNECT_SECONDS, pool=bounds.seconds),
                extensions={"trace": evidence},
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                content = _read(response.iter_raw(), headers.get("content-encoding", ""), bounds.answer_bytes)
                return Answer(response.status_code, headers, content)
        except _Unreadable as error:
            return NoAnswer(True, str(error))
        except (httpx.TransportError, httpx.StreamError, OSError) as error:
            from astica_sync.remote.http_transport import reason_of

            return NoAnswer(evidence.sent, reason_of(error))
        finally:
            lent.take_back()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def checked_address(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        ConfigError: plain http to another machine would show the key to the network (promise 11).
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ConfigError(f"{parts.hostname or 'the address'} is no https address", "Give https://HOST.")
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ConfigError(
            f"http://{parts.hostname} would show the key to the network",
            "Use https; plain http goes to this machine alone (localhost, 127.0.0.1).",
        )
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """Whether a host name of an address is the loopback interface, without asking any name server."""
    from ipaddress import ip_address

    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Evidence:
    """Whether the request itself began to be written; an opened tunnel or a TLS greeting is not it."""

    def __init__(self) -> None:
        self.sent = False

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and info["request"].method == b"POST":
            self.sent = True


class _Lent:
    """A body for as long as one exchange lasts. What httpx makes of a request and its answer is a circle, which keeps
    whatever it holds until the interpreter next looks for circles: with images that was hundreds of megabytes."""

    def __init__(self, body: RequestBody) -> None:
        self._body: Iterable[bytes] = body
        self._given: list[Generator[bytes, None, None]] = []

    def __iter__(self) -> Iterator[bytes]:
        pieces = (piece for piece in self._body)
        self._given.append(pieces)
        return pieces

    def take_back(self) -> None:
        self._body = ()
        for pieces in self._given:
            # One that broke off in the middle would hold the rest.
            pieces.close()


class _Unreadable(Exception):
    """The answer breaks a bound or its encoding."""


def _read(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    # BytesIO hands its buffer out without a copy, which matters for a view of 100 MB.
    buffer = io.BytesIO()
    unzip = _Gzip() if encoding.strip().lower() in ("gzip", "x-gzip") else None
    if unzip is None and encoding.strip().lower() not in ("", "identity"):
        raise _Unreadable("the answer is compressed in a way that was not asked for")
    for chunk in chunks:
        buffer.write(chunk if unzip is None else unzip(chunk, limit + 1 - buffer.tell()))
        if buffer.tell() > limit:
            raise _Unreadable(f"the answer is larger than {limit // 1_000_000} MB")
    if unzip is not None and buffer.tell() and not unzip.complete:
        raise _Unreadable("the compressed answer is cut")
    return buffer.getvalue()


class _Gzip:
    """Uncompresses with a bound, so that a small answer cannot fill the memory."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def __call__(self, chunk: bytes, at_most: int) -> bytes:
        try:
            return self._stream.decompress(chunk, max_length=at_most)
        except zlib.error:
            raise _Unreadable("the compressed answer is damaged") from None

    @property
    def complete(self) -> bool:
        return self._stream.eof


class Deadlines:
    """The end of the exchange that each thread has under way. A time-out of the socket alone would begin anew with
    every byte that drips in."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._of_thread = threading.local()

    def set(self, seconds: float) -> None:
        self._of_thread.end = self._ticks() + seconds

    def left(self, timeout: float | None, late: type[Exception]) -> float:
        left: float = self._of_thread.end - self._ticks()
        if left <= 0:
            raise late("the deadline of the whole exchange has passed")
        return left if timeout is None else min(left, timeout)
