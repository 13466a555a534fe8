"""What the service answers, read tolerantly; what is concluded from it, strictly.

Integers may be strings, texts may be numbers, anything optional may be missing or null, anything unknown may be
there. A view from which absence is to be concluded must all the same be whole (promise 14).
"""

import math
from array import array
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from astica_sync.core.model import LARGEST_ID, UID_LENGTH, ModelInfo, Observation, RemoteClass
from astica_sync.core.view.sample_table import DuplicateSampleId, SampleTable
from astica_sync.core.view.uid_repair import UidRepair
from astica_sync.errors import NotAnObservation

Scalar = bool | int | float | str | None
T = TypeVar("T")

_BOM = b"\xef\xbb\xbf"


class _Envelope(msgspec.Struct, gc=False):
    status: Scalar = None
    error: msgspec.Raw = msgspec.Raw()


class _Sample(msgspec.Struct, gc=False):
    id: Scalar = None
    uid: Scalar = None


class _Sized(msgspec.Struct, gc=False):
    id: Scalar = None
    size: Scalar = None


class _Class(msgspec.Struct, gc=False):
    id: Scalar = None
    title: Scalar = None
    # Parsed class by class: all samples as objects of the parser would hold a large view twice.
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
    # Only whether it is there matters: the list of models is another answer, so a view must not be read into it.
    dataset_list: msgspec.Raw = msgspec.Raw()


class _ModelList(msgspec.Struct):
    dataset_list: list[_Model] | msgspec.UnsetType | None = msgspec.UNSET


class _Detection(msgspec.Struct):
    output: Scalar = None
    confidence: Scalar = None


@dataclass(frozen=True, slots=True)
class Status:
    """What an answer says of itself: ``text`` is OK, ERROR or something unknown in upper case ("" for none), and
    ``error`` the reason as the service wrote it."""

    text: str
    error: str


@dataclass(frozen=True, slots=True)
class Detection:
    """What a model sees in an image: the title of a class, and how sure it is from 0 to 100."""

    label: str
    confidence: float


def parse_status(body: bytes) -> Status | None:
    """The status of an answer; None when it is no whole JSON object."""
    try:
        envelope = _decode(body, _Envelope)
        return Status(_text(envelope.status).strip().upper(), _error_text(envelope.error))
    except _Unreadable:
        return None


def parse_view(
    body: bytes | memoryview, model_id: int, asked_at: float, spelling: UidRepair | None = None
) -> Observation:
    """The observation in a ``/model/view`` answer.

    Args:
        asked_at: when the request was sent, seconds since the epoch.
        spelling: completes cut uids; without it the titles that are shown do.

    Raises:
        NotAnObservation: the answer is not whole, is about something else, or does not add up to its own counts.
    """
    try:
        return _observation(_decode(body, _View), model_id, asked_at, spelling or UidRepair())
    except _Unreadable as error:
        reason = str(error)
    # Outside of the handler, so that no parser's traceback with parts of the answer hangs on it.
    raise NotAnObservation(
        f"the view of model {model_id} cannot be relied on: {reason}",
        "Nothing was concluded from it, so nothing is removed or repeated. Try again later.",
    )


def parse_sizes(body: bytes | memoryview) -> dict[int, float]:
    """The size in megabytes of each sample in a ``/model/view`` answer that shows one, by sample id.

    An observation leaves it out: nothing but taking over samples of others needs it.
    """
    sizes: dict[int, float] = {}
    try:
        dataset = _decode(body, _View).dataset
        for listed in (dataset and dataset.class_list) or ():
            raw = memoryview(listed.samples)
            for sample in () if bytes(raw[:5]) in (b"", b"null") else _decode(raw, list[_Sized]):
                size = _number(sample.size)
                if size is not None and size > 0:
                    sizes[_id(sample.id, "a sample")] = size
    except _Unreadable:
        return {}
    return sizes


def parse_models(body: bytes) -> list[ModelInfo]:
    """The models in the list answer of ``/model/list``, or of ``/model/view`` without a model id.

    Raises:
        NotAnObservation: there is no list in it, or an entry has no id.
    """
    try:
        found = _decode(body, _ModelList).dataset_list
        if found is not msgspec.UNSET:
            models = [_model_info(model) for model in found or ()]
            if len({model.model_id for model in models}) == len(models):
                return models
            reason = "a model is in it twice"
        else:
            reason = "there is no dataset_list in it"
    except _Unreadable as error:
        reason = str(error)
    raise NotAnObservation(f"the list of models cannot be relied on: {reason}", "Try again later.")


def parse_detection(body: bytes) -> Detection | None:
    """The label and confidence of a ``/detect`` answer; None when it holds no label."""
    try:
        found = _decode(body, _Detection)
    except _Unreadable:
        return None
    if found.output is None:
        return None
    confidence = found.confidence
    if isinstance(confidence, str):
        confidence = confidence.strip().removesuffix("%")
    return Detection(_text(found.output), min(100.0, max(0.0, _number(confidence) or 0.0)))


class _Unreadable(ValueError):
    """Why nothing may be concluded, in plain words."""


def _decode(body: Any, kind: type[T]) -> T:
    if bytes(body[:3]) == _BOM:
        body = memoryview(body)[3:]
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        reason = f"a field is not of its kind ({error})"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = "it is cut off or no JSON"
    raise _Unreadable(reason)


def _observation(view: _View, model_id: int, asked_at: float, spelling: UidRepair) -> Observation:
    dataset = view.dataset
    if dataset is None:
        listed = len(memoryview(view.dataset_list)) > 0
        raise _Unreadable("it is the list of models" if listed else "there is no dataset in it")
    info = _model_info(dataset)
    if info.model_id != model_id:
        raise _Unreadable(f"it is about model {info.model_id}")
    if info.classes is None or info.samples is None:
        raise _Unreadable("it does not say how many classes and samples there are")
    classes: list[RemoteClass] = []
    uids: list[str] = []
    ids = array("q")
    spelling.begin(_text(entry.title) for entry in dataset.class_list or ())
    for entry in dataset.class_list or ():
        before = len(uids)
        class_id = _id(entry.id, "a class")
        if entry.title is None:
            raise _Unreadable(f"class {class_id} has no title")
        title = _text(entry.title)
        for sample in _samples_of(entry):
            uid = _text(sample.uid)
            uids.append(uid if len(uid) >= UID_LENGTH else spelling.complete(uid, model_id, title))
            ids.append(_id(sample.id, "a sample"))
        classes.append(RemoteClass(class_id, title, len(uids) - before))
    _check_sums(info, classes)
    try:
        return Observation(info, asked_at, tuple(classes), SampleTable(classes, uids, ids), spelling.classes_known)
    except DuplicateSampleId:
        raise _Unreadable("one sample id is in it twice") from None


def _samples_of(listed: _Class) -> list[_Sample]:
    raw = memoryview(listed.samples)
    return [] if bytes(raw[:5]) in (b"", b"null") else _decode(raw, list[_Sample])


def _check_sums(info: ModelInfo, classes: list[RemoteClass]) -> None:
    samples = sum(found.samples for found in classes)
    if info.classes != len(classes):
        raise _Unreadable(f"it counts {info.classes} classes and lists {len(classes)}")
    if info.samples != samples:
        raise _Unreadable(f"it counts {info.samples} samples and lists {samples}")
    if len({found.class_id for found in classes}) != len(classes):
        raise _Unreadable("one class id is in it twice")


def _model_info(model: _Model) -> ModelInfo:
    tags = model.tags
    version = _text(model.model_version).strip()
    return ModelInfo(
        model_id=_id(model.id, "a model"),
        title=_text(model.title),
        classes=_count(model.classes),
        samples=_count(model.samples),
        size_mb=_number(model.total_size),
        trained=_truth(model.trained),
        version=version or None,
        trained_at=_number(model.date_trained) or None,
        created_at=_number(model.date_created) or None,
        type=_text(model.type),
        purpose=_text(model.purpose),
        tags=", ".join(_text(tag) for tag in tags) if isinstance(tags, list) else _text(tags),
    )


def _error_text(raw: msgspec.Raw) -> str:
    if len(memoryview(raw)) == 0:
        return ""
    try:
        found = msgspec.json.decode(memoryview(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return found if isinstance(found, str) else bytes(memoryview(raw)).decode("utf-8", "replace")


def _text(value: Scalar) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def _number(value: Scalar) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _count(value: Scalar) -> int | None:
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 <= value < 2**53 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _id(value: Scalar, what: str) -> int:
    if type(value) is int and 0 < value <= LARGEST_ID:
        return value
    number = _count(value)
    if number is None or not 0 < number <= LARGEST_ID:
        raise _Unreadable(f"{what} has no id")
    return number


def _truth(value: Scalar) -> bool | None:
    if isinstance(value, str):
        return {"1": True, "true": True, "0": False, "false": False}.get(value.strip().lower())
    return None if value is None else bool(value)
