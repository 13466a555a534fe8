"""COCO: a JSON file with ``images``, ``annotations`` and ``categories``. The categories of an image are its labels."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from astica_sync.core.exchange.dataset_row import Part, Row, label_text, part_at_start, part_of
from astica_sync.exchange.layouts.data_set import ListedDataSet, Listing, folder_of
from astica_sync.exchange.layouts.text_table import decode_text, parse
from astica_sync.exchange.layouts.writer import ExportSample, Target, TextFile
from astica_sync.exchange.sources.source import NotRead, SourceFile


def fits(listing: Listing) -> bool:
    return bool(_files(listing))


def open_data_set(listing: Listing) -> ListedDataSet:
    files = _files(listing)
    rows = (row for entry, value in files for row in _rows(listing, entry, value))
    return ListedDataSet(listing, rows, f"COCO ({', '.join(entry.path for entry, _ in files[:4])})")


def _files(listing: Listing) -> list[tuple[SourceFile, dict[str, Any]]]:
    found = []
    for entry in listing.ending("json"):
        try:
            text = decode_text(listing.table(entry))
        except NotRead:
            continue
        if '"annotations"' not in text or '"categories"' not in text:
            continue
        value = parse(text)
        if isinstance(value, dict) and all(
            isinstance(value.get(name), list) for name in ("images", "annotations", "categories")
        ):
            found.append((entry, value))
    return found


def _rows(listing: Listing, entry: SourceFile, value: dict[str, Any]) -> Iterator[Row]:
    # Files that were put together from others may have a number twice: then nothing tells what it stands for.
    names, unclear = _by_number((one["id"], label_text(one.get("name"))) for one in _objects(value, "categories"))
    _, twice = _by_number((one["id"], str(one.get("file_name"))) for one in _objects(value, "images"))
    labels: dict[object, list[str]] = defaultdict(list)
    faults: dict[object, str] = dict.fromkeys(twice, "its number is that of another image as well")
    for one in _objects(value, "annotations"):
        number, image = _key(one.get("category_id")), _key(one.get("image_id"))
        labels[image].append(names.get(number, label_text(one.get("category_id"))))
        if number in unclear:
            faults.setdefault(image, f"its label is category {label_text(number)[:40]}, of which there are several")
    folder = folder_of(entry.path)
    part = _part(entry.path)
    for image in _objects(value, "images"):
        given = image.get("file_name")
        if not isinstance(given, str) or not given:
            yield Row(f"{entry.path}, image {image.get('id')}", (), fault="it names no file")
            continue
        path, fault = listing.resolve(given, folder)
        own = tuple(dict.fromkeys(labels.get(image["id"], ())))
        yield Row(path, own, part, fault=fault or faults.get(image["id"], ""))


def _by_number(pairs: Iterable[tuple[object, str]]) -> tuple[dict[object, str], set[object]]:
    """The text of each number, and the numbers that have several."""
    found: dict[object, str] = {}
    several = set()
    for number, text in pairs:
        if found.setdefault(number, text) != text:
            several.add(number)
    return found, several


def _objects(value: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    for one in value[name]:
        if isinstance(one, dict):
            yield {**one, "id": _key(one.get("id"))}


def _key(value: object) -> object:
    return value if isinstance(value, str | int | float) else repr(value)


def _part(path: str) -> Part | None:
    """By the folder, as Roboflow writes it, or by the name: ``train.json``, ``instances_val2017.json``."""
    folder, _, name = path.rpartition("/")
    for piece in (folder.rpartition("/")[2], *name.rpartition(".")[0].split("_")):
        letters = piece.rstrip("0123456789-")
        if (part := part_of(letters)) is not None:
            return part
    return part_at_start(name)


class CocoWriter:
    """``images/`` beside one ``PART.json`` for each part; one annotation for each image."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        self._target, self._titles = target, titles
        self._numbers = {title: number for number, title in enumerate(titles, 1)}
        self._files: dict[Part, tuple[TextFile, TextFile]] = {}

    def add(self, sample: ExportSample, data: bytes) -> None:
        if sample.part not in self._files:
            self._files[sample.part] = TextFile(), TextFile()
        images, annotations = self._files[sample.part]
        number = images.count + 1
        name = f"{sample.part}/{sample.path}" if sample.part is not Part.TRAIN else sample.path
        images.item({"id": number, "file_name": name})
        annotations.item({"id": number, "image_id": number, "category_id": self._numbers[sample.title]})
        self._target.add(f"images/{name}", data)

    def finish(self) -> None:
        categories = [{"id": number, "name": title} for title, number in self._numbers.items()]
        for part, (images, annotations) in self._files.items():
            whole = TextFile()
            whole.write('{"info": {"description": "exported by astica-sync"}, "categories": [')
            for category in categories:
                whole.item(category)
            for name, text in (("images", images), ("annotations", annotations)):
                whole.write(f'],\n"{name}": [')
                for piece in text.pieces():
                    whole.write(piece)
            whole.write("]}\n")
            whole.put_into(self._target, f"{part}.json")
