"""Moves files out of the store that have taken the places of images which come back. Nothing is overwritten, and no
link is followed."""

import errno
import itertools
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from astica_sync.core.model import Problem
from astica_sync.errors import StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.backup.restore import refuse_store
from astica_sync.local.class_folders.folder_handles import HeldFolders, NotDone, move_same
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import STATE_DIR, Layout
from astica_sync.local.store_sentinel import check_root
from astica_sync.local.target_folder import check_target_folder
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import reason_of, remedy

_ON_ANOTHER_DISK = "it is on another disk than the folder for it: move the file away, then run the command again"


def _aside_path(layout: Layout) -> Path:
    """Where such files go: a folder beside the store, or in its hidden folder where the store itself is a mount, since
    a file is moved within one disk alone."""
    root = layout.root
    if root.is_mount() or root.name in FileSystem().mounts_below(root.parent):
        return layout.state / "overwritten"
    return root.with_name(f"{root.name}-overwritten")


class AsideFolder:
    """The folder for such files, each at the path that it had in the store."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.path = _aside_path(layout)
        self._moved: dict[str, str] = {}

    @property
    def moved(self) -> list[tuple[str, Path]]:
        """Of each file that was moved to the folder and is there now, its path in the store and where it is."""
        return [(path, self.path / place) for path, place in sorted(self._moved.items())]

    def take(self, backup: Backup, entries: Iterable[CatalogEntry]) -> list[Problem]:
        """Moves away what is at the paths of these images. A file stays where the backup has no good copy of the image
        that was there; what stayed is returned, with the reason.

        Raises:
            StoreError: the folder cannot be made, is a link or another user's, or the store is not the one that was
                made.
        """
        check_root(self._layout)
        try:
            check_target_folder(self.path, chosen=False)
            if self.path.parent != self._layout.state:
                refuse_store(self.path)
        except StoreError as error:
            # Its own remedy is an option that this command does not have.
            raise StoreError(
                f"the files that are there now have no place to go to: {error}",
                f"Move {quote_path(str(self.path))} away, then run it again.",
            ) from error
        try:
            FileSystem().make_folder(self.path, 0o700)
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be created, where the files that are there now would go: {reason_of(error)}",
                remedy(error, self.path),
            ) from error
        problems: list[Problem] = []
        with HeldFolders(self._layout.root) as store, HeldFolders(self.path) as aside:
            for entry in entries:
                if reason := backup.check(entry.content):
                    problems.append(Problem(entry.path, reason))
                    continue
                place = self._free(entry.path)
                if reason := self._store_above(place) or self._move((entry.path, place), store, aside):
                    problems.append(Problem(entry.path, f"another file is at this path: {reason}"))
                else:
                    self._moved[entry.path] = place
            store.sync()
            aside.sync()
        return problems

    def put_back(self) -> None:
        """Moves back what was moved away for an image that is not there now."""
        missing = [path for path in self._moved if not os.path.lexists(self._layout.root / path)]
        with HeldFolders(self._layout.root) as store, HeldFolders(self.path) as aside:
            for path in missing:
                if not self._move((self._moved[path], path), aside, store):
                    del self._moved[path]
            aside.sync()
            store.sync()

    def _move(self, places: tuple[str, str], source: HeldFolders, target: HeldFolders) -> str:
        """Moves a file from a path to another one; returns the reason where it stays."""
        path, wanted = places
        try:
            folder, name = source.place(path)
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                return "it is not a file"
            target.make(_above(wanted))
            above, new = target.place(wanted)
            move_same((folder, name), (above, new), status)
        except NotDone as reason:
            return str(reason)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return _ON_ANOTHER_DISK
            return f"{error.strerror}; {remedy(error, self.path / path)}"
        source.note_changed(_above(path))
        target.note_changed(_above(wanted))
        source.trim()
        target.trim()
        return ""

    def _store_above(self, path: str) -> str:
        """Why the file does not go to this place: a folder above it is a store, of which it would become a sample; ""
        where none is."""
        for folder in Path(path).parents:
            if folder != Path() and os.path.lexists(self.path / folder / STATE_DIR):
                return (
                    f"{self.path / folder}, where it would go, is a store: move that away, then run the command again"
                )
        return ""

    def _free(self, path: str) -> str:
        """The first of "a.jpg", "a (2).jpg", … that is no name there yet."""
        plain = Path(path)
        names = itertools.chain((path,), (str(plain.with_stem(f"{plain.stem} ({n})")) for n in itertools.count(2)))
        return next(name for name in names if not os.path.lexists(self.path / name))


def _above(path: str) -> str:
    return Path(path).parent.as_posix()
