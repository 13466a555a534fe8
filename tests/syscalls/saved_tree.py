"""Puts a folder back as it was: what is the same stays untouched, and every folder keeps its inode."""

import os
import shutil
from pathlib import Path


def save(tree: Path, saved: Path) -> None:
    shutil.copytree(tree, saved, symlinks=True)


def put_back(saved: Path, tree: Path) -> None:
    """Makes ``tree`` equal to ``saved``, the times of files and folders included."""
    with os.scandir(saved) as wanted, os.scandir(tree) as found:
        entries = list(wanted)
        extra = {entry.name: entry for entry in found}
    for entry in entries:
        path = tree / entry.name
        here = extra.pop(entry.name, None)
        is_folder = entry.is_dir(follow_symlinks=False)
        if here is not None and here.is_dir(follow_symlinks=False) != is_folder:
            _remove(here)
            here = None
        if is_folder:
            path.mkdir(exist_ok=True)
            put_back(Path(entry.path), path)
        elif here is None or _shape(here) != _shape(entry):
            path.unlink(missing_ok=True)
            shutil.copy2(entry.path, path, follow_symlinks=False)
    for entry in extra.values():
        _remove(entry)
    if _shape_of(tree.stat()) != _shape_of(saved.stat()):
        shutil.copystat(saved, tree)


def _shape(entry: "os.DirEntry[str]") -> tuple[int, ...]:
    status = entry.stat(follow_symlinks=False)
    return (status.st_size, *_shape_of(status))


def _shape_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_mode


def _remove(entry: "os.DirEntry[str]") -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)
