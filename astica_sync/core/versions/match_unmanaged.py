"""Matches unmanaged samples with local files, so that they can be adopted instead of being uploaded again.

A pair is one remote and one local sample of the same class. Evidence for a pair is the file's name inside the foreign
uid, and the size that the service shows in megabytes.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from astica_sync.core.model import LocalSample, Observation, RemoteSample, fold_title
from astica_sync.core.observation.shown_size import BYTES_PER_MEGABYTE, MAX_DECIMALS, count_decimals


@dataclass(frozen=True, slots=True)
class Adopted:
    """An adopted sample: ``uid`` is the uid under which it is managed.

    It is recognised by sample id, foreign uid and class together, so that an id the service reuses does not match.
    ``is_certain`` is False where the pair was a likely one, whose local file may well have other bytes than the sample.
    """

    sample_id: int
    foreign_uid: str
    class_title: str
    uid: str
    is_certain: bool = True


class Certainty(IntEnum):
    """How certain a pair is: CERTAIN if both name and size match to the byte, LIKELY if less does."""

    LIKELY = 1
    CERTAIN = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """One remote sample and the local sample it seems to be; ``why`` names the evidence."""

    remote: RemoteSample
    local: LocalSample
    certainty: Certainty
    why: str


@dataclass(frozen=True, slots=True)
class Matching:
    """The result of a matching; each sample is in at most one pair.

    ``unmatched`` remote samples have no local file that can be identified. ``duplicates`` are pairs whose local sample
    the store has uploaded as well, so the service has the image twice.
    """

    pairs: list[Pair]
    unmatched: list[RemoteSample]
    duplicates: tuple[Pair, ...] = ()


def rename_adopted(observation: Observation, adopted: Iterable[Adopted]) -> Observation:
    """The observation with each adopted sample under its uid in this store."""
    known = {entry.sample_id: entry for entry in adopted}
    if not known:
        return observation
    samples = [_renamed(sample, known.get(sample.sample_id)) for sample in observation.samples]
    samples.sort(key=lambda sample: (sample.uid, sample.sample_id))
    return replace(observation, samples=tuple(samples))


def find_unproven(adopted: Iterable[Adopted]) -> set[tuple[int, str]]:
    """The ids and uids of the adopted samples. Name and size are no proof of the bytes, which may be nowhere but on the
    service, and the notes about them may have been planted."""
    return {(entry.sample_id, entry.uid) for entry in adopted}


def find_likely(adopted: Iterable[Adopted]) -> dict[tuple[int, str], str]:
    """The ids and uids of the samples that were adopted by a likely pair, each with its foreign uid."""
    return {(entry.sample_id, entry.uid): entry.foreign_uid for entry in adopted if not entry.is_certain}


def _renamed(sample: RemoteSample, entry: Adopted | None) -> RemoteSample:
    if entry is None or sample.uid != entry.foreign_uid or sample.class_title != entry.class_title:
        return sample
    # The user has said that it is this image, whatever size the service shows.
    return replace(sample, uid=entry.uid, size=0.0)


def find_pairs(
    remote: Sequence[RemoteSample], local: Sequence[LocalSample], megabytes: Mapping[int, float]
) -> Matching:
    """Pairs each remote sample with at most one local sample.

    ``megabytes`` maps sample ids to the sizes the service shows. If two candidates are equally good, neither is
    chosen.
    """
    pairs: list[Pair] = []
    by_class = _by_class(local)
    decimals = count_decimals(megabytes.values())
    unit = max(BYTES_PER_MEGABYTE, key=lambda unit: _count_agreeing(remote, by_class, megabytes, unit, decimals))
    open_remote = list(remote)
    taken: set[str] = set()
    # A size that is rounded to more than a byte fits other images too.
    exact = decimals >= MAX_DECIMALS
    for certainty, why, named, sized in (
        (Certainty.CERTAIN, "name and size", True, True)
        if exact
        else (Certainty.LIKELY, "name and rounded size", True, True),
        (Certainty.LIKELY, "name; the service shows no size", True, False),
        (Certainty.LIKELY, "size, the only one in its class", False, True),
    ):
        candidates: list[tuple[RemoteSample, LocalSample]] = []
        for theirs in open_remote:
            size = megabytes.get(theirs.sample_id)
            if sized != (size is not None):
                continue
            own_class = by_class.get(fold_title(theirs.class_title), [])
            candidates += [
                (theirs, ours)
                for ours in (own_class if size is None else _of_size(own_class, size, unit, decimals))
                if ours.uid not in taken and (not named or _is_named(theirs.uid, ours))
            ]
        unique = _one_to_one(candidates)
        pairs += [Pair(theirs, ours, certainty, why) for theirs, ours in unique]
        taken |= {ours.uid for _, ours in unique}
        done = {theirs.sample_id for theirs, _ in unique}
        open_remote = [theirs for theirs in open_remote if theirs.sample_id not in done]
    pairs.sort(key=lambda pair: (-pair.certainty, pair.local.paths[0]))
    return Matching(pairs, open_remote)


def find_duplicates(matching: Matching, sent: Sequence[LocalSample], megabytes: Mapping[int, float]) -> Matching:
    """The same matching, with those of the unmatched samples that the store has sent as well moved to
    ``duplicates``."""
    again = find_pairs(matching.unmatched, sent, megabytes)
    return replace(matching, unmatched=again.unmatched, duplicates=tuple(again.pairs))


def _one_to_one(candidates: list[tuple[RemoteSample, LocalSample]]) -> list[tuple[RemoteSample, LocalSample]]:
    remote_uses = Counter(theirs.sample_id for theirs, _ in candidates)
    local_uses = Counter(ours.uid for _, ours in candidates)
    return [
        (theirs, ours)
        for theirs, ours in candidates
        if remote_uses[theirs.sample_id] == 1 and local_uses[ours.uid] == 1
    ]


def _is_named(uid: str, local: LocalSample) -> bool:
    """Whether the uid contains the name of one of the files: ``IMG_1.jpg_83721``, but not ``XIMG_1.jpg``."""
    for path in local.paths:
        name = path.rpartition("/")[2]
        stem = name.rpartition(".")[0]
        for text in (name, stem):
            if len(text) >= 3 and re.search(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])", uid, re.IGNORECASE):
                return True
    return False


def _by_class(local: Iterable[LocalSample]) -> dict[str, list[LocalSample]]:
    """The samples of each class, sorted by size for ``_of_size``."""
    by_class: dict[str, list[LocalSample]] = defaultdict(list)
    for sample in sorted(local, key=lambda sample: sample.size):
        by_class[fold_title(sample.class_title)].append(sample)
    return by_class


def _of_size(by_size: list[LocalSample], megabytes: float, unit: int, decimals: int) -> list[LocalSample]:
    """The samples whose size in bytes gives these megabytes when it is rounded or truncated."""
    step = unit / math.pow(10, decimals)
    first = bisect_left(by_size, (megabytes * unit) - step / 2, key=lambda sample: sample.size)
    last = bisect_right(by_size, (megabytes * unit) + step, key=lambda sample: sample.size)
    return by_size[first:last]


def _count_agreeing(
    remote: Iterable[RemoteSample],
    by_class: Mapping[str, list[LocalSample]],
    megabytes: Mapping[int, float],
    unit: int,
    decimals: int,
) -> int:
    """How many remote samples have a file of their name and size, if a megabyte is ``unit`` bytes."""
    return sum(
        any(
            _is_named(theirs.uid, ours)
            for ours in _of_size(
                by_class.get(fold_title(theirs.class_title), []), megabytes[theirs.sample_id], unit, decimals
            )
        )
        for theirs in remote
        if theirs.sample_id in megabytes
    )
