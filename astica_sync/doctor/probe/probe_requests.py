"""Sends the requests of a probe. What their answers mean is decided in ``core.service_facts``."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from astica_sync.clock import Clock
from astica_sync.core.service_facts.judge_samples import last_view, why_not_go_on
from astica_sync.core.service_facts.judge_times import seconds_until_listed
from astica_sync.core.service_facts.judge_training import version_seen
from astica_sync.core.service_facts.probe_log import ProbeStep
from astica_sync.core.service_facts.probe_uploads import BASIC, FIRST, LARGE, TRAINING, ProbeUpload, uid_for
from astica_sync.core.service_facts.read_answer import ShownModel, read_view
from astica_sync.doctor.probe.images import TURN_RIGHT, halves, image_for
from astica_sync.doctor.probe.probe_client import ProbeService
from astica_sync.errors import NotAnObservation, NotTheService, OutcomeUnknown, QuotaExceeded, RateLimited, Refused
from astica_sync.remote.rate_limiter import sleep

DOCUMENTED_IMAGE = "https://www.astica.org/inputs/analyze_3.jpg"
"""The image of the documentation's example of an upload by address."""

FIRST_PAUSES = (0.0, 0.25, 0.5, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each view until the first upload is shown."""
LATER_VIEWS = 3
TRAINING_PAUSES = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0)
"""Seconds before each view until a training has a version; then ``LAST_PAUSE`` each."""
LAST_PAUSE = 60.0
TRAINING_SECONDS = 1200.0
OVER_LIMIT = 5
"""How many requests more than the limit allows are sent to see how the service refuses."""

_WAITS = "the service does not show it yet"
_TRAINS = "the service is training the probe's model"


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """What is tried besides the ordinary: a training, two large images; ``image_url`` is the image that is uploaded by
    its address."""

    training: bool = False
    large: bool = False
    image_url: str = DOCUMENTED_IMAGE
    training_seconds: float = TRAINING_SECONDS


@dataclass(frozen=True, slots=True)
class Cost:
    """How many requests a probe sends as a rule, and how many at most."""

    usual: int
    most: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.usual + other.usual, self.most + other.most)


BASIC_COST = Cost(24, 60)
TRAINING_COST = Cost(16, 50)
LARGE_COST = Cost(2, 2)
_FOR_THE_END = 8
"""Requests that are kept for the end: the view before the removal, the removal, and repeats of both."""


def cost_of(options: ProbeOptions) -> Cost:
    """What a probe with these options costs, without the requests over the limit."""
    cost = BASIC_COST
    if options.training:
        cost += TRAINING_COST
    return cost + LARGE_COST if options.large else cost


class _AllSpent(Exception):
    """No more requests than were announced are sent."""


class ProbeRequests:
    """The requests of one probe about its model, in their order.

    Args:
        most: requests of ``service`` after which no further one begins.
    """

    def __init__(self, service: ProbeService, clock: Clock, options: ProbeOptions, model: tuple[int, str], most: int):
        self._service = service
        self._client = service.client
        self._clock = clock
        self._options = options
        self._model_id, self._token = model
        self._most = most - _FOR_THE_END

    def run(self, note: Callable[[str], None]) -> None:
        """Raises:
        RemoteError: the service cannot be used at all.
        Interrupted: the clock was asked to stop.
        """
        try:
            note("Uploading small images and looking at the views")
            self._basic()
            if reason := why_not_go_on(self._client.log, self._token):
                note(f"Nothing more is tried, since {reason}")
                return
            self._upload_all(BASIC)
            if self._options.large:
                note("Uploading an image of 20 MB")
                self._large()
            if self._options.training:
                self._upload_all(TRAINING)
            self._settle(ProbeStep.SETTLED, self._shows_last)
            if self._options.training:
                note("Training the model once")
                self._train()
            self._remove_alone()
        except _AllSpent:
            note("The announced number of requests is spent; what is left is not tried")

    def ask_for_the_missing(self) -> None:
        """Asks for the model after it was removed."""
        self._ask(ProbeStep.MISSING_MODEL, lambda: self._client.view_as_it_came(self._model_id), last=True)

    def _basic(self) -> None:
        self._ask(ProbeStep.LIST_BY_VIEW, self._client.list_by_view)
        self._upload(FIRST)
        self._view_until(ProbeStep.FIRST_VIEW, FIRST_PAUSES, lambda view: bool(view.samples), _WAITS)

    def _upload_all(self, uploads: Iterable[ProbeUpload]) -> None:
        for upload in uploads:
            self._upload(upload)

    def _upload(self, upload: ProbeUpload) -> None:
        uid = uid_for(self._token, upload)
        if upload.image == "url":
            url = self._options.image_url
            self._ask(upload.name, lambda: self._client.upload_address(self._model_id, upload.title, uid, url))
            return
        image = image_for(upload, self._token)
        self._ask(
            upload.name,
            lambda: self._client.upload_sample(self._model_id, upload.title, uid, image),
            sent_bytes=len(image),
        )

    def _large(self) -> None:
        for upload in LARGE:
            self._upload(upload)
            if self._client.log.served(upload.name):
                return

    def _settle(self, step: ProbeStep, is_done: Callable[[ShownModel], bool]) -> None:
        """Views, after the time that the first upload took to be shown."""
        pause = seconds_until_listed(self._client.log)
        self._view_until(step, (pause,) * LATER_VIEWS, is_done, _WAITS)

    def _shows_last(self, view: ShownModel) -> bool:
        last = next((one for one in reversed(BASIC) if self._client.log.served(one.name)), FIRST)
        return view.is_settled and bool(view.find(uid_for(self._token, last)))

    def _train(self) -> None:
        self._ask(ProbeStep.TRAIN, lambda: self._service.client.train_model(self._model_id))
        if not self._client.log.served(ProbeStep.TRAIN):
            return
        end = self._clock.ticks() + self._options.training_seconds
        for pause in itertools.chain(TRAINING_PAUSES, itertools.repeat(LAST_PAUSE)):
            rest = end - self._clock.ticks()
            if rest <= 0:
                return
            self._pause(min(pause, rest), _TRAINS)
            self._view(ProbeStep.TRAINED)
            if (version := version_seen(self._client.log)) is not None:
                self._detect(version)
                return

    def _detect(self, version: str) -> None:
        for step, tag in ((ProbeStep.DETECT_PLAIN, None), (ProbeStep.DETECT_TAGGED, TURN_RIGHT)):
            image = halves("left", len(TRAINING), tag)
            self._guarded(step, lambda image=image: self._service.detect(self._model_id, version, image))  # type: ignore[misc]

    def _remove_alone(self) -> None:
        """Removes the only sample of a class, by the id that a view showed."""
        uid = uid_for(self._token, BASIC[-1])
        view = last_view(self._client.log)
        found = view.find(uid) if view else []
        if len(found) != 1:
            return
        self._ask(ProbeStep.REMOVE_SAMPLE, lambda: self._client.remove_sample(found[0].sample_id))
        if self._client.log.served(ProbeStep.REMOVE_SAMPLE):
            self._settle(ProbeStep.AFTER_REMOVAL, lambda view: view.is_settled and not view.find(uid))

    def _view_until(
        self, step: ProbeStep, pauses: Iterable[float], is_done: Callable[[ShownModel], bool], reason: str
    ) -> None:
        for pause in pauses:
            self._pause(pause, reason)
            self._view(step)
            view = read_view(self._client.log.exchanges[-1].body)
            if view is not None and is_done(view):
                return

    def _view(self, step: ProbeStep) -> None:
        self._ask(step, lambda: self._client.view_as_it_came(self._model_id))

    def _pause(self, seconds: float, reason: str) -> None:
        if seconds >= 1:
            self._service.pause(seconds, reason)
        elif seconds > 0:
            sleep(self._clock, seconds)

    def _ask(self, step: str, call: Callable[[], object], *, sent_bytes: int = 0, last: bool = False) -> None:
        self._guarded(step, lambda: self._service.ask(call, sent_bytes), last=last)

    def _guarded(self, step: str, call: Callable[[], object], *, last: bool = False) -> None:
        """Sends the requests of ``call``. A refusal and a lost answer are results; ``last`` is for what is kept for the
        end."""
        if not last and self._service.requests >= self._most:
            raise _AllSpent
        # Raises where the user asked to stop.
        self._clock.sleep(0)
        self._client.step = step
        try:
            call()
        except (Refused, NotAnObservation, NotTheService, OutcomeUnknown):
            return


def exceed_limit(service: ProbeService, limit: int) -> None:
    """Sends a few requests more than the limit allows, one after the other, until one is refused.

    Args:
        service: with a budget that allows that many.

    Raises:
        RemoteError: the service cannot be used at all.
    """
    client = service.client
    client.step = ProbeStep.LIMIT
    for _ in range(limit + OVER_LIMIT):
        try:
            if not service.ask_at_once(client.list_by_view):
                # So many were sent in one window, and none was refused.
                return
        except (Refused, OutcomeUnknown, NotTheService):
            continue
        except (RateLimited, QuotaExceeded):
            return
