"""Snapshots: the exact set of samples at one moment, and what differs between two of them.

A snapshot is what the service holds when a training is asked for. What is managed is named by its content, so that the
backup can give it back; of what was made elsewhere only its place is known, since the service gives no image back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from astica_sync.core.model import LocalSample, Mark, RemoteSample, make_scope, make_uid
from astica_sync.core.plan.join import merge_rows


@dataclass(frozen=True, slots=True)
class Pinned:
    """One managed sample of a snapshot. ``path`` is relative to the store, unique in its snapshot."""

    class_title: str
    content: str
    path: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One sample of a snapshot that was made elsewhere: the version learned it, and nobody here has its bytes."""

    class_title: str
    uid: str
    sample_id: int


SnapshotSample = Pinned | Elsewhere


def freeze(
    local: Iterable[LocalSample], marks: Iterable[Mark], remote: Iterable[RemoteSample]
) -> Iterator[SnapshotSample]:
    """Everything the service holds, each sample once, sorted by uid; the three sides come sorted by uid.

    A sample is filed under the class it was sent to. Of one whose file is not in the store any more the path may be
    another file's by now, so it is told apart by its content.
    """
    for row in merge_rows(local, marks, remote):
        if not row.remote:
            continue
        content = row.uid[:32]
        if row.local is not None:
            yield Pinned(row.local.class_title, content, row.local.paths[0])
        elif row.mark is not None:
            yield Pinned(row.mark.class_title, content, _own_path(row.mark.path, row.mark.class_title, content))
        else:
            yield from (Elsewhere(sample.class_title, sample.uid, sample.sample_id) for sample in row.remote)


def _own_path(path: str, class_title: str, content: str) -> str:
    folder, _, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    return f"{folder or class_title}/{stem or 'sample'}-{content[:8]}{dot}{extension}"


def as_local(samples: Iterable[Pinned], model_id: int, sizes: dict[str, int]) -> list[LocalSample]:
    """The managed samples of a snapshot as the side that a plan makes the service equal to, sorted by uid.

    ``sizes`` has the bytes of each content; one that is not in it counts as empty.
    """
    scopes: dict[str, str] = {}
    found = []
    for sample in samples:
        title = sample.class_title
        scope = scopes.setdefault(title, make_scope(model_id, title))
        uid = make_uid(sample.content, scope)
        found.append(LocalSample(uid, title, (sample.path,), sizes.get(sample.content, 0)))
    return sorted(found, key=lambda sample: sample.uid)


@dataclass(frozen=True, slots=True)
class Move:
    """One image that is in another class than before."""

    content: str
    before: str
    after: str


@dataclass(slots=True)
class Diff:
    """What differs between two snapshots. A sample made elsewhere counts as added or removed, never as moved."""

    added: list[SnapshotSample] = field(default_factory=list)
    removed: list[SnapshotSample] = field(default_factory=list)
    moved: list[Move] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved)

    def per_class(self) -> dict[str, tuple[int, int, int, int]]:
        """Of each class that changed: how many were added, were removed, moved in and moved out."""
        counts: dict[str, list[int]] = {}
        for place, titles in enumerate(
            (
                (sample.class_title for sample in self.added),
                (sample.class_title for sample in self.removed),
                (move.after for move in self.moved),
                (move.before for move in self.moved),
            )
        ):
            for title in titles:
                counts.setdefault(title, [0, 0, 0, 0])[place] += 1
        return {title: (row[0], row[1], row[2], row[3]) for title, row in sorted(counts.items())}


def diff(before: Iterable[SnapshotSample], after: Iterable[SnapshotSample]) -> Diff:
    """What came, what went, and what moved to another class: one image that left some classes and came to others."""
    old, new = {_identity(sample): sample for sample in before}, {_identity(sample): sample for sample in after}
    found = Diff()
    gone = sorted(((_image(key), key) for key in old.keys() - new.keys()), key=_order)
    came = sorted(((_image(key), key) for key in new.keys() - old.keys()), key=_order)
    left = {image: [key for _, key in keys] for image, keys in groupby(gone, key=lambda entry: entry[0])}
    for image, key in came:
        places = left.get(image) if image else None
        if places:
            previous = places.pop(0)
            found.moved.append(Move(image, previous[0], key[0]))
        else:
            found.added.append(new[key])
    found.removed.extend(old[key] for keys in left.values() for key in keys)
    found.removed.sort(key=_identity)
    return found


_Key = tuple[str, str, int]


def _identity(sample: SnapshotSample) -> _Key:
    if isinstance(sample, Pinned):
        return (sample.class_title, sample.content, 0)
    return (sample.class_title, sample.uid, sample.sample_id)


def _image(key: _Key) -> str:
    """The content of a managed sample; "" for what was made elsewhere, which nothing can recognise."""
    return "" if key[2] else key[1]


def _order(entry: tuple[str, _Key]) -> tuple[str, _Key]:
    return entry
