"""One folder for each class, as torchvision's ImageFolder reads it, with or without folders for train, val and test;
YOLO classification and Roboflow's folders are the same."""

from collections.abc import Iterable, Iterator

from astica_sync.core.exchange.dataset_row import Part, Row, part_of
from astica_sync.core.exchange.source_path import safe_folders
from astica_sync.exchange.layouts.data_set import ListedDataSet, Listing
from astica_sync.exchange.layouts.writer import ExportSample, Target
from astica_sync.exchange.sources.source import SourceFile

NO_CLASS = "it lies in no class folder"


def fits(listing: Listing) -> bool:
    folders = [entry.path.split("/")[:-1] for entry in listing.images]
    return sum(map(bool, folders)) * 2 > len(folders)


def open_data_set(listing: Listing) -> ListedDataSet:
    outer = _outer_folders(listing.images)
    inner = [entry.path.split("/")[outer:] for entry in listing.images]
    tops = {parts[0] for parts in inner if len(parts) > 1}
    is_split = bool(tops) and all(part_of(top) is not None for top in tops)
    classes = {parts[is_split] for parts in inner if len(parts) > 1 + is_split}
    found = f"class folders ({len(classes):,})"
    if is_split:
        found += f" in {', '.join(sorted(tops))}"
    return ListedDataSet(listing, _rows(listing.candidates, outer, is_split=is_split), found)


def _rows(entries: Iterable[SourceFile], outer: int, *, is_split: bool) -> Iterator[Row]:
    kept: dict[tuple[str, ...], tuple[str, ...]] = {}
    for entry in entries:
        parts = entry.path.split("/")[outer:]
        part = part_of(parts[0]) if is_split and parts else None
        folders = parts[1:-1] if is_split else parts[:-1]
        if not folders or (is_split and part is None):
            yield Row(entry.path, (), part, fault=entry.fault or NO_CLASS)
        else:
            # One tuple for all images of a class.
            labels: tuple[str, ...] = (folders[0],)
            below = safe_folders(tuple(folders[1:]))
            labels, below = kept.setdefault(labels, labels), kept.setdefault(below, below)
            yield Row(entry.path, labels, part, below=below, fault=entry.fault)


def _outer_folders(images: list[SourceFile]) -> int:
    """How many folders are around the class folders, as archives have one: "dataset/Can/001.jpg"."""
    places = [entry.path.split("/")[:-1] for entry in images]
    outer = 0
    while places and all(len(place) > outer + 1 and place[outer] == places[0][outer] for place in places):
        if part_of(places[0][outer]) is not None:
            break
        outer += 1
    return outer


class ImageFolderWriter:
    """``names`` are the folders of the parts; without them there are folders only where samples are held out."""

    def __init__(self, target: Target, titles: list[str], names: dict[Part, str] | None = None) -> None:
        self._target, self._names = target, names

    def add(self, sample: ExportSample, data: bytes) -> None:
        names = self._names or {part: str(part) for part in Part if sample.is_split}
        part = names.get(sample.part, "")
        self._target.add(f"{part}/{sample.path}" if part else sample.path, data)

    def finish(self) -> None:
        pass


def yolo_writer(target: Target, titles: list[str]) -> ImageFolderWriter:
    """YOLO reads ``train`` and ``val`` (or ``test``)."""
    return ImageFolderWriter(target, titles, {Part.TRAIN: "train", Part.TEST: "val", Part.VALIDATION: "val"})
