"""Where things are in a store, and how the store of a folder is found."""

import errno
import functools
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import NoStore, StoreUnreadable
from astica_sync.system.error_advice import reading_remedy, reason_of, remedy

STATE_DIR = ".astica-sync"
SETTINGS_FILE = "astica-sync.toml"
IGNORE_FILE = ".astica-ignore"
ASKS = "watch-asks-"
"""The prefix of files in the hidden folder that ask the watcher whether it has seen every change."""

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""The errors of a path at which no folder can be."""


@dataclass(frozen=True)
class Layout:
    """The paths of one store; ``root`` is absolute and without symbolic links.

    Each path is made once: joining a path takes longer than a ``stat`` of it.
    """

    root: Path

    @functools.cached_property
    def state(self) -> Path:
        return self.root / STATE_DIR

    @functools.cached_property
    def sentinel_file(self) -> Path:
        return self.state / "store.json"

    @functools.cached_property
    def creation_file(self) -> Path:
        """The attempt of ``init --create`` to make the model, until it has ended."""
        return self.state / "creating.json"

    @functools.cached_property
    def mounts_file(self) -> Path:
        """Which folders of the store were on another mount when they were scanned; it outlives the index."""
        return self.state / "mounts.json"

    @functools.cached_property
    def index_db(self) -> Path:
        return self.state / "index.db"

    @functools.cached_property
    def journal_db(self) -> Path:
        return self.state / "journal.db"

    @functools.cached_property
    def backup(self) -> Path:
        return self.state / "backup"

    @functools.cached_property
    def lock_file(self) -> Path:
        return self.state / "lock"

    @functools.cached_property
    def last_view(self) -> Path:
        """The bytes of the last observation, for ``pull-status --offline``."""
        return self.state / "last-view.json"

    @functools.cached_property
    def last_columns(self) -> Path:
        """The same observation in columns; a cache."""
        return self.state / "last-view.columns"

    @functools.cached_property
    def detections_db(self) -> Path:
        """A cache of what versions answered, and of what images look like."""
        return self.state / "detections.db"

    @functools.cached_property
    def scores_file(self) -> Path:
        """The scores of versions on held-out images."""
        return self.state / "scores.jsonl"

    @property
    def caches_of_service(self) -> tuple[Path, ...]:
        """What is known of a service and can be asked again; it does not outlive the binding to it."""
        database = self.detections_db
        beside = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-shm", "-journal"))
        return (self.last_view, self.last_columns, database, *beside)

    @functools.cached_property
    def watch_lock(self) -> Path:
        return self.state / "watch.lock"

    @functools.cached_property
    def watch_state(self) -> Path:
        """The last status that the watcher of this store has written."""
        return self.state / "watch.json"

    @functools.cached_property
    def watch_paused(self) -> Path:
        """The watcher is paused while this file exists."""
        return self.state / "watch-paused"


def has_store(folder: Path) -> bool:
    """Whether the folder has a hidden folder of a store; false where it may not be entered, as ``lost+found``."""
    return os.path.isdir(folder / STATE_DIR)  # noqa: PTH112 - a Path raises an error there


def find_store(start: Path) -> Layout:
    """The store that contains ``start``, searched for upwards as git does.

    Raises:
        NoStore: neither this folder nor a folder above it is a store.
        StoreUnreadable: it cannot be seen whether one of them is.
    """
    try:
        here = start.resolve(strict=True)
    except FileNotFoundError as error:
        raise NoStore(f"no such folder: {start}", "name a folder that exists") from error
    except OSError as error:
        raise StoreUnreadable(
            f"{start} cannot be opened: {reason_of(error)}", remedy(error, start, writing=False)
        ) from error
    for folder in (here, *here.parents):
        # A folder above may be closed, as in a sandbox around the program, and a store be above that.
        if look_for_store(folder, closed_is_none=folder != here):
            return Layout(folder)
    raise NoStore(
        f"no store in {here} or above it", "run astica-sync init there first, or name the store with --store DIR"
    )


def look_for_store(folder: Path, *, closed_is_none: bool = False) -> bool:
    """As ``has_store``, where a look that fails is not taken for a folder without a store: its store would be called
    lost, or one further up be taken for it. ``closed_is_none``: except in a folder that may not be entered.

    Raises:
        StoreUnreadable: it cannot be seen whether the folder is a store.
    """
    try:
        return stat.S_ISDIR(os.stat(folder / STATE_DIR).st_mode)  # noqa: PTH116 - as os.path.isdir
    except PermissionError as error:
        if closed_is_none:
            return False
        raise StoreUnreadable(f"{folder} cannot be read: {reason_of(error)}", reading_remedy(error)) from error
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return False
        path = folder / STATE_DIR
        raise StoreUnreadable(
            f"{path} cannot be read: {reason_of(error)}", remedy(error, path, writing=False)
        ) from error
