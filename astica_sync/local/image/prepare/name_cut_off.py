"""Which HEIC images are cut off, where the package that would decode them is not installed."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.core.model import Problem
from astica_sync.local.image.format import broken
from astica_sync.local.image.prepare.iso_box_file import TRUNCATED, is_file_cut_off
from astica_sync.local.image.prepare.usable_formats import HEIC, why_not_converted

if TYPE_CHECKING:
    from astica_sync.local.filesystem import FileSystem

MOST_LOOKED_AT = 1000


def name_cut_off(files: "FileSystem", root: Path, problems: Sequence[Problem]) -> list[Problem]:
    """The problems with another reason for each image that no package can convert, since it is not whole. Looks at
    the first ``MOST_LOOKED_AT``, and reads their headers alone."""
    unchecked = why_not_converted(HEIC)
    named: list[Problem] = []
    looked_at = 0
    for one in problems:
        if one.reason == unchecked and looked_at < MOST_LOOKED_AT:
            looked_at += 1
            named.append(Problem(one.path, broken(TRUNCATED)) if _is_cut_off(files, root / one.path) else one)
        else:
            named.append(one)
    return named


def _is_cut_off(files: "FileSystem", path: Path) -> bool:
    with contextlib.suppress(OSError), files.open_read(path) as file:
        return is_file_cut_off(file, os.fstat(file.fileno()).st_size)
    return False
