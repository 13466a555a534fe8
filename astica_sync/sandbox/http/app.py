"""The sandbox as an ASGI application: limit, faults and log around the documented calls."""

import asyncio
import json
import math
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from astica_sync.sandbox.account import Account
from astica_sync.sandbox.http import answers, views
from astica_sync.sandbox.http.endpoints import PATHS, Fields, Refusal, Service
from astica_sync.sandbox.http.faults import Fault, FaultSchedule, Kind
from astica_sync.sandbox.http.traffic import DETECT, TRAIN, Limiter, Request
from astica_sync.sandbox.images import MAX_BYTES
from astica_sync.sandbox.options import Options, Switches
from astica_sync.sandbox.training.trainer import Trainer

_MAX_BODY = MAX_BYTES * 4 // 3 + 65_536
_LOGGED = 200_000
_UNKNOWN = "Unknown endpoint"


class Sandbox:
    """One running sandbox on one folder; ``app`` speaks HTTP, the rest is for who runs it."""

    def __init__(self, options: Options, folder: Path, now: Callable[[], float]) -> None:
        self.now = now
        self.account = Account(folder, now)
        self.trainer = Trainer(self.account)
        self.service = Service(self.account, self.trainer, options.key, options.switches)
        self.limiters = {name: Limiter(options.limit, options.window) for name in (TRAIN, DETECT)}
        self.dealer = FaultSchedule(options.faults)
        self.log: deque[Request] = deque(maxlen=_LOGGED)
        self._late: list[Callable[[], None]] = []
        self._late_lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                Route("/", self._front, methods=["GET"]),
                Route("/{path:path}", self._handle, methods=["POST", "GET", "PUT", "DELETE", "PATCH"]),
            ]
        )

    @property
    def switches(self) -> Switches:
        return self.service.switches

    def close(self) -> None:
        """Ends the background work; everything answered so far is in the folder."""
        self.trainer.stop()
        self.account.close()

    def run_late(self) -> int:
        """Does now all work that ``late`` requests left for later; how much that was."""
        with self._late_lock:
            late, self._late = self._late, []
        for work in late:
            work()
        return len(late)

    async def _front(self, http: HttpRequest) -> Response:
        del http
        return PlainTextResponse("astica-sync sandbox: POST " + ", ".join(PATHS) + "\n")

    async def _handle(self, http: HttpRequest) -> Response:
        call = PATHS.get(http.url.path, "")
        endpoint = DETECT if call == "detect" else TRAIN
        request = Request(self.now(), endpoint, call or http.url.path)
        self.log.append(request)
        wait = self.limiters[endpoint].admit(request.time)
        try:
            fields = _read_fields(await _read_body(http), http.headers.get("content-type", ""))
        except ClientDisconnect:
            request.outcome = "gone"
            return Response()
        except Refusal as refusal:
            return self._refuse(request, refusal)
        request.sent = {name: value for name, value in fields.items() if name not in ("tkn", "input")}
        if wait > 0:
            return self._refuse_for_limit(request, wait)
        if not call:
            return self._refuse(request, Refusal(_UNKNOWN, 404))
        if http.method != "POST":
            return self._refuse(request, Refusal("Use POST", 405))
        return await self._act(request, fields, self.dealer.deal(call))

    async def _act(self, request: Request, fields: Fields, fault: Fault) -> Response:
        """Carries the request out, in the way its fault has it."""
        kind = request.fault = fault.kind
        if fault.before:
            await asyncio.sleep(fault.before)
        match kind:
            case Kind.LOST_BEFORE:
                request.outcome = "lost"
                return answers.Lost()
            case Kind.LATE:
                self._do_later(request, fields, fault.seconds)
                return answers.Lost()
            case Kind.ERROR_PAGE:
                request.outcome = "error page"
                return answers.page("503 Service Unavailable", 503)
            case Kind.HTML:
                request.outcome = "html page"
                return answers.page("Sign in", 200)
        try:
            body = await run_in_threadpool(self._do, request, fields)
            if kind is Kind.TWICE:
                with suppress(Refusal):
                    await run_in_threadpool(self._do, request, fields)
        except Refusal as refusal:
            answer = self._refuse(request, refusal)
            body = bytes(answer.body)
        else:
            request.outcome = "ok"
            answer = answers.whole(body)
        if fault.after:
            await asyncio.sleep(fault.after)
        match kind:
            case Kind.LOST_AFTER:
                return answers.Lost()
            case Kind.ERROR_PAGE_AFTER:
                return answers.page("502 Bad Gateway", 502)
            case Kind.CUT:
                return answers.half(body)
            case Kind.CUT_CONNECTION:
                return answers.Lost(body, media_type="application/json")
            case Kind.SLOW:
                await asyncio.sleep(fault.seconds)
            case Kind.PARTIAL if request.call == "view" and request.outcome == "ok":
                return answers.whole(views.drop_samples(body))
            case Kind.LISTED if request.call == "view" and request.outcome == "ok":
                return answers.whole(views.list_models(self.account, self.switches))
        return answer

    def _do(self, request: Request, fields: Fields) -> bytes:
        body = self.service.answer(request.call, fields)
        request.done += 1
        return body

    def _do_later(self, request: Request, fields: Fields, seconds: float) -> None:
        request.outcome = "late"

        def work() -> None:
            with suppress(Refusal):
                self._do(request, fields)

        async def wait() -> None:
            await asyncio.sleep(seconds)
            with self._late_lock:
                if work not in self._late:
                    return
                self._late.remove(work)
            await run_in_threadpool(work)

        with self._late_lock:
            self._late.append(work)
        if not math.isinf(seconds):
            task = asyncio.get_running_loop().create_task(wait())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _refuse(self, request: Request, refusal: Refusal) -> Response:
        request.outcome = str(refusal)
        # An address that does not exist is refused by the web server, whatever the service makes of its own errors.
        plain = self.switches.error_status == "200" and str(refusal) != _UNKNOWN
        return answers.error(str(refusal), 200 if plain else refusal.status)

    def _refuse_for_limit(self, request: Request, wait: float) -> Response:
        request.outcome = "limited"
        text = "Rate limit exceeded: too many requests, please try again later"
        if self.switches.limit_refusal == "error-text":
            return answers.error(text, 200 if self.switches.error_status == "200" else 400)
        named = self.switches.limit_refusal == "429-retry-after"
        return answers.error(text, 429, {"Retry-After": str(math.ceil(wait))} if named else None)


async def _read_body(http: HttpRequest) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in http.stream():
        size += len(part)
        if size <= _MAX_BODY:
            parts.append(part)
    if size > _MAX_BODY:
        raise Refusal("Image is too large: more than 20 MB", 413)
    return b"".join(parts)


def _read_fields(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a JSON object, or of a form, which browsers' libraries send unasked."""
    try:
        if "form-urlencoded" in content_type and not body.lstrip().startswith(b"{"):
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refusal("Invalid request: the body is no JSON object", 400) from None
    if not isinstance(fields, dict):
        raise Refusal("Invalid request: the body is no JSON object", 400)
    return fields
