"""Creates a held-out folder by moving files out of the store: a copy that stays in the store would be trained on.

The list of files is written into the new folder before the first file moves, so the next run completes one that was
killed. No file is overwritten, and none is removed from the store before its bytes are in the new folder.

The list may have come in an archive or from another user, so it names samples of the store and nothing else.
"""

import contextlib
import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.gallery.safe_names import is_sample_path
from astica_sync.core.versions.choose_held_out import GroupedFile
from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import parse_json
from astica_sync.local.move_file import NotMoved, move_file
from astica_sync.local.target_folder import check_target_folder, read_own_file
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import remedy

SPLIT_FILE = ".astica-split.json"
_CONTENT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class KeptClass:
    """A class of which no file is held out: its title, its number of files, and two of them that have to stay together
    since their images are similar, if there are such."""

    title: str
    files: int
    similar: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Split:
    """A held-out folder ``to``. ``paths`` are the files to move, relative to both folders; ``done`` is True once all
    have moved. ``kept`` are the classes of which no image is held out, where this was planned just now. ``before`` are
    the files that were moved earlier, where more images were added to the store since. ``stayed`` are the contents that
    stayed in the store, None where an earlier version of the program did not write them."""

    to: Path
    store: Path
    paths: tuple[str, ...]
    share: float
    seed: int
    done: bool = False
    kept: tuple[KeptClass, ...] = ()
    before: tuple[str, ...] = ()
    stayed: frozenset[str] | None = None


def find_kept_classes(files: Sequence[GroupedFile], chosen: Sequence[GroupedFile]) -> tuple[KeptClass, ...]:
    """The classes of which no file is among the chosen ones, sorted by title."""
    by_class: dict[str, list[GroupedFile]] = defaultdict(list)
    for file in files:
        by_class[file.class_title].append(file)
    for title in {file.class_title for file in chosen}:
        del by_class[title]
    return tuple(KeptClass(title, len(own), _find_similar(own)) for title, own in sorted(by_class.items()))


def _find_similar(files: Sequence[GroupedFile]) -> tuple[str, str] | None:
    first: dict[int, str] = {}
    for file in sorted(files, key=lambda file: file.path):
        if file.group in first:
            return first[file.group], file.path
        first[file.group] = file.path
    return None


def read_split(to: Path) -> Split | None:
    """The split that was started in this folder; None if there is none.

    Raises:
        StoreError: its file cannot be read or parsed, is another user's, or names what cannot be a sample.
    """
    file = to / SPLIT_FILE
    try:
        fields = parse_json(read_own_file(file))
        split = Split(
            to,
            Path(fields["store"]),
            tuple(str(path) for path in fields["paths"]),
            float(fields["share"]),
            int(fields["seed"]),
            bool(fields["done"]),
            before=tuple(str(path) for path in fields.get("before", ())),
            stayed=_read_contents(fields.get("stayed")),
        )
        for path in (*split.before, *split.paths, str(split.store)):
            if "\0" in path:
                raise ValueError("a path has a zero byte")
            os.fsencode(path)
        for path in (*split.before, *split.paths):
            if not is_sample_path(path):
                raise ValueError(f"{path!r:.200} is not the path of a sample")
        return split
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise StoreError(f"{to / SPLIT_FILE} cannot be read: {error}", "Name another folder with --to.") from error


def _read_contents(field: object) -> frozenset[str] | None:
    if field is None:
        return None
    if not isinstance(field, list) or not all(isinstance(one, str) and _CONTENT.fullmatch(one) for one in field):
        raise ValueError("what stayed in the store is no list of hashes")
    return frozenset(field)


def find_finished(to: Path, store: Path) -> Split:
    """The split of this store into ``to``, finished or not.

    Raises:
        AsticaSyncError: there is none, it is of another store, or another user's.
    """
    check_target_folder(to)
    split = read_split(to)
    if split is None:
        raise AsticaSyncError(f"{to} was not made by astica-sync split", "Name the held-out folder with --to.")
    if split.store != store:
        raise AsticaSyncError(
            f"the images in {to} come from another store: {split.store}", "Name that store with --store."
        )
    return split


def check_target(to: Path, store: Path) -> Split | None:
    """An unfinished split of this store into ``to``; None if ``to`` is a new folder.

    Raises:
        AsticaSyncError: ``to`` is a complete held-out folder, contains other files, overlaps with the store, or is
            another user's.
    """
    check_target_folder(to)
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
            f"Evaluate on it: astica-sync evaluate {quote_path(str(to))}. Scores are comparable on the same images "
            "only. To hold out a share of the photos that came since, add --top-up.",
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise AsticaSyncError(f"{to} is not empty", "Name a folder that does not exist yet.")
    return None


def make_split(
    split: Split,
    fs: FileSystem,
    content_of: Callable[[str], str | None],
    on_moved: Callable[[str, Path], None] = lambda *_: None,
) -> int:
    """Moves the files that have not been moved yet; returns how many were moved.

    ``content_of`` is the hash of the sample that the index has at a path, None where it has none; ``on_moved`` is
    called with the path of each file that was moved, and with its new place.

    Raises:
        StoreError: a file cannot be moved; calling again continues with it.
    """
    with continues_later(split.to):
        check_target_folder(split.to)
        is_new = not split.to.exists()
        fs.make_folder(split.to)
        to = split.to.resolve(strict=True)
        if is_new:
            # What only the user may enter in the store, only the user may enter there.
            to.chmod(to.stat().st_mode & (split.store.stat().st_mode | stat.S_IRWXU))
        _write_split(split, fs, done=False)

        def move(path: str) -> bool:
            if not is_sample_path(path):
                raise NotMoved("it is not the path of a sample")
            moved = move_file(split.store, to, path, content_of(path))
            if moved:
                on_moved(path, to / path)
            return moved

        count = move_each(split.paths, split.store, move, "moved")
        _write_split(split, fs, done=True)
    return count


@contextlib.contextmanager
def continues_later(to: Path) -> Iterator[None]:
    """Says of an error of the file system that the same command continues where it stopped.

    Raises:
        StoreError: a file or folder cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename or to} cannot be moved: {error.strerror}",
            f"{remedy(error, error.filename or to)}; then run the same command again, which continues where it stopped",
        ) from error


def move_each(paths: Sequence[str], source: Path, move: Callable[[str], bool], how: str) -> int:
    """Moves the files below ``source``, also those after one that cannot be moved; returns how many were moved.

    ``move`` returns whether it moved the file; ``how`` is the end of the sentence about the number of files.

    Raises:
        StoreError: some were not moved.
    """
    moved = 0
    problems: list[str] = []
    for path in paths:
        try:
            moved += move(path)
        except NotMoved as reason:
            problems.append(f"{source / path} was not moved: {reason}")
    if problems:
        more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
        raise StoreError(
            f"{problems[0]}{more}; {moved:,} of {len(paths):,} files were {how}",
            "Fix the cause, then run the same command again; it continues where it stopped.",
        )
    return moved


def _write_split(split: Split, fs: FileSystem, *, done: bool) -> None:
    fields: dict[str, str | float | bool | Sequence[str]] = {
        "store": str(split.store),
        "share": split.share,
        "seed": split.seed,
        "done": done,
        "paths": split.paths,
    }
    if split.before:
        fields["before"] = split.before
    if split.stayed is not None:
        fields["stayed"] = sorted(split.stayed)
    fs.write_synced(split.to / SPLIT_FILE, [json.dumps(fields).encode(), b"\n"])
