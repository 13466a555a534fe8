"""A fact about the service, and the list of all facts with what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = str | int | float | bool | None

LONGEST_NOTE = 400
"""Characters of a text in a file of facts that are read."""
LONGEST_SECONDS = 86_400.0

ALL_OF_IT = "all"
"""The value of ``uid_length`` where uids are kept whole."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact.

    Attributes:
        value: None where it could not be observed; a time in seconds is at most this.
        note: what was seen, or why nothing was.
        least: of a time, the seconds that it is at least.
    """

    value: Value
    note: str = ""
    least: float | None = None


def unknown(why: str) -> Fact:
    return Fact(None, why)


def not_asked(option: str) -> Fact:
    """It is tried only where the user asks for it."""
    return Fact(None, f"not tried; --with {option} asks for it")


def shortened(fact: Fact) -> Fact:
    """The fact with texts that are no longer than those that are read from a file."""
    value = fact.value[:LONGEST_NOTE] if isinstance(fact.value, str) else fact.value
    return Fact(value, fact.note[:LONGEST_NOTE], fact.least)


FactsByName = Mapping[str, Fact]

MEANINGS: dict[str, str] = {
    "error_status": "HTTP status of an error",
    "error_repeats": "an error repeats title and uid",
    "invalid_image": "error for what is no image",
    "missing_model": "answer for an unknown model",
    "limit_refusal": "refusal over the limit",
    "limit_header": "limit in a header",
    "model_list": "/model/list",
    "view_without_id": "/model/view without an id",
    "list_counts": "counts in the list of models",
    "list_lag": "until a list shows a model",
    "view_lag": "until a view shows a change",
    "sample_list_lag": "lists of a view behind counts",
    "integers": "integers are written as",
    "untrained": "version of an untrained model",
    "uid_length": "characters of a uid kept",
    "repeated_uids": "upload with a uid that exists",
    "titles_case": "titles that differ in case",
    "titles_spaces": "titles with outer spaces",
    "titles_forms": "titles in two Unicode forms",
    "titles_stored": "Unicode form that is stored",
    "titles_markup": "& in a title",
    "empty_class": "class without samples",
    "sizes": "sizes that a view shows",
    "tagged_jpeg": "JPEG with an orientation tag",
    "smallest": "image of 1 x 1 pixels",
    "side_16000": "side of 16,000 pixels",
    "side_16001": "side of 16,001 pixels",
    "largest_image": "largest image in bytes",
    "urls": "an https URL as input",
    "training": "training",
    "training_time": "until a training has a version",
    "version_form": "form of a version",
    "confidence": "form of a confidence",
    "orientation_trained": "orientation tag in training",
    "orientation_detected": "orientation tag in detection",
}
"""For each fact what the table calls it, in the order of the table."""

SECONDS = {"list_lag", "view_lag", "sample_list_lag", "training_time"}
"""The facts whose value is a time in seconds."""


def facts_as_data(facts: FactsByName) -> dict[str, dict[str, Value]]:
    """The facts as they are in a file."""
    data: dict[str, dict[str, Value]] = {}
    for name, fact in facts.items():
        data[name] = {"value": fact.value, "note": fact.note}
        if fact.least is not None:
            data[name]["least"] = fact.least
    return data


def facts_from_data(data: object) -> dict[str, Fact]:
    """The facts of a file. Those that this version does not know are left out.

    Raises:
        ValueError: it holds something else; the message says what.
    """
    if not isinstance(data, dict):
        raise ValueError("the facts are no object")
    return {name: _fact(name, data[name]) for name in MEANINGS if name in data}


def _fact(name: str, data: Any) -> Fact:
    value = data.get("value") if isinstance(data, dict) else data
    if not isinstance(data, dict) or not isinstance(value, str | int | float | None):
        raise ValueError(f"the fact {name} is no value with a note")
    note, least = data.get("note", ""), data.get("least")
    if not isinstance(note, str):
        raise ValueError(f"the note of the fact {name} is no text")
    if name in SECONDS and not all(_is_time(one) for one in (value, least)):
        raise ValueError(f"the fact {name} is no time in seconds")
    return shortened(Fact(value, note, least if name in SECONDS else None))


def _is_time(value: Value) -> bool:
    return value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_SECONDS
    )
