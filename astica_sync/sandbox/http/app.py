"""The sandbox as an ASGI application: the limit, the faults and the log around the documented calls."""

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
from astica_sync.sandbox.http import http_responses, model_views
from astica_sync.sandbox.http.endpoints import PATHS, CallHandler, ErrorAnswer, RequestFields
from astica_sync.sandbox.http.faults import Fault, FaultKind, FaultSchedule
from astica_sync.sandbox.http.limiter import SlidingWindow
from astica_sync.sandbox.http.local_requests import LocalRequestsOnly
from astica_sync.sandbox.http.request_log import DETECT, TRAIN, RequestRecord
from astica_sync.sandbox.image_input import MAX_BYTES, is_loopback
from astica_sync.sandbox.options import Options
from astica_sync.sandbox.switches import Switches
from astica_sync.sandbox.training.trainer import BackgroundTrainer

_AROUND_IMAGE = 65_536
"""Bytes of a body besides its image."""
_LOGGED = 200_000
_UNKNOWN = "Unknown endpoint"


class Sandbox:
    """One sandbox on one folder; ``app`` is its HTTP side, the other attributes are for the process that runs it."""

    def __init__(self, options: Options, folder: Path, now: Callable[[], float]) -> None:
        self.now = now
        self.account: Account = Account(folder, now)
        self.trainer: BackgroundTrainer = BackgroundTrainer(self.account)
        self.calls: CallHandler = CallHandler(self.account, self.trainer, options.key, options.switches)
        self.limiters: dict[str, SlidingWindow] = {
            name: SlidingWindow(options.limit, options.window) for name in (TRAIN, DETECT)
        }
        self.fault_schedule: FaultSchedule = FaultSchedule(options.faults)
        self.log: deque[RequestRecord] = deque(maxlen=_LOGGED)
        self._late: list[Callable[[], None]] = []
        self._late_lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        routes = [
            Route("/", self._front, methods=["GET"]),
            Route("/{path:path}", self._handle, methods=["POST", "GET", "PUT", "DELETE", "PATCH"]),
        ]
        self.app: LocalRequestsOnly = LocalRequestsOnly(Starlette(routes=routes), is_loopback)

    @property
    def switches(self) -> Switches:
        return self.calls.switches

    def close(self) -> None:
        """Stops the background work; everything that was answered is in the folder."""
        self.trainer.stop()
        self.account.close()

    def run_late(self) -> int:
        """Carries out now the requests with the fault ``late``; returns how many there were."""
        with self._late_lock:
            late, self._late = self._late, []
        for work in late:
            work()
        return len(late)

    async def _front(self, http: HttpRequest) -> Response:
        del http
        return PlainTextResponse("astica-sync sandbox: POST " + ", ".join(PATHS) + "\n")

    async def _handle(self, http: HttpRequest) -> Response:
        answer = await self._answer(http)
        if self.switches.limit_header == "shown":
            limiter = self.limiters[DETECT if PATHS.get(http.url.path, "") == "detect" else TRAIN]
            # draft-ietf-httpapi-ratelimit-headers
            answer.headers["RateLimit-Policy"] = f'"default";q={limiter.limit};w={math.ceil(limiter.window)}'
        return answer

    async def _answer(self, http: HttpRequest) -> Response:
        call = PATHS.get(http.url.path, "")
        endpoint = DETECT if call == "detect" else TRAIN
        request = RequestRecord(self.now(), endpoint, call or http.url.path)
        self.log.append(request)
        wait = self.limiters[endpoint].admit(request.time)
        try:
            fields = _read_fields(
                await _read_body(http, self.switches.largest_image), http.headers.get("content-type", "")
            )
        except ClientDisconnect:
            request.outcome = "gone"
            return Response()
        except ErrorAnswer as refusal:
            return self._refuse(request, refusal)
        request.sent = {name: value for name, value in fields.items() if name not in ("tkn", "input")}
        if wait > 0:
            return self._refuse_for_limit(request, wait)
        if not call:
            return self._refuse(request, ErrorAnswer(_UNKNOWN, 404))
        if http.method != "POST":
            return self._refuse(request, ErrorAnswer("Use POST", 405))
        return await self._act(request, fields, self.fault_schedule.next_fault(call))

    async def _act(self, request: RequestRecord, fields: RequestFields, fault: Fault) -> Response:
        """Carries the request out, with its fault."""
        kind = request.fault = fault.kind
        if fault.before:
            await asyncio.sleep(fault.before)
        match kind:
            case FaultKind.LOST_BEFORE:
                request.outcome = "lost"
                return http_responses.LostResponse()
            case FaultKind.LATE:
                self._do_later(request, fields, fault.seconds)
                return http_responses.LostResponse()
            case FaultKind.ERROR_PAGE:
                request.outcome = "error page"
                return http_responses.html_page("503 Service Unavailable", 503)
            case FaultKind.HTML:
                request.outcome = "html page"
                return http_responses.html_page("Sign in", 200)
        try:
            body = await run_in_threadpool(self._do, request, fields)
            if kind is FaultKind.TWICE:
                with suppress(ErrorAnswer):
                    await run_in_threadpool(self._do, request, fields)
        except ErrorAnswer as refusal:
            answer = self._refuse(request, refusal)
            body = bytes(answer.body)
        else:
            request.outcome = "ok"
            answer = http_responses.json_response(body)
        if fault.after:
            await asyncio.sleep(fault.after)
        match kind:
            case FaultKind.LOST_AFTER:
                return http_responses.LostResponse()
            case FaultKind.ERROR_PAGE_AFTER:
                return http_responses.html_page("502 Bad Gateway", 502)
            case FaultKind.CUT:
                return http_responses.cut_response(body)
            case FaultKind.CUT_CONNECTION:
                return http_responses.LostResponse(body, media_type="application/json")
            case FaultKind.SLOW:
                await asyncio.sleep(fault.seconds)
            case FaultKind.PARTIAL if request.call == "view" and request.outcome == "ok":
                return http_responses.json_response(model_views.drop_samples(body))
            case FaultKind.LISTED if request.call == "view" and request.outcome == "ok":
                return http_responses.json_response(model_views.list_models(self.account, self.switches))
        return answer

    def _do(self, request: RequestRecord, fields: RequestFields) -> bytes:
        body = self.calls.answer(request.call, fields)
        request.done += 1
        return body

    def _do_later(self, request: RequestRecord, fields: RequestFields, seconds: float) -> None:
        request.outcome = "late"

        def work() -> None:
            with suppress(ErrorAnswer):
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

    def _refuse(self, request: RequestRecord, refusal: ErrorAnswer) -> Response:
        request.outcome = str(refusal)
        # A path that does not exist is refused by the web server, with its own HTTP status.
        plain = self.switches.error_status == "200" and str(refusal) != _UNKNOWN
        text = str(refusal)
        if self.switches.error_texts == "repeat" and "model_class" in request.sent:
            text += f" (class {request.sent['model_class']}, uid {request.sent.get('uid', '')})"
        return http_responses.error_response(text, 200 if plain else refusal.status)

    def _refuse_for_limit(self, request: RequestRecord, wait: float) -> Response:
        request.outcome = "limited"
        text = "Rate limit exceeded: too many requests, please try again later"
        if self.switches.limit_refusal == "quota-text":
            text = "You have exceeded your monthly limit of requests"
        if self.switches.limit_refusal in ("error-text", "quota-text"):
            return http_responses.error_response(text, 200 if self.switches.error_status == "200" else 400)
        named = self.switches.limit_refusal == "429-retry-after"
        return http_responses.error_response(text, 429, {"Retry-After": str(math.ceil(wait))} if named else None)


async def _read_body(http: HttpRequest, largest_image: int) -> bytes:
    most = max(MAX_BYTES, largest_image) * 4 // 3 + _AROUND_IMAGE
    parts: list[bytes] = []
    size = 0
    async for part in http.stream():
        size += len(part)
        if size <= most:
            parts.append(part)
    if size > most:
        raise ErrorAnswer(f"Image is too large: more than {largest_image / 1e6:g} MB", 413)
    return b"".join(parts)


def _read_fields(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a JSON object, or of a form, which some HTTP libraries send by default."""
    try:
        if "form-urlencoded" in content_type and not body.lstrip().startswith(b"{"):
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ErrorAnswer("Invalid request: the body is not a JSON object", 400) from None
    if not isinstance(fields, dict):
        raise ErrorAnswer("Invalid request: the body is not a JSON object", 400)
    return fields
