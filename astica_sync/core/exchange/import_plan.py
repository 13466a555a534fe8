"""Decides what becomes of each image of a data set: which folder and class it goes to, or why it is left out."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from astica_sync.core.exchange.dataset_row import Part, Row
from astica_sync.core.exchange.label_map import LabelTable

MULTI_LABEL = "it has several labels, and a sample has one class"


class ImportFolder(StrEnum):
    """The folder that an image goes to: the store, or the one for images that no version is trained on."""

    STORE = "store"
    HELD_OUT = "held-out"


class SplitMode(StrEnum):
    """*keep*: the validation and test parts go to the held-out folder. *merge*: everything goes to the store."""

    KEEP = "keep"
    MERGE = "merge"


class WriteDecision(StrEnum):
    """What is to be done with the bytes of an image, given where they are already."""

    WRITE = "write"
    DUPLICATE = "duplicate"
    OTHER_CLASS = "other-class"
    OTHER_FOLDER = "other-folder"


@dataclass(frozen=True, slots=True)
class Placement:
    target: ImportFolder
    title: str


@dataclass(frozen=True, slots=True)
class LeftOutRow:
    """``wanted`` where the user asked for it, so that nothing is missing."""

    reason: str
    wanted: bool = False


def place_row(row: Row, table: LabelTable, mode: SplitMode) -> Placement | LeftOutRow:
    """Where an image goes."""
    if row.fault:
        return LeftOutRow(row.fault)
    labels = {label for label in row.labels if label not in table.dropped}
    if row.labels and not labels:
        return LeftOutRow("--map leaves its label out", wanted=True)
    titles = {table.titles.get(label, "") for label in labels}
    if len(titles) > 1:
        return LeftOutRow(MULTI_LABEL)
    if not labels:
        return LeftOutRow("it has no label")
    title = titles.pop()
    if not title:
        return LeftOutRow(min(table.faults[label] for label in labels))
    held_out = mode is SplitMode.KEEP and row.part in (Part.VALIDATION, Part.TEST)
    return Placement(ImportFolder.HELD_OUT if held_out else ImportFolder.STORE, title)


def decide_write(
    placement: Placement, here: Collection[str], there: Collection[str], *, several: bool = False
) -> WriteDecision:
    """What is done with an image whose bytes are in the classes ``here`` of its target already, and in the classes
    ``there`` of the other one. ``several``: an image may be in several classes."""
    if placement.title in here:
        return WriteDecision.DUPLICATE
    if there:
        # An image on both sides would be scored by versions that were trained on it.
        return WriteDecision.OTHER_FOLDER
    if here and not several:
        return WriteDecision.OTHER_CLASS
    return WriteDecision.WRITE
