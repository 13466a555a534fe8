"""Makes a store from its mirror alone: the backup with its versions, and the files that the store had.

The mirror may have been filled by another user: it chooses no name outside of the backup, each object must have the
content that its name says, and an address in it gets the key only after ``astica-sync trust``.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from astica_sync.clock import Clock
from astica_sync.core.mirror.plan_copies import content_of, is_of_mirror
from astica_sync.core.model import Problem
from astica_sync.errors import MirrorFailed, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.backup.restore import restore
from astica_sync.local.check_state_folder import check_state_folder
from astica_sync.local.create_store import check_place, create_store
from astica_sync.local.filesystem import MAX_INT64, FileSystem
from astica_sync.local.jsonl import parse_line
from astica_sync.local.layout import Layout
from astica_sync.local.target_folder import check_target_folder
from astica_sync.mirror.in_parallel import in_parallel
from astica_sync.mirror.mirror_run import FILES_FILE, STORE_FILE
from astica_sync.mirror.mirror_status import LATEST
from astica_sync.mirror.place import Place
from astica_sync.service_address import checked_address
from astica_sync.system.error_advice import reason_of, remedy

MOST_BYTES = 1 << 30
"""Of one file of a mirror, which is held in memory: more than the list of five million files. A sparse file, and what
another user has put into a mirror, may have any length."""
_MOST_ABOUT = 65_536
UNFINISHED = "rebuilding"
"""A file in the hidden folder of a store whose rebuilding has not ended."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """``objects`` and ``files`` are how many are there now, ``problems`` what is not there and why. ``copied_at`` is
    when the last copy to the mirror began, in seconds since the epoch; None where an older version made it."""

    layout: Layout
    model_id: int
    train_url: str
    objects: int
    files: int
    problems: tuple[Problem, ...]
    copied_at: float | None


def rebuild_store(
    place: Place,
    to: Path,
    clock: Clock,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Rebuilt:
    """Fills the empty folder ``to``; run again, it goes on where it was interrupted.

    Raises:
        MirrorFailed: the mirror cannot be read, or has no store.
        StoreError: the folder is not empty or cannot be written.
        Interrupted: the user asked to stop.
    """
    model_id, train_url, copied_at = _read_store(place)
    layout = _prepare(to)
    problems: list[Problem] = []
    files = FileSystem()
    there = {name: size for name, size in place.sizes() if is_of_mirror(name) or name == FILES_FILE}
    sizes = {name: size for name, size in there.items() if name.startswith("backup/")}
    count = 0
    fetched = in_parallel(lambda name: _fetch(place, layout, files, name, sizes[name]), sorted(sizes), stopping)
    for number, (name, problem) in enumerate(fetched, 1):
        if problem:
            problems.append(Problem(name, problem))
        elif content_of(name):
            count += 1
        on_progress(number, len(sizes))
    backup = Backup(layout.backup, files)
    listed = _read_list(place, there.get(FILES_FILE, 0))
    done = restore(backup, layout.root, files, entries=lambda: _entries(listed))
    problems += done.problems
    made = create_store(layout.root, model_id=model_id, train_url=train_url, now=clock.now())
    files.remove(layout.state / UNFINISHED)
    files_there = done.written + done.already_there
    return Rebuilt(made, model_id, train_url, count, files_there, tuple(problems), copied_at)


def _read_store(place: Place) -> tuple[int, str, float | None]:
    data = place.read_start(STORE_FILE, _MOST_ABOUT)
    if data is None:
        raise MirrorFailed(
            f"{place.name} has no {STORE_FILE}, so it is no mirror of a store",
            "check the address; a mirror is made by astica-sync backup mirror",
        )
    try:
        about = json.loads(data)
        model_id, train_url = about["model_id"], checked_address(about["train_url"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MirrorFailed(f"{STORE_FILE} of {place.name} is damaged: {error}", "mirror the store again") from error
    if isinstance(model_id, bool) or not isinstance(model_id, int) or not 0 <= model_id <= MAX_INT64:
        raise MirrorFailed(f"{STORE_FILE} of {place.name} is damaged: no model id", "mirror the store again")
    copied_at = about.get("copied_at")
    known = isinstance(copied_at, int) and not isinstance(copied_at, bool) and 0 < copied_at < LATEST
    return model_id, train_url, float(copied_at) if known else None


def _prepare(to: Path) -> Layout:
    """The layout of the new store in an empty folder, or of one that an earlier run of this user began: another user
    would see private images, and could have put anything into the hidden folder."""
    check_target_folder(to)
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{to} cannot be created: {reason_of(error)}", f"{remedy(error, to)}; or name another folder with --to"
        ) from error
    layout = check_place(to)
    if os.path.lexists(layout.state):
        check_state_folder(layout)
    unfinished = layout.state / UNFINISHED
    if not unfinished.is_file() and any(layout.root.iterdir()):
        raise StoreError(
            f"{layout.root} is not empty, and a store is rebuilt in an empty folder only",
            "name a new folder with --to",
        )
    try:
        layout.state.mkdir(mode=0o700, exist_ok=True)
        FileSystem().write_synced(unfinished, [b""])
    except OSError as error:
        raise StoreError(f"cannot write to {layout.root}: {reason_of(error)}", remedy(error, layout.root)) from error
    return layout


def _read_list(place: Place, size: int) -> bytes:
    """The list of the files that the store had; nothing where the mirror has none.

    Raises:
        MirrorFailed: it is too long.
    """
    if size > MOST_BYTES:
        raise MirrorFailed(f"{FILES_FILE} of {place.name} is damaged: {_too_long(size)}", "mirror the store again")
    return place.read_start(FILES_FILE, MOST_BYTES) or b""


def _too_long(size: int) -> str:
    return f"it has {size / 1e9:,.1f} GB, more than the {MOST_BYTES / 1e9:.1f} GB that are read"


def _fetch(place: Place, layout: Layout, files: FileSystem, name: str, size: int) -> str:
    path = layout.state / name
    content = content_of(name)
    with contextlib.suppress(OSError):
        if content and path.stat().st_size == size:
            # An earlier run wrote it whole, under another name first.
            return ""
    if size > MOST_BYTES:
        return _too_long(size)
    data = place.read_start(name, size + 1)
    if data is None:
        return "it is gone from the mirror"
    if len(data) > size:
        return "it has grown since the mirror was listed"
    if content and xxhash.xxh3_128_hexdigest(data) != content:
        return "it is damaged in the mirror"
    try:
        files.make_folder(path.parent, 0o700)
        files.write_synced(path, [data])
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {reason_of(error)}", remedy(error, path)) from error
    return ""


def _entries(listed: bytes) -> Iterator[CatalogEntry]:
    """The files that the store had. What is odd in a line is found by ``restore``, as in a catalog."""
    for line in listed.splitlines():
        fields = parse_line(line)
        if fields is None:
            continue
        title, path, content = fields.get("class"), fields.get("path"), fields.get("content")
        if not (isinstance(title, str) and isinstance(path, str) and isinstance(content, str)):
            continue
        if len(content) == 32 and all(letter in "0123456789abcdef" for letter in content):
            # JSON has any text, and names on the disk are bytes.
            with contextlib.suppress(UnicodeEncodeError):
                os.fsencode(path)
                yield CatalogEntry(title, path, content, "", 0, 0.0)
