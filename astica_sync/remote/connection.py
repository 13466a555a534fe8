"""One HTTP exchange: a whole answer, or silence with what is known about it.

What an answer means is not decided here. Here stand the bounds: a deadline for the whole exchange however slowly
bytes drip in, a size no answer may exceed even when it comes compressed, verified TLS, no redirect, no ``.netrc``.
"""

import io
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from astica_sync.errors import ConfigError
from astica_sync.remote.body import Body

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 3.0
"""How long an idle connection is kept: less than the shortest common time after which servers close theirs, because a
request that meets a closing connection has an unknown outcome."""

CONNECTIONS = 64
_SLICE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Silence:
    """No whole answer. ``sent``: whether anything of the request itself may have left; ``why``: for people."""

    sent: bool
    why: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The seconds a whole exchange may take, the longest time in it without a single byte, and the largest answer,
    uncompressed."""

    seconds: float
    quiet_seconds: float
    answer_bytes: int


class Connection:
    """Reused connections to one address; for any number of threads.

    Args:
        url: https, or http on this machine.

    Raises:
        ConfigError: the address is not allowed, or the proxy of the environment cannot be used.
    """

    def __init__(self, url: str) -> None:
        self.url = checked_address(url)
        self._deadlines = _Deadlines()
        try:
            transport = _Transport(httpx.URL(self.url), self._deadlines)
        except (ValueError, ImportError, httpx.InvalidURL):
            raise ConfigError("the proxy named in the environment cannot be used", "Look at HTTPS_PROXY.") from None
        self._client = httpx.Client(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            headers={"User-Agent": "astica-sync", "Accept": "application/json", "Accept-Encoding": "gzip"},
        )

    def post(self, path: str, body: Body, bounds: Bounds) -> Answer | Silence:
        """Sends one POST and reads its answer."""
        evidence = _Evidence()
        self._deadlines.set(bounds.seconds)
        try:
            with self._client.stream(
                "POST",
                self.url + path,
                content=body,
                headers={"Content-Type": "application/json", "Content-Length": str(len(body))},
                timeout=httpx.Timeout(bounds.quiet_seconds, connect=CONNECT_SECONDS, pool=bounds.seconds),
                extensions={"trace": evidence},
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                content = _read(response.iter_raw(), headers.get("content-encoding", ""), bounds.answer_bytes)
                return Answer(response.status_code, headers, content)
        except _Unreadable as error:
            return Silence(True, str(error))
        except (httpx.TransportError, httpx.StreamError, ssl.SSLError, OSError) as error:
            return Silence(evidence.sent, _reason(error))

    def close(self) -> None:
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


def _proxy_for(host: str) -> httpx.Proxy | None:
    if is_this_machine(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy:
        return None
    found = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    if found.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ValueError("a SOCKS proxy needs the package socksio")
    return found


class _Evidence:
    """Whether the request itself began to be written; an opened tunnel or a TLS greeting is not it."""

    def __init__(self) -> None:
        self.sent = False

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and info["request"].method == b"POST":
            self.sent = True


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


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "no whole answer in time"
    if isinstance(error, httpx.ProxyError):
        return "the proxy let nothing through"
    return str(error).rstrip(".") or type(error).__name__


class _Deadlines:
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


class _Transport(httpx.HTTPTransport):
    """httpx's own transport over a pool whose sockets keep the deadlines: the pool takes a network backend, the
    transport has no argument for it."""

    def __init__(self, url: httpx.URL, deadlines: _Deadlines) -> None:
        proxy = _proxy_for(url.host)
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context() if url.scheme == "https" else None,
            proxy=None
            if proxy is None
            else httpcore.Proxy(
                url=httpcore.URL(
                    scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=proxy.url.raw_path
                ),
                auth=proxy.raw_auth,
                headers=proxy.headers.raw,
            ),
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=_Punctual(deadlines),
        )


class _Punctual(httpcore.NetworkBackend):
    def __init__(self, deadlines: _Deadlines) -> None:
        self._deadlines = deadlines
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadlines.left(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _PunctualStream(stream, self._deadlines)


class _PunctualStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadlines: _Deadlines) -> None:
        self._inner = inner
        self._deadlines = deadlines

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadlines.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        for start in range(0, len(view), _SLICE):
            self._inner.write(bytes(view[start : start + _SLICE]), self._deadlines.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadlines.left(timeout, httpcore.ConnectTimeout)
        return _PunctualStream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadlines)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
