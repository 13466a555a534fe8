"""Facts about the forms of answers: errors, refusals for the limit, lists of models, numbers."""

import re
from typing import Any

from astica_sync.core.service_facts.fact import Fact, unknown
from astica_sync.core.service_facts.probe_log import CREATE, LIST, Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import BASIC, title_of, uid_for
from astica_sync.core.service_facts.read_answer import read_list, read_view

NOT_TRIED = "not tried"
_JUNK = next(upload for upload in BASIC if upload.name == "junk")
_LIMITED = ("RateLimited", "StillRateLimited", "QuotaExceeded")
_CLAUSE = re.compile(r"[\[(:;,]")
_MINUTE = 60.0
POLICY = "ratelimit-policy"


def judge_error_status(log: ProbeLog, token: str) -> Fact:
    del token
    junk = log.last(_JUNK.name)
    if junk is None:
        return unknown(NOT_TRIED)
    if junk.is_error:
        return Fact(junk.status, "with status ERROR in the answer")
    return unknown(_without_error(junk))


def judge_error_repeats(log: ProbeLog, token: str) -> Fact:
    junk = log.last(_JUNK.name)
    if junk is None or not junk.error_text:
        return unknown(NOT_TRIED if junk is None else "no error with a text was seen")
    repeats = _echo(junk.error_text, token) is not None
    return Fact(repeats, junk.error_text if repeats else "")


def judge_invalid_image(log: ProbeLog, token: str) -> Fact:
    junk = log.last(_JUNK.name)
    if junk is None or not junk.error_text:
        return unknown(NOT_TRIED if junk is None else _without_error(junk))
    place = _echo(junk.error_text, token)
    if place is None:
        return Fact(junk.error_text)
    own = junk.error_text[:place]
    ends = [found.start() for found in _CLAUSE.finditer(own)]
    return Fact(own[: ends[-1]].strip() if ends else own.strip())


def _echo(text: str, token: str) -> int | None:
    """Where a text begins to repeat what was sent; None where it does not."""
    places = [text.find(sent) for sent in (_JUNK.title, uid_for(token, _JUNK))]
    return min((place for place in places if place >= 0), default=None)


def _without_error(one: Exchange) -> str:
    if one.served:
        return "a text file was accepted as an image"
    return "no answer came" if one.status is None else f"HTTP status {one.status} without status ERROR"


def judge_missing_model(log: ProbeLog, token: str) -> Fact:
    del token
    one = log.last(ProbeStep.MISSING_MODEL)
    if one is None or one.status is None:
        return unknown(NOT_TRIED if one is None else "no answer came")
    if one.served:
        view = read_view(one.body)
        return Fact("OK", "a view of a removed model is served" if view else "served, without a model")
    known = "" if one.taken_as == "NoSuchModel" else "; this program does not recognise it as an unknown model"
    return Fact(f"{one.status} {one.error_text}".strip(), f"of a model that was removed before{known}")


def judge_limit_refusal(log: ProbeLog, token: str) -> Fact:
    """From the first refusal in the whole probe, whatever step it was in."""
    del token
    tried = log.all_of(ProbeStep.LIMIT)
    refused = next((one for one in log if one.taken_as in _LIMITED or one.status == 429), None)
    if refused is None and tried and not tried[-1].served:
        refused = tried[-1]
    if refused is None:
        if not tried:
            return unknown("no request was refused for the limit; --with limit asks for that")
        seconds = tried[-1].ended - tried[0].started
        return unknown(f"{len(tried)} requests in {seconds:.0f} s were all served")
    since = refused.started - _MINUTE
    before = [one for one in log if since < one.started < refused.started and one.status is not None]
    answered = sum(one.taken_as not in _LIMITED for one in before)
    note = f"HTTP status {refused.status}, {refused.error_text or 'no text'}; "
    note += f"{answered} were answered in the minute before"
    if refused.taken_as not in _LIMITED:
        note += "; this program does not recognise it"
    if refused.status == 429:
        after = refused.headers.get("retry-after")
        return Fact("429" if after is None else "429-retry-after", note + (f"; Retry-After {after}" if after else ""))
    return Fact("quota-text" if refused.taken_as == "QuotaExceeded" else "error-text", note)


def judge_limit_header(log: ProbeLog, token: str) -> Fact:
    del token
    served = [one for one in log if one.served]
    if not served:
        return unknown("no request was served")
    policy = next((one.headers[POLICY] for one in served if POLICY in one.headers), None)
    return Fact("hidden") if policy is None else Fact("shown", f"RateLimit-Policy: {policy}")


def judge_model_list(log: ProbeLog, token: str) -> Fact:
    del token
    asked = [one for one in log if one.path == LIST]
    if any(one.served and read_list(one.body) is not None for one in asked):
        return Fact("known")
    if not asked or asked[-1].status is None:
        return unknown(NOT_TRIED if not asked else "no answer came")
    return Fact("unknown", f"HTTP status {asked[-1].status}, {asked[-1].error_text or 'no text'}")


def judge_view_without_id(log: ProbeLog, token: str) -> Fact:
    del token
    one = log.last(ProbeStep.LIST_BY_VIEW)
    if one is None or one.status is None:
        return unknown(NOT_TRIED if one is None else "no answer came")
    if read_list(one.body) is not None:
        return Fact("lists", "the models of the account")
    return Fact("refused", f"HTTP status {one.status}, {one.error_text or 'no text'}")


def judge_list_counts(log: ProbeLog, token: str) -> Fact:
    entry = _entry(log, token)
    if entry is None:
        return unknown("the model was seen in no list")
    return Fact("shown" if {"numClass", "numSample"} <= entry.keys() else "missing")


def judge_integers(log: ProbeLog, token: str) -> Fact:
    del token
    view = next((view for one in log if (view := read_view(one.body))), None)
    if view is None:
        return unknown("no view came")
    values = [view.raw[name] for name in ("id", "numClass", "numSample", "date_created") if name in view.raw]
    kinds = sorted({"string" if isinstance(value, str) else "int" for value in values})
    return Fact(kinds[0]) if len(kinds) == 1 else Fact("mixed", "some as numbers and some as texts")


def judge_untrained(log: ProbeLog, token: str) -> Fact:
    views = [view.raw for one in log.all_of(ProbeStep.FIRST_VIEW) if (view := read_view(one.body))]
    model = views[0] if views else _entry(log, token)
    if model is None:
        return unknown("no view came")
    if "model_version" not in model:
        return Fact("missing")
    version = model["model_version"]
    if version is None:
        return Fact("null")
    return Fact("empty" if version == "" else "other", "" if version == "" else f"model_version is {version!r}")


def _entry(log: ProbeLog, token: str) -> dict[str, Any] | None:
    """The probe's model in the first list that has it."""
    title = title_of(token)
    entries = (entry for one in log for entry in read_list(one.body) or () if entry.get("title") == title)
    return next(entries, None)


def creation_in(log: ProbeLog) -> Exchange | None:
    """The request that made the model."""
    return next((one for one in log if one.path == CREATE), None)
