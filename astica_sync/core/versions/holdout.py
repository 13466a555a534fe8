"""Which images to hold out: whole groups of pictures that are alike, a share of each class, the same for one seed."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file of the store; ``group`` is the same for pictures that are alike."""

    path: str
    class_title: str
    group: int


def choose_held_out(candidates: Sequence[Candidate], share: float, seed: int) -> list[Candidate]:
    """The files to hold out, sorted by path.

    Of each class about ``share`` of the files, taken by whole groups, so that no picture stays on the other side of
    one that is like it. A group counts for the class that most of its files are in. At least one group of each class
    stays in the store; a class of one group gives nothing.
    """
    groups: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.group].append(candidate)
    by_class: dict[str, list[list[Candidate]]] = defaultdict(list)
    for members in groups.values():
        members.sort(key=lambda candidate: candidate.path)
        titles = Counter(candidate.class_title for candidate in members)
        home = min(titles, key=lambda title: (-titles[title], title))
        by_class[home].append(members)
    chosen: list[Candidate] = []
    for _, own in sorted(by_class.items()):
        own.sort(key=lambda members: _draw(members[0].path, seed))
        wanted = share * sum(len(members) for members in own)
        taken = 0
        for members in own[:-1]:
            # A group that would overshoot by more than it falls short now is passed over for a smaller one.
            if taken + len(members) / 2 <= wanted:
                chosen += members
                taken += len(members)
    return sorted(chosen, key=lambda candidate: candidate.path)


def _draw(path: str, seed: int) -> bytes:
    """A place in an order that the seed shuffles, and that does not depend on what else is there."""
    return hashlib.blake2s(f"{seed}\0{path}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
