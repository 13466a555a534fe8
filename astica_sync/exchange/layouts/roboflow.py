"""Roboflow's table ``_classes.csv``: a column for each class with 0 or 1. Its folders are those of ImageFolder."""

from collections.abc import Iterator

from astica_sync.core.exchange.dataset_row import Part, Row, part_of
from astica_sync.exchange.layouts.data_set import ListedDataSet, Listing, folder_of
from astica_sync.exchange.layouts.image_folder import ImageFolderWriter
from astica_sync.exchange.layouts.text_table import TOO_LONG, decode_text, read_csv
from astica_sync.exchange.layouts.writer import Target
from astica_sync.exchange.sources.source import NotRead, SourceFile

_NAME = "_classes.csv"
_YES = frozenset(("1", "1.0", "true"))


def fits(listing: Listing) -> bool:
    return bool(listing.named(_NAME))


def open_data_set(listing: Listing) -> ListedDataSet:
    tables = listing.named(_NAME)
    rows = (row for entry in tables for row in _rows(listing, entry))
    return ListedDataSet(listing, rows, f"Roboflow ({', '.join(entry.path for entry in tables[:4])})")


def _rows(listing: Listing, entry: SourceFile) -> Iterator[Row]:
    folder = folder_of(entry.path)
    part = part_of(folder.rpartition("/")[2])
    try:
        head, rows = read_csv(decode_text(listing.table(entry)))
    except NotRead as reason:
        yield Row(entry.path, (), fault=str(reason))
        return
    for number, cells in enumerate(rows, 2):
        if not cells:
            yield Row(f"{entry.path}, row {number}", (), fault=TOO_LONG)
            continue
        path, fault = listing.resolve(cells[0], folder)
        pairs = zip(head[1:], cells[1:], strict=False)
        labels = tuple(name for name, cell in pairs if cell.strip().casefold() in _YES)
        yield Row(path, labels, part, fault=fault)


class RoboflowWriter(ImageFolderWriter):
    """Class folders in ``train`` and ``test``, as Roboflow's upload reads them."""

    def __init__(self, target: Target, titles: list[str]) -> None:
        super().__init__(target, titles, {Part.TRAIN: "train", Part.VALIDATION: "valid", Part.TEST: "test"})
