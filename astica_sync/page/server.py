"""Runs the page on one loopback port until it is stopped."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from astica_sync.clock import SystemClock
from astica_sync.config import machine_state_folder
from astica_sync.errors import AsticaSyncError
from astica_sync.local.identity import read_sentinel
from astica_sync.open_session import find, settings_for
from astica_sync.page.access.access_gate import AccessGate, Entrance
from astica_sync.page.access.session_secret import session_secret
from astica_sync.page.app import make_app
from astica_sync.page.open_page import Page, StoreFacts
from astica_sync.service_address import is_this_machine

HOST = "127.0.0.1"
_GRACE = 3
"""Seconds that a request under way may still take when the page stops."""


def listen(port: int) -> socket.socket:
    """A listening socket on this machine alone.

    Raises:
        AsticaSyncError: the port is taken.
    """
    # As for the sandbox: asyncio disables the delay of small packets only on sockets that name their protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise AsticaSyncError(
            f"the page cannot use port {port}: {error.strerror}", "Name another one, or any free one with --port 0."
        ) from None
    return listener


class Stop:
    """Stops a running page from another thread."""

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None

    def set(self) -> None:
        if self.server is not None:
            self.server.should_exit = True


def serve(
    store: Path | None,
    port: int,
    ready: Callable[[str], None],
    announce: Callable[[str], None],
    stop: Stop | None = None,
    network: Path | None = None,
) -> None:
    """Serves the page until SIGINT or SIGTERM, or until ``stop`` is set.

    ``ready`` is called with the address that opens the page, once it answers; ``announce`` with the next one, when that
    was used. ``network`` is an ONNX file for the features of the local preview.

    Raises:
        NoStore: there is no store.
        AsticaSyncError: the store or the port cannot be used.
    """
    layout = find(store)
    sentinel, settings = read_sentinel(layout), settings_for(layout, offline=True)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    with contextlib.closing(listen(port)) as listener:
        number = listener.getsockname()[1]
        secrets = machine_state_folder()
        entrance = Entrance(
            number,
            session_secret(secrets, layout.root, number),
            lambda token: announce(_address(number, token)),
        )
        host = urlsplit(settings.train_url).hostname or ""
        facts = StoreFacts(layout.root, sentinel.model_id, settings.train_url, is_this_machine(host))
        key = session_secret(secrets, layout.root, 0)

        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[tuple[ASGIApp, Callable[[], None]]]:
            page = Page(layout, facts, SystemClock(), key, os.urandom(4).hex(), network)
            try:
                page.start()
                yield AccessGate(make_app(page), number, entrance), page.hub.close
            finally:
                await page.close()

        asyncio.run(_serve(opened, listener, lambda: ready(_address(number, entrance.token)), stop or Stop()))


def _address(port: int, token: str) -> str:
    return f"http://{HOST}:{port}/?token={token}"


async def _serve(
    opened: Callable[[], contextlib.AbstractAsyncContextManager[tuple[ASGIApp, Callable[[], None]]]],
    listener: socket.socket,
    ready: Callable[[], None],
    stop: Stop,
) -> None:
    async with opened() as (app, end_streams):
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_GRACE,
        )
        stop.server = _AnnouncingServer(config, ready, end_streams)
        await stop.server.serve([listener])


class _AnnouncingServer(uvicorn.Server):
    """Tells when it answers. A signal ends it in order and is not raised again; a second one does not wait."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready, self._end_streams = ready, end_streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A stream without end would be waited for.
        self._end_streams()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True
