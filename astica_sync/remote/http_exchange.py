"""One HTTP exchange: a complete answer, or none with what is known about the request.

What an answer means is decided in ``outcome.py``. Here are the limits: a deadline for the whole exchange however slowly
bytes arrive, a size no answer may exceed even when it is compressed, verified TLS, no redirects, no ``.netrc``.
"""

import io
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from astica_sync.errors import ConfigError
from astica_sync.remote.request_body import RequestBody
from astica_sync.service_address import checked_address
from astica_sync.system.error_advice import connection_remedy

if TYPE_CHECKING:
    import httpx

    from astica_sync.remote.deadline import ThreadDeadline

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No complete answer. ``sent``: whether any byte of the request may have been sent; ``reason``: for messages;
    ``advice``: what helps where it is known to be this machine that refuses."""

    sent: bool
    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """The limits of one exchange.

    Attributes:
        seconds: the longest time for all of it, from the connection to the last byte.
        idle_seconds: the longest time within it in which no byte arrives or leaves.
        answer_bytes: the largest answer, uncompressed.
    """

    seconds: float
    idle_seconds: float
    answer_bytes: int


class HttpClient:
    """Reused connections to one address; for any number of threads.

    Args:
        url: https, or http on this machine.

    Raises:
        ConfigError: the address is not allowed.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url: str = checked_address(url)
        except ValueError as error:
            raise ConfigError("the address of the service cannot be used", f"Give {error}.") from None
        self._lock = threading.Lock()
        self._opened: tuple[httpx.Client, ThreadDeadline] | None = None

    @property
    def host(self) -> str:
        """The name of the address, with its port where it has one; for messages."""
        return urlsplit(self.url).netloc

    def post(self, path: str, body: RequestBody, limits: ExchangeLimits) -> Answer | NoAnswer:
        """Sends one POST and reads its answer.

        Raises:
            ConfigError: the proxy of the environment cannot be used; nothing was sent.
        """
        import httpx

        client, deadline = self._open()
        trace = _SendTrace()
        content, length = _ReleasableBody(body), len(body)
        # An error keeps the variables of this function alive; without this line, the image too.
        del body
        deadline.start(limits.seconds)
        try:
            with client.stream(
                "POST",
                self.url + path,
                content=content,
                headers={"Content-Type": "application/json", "Content-Length": str(length)},
                timeout=httpx.Timeout(limits.idle_seconds, connect=CONNECT_SECONDS, pool=limits.seconds),
                extensions={"trace": trace},
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                answer = _read(response.iter_raw(), headers.get("content-encoding", ""), limits.answer_bytes)
                return Answer(response.status_code, headers, answer)
        except _AnswerRejected as error:
            return NoAnswer(True, str(error))
        except (httpx.TransportError, httpx.StreamError, OSError) as error:
            from astica_sync.remote.connection_pool import proxy_variable, reason_of

            variable = proxy_variable(httpx.URL(self.url))
            through = f" (through the proxy that {variable} names)" if variable else ""
            return NoAnswer(trace.sent, f"{reason_of(error)}{through}", connection_remedy(error))
        finally:
            content.release()

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()

    def _open(self) -> "tuple[httpx.Client, ThreadDeadline]":
        """Done with the first request: a command that sends none does not load httpx."""
        with self._lock:
            if self._opened is None:
                from astica_sync.remote.connection_pool import open_client
                from astica_sync.remote.deadline import ThreadDeadline

                deadline = ThreadDeadline()
                self._opened = open_client(self.url, deadline), deadline
            return self._opened


class _SendTrace:
    """Called by httpcore with each step of an exchange. ``sent`` is whether the request itself began to leave; the
    request for a tunnel and a TLS handshake do not count."""

    def __init__(self) -> None:
        self.sent = False

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and info["request"].method == b"POST":
            self.sent = True


class _ReleasableBody:
    """A body that can be let go when the exchange ends.

    httpx's request and response refer to each other, so they stay in memory until the garbage collector runs; with
    an image in each, that was hundreds of megabytes.
    """

    def __init__(self, body: RequestBody) -> None:
        self._body: Iterable[bytes] = body
        self._generators: list[Generator[bytes, None, None]] = []

    def __iter__(self) -> Iterator[bytes]:
        pieces = (piece for piece in self._body)
        self._generators.append(pieces)
        return pieces

    def release(self) -> None:
        self._body = ()
        for pieces in self._generators:
            # One that was not read to its end still refers to the body.
            pieces.close()


class _AnswerRejected(Exception):
    """The answer exceeds a limit, or its encoding is wrong."""


def _read(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    # BytesIO returns its buffer without a copy, which matters for a view of 100 MB.
    buffer = io.BytesIO()
    unzip = _Gunzip() if encoding.strip().lower() in ("gzip", "x-gzip") else None
    if unzip is None and encoding.strip().lower() not in ("", "identity"):
        raise _AnswerRejected("the answer has a compression that was not asked for")
    for chunk in chunks:
        buffer.write(chunk if unzip is None else unzip(chunk, limit + 1 - buffer.tell()))
        if buffer.tell() > limit:
            raise _AnswerRejected(f"the answer is larger than {limit // 1_000_000} MB")
    if unzip is not None and buffer.tell() and not unzip.complete:
        raise _AnswerRejected("the compressed answer is cut off")
    return buffer.getvalue()


class _Gunzip:
    """Uncompresses up to a limit, so that a small answer cannot fill the memory."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def __call__(self, chunk: bytes, at_most: int) -> bytes:
        try:
            return self._stream.decompress(chunk, max_length=at_most)
        except zlib.error:
            raise _AnswerRejected("the compressed answer is damaged") from None

    @property
    def complete(self) -> bool:
        return self._stream.eof
