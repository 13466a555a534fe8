"""The nouns: samples as the store has them, as the service has them, and what was agreed about each.

A *sample* is one image in one class: its identity is (class, content hash). The ``uid`` says both, so every
comparison in this program is a comparison of uids.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

CONTENT_LENGTH = 32
SCOPE_LENGTH = 8
UID_LENGTH = CONTENT_LENGTH + 1 + SCOPE_LENGTH

LARGEST_ID = 2**63 - 1
"""Ids of models, classes and samples are positive; a larger number is none."""

_UID = re.compile(r"([0-9a-f]{32})-([0-9a-f]{8})")
_UID_START = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{0,7})?")


def make_scope(model_id: int, class_title: str, recipe: str = "") -> str:
    """The second half of a uid: 8 hex digits that depend on model, class and the preparation recipe (none yet)."""
    text = f"{model_id}\0{class_title}\0{recipe}".encode()
    return hashlib.blake2s(text, digest_size=SCOPE_LENGTH // 2).hexdigest()


def make_uid(content: str, scope: str) -> str:
    """What is sent as the service's ``uid``; 41 characters, unique in the whole account."""
    return f"{content}-{scope}"


def content_of(uid: str) -> str:
    """The content hash in a uid of ours.

    Raises:
        ValueError: the text is not a uid of ours.
    """
    match = _UID.fullmatch(uid)
    if match is None:
        raise ValueError(f"not a uid of astica-sync: {uid!r}")
    return match[1]


def is_uid(text: str) -> bool:
    """Whether the text has the form of our uids. A form alone makes nothing ours: a mark does."""
    return _UID.fullmatch(text) is not None


def complete_uid(text: str, model_id: int, class_title: str) -> str:
    """The whole uid behind one that the service has cut, where the content hash survived; else the text as it is.

    A service that cuts long uids still shows in which class a sample lies, and that is all the lost part says.
    """
    if _UID_START.fullmatch(text) is None:
        return text
    whole = make_uid(text[:CONTENT_LENGTH], make_scope(model_id, class_title))
    return whole if whole.startswith(text) else text


def fold_title(title: str) -> str:
    """The form under which two class titles may be one on the service: case, outer spaces, Unicode form aside."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", title).strip().casefold())


@dataclass(frozen=True, slots=True)
class LocalSample:
    """One sample of the store. ``paths`` are all files that hold it, relative to the store, the first one sorted."""

    uid: str
    class_title: str
    paths: tuple[str, ...]
    size: int

    @property
    def content(self) -> str:
        return self.uid[:CONTENT_LENGTH]


@dataclass(frozen=True, slots=True)
class RemoteSample:
    """One sample as an observation shows it; ``class_title`` is the service's spelling."""

    uid: str
    sample_id: int
    class_id: int
    class_title: str


@dataclass(frozen=True, slots=True)
class RemoteClass:
    """One class as an observation shows it."""

    class_id: int
    title: str
    samples: int


class MarkState(StrEnum):
    """*attempted*: a request about this sample began and its outcome is unknown; *agreed*: the service confirmed
    or showed the sample."""

    ATTEMPTED = "attempted"
    AGREED = "agreed"


@dataclass(frozen=True, slots=True)
class Mark:
    """The journal's word on one sample.

    ``sent_at`` is when the last request about it was sent (seconds since the epoch, on the clock of the run that
    sent it), ``run`` which run of the program that was, ``path`` the file that held the sample then.
    """

    uid: str
    class_title: str
    state: MarkState
    sent_at: float | None
    run: str
    path: str

    @property
    def content(self) -> str:
        return self.uid[:CONTENT_LENGTH]


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is in the store but cannot be a sample, and why. ``path`` is relative to the store."""

    path: str
    reason: str


class Presence(StrEnum):
    """What a scan knows of one sample."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The part of the store a scan could not see; from there nothing may be called absent (promise 3)."""

    everything: bool = False
    classes: frozenset[str] = frozenset()

    def hides(self, class_title: str) -> bool:
        return self.everything or class_title in self.classes

    def __bool__(self) -> bool:
        return self.everything or bool(self.classes)


ALL_READABLE = Unreadable()
"""A scan that saw everything."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of the account, as the service lists it; times are seconds since the epoch, sizes megabytes."""

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
    """The remote at one instant: one complete ``/model/view`` answer that adds up (promise 14).

    ``asked_at`` is when the request was sent. ``samples`` is sorted by uid, then by sample id. ``classes_told`` is
    False where a uid was cut so far that it is the same for one image in any class. ``name`` is the same for equal
    observations alone; without one nothing is known of that.
    """

    model: ModelInfo
    asked_at: float
    classes: tuple[RemoteClass, ...]
    samples: Sequence[RemoteSample]
    classes_told: bool = True
    name: str = field(default="", compare=False)

    def __iter__(self) -> Iterator[RemoteSample]:
        return iter(self.samples)
