"""The transport below httpx: a connection pool whose sockets keep a deadline, and the proxy of the environment.

Loaded with the first request.
"""

import contextlib
import os
import ssl
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import httpcore
import httpx

from astica_sync.errors import ConfigError
from astica_sync.remote.deadline import DeadlineBackend, ThreadDeadline
from astica_sync.service_address import is_this_machine
from astica_sync.system.no_proxy import is_left_out

IDLE_SECONDS = 3.0
"""How long an idle connection is kept: less than the shortest common time after which servers close theirs, because a
request sent on a connection that is being closed has an unknown outcome."""

CONNECTIONS = 64
HTTPS_PORT = 443

# The more specific class comes first.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.TimeoutException, httpx.TimeoutException),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.NetworkError, httpx.NetworkError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.ProtocolError, httpx.ProtocolError),
)


def open_client(url: str, deadline: ThreadDeadline) -> httpx.Client:
    """A client for one address.

    Raises:
        ConfigError: the proxy of the environment cannot be used.
    """
    address = httpx.URL(url)
    proxy = _proxy_for(address)
    transport = PoolTransport(proxy, _certificates() if address.scheme == "https" else None, deadline)
    return httpx.Client(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": "astica-sync", "Accept": "application/json", "Accept-Encoding": "gzip"},
    )


def reason_of(error: Exception) -> str:
    """What went wrong in a failed exchange, in a few words."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "timed out while connecting"
    if isinstance(error, httpx.TimeoutException):
        return "timed out before the answer was complete"
    if isinstance(error, httpx.ProxyError):
        return "the proxy refused the connection"
    return str(error).rstrip(".") or type(error).__name__


class PoolTransport(httpx.BaseTransport):
    """An ``httpcore.ConnectionPool`` for httpx. httpx's own transport does not accept a network backend."""

    def __init__(
        self, proxy: httpx.Proxy | None, certificates: ssl.SSLContext | None, deadline: ThreadDeadline
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=certificates,
            proxy=None if proxy is None else httpcore.Proxy(_core_url(proxy.url), proxy.raw_auth, proxy.headers.raw),
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=DeadlineBackend(deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        core_request = httpcore.Request(
            method=request.method,
            url=_core_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _httpx_errors():
            answer = self._pool.handle_request(core_request)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_AnswerStream(answer), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()


class _AnswerStream(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        with _httpx_errors():
            self._answer.close()


@contextlib.contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raises httpx's error in place of httpcore's."""
    try:
        yield
    except Exception as error:
        for core_class, httpx_class in _ERRORS:
            if isinstance(error, core_class):
                raise httpx_class(str(error)) from error
        raise


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _certificates() -> ssl.SSLContext:
    """The certificates to trust.

    Raises:
        ConfigError: those that the environment names cannot be used.
    """
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        given = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "")
        if not given:
            raise ConfigError(
                f"the certificates to trust cannot be loaded: {error}",
                "install them again: pip install --force-reinstall certifi",
            ) from None
        raise ConfigError(
            f"{given} names {os.environ[given]}, which has no certificate: {error}",
            f"set it to a file in PEM format, or: unset {given}",
        ) from None


def proxy_variable(address: httpx.URL) -> str:
    """The variable of the environment that names the proxy by which an address is reached; "" without one."""
    if _goes_direct(address):
        return ""
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    return next((name for name in names if os.environ.get(name, "").strip()), "")


def _goes_direct(address: httpx.URL) -> bool:
    """Whether no proxy is used for an address, whatever proxies there are."""
    if is_this_machine(address.host):
        return True
    environment = getproxies_environment()
    if not environment:
        # The settings of the system, where it has any.
        return bool(proxy_bypass(address.host))
    spelled = {address.host, address.raw_host.decode("ascii")}
    return any(is_left_out(environment.get("no", ""), host, address.port or HTTPS_PORT) for host in spelled)


def _proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """
    Raises:
        ConfigError: the proxy of the environment cannot be used; the message names the variable.
    """
    if _goes_direct(url):
        return None
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address:
        return None
    variable = proxy_variable(url)
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
        port = proxy.url.port
        reason = "it names no host" if not proxy.url.host else "its port is not between 1 and 65535"
        if not proxy.url.host or (port is not None and not 0 < port < 65536):
            raise ValueError(reason)
        if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
            raise ValueError("a SOCKS proxy needs the package socksio: pip install socksio")
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        # The address may have a password in it, which the library's own words repeat.
        reason = str(error) if type(error) is ValueError and address not in str(error) else "it is no address"
        reason = reason if "@" not in reason else "it is no address"
        raise ConfigError(
            f"the proxy that {variable or 'the system'} names cannot be used: {reason}",
            f"write it as http://HOST:PORT; to go without a proxy: unset {variable or 'HTTPS_PROXY ALL_PROXY'}",
        ) from None
    return proxy
