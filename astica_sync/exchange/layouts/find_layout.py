"""Which layout a source has: the first one that fits, of those that tell most first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.layouts import (
    coco,
    hugging_face_folder,
    hugging_face_parquet,
    image_folder,
    label_studio,
    path_table,
    roboflow,
    webdataset,
)
from astica_sync.exchange.layouts.data_set import DataSet, Listing
from astica_sync.exchange.layouts.writer import Target, Writer
from astica_sync.exchange.sources.source import Source


@dataclass(frozen=True, slots=True)
class ExchangeLayout:
    """One layout: whether a source has it, how it is read, and how it is written."""

    fits: Callable[[Listing], bool]
    read: Callable[[Listing], DataSet]
    write: Callable[[Target, list[str]], Writer]


LAYOUTS = {
    "parquet": ExchangeLayout(
        hugging_face_parquet.fits, hugging_face_parquet.open_data_set, hugging_face_parquet.ParquetWriter
    ),
    "webdataset": ExchangeLayout(webdataset.fits, webdataset.open_data_set, webdataset.WebDatasetWriter),
    "huggingface": ExchangeLayout(
        hugging_face_folder.fits, hugging_face_folder.open_data_set, hugging_face_folder.HuggingFaceFolderWriter
    ),
    "coco": ExchangeLayout(coco.fits, coco.open_data_set, coco.CocoWriter),
    "label-studio": ExchangeLayout(label_studio.fits, label_studio.open_data_set, label_studio.LabelStudioWriter),
    "roboflow": ExchangeLayout(roboflow.fits, roboflow.open_data_set, roboflow.RoboflowWriter),
    "csv": ExchangeLayout(path_table.fits, path_table.open_data_set, path_table.CsvWriter),
    "imagefolder": ExchangeLayout(image_folder.fits, image_folder.open_data_set, image_folder.ImageFolderWriter),
    "jsonl": ExchangeLayout(path_table.fits, path_table.open_data_set, path_table.JsonLinesWriter),
    "yolo": ExchangeLayout(image_folder.fits, image_folder.open_data_set, image_folder.yolo_writer),
}
"""By name, in the order in which they are tried."""

TABLE_LAYOUTS = ("csv", "jsonl")


def find_layout(
    source: Source,
    wanted: str | None = None,
    report_unused: Callable[[str, str], None] = lambda _path, _reason: None,
    columns: Mapping[str, str] = path_table.NONE_CHOSEN,
) -> tuple[str, DataSet]:
    """The name of the layout, and the open data set. ``wanted`` is the layout that the user names, and ``columns``
    those of its table, by ``path``, ``label`` and ``split``. Where the labels are those of folders, ``report_unused``
    gets each table of labels that cannot be used, and why.

    Raises:
        AsticaSyncError: there is none, it does not fit, or the columns of a table that names the images are not known.
    """
    listing = Listing(source)
    if not listing.entries:
        raise AsticaSyncError(f"{source.name} has no files", "Name the folder or archive that has the images.")
    if wanted in TABLE_LAYOUTS and not columns:
        path_table.refuse_unknown_columns(listing)
    if columns:
        return wanted or "csv", path_table.open_data_set(listing, columns)
    if wanted is not None:
        return wanted, LAYOUTS[wanted].read(listing)
    for name, layout in LAYOUTS.items():
        if layout.fits(listing):
            if layout.fits is image_folder.fits:
                path_table.refuse_unknown_columns(listing)
                for path, reason in path_table.unused_tables(listing):
                    report_unused(path, reason)
            return name, layout.read(listing)
    path_table.refuse_unknown_columns(listing)
    images = "1 image" if len(listing.images) == 1 else f"{len(listing.images):,} images"
    unused = "".join(f"; {path}: {reason}" for path, reason in path_table.unused_tables(listing))
    raise AsticaSyncError(
        f"{source.name} has no layout that is known: {images}, and no labels{unused}",
        "Sort the images into one folder for each class, or add a file labels.csv with the columns path and label; "
        'the page "Import and export" of the manual shows all layouts.',
    )
