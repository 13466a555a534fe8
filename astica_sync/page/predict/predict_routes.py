"""Answers about what a model would say: the preview of this machine, and the service."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from astica_sync.errors import ImageRejected
from astica_sync.local.image.format import is_image, sniff
from astica_sync.local.image.prepare.image_as_sent import check_as_sent
from astica_sync.page.access.access_gate import TooLong
from astica_sync.page.changes.upload_image import read_body
from astica_sync.page.page_state import Page
from astica_sync.page.request_response import answer_error, number_of

MOST_SHOWN = 5
MOST_SUSPECTS = 2000


async def get_preview(request: Request) -> Response:
    """How far the preview is; the first call starts it."""
    page: Page = request.app.state.page
    page.preview.follow(await page.ready())
    state = page.preview.state
    return JSONResponse(
        {
            "name": "preview",
            "note": "trained on this machine; not the service's model",
            "features": state.features,
            "side": state.side,
            "revision": state.revision,
            "ready": bool(state.labels) and not state.trouble,
            "done": state.done,
            "total": state.total,
            "images": state.images,
            "labels": list(state.labels),
            "agreement": round(state.agreement, 4),
            "seconds": round(state.seconds, 3),
            "trouble": state.trouble or None,
        }
    )


async def post_preview(request: Request) -> Response:
    """What the preview says of one frame: a square of ``side`` pixels, three bytes each, as the body."""
    page: Page = request.app.state.page
    page.preview.follow(await page.ready())
    most = 3 * page.preview.state.side**2
    pixels = b""
    async for piece in request.stream():
        pixels += piece
        if len(pixels) > most:
            raise TooLong
    found = await asyncio.to_thread(page.preview.classify, pixels)
    if found is None:
        return answer_error(
            409, page.preview.state.trouble or "the preview is not ready, or the frame has another size", "Try again."
        )
    return JSONResponse(
        {"labels": found[:MOST_SHOWN], "revision": page.preview.state.revision, "images": page.preview.state.images}
    )


async def get_suspects(request: Request) -> Response:
    """The images whose class the preview contradicts, the most certain first."""
    page: Page = request.app.state.page
    page.preview.follow(await page.ready())
    count = number_of(request, "count", 0, MOST_SUSPECTS, usual=200)
    found = page.preview.suspects()
    return JSONResponse(
        {
            "revision": page.preview.state.revision,
            "total": len(found),
            "images": [
                {
                    "id": f"{one.image:016x}",
                    "content_hash": one.content,
                    "class": one.found.label,
                    "suggested": one.found.suggested,
                    "certainty": round(one.found.certainty, 3),
                }
                for one in found[:count]
            ],
        }
    )


async def post_picture(request: Request) -> Response:
    """The image in the body as PNG or JPEG, for a browser that cannot show it. Sends no request to the service."""
    page: Page = request.app.state.page
    try:
        image = await asyncio.to_thread(check_as_sent, page.decoder, page.preparer, await read_body(request))
    except ImageRejected as error:
        return answer_error(422, str(error), "Choose another file.")
    return Response(image, media_type=f"image/{sniff(image)}")


async def post_detect(request: Request) -> Response:
    """What the service's version says of the image in the body, which is converted where a sample is; ``version`` names
    another version than the latest. Costs one request, unless this image was asked before."""
    page: Page = request.app.state.page
    data = await read_body(request)
    if not is_image(data):
        return answer_error(422, "this is no image", "Choose another file.")
    version = request.query_params.get("version")
    result = await asyncio.wrap_future(page.service.run(lambda store: next(store.detect(data, version))))
    if result.error:
        return answer_error(422, result.error, "Choose another image, or look at astica-sync versions.")
    return JSONResponse({"label": result.label, "confidence": result.confidence, "cached": result.cached})
