"""Answers about the queues: groups of images to sort out."""

import asyncio
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from astica_sync.core.gallery.image_state import ImageState
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.page_state import Page
from astica_sync.page.queues.queue_finder import ImageGroup, Queue
from astica_sync.page.request_response import BadRequest, answer_error, number_of, read_object

MOST_GROUPS = 200


async def get_queues(request: Request) -> Response:
    """How many groups each queue has, and the groups of the one that is named ``kind``; the first call starts the
    comparison. Groups that the user keeps are left out."""
    page: Page = request.app.state.page
    gallery = await page.ready()
    page.queues.follow(gallery)
    state = page.queues.state
    kind = request.query_params.get("kind", "")
    if kind and kind not in list(Queue):
        return answer_error(400, f"unknown queue {kind[:40]!r}", f"Use one of {', '.join(Queue)}.")
    kept = await asyncio.to_thread(page.queues.kept)
    start = number_of(request, "start", 0, len(state.groups))
    count = number_of(request, "count", 0, MOST_GROUPS, usual=MOST_GROUPS)
    open_groups = [group for group in state.groups if group.key not in kept]
    shown = [data for group in open_groups if group.queue == kind and (data := _group(gallery.columns, group))]
    counts = Counter(group.queue for group in open_groups)
    return JSONResponse(
        {
            "ready": state.revision >= gallery.revision,
            "revision": state.revision,
            "done": state.done,
            "total": state.total,
            "left_out": state.left_out,
            "trouble": state.trouble or None,
            "counts": {str(queue): counts[queue] for queue in Queue},
            "kept": len(state.groups) - len(open_groups),
            "groups": shown[start : start + count],
        }
    )


def _group(columns: Columns, group: ImageGroup) -> dict[str, Any] | None:
    """The group as the gallery is now; None where only one of its images is left."""
    rows = [row for image in group.images if (row := columns.find(f"{image:016x}")) is not None]
    if len(rows) < 2:
        return None
    return {
        "key": group.key,
        "images": [
            {
                "id": f"{int(columns.ids[row]):016x}",
                "content_hash": columns.content(row),
                "class": columns.title(row),
                "name": columns.name(row).encode("utf-8", "replace").decode(),
                "held_out": columns.state(row) is ImageState.HELD_OUT,
            }
            for row in rows
        ],
    }


async def post_keep(request: Request) -> Response:
    """Keeps a group as it is, so that no queue has it any more; or, with ``keep`` false, shows it again."""
    page: Page = request.app.state.page
    body = await read_object(request)
    key, keep = body.get("group"), body.get("keep", True)
    if not isinstance(key, str) or not isinstance(keep, bool) or len(key) != 16 or not key.isalnum():
        raise BadRequest("group is the key of a group, and keep is true or false")
    if keep and key not in {group.key for group in page.queues.state.groups}:
        return answer_error(409, "this group has changed since", "Look at the queue again.")
    try:
        await asyncio.to_thread(lambda: page.queues.keep(key, keep=keep))
    except OSError as error:
        return answer_error(507, f"that cannot be noted: {error.strerror}", "Free some disk space.")
    return JSONResponse({"group": key, "keep": keep})
