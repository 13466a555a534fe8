"""Answers about the store and its images."""

import asyncio
import contextlib
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from astica_sync.core.model import make_scope, make_uid
from astica_sync.errors import AsticaSyncError
from astica_sync.page.answers import answer_error, number_of
from astica_sync.page.gallery.gallery_view import SORTS, GalleryFilter, view_data
from astica_sync.page.gallery.image_details import find_history, read_image
from astica_sync.page.open_page import Page
from astica_sync.page.thumbnails.thumbnail_queue import LARGE_SIDE, SIDE, NotShown

MOST_ROWS = 2000
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
    view = await page.view(wanted)
    gallery = await page.ready()
    return JSONResponse(
        {
            "view": view.name,
            "revision": gallery.revision,
            "total": len(view.rows),
            "groups": [{"label": one.label, "start": one.start, "count": one.count} for one in view.groups],
            "counts": {"by_class": view.by_class, "by_state": view.by_state},
        }
    )


def _filter_of(request: Request) -> GalleryFilter:
    query = request.query_params
    return GalleryFilter(
        class_title=query.get("class"),
        state=query.get("state", ""),
        text=query.get("text", ""),
        problem=query.get("problem", "") in ("1", "true"),
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
    """One image, encoded again and large enough to zoom into."""
    page: Page = request.app.state.page
    gallery = await page.ready()
    row = gallery.columns.find(request.path_params["image"])
    content = "" if row is None else gallery.columns.content(row)
    if not content:
        return answer_error(404, "no such image", "Look at the gallery again.")
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


async def get_image(request: Request) -> Response:
    """All that is known of one image."""
    page: Page = request.app.state.page
    gallery = await page.ready()
    columns = gallery.columns
    row = columns.find(request.path_params["image"])
    if row is None:
        return answer_error(404, "no such image", "It was moved or removed; look at the gallery again.")
    shown = gallery.shown(row)
    content = columns.content(row)
    others = [one for one in columns.with_content(content) if one != row] if content else []
    more: dict[str, Any] = {"uid": None, "history": [], "pixels": None, "exif": {}}
    if content:
        more["uid"] = make_uid(content, make_scope(page.facts.model_id, columns.title(row)))
        with contextlib.suppress(AsticaSyncError):
            more["history"] = await page.run_job(lambda opened: find_history(opened, columns, content))
        with contextlib.suppress(NotShown):
            data = await asyncio.to_thread(page.load_image, content)
            more |= await asyncio.to_thread(read_image, page.thumbnailer, data)
    return JSONResponse(
        more
        | {
            "id": f"{int(columns.ids[row]):016x}",
            "class": columns.title(row),
            "name": columns.name(row).encode("utf-8", "replace").decode(),
            "content_hash": content,
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
