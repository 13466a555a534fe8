"""Snapshots: the exact set of samples at one time, and the difference between two of them.

A snapshot records what the service holds when a training is requested. A managed sample is identified by its content
hash, so the backup can restore it. Of an unmanaged sample only class, uid and id are known: its bytes are not in the
backup, and the service never returns an image.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from astica_sync.core.model import (
    CONTENT_LENGTH,
    LocalSample,
    Mark,
    RemoteSample,
    content_of,
    fold_title,
    is_uid,
    make_scope,
    make_uid,
)
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
    unproven: Mapping[tuple[int, str], str] | None = None,
) -> Iterator[SnapshotSample]:
    """Every sample the service holds, each copy once, sorted by uid. The three inputs are sorted by uid;
    ``made_elsewhere`` are the ids of samples that are unmanaged whatever their uid is. ``unproven`` are the ids and
    uids of samples that were adopted without proof of their bytes, with the uids that the service shows: the version
    is trained on what the service holds, so their bytes count as unknown.

    A managed sample that the service shows in another class than it was sent to is recorded in the class shown. If its
    file is no longer in the store, another file may have taken the path, so the path in the snapshot gets a part of
    the content hash; so does that of a further copy.
    """
    unproven = unproven or {}
    for row in merge_rows(local, marks, remote):
        ours: list[RemoteSample] = []
        for sample in row.remote:
            foreign_uid = unproven.get((sample.sample_id, row.uid))
            if foreign_uid is not None or sample.sample_id in made_elsewhere:
                yield _unmanaged(sample, foreign_uid)
            else:
                ours.append(sample)
        if not ours:
            continue
        if row.local is not None:
            yield from _copies(row.local.class_title, row.local.paths[0], ours, in_store=True)
        elif row.mark is not None:
            yield from _copies(row.mark.class_title, row.mark.path, ours, in_store=False)
        else:
            yield from map(_unmanaged, ours)


def _copies(class_title: str, path: str, shown: list[RemoteSample], *, in_store: bool) -> Iterator[SnapshotSample]:
    """The copies of one managed sample as the service shows them. ``path`` is the file in the store, or where it was
    (not ``in_store``)."""
    content, copies = shown[0].uid[:32], Counter[str]()
    for sample in shown:
        at_home = fold_title(sample.class_title) == fold_title(class_title)
        title = class_title if at_home else sample.class_title
        if "/" in title or "\0" in title or title in ("", ".", ".."):
            yield _unmanaged(sample)  # no folder can have this name
            continue
        copies[title] += 1
        own = path if at_home else f"{title}/{path.rpartition('/')[2]}"
        if not (at_home and in_store and copies[title] == 1):
            own = _path_with_content(own, title, content, copies[title])
        yield ManagedSample(title, content, own)


def _unmanaged(sample: RemoteSample, foreign_uid: str | None = None) -> UnmanagedSample:
    return UnmanagedSample(sample.class_title, sample.uid if foreign_uid is None else foreign_uid, sample.sample_id)


def _path_with_content(path: str, class_title: str, content: str, copy: int) -> str:
    folder, _, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    number = f"-{copy}" if copy > 1 else ""
    return f"{folder or class_title}/{stem or 'sample'}-{content[:8]}{number}{dot}{extension}"


def to_local_samples(
    samples: Iterable[ManagedSample],
    model_id: int,
    sizes: dict[str, int],
    recipe_of: Callable[[str], str] = lambda _: "",
) -> list[LocalSample]:
    """The managed samples of a snapshot as the local side of a plan, sorted by uid.

    ``sizes`` maps content hashes to bytes; a content that is missing there gets the size 0. Copies in one class are
    one local sample. ``recipe_of`` gives the recipe by which an image is sent now (see ``make_scope``): a snapshot
    records the images, and not what they were converted to.
    """
    scopes: dict[tuple[str, str], str] = {}
    local: dict[str, LocalSample] = {}
    for sample in samples:
        title = sample.class_title
        recipe = recipe_of(sample.content)
        scope = scopes.setdefault((title, recipe), make_scope(model_id, title, recipe))
        uid = make_uid(sample.content, scope)
        paths = (*local[uid].paths, sample.path) if uid in local else (sample.path,)
        local[uid] = LocalSample(uid, title, paths, sizes.get(sample.content, 0))
    return sorted(local.values(), key=lambda sample: sample.uid)


def find_additions(snapshot: Iterable[SnapshotSample], shown: Iterable[RemoteSample]) -> list[RemoteSample]:
    """The samples that the service shows and the snapshot does not have."""
    known = set(map(_data_key, snapshot))
    return [one for one in shown if not known.intersection(_keys_of_shown(one))]


def find_missing(snapshot: Iterable[SnapshotSample], shown: Iterable[RemoteSample]) -> list[SnapshotSample]:
    """The samples of the snapshot that the service does not show."""
    there = {key for one in shown for key in _keys_of_shown(one)}
    return [sample for sample in snapshot if _data_key(sample) not in there]


def _data_key(sample: SnapshotSample) -> tuple[str | int, str]:
    """The class and content of a managed sample, the id and uid of an unmanaged one: a service may give the id of a
    removed sample to another one. Uids that the service cuts are completed differently as the store changes."""
    if isinstance(sample, UnmanagedSample):
        return (sample.sample_id, sample.uid[:CONTENT_LENGTH])
    return (fold_title(sample.class_title), sample.content)


def _keys_of_shown(sample: RemoteSample) -> Iterator[tuple[str | int, str]]:
    yield (sample.sample_id, sample.uid[:CONTENT_LENGTH])
    if is_uid(sample.uid):
        yield (fold_title(sample.class_title), content_of(sample.uid))


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
    old, new = _by_identity(before), _by_identity(after)
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


def _by_identity(samples: Iterable[SnapshotSample]) -> dict[_Key, SnapshotSample]:
    """The samples by identity; a further copy of a managed one has a negative number."""
    found: dict[_Key, SnapshotSample] = {}
    for sample in samples:
        key = _identity(sample)
        while isinstance(sample, ManagedSample) and key in found:
            key = (key[0], key[1], key[2] - 1)
        found[key] = sample
    return found


def _identity(sample: SnapshotSample) -> _Key:
    if isinstance(sample, ManagedSample):
        return (sample.class_title, sample.content, 0)
    return (sample.class_title, sample.uid, sample.sample_id)


def _image(key: _Key) -> str:
    """The content hash of a managed sample; "" for an unmanaged one, whose content is unknown."""
    return "" if key[2] > 0 else key[1]
