"""The sandbox as a process: one loopback address, until it is told to stop."""

import asyncio
import contextlib
import logging
import socket
import tempfile
import time
from asyncio import BaseTransport
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from astica_sync.sandbox.http.answers import TRANSPORT
from astica_sync.sandbox.http.app import Sandbox
from astica_sync.sandbox.http.faults import Faults
from astica_sync.sandbox.images import is_loopback
from astica_sync.sandbox.options import Options, Switches

_GRACE = 3
"""Seconds a request under way has to end when the sandbox is told to stop."""


class Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, with the connection within reach of an answer that wants to be lost."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        inner = cast(ASGIApp, self.app)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app


def steady_now() -> Callable[[], float]:
    """Seconds since the epoch that never jump while the process lives."""
    anchor = time.time() - time.monotonic()
    return lambda: anchor + time.monotonic()


def make_config(sandbox: Sandbox) -> uvicorn.Config:
    """uvicorn without logs, lifespan, websockets and headers of its own."""
    return uvicorn.Config(
        sandbox.app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address.

    Raises:
        ValueError: the address is another machine's or open to others.
        OSError: the port is taken.
    """
    if not is_loopback(host):
        raise ValueError(f"the sandbox listens on this machine alone: {host} is not a loopback address")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once only on sockets that name their protocol; else each takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(512)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def folder_for(data: Path | None) -> Iterator[Path]:
    """The folder that keeps the state: the given one, or one that goes with the sandbox."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="astica-sandbox-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def serve(
    host: str,
    port: int,
    data: Path | None,
    key: str,
    limit: int,
    window: float,
    switches: Switches,
    faults: Faults,
    ready: Callable[[str], None],
) -> None:
    """Runs a sandbox until SIGINT or SIGTERM; ``ready`` is called with its address once it answers.

    The fields of ``Options`` say what each argument means. Nothing is printed here. A second signal does not wait
    for requests under way.

    Raises:
        ValueError: an option that cannot be, or an address that is not loopback.
        OSError: the port is taken, or the folder cannot be used.
    """
    options = Options(host, port, data, key, limit, window, switches, faults)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(url_of(listener))

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # Unlike uvicorn's own, it does not raise the signal again once everything has ended well.
            del sig, frame
            self.force_exit = self.should_exit
            self.should_exit = True

    with contextlib.closing(listen(host, port)) as listener, folder_for(data) as folder:
        sandbox = Sandbox(options, folder, steady_now())
        with contextlib.closing(sandbox):
            Announced(make_config(sandbox)).run([listener])
