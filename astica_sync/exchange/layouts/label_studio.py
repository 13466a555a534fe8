"""Label Studio: its JSON, its short JSON ("JSON-MIN") and its CSV, with the image files beside them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from astica_sync.core.exchange.dataset_row import Row, part_of
from astica_sync.exchange.layouts.data_set import NOT_THERE, ListedDataSet, Listing, folder_of, suffix_of
from astica_sync.exchange.layouts.path_table import part_folder_of
from astica_sync.exchange.layouts.text_table import (
    Cells,
    column,
    csv_cells,
    decode_text,
    first_cells,
    json_cells,
    labels_in,
    parse,
)
from astica_sync.exchange.layouts.writer import ExportSample, Target, TextFile
from astica_sync.exchange.sources.source import NotRead, SourceFile

_OWN_COLUMNS = frozenset(("annotation_id", "annotator", "lead_time", "created_at", "updated_at", "id", "agreement"))
_UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""Label Studio puts this before the name of an uploaded file."""
_IMAGE_NAMES = ("image", "img", "picture", "photo", "url", "file")
_CHOICE_NAMES = ("choice", "choices", "label", "class", "category")
NOT_ANNOTATED = "it is not annotated"

CONFIG = """\
<View>
  <Image name="image" value="$image"/>
  <Choices name="choice" toName="image" choice="single">
{choices}  </Choices>
</View>
"""


def fits(listing: Listing) -> bool:
    return bool(_files(listing))


def open_data_set(listing: Listing) -> ListedDataSet:
    files = _files(listing)
    rows = (row for entry in files for row in _rows(listing, entry))
    return ListedDataSet(listing, rows, f"Label Studio ({', '.join(entry.path for entry in files[:4])})")


def _files(listing: Listing) -> list[SourceFile]:
    found = []
    for entry in listing.ending("json", "csv"):
        try:
            cells = first_cells(_cells(listing, entry), 5)
        except NotRead:
            continue
        if cells and all(_is_task(one) for one in cells):
            found.append(entry)
    return found


def _is_task(cells: Cells) -> bool:
    if isinstance(cells.get("data"), dict):
        return isinstance(cells.get("annotations", cells.get("predictions", cells.get("completions"))), list)
    own = _OWN_COLUMNS & cells.keys()
    return len(own) >= 2 and bool(own & {"annotator", "annotation_id", "lead_time"})


def _cells(listing: Listing, entry: SourceFile) -> Iterator[Cells | None]:
    text = decode_text(listing.table(entry))
    if suffix_of(entry.path) == "csv":
        return csv_cells(text)[1]
    return json_cells(text) if text.lstrip().startswith("[") else iter(())


def _rows(listing: Listing, entry: SourceFile) -> Iterator[Row]:
    try:
        tasks = _cells(listing, entry)
    except NotRead as reason:
        yield Row(entry.path, (), fault=str(reason))
        return
    for number, task in enumerate(tasks, 1):
        where = f"{entry.path}, task {number}"
        if task is None:
            yield Row(where, (), fault="it is no task")
            continue
        data = task.get("data")
        fields: Mapping[str, Any] = data if isinstance(data, dict) else task
        given = _image_of(fields)
        if not given:
            yield Row(where, (), fault="it names no image")
            continue
        path, fault = _resolve(listing, given, folder_of(entry.path))
        labels = _annotated(task) if isinstance(data, dict) else _short(task)
        if not labels and not fault:
            fault = NOT_ANNOTATED
        part = part_of(str(fields.get("split", "")))
        yield Row(path, labels, part, fault=fault)


def _image_of(fields: Mapping[str, Any]) -> str:
    names = {str(name).casefold(): value for name, value in fields.items()}
    name = column(names, _IMAGE_NAMES)
    values = [names[name]] if name else list(names.values())
    return next((value for value in values if isinstance(value, str) and ("." in value or "/" in value)), "")


def _annotated(task: Cells) -> tuple[str, ...]:
    """What all annotators chose; more than one label where they disagree."""
    annotations = task.get("annotations", task.get("completions"))
    chosen: list[str] = []
    for annotation in annotations if isinstance(annotations, list) else ():
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for result in results if isinstance(results, list) else ():
            value = result.get("value") if isinstance(result, dict) else None
            choices = value.get("choices") if isinstance(value, dict) else None
            chosen += [str(choice).strip() for choice in choices] if isinstance(choices, list) else []
    return tuple(dict.fromkeys(filter(None, chosen)))


def _short(task: Cells) -> tuple[str, ...]:
    name = column(task, _CHOICE_NAMES) or next((one for one in task if "choice" in one), "")
    value = task.get(name)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = parse(value)
    return labels_in({name: value}, name)


def _resolve(listing: Listing, given: str, folder: str) -> tuple[str, str]:
    """The file of an image: uploaded to Label Studio, in a local folder of it, in a bucket, or a path."""
    address = urlsplit(given) if "://" in given or given.startswith("/data/") else None
    if address is not None:
        local = parse_qs(address.query).get("d", [""])[0]
        path = local or unquote(address.path)
    else:
        path = given
    path = path.lstrip("/") if address is not None else path
    parts = path.split("/")
    found: tuple[str, str] | None = None
    # The longest end of the path that is in the source.
    for start in range(len(parts)) if address is not None else (0,):
        found = listing.resolve("/".join(parts[start:]), folder, by_name=start == len(parts) - 1)
        if not found[1]:
            return found
    name = parts[-1]
    if _UPLOADED.match(name):
        found = listing.resolve(name[9:], folder)
        if not found[1]:
            return found
    return (path[:500], found[1] if found and address is None else NOT_THERE)


class LabelStudioWriter:
    """``tasks.json`` to import, the labelling configuration, and ``images/``, for local storage of Label Studio whose
    folder is the target."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        self._target, self._titles = target, titles
        self._tasks = TextFile()
        self._tasks.write("[")

    def add(self, sample: ExportSample, data: bytes) -> None:
        path = f"images/{part_folder_of(sample)}{sample.path}"
        data_fields = {"image": f"/data/local-files/?d={quote(path, errors='surrogateescape')}"}
        if sample.is_split:
            data_fields["split"] = str(sample.part)
        self._tasks.item(
            {
                "data": data_fields,
                "annotations": [
                    {
                        "result": [
                            {
                                "from_name": "choice",
                                "to_name": "image",
                                "type": "choices",
                                "value": {"choices": [sample.title]},
                            }
                        ]
                    }
                ],
            }
        )
        self._target.add(path, data)

    def finish(self) -> None:
        self._tasks.write("]\n")
        self._tasks.put_into(self._target, "tasks.json")
        choices = "".join(f'    <Choice value="{_attribute(title)}"/>\n' for title in self._titles)
        self._target.add("label-config.xml", CONFIG.format(choices=choices).encode())


def _attribute(text: str) -> str:
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, name)
    return text
