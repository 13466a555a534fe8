"""Snapshots: the exact set of samples at one time, and the difference between two of them.

A snapshot records what the service holds when a training is requested. A managed sample is identified by its content
hash, so the backup can restore it. Of an unmanaged sample only class, uid and id are known: its bytes are not in the
backup, and the service never returns an image.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from astica_sync.core.model import LocalSample, Mark, RemoteSample, make_scope, make_uid
from astica_sync.core.plan.join import merge_rows


@dataclass(frozen=True, slots=True)
class ManagedSample:
    """One managed sample of a snapshot. ``path`` is relative to the store and unique in the snapshot."""

    class_title: str
    content: str
    path: str


@dataclass(frozen=True, slots=True)
class UnmanagedSample:
    """One unmanaged sample of a snapshot: the version was trained on it, but its bytes are not in the backup."""

    class_title: str
    uid: str
    sample_id: int


SnapshotSample = ManagedSample | UnmanagedSample


def freeze(
    local: Iterable[LocalSample],
    marks: Iterable[Mark],
    remote: Iterable[RemoteSample],
    made_elsewhere: Container[int] = frozenset(),
) -> Iterator[SnapshotSample]:
    """Every sample the service holds, once each, sorted by uid. The three inputs are sorted by uid; ``made_elsewhere``
    are the ids of samples that are unmanaged whatever their uid is.

    The class of a managed sample is the one it was sent to. If its file is no longer in the store, another file may
    have taken the path, so the path in the snapshot gets a part of the content hash.
    """
    for row in merge_rows(local, marks, remote):
        yield from (_unmanaged(sample) for sample in row.remote if sample.sample_id in made_elsewhere)
        ours = [sample for sample in row.remote if sample.sample_id not in made_elsewhere]
        if not ours:
            continue
        content = row.uid[:32]
        if row.local is not None:
            yield ManagedSample(row.local.class_title, content, row.local.paths[0])
        elif row.mark is not None:
            path = _path_with_content(row.mark.path, row.mark.class_title, content)
            yield ManagedSample(row.mark.class_title, content, path)
        else:
            yield from map(_unmanaged, ours)


def _unmanaged(sample: RemoteSample) -> UnmanagedSample:
    return UnmanagedSample(sample.class_title, sample.uid, sample.sample_id)


def _path_with_content(path: str, class_title: str, content: str) -> str:
    folder, _, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    return f"{folder or class_title}/{stem or 'sample'}-{content[:8]}{dot}{extension}"


def to_local_samples(samples: Iterable[ManagedSample], model_id: int, sizes: dict[str, int]) -> list[LocalSample]:
    """The managed samples of a snapshot as the local side of a plan, sorted by uid.

    ``sizes`` maps content hashes to bytes; a content that is missing there gets the size 0.
    """
    scopes: dict[str, str] = {}
    local = []
    for sample in samples:
        title = sample.class_title
        scope = scopes.setdefault(title, make_scope(model_id, title))
        uid = make_uid(sample.content, scope)
        local.append(LocalSample(uid, title, (sample.path,), sizes.get(sample.content, 0)))
    return sorted(local, key=lambda sample: sample.uid)


def find_additions(
    snapshot: Iterable[SnapshotSample], shown: Iterable[RemoteSample], model_id: int
) -> list[RemoteSample]:
    """The samples that the service shows and the snapshot does not have."""
    uids: set[str] = set()
    unmanaged: set[int] = set()
    scopes: dict[str, str] = {}
    for sample in snapshot:
        if isinstance(sample, ManagedSample):
            title = sample.class_title
            uids.add(make_uid(sample.content, scopes.setdefault(title, make_scope(model_id, title))))
        else:
            unmanaged.add(sample.sample_id)
    return [one for one in shown if one.uid not in uids and one.sample_id not in unmanaged]


@dataclass(frozen=True, slots=True)
class Move:
    """One image that moved from the class ``before`` to the class ``after``."""

    content: str
    before: str
    after: str


@dataclass(slots=True)
class SnapshotDiff:
    """The difference between two snapshots. An unmanaged sample counts as added or removed, never as moved."""

    added: list[SnapshotSample] = field(default_factory=list)
    removed: list[SnapshotSample] = field(default_factory=list)
    moved: list[Move] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved)

    def per_class(self) -> dict[str, tuple[int, int, int, int]]:
        """For each class that changed: how many samples were added, removed, moved in and moved out."""
        counts: dict[str, list[int]] = {}
        for column, titles in enumerate(
            (
                (sample.class_title for sample in self.added),
                (sample.class_title for sample in self.removed),
                (move.after for move in self.moved),
                (move.before for move in self.moved),
            )
        ):
            for title in titles:
                counts.setdefault(title, [0, 0, 0, 0])[column] += 1
        return {title: (row[0], row[1], row[2], row[3]) for title, row in sorted(counts.items())}


def diff(before: Iterable[SnapshotSample], after: Iterable[SnapshotSample]) -> SnapshotDiff:
    """What was added, removed or moved. An image counts as moved if it left one class and appeared in another."""
    old, new = {_identity(sample): sample for sample in before}, {_identity(sample): sample for sample in after}
    result = SnapshotDiff()
    missing = sorted((_image(key), key) for key in old.keys() - new.keys())
    appeared = sorted((_image(key), key) for key in new.keys() - old.keys())
    left = {image: [key for _, key in keys] for image, keys in groupby(missing, key=lambda entry: entry[0])}
    for image, key in appeared:
        old_keys = left.get(image) if image else None
        if old_keys:
            previous = old_keys.pop(0)
            result.moved.append(Move(image, previous[0], key[0]))
        else:
            result.added.append(new[key])
    result.removed.extend(old[key] for keys in left.values() for key in keys)
    result.removed.sort(key=_identity)
    return result


_Key = tuple[str, str, int]


def _identity(sample: SnapshotSample) -> _Key:
    if isinstance(sample, ManagedSample):
        return (sample.class_title, sample.content, 0)
    return (sample.class_title, sample.uid, sample.sample_id)


def _image(key: _Key) -> str:
    """The content hash of a managed sample; "" for an unmanaged one, whose content is unknown."""
    return "" if key[2] else key[1]
