"""What the page did to the files of the store, as values: steps, what undoes them, and the line of undo and redo."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class StepKind(StrEnum):
    """*move*: a file from ``before`` to ``after``. *remove*: the file at ``before``; its bytes are kept. *add*: a file
    at ``after``. *make-folder* and *drop-folder*: an empty folder at ``after`` or ``before``. *rename-folder*: a class
    folder."""

    MOVE = "move"
    REMOVE = "remove"
    ADD = "add"
    MAKE_FOLDER = "make-folder"
    DROP_FOLDER = "drop-folder"
    RENAME_FOLDER = "rename-folder"


_INVERSE = {
    StepKind.MOVE: StepKind.MOVE,
    StepKind.REMOVE: StepKind.ADD,
    StepKind.ADD: StepKind.REMOVE,
    StepKind.MAKE_FOLDER: StepKind.DROP_FOLDER,
    StepKind.DROP_FOLDER: StepKind.MAKE_FOLDER,
    StepKind.RENAME_FOLDER: StepKind.RENAME_FOLDER,
}


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """One thing that was done. Paths are relative to the store; ``content`` is the hash of the file, "" of a folder."""

    kind: StepKind
    before: str
    after: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What the user did at once, and undoes at once. ``at`` is in seconds since the epoch."""

    number: int
    at: float
    label: str
    steps: tuple[ChangeStep, ...]
    undone: bool = False


def inverse(step: ChangeStep) -> ChangeStep:
    """The step that undoes this one."""
    return ChangeStep(_INVERSE[step.kind], step.after, step.before, step.content)


def undo_steps(steps: Sequence[ChangeStep]) -> list[ChangeStep]:
    """The steps that undo these, the last one first."""
    return [inverse(step) for step in reversed(steps)]


@dataclass(frozen=True, slots=True)
class Line:
    """The labels of what undo and redo would do, None where there is nothing."""

    undo: str | None = None
    redo: str | None = None


@dataclass(slots=True)
class ChangeOutcome:
    """What became of a change. ``done`` are the steps that were made, ``skipped`` the names of files that were left as
    they are, each with the reason."""

    done: list[ChangeStep] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def describe(kind: str, count: int, title: str = "", to: str = "") -> str:
    """The label of a change, for the user."""
    images = "1 image" if count == 1 else f"{count:,} images"
    match kind:
        case "move":
            return f"move {images} to {to}"
        case "delete":
            return f"delete {images}"
        case "upload":
            return f"add {images} to {to}"
        case "create_class":
            return f"make class {to}"
        case "rename_class":
            return f"rename class {title} to {to}"
        case "merge_classes":
            return f"merge class {title} into {to}"
        case _:
            return f"put back {images}"
