"""Moves held-out images back into the store that they came from."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from astica_sync.local.move_file import move_file
from astica_sync.training.find_images import hash_image
from astica_sync.training.move_held_out import SPLIT_FILE, Split, continues_later, find_finished, move_each


def plan_undo(to: Path, store: Path) -> Split:
    """The files of a split that are in the held-out folder, as those to move back.

    Raises:
        AsticaSyncError: as ``find_finished``.
    """
    split = find_finished(to, store)
    paths = dict.fromkeys((*split.before, *split.paths))
    return replace(split, paths=tuple(path for path in paths if (to / path).is_file()), before=())


def undo_split(split: Split, on_moved: Callable[[str, str], None] = lambda *_: None) -> int:
    """Moves the files back; returns how many. No file of the store is overwritten. ``on_moved`` is called with the path
    of each file that was moved, and with its content.

    Raises:
        StoreError: a file cannot be moved; calling again continues with the others.
    """
    with continues_later(split.to):
        to = split.to.resolve(strict=True)

        def move(path: str) -> bool:
            content = hash_image(to / path, to)
            moved = move_file(to, split.store, path, content)
            if moved:
                on_moved(path, content)
            return moved

        count = move_each(split.paths, split.to, move, "moved back")
        _remove_list(split)
    return count


def _remove_list(split: Split) -> None:
    """Removes the list of files, and the folders that are empty now. What the user has put there stays."""
    (split.to / SPLIT_FILE).unlink()
    folders = {
        parent for path in split.paths for parent in (split.to / path).parents if parent.is_relative_to(split.to)
    }
    for folder in sorted({*folders, split.to}, key=lambda folder: -len(folder.parts)):
        with contextlib.suppress(OSError):
            folder.rmdir()
