"""Chooses the images to hold out: a share of each class, similar images together, the same choice for the same seed."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupedFile:
    """One file of the store. Files of similar images have the same ``group``."""

    path: str
    class_title: str
    group: int


def choose_held_out(files: Sequence[GroupedFile], share: float, seed: int) -> list[GroupedFile]:
    """The files to hold out, sorted by path.

    Takes about ``share`` of the files of each class, in whole groups, so that similar images are never on both sides.
    A group counts for the class that most of its files are in. At least one group of each class stays in the store, so
    a class with a single group contributes nothing.
    """
    chosen: list[GroupedFile] = []
    for _, own in sorted(_groups_by_class(files, seed).items()):
        chosen += _take(own[:-1], share * sum(map(len, own)))
    return sorted(chosen, key=lambda file: file.path)


def choose_more(
    files: Sequence[GroupedFile],
    staying: Collection[int],
    held_out: Mapping[int, Mapping[str, int]],
    share: float,
    seed: int,
) -> list[GroupedFile]:
    """The files to hold out in addition to those that are, sorted by path; no group changes its side.

    ``staying`` are the groups that were in the store when images were held out, and ``held_out`` those of held-out
    images, with how many there are in each class. A group in both stays. Other files of a held-out group join it. Of
    the new groups so many are taken that the held-out files are about ``share`` of all files of a class.
    """
    by_class = _groups_by_class(files, seed)
    chosen: list[GroupedFile] = []
    for title, own in sorted(by_class.items()):
        already = sum(counts.get(title, 0) for counts in held_out.values())
        wanted = share * (already + sum(map(len, own))) - already
        new: list[list[GroupedFile]] = []
        for members in own:
            group = members[0].group
            if group in held_out and group not in staying:
                chosen += members
                wanted -= len(members)
            elif group not in staying:
                new.append(members)
        stays = any(members[0].group in staying for members in own)
        chosen += _take(new if stays else new[:-1], wanted)
    return sorted(chosen, key=lambda file: file.path)


def _groups_by_class(files: Sequence[GroupedFile], seed: int) -> dict[str, list[list[GroupedFile]]]:
    """The groups of each class that most files of the group are in, in the order that the seed gives."""
    groups: dict[int, list[GroupedFile]] = defaultdict(list)
    for file in files:
        groups[file.group].append(file)
    by_class: dict[str, list[list[GroupedFile]]] = defaultdict(list)
    for members in groups.values():
        members.sort(key=lambda file: file.path)
        titles = Counter(file.class_title for file in members)
        main_class = min(titles, key=lambda title: (-titles[title], title))
        by_class[main_class].append(members)
    for own in by_class.values():
        own.sort(key=lambda members: _shuffle_key(members[0].path, seed))
    return by_class


def _take(groups: Sequence[list[GroupedFile]], wanted: float) -> list[GroupedFile]:
    """About so many files, the first ones, in whole groups."""
    chosen: list[GroupedFile] = []
    for members in groups:
        # A group is skipped if the total with it is further from the target than the total without it.
        if len(chosen) + len(members) / 2 <= wanted:
            chosen += members
    return chosen


def _shuffle_key(path: str, seed: int) -> bytes:
    """A sort key that depends on seed and path alone, so that other files do not change the order of these."""
    return hashlib.blake2s(f"{seed}\0{path}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
