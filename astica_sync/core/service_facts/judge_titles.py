"""Facts about class titles: which ones are one class, and how they are stored."""

import unicodedata

from astica_sync.core.service_facts.fact import Fact, unknown
from astica_sync.core.service_facts.judge_answers import NOT_TRIED
from astica_sync.core.service_facts.judge_samples import NOT_SHOWN, first_shown, last_view, sample_of
from astica_sync.core.service_facts.probe_log import ProbeLog
from astica_sync.core.service_facts.probe_uploads import BASIC, FIRST, uid_for

SAME, OTHER = "same class", "other class"
_AGAIN = next(upload for upload in BASIC if upload.name == "again")


def judge_titles_case(log: ProbeLog, token: str) -> Fact:
    return _compared(log, token, "other case")


def judge_titles_spaces(log: ProbeLog, token: str) -> Fact:
    return _compared(log, token, "outer spaces")


def judge_titles_forms(log: ProbeLog, token: str) -> Fact:
    return _compared(log, token, "other form")


def _compared(log: ProbeLog, token: str, name: str) -> Fact:
    """Whether the upload came into the class of the first one."""
    sent = log.last(name)
    if sent is None or not sent.served:
        return unknown(NOT_TRIED if sent is None else sent.error_text or "the upload was not served")
    first, second = sample_of(log, token, FIRST.name), sample_of(log, token, name)
    if first is None or second is None:
        return unknown(NOT_SHOWN)
    return Fact(SAME if first.class_id == second.class_id else OTHER, f"shown as {second.class_title!r}")


def judge_titles_stored(log: ProbeLog, token: str) -> Fact:
    """From a title in each form, both in a class of their own."""
    first, view = first_shown(log), last_view(log)
    again = view.find(uid_for(token, _AGAIN)) if view else []
    if first is None or not again:
        return unknown(NOT_SHOWN)
    shown = (_form(first.samples[0].class_title), _form(again[0].class_title))
    forms = {("NFC", "NFD"): "as sent", ("NFC", "NFC"): "nfc", ("NFD", "NFD"): "nfd"}
    return Fact(forms.get(shown, "other"), f"NFC is shown as {shown[0]}, NFD as {shown[1]}")


def _form(shown: str) -> str:
    """The Unicode form of a title with accents as it is shown."""
    if any(map(unicodedata.combining, shown)):
        return "NFD"
    return "neither" if shown.isascii() else "NFC"


def judge_titles_markup(log: ProbeLog, token: str) -> Fact:
    del token
    view = first_shown(log)
    if view is None:
        return unknown(NOT_SHOWN)
    title = view.samples[0].class_title
    if "&amp;" in title:
        return Fact("entities", f"shown as {title!r}")
    return Fact("as sent" if "&" in title else "other", f"shown as {title!r}")
