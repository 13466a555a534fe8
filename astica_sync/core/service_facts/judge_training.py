"""Facts about trainings and detections, where the probe trained its model."""

import re

from astica_sync.core.service_facts.fact import Fact, not_asked, unknown
from astica_sync.core.service_facts.probe_log import Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import LYING, STANDING
from astica_sync.core.service_facts.read_answer import read_view, whole

_NUMBERS = re.compile(r"(\d+)_\d+", re.ASCII)
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])_([01]\d|2[0-3])[0-5]\d[0-5]\d", re.ASCII)


def version_in(one: Exchange) -> str | None:
    """The version of the model in a view; None where it has none."""
    view = read_view(one.body)
    version = view.raw.get("model_version") if view else None
    return str(version).strip() or None if version is not None else None


def version_seen(log: ProbeLog) -> str | None:
    """The version that the probe's training made."""
    return next((version for one in log.all_of(ProbeStep.TRAINED) if (version := version_in(one))), None)


def judge_training(log: ProbeLog, token: str) -> Fact:
    del token
    asked = log.last(ProbeStep.TRAIN)
    if asked is None:
        return not_asked("training")
    if asked.is_error:
        return Fact("refused", asked.error_text)
    if not asked.served:
        return unknown("no answer came")
    if version_seen(log) is not None:
        return Fact("works")
    views = log.all_of(ProbeStep.TRAINED)
    seconds = views[-1].ended - asked.ended if views else 0.0
    return Fact("fails", f"it began, and there was no version within {seconds:.0f} s")


def judge_version_form(log: ProbeLog, token: str) -> Fact:
    del token
    version = version_seen(log)
    if version is None:
        return _without_version(log)
    views = (read_view(one.body) for one in log.all_of(ProbeStep.TRAINED))
    model_id = next((whole(view.raw.get("id")) for view in views if view), None)
    numbers = _NUMBERS.fullmatch(version)
    if numbers and int(numbers[1]) == model_id:
        return Fact("number", version)
    return Fact("date" if _DATE.fullmatch(version) else "other", version)


def judge_confidence(log: ProbeLog, token: str) -> Fact:
    del token
    answers = [
        one for step in (ProbeStep.DETECT_PLAIN, ProbeStep.DETECT_TAGGED) for one in log.all_of(step) if one.served
    ]
    if not answers:
        return _without_detection(log)
    value = answers[0].body.get("confidence") if isinstance(answers[0].body, dict) else None
    if isinstance(value, str):
        return Fact("percent" if value.strip().endswith("%") else "string", value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Fact("number", f"{value:g}")
    return Fact("other", repr(value))


def judge_orientation_trained(log: ProbeLog, token: str) -> Fact:
    """The pixels of the image lie, and it has no tag. The class of which the pixels lie is *Standing*, unless the
    training turned its images by their tags."""
    del token
    label = _label(log, ProbeStep.DETECT_PLAIN)
    if label is None:
        return _without_detection(log)
    return Fact("ignored" if label == STANDING else "turned", f"an image without a tag was detected as {label}")


def judge_orientation_detected(log: ProbeLog, token: str) -> Fact:
    """The same image with and without a tag: two labels where a detection turns by the tag."""
    del token
    plain, tagged = _label(log, ProbeStep.DETECT_PLAIN), _label(log, ProbeStep.DETECT_TAGGED)
    if plain is None or tagged is None:
        return _without_detection(log)
    return Fact("ignored" if plain == tagged else "turned", f"{plain} without the tag, {tagged} with it")


def _label(log: ProbeLog, step: ProbeStep) -> str | None:
    one = log.last(step)
    output = one.body.get("output") if one is not None and one.served and isinstance(one.body, dict) else None
    return output if output in (STANDING, LYING) else None


def _without_version(log: ProbeLog) -> Fact:
    return not_asked("training") if log.last(ProbeStep.TRAIN) is None else unknown("there is no version to run")


def _without_detection(log: ProbeLog) -> Fact:
    return _without_version(log) if version_seen(log) is None else unknown("the detections do not tell")
