"""From what the user asked for to the steps that do it, as the gallery shows the store now."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from astica_sync.core.gallery.image_state import ImageState
from astica_sync.core.gallery.page_change import ChangeStep, StepKind, describe
from astica_sync.page.changes.change_maker import CHANGED, ChangeMaker
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.request_response import BadRequest

KINDS = ("move", "delete", "restore", "create_class", "rename_class", "merge_classes")
MOST_TITLE = 10_000
_HELD_OUT = "it is held out, and the page changes no held-out image"
_KEPT_APART = "a held-out folder has it: to train on it, move its file from there into the store yourself"


@dataclass(slots=True)
class PlannedChange:
    """The steps of a change, and what is skipped from the start: id, name and reason. ``ids`` has the id of each file
    by its path."""

    kind: str
    label: Callable[[int], str]
    steps: list[ChangeStep] = field(default_factory=list)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change as the page asks for it. ``rows`` are the images of a whole view; ``items`` are ids, each with the hash
    that the page saw."""

    kind: str
    items: Sequence[tuple[str, str]] = ()
    rows: Sequence[int] | None = None
    title: str = ""
    to: str = ""


def read_items(value: Any) -> list[tuple[str, str]]:
    """
    Raises:
        BadRequest: it is no list of pairs of texts.
    """
    if not isinstance(value, list):
        raise BadRequest("items is a list of pairs: id and content hash")
    for item in value:
        if not (isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item)):
            raise BadRequest("items is a list of pairs: id and content hash")
    return [(image, content) for image, content in value]


def plan_change(columns: Columns, maker: ChangeMaker, wanted: Wanted) -> PlannedChange:
    """The steps of the change.

    Raises:
        BadRequest: the request makes no sense, or no class can have that title.
    """
    planned = PlannedChange(wanted.kind, lambda count: describe(wanted.kind, count, wanted.title, wanted.to))
    match wanted.kind:
        case "move":
            _plan_moves(planned, columns, _chosen(planned, columns, wanted), maker.place_for(wanted.to))
        case "delete":
            for row in _chosen(planned, columns, wanted):
                path = _note(planned, columns, row)
                planned.steps.append(ChangeStep(StepKind.REMOVE, path, "", columns.content(row)))
        case "restore":
            for row in _chosen(planned, columns, wanted, with_file=False):
                title, content = columns.title(row), columns.content(row)
                image = f"{int(columns.ids[row]):016x}"
                if any(columns.state(one) is ImageState.HELD_OUT for one in columns.with_content(content)):
                    # In the store as well it would be trained on, and scores on it would say nothing.
                    planned.skipped.append((image, columns.name(row), _KEPT_APART))
                    continue
                try:
                    path, fault = f"{maker.place_for(title)}/{columns.name(row)}", maker.image_fault(content)
                except BadRequest as refused:
                    path, fault = "", str(refused)
                if fault:
                    # The backup may have been edited; what else was chosen is put back.
                    planned.skipped.append((image, columns.name(row), fault))
                    continue
                planned.ids[path] = image
                planned.steps.append(ChangeStep(StepKind.ADD, "", path, content))
        case "create_class":
            if maker.places_of(wanted.to):
                raise BadRequest(f"there is a class {wanted.to[:100]!r} already")
            planned.steps.append(ChangeStep(StepKind.MAKE_FOLDER, "", maker.place_for(wanted.to)))
        case "rename_class" | "merge_classes":
            _plan_class(planned, columns, maker, wanted)
        case _:
            raise BadRequest(f"kind is one of {', '.join(KINDS)}")
    return planned


def _chosen(planned: PlannedChange, columns: Columns, wanted: Wanted, *, with_file: bool = True) -> Iterable[int]:
    """The rows that are what the page saw, and have a file, or have none; the others are skipped."""
    if wanted.rows is not None:
        for row in wanted.rows:
            if (row < columns.files) is with_file:
                yield row
            else:
                _skip(planned, columns, row, with_file=with_file)
        return
    for image, content in wanted.items:
        found = columns.find(image)
        if found is None:
            planned.skipped.append((image, "", "it is not there any more"))
        elif (found < columns.files) is not with_file:
            _skip(planned, columns, found, with_file=with_file)
        elif columns.content(found) != content:
            planned.skipped.append((image, columns.name(found), CHANGED))
        else:
            yield found


def _skip(planned: PlannedChange, columns: Columns, row: int, *, with_file: bool) -> None:
    reason = "it has no file in the store" if with_file else "its file is in the store"
    if columns.state(row) is ImageState.HELD_OUT:
        reason = _HELD_OUT
    planned.skipped.append((f"{int(columns.ids[row]):016x}", columns.name(row), reason))


def _plan_moves(planned: PlannedChange, columns: Columns, rows: Iterable[int], place: str) -> None:
    for row in rows:
        path = _note(planned, columns, row)
        first, slash, below = path.partition("/")
        if first == place:
            planned.skipped.append((planned.ids[path], below, "it is in that class already"))
            continue
        # What is in no class lies in the store itself.
        planned.steps.append(
            ChangeStep(StepKind.MOVE, path, f"{place}/{below if slash else first}", columns.content(row))
        )


def _plan_class(planned: PlannedChange, columns: Columns, maker: ChangeMaker, wanted: Wanted) -> None:
    places = maker.places_of(wanted.title)
    if not places:
        raise BadRequest(f"there is no class {wanted.title[:100]!r} now")
    if wanted.title == wanted.to:
        raise BadRequest("both titles are the same")
    exists = bool(maker.places_of(wanted.to))
    if wanted.kind == "rename_class" and exists:
        raise BadRequest(f"there is a class {wanted.to[:100]!r} already; merge the two to have one")
    if wanted.kind == "merge_classes" and not exists:
        raise BadRequest(f"there is no class {wanted.to[:100]!r} now")
    target = maker.place_for(wanted.to)
    if not exists and len(places) == 1:
        planned.steps.append(ChangeStep(StepKind.RENAME_FOLDER, places[0], target))
        return
    titles = columns.titles
    number = titles.index(wanted.title) if wanted.title in titles else -1
    rows = (columns.class_of[: columns.files] == number).nonzero()[0].tolist()
    _plan_moves(planned, columns, rows, target)
    for place in places:
        planned.steps += [ChangeStep(StepKind.DROP_FOLDER, folder, "") for folder in maker.folders_in(place)]


def _note(planned: PlannedChange, columns: Columns, row: int) -> str:
    path = columns.path(row)
    planned.ids[path] = f"{int(columns.ids[row]):016x}"
    return path
