"""Parses the answers of the service: tolerant of forms, strict about completeness.

Integers may be strings, texts may be numbers, optional fields may be missing or null, and unknown fields are ignored. A
view must be complete, because a sample that is missing in it counts as absent (promise 14).
"""

import re
import sys
from array import array
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from astica_sync.core.model import LARGEST_ID, UID_LENGTH, ModelInfo, Observation, RemoteClass
from astica_sync.core.observation.cut_uids import UidRepair
from astica_sync.core.observation.sample_table import DuplicateSampleId, SampleTable
from astica_sync.core.observation.shown_size import decimals_of_view
from astica_sync.core.observation.value_bounds import (
    LARGEST_SIZE,
    LONGEST_TEXT,
    bounded_date,
    bounded_size,
    bounded_text,
)
from astica_sync.core.versions.confidence_unit import Confidence
from astica_sync.errors import CountsDiffer, NotAnObservation

Scalar = bool | int | float | str | None
T = TypeVar("T")

LONGEST_CODE = 100
"""Characters of a code of an error that are read."""

_TAGS = 100
_LONGEST_NUMBER = 40
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_LARGEST_EXACT = 2**53
_CONTENT = re.compile(r"[0-9a-f]{32}")
_BOM = b"\xef\xbb\xbf"


class _Envelope(msgspec.Struct, gc=False):
    status: Scalar = None
    error: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()


class _Sample(msgspec.Struct, gc=False):
    id: Scalar = None
    uid: Scalar = None
    size: Scalar = None


class _SampleDate(msgspec.Struct, gc=False):
    id: Scalar = None
    date_created: Scalar = None


class _Class(msgspec.Struct, gc=False):
    id: Scalar = None
    title: Scalar = None
    # Parsed class by class: a large view would otherwise be in memory twice, once as objects of the parser.
    samples: msgspec.Raw = msgspec.Raw()


class _Model(msgspec.Struct):
    id: Scalar = None
    title: Scalar = None
    classes: Scalar = msgspec.field(default=None, name="numClass")
    samples: Scalar = msgspec.field(default=None, name="numSample")
    total_size: Scalar = None
    trained: Scalar = None
    model_version: Scalar = None
    date_trained: Scalar = None
    date_created: Scalar = None
    type: Scalar = None
    purpose: Scalar = None
    tags: list[Scalar] | Scalar = None


class _Dataset(_Model):
    class_list: list[_Class] | None = None


class _View(msgspec.Struct):
    dataset: _Dataset | None = None
    # Only its presence matters: an answer with the list of models is not a view.
    dataset_list: msgspec.Raw = msgspec.Raw()


class _ModelList(msgspec.Struct):
    dataset_list: list[_Model] | msgspec.UnsetType | None = msgspec.UNSET


class _Detection(msgspec.Struct):
    # Any value: an answer of an odd form is no reason to ask again.
    output: msgspec.Raw = msgspec.Raw(b"null")
    confidence: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Status:
    """The status of an answer: ``text`` is OK, ERROR or another word in upper case, "" when there is none; ``error`` is
    the reason as the service wrote it, ``code`` a code or a type of the error where there is one."""

    text: str
    error: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Detection:
    """What a model detects in an image: the title of a class, "" where the answer names none; and the confidence as it
    is written, None where it is missing or is no number from 0 to 100."""

    label: str
    confidence: Confidence | None


def parse_status(body: bytes) -> Status | None:
    """The status of an answer; None when it is not a complete JSON object."""
    try:
        envelope = _decode(body, _Envelope)
        error, message = _plain_value(envelope.error), _plain_value(envelope.message)
        inner = error if isinstance(error, dict) else {}
        codes = (_plain_value(envelope.code), inner.get("code"), inner.get("type"))
        text = _text(envelope.status).strip().upper()
        return Status(
            text,
            " ".join(_texts(inner or error) or (_texts(message) if text == "ERROR" else [])),
            next((str(code)[:LONGEST_CODE] for code in codes if code and isinstance(code, str | int)), ""),
        )
    except _Malformed:
        return None


def parse_view(
    body: bytes | memoryview, model_id: int, asked_at: float, uid_repair: UidRepair | None = None
) -> Observation:
    """The observation in a ``/model/view`` answer.

    Args:
        asked_at: when the request was sent, seconds since the epoch.
        uid_repair: completes cut uids; by default, with the class titles in the view.

    Raises:
        NotAnObservation: the answer is incomplete, or is about another model.
        CountsDiffer: it contradicts its own counts.
    """
    try:
        return _observation(_decode(body, _View), model_id, asked_at, uid_repair or UidRepair())
    except _Malformed as error:
        reason, kind = str(error), CountsDiffer if isinstance(error, _DifferentCounts) else NotAnObservation
    # Outside of the handler: otherwise the error refers to the traceback of the parser, with parts of the answer.
    raise kind(
        f"the view of model {model_id} is not usable: {reason}",
        "Nothing was removed or sent again because of it. Run the same command again later.",
    )


def parse_dates(body: bytes | memoryview) -> dict[int, float]:
    """When each sample in a ``/model/view`` answer was made, by the service's clock in seconds since the epoch, by
    sample id, where the answer has it."""
    dates: dict[int, float] = {}
    try:
        dataset = _decode(body, _View).dataset
        for entry in (dataset and dataset.class_list) or ():
            for sample in _decode_list(entry.samples, _SampleDate):
                date = bounded_date(_number(sample.date_created))
                if date is not None and date > 0:
                    dates[_id(sample.id, "a sample")] = date
    except _Malformed:
        return {}
    return dates


def parse_models(body: bytes) -> list[ModelInfo]:
    """The models in an answer of ``/model/list``, or of ``/model/view`` without a model id.

    Raises:
        NotAnObservation: the answer has no list, or an entry has no id.
    """
    try:
        entries = _decode(body, _ModelList).dataset_list
        if entries is not msgspec.UNSET:
            models = [_model_info(entry) for entry in entries or ()]
            if len({model.model_id for model in models}) == len(models):
                return models
            reason = "it contains a model twice"
        else:
            reason = "it has no dataset_list"
    except _Malformed as error:
        reason = str(error)
    raise NotAnObservation(f"the list of models is not usable: {reason}", "Run the same command again later.")


def parse_detection(body: bytes) -> Detection | None:
    """The label and the confidence in a ``/detect`` answer; None where it is cut off or not JSON."""
    try:
        detection = _decode(body, _Detection)
    except _Malformed:
        return None
    output, confidence = _value(detection.output), _value(detection.confidence)
    named = isinstance(output, str | int | float) and not isinstance(output, bool)
    label = bounded_text(_text(output)) if named else ""
    return Detection(label if label.strip() else "", _confidence(confidence))


def _value(raw: msgspec.Raw) -> Any:
    """The value in ``raw``; None for what is no value in Python, such as 1e400."""
    try:
        return msgspec.json.decode(memoryview(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _confidence(written: Any) -> Confidence | None:
    if not isinstance(written, str | int | float):
        return None
    text = written.strip() if isinstance(written, str) else written
    percent_sign = isinstance(text, str) and text.endswith("%")
    number = _number(text.removesuffix("%") if isinstance(text, str) else text)
    return None if number is None or not 0 <= number <= 100 else Confidence(number, percent_sign)


class _Malformed(ValueError):
    """Why an answer cannot be used; for messages."""


class _DifferentCounts(_Malformed):
    """A view contradicts its own counts."""


def _decode(body: Any, kind: type[T]) -> T:
    if bytes(body[:3]) == _BOM:
        body = memoryview(body)[3:]
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        reason = f"a field has the wrong type ({error})"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = "it is cut off or not JSON"
    raise _Malformed(reason)


def _observation(view: _View, model_id: int, asked_at: float, uid_repair: UidRepair) -> Observation:
    dataset = view.dataset
    if dataset is None:
        is_list = len(memoryview(view.dataset_list)) > 0
        raise _Malformed("it is the list of models" if is_list else "it has no dataset")
    info = _model_info(dataset)
    if info.model_id != model_id:
        raise _Malformed(f"it is about model {info.model_id}")
    if info.classes is None or info.samples is None:
        raise _Malformed("it has no counts of its classes and samples")
    classes: list[RemoteClass] = []
    uids: list[str] = []
    ids = array("q")
    sizes = array("d")
    uid_repair.begin(bounded_text(_text(entry.title)) for entry in dataset.class_list or ())
    for entry in dataset.class_list or ():
        before = len(uids)
        class_id = _id(entry.id, "a class")
        if entry.title is None:
            raise _Malformed(f"class {class_id} has no title")
        title = bounded_text(_text(entry.title))
        for sample in _decode_list(entry.samples, _Sample):
            uid = sample.uid if type(sample.uid) is str else _text(sample.uid)
            if len(uid) < UID_LENGTH:
                uid = uid_repair.complete(uid, model_id, title)
            elif len(uid) > UID_LENGTH:
                uid = bounded_text(uid)
            uids.append(uid)
            ids.append(_id(sample.id, "a sample"))
            size = sample.size
            sizes.append(size if type(size) is float and 0 < size < LARGEST_SIZE else _size(size))
        _check_title(_text(entry.title), class_id, uids[before:])
        classes.append(RemoteClass(class_id, title, len(uids) - before))
    _check_sums(info, classes)
    try:
        table = SampleTable(classes, uids, ids, sizes)
        return Observation(
            info, asked_at, tuple(classes), table, uid_repair.classes_known, decimals_of_view(table.sizes)
        )
    except DuplicateSampleId:
        raise _Malformed("it contains a sample id twice") from None


def _decode_list(raw: msgspec.Raw, kind: type[T]) -> list[T]:
    """The list in ``raw``; an empty one when it is missing or null."""
    text = memoryview(raw)
    return [] if bytes(text[:5]) in (b"", b"null") else _decode(text, list[kind])  # type: ignore[valid-type]


def _check_title(title: str, class_id: int, uids: list[str]) -> None:
    """A sample of ours in a class that no store can have would be in the wrong class, and be removed."""
    if (len(title) > LONGEST_TEXT or "\0" in title) and any(map(_CONTENT.match, uids)):
        raise _Malformed(f"class {class_id} has samples of astica-sync and a title that no folder can have")


def _check_sums(info: ModelInfo, classes: list[RemoteClass]) -> None:
    samples = sum(entry.samples for entry in classes)
    if info.classes != len(classes):
        raise _DifferentCounts(f"it counts {info.classes} classes and lists {len(classes)}")
    if info.samples != samples:
        raise _DifferentCounts(f"it counts {info.samples} samples and lists {samples}")
    if len({entry.class_id for entry in classes}) != len(classes):
        raise _Malformed("it contains a class id twice")


def _model_info(model: _Model) -> ModelInfo:
    tags = model.tags
    version = bounded_text(_text(model.model_version).strip())
    return ModelInfo(
        model_id=_id(model.id, "a model"),
        title=bounded_text(_text(model.title)),
        classes=_count(model.classes),
        samples=_count(model.samples),
        size_mb=bounded_size(_number(model.total_size)),
        trained=_bool(model.trained),
        version=version or None,
        trained_at=bounded_date(_number(model.date_trained)),
        created_at=bounded_date(_number(model.date_created)),
        type=bounded_text(_text(model.type)),
        purpose=bounded_text(_text(model.purpose)),
        tags=bounded_text(", ".join(map(_text, tags[:_TAGS])) if isinstance(tags, list) else _text(tags)),
    )


def _plain_value(raw: msgspec.Raw) -> Any:
    if len(memoryview(raw)) == 0:
        return None
    try:
        return msgspec.json.decode(memoryview(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _texts(value: Any) -> list[str]:
    """The texts in a value. The names of its fields are not read: one may be ``limit``, next to ``requests``."""
    if isinstance(value, dict):
        named = [value[name] for name in ("message", "error", "detail") if name in value]
        return _texts(named or [inner for name, inner in value.items() if name not in ("code", "type")])
    if isinstance(value, list):
        return [text for inner in value[:10] for text in _texts(inner)]
    return [str(value)] if value is not None and not isinstance(value, bool) else []


def _text(value: Scalar) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        # JSON has one kind of numbers: the class 2 may come as 2.0.
        value = int(value)
    return value if isinstance(value, str) else str(value)


def _number(value: Scalar) -> float | None:
    """A number, or one in a text; not the other texts that Python takes for a number, such as ``nan`` and ``1_000``."""
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) else None
    return None if value is None or isinstance(value, bool) or abs(value) > sys.float_info.max else float(value)


def _size(value: Scalar) -> float:
    """A size in megabytes; 0 where it is none."""
    return bounded_size(_number(value)) or 0.0


def _count(value: Scalar) -> int | None:
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 <= value < _LARGEST_EXACT else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _id(value: Scalar, what: str) -> int:
    if type(value) is int and 0 < value <= LARGEST_ID:
        return value
    number = _count(value)
    if number is None or not 0 < number <= LARGEST_ID:
        raise _Malformed(f"{what} has no id")
    return number


def _bool(value: Scalar) -> bool | None:
    if isinstance(value, str):
        return {"1": True, "true": True, "0": False, "false": False}.get(value.strip().lower())
    return bool(value) if value in (0, 1) else None
