"""The data model: samples of the store, samples of the service, and marks.

A *sample* is one image in one class: its identity is (class, content hash). The ``uid`` encodes both, so samples are
always compared by uid.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

CONTENT_LENGTH = 32
SCOPE_LENGTH = 8
UID_LENGTH = CONTENT_LENGTH + 1 + SCOPE_LENGTH

LARGEST_ID = 2**63 - 1
"""Ids of models, classes and samples lie between 1 and this number."""

_UID = re.compile(r"([0-9a-f]{32})-([0-9a-f]{8})")
_UID_START = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{0,7})?")


def make_scope(model_id: int, class_title: str, recipe: str = "") -> str:
    """The second part of a uid: 8 hex digits derived from model id, class title and, for an image that is converted by
    another recipe than the default one, the ``identity`` of that recipe."""
    text = f"{model_id}\0{class_title}\0{recipe}".encode()
    return hashlib.blake2s(text, digest_size=SCOPE_LENGTH // 2).hexdigest()


def find_equal_scopes(model_id: int, titles: Iterable[str], recipe: str = "") -> tuple[str, str] | None:
    """Two class titles of one scope, if there are any: an image in both would be one sample. Such titles are made on
    purpose, or one pair in four thousand million."""
    found: dict[str, str] = {}
    for title in sorted(titles):
        for scope in {make_scope(model_id, title), make_scope(model_id, title, recipe)}:
            other = found.setdefault(scope, title)
            if other != title:
                return other, title
    return None


def make_uid(content: str, scope: str) -> str:
    """The value of the service's ``uid`` field: 41 characters, unique in the account."""
    return f"{content}-{scope}"


def content_of(uid: str) -> str:
    """The content hash of a uid.

    Raises:
        ValueError: the text does not have the form of a uid.
    """
    match = _UID.fullmatch(uid)
    if match is None:
        raise ValueError(f"not a uid of astica-sync: {uid!r}")
    return match[1]


def is_uid(text: str) -> bool:
    """Whether the text has the form of a uid. This does not make the sample managed: only a mark does."""
    return _UID.fullmatch(text) is not None


def content_in_class(uid: str, model_id: int, class_title: str, recipes: Iterable[str] = ("",)) -> str:
    """The content hash of a uid of this class, of an image that is sent by one of the recipes (see ``make_scope``); ""
    for any other text."""
    return content_of(uid) if recipe_in(uid, model_id, class_title, recipes) is not None else ""


def recipe_in(uid: str, model_id: int, class_title: str, recipes: Iterable[str]) -> str | None:
    """The one of these recipes by which the sample of a uid of this class was made; None for any other text."""
    match = _UID.fullmatch(uid)
    if match is None:
        return None
    return next((recipe for recipe in recipes if match[2] == make_scope(model_id, class_title, recipe)), None)


def complete_uid(text: str, model_id: int, class_title: str, recipe: str = "") -> str:
    """Restores a uid that the service has truncated after its content hash; returns any other text unchanged.

    The lost part depends on model, class and recipe alone, and an observation shows the class of each sample.
    """
    if _UID_START.fullmatch(text) is None:
        return text
    whole = make_uid(text[:CONTENT_LENGTH], make_scope(model_id, class_title, recipe))
    return whole if whole.startswith(text) else text


def fold_title(title: str) -> str:
    """The title without differences in case, outer spaces and Unicode form, which a service may ignore."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", title).strip().casefold())


@dataclass(frozen=True, slots=True)
class LocalSample:
    """One sample of the store. ``paths`` are the files of the class that have this content, relative to the store; the
    first one is the first in sort order."""

    uid: str
    class_title: str
    paths: tuple[str, ...]
    size: int

    @property
    def content(self) -> str:
        return self.uid[:CONTENT_LENGTH]


@dataclass(frozen=True, slots=True)
class RemoteSample:
    """One sample of an observation. ``class_title`` is spelled as the service spells it; ``size`` is in megabytes, 0
    where it is not shown."""

    uid: str
    sample_id: int
    class_id: int
    class_title: str
    size: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class RemoteClass:
    """One class of an observation, with its number of samples."""

    class_id: int
    title: str
    samples: int


class MarkState(StrEnum):
    """*attempted*: a request about this sample was started and its outcome is unknown. *agreed*: the service confirmed
    the sample, or an observation showed it. *removed*: the service confirmed the removal of an agreed sample."""

    ATTEMPTED = "attempted"
    AGREED = "agreed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Mark:
    """The state of one sample in the journal.

    ``sent_at`` is when the last request about the sample was sent, in seconds since the epoch by the clock of the run
    that sent it; of a removed sample, when the service confirmed that. ``run`` identifies that run of the program.
    ``path`` is the file that held the sample at that time. ``removed_ids`` are the sample ids whose removal was
    requested since the sample was last shown, or within a quarantine before it was last uploaded; ``gone_ids`` those of
    them whose removal the service has confirmed while that of another copy, or that upload, was open; ``upload_open``
    says that the outcome of an upload was unknown when the first of the others was requested, or is unknown now.
    """

    uid: str
    class_title: str
    state: MarkState
    sent_at: float | None
    run: str
    path: str
    removed_ids: tuple[int, ...] = ()
    upload_open: bool = False
    gone_ids: tuple[int, ...] = ()

    @property
    def content(self) -> str:
        return self.uid[:CONTENT_LENGTH]


@dataclass(frozen=True, slots=True)
class Problem:
    """A file of the store that cannot be a sample, and the reason. ``path`` is relative to the store."""

    path: str
    reason: str


class Presence(StrEnum):
    """Whether a scan found a sample in the store."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The part of the store that a scan could not read. No sample in it counts as absent (promise 3)."""

    everything: bool = False
    classes: frozenset[str] = frozenset()

    def covers(self, class_title: str) -> bool:
        return self.everything or class_title in self.classes

    def __bool__(self) -> bool:
        return self.everything or bool(self.classes)


ALL_READABLE = Unreadable()
"""The result of a scan that could read the whole store."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of the account, as the service lists it. Times are in seconds since the epoch, sizes in megabytes."""

    model_id: int
    title: str
    classes: int | None = None
    samples: int | None = None
    size_mb: float | None = None
    trained: bool | None = None
    version: str | None = None
    trained_at: float | None = None
    created_at: float | None = None
    type: str = ""
    purpose: str = ""
    tags: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The content of a model at one instant: one complete ``/model/view`` answer that adds up (promise 14).

    ``asked_at`` is when the request was sent. ``samples`` is sorted by uid, then by sample id. ``classes_known`` is
    False where the service truncated a uid to its content hash, so that it no longer depends on the class.
    ``size_decimals`` is how exact the sizes of samples are, 0 where none is shown. Two observations with the same
    non-empty ``name`` are equal.
    """

    model: ModelInfo
    asked_at: float
    classes: tuple[RemoteClass, ...]
    samples: Sequence[RemoteSample]
    classes_known: bool = True
    size_decimals: int = field(default=0, compare=False)
    name: str = field(default="", compare=False)

    def __iter__(self) -> Iterator[RemoteSample]:
        return iter(self.samples)
