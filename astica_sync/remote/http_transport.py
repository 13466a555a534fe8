"""What carries an exchange: httpx over sockets that keep its deadline, and the proxy of the environment.

Loaded with the first request.
"""

import ssl
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from astica_sync.errors import ConfigError
from astica_sync.remote.http import Deadlines, is_this_machine

IDLE_SECONDS = 3.0
"""How long an idle connection is kept: less than the shortest common time after which servers close theirs, because a
request that meets a closing connection has an unknown outcome."""

CONNECTIONS = 64
_SLICE = 64 * 1024
"""How much is handed to the system at a time before the deadline is looked at again: a whole piece of an image."""


def make_client(url: str, deadlines: Deadlines) -> httpx.Client:
    """A client for one address.

    Raises:
        ConfigError: the proxy of the environment cannot be used.
    """
    try:
        transport = _Transport(httpx.URL(url), deadlines)
    except (ValueError, ImportError, httpx.InvalidURL):
        raise ConfigError("the proxy named in the environment cannot be used", "Look at HTTPS_PROXY.") from None
    return httpx.Client(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": "astica-sync", "Accept": "application/json", "Accept-Encoding": "gzip"},
    )


def reason_of(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "no whole answer in time"
    if isinstance(error, httpx.ProxyError):
        return "the proxy let nothing through"
    return str(error).rstrip(".") or type(error).__name__


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


class _Transport(httpx.HTTPTransport):
    """httpx's own transport over a pool whose sockets keep the deadlines: the pool takes a network backend, the
    transport has no argument for it."""

    def __init__(self, url: httpx.URL, deadlines: Deadlines) -> None:
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
    def __init__(self, deadlines: Deadlines) -> None:
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
    def __init__(self, inner: httpcore.NetworkStream, deadlines: Deadlines) -> None:
        self._inner = inner
        self._deadlines = deadlines

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadlines.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if len(buffer) <= _SLICE:
            self._inner.write(buffer, self._deadlines.left(timeout, httpcore.WriteTimeout))
            return
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
