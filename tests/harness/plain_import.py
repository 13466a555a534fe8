"""Imports into a plain folder of class folders, without a store and a service, as the command does."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from astica_sync.core.exchange.import_plan import ImportFolder, SplitMode
from astica_sync.exchange.import_run import ImportRequest, ImportResult, ImportTarget, run_import
from astica_sync.exchange.known_contents import known_in_folder
from astica_sync.exchange.layouts.find_layout import find_layout
from astica_sync.exchange.sources.open_source import open_source


def plain_import(
    source: Path | str,
    root: Path,
    *,
    layout: str | None = None,
    encoding: str | None = None,
    held_out: Path | None = None,
    columns: Mapping[str, str] = MappingProxyType({}),
    **request: Any,
) -> ImportResult:
    """What the command does; ``request`` is as in ``ImportRequest``."""
    root.mkdir(exist_ok=True)
    targets = {ImportFolder.STORE: ImportTarget(root, known_in_folder(root))}
    if held_out is not None:
        held_out.mkdir(exist_ok=True)
        targets[ImportFolder.HELD_OUT] = ImportTarget(held_out, known_in_folder(held_out))
        request["mode"] = SplitMode.KEEP
    with open_source(str(source), encoding) as files:
        _, data_set = find_layout(files, layout, columns=columns)
        result = run_import(data_set, targets, ImportRequest(**{"confirm_all": True, **request}))
        if files.ended_early:
            result.leave_out(str(source), files.ended_early)
    return result


def files_in(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
