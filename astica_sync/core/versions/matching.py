"""Taking over samples that were made elsewhere: which of them is which local file, and how sure that is.

A pair is one remote sample and one local one of the same class. What speaks for it is the file's name inside the
foreign uid, and the size that the view shows in megabytes.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from astica_sync.core.model import LocalSample, Observation, RemoteSample, fold_title

UNITS = (1_000_000, 1 << 20)
"""The two meanings of a megabyte; the documentation does not say which."""

MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Adopted:
    """A sample that somebody else sent, under what uid of ours it is managed from now on. It is recognised by its id,
    its foreign uid and its class together, so that an id which the service uses again means nothing."""

    sample_id: int
    foreign_uid: str
    class_title: str
    uid: str


class Sure(IntEnum):
    """How certain a pair is; both name and size speak for CERTAIN, one of them for LIKELY."""

    LIKELY = 1
    CERTAIN = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """One remote sample and the local one it seems to be."""

    remote: RemoteSample
    local: LocalSample
    sure: Sure
    why: str


@dataclass(frozen=True, slots=True)
class Matching:
    """The pairs, each sample in one at most; ``lost`` remote samples have no local copy that can be told.

    ``doubles`` are pairs of which the store has sent the file as well: the service has that image twice."""

    pairs: list[Pair]
    lost: list[RemoteSample]
    doubles: tuple[Pair, ...] = ()


def rename_adopted(observation: Observation, adopted: Iterable[Adopted]) -> Observation:
    """The same observation, with the samples that were taken over under our uids."""
    known = {entry.sample_id: entry for entry in adopted}
    if not known:
        return observation
    samples = [_renamed(sample, known.get(sample.sample_id)) for sample in observation.samples]
    samples.sort(key=lambda sample: (sample.uid, sample.sample_id))
    return replace(observation, samples=tuple(samples))


def _renamed(sample: RemoteSample, entry: Adopted | None) -> RemoteSample:
    if entry is None or sample.uid != entry.foreign_uid or sample.class_title != entry.class_title:
        return sample
    return replace(sample, uid=entry.uid)


def find_pairs(
    remote: Sequence[RemoteSample], local: Sequence[LocalSample], megabytes: Mapping[int, float]
) -> Matching:
    """Pairs each remote sample with at most one local one; ``megabytes`` has the shown size of each sample id.

    Nothing is guessed: where two candidates are equally good, neither is a pair.
    """
    pairs: list[Pair] = []
    shelves = _shelve(local)
    decimals = _decimals(megabytes.values())
    unit = max(UNITS, key=lambda unit: _agreeing(remote, shelves, megabytes, unit, decimals))
    open_remote = list(remote)
    taken: set[str] = set()
    for sure, why, named, sized in (
        (Sure.CERTAIN, "name and size", True, True),
        (Sure.LIKELY, "name; the size is not shown", True, False),
        (Sure.LIKELY, "size, the only one of its class", False, True),
    ):
        links: list[tuple[RemoteSample, LocalSample]] = []
        for there in open_remote:
            size = megabytes.get(there.sample_id)
            if sized != (size is not None):
                continue
            shelf = shelves.get(fold_title(there.class_title), [])
            links += [
                (there, here)
                for here in (shelf if size is None else _of_size(shelf, size, unit, decimals))
                if here.uid not in taken and (not named or _is_named(there.uid, here))
            ]
        found = _one_to_one(links)
        pairs += [Pair(there, here, sure, why) for there, here in found]
        taken |= {here.uid for _, here in found}
        done = {there.sample_id for there, _ in found}
        open_remote = [there for there in open_remote if there.sample_id not in done]
    pairs.sort(key=lambda pair: (-pair.sure, pair.local.paths[0]))
    return Matching(pairs, open_remote)


def find_doubles(found: Matching, sent: Sequence[LocalSample], megabytes: Mapping[int, float]) -> Matching:
    """The same pairing, in which those of the lost that the store has sent as well are told apart."""
    again = find_pairs(found.lost, sent, megabytes)
    return replace(found, lost=again.lost, doubles=tuple(again.pairs))


def _one_to_one(links: list[tuple[RemoteSample, LocalSample]]) -> list[tuple[RemoteSample, LocalSample]]:
    theirs = Counter(there.sample_id for there, _ in links)
    ours = Counter(here.uid for _, here in links)
    return [(there, here) for there, here in links if theirs[there.sample_id] == 1 and ours[here.uid] == 1]


def _is_named(uid: str, local: LocalSample) -> bool:
    """Whether the uid holds the name of one of the files: ``IMG_1.jpg_83721``, and not ``XIMG_1.jpg``."""
    for path in local.paths:
        name = path.rpartition("/")[2]
        stem = name.rpartition(".")[0]
        for text in (name, stem):
            if len(text) >= 3 and re.search(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])", uid, re.IGNORECASE):
                return True
    return False


def _shelve(local: Iterable[LocalSample]) -> dict[str, list[LocalSample]]:
    """The samples of each class by size, so that those of one size are found without looking at all."""
    shelves: dict[str, list[LocalSample]] = defaultdict(list)
    for sample in sorted(local, key=lambda sample: sample.size):
        shelves[fold_title(sample.class_title)].append(sample)
    return shelves


def _of_size(shelf: list[LocalSample], megabytes: float, unit: int, decimals: int) -> list[LocalSample]:
    """Those whose size in bytes was rounded, or cut, to these megabytes."""
    step = unit / math.pow(10, decimals)
    first = bisect_left(shelf, (megabytes * unit) - step / 2, key=lambda sample: sample.size)
    last = bisect_right(shelf, (megabytes * unit) + step, key=lambda sample: sample.size)
    return shelf[first:last]


def _decimals(shown: Iterable[float]) -> int:
    """How many decimals the service shows, by the longest figure there is."""
    longest = max((len(f"{value:.{MOST_DECIMALS}f}".rstrip("0").partition(".")[2]) for value in shown), default=0)
    return max(1, longest)


def _agreeing(
    remote: Iterable[RemoteSample],
    shelves: Mapping[str, list[LocalSample]],
    megabytes: Mapping[int, float],
    unit: int,
    decimals: int,
) -> int:
    """How many samples have a file of their name and size, where a megabyte means so many bytes."""
    return sum(
        any(
            _is_named(there.uid, here)
            for here in _of_size(
                shelves.get(fold_title(there.class_title), []), megabytes[there.sample_id], unit, decimals
            )
        )
        for there in remote
        if there.sample_id in megabytes
    )
