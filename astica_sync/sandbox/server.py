"""The sandbox as a process: it listens on one loopback address until it is stopped."""

import asyncio
import contextlib
import logging
import signal
import socket
import tempfile
import threading
import time
from asyncio import BaseTransport
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from astica_sync.sandbox.http.app import Sandbox
from astica_sync.sandbox.http.http_responses import TRANSPORT
from astica_sync.sandbox.image_input import is_loopback
from astica_sync.sandbox.options import Options

_GRACE = 3
"""Seconds that a request under way may still take when the sandbox stops."""


class ClosableProtocol(H11Protocol):
    """uvicorn's HTTP protocol; a response finds the connection in its scope, so that it can close it."""

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
    """uvicorn without logs, lifespan events, websockets and its own headers."""
    return uvicorn.Config(
        sandbox.app,
        http=ClosableProtocol,
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
        ValueError: the address is not a loopback address.
        OSError: the port is taken.
    """
    if not is_loopback(host):
        raise ValueError(
            f"{host} is not a loopback address; the sandbox listens on this machine only, such as on 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables the delay of small packets only on sockets that name their protocol; else an answer takes 40 ms.
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
    """The folder of the account: the given one, or a temporary one that is removed at the end."""
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="astica-sandbox-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def serve(options: Options, ready: Callable[[str], None]) -> None:
    """Runs a sandbox until SIGINT, SIGTERM or SIGHUP; ``ready`` is called with its address once it answers.

    Nothing is printed here. A second signal does not wait for requests under way. A hang-up that is ignored, as under
    nohup(1), stays ignored.

    Raises:
        ValueError: the address is not a loopback address.
        OSError: the port is taken, or the folder cannot be used.
    """
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)

    class AnnouncingServer(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(url_of(listener))

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # Unlike in uvicorn, the signal is not raised again after a clean end.
            del sig, frame
            self.force_exit = self.should_exit
            self.should_exit = True

    with contextlib.closing(listen(options.host, options.port)) as listener, folder_for(options.data) as folder:
        sandbox = Sandbox(options, folder, steady_now())
        with contextlib.closing(sandbox):
            server = AnnouncingServer(make_config(sandbox))
            with _hang_up_ends(server):
                server.run([listener])


@contextlib.contextmanager
def _hang_up_ends(server: uvicorn.Server) -> Iterator[None]:
    """Ends the server when the terminal is closed, as uvicorn does for SIGINT and SIGTERM. In another thread than the
    main one nothing is changed."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGHUP, server.handle_exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
