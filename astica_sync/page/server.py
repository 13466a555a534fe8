"""Runs the page on one loopback port until it is stopped."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from astica_sync.bucket.source_binding import refuse_in_bucket
from astica_sync.clock import SystemClock
from astica_sync.config import machine_state_folder
from astica_sync.errors import AsticaSyncError, NoStore, StoreUnreadable
from astica_sync.local.image.prepare.usable_formats import usable_recipe
from astica_sync.local.layout import Layout
from astica_sync.local.store_sentinel import read_sentinel
from astica_sync.open_session import find, settings_for
from astica_sync.page.access.access_gate import AccessGate, Entrance
from astica_sync.page.app import STATIC, make_app
from astica_sync.page.cache_signing_key import cache_key
from astica_sync.page.page_state import Page, StoreFacts
from astica_sync.page.setup.own_sandbox import OwnSandbox
from astica_sync.page.setup.setup_app import Setup
from astica_sync.service_address import is_this_machine
from astica_sync.system.start_checks import current_folder

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


class ServerStop:
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
    stop: ServerStop | None = None,
    network: Path | None = None,
    held_out: Sequence[Path] = (),
) -> None:
    """Serves the page until SIGINT or SIGTERM, or until ``stop`` is set.

    ``ready`` is called with the address that opens the page, once it answers; ``announce`` with the next one, when that
    was used. ``network`` is an ONNX file for the features of the local preview, ``held_out`` are folders of held-out
    images. The parameters are the options of the command, and what the tests need in its place.

    Raises:
        NoStore: the folder ``store`` is no store. Without one, and with no store at hand, the page offers to make one.
        AsticaSyncError: the store or the port cannot be used.
    """
    layout: Layout | None = None
    here = current_folder() if store is None else store
    bound = ""
    try:
        layout = find(store)
        refuse_in_bucket(
            layout, "the page shows and changes files of a folder", "Use the commands: astica-sync status, push, watch."
        )
        # What cannot be used is said before a port is opened.
        sentinel, settings = read_sentinel(layout), settings_for(layout, offline=True)
        if settings.sources["train_url"] == str(layout.sentinel_file):
            bound = sentinel.train_url
    except NoStore as error:
        if store is not None or isinstance(error, StoreUnreadable):
            raise
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    with contextlib.closing(listen(port)) as listener, contextlib.closing(OwnSandbox()) as sandbox:
        if bound and sandbox.is_at(bound):
            # A store that was made with the sandbox of the page finds it again.
            os.environ.update(sandbox.start(patient=False))
        number = listener.getsockname()[1]
        entrance = Entrance(number, lambda token: announce(_address(number, token)))

        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[tuple[ASGIApp, Callable[[], None]]]:
            door = _Door(sandbox)
            try:
                if layout is not None:
                    door.open(layout, network, held_out)
                else:
                    door.offer(here, network, held_out)
                yield AccessGate(door, number, entrance), door.end_streams
            finally:
                await door.close()

        asyncio.run(_serve(opened, listener, lambda: ready(_address(number, entrance.token)), stop or ServerStop()))


class _Door:
    """What is served behind the gate: the page of a store, or before that what makes one."""

    def __init__(self, sandbox: OwnSandbox) -> None:
        self._sandbox = sandbox
        self._page: Page | None = None
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None
        await self._app(scope, receive, send)

    def open(self, layout: Layout, network: Path | None, held_out: Sequence[Path]) -> None:
        """Serves the page of a store from now on."""
        sentinel, settings = read_sentinel(layout), settings_for(layout, offline=True)
        host = urlsplit(settings.train_url).hostname or ""
        recipe = usable_recipe(settings.recipe)
        facts = StoreFacts(layout.root, sentinel.model_id, settings.train_url, is_this_machine(host), recipe, held_out)
        key = cache_key(machine_state_folder(), layout.root)
        self._page = Page(layout, facts, SystemClock(), key, os.urandom(4).hex(), network)
        self._page.start()
        self._app = make_app(self._page)

    def offer(self, here: Path, network: Path | None, held_out: Sequence[Path]) -> None:
        """Offers to make a store, and opens it then."""

        async def made(folder: Path) -> None:
            self.open(find(folder), network, held_out)

        self._app = Setup(here, STATIC, made, self._sandbox).app()

    def end_streams(self) -> None:
        if self._page is not None:
            self._page.hub.close()

    async def close(self) -> None:
        if self._page is not None:
            await self._page.close()


def _address(port: int, token: str) -> str:
    return f"http://{HOST}:{port}/?token={token}"


async def _serve(
    opened: Callable[[], contextlib.AbstractAsyncContextManager[tuple[ASGIApp, Callable[[], None]]]],
    listener: socket.socket,
    ready: Callable[[], None],
    stop: ServerStop,
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
