"""The routes of the page where there is no store yet."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from astica_sync.config import load_key
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import has_store
from astica_sync.page.access.access_gate import TooLong
from astica_sync.page.request_response import BadRequest, answer_error, answer_html, read_object
from astica_sync.page.setup.folder_names import complete_folder
from astica_sync.page.setup.own_sandbox import OwnSandbox
from astica_sync.page.setup.run_init import StoreMaker, WantedStore

MOST_LETTERS = 4000


class Setup:
    """The page before there is a store. ``opened`` is called with the folder of the store once it is there."""

    def __init__(
        self, here: Path, static: Path, opened: Callable[[Path], Awaitable[None]], sandbox: OwnSandbox
    ) -> None:
        self.here: Path = here
        self._static, self._opened = static, opened
        self._maker = StoreMaker(sandbox)
        self._making = asyncio.Lock()

    def app(self) -> Starlette:
        """The application behind the gate."""
        return Starlette(
            routes=[
                Route("/", self.get_index),
                Route("/api/setup", self.get_setup),
                Route("/api/setup", self.post_setup, methods=["POST"]),
                Route("/api/setup/folders", self.get_folders),
                Mount("/static", StaticFiles(directory=self._static, check_dir=False)),
            ],
            exception_handlers={
                AsticaSyncError: _on_known_error,
                BadRequest: _on_bad_request,
                TooLong: _on_too_long,
            },
        )

    async def get_index(self, request: Request) -> Response:
        return answer_html(self._static / "setup.html")

    async def get_setup(self, request: Request) -> Response:
        """What is known before the user has said anything."""
        try:
            has_key = bool(await asyncio.to_thread(load_key, os.environ))
        except AsticaSyncError:
            has_key = False
        return JSONResponse({"folder": os.fsencode(self.here).decode("utf-8", "replace"), "has_key": has_key})

    async def get_folders(self, request: Request) -> Response:
        """The folders that complete a path."""
        text = request.query_params.get("text", "")[:MOST_LETTERS]
        found = await asyncio.to_thread(complete_folder, text, self.here)
        return JSONResponse({"folders": [{"path": one.path, "is_store": one.is_store} for one in found]})

    async def post_setup(self, request: Request) -> Response:
        """Makes the store and opens the page of it."""
        wanted = _read(await read_object(request), self.here)
        if self._making.locked():
            return answer_error(409, "a store is being made", "Wait a moment.")
        async with self._making:
            try:
                await asyncio.to_thread(self._maker.make, wanted)
            except subprocess.TimeoutExpired:
                return answer_error(503, "the service did not answer in time", "Try again later.")
            await self._opened(wanted.folder)
        return JSONResponse({"store": os.fsencode(wanted.folder).decode("utf-8", "replace")})


def _read(body: dict[str, Any], here: Path) -> WantedStore:
    """
    Raises:
        BadRequest: it is no complete description of a store.
    """
    texts = {name: body.get(name, "") for name in ("folder", "title", "purpose", "key")}
    if any(not isinstance(text, str) or len(text) > MOST_LETTERS or "\0" in text for text in texts.values()):
        raise BadRequest("folder, title, purpose and key are short texts", "Type them again.")
    folder, title, purpose, key = (texts[name].strip() for name in texts)
    model = body.get("model")
    if model is not None and (type(model) is not int or not 0 < model < 1 << 53):
        raise BadRequest("the number of a model is a whole number", "astica-sync models lists them.")
    if not folder:
        raise BadRequest("no folder was chosen", "Type the path of the folder with one sub-folder for each class.")
    path = here / os.path.expanduser(folder)  # noqa: PTH111 - Path raises where the user is unknown
    is_store = has_store(path)
    if model is None and not (title and purpose) and not is_store:
        raise BadRequest("a new model needs a title and a purpose", "Type both, or the number of a model.")
    return WantedStore(path, title, purpose, model, key, body.get("sandbox") is True, body.get("anyway") is True)


async def _on_known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AsticaSyncError)
    return answer_error(422, str(error), error.hint)


async def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return answer_error(400, str(error), error.hint)


async def _on_too_long(request: Request, error: Exception) -> Response:
    return answer_error(413, "the request is too long", "Type less.")
