"""Making a held-out folder once: files move out of the store, since a copy in both places would prove nothing.

What moves where is written into the new folder before the first file moves, so that a run that was killed is finished
by the next one. No file is ever overwritten, and none is removed before its bytes stand at the new place.
"""

import errno
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.filesystem import FileSystem, temp_beside

NOTE = ".astica-split.json"


@dataclass(frozen=True, slots=True)
class Split:
    """A held-out folder: which files of the store go there (paths relative to either), with what share and seed."""

    to: Path
    store: Path
    paths: tuple[str, ...]
    share: float
    seed: int
    done: bool = False


def read_split(to: Path) -> Split | None:
    """The split that was begun in this folder; None where there is none.

    Raises:
        StoreError: its note is there and cannot be understood.
    """
    try:
        fields = json.loads((to / NOTE).read_bytes())
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
        raise StoreError(f"{to / NOTE} cannot be read: {error}", "Name another folder.") from error


def check_target(to: Path, store: Path) -> Split | None:
    """A split of this store that was begun there and not finished; None for a new folder.

    Raises:
        AsticaSyncError: a held-out folder was made there already, or something else stands there.
    """
    if to.resolve().is_relative_to(store) or store.is_relative_to(to.resolve()):
        raise AsticaSyncError(f"{to} and the store lie one in the other", "Held-out images are never training data.")
    begun = read_split(to)
    if begun is not None and not begun.done and begun.store == store:
        return begun
    if begun is not None:
        raise AsticaSyncError(
            f"{to} is a held-out folder already", "One is made once, so that scores stay comparable; evaluate with it."
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise AsticaSyncError(f"{to} is not empty", "Name a folder that is not there yet.")
    return None


def make_split(split: Split, fs: FileSystem) -> int:
    """Moves the files, those that have not moved yet; returns how many moved.

    Raises:
        StoreError: a file cannot be moved; those before it are, and the same call goes on from there.
    """
    try:
        fs.make_folder(split.to)
        _write_note(split, fs, done=False)
        moved = sum(_move(split.store / path, split.to / path, fs) for path in split.paths)
        _write_note(split, fs, done=True)
    except OSError as error:
        raise StoreError(
            f"{error.filename or split.to} cannot be moved: {error.strerror}",
            "Mend that, then give the same command again; it goes on where it stopped.",
        ) from error
    return moved


def _write_note(split: Split, fs: FileSystem, *, done: bool) -> None:
    fields: dict[str, str | float | bool | Sequence[str]] = {
        "store": str(split.store),
        "share": split.share,
        "seed": split.seed,
        "done": done,
        "paths": split.paths,
    }
    fs.write_synced(split.to / NOTE, [json.dumps(fields).encode(), b"\n"])


def _move(source: Path, target: Path, fs: FileSystem) -> bool:
    if not source.exists():
        if target.exists():
            return False
        raise FileNotFoundError(errno.ENOENT, "it is in neither folder", str(source))
    if target.exists():
        # A killed run has copied it and not removed the source, or somebody put another file there.
        if target.read_bytes() != source.read_bytes():
            raise FileExistsError(errno.EEXIST, "another file stands there", str(target))
    else:
        fs.make_folder(target.parent)
        temp = temp_beside(target)
        fs.copy_synced(source, temp)
        fs.publish_new(temp, target)
    fs.remove(source)
    return True
