"""Completes the path of a folder while it is typed."""

import itertools
import os
from pathlib import Path
from typing import NamedTuple

from astica_sync.local.layout import has_store

MOST = 12
_MOST_LOOKED_AT = 5000


class NamedFolder(NamedTuple):
    """A folder of this machine; ``is_store``: it is a store already."""

    path: str
    is_store: bool


def complete_folder(text: str, here: Path) -> list[NamedFolder]:
    """The folders whose paths begin with ``text``; relative ones are below ``here``. Hidden ones are offered once their
    dot is typed. What cannot be read has none."""
    if "\0" in text:
        return []
    typed = here / os.path.expanduser(text)  # noqa: PTH111 - Path raises where the user is unknown
    parent, start = (typed, "") if text.endswith("/") or not text else (typed.parent, typed.name)
    found: list[NamedFolder] = []
    try:
        with os.scandir(parent) as listing:
            for entry in itertools.islice(listing, _MOST_LOOKED_AT):
                hidden = entry.name.startswith(".") and not start.startswith(".")
                if not hidden and entry.name.casefold().startswith(start.casefold()) and entry.is_dir():
                    found.append(NamedFolder(entry.path, has_store(Path(entry.path))))
    except (OSError, ValueError):
        return []
    return sorted(found)[:MOST]
