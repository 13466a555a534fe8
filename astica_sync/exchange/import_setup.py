"""Prepares an import: the layout of the source, and the folders that it goes to, checked."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.clock import Clock
from astica_sync.core.exchange.dataset_row import Part
from astica_sync.core.exchange.import_plan import ImportFolder, SplitMode
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.import_run import ImportTarget
from astica_sync.exchange.known_contents import known_in_folder, known_in_store
from astica_sync.exchange.layouts.data_set import DataSet
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import has_store
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.local.store_sentinel import check_root
from astica_sync.local.target_folder import check_target_folder

if TYPE_CHECKING:
    from astica_sync.sync.session import LocalSide


_APART = {Part.VALIDATION: "validation", Part.TEST: "testing"}
"""The parts of a data set that are not for training."""


def choose_mode(data_set: DataSet, wanted: SplitMode | None, held_out: Path | None) -> SplitMode:
    """What is done with the parts of a split data set.

    Raises:
        AsticaSyncError: it is split, and the user has not said what is to be done with that.
    """
    if wanted is SplitMode.MERGE or held_out is not None:
        return wanted or SplitMode.KEEP
    parts = {row.part for row in data_set.rows()}
    apart = [name for part, name in _APART.items() if part in parts]
    if not apart:
        return SplitMode.MERGE
    raise AsticaSyncError(
        f"the data set has a part for {' and one for '.join(apart)}, which no version should be trained on",
        "Keep it apart: --split keep --held-out ../held-out. Or import all of it into the store: --split merge.",
    )


def open_targets(
    root: Path, index: Index, held_out: Path | None, mode: SplitMode, *, dry_run: bool
) -> dict[ImportFolder, ImportTarget]:
    """The folders that are written to.

    Raises:
        AsticaSyncError: the held-out folder is in the store, or is another user's.
    """
    targets = {ImportFolder.STORE: ImportTarget(root, known_in_store(root, index))}
    if mode is SplitMode.KEEP and held_out is not None:
        check_target_folder(held_out)
        real = held_out.resolve()
        if real.is_relative_to(root) or root.is_relative_to(real):
            raise AsticaSyncError(
                f"{held_out} and the store overlap",
                "Name a folder outside of the store with --held-out: held-out images are never trained on.",
            )
        _refuse_another_store(held_out, real)
        if not dry_run:
            FileSystem().make_folder(real, root.stat().st_mode & 0o777 | 0o700)
        targets[ImportFolder.HELD_OUT] = ImportTarget(real, known_in_folder(real))
    return targets


@contextlib.contextmanager
def lock_and_scan(
    local: "LocalSide", clock: Clock, scanned: Callable[[int, int], None], *, dry_run: bool
) -> Iterator[None]:
    """Holds the lock of the store unless nothing is written, and brings its index up to date.

    Raises:
        StoreBusy: another process writes to this store.
        StoreChanged: the folder is not the one in which the store was made.
    """
    check_root(local.layout, local.fs)
    with contextlib.nullcontext() if dry_run else local.lock(local.layout):
        options = ScanOptions(threads=local.hash_threads, recipe=local.preparer.recipe)
        scan_store(local.layout, local.index, clock=clock, files=local.fs, options=options, progress=scanned)
        yield


def refuse_overlap(target: Path, root: Path) -> None:
    """Refuses a target in the store or in another one, whose files would be samples.

    Raises:
        AsticaSyncError: it is there.
    """
    real = target.resolve()
    if real.is_relative_to(root) or root.is_relative_to(real):
        raise AsticaSyncError(f"{target} and the store overlap", "Name a folder outside of the store.")
    _refuse_another_store(target, real)


def _refuse_another_store(target: Path, real: Path) -> None:
    for folder in (real, *real.parents):
        if has_store(folder):
            raise AsticaSyncError(
                f"{target} is inside the store {folder}, and what is written there would become new samples",
                "Name a folder outside of all stores.",
            )
