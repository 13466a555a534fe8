"""Answers about the store and its images."""

import asyncio
import contextlib
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from astica_sync.core.gallery.image_state import ImageState
from astica_sync.core.model import make_scope, make_uid
from astica_sync.errors import AsticaSyncError
from astica_sync.page.gallery.gallery_view import (
    HELD_OUT,
    RANKED,
    SORTS,
    STORE,
    GalleryFilter,
    count_problems,
    find_conditions,
    in_split,
    view_data,
)
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.gallery.image_details import find_conversion, find_history, find_said, read_image
from astica_sync.page.page_state import Page
from astica_sync.page.request_response import answer_error, number_of
from astica_sync.page.thumbnails.thumbnail_queue import LARGE_SIDE, SIDE, NotShown
from astica_sync.page.versions.version_filter import SINCE

MOST_ROWS = 2000
MOST_SIMILAR = 12
_STALE = "the store has changed since"
_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}


async def get_store(request: Request) -> Response:
    page: Page = request.app.state.page
    await page.ready()
    return JSONResponse(page.store_data())


async def post_refresh(request: Request) -> Response:
    """Looks at the whole store again; sends no request."""
    page: Page = request.app.state.page
    await page.note_changed((), whole=True)
    return JSONResponse(page.store_data())


async def get_gallery(request: Request) -> Response:
    """The filter's images: how many, in which groups, and the name of the view to ask their rows by."""
    page: Page = request.app.state.page
    wanted = _filter_of(request)
    if wanted.sort not in SORTS:
        return answer_error(400, f"unknown sort {wanted.sort!r}", f"Use one of {', '.join(SORTS)}.")
    try:
        view = await page.view(wanted)
    except AsticaSyncError as error:
        # A version may be gone, or a bookmark be of another store.
        if not (wanted.version or wanted.said) or error is page.trouble:
            raise
        return answer_error(404, str(error), error.hint)
    gallery = await page.ready()
    return JSONResponse(
        {
            "view": view.name,
            "revision": gallery.revision,
            "total": len(view.rows),
            "groups": [{"label": one.label, "start": one.start, "count": one.count} for one in view.groups],
            "counts": {"by_class": view.by_class, "by_state": view.by_state},
            "ranking": _ranking(page, gallery.revision) if wanted.sort in RANKED else None,
        }
    )


def _ranking(page: Page, revision: int) -> dict[str, Any]:
    """How far the numbers of a sort are: they are those of the gallery once ``ready``."""
    state = page.preview.state
    ready = state.revision >= revision or bool(state.trouble)
    return {"ready": ready, "done": state.done, "total": state.total, "trouble": state.trouble or None}


async def get_said(request: Request) -> Response:
    """What the versions were trained on and have said of one image. Sends no request to the service."""
    page: Page = request.app.state.page
    columns = (await page.ready()).columns
    content = _content_of(columns, request)
    if not content:
        return answer_error(404, "no such image", "Look at the gallery again.")
    service = await page.service_addresses()
    return JSONResponse({"versions": await asyncio.to_thread(find_said, page.versions, columns, content, service)})


async def get_similar(request: Request) -> Response:
    """The images of the store that look most like one image, by the features of the local preview."""
    page: Page = request.app.state.page
    gallery = await page.ready()
    columns = gallery.columns
    content = _content_of(columns, request)
    if not content:
        return answer_error(404, "no such image", "Look at the gallery again.")
    page.preview.follow(gallery)
    state = page.preview.state
    images = []
    for one in await asyncio.to_thread(page.preview.neighbours, content, MOST_SIMILAR):
        found = columns.find(f"{one.image:016x}")
        if found is not None:
            images.append(
                {
                    "id": f"{one.image:016x}",
                    "content_hash": columns.content(found),
                    "class": columns.title(found),
                    "name": columns.name(found).encode("utf-8", "replace").decode(),
                    "likeness": round(max(one.likeness, 0.0), 3),
                }
            )
    ready = bool(state.labels) or bool(state.trouble)
    return JSONResponse({"ready": ready, "trouble": state.trouble or None, "images": images})


async def get_counts(request: Request) -> Response:
    """How many images each choice of the filter has that is not in ``get_gallery``: the split, the kinds of problems,
    and for the version ``of`` its data and what has changed since; each without the filter's own condition on it."""
    page: Page = request.app.state.page
    wanted, of = _filter_of(request), request.query_params.get("of", "")[:100]
    gallery = await page.ready()
    try:
        known = await page.find_known(gallery, wanted)
        rows = [
            await asyncio.to_thread(page.versions.in_version, gallery.columns, text)
            for text in ((of, SINCE + of) if of else ())
        ]
    except AsticaSyncError as error:
        return answer_error(404, str(error), error.hint)

    def count() -> dict[str, Any]:
        columns = gallery.columns
        conditions = find_conditions(columns, wanted, known)
        no_split, no_version = conditions.all_but("split"), conditions.all_but("version")
        splits = (STORE, HELD_OUT)
        return {
            "split": {name: int((no_split & in_split(columns, name)).sum()) for name in splits},
            "problem": count_problems(columns, conditions.all_but("problem")),
            "version": {name: int((no_version & one).sum()) for name, one in zip(("in", "since"), rows, strict=False)},
        }

    return JSONResponse(await asyncio.to_thread(count) | {"revision": gallery.revision})


def _filter_of(request: Request) -> GalleryFilter:
    query = request.query_params
    return GalleryFilter(
        class_title=query.get("class"),
        state=query.get("state", ""),
        text=query.get("text", ""),
        problem=query.get("problem", ""),
        split=query.get("split", ""),
        version=query.get("version", ""),
        said=query.get("said", ""),
        sort=query.get("sort", "class"),
        descending=query.get("order", "asc") == "desc",
    )


async def get_rows(request: Request) -> Response:
    page: Page = request.app.state.page
    gallery = await page.ready()
    view = page.find_view(request.query_params.get("view", ""))
    if view is None:
        return answer_error(409, "stale", _STALE)
    start = number_of(request, "start", 0, len(view.rows))
    count = number_of(request, "count", 0, MOST_ROWS, usual=MOST_ROWS)
    return JSONResponse({"start": start, "rows": view_data(gallery.columns, view, start, count)})


async def get_thumbnail(request: Request) -> Response:
    return await _serve_small(request, request.path_params["content"], SIDE, _IMMUTABLE)


async def get_large(request: Request) -> Response:
    """One image, by its id or its content hash, encoded again and large enough to zoom into."""
    page: Page = request.app.state.page
    gallery = await page.ready()
    content = _content_of(gallery.columns, request)
    return await _serve_small(request, content, LARGE_SIDE, {"Cache-Control": "private, no-cache"})


async def _serve_small(request: Request, content: str, side: int, headers: dict[str, str]) -> Response:
    page: Page = request.app.state.page
    if not _is_content(content):
        return answer_error(404, "no such image", "Look at the gallery again.")
    await page.ready()
    leaving = asyncio.ensure_future(_left(request))
    try:
        try:
            image = await _make_small(page, content, side, leaving)
        except NotShown as reason:
            if reason.found:
                raise
            # Its file may just have been moved, and the gallery does not show yet where it is.
            await page.settle()
            image = await _make_small(page, content, side, leaving)
    except NotShown as reason:
        return answer_error(422 if reason.found else 404, str(reason), "")
    finally:
        leaving.cancel()
    if image is None:
        return Response(status_code=499)
    return Response(image, media_type="image/jpeg", headers=headers)


async def _make_small(page: Page, content: str, side: int, leaving: "asyncio.Future[None]") -> bytes | None:
    """The image; None where the browser does not wait any more.

    Raises:
        NotShown: there is none.
    """
    making = asyncio.wrap_future(page.thumbnails.ask(content, side))
    try:
        await asyncio.wait((making, leaving), return_when=asyncio.FIRST_COMPLETED)
        return making.result() if making.done() else None
    finally:
        page.thumbnails.drop(content, side)


async def _left(request: Request) -> None:
    """Returns when the browser does not wait any more, as for what has scrolled out of view."""
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await request.receive()


def _is_content(text: str) -> bool:
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)


def _content_of(columns: Columns, request: Request) -> str:
    """The content hash of the image that a request names by its id or by that; "" where there is none."""
    image = str(request.path_params["image"])
    if _is_content(image):
        return image
    row = columns.find(image)
    return "" if row is None else columns.content(row)


def _follow(columns: Columns, image: str, content: str) -> int | None:
    """The row of an image that the browser has seen with this content: where another image has its place now, or none,
    a row with the same content, if there is one."""
    row = columns.find(image)
    if not _is_content(content) or (row is not None and columns.content(row) == content):
        return row
    return next(columns.with_content(content), row)


async def get_image(request: Request) -> Response:
    """All that is known of one image, and where it is in a view. One that was moved is followed by its ``content``."""
    page: Page = request.app.state.page
    gallery = await page.ready()
    columns = gallery.columns
    row = _follow(columns, request.path_params["image"], request.query_params.get("content", ""))
    if row is None:
        return answer_error(404, "this image is gone", "No file has it any more, and the backup has no copy.")
    more: dict[str, Any] = {"uid": None, "history": [], "pixels": None, "exif": {}, "converted": None}
    view = page.find_view(request.query_params.get("view", ""))
    if view is not None:
        more["position"] = next(iter(np.flatnonzero(view.rows == row).tolist()), None)
    shown = gallery.shown(row)
    content = columns.content(row)
    others = [one for one in columns.with_content(content) if one != row] if content else []
    if content:
        more["uid"] = make_uid(content, make_scope(page.facts.model_id, columns.title(row)))
        with contextlib.suppress(AsticaSyncError):
            recipe = await page.run_job(lambda opened: opened.session.local.index.recipe_of(content))
            more["uid"] = make_uid(content, make_scope(page.facts.model_id, columns.title(row), recipe))
            more["history"] = await page.run_job(lambda opened: find_history(opened, columns, content))
            on_service = shown.state is ImageState.ON_SERVICE
            more["converted"] = await page.run_job(
                lambda opened: find_conversion(opened, content, on_service=on_service)
            )
        with contextlib.suppress(NotShown):
            original = await asyncio.to_thread(page.load_image, content)
            picture = await asyncio.to_thread(page.shown.find, content)
            more |= await asyncio.to_thread(read_image, page.thumbnailer, original, picture)
    return JSONResponse(
        more
        | {
            "id": f"{int(columns.ids[row]):016x}",
            "class": columns.title(row),
            "name": columns.name(row).encode("utf-8", "replace").decode(),
            "content_hash": content,
            "has_file": row < columns.files,
            "state": str(shown.state),
            "reason": shown.reason,
            "remedy": shown.remedy,
            "until": shown.until,
            "size": int(columns.sizes[row]),
            "mtime": int(columns.mtimes[row]) / 1e9,
            "sample_id": columns.sample_ids.get(row),
            "same_image": [{"id": f"{int(columns.ids[one]):016x}", "class": columns.title(one)} for one in others],
        }
    )
