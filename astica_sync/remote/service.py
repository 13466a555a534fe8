"""The service as the driver meets it: every call within the budget, and repeated only where nothing can be doubled.

Uploads and removals are sent once: whether to send them again is decided from an observation. What changes nothing
may be repeated after a lost answer; everything may be after a refusal for the limit, which proves that nothing was
done.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from astica_sync.clock import Clock
from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.rate_limit import Lane
from astica_sync.core.view.uid_repair import UidRepair
from astica_sync.errors import NotAnObservation, OutcomeUnknown, RateLimited, Refused, RemoteError, Unreachable
from astica_sync.remote.client import SECONDS, VIEW, Client, seconds_for
from astica_sync.remote.rate_limiter import OnWait, Permit, RateLimiter, Wait, wait

if TYPE_CHECKING:
    from astica_sync.remote.responses import Detection

T = TypeVar("T")

READ_TRIES = 4
FIRST_PAUSE = 1.0
"""Seconds before a read is tried again; each further pause is twice as long."""
PATIENCE_SECONDS = 900.0
"""How long a call goes on being refused for the limit before that is an error."""


class Service:
    """One account on the service. For any number of threads.

    Args:
        on_wait: told before each wait that ``view`` and the calls below it make; for people.
    """

    def __init__(
        self,
        client: Client,
        train_budget: RateLimiter,
        detect_budget: RateLimiter,
        clock: Clock,
        on_wait: OnWait | None = None,
    ) -> None:
        self._client = client
        self._train = train_budget
        self._detect = detect_budget
        self._clock = clock
        self._on_wait = on_wait
        self._lock = threading.Lock()
        self._requests = 0
        self._list_is_known = True

    @property
    def requests(self) -> int:
        """How many requests this object sent, the refused and the lost ones included."""
        return self._requests

    @property
    def limit(self) -> int:
        """How many requests that change samples may be under way, or count, at once."""
        return self._train.limit

    def try_acquire(self, lane: Lane) -> Permit | Wait:
        """The right to send one request that changes samples, or how long to wait at least. Sends nothing."""
        return self._train.try_acquire(lane)

    def wait_for_permit(self, lane: Lane) -> Permit:
        """Waits for the right to send one request that changes samples; reports each wait through ``on_wait``.

        Raises:
            Interrupted: the clock was asked to stop.
        """
        return self._train.acquire(lane, on_wait=self._on_wait)

    def release(self, permit: Permit) -> None:
        """Gives back a permit that was not used."""
        self._train.release(permit, sent=False)

    def upload(self, permit: Permit, model_id: int, class_title: str, uid: str, image: bytes) -> None:
        """Sends one image, once."""
        self._send(
            self._train,
            permit,
            seconds_for(len(image)),
            lambda: self._client.upload_sample(model_id, class_title, uid, image),
        )

    def remove_sample(self, permit: Permit, sample_id: int) -> None:
        """Removes one sample by its id, once."""
        self._send(self._train, permit, SECONDS, lambda: self._client.remove_sample(sample_id))

    def remove_class(self, permit: Permit, class_id: int) -> None:
        """Removes a class and whatever is in it, once."""
        self._send(self._train, permit, SECONDS, lambda: self._client.remove_class(class_id))

    def view(
        self, model_id: int, lane: Lane = Lane.INTERACTIVE, spelling: UidRepair | None = None
    ) -> tuple[Observation, bytes]:
        """One observation, and the answer it was read from; ``spelling`` completes uids that the service has cut.

        Raises:
            NotAnObservation: nothing may be concluded from the answer.
        """
        return self._ask(lambda: self._client.view_model(model_id, spelling), lane, VIEW.seconds, READ_TRIES)

    def models(self) -> list[ModelInfo]:
        """All models of the account."""
        if self._list_is_known:
            try:
                return self._ask(self._client.list_models, Lane.INTERACTIVE, VIEW.seconds, READ_TRIES)
            except (Refused, NotAnObservation):
                self._list_is_known = False
        return self._ask(self._client.list_models_by_view, Lane.INTERACTIVE, VIEW.seconds, READ_TRIES)

    def create_model(self, title: str, model_type: str, purpose: str, tags: str = "") -> None:
        """Makes a model; look for its id in ``models()`` before and after."""
        self._ask(lambda: self._client.create_model(title, model_type, purpose, tags))

    def remove_model(self, model_id: int) -> None:
        """Removes a model and everything in it."""
        self._ask(lambda: self._client.remove_model(model_id))

    def train(self, model_id: int) -> None:
        """Starts a training round."""
        self._ask(lambda: self._client.train_model(model_id))

    def detect(self, model_id: int, version: str, image: bytes) -> "Detection":
        """What one version of a model sees in an image."""
        return self._ask(
            lambda: self._client.detect(model_id, version, image),
            seconds=seconds_for(len(image)),
            tries=READ_TRIES,
            budget=self._detect,
        )

    def forecast(self, requests: int) -> float:
        """Seconds until so many more requests to the training endpoint will have been answered."""
        return self._train.forecast(requests)

    def close(self) -> None:
        self._client.close()
        self._train.close()
        self._detect.close()

    def _ask(
        self,
        call: Callable[[], T],
        lane: Lane = Lane.INTERACTIVE,
        seconds: float = SECONDS,
        tries: int = 1,
        budget: RateLimiter | None = None,
    ) -> T:
        """Waits for the budget and sends. ``tries`` is how often a request without a whole answer may be sent."""
        budget = budget or self._train
        patient_until = self._clock.ticks() + PATIENCE_SECONDS
        pause = FIRST_PAUSE
        while True:
            permit = budget.acquire(lane, seconds, self._on_wait)
            try:
                return self._send(budget, permit, seconds, call)
            except RateLimited:
                if self._clock.ticks() > patient_until:
                    raise
            except OutcomeUnknown as error:
                tries -= 1
                if tries <= 0:
                    raise
                self._pause(pause, str(error))
                pause *= 2

    def _send(self, budget: RateLimiter, permit: Permit, seconds: float, call: Callable[[], T]) -> T:
        left_machine = served = False
        try:
            still_valid = budget.extend(permit, self._clock.ticks() + seconds)
            permit = still_valid or budget.acquire(permit.lane, seconds, self._on_wait)
            left_machine = True
            found = call()
            served = True
            return found
        except Unreachable:
            left_machine = False
            raise
        except RateLimited as error:
            budget.back_off(error.retry_after, permit.sent_at)
            raise
        except RemoteError as error:
            served = not isinstance(error, OutcomeUnknown)
            raise
        finally:
            budget.release(permit, sent=left_machine, served=served)
            if left_machine:
                with self._lock:
                    self._requests += 1

    def _pause(self, seconds: float, why: str) -> None:
        if self._on_wait is not None:
            self._on_wait(seconds, why)
        wait(self._clock, seconds)
