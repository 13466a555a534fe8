"""Where things are in a store, and how the store of a folder is found."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import NoStore
from astica_sync.system.error_advice import reading_remedy, remedy

STATE_DIR = ".astica-sync"
SETTINGS_FILE = "astica-sync.toml"
IGNORE_FILE = ".astica-ignore"
ASKS = "watch-asks-"
"""The prefix of files in the hidden folder that ask the watcher whether it has seen every change."""


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
        NoStore: neither this folder nor a folder above it is a store, or this folder may not be entered.
    """
    try:
        here = start.resolve(strict=True)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise NoStore(f"no such folder: {start}", "name a folder that exists") from error
        raise NoStore(f"{start} cannot be opened: {error.strerror}", remedy(error, start, writing=False)) from error
    for folder in (here, *here.parents):
        if has_store(folder):
            return Layout(folder)
    refuse_closed(here)
    raise NoStore(
        f"no store in {here} or above it", "run astica-sync init there first, or name the store with --store DIR"
    )


def refuse_closed(folder: Path) -> None:
    """A folder that may not be entered looks like one without a store.

    Raises:
        NoStore: this user may not enter the folder, so that it cannot be seen whether it is a store.
    """
    try:
        os.stat(folder / STATE_DIR)  # noqa: PTH116 - as os.path.isdir
    except PermissionError as error:
        raise NoStore(f"{folder} cannot be read: {error.strerror}", reading_remedy(error)) from error
    except OSError:
        return
