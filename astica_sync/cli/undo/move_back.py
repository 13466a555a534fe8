"""Moves images back to the class folder that they came from. Nothing is overwritten, and no link is followed."""

import os
from collections.abc import Sequence
from pathlib import Path

from astica_sync.core.find_moved_images import MovedImage
from astica_sync.core.gallery.safe_names import is_sample_path
from astica_sync.core.model import Problem
from astica_sync.local.class_folders.folder_handles import HeldFolders, NotDone, hash_at, move_same
from astica_sync.local.layout import STATE_DIR, Layout
from astica_sync.local.store_sentinel import check_root
from astica_sync.system.error_advice import remedy


def move_back(layout: Layout, images: Sequence[MovedImage]) -> tuple[list[MovedImage], list[Problem]]:
    """What was moved back, and what was not, with the reason. A place that another of these images still has is free
    once that one is back."""
    check_root(layout)
    moved: list[MovedImage] = []
    waiting = list(images)
    problems: list[Problem] = []
    with HeldFolders(layout.root) as folders:
        while waiting:
            taken: list[MovedImage] = []
            for image in waiting:
                try:
                    _move(layout.root, folders, image)
                    moved.append(image)
                except FileExistsError:
                    taken.append(image)
                except NotDone as reason:
                    problems.append(Problem(image.now, f"not moved back to {image.path}: {reason}"))
                except OSError as error:
                    advice = remedy(error, layout.root / image.path)
                    problems.append(Problem(image.now, f"not moved back to {image.path}: {error.strerror}; {advice}"))
                folders.trim()
            if len(taken) == len(waiting):
                problems += [
                    Problem(one.now, f"not moved back: another file is at {one.path}; move that one away first")
                    for one in taken
                ]
                break
            waiting = taken
        folders.sync()
    return moved, problems


def _move(root: Path, folders: HeldFolders, image: MovedImage) -> None:
    folder, name = folders.place(image.now)
    content, status = hash_at(folder, name)
    if content != image.content:
        raise NotDone("it has changed since the store was scanned")
    # The journal may have come in a downloaded archive.
    if not is_sample_path(image.path):
        raise NotDone("it is not the path of an image")
    if any(os.path.lexists(root / above / STATE_DIR) for above in Path(image.path).parents if above.name):
        raise NotDone("its folder is a store")
    folders.make(_above(image.path))
    target, wanted = folders.place(image.path)
    move_same((folder, name), (target, wanted), status)
    folders.note_changed(_above(image.now))
    folders.note_changed(_above(image.path))


def _above(path: str) -> str:
    return Path(path).parent.as_posix()
