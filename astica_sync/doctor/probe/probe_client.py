"""The service as a probe uses it: through the ordinary rate-limited client, with every answer kept as it came."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from astica_sync.clock import Clock, SystemClock
from astica_sync.config import Settings
from astica_sync.core.rate_limit import Lane
from astica_sync.core.service_facts.probe_log import Exchange, ProbeLog
from astica_sync.errors import RemoteError
from astica_sync.open_session import budget_clock, open_budgets
from astica_sync.remote.client import SECONDS, VIEW, OnPolicy, ServiceClient, seconds_for
from astica_sync.remote.http_exchange import Answer, ExchangeLimits, HttpClient, NoAnswer
from astica_sync.remote.limiter import Limiter
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.remote.rate_limiter import Permit
from astica_sync.remote.remove_echoes import redact_key
from astica_sync.remote.request_body import RequestBody
from astica_sync.secret import Secret
from astica_sync.sync.progress import ProgressListener

T = TypeVar("T")

_JSON_BYTES = 50_000_000
_HEADERS = ("retry-after", "ratelimit-policy")


class ProbeClient(ServiceClient):
    """One method for each call. ``log`` has every exchange; ``step`` and ``sent_bytes`` are those of the next ones."""

    def __init__(
        self, key: Secret, train_url: str, detect_url: str, clock: Clock, on_policy: OnPolicy | None = None
    ) -> None:
        super().__init__(key, train_url, detect_url, clock, on_policy)
        self.step = ""
        self.sent_bytes = 0
        self.log: ProbeLog = ProbeLog()
        self._train = _KeepingHttpClient(train_url, clock, self._keep)
        self._detect = _KeepingHttpClient(detect_url, clock, self._keep)

    def _keep(self, exchange: Exchange, answer: Answer | NoAnswer) -> None:
        exchange = replace(exchange, step=self.step, sent_bytes=self.sent_bytes)
        if isinstance(answer, Answer):
            kept = {name: value for name, value in answer.headers.items() if name in _HEADERS}
            exchange = replace(exchange, status=answer.status, headers=kept, body=self._json(answer.body))
        self.log.exchanges.append(exchange)

    def _json(self, body: bytes) -> Any:
        if len(body) <= _JSON_BYTES:
            with contextlib.suppress(ValueError, RecursionError):
                return json.loads(redact_key(body, self._key.reveal()))
        return None

    def list_by_view(self) -> None:
        """A view without a model id."""
        self._call(self._train, "/model/view", {}, limits=VIEW)

    def view_as_it_came(self, model_id: int) -> None:
        """A view that may be incomplete."""
        self._call(self._train, "/model/view", {"model_id": model_id}, limits=VIEW)

    def upload_address(self, model_id: int, class_title: str, uid: str, address: str) -> None:
        """An upload with an address in place of an image."""
        fields: Mapping[str, str | int] = {
            "model_id": model_id,
            "model_class": class_title,
            "uid": uid,
            "input": address,
        }
        self._call(self._train, "/model/upload", fields)


class _KeepingHttpClient(HttpClient):
    """``keep`` is called with each exchange and its answer."""

    def __init__(self, url: str, clock: Clock, keep: Callable[[Exchange, Answer | NoAnswer], None]) -> None:
        super().__init__(url)
        self._clock = clock
        self._keep = keep

    def post(self, path: str, body: RequestBody, limits: ExchangeLimits) -> Answer | NoAnswer:
        started = self._clock.ticks()
        answer = super().post(path, body, limits)
        self._keep(Exchange("", path, started, self._clock.ticks()), answer)
        return answer


class ProbeService(RateLimitedClient):
    """The ordinary client, which notes in the log what it takes each answer for."""

    def __init__(
        self,
        client: ProbeClient,
        train_limiter: Limiter,
        detect_limiter: Limiter,
        clock: Clock,
        listener: ProgressListener,
    ) -> None:
        super().__init__(client, train_limiter, detect_limiter, clock, on_wait=listener.waits, on_request=listener)
        self.client = client

    def ask(self, call: Callable[[], object], sent_bytes: int = 0, tries: int = 1) -> None:
        """Sends one request with ``call``, a method of ``client``; again after a refusal for the limit, and where its
        answer was lost, if it may be sent several times."""
        self.client.sent_bytes = sent_bytes
        try:
            self._ask(call, seconds=seconds_for(sent_bytes), size=sent_bytes, tries=tries)
        finally:
            self.client.sent_bytes = 0

    def ask_at_once(self, call: Callable[[], object]) -> bool:
        """Sends one request with ``call``, once; whether the budget allowed it without a wait.

        Raises:
            RateLimited: refused for the limit.
        """
        permit = self._train_limiter.try_acquire(Lane.INTERACTIVE)
        if not isinstance(permit, Permit):
            return False
        self._send(self._train_limiter, permit, SECONDS, call)
        return True

    def _send(self, limiter: Limiter, permit: Permit, seconds: float, call: Callable[[], T], size: int = 0) -> T:
        before = len(self.client.log.exchanges)
        try:
            return super()._send(limiter, permit, seconds, call, size)
        except RemoteError as error:
            exchanges = self.client.log.exchanges
            if len(exchanges) > before:
                exchanges[-1] = replace(exchanges[-1], taken_as=type(error).__name__)
            raise


@contextlib.contextmanager
def open_probe_service(
    settings: Settings, key: Secret, clock: SystemClock, listener: ProgressListener, *, over_limit: bool = False
) -> Iterator[ProbeService]:
    """The service for a probe. With ``over_limit``, what the service says of its limit does not hold."""
    with (
        open_budgets(settings, key, clock, listener) as (train, detect, take_policy),
        contextlib.closing(
            ProbeClient(key, settings.train_url, settings.detect_url, clock, None if over_limit else take_policy)
        ) as client,
    ):
        yield ProbeService(client, train, detect, budget_clock(settings, clock), listener)
