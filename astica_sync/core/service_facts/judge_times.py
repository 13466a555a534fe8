"""How soon something is shown: each time as an interval, from the last answer without it to the first one with it."""

import math
from collections.abc import Callable, Sequence

from astica_sync.core.service_facts.fact import Fact, not_asked, unknown
from astica_sync.core.service_facts.judge_answers import NOT_TRIED, creation_in
from astica_sync.core.service_facts.judge_training import version_in
from astica_sync.core.service_facts.probe_log import Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import FIRST, title_of
from astica_sync.core.service_facts.read_answer import read_list, read_view

_THOUSANDTH = 0.001
_MARGIN = 1.2
NO_ANSWER = "the request before it was not served"


def judge_list_lag(log: ProbeLog, token: str) -> Fact:
    created, title = creation_in(log), title_of(token)
    if created is None or not created.served:
        return unknown(NOT_TRIED if created is None else NO_ANSWER)
    lists = [one for one in log if one.started >= created.ended and read_list(one.body) is not None]
    return _time(created, lists, lambda one: any(entry.get("title") == title for entry in read_list(one.body) or ()))


def judge_view_lag(log: ProbeLog, token: str) -> Fact:
    """From the counts of a view, where it has any."""
    del token
    return _first_shown(log, _counts_one)


def judge_sample_list_lag(log: ProbeLog, token: str) -> Fact:
    del token
    counted, listed = _first_shown(log, _counts_one), _first_shown(log, _lists_one)
    if not isinstance(counted.value, float) or not isinstance(listed.value, float):
        return unknown("the upload was not shown")
    least = max(0.0, (listed.least or 0.0) - counted.value)
    together = counted == listed
    if together and not listed.least:
        return Fact(listed.value, "counted and listed in the first view", 0.0)
    note = "counted and listed in one view" if together else "counted before it was listed"
    return Fact(_up(listed.value - (counted.least or 0.0)), note, 0.0 if together else max(_THOUSANDTH, _down(least)))


def seconds_until_listed(log: ProbeLog) -> float:
    """How long to wait until a view lists a change; 0 where the first view did."""
    listed = _first_shown(log, _lists_one)
    return listed.value * _MARGIN if isinstance(listed.value, float) and listed.least else 0.0


def judge_training_time(log: ProbeLog, token: str) -> Fact:
    del token
    asked = log.last(ProbeStep.TRAIN)
    if asked is None or not asked.served:
        return not_asked("training") if asked is None else unknown("no training began")
    return _time(asked, log.all_of(ProbeStep.TRAINED), lambda one: version_in(one) is not None)


def _first_shown(log: ProbeLog, shows: Callable[[Exchange], bool]) -> Fact:
    sent = log.last(FIRST.name)
    if sent is None or not sent.served:
        return unknown(NOT_TRIED if sent is None else NO_ANSWER)
    views = [one for one in log.all_of(ProbeStep.FIRST_VIEW) if read_view(one.body)]
    return _time(sent, views, shows)


def _counts_one(one: Exchange) -> bool:
    view = read_view(one.body)
    return view is not None and (bool(view.samples) if view.counted is None else view.counted > 0)


def _lists_one(one: Exchange) -> bool:
    view = read_view(one.body)
    return view is not None and bool(view.samples)


def _time(done: Exchange, answers: Sequence[Exchange], shows: Callable[[Exchange], bool]) -> Fact:
    """The service did it at some moment between request and answer, and so it is with what it showed."""
    shown = next((number for number, one in enumerate(answers) if shows(one)), None)
    if shown is None:
        if not answers:
            return unknown("no answer came")
        seconds = answers[-1].started - done.ended
        return Fact(None, f"not shown within {max(0.0, seconds):.0f} s", _down(max(_THOUSANDTH, seconds)))
    most = _up(answers[shown].ended - done.started)
    if shown == 0:
        return Fact(most, "in the first answer", 0.0)
    least = max(_THOUSANDTH, _down(answers[shown - 1].started - done.ended))
    return Fact(max(most, least), f"in answer {shown + 1}", least)


def _up(seconds: float) -> float:
    return math.ceil(seconds * 1000) / 1000


def _down(seconds: float) -> float:
    return math.floor(seconds * 1000) / 1000
