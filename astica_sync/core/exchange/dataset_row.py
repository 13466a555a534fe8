"""One image of a data set, as its layout describes it: where it is, its labels, and which part of a split it is in."""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """The part of a data set that was split for training."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


_PARTS = {
    **dict.fromkeys(("train", "training", "tr", "trainset", "trainval"), Part.TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), Part.VALIDATION),
    **dict.fromkeys(("test", "testing", "testset", "holdout", "held-out"), Part.TEST),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One image. ``path`` is its place in the source, and ``name`` the name of its file, by default the end of the
    path; ``below`` are the folders in the class that it is kept in. ``fault`` is why it cannot be imported, "" where
    nothing is known against it yet."""

    path: str
    labels: tuple[str, ...]
    part: Part | None = None
    name: str = ""
    below: tuple[str, ...] = ()
    fault: str = ""


def part_of(name: str) -> Part | None:
    """The part of a split that a folder, a file or a cell of this name stands for."""
    return _PARTS.get(name.strip().casefold())


def part_at_start(name: str) -> Part | None:
    """The same for a name that begins with it: ``train-00000-of-00002.parquet``, ``val_labels.csv``."""
    folded = name.casefold()
    for length in range(min(len(folded), 10), 1, -1):
        if folded[:length] in _PARTS and not folded[length : length + 1].isalnum():
            return _PARTS[folded[:length]]
    return None


def label_text(value: object) -> str:
    """A label as it is written in a file of any kind: ``3`` and ``3.0`` are the same one."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
