"""The stream of events, and what the page starts: looking at the service, pushes, trainings."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from astica_sync.errors import AsticaSyncError
from astica_sync.page.live.push_runner import CannotNow
from astica_sync.page.page_state import Page
from astica_sync.page.request_response import answer_error, read_object


async def get_events(request: Request) -> Response:
    """One stream of server-sent events: ``store``, ``looking``, ``push``, ``training`` and ``closing``."""
    page: Page = request.app.state.page

    async def stream() -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        first = {"store": page.store_data, "push": page.push_data, "training": page.training.data}
        async for text in page.hub.read(first):
            yield text

    return StreamingResponse(stream(), media_type="text/event-stream")


async def post_push(request: Request) -> Response:
    """Starts, pauses, resumes, stops a push, or agrees to what the guard asks. ``version`` names one to bring back."""
    page: Page = request.app.state.page
    body = await read_object(request)
    version = body.get("version")
    await page.free_lock()
    try:
        page.push.act(str(body.get("action", "start"))[:100], None if version is None else str(version)[:200])
    except CannotNow as reason:
        return answer_error(409, str(reason), "")
    return JSONResponse({"push": page.push_data()})


async def post_observe(request: Request) -> Response:
    """Asks the service for one view of the model, which costs one request."""
    page: Page = request.app.state.page
    try:
        await page.observe()
    except AsticaSyncError as error:
        return answer_error(502, str(error), error.hint)
    return JSONResponse(page.store_data())


async def post_train(request: Request) -> Response:
    """Trains on what the service has."""
    page: Page = request.app.state.page
    anyway = (await read_object(request)).get("anyway") is True
    await page.free_lock()
    try:
        page.training.start(anyway=anyway)
    except CannotNow as reason:
        return answer_error(409, str(reason), "")
    return JSONResponse({"training": page.training.data()})
