"""Creates a held-out folder by moving files out of the store: a copy that stays in the store would be trained on.

The list of files is written into the new folder before the first file moves, so the next run completes one that was
killed. No file is overwritten, and none is removed from the store before its bytes are in the new folder.
"""

import errno
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.filesystem import FileSystem, temp_name

SPLIT_FILE = ".astica-split.json"


@dataclass(frozen=True, slots=True)
class Split:
    """A held-out folder ``to``. ``paths`` are the files to move, relative to both folders; ``done`` is True once all
    have moved."""

    to: Path
    store: Path
    paths: tuple[str, ...]
    share: float
    seed: int
    done: bool = False


def read_split(to: Path) -> Split | None:
    """The split that was started in this folder; None if there is none.

    Raises:
        StoreError: its file cannot be read or parsed.
    """
    try:
        fields = json.loads((to / SPLIT_FILE).read_bytes())
        return Split(
            to,
            Path(fields["store"]),
            tuple(str(path) for path in fields["paths"]),
            float(fields["share"]),
            int(fields["seed"]),
            bool(fields["done"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{to / SPLIT_FILE} cannot be read: {error}", "Name another folder with --to.") from error


def check_target(to: Path, store: Path) -> Split | None:
    """An unfinished split of this store into ``to``; None if ``to`` is a new folder.

    Raises:
        AsticaSyncError: ``to`` is a complete held-out folder, contains other files, or overlaps with the store.
    """
    if to.resolve().is_relative_to(store) or store.is_relative_to(to.resolve()):
        raise AsticaSyncError(
            f"{to} and the store overlap", "Name a folder outside of the store: held-out images are never trained on."
        )
    started = read_split(to)
    if started is not None and not started.done and started.store == store:
        return started
    if started is not None:
        raise AsticaSyncError(
            f"{to} already is a held-out folder",
            f"Evaluate on it: astica-sync evaluate {quote(str(to))}. Scores are comparable on the same images only.",
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise AsticaSyncError(f"{to} is not empty", "Name a folder that does not exist yet.")
    return None


def make_split(split: Split, fs: FileSystem) -> int:
    """Moves the files that have not been moved yet; returns how many were moved.

    Raises:
        StoreError: a file cannot be moved; calling again continues with it.
    """
    try:
        fs.make_folder(split.to)
        _write_split(split, fs, done=False)
        moved = sum(_move(split.store / path, split.to / path, fs) for path in split.paths)
        _write_split(split, fs, done=True)
    except OSError as error:
        raise StoreError(
            f"{error.filename or split.to} cannot be moved: {error.strerror}",
            "Fix the cause, then run the same command again; it continues where it stopped.",
        ) from error
    return moved


def _write_split(split: Split, fs: FileSystem, *, done: bool) -> None:
    fields: dict[str, str | float | bool | Sequence[str]] = {
        "store": str(split.store),
        "share": split.share,
        "seed": split.seed,
        "done": done,
        "paths": split.paths,
    }
    fs.write_synced(split.to / SPLIT_FILE, [json.dumps(fields).encode(), b"\n"])


def _move(source: Path, target: Path, fs: FileSystem) -> bool:
    if not source.exists():
        if target.exists():
            return False
        raise FileNotFoundError(errno.ENOENT, "it is in neither folder", str(source))
    if target.exists():
        # A killed run copied the file and did not remove the source, or the target is another file.
        if target.read_bytes() != source.read_bytes():
            raise FileExistsError(errno.EEXIST, "a different file of that name exists", str(target))
    else:
        fs.make_folder(target.parent)
        temp = temp_name(target)
        fs.copy_synced(source, temp)
        fs.publish_new(temp, target)
    fs.remove(source)
    return True
