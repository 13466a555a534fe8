"""Making a store of a folder: ``astica-sync init``."""

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import StoreChanged, StoreError
from astica_sync.local.check_state_folder import check_state_folder, foreign_owners
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import STATE_DIR, Layout, has_store, look_for_store
from astica_sync.local.store_sentinel import is_own, new_sentinel, read_sentinel, remember_root
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import remedy

ABOUT_THE_MODEL = ("follows", "training", "trained", "uids_proven", "sizes_shown")
"""The journal's keys for what is true of one model on one service: the version that it holds, a training that is under
way or was not reported, and what its views have shown of the service's habits."""
GIT_IGNORE = ".gitignore"
# How far below a new store another store is searched for: class folders and the folders in them.
_DEPTH = 3


def create_store(
    root: Path, *, model_id: int, train_url: str, now: float, rebind: bool = False, files: FileSystem | None = None
) -> Layout:
    """Makes the folder a store of that model. Doing it again declares this copy the one that writes to the model.

    A store that is made again keeps its id. ``rebind`` allows another model than the one it had. On another service
    nothing is managed at first, and the versions that were recorded of the first one do not count: both may give out
    the same numbers and names.

    Raises:
        StoreError: not a writable folder, a store inside a store, or a store of another model.
    """
    files = files or FileSystem()
    layout = check_place(root)
    if layout.state.exists():
        check_state_folder(layout, foreign_owners(layout))
    store_id = os.urandom(16).hex()
    old = None
    with contextlib.suppress(StoreChanged):
        old = read_sentinel(layout)
        if (old.model_id, old.train_url) != (model_id, train_url) and not rebind:
            raise StoreError(
                f"{layout.root} is already the store of model {old.model_id} at {old.train_url}",
                f"use another folder, or move {layout.state} elsewhere: the backup in it stays readable",
            )
        store_id = old.store_id
    sentinel = new_sentinel(layout, files, (store_id, model_id, train_url), now)
    is_new = not layout.state.exists()
    try:
        files.make_folder(layout.state)
        keep_out_of_git(layout, files)
        if old is not None and (old.model_id, old.train_url) != (model_id, train_url):
            # What is cached is about another model, which may have the same id and names of versions.
            for path in layout.caches_of_service:
                files.remove(path)
            _forget_model(layout, another_service=old.train_url != train_url)
        if old is not None:
            # Also without a change of the binding: a run that was killed may have said so too early.
            from astica_sync.local.backup.service_records import note_service

            note_service(layout.backup, files, old.train_url, train_url)
        files.write_synced(layout.sentinel_file, [sentinel.to_json()])
        remember_root(layout, files)
    except OSError as error:
        if is_new:
            _remove_new(layout, files)
        raise StoreError(
            f"cannot write {layout.sentinel_file}: {error.strerror}",
            remedy(error, layout.root),
        ) from error
    return layout


def _remove_new(layout: Layout, files: FileSystem) -> None:
    """Removes what ``create_store`` has made of a folder that had no hidden folder, which would look like a lost store.
    What something else has put there stays."""
    with contextlib.suppress(OSError):
        for path in (layout.sentinel_file, layout.state / GIT_IGNORE):
            files.remove(path)
        layout.state.rmdir()


def _forget_model(layout: Layout, *, another_service: bool) -> None:
    """Takes what the journal says of the model that the store had until now out of it. Marks name their model, and stay
    unless the model is one of ``another_service``; the history stays.

    Raises:
        DatabaseError: the journal cannot be written.
    """
    # Imported here, since the help needs no database.
    from astica_sync.local.db.journal import Journal

    if layout.journal_db.exists():
        with Journal(layout.journal_db, "init") as journal, journal.commit():
            for key in ABOUT_THE_MODEL:
                journal.set_meta(key, None)
            if another_service:
                journal.forget([mark.uid for mark in journal.marks()])
                journal.clear_bad()


@dataclass(frozen=True, slots=True)
class MadeElsewhere:
    """What is in the hidden folder that this user has not made here: another machine did, or it came with a data set.
    The numbers of images in the backup, of recorded versions and of scores."""

    images: int = 0
    versions: int = 0
    scores: int = 0


def find_made_elsewhere(layout: Layout, files: FileSystem) -> MadeElsewhere:
    """What this folder has of another user or machine; nothing where the store is this user's own.

    Raises:
        StoreError: the backup cannot be read.
    """
    if is_own(layout, files):
        return MadeElsewhere()
    # Imported here, since the help needs no hash.
    from astica_sync.local.backup.object_store import ObjectStore
    from astica_sync.local.backup.service_records import count_versions
    from astica_sync.local.db.version_scores import read_scores

    return MadeElsewhere(
        sum(1 for _ in ObjectStore(layout.backup, files).objects()),
        count_versions(layout.backup, files),
        len(read_scores(layout.scores_file, files)),
    )


def keep_out_of_git(layout: Layout, files: FileSystem) -> None:
    """Keeps the hidden folder out of ``git add`` and away from ``git clean``; a file that is there stays.

    Raises:
        OSError: it cannot be written.
    """
    path = layout.state / GIT_IGNORE
    with contextlib.suppress(FileNotFoundError):
        files.lstat(path)
        return
    files.write_synced(path, [b"# The backup of astica-sync is in this folder.\n*\n"])


def check_place(root: Path) -> Layout:
    """The layout of a store in this folder, if the folder can be one.

    Raises:
        StoreError: not a writable folder, or a store inside a store.
    """
    try:
        layout = Layout(root.resolve(strict=True))
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise StoreError(
                f"no such folder: {root}",
                f"create it, empty or with one folder per class in it: mkdir -p {quote_path(str(root))}",
            ) from error
        raise StoreError(f"{root} cannot be opened: {error.strerror}", remedy(error, root, writing=False)) from error
    if not layout.root.is_dir():
        raise StoreError(f"not a folder: {layout.root}", "a store is a folder with one folder per class in it")
    if not os.access(layout.root, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"cannot write to {layout.root}", remedy(_why_unwritable(layout.root), layout.root))
    _refuse_nesting(layout.root)
    return layout


def _why_unwritable(folder: Path) -> OSError:
    with contextlib.suppress(OSError):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return OSError(errno.EROFS, os.strerror(errno.EROFS))
    return OSError(errno.EACCES, os.strerror(errno.EACCES))


def _refuse_nesting(root: Path) -> None:
    hint = "a store cannot be inside another store: choose a folder outside of it"
    for folder in root.parents:
        if look_for_store(folder, closed_is_none=True):
            raise StoreError(f"{root} is inside the store {folder}", hint)
    folders = [root]
    for _ in range(_DEPTH):
        folders = [child for folder in folders for child in _folders_in(folder)]
        for folder in folders:
            if has_store(folder):
                raise StoreError(f"{root} contains the store {folder}", hint)


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as listing:
            return [Path(entry) for entry in listing if entry.is_dir(follow_symlinks=False) and entry.name != STATE_DIR]
    except OSError:
        return []
