"""Seeded bugs in what speaks to the service: answers, outcomes, views and the request limit."""

from dataclasses import replace as changed
from typing import Any

from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.rate_limit import RequestTimes
from astica_sync.errors import OutcomeUnknown, RateLimited
from astica_sync.remote.http_exchange import Answer
from astica_sync.remote.remove_echoes import plain
from astica_sync.remote.responses import parse_status
from tests.simulation.mutants.seams import change_argument, mutant, replace, wrap

CLIENT = "astica_sync.remote.client:ServiceClient."
OUTCOME = "astica_sync.remote.outcome:"
RESPONSES = "astica_sync.remote.responses:"
LIMITER = "astica_sync.remote.rate_limiter:RateLimiter."
RATE_LIMIT = "astica_sync.core.rate_limit:"


def as_if_nothing_was_sent(original: Any, answer: Any, *args: Any) -> Any:
    return original(changed(answer, sent=False), *args)


def busy_for_5xx(original: Any, answer: Any, *args: Any) -> Any:
    return RateLimited("busy") if answer.status >= 500 else original(answer, *args)


def limited_for_a_failure(original: Any, answer: Any, **kwargs: Any) -> Any:
    error = original(answer, **kwargs)
    status = parse_status(answer.body) if isinstance(answer, Answer) else None
    if isinstance(error, OutcomeUnknown) and status is not None and status.text == "ERROR":
        return RateLimited("busy")
    return error


def twice_after_a_lost_answer(original: Any, *args: Any) -> Any:
    try:
        return original(*args)
    except OutcomeUnknown:
        return original(*args)


def asked_when_it_was_answered(original: Any, self: Any, *args: Any) -> Any:
    observation, body = original(self, *args)
    return changed(observation, asked_at=self._clock.now()), body


def with_a_uid(original: Any, self: Any, endpoint: Any, path: str, fields: Any, **kwargs: Any) -> Any:
    if path == "/model/sample_remove":
        fields = {**fields, "sample_uid": "x"}
    return original(self, endpoint, path, fields, **kwargs)


def any_sum(original: Any, info: Any, classes: Any) -> Any:
    return original(changed(info, samples=sum(entry.samples for entry in classes)), classes)


def raised(self: Any, error: Exception) -> None:
    raise error


def unchecked_number(value: Any) -> float | None:
    return None if value is None else float(value)


def unchecked_date(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value else None


def of_any_model(original: Any, view: Any, model_id: int, *args: Any) -> Any:
    return original(view, view.dataset.id if view.dataset is not None else model_id, *args)


def empty_for_a_list(original: Any, view: Any, model_id: int, asked_at: float, *args: Any) -> Any:
    if view.dataset is None:
        return Observation(ModelInfo(model_id, ""), asked_at, (), ())
    return original(view, model_id, asked_at, *args)


def counted_from_the_sending(original: Any, request: RequestTimes, window: float, now: float) -> float:
    return request.sent + window if request.answered is not None else original(request, window, now)


def counted_for_a_second(original: Any, request: RequestTimes, window: float, now: float) -> float:
    return original(request, window, now) if request.answered is not None else request.sent + 1.0


def answered_alone(original: Any, *args: Any) -> list[RequestTimes]:
    return [request for request in original(*args) if request.answered is not None]


def long_ended(original: Any, *args: Any) -> list[RequestTimes]:
    return [
        RequestTimes(-9e9, -9e9, -9e9) if request == RequestTimes(0.0, 0.0, 0.0) else request
        for request in original(*args)
    ]


def limit_of_its_own(original: Any, self: Any, path: Any, *, name: str, **kwargs: Any) -> None:
    original(self, path, name=f"{name}{id(self)}", **kwargs)


def with_all_that_was_sent(text: str, sent: Any) -> str:
    return plain(text)


REMOTE_MUTANTS = (
    mutant("errors are read with the titles that they repeat", replace(OUTCOME + "_own_words", with_all_that_was_sent)),
    mutant("a view older than the quarantine is accepted", wrap(CLIENT + "view_model", asked_when_it_was_answered)),
    mutant(
        "a time-out is taken for a connection that was refused",
        wrap(OUTCOME + "_from_no_answer", as_if_nothing_was_sent),
        quick=500,
    ),
    mutant("5xx is taken for not done", wrap(OUTCOME + "_from_unexpected_answer", busy_for_5xx), quick=500),
    mutant("a trouble of the service is taken for its limit", wrap(OUTCOME + "classify", limited_for_a_failure)),
    mutant(
        "what was sent is read as the service's own words",
        replace(OUTCOME + "_own_words", lambda text, sent: text),
        quick=200,
    ),
    mutant("a blind retry of a lost upload", wrap(CLIENT + "upload_sample", twice_after_a_lost_answer), quick=50),
    mutant("a lost removal is sent again blindly", wrap(CLIENT + "remove_sample", twice_after_a_lost_answer)),
    mutant("a removal by uid", wrap(CLIENT + "_call", with_a_uid), quick=100),
    mutant("a partial view is believed", wrap(RESPONSES + "_check_sums", any_sum)),
    mutant(
        "a view whose counts are ahead ends the run",
        replace("astica_sync.sync.observe:ListsBehind.wait", raised),
    ),
    mutant("any number of an answer is a number", replace(RESPONSES + "_number", unchecked_number), quick=20),
    mutant(
        "any date of an answer is a date",
        replace("astica_sync.core.observation.value_bounds:bounded_date", unchecked_date),
    ),
    mutant("another model's view is believed", wrap(RESPONSES + "_observation", of_any_model)),
    mutant("the list of models is an empty view", wrap(RESPONSES + "_observation", empty_for_a_list)),
    mutant(
        "a cut uid is not completed",
        replace("astica_sync.core.observation.cut_uids:UidRepair.complete", lambda self, text, *args: text),
        quick=300,
    ),
    mutant(
        "the limit is off by one",
        change_argument(RATE_LIMIT + "next_start", "limit", lambda limit: limit + 1),
        quick=200,
    ),
    mutant("a request counts from its sending", wrap(RATE_LIMIT + "counts_until", counted_from_the_sending)),
    mutant("what a killed run had under way does not count", wrap(RATE_LIMIT + "counts_until", counted_for_a_second)),
    mutant("a request under way does not count", wrap(LIMITER + "_requests", answered_alone), quick=200),
    mutant("a restarted machine forgets its requests", wrap(LIMITER + "_requests", long_ended)),
    mutant("the limit is not shared", wrap(LIMITER + "__init__", limit_of_its_own)),
)
