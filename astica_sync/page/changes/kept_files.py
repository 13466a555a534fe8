"""Files that were removed on the page: first set aside in the hidden folder, then put into the backup.

Only the holder of the writer lock may write to the backup, and a push holds it for hours. So a removed file is renamed
into a folder of the page's own, which takes no time and no room on the disk, and goes into the backup as soon as the
lock is free. Until then undo takes it from there.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import xxhash

from astica_sync.core.gallery.safe_names import free_names
from astica_sync.errors import AsticaSyncError, StoreBusy, StoreError
from astica_sync.file_owner import give_to_owner_of_folder
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CONTENT
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.class_folders.folder_handles import NotDone, hash_at, have_same_bytes, open_regular
from astica_sync.local.filesystem import CHUNK, TEMP_PREFIX, FileSystem, sync, write_all
from astica_sync.local.image.format import HEAD_BYTES, is_image
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from astica_sync.system.exclusive_rename import rename_new

_PIECE = 10
"""So many files go into the backup at a time: for the fraction of a second that they take, a push finds the store
locked, and changes of the page wait."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class KeptFiles:
    """The folder of files that were removed and are not in the backup yet; for one thread."""

    def __init__(self, layout: Layout, folder: Path, backup: Backup, now: Callable[[], float]) -> None:
        self._layout, self._folder, self._backup, self._now = layout, folder, backup, now
        self._files = FileSystem()
        self._offered: dict[str, bytes] = {}

    def offer(self, content: str, data: bytes) -> None:
        """The bytes that ``give_back`` writes for this content, once."""
        self._offered = {content: data}

    def keep(self, folder: int, name: str, content: str, seen: os.stat_result) -> None:
        """Sets the file aside; its place is free then. ``seen`` is its status when its hash was ``content``.

        Raises:
            NotDone: it is another file than expected.
            OSError: it cannot be moved.
        """
        with self._opened() as kept:
            try:
                rename_new(name, folder, content, kept)
            except FileExistsError:
                _remove_copied(folder, name, kept, content)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with contextlib.suppress(FileExistsError):
                    _copy(folder, name, kept, content, content)
                # The copy is the only one from the next step on.
                sync(kept)
                _remove_copied(folder, name, kept, content)
            else:
                _expect_same(content, kept, seen, name, folder)
            sync(kept)

    def give_back(self, content: str, folder: int, name: str) -> None:
        """Puts the file into an open folder of the store, under a name that is free.

        Raises:
            FileExistsError: the name is taken.
            NotDone: its bytes are neither here nor in the backup.
            OSError: it cannot be written.
        """
        if CONTENT.fullmatch(content) is None:
            raise NotDone("the history of the page is damaged here")
        if content in self._offered:
            # Taken once the name was free.
            write_new_file(folder, name, iter([self._offered[content]]), content)
            self._offered.clear()
            return
        with self._opened() as kept:
            try:
                is_kept = hash_at(kept, content)[0] == content
            except NotDone:
                is_kept = False
            if is_kept:
                try:
                    rename_new(content, kept, name, folder)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    _copy(kept, content, folder, name, content)
                    os.unlink(content, dir_fd=kept)
                return
        source = self._backup.find(content)
        if source is None or self._backup.check(content) is not None:
            raise NotDone("its bytes are not in the backup any more")
        above = os.open(source.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _copy(above, source.name, folder, name, content)
        finally:
            os.close(above)

    def has(self, content: str) -> Path | None:
        """Where the file is, if it is here."""
        path = self._folder / content
        return path if path.is_file() and not path.is_symlink() else None

    def image_fault(self, content: str) -> str:
        """Why what the backup has under this hash is not put back as an image; "" where it is. A planted backup may
        have anything there, and what was deleted on the page is no image where the user deleted another file."""
        try:
            source = self._backup.find(content)
            if source is None:
                return ""
            with self._files.open_read(source) as file:
                return "" if is_image(file.read(HEAD_BYTES)) else "what the backup has is not an image"
        except OSError as error:
            return f"the backup cannot be read: {error.strerror}"

    def put_into_backup(self, removed_path: Callable[[str], str]) -> bool:
        """Puts some of the files into the backup, if no other process writes to it; whether more are left to put.

        ``removed_path`` is where a file was in the store.
        """
        names = [name for name in self._names() if CONTENT.fullmatch(name)]
        if not names:
            return False
        done = 0
        try:
            with writer_lock(self._layout, now=self._now(), command="astica-sync page", patient=False):
                for content in names:
                    # One that cannot be put stays, and is no reason to leave out those after it.
                    done += self._put(content, removed_path(content))
                    if done == _PIECE:
                        break
        except StoreBusy:
            return False
        except AsticaSyncError:
            # A full disk, a store that went away: the files stay here.
            return False
        return done == _PIECE and len(names) > _PIECE

    def _put(self, content: str, path: str) -> bool:
        try:
            self._backup.put(self._folder / content, content)
            title = class_title_of(path.partition("/")[0]) if path else None
            if title is not None:
                self._backup.add_samples([(title, path, content)], self._now())
        except StoreError as error:
            if error.stops_run:
                raise
            return False
        self._files.remove(self._folder / content)
        return True

    def _names(self) -> list[str]:
        with contextlib.suppress(OSError):
            return sorted(name for name, _ in self._files.scan_folder(self._folder))
        return []

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        for folder in (self._folder.parent, self._folder):
            self._files.make_folder(folder)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _remove_copied(folder: int, name: str, kept: int, content: str) -> None:
    """Removes a file whose bytes are in the open folder ``kept`` as well.

    The hash is not cryptographic, and what is kept is about to be the only copy: the bytes are compared. The file gets
    a name that no other program knows before it is removed, and keeps its own if it is not the file that was compared.

    Raises:
        NotDone: it is another file, or what is kept is.
        OSError: it cannot be read or removed.
    """
    if hash_at(kept, content)[0] != content:
        raise NotDone("what was kept under its hash is damaged; run astica-sync backup verify")
    with open_regular(folder, name) as file, open_regular(kept, content) as copy:
        before = os.fstat(file)
        same = have_same_bytes(file, copy)
    if not same:
        if hash_at(folder, name)[0] != content:
            raise NotDone("it has changed")
        raise NotDone("another image with the same hash was removed before; move this one out of the store by hand")
    hidden = f"{TEMP_PREFIX}{os.urandom(8).hex()}"
    rename_new(name, folder, hidden, folder)
    _expect_same(hidden, folder, before, name, folder)
    os.unlink(hidden, dir_fd=folder)


def _expect_same(new: str, new_folder: int, before: os.stat_result, name: str, folder: int) -> None:
    """Gives a renamed file its name back if it is not the one that was looked at.

    Raises:
        NotDone: it is not.
    """
    now = os.stat(new, dir_fd=new_folder, follow_symlinks=False)
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
        # A new file, of which there is no copy.
        _put_back(new, new_folder, name, folder)
        raise NotDone("another program exchanged it just now")


def _put_back(content: str, kept: int, name: str, folder: int) -> None:
    """Gives a file its name again, or where that is taken one that is free."""
    for free in free_names(name):
        with contextlib.suppress(FileExistsError):
            rename_new(content, kept, free, folder)
            return


def _copy(source_folder: int, source: str, folder: int, name: str, content: str) -> None:
    """Copies a file under a free name, durably; the copy is checked.

    Raises:
        FileExistsError: the name is taken.
        NotDone: the bytes are not those of ``content``.
    """
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source_folder)
    try:
        status = os.fstat(reader)

        def pieces() -> Iterator[bytes]:
            while piece := os.read(reader, CHUNK):
                yield piece

        write_new_file(folder, name, pieces(), content, times=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(reader)


def write_new_file(
    folder: int, name: str, pieces: Iterator[bytes], content: str, times: tuple[int, int] | None = None
) -> None:
    """Writes a file under a free name of an open folder, durably, if its bytes have the hash ``content``.

    Raises:
        FileExistsError: the name is taken.
        NotDone: the bytes have another hash.
        OSError: it cannot be written.
    """
    temp = f"{TEMP_PREFIX}{os.urandom(8).hex()}"
    mode = os.fstat(folder).st_mode & 0o666 | 0o600
    descriptor = os.open(temp, _NEW, 0o600, dir_fd=folder)
    try:
        hasher = xxhash.xxh3_128()
        try:
            for piece in pieces:
                hasher.update(piece)
                write_all(descriptor, piece)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, mode)
            if os.geteuid() == 0:
                give_to_owner_of_folder(descriptor, Path(f"/proc/self/fd/{folder}") / name)
            if times is not None:
                with contextlib.suppress(OSError):
                    os.utime(descriptor, ns=times)
            sync(descriptor)
        finally:
            os.close(descriptor)
        if hasher.hexdigest() != content:
            raise NotDone("its bytes have changed")
        rename_new(temp, folder, name, folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temp, dir_fd=folder)
