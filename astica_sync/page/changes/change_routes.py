"""Changes of the store's files that the page asks for."""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from astica_sync.core.gallery.page_change import ChangeOutcome, StepKind
from astica_sync.errors import ImageRejected
from astica_sync.page.changes.change_maker import CHANGED, ChangeMaker, count_files, folders_of
from astica_sync.page.changes.plan_change import KINDS, MOST_TITLE, PlannedChange, Wanted, plan_change, read_items
from astica_sync.page.changes.upload_image import add_image, check_upload, name_of, read_body
from astica_sync.page.gallery.image_columns import image_id
from astica_sync.page.page_state import Page, text
from astica_sync.page.request_response import BadRequest, answer_error, read_object

_SHOWN_WITHIN = 0.5
"""Seconds that an answer waits for the gallery to show what was done; a large store shows it later, by an event."""
MOST_SKIPPED = 1000
_BATCH = re.compile(r"[\w-]{1,100}")


async def post_change(request: Request) -> Response:
    """One change of files or classes."""
    page: Page = request.app.state.page
    body = await read_object(request)
    # From here on nothing is waited for until the rows are chosen: they are rows of this gallery.
    gallery = await page.ready()
    kind, to, title = _text(body, "kind"), _text(body, "to"), _text(body, "class")
    if kind not in KINDS:
        raise BadRequest(f"kind is one of {', '.join(KINDS)}")
    rows: Sequence[int] | None = None
    if body.get("all") is not None:
        chosen = body["all"]
        if not isinstance(chosen, dict) or not isinstance(chosen.get("except", []), list):
            raise BadRequest("all has a view, and the ids that are left out")
        view = page.find_view(str(chosen.get("view")))
        if view is None:
            return answer_error(409, "stale", "the store has changed since; look at it again")
        left_out = {gallery.columns.find(str(one)) for one in chosen.get("except", [])}
        rows = [row for row in view.rows.tolist() if row not in left_out]
    wanted = Wanted(kind, read_items(body.get("items", [])), rows, title, to)

    def change(maker: ChangeMaker) -> tuple[PlannedChange, int | None, ChangeOutcome]:
        planned = plan_change(gallery.columns, maker, wanted)
        if not planned.steps:
            return planned, None, ChangeOutcome()
        return planned, *maker.make(lambda steps: planned.label(count_files(steps)), planned.steps)

    planned, number, outcome = await page.run_change(change)
    skipped = [*planned.skipped, *((planned.ids.get(path, ""), path, reason) for path, reason in outcome.skipped)]
    return await _answer(page, number, outcome, skipped)


async def post_undo(request: Request) -> Response:
    """Undoes the last change that is not undone."""
    return await _go_back(request.app.state.page, undo=True)


async def post_redo(request: Request) -> Response:
    """Makes the change again that was undone last."""
    return await _go_back(request.app.state.page, undo=False)


async def _go_back(page: Page, *, undo: bool) -> Response:
    found = await page.run_change(lambda maker: maker.undo() if undo else maker.redo())
    if found is None:
        return answer_error(409, f"there is nothing to {'undo' if undo else 'redo'}", "")
    label, outcome = found
    skipped = [("", path, reason) for path, reason in outcome.skipped]
    return await _answer(page, None, outcome, skipped, label)


async def post_upload(request: Request) -> Response:
    """One image for a class, as the raw body."""
    page: Page = request.app.state.page
    gallery = await page.ready()
    title = request.query_params.get("class", "")[:MOST_TITLE]
    batch = request.headers.get("x-change-batch", "")
    if batch and _BATCH.fullmatch(batch) is None:
        raise BadRequest("X-Change-Batch has at most 100 letters, digits and hyphens")
    await page.run_change(lambda maker: maker.place_for(title))
    data = await read_body(request)
    try:
        image = await asyncio.to_thread(check_upload, data, name_of(request), page.decoder, page.preparer)
    except ImageRejected as error:
        return answer_error(422, str(error), "Only a whole image can be a sample.")
    columns = gallery.columns
    for row in columns.with_content(image.content):
        if row < columns.files and columns.title(row) == title and page.is_there(row, gallery):
            exists = f"{int(columns.ids[row]):016x}"
            name = text(columns.name(row))
            return JSONResponse({"error": f"that image is in the class already, as {name}", "exists": exists}, 409)
    number, outcome = await page.run_change(lambda maker: add_image(maker, image, title, batch))
    if not outcome.done:
        reason = outcome.skipped[0][1] if outcome.skipped else CHANGED
        return answer_error(507 if "disk space" in reason else 422, reason, "Nothing was written.")
    page.note_changed(folders_of(outcome.done))
    path = outcome.done[-1].after
    return JSONResponse({"id": f"{image_id(path.encode('utf-8', 'surrogateescape')):016x}", "change": number})


async def _answer(
    page: Page, number: int | None, outcome: ChangeOutcome, skipped: list[tuple[str, str, str]], label: str = ""
) -> Response:
    """What was done, once the gallery shows it or a second is over."""
    line = await page.run_change(lambda maker: maker.line())
    refreshed = page.note_changed(folders_of(outcome.done)) if outcome.done else None
    if refreshed is not None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(refreshed), _SHOWN_WITHIN)
    if any(step.kind is StepKind.REMOVE for step in outcome.done):
        page.keep_removed()
    data = page.store_data()
    return JSONResponse(
        {
            "change": number,
            "label": label or line.undo,
            "done": count_files(outcome.done) or len(outcome.done),
            "skipped": [
                {"id": image, "name": text(name), "reason": reason} for image, name, reason in skipped[:MOST_SKIPPED]
            ],
            "more_skipped": max(0, len(skipped) - MOST_SKIPPED),
            "price": data["price"],
            "revision": data["revision"],
            "undo": line.undo,
            "redo": line.redo,
        }
    )


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > MOST_TITLE:
        raise BadRequest(f"{name} is a text of at most {MOST_TITLE} letters")
    return value
