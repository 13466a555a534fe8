"""Imports a data set: reads its rows, plans where each goes, then writes what is missing. A second run completes it."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import xxhash

from astica_sync.core.exchange.dataset_row import Row
from astica_sync.core.exchange.import_plan import (
    ImportFolder,
    LeftOutRow,
    Placement,
    SplitMode,
    WriteDecision,
    decide_write,
    place_row,
)
from astica_sync.core.exchange.label_map import LabelTable, make_label_table
from astica_sync.core.exchange.source_path import target_name
from astica_sync.core.recipe import Recipe
from astica_sync.errors import GuardRefused
from astica_sync.exchange.image_writer import ImageWriter
from astica_sync.exchange.known_contents import KnownContents, list_titles
from astica_sync.exchange.label_spellings import differ_in_case_only, map_ignoring_case, prefer_most_images
from astica_sync.exchange.layouts.data_set import DataSet
from astica_sync.exchange.sources.source import NotRead
from astica_sync.local.class_folders.dataset_layout import are_camera_folders
from astica_sync.local.image.format import HEAD_BYTES, describe, preparable, sniff
from astica_sync.shell_quote import quote

MOST_NAMED = 10_000
"""So many images that are left out are named; all are counted."""
_REPORT_EVERY = 200


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What the user asked for. ``several``: an image may be in several classes; ``confirmed`` are new classes that are
    meant as they are, all of them with ``confirm_all``. ``held_out`` are the contents of images that ``split`` has
    moved out of the store. ``ignore_case``: labels that differ only in case are one class. ``converted`` are the
    formats of images that a push converts."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    mode: SplitMode = SplitMode.MERGE
    several: bool = False
    confirmed: Collection[str] = ()
    confirm_all: bool = False
    dry_run: bool = False
    held_out: Collection[str] = frozenset()
    ignore_case: bool = False
    converted: Collection[str] = Recipe().formats


@dataclass(slots=True)
class ImportTarget:
    """One of the two folders that are written to, and what it has."""

    root: Path
    known: KnownContents


@dataclass(slots=True)
class ImportResult:
    """What an import did, or would do. ``imported`` counts by target and class; ``parts`` by part of the split, as the
    data set has it. ``unsupported`` are imported images of formats that the service does not take, by format.
    ``left_out`` are the first of those that were not imported, ``reasons`` counts all; ``unwanted`` those that the map
    leaves out. ``by_camera`` are new classes that a camera, a phone or a date has named. ``asks``: the import asks
    about new classes first, and a dry run says what comes after the answer. ``ended``: the user stopped it."""

    table: LabelTable
    imported: Counter[tuple[ImportFolder, str]] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[ImportFolder] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    unwanted: int = 0
    by_camera: tuple[str, ...] = ()
    asks: bool = False
    ended: bool = False

    @property
    def left_out_count(self) -> int:
        return self.reasons.total()

    def leave_out(self, path: str, reason: str, kind: str = "") -> None:
        self.reasons[kind or reason] += 1
        if len(self.left_out) < MOST_NAMED:
            self.left_out.append((path, reason))


def run_import(
    data_set: DataSet,
    targets: Mapping[ImportFolder, ImportTarget],
    request: ImportRequest,
    *,
    report: Callable[[int], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> ImportResult:
    """Imports what the targets do not have. ``report`` gets the number of images that were read.

    Raises:
        GuardRefused: new classes may be typing errors of others, or are the folders of a camera; nothing was written.
        StoreError: a folder cannot be written; what was written stays, and calling again continues.
    """
    existing = [title for target in targets.values() for title in list_titles(target.root)]
    labels: Counter[str] = Counter()
    folders: set[tuple[str, str]] | None = set()
    for row in data_set.rows():
        labels.update(row.labels)
        folders = _label_folders(row, folders)
    table = _label_table(labels, request, existing)
    result = ImportResult(table)
    if table.near and not request.dry_run and not request.confirm_all:
        raise GuardRefused(_near_text(table), "Map the label, or confirm the new class: " + _near_hint(table))
    meant = {*existing, *request.mapping, *request.confirmed}
    result.by_camera = _camera_labels(folders or set(), meant)
    if result.by_camera and not request.dry_run and not request.confirm_all:
        raise GuardRefused(_camera_text(result.by_camera), _camera_hint(result.by_camera))
    result.asks = bool(table.near or result.by_camera) and not request.confirm_all
    run = _Run(targets, request, result)
    for row in data_set.rows():
        run.judge(row)
    if request.dry_run:
        _read_all(data_set, run, None, report, stopping)
    else:
        _write_all(data_set, run, report, stopping)
    return result


class _Run:
    """One import under way."""

    def __init__(
        self, targets: Mapping[ImportFolder, ImportTarget], request: ImportRequest, result: ImportResult
    ) -> None:
        self.targets, self.request, self.result = targets, request, result

    def judge(self, row: Row) -> None:
        """Counts what is left out before anything of it is read."""
        placed = place_row(row, self.result.table, self.request.mode)
        if isinstance(placed, LeftOutRow):
            if placed.wanted:
                self.result.unwanted += 1
            else:
                self.result.leave_out(row.path, placed.reason)

    def take(self, row: Row, data: bytes | NotRead, writers: Mapping[ImportFolder, ImageWriter] | None) -> None:
        """One image that has been read."""
        placed = place_row(row, self.result.table, self.request.mode)
        if isinstance(placed, LeftOutRow):
            if row.fault:
                self.result.leave_out(row.path, row.fault)
            return
        if isinstance(data, NotRead):
            self.result.leave_out(row.path, str(data))
            return
        kind = sniff(data)
        if kind is None:
            described = describe(data[:HEAD_BYTES], len(data)).partition(": ")[0]
            if not is_image_format(described):
                self.result.leave_out(row.path, f"not an image: {described}")
                return
        content = xxhash.xxh3_128_hexdigest(data)
        if placed.target is ImportFolder.STORE and content in self.request.held_out:
            self.result.leave_out(row.path, "the same image is held out from training")
            return
        presence = self._presence(placed, content, len(data))
        if presence is WriteDecision.DUPLICATE:
            self.result.duplicates[placed.target] += 1
            return
        if presence is WriteDecision.OTHER_CLASS:
            titles = self.targets[placed.target].known.classes(content, len(data))
            advice = _advice_for_twin(self.result.table, placed.title, titles)
            reason = f"the same image is in {', '.join(sorted(titles)[:3])} already ({advice})"
            self.result.leave_out(row.path, reason, "the same image is in another class already")
            return
        if presence is WriteDecision.OTHER_FOLDER:
            other = "the held-out folder" if placed.target is ImportFolder.STORE else "the store"
            self.result.leave_out(row.path, f"the same image is in {other} already")
            return
        if writers is not None:
            name = target_name(row.name or row.path.rpartition("/")[2], kind)
            try:
                writers[placed.target].write(placed.title, row.below, name, data, content)
            except NotRead as reason_not:
                self.result.leave_out(row.path, str(reason_not))
                return
        self.targets[placed.target].known.add(content, placed.title)
        self.result.imported[placed.target, placed.title] += 1
        self.result.parts[str(row.part) if row.part else ""] += 1
        if kind is None and preparable(data) not in self.request.converted:
            self.result.unsupported[described] += 1

    def _presence(self, placed: Placement, content: str, size: int) -> WriteDecision:
        here = self.targets[placed.target].known.classes(content, size)
        others = (target for target in self.targets if target is not placed.target)
        there = {title for target in others for title in self.targets[target].known.classes(content, size)}
        return decide_write(placed, here, there, several=self.request.several)


def _label_table(labels: Counter[str], request: ImportRequest, existing: Collection[str]) -> LabelTable:
    mapping = map_ignoring_case(labels, request.mapping, existing) if request.ignore_case else request.mapping
    table = make_label_table(labels.keys(), mapping, existing, request.confirmed)
    images: Counter[str] = Counter()
    for label, title in table.titles.items():
        images[title] += labels[label]
    return replace(table, near=prefer_most_images(table.near, images, existing))


def is_image_format(described: str) -> bool:
    """Whether a file is an image that the service does not take, by what it was described as."""
    return described.endswith((" image", "icon"))


def _read_all(
    data_set: DataSet,
    run: _Run,
    writers: Mapping[ImportFolder, ImageWriter] | None,
    report: Callable[[int], None],
    stopping: Callable[[], bool],
) -> None:
    for number, (row, data) in enumerate(data_set.samples(), 1):
        if stopping():
            run.result.ended = True
            return
        run.take(row, data, writers)
        if number % _REPORT_EVERY == 0:
            report(number)


def _write_all(data_set: DataSet, run: _Run, report: Callable[[int], None], stopping: Callable[[], bool]) -> None:
    first, *others = run.targets
    with ImageWriter(run.targets[first].root) as writer:
        if not others:
            _read_all(data_set, run, {first: writer}, report, stopping)
            return
        with ImageWriter(run.targets[others[0]].root) as other:
            _read_all(data_set, run, {first: writer, others[0]: other}, report, stopping)


def _label_folders(row: Row, folders: set[tuple[str, str]] | None) -> set[tuple[str, str]] | None:
    """Adds the folder that gives the row its label, with the one around it; None once a label is that of no folder."""
    if folders is None or not row.labels:
        return folders
    parts = row.path.split("/")[:-1]
    label = row.labels[0]
    if len(row.labels) > 1 or label not in parts:
        return None
    at = parts.index(label)
    folders.add((label, parts[at - 1] if at else ""))
    return folders


def _camera_labels(folders: set[tuple[str, str]], meant: Collection[str]) -> tuple[str, ...]:
    """The labels that are not ``meant`` as classes, where a camera, a phone or a date has named all their folders."""
    labels = sorted({label for label, _ in folders})
    outer = {outer for _, outer in folders}
    if not are_camera_folders(labels, outer.pop() if len(outer) == 1 else ""):
        return ()
    return tuple(label for label in labels if label not in meant)


def _camera_text(labels: Sequence[str]) -> str:
    shown = ", ".join(map(repr, labels[:3])) + (" …" if len(labels) > 3 else "")
    return f"the folders are named by a camera or by date, and would be the classes: {shown}; nothing was imported"


def _camera_hint(labels: Sequence[str]) -> str:
    return (
        f"Name the class of each: --map {quote(f'{labels[0]}=CLASS', always=True)}. Or sort the images into folders "
        "named after what they show. To take the names as they are, add --yes."
    )


def _advice_for_twin(table: LabelTable, title: str, others: Collection[str]) -> str:
    """What to do with an image that is in ``others`` already: two spellings of one class would have it twice."""
    same = next((one for one in table.near if one.title == title and one.existing in others), None)
    if same is None:
        return "--several-classes takes both"
    label = next(label for label, meant in table.titles.items() if meant == title)
    return f"if that is the same class: --map {quote(f'{label}={same.existing}', always=True)}"


def _near_text(table: LabelTable) -> str:
    pairs = ", ".join(f"{one.title!r} (did you mean {one.existing!r}?)" for one in table.near[:5])
    more = f" and {len(table.near) - 5} more" if len(table.near) > 5 else ""
    return f"new classes are nearly others: {pairs}{more}; nothing was imported"


def _near_hint(table: LabelTable) -> str:
    one = table.near[0]
    labels = [label for label, title in table.titles.items() if title == one.title]
    pair, title = quote(f"{labels[0]}={one.existing}", always=True), quote(one.title, always=True)
    case = (
        ", or take all that differ only in case as one: --ignore-case"
        if any(map(differ_in_case_only, table.near))
        else ""
    )
    return f"--map {pair}, or --new-class {title}{case}. --dry-run lists all."
