"""The service as the engine uses it: each call waits for a permit, and is repeated only where nothing can be doubled.

Uploads and removals are sent once: whether to send them again is decided from an observation. A call that changes
nothing may be repeated after a lost answer. Every call may be repeated after a refusal for the limit, which proves that
nothing was done.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from astica_sync.clock import Clock, local_time
from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.observation.cut_uids import UidRepair
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import (
    NotAnObservation,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Refused,
    RemoteError,
    StillRateLimited,
    Unreachable,
)
from astica_sync.remote.client import SECONDS, VIEW, ServiceClient, seconds_for
from astica_sync.remote.limiter import Limiter
from astica_sync.remote.rate_limiter import LONGEST_RETRY_AFTER, OnWait, Permit, Wait, sleep

if TYPE_CHECKING:
    from astica_sync.remote.responses import Detection

T = TypeVar("T")

READ_TRIES = 4
FIRST_PAUSE = 1.0
"""Seconds before a read is tried again; each further pause is twice as long."""
FORGET_SECONDS = 120.0
"""A refusal so long after the pause of the one before has nothing to do with it: nothing was sent meanwhile."""
PATIENCE_SECONDS = 900.0
"""How long requests may be refused for the limit, and none be served, before that is an error."""


@dataclass(frozen=True, slots=True)
class _Refusals:
    """Refusals for the limit with no served request between them: since when, and until when no request may start."""

    since: float
    blocked_until: float


class RequestListener(Protocol):
    """Is called at the start and the end of each request; for messages."""

    def request_sent(self, size: int) -> None:
        """A request leaves; ``size`` is that of its image in bytes."""
        ...

    def request_ended(self, size: int, *, answered: bool) -> None:
        """It has ended; ``answered`` is whether the service answered, be it with a refusal."""
        ...


class RateLimitedClient:
    """One account on the service. For any number of threads.

    Args:
        on_wait: called before each wait of ``wait_for_permit``, ``view`` and the calls below it, and after each refusal
            for the limit with the time until the next request; for messages.
        on_request: is called at the start and the end of each request.
    """

    def __init__(
        self,
        client: ServiceClient,
        train_limiter: Limiter,
        detect_limiter: Limiter,
        clock: Clock,
        on_wait: OnWait | None = None,
        on_request: RequestListener | None = None,
    ) -> None:
        self._client = client
        self._train_limiter = train_limiter
        self._detect_limiter = detect_limiter
        self._clock = clock
        self._on_wait = on_wait
        self._on_request = on_request
        self._lock = threading.Lock()
        self._requests = self._refused = 0
        self._refusals: dict[Limiter, _Refusals] = {}
        self._model_list_works = True

    @property
    def requests(self) -> int:
        """How many requests this object sent, including refused and lost ones."""
        return self._requests

    @property
    def refused(self) -> int:
        """How many of them the service refused for its limit or for the account's quota."""
        return self._refused

    @property
    def clock(self) -> Clock:
        """The clock that it waits by."""
        return self._clock

    @property
    def addresses(self) -> str:
        """As ``ServiceClient.addresses``."""
        return self._client.addresses

    @property
    def limit(self) -> int:
        """How many requests that change samples may count at the same time."""
        return self._train_limiter.limit

    def try_acquire(self, lane: Lane) -> Permit | Wait:
        """The right to send one request that changes samples, or how long to wait at least. Sends nothing."""
        return self._train_limiter.try_acquire(lane)

    def wait_for_permit(self, lane: Lane) -> Permit:
        """Waits for the right to send one request that changes samples; reports each wait through ``on_wait``.

        Raises:
            Interrupted: the clock was asked to stop.
        """
        return self._train_limiter.acquire(lane, on_wait=self._on_wait)

    def release(self, permit: Permit) -> None:
        """Gives back a permit that was not used."""
        self._train_limiter.release(permit, sent=False)

    def upload(self, permit: Permit, model_id: int, class_title: str, uid: str, image: bytes) -> None:
        """Sends one image, once."""
        self._send(
            self._train_limiter,
            permit,
            seconds_for(len(image)),
            lambda: self._client.upload_sample(model_id, class_title, uid, image),
            len(image),
        )

    def remove_sample(self, permit: Permit, sample_id: int) -> None:
        """Removes one sample by its id, once."""
        self._send(self._train_limiter, permit, SECONDS, lambda: self._client.remove_sample(sample_id))

    def remove_class(self, permit: Permit, class_id: int) -> None:
        """Removes a class with all samples in it, once."""
        self._send(self._train_limiter, permit, SECONDS, lambda: self._client.remove_class(class_id))

    def view(
        self, model_id: int, lane: Lane = Lane.INTERACTIVE, uid_repair: UidRepair | None = None
    ) -> tuple[Observation, bytes]:
        """One observation, and the answer it was parsed from; ``uid_repair`` completes uids that the service has cut.

        Raises:
            NotAnObservation: the answer is incomplete or contradicts itself.
        """
        return self._ask(lambda: self._client.view_model(model_id, uid_repair), lane, VIEW.seconds, READ_TRIES)

    def models(self) -> list[ModelInfo]:
        """All models of the account."""
        if self._model_list_works:
            try:
                return self._ask(self._client.list_models, Lane.INTERACTIVE, VIEW.seconds, READ_TRIES)
            except (Refused, NotAnObservation):
                self._model_list_works = False
        return self._ask(self._client.list_models_by_view, Lane.INTERACTIVE, VIEW.seconds, READ_TRIES)

    def create_model(self, title: str, model_type: str, purpose: str, tags: str = "") -> None:
        """Creates a model; compare ``models()`` before and after to learn its id."""
        self._ask(lambda: self._client.create_model(title, model_type, purpose, tags))

    def remove_model(self, model_id: int) -> None:
        """Removes a model with all its classes and samples."""
        self._ask(lambda: self._client.remove_model(model_id))

    def train(self, model_id: int) -> None:
        """Starts a training."""
        self._ask(lambda: self._client.train_model(model_id))

    def detect(self, model_id: int, version: str, image: bytes) -> "Detection":
        """The class that one version of a model detects in an image."""
        return self._ask(
            lambda: self._client.detect(model_id, version, image),
            seconds=seconds_for(len(image)),
            tries=READ_TRIES,
            limiter=self._detect_limiter,
            size=len(image),
        )

    def forecast(self, requests: int) -> float:
        """Seconds until so many more requests to the training endpoint are answered."""
        return self._train_limiter.forecast(requests)

    def close(self) -> None:
        self._client.close()
        self._train_limiter.close()
        self._detect_limiter.close()

    def _ask(
        self,
        call: Callable[[], T],
        lane: Lane = Lane.INTERACTIVE,
        seconds: float = SECONDS,
        tries: int = 1,
        limiter: Limiter | None = None,
        size: int = 0,
    ) -> T:
        """Waits for a permit and sends. ``tries`` is how often a request without a complete answer may be sent, and
        ``size`` that of its image in bytes."""
        limiter = limiter or self._train_limiter
        pause = FIRST_PAUSE
        while True:
            permit = limiter.acquire(lane, seconds, self._on_wait)
            try:
                return self._send(limiter, permit, seconds, call, size)
            except RateLimited as error:
                if error.stops_run:
                    raise
            except OutcomeUnknown as error:
                tries -= 1
                if tries <= 0:
                    raise
                self.pause(pause, str(error))
                pause *= 2

    def _send(self, limiter: Limiter, permit: Permit, seconds: float, call: Callable[[], T], size: int = 0) -> T:
        sent = served = refused = announced = False
        seconds_blocked = 0.0
        try:
            extended = limiter.extend(permit, self._clock.ticks() + seconds)
            permit = extended or limiter.acquire(permit.lane, seconds, self._on_wait)
            sent = True
            if self._on_request is not None:
                announced = True
                self._on_request.request_sent(size)
            result = call()
            served = True
            return result
        except Unreachable:
            sent = False
            raise
        except RateLimited as error:
            obeyed = error.retry_after is None or error.retry_after <= LONGEST_RETRY_AFTER
            seconds_blocked = limiter.back_off(error.retry_after if obeyed else None, permit.sent_at)
            refused, refusal = True, error
        except RemoteError as error:
            refused = isinstance(error, QuotaExceeded)
            served = not isinstance(error, OutcomeUnknown)
            raise
        finally:
            limiter.release(permit, sent=sent, served=served)
            with self._lock:
                self._requests += sent
                self._refused += refused
                if served:
                    self._refusals.pop(limiter, None)
            if announced and self._on_request is not None:
                self._on_request.request_ended(size, answered=served)
        raise self._after_refusal(limiter, refusal, seconds_blocked)

    def _after_refusal(self, limiter: Limiter, refusal: RateLimited, seconds_blocked: float) -> RateLimited:
        """Announces the wait; or the error that ends the run, where that would be too long."""
        now = self._clock.ticks()
        with self._lock:
            before = self._refusals.get(limiter)
            since = now if before is None or now > before.blocked_until + FORGET_SECONDS else before.since
            self._refusals[limiter] = _Refusals(since, now + seconds_blocked)
        refused_for = now - since
        asked = refusal.retry_after or 0.0
        if asked > LONGEST_RETRY_AFTER:
            return StillRateLimited(
                f"{refusal}, and asks to send nothing before {local_time(self._clock.now() + asked)}",
                "That request changed nothing. Run the same command again then.",
                asked,
            )
        if refused_for > PATIENCE_SECONDS:
            return StillRateLimited(
                f"{refusal}, and has served none for {refused_for / 60:.0f} minutes",
                "That request changed nothing. If another machine or program uses the same key, lower ASTICA_LIMIT on"
                " each; then run the same command again.",
                asked or None,
            )
        if self._on_wait is not None and seconds_blocked > 0:
            self._on_wait(seconds_blocked, str(refusal))
        return refusal

    def pause(self, seconds: float, reason: str) -> None:
        """Sends nothing for so many seconds, and reports that through ``on_wait``.

        Raises:
            Interrupted: the clock was asked to stop.
        """
        if self._on_wait is not None:
            self._on_wait(seconds, reason)
        sleep(self._clock, seconds)
