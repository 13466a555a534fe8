"""The only access to the file system: every listing and reading of samples, and every write to the store.

It decides nothing, so that a simulation can replace it. Every method raises ``OSError`` as the system reports it.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from astica_sync.file_owner import create_private, give_to_owner_of_folder
from astica_sync.local.known_stores import KnownStores
from astica_sync.local.layout import STATE_DIR
from astica_sync.system.open_below import is_opened_at, open_below, open_folder

CHUNK = 1 << 20
TEMP_PREFIX = ".tmp-"

# Without O_NONBLOCK, opening a FIFO waits for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# linux/fs.h: share the blocks of another file, copy on write (btrfs, XFS, bcachefs, ...).
_FICLONE = 0x40049409
# What a file system answers that cannot make the file, or the names in a folder, durable by fsync(2).
_NO_SYNC = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOTTY))
_NOT_FOR_FOLDERS = _NO_SYNC | {errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}
# macOS: fsync() leaves the data in the drive's own cache, this one does not.
_FULLFSYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)

AnyPath = str | Path
Entry = tuple[str, os.stat_result | None]


_OCTAL = re.compile(rb"\\([0-3][0-7][0-7])")


class Kind(StrEnum):
    """What a folder entry is, without following it."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    OTHER = "other"


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.SYMLINK}


NamedEntry = tuple[str, Kind | None, int]
"""A name, its kind (None where it cannot be read), and the device of an entry that is not a regular file."""

Signature = tuple[int, int, int, int]
"""Size, modification and change time in nanoseconds, inode: the same for an unchanged file."""

# Types of file systems that give a folder the same inode number at every mount. "" is a system that names no types,
# where the number counts. FUSE, FAT, overlays and several network file systems make numbers up.
_KEEPING_INODES = frozenset(
    ("", "ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "jfs", "nilfs2", "tmpfs", "nfs", "nfs4")
)

MAX_INT64 = (1 << 63) - 1
"""The largest signed integer of eight bytes."""


def signature(status: os.stat_result) -> Signature:
    """The signature of one file, ``bounded``."""
    return bounded((status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))


def bounded(signature: Signature) -> Signature:
    """The same in integers of eight bytes: times after 2262 are all the same, and inodes are cut to 63 bits."""
    size, changed, touched, inode = signature
    return size, max(-MAX_INT64, min(changed, MAX_INT64)), max(-MAX_INT64, min(touched, MAX_INT64)), inode & MAX_INT64


def kind_of(status: os.stat_result) -> Kind:
    return _KINDS.get(stat.S_IFMT(status.st_mode), Kind.OTHER)


def temp_name(target: Path) -> Path:
    """A new name in the folder of ``target``, so that a rename never crosses file systems."""
    return target.with_name(f"{TEMP_PREFIX}{os.urandom(8).hex()}")


def is_real_folder(path: AnyPath) -> bool:
    """Whether it is a folder and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _mode_of(path: AnyPath) -> int:
    """The permissions of a new file: what is in a store's hidden folder is for its owner alone.

    Raises:
        OSError: a link is in place of the hidden folder, by which the file would be written elsewhere.
    """
    parts = Path(path).parts
    if STATE_DIR not in parts:
        return 0o666
    state = Path(*parts[: parts.index(STATE_DIR) + 1])
    if state.is_symlink():
        raise OSError(errno.ELOOP, "symbolic link, not followed", str(state))
    return 0o600


def write_new(path: Path, data: bytes) -> None:
    """Replaces a private file that need not survive a crash. A link of that name is replaced, not followed."""
    _mode_of(path)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with open(create_private(path), "wb") as file:
        file.write(data)


def file_system_type(path: Path, table: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that contains ``path``, as the kernel names it; "" where it cannot be determined."""
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    # proc(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw"; later mounts hide earlier ones.
    device = _device_of(path)
    found = ""
    for line in lines:
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == device:
            found = after.split(" ")[0]
    return found


def mounts_below(root: AnyPath, table: Path = Path("/proc/self/mountinfo")) -> frozenset[str]:
    """The folders below ``root`` on which something is mounted, relative to it, as the kernel lists them; none where it
    has no such list.

    The device number does not tell all of them: what is bound from the same file system has the same one."""
    try:
        lines = table.read_bytes().splitlines()
    except OSError:
        return frozenset()
    above = os.fsencode(root).rstrip(b"/") + b"/"
    # proc(5): a space, a tab, a line feed and a backslash are written as three octal digits.
    places = (_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4]) for line in lines)
    return frozenset(os.fsdecode(place[len(above) :]) for place in places if place.startswith(above) and place != above)


def _device_of(path: Path) -> str:
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            number = place.stat().st_dev
            return f"{os.major(number)}:{os.minor(number)}"
    return ""


class FileSystem:
    """The file system of this machine. ``known_stores`` is what this user's state folder knows of stores.

    Below ``root``, the absolute path of a store without links in it, a file is read and a folder listed only where no
    part of its path is a link: another user who may write in a class folder may exchange a folder for a link to what
    only this user can read. The store's hidden folder is this user's own.
    """

    known_stores: KnownStores = KnownStores()
    root: str | None = None

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = None if root is None else str(root).rstrip("/")

    def keeps_inodes(self, path: Path) -> bool:
        """Whether the file system of ``path`` gives a folder the same inode number after the next mount."""
        return file_system_type(path) in _KEEPING_INODES

    def mount_identity(self, path: Path) -> str:
        """What tells the file system at a folder from another one that is mounted there; "" where nothing does."""
        number = os.lstat(path).st_ino if self.keeps_inodes(path) else 0
        known = os.statvfs(path).f_fsid
        return f"{known:x}-{number}" if known or number else ""

    def mounts_below(self, root: AnyPath) -> frozenset[str]:
        """The folders below ``root``, relative to it, on which something is mounted, where the system tells."""
        return mounts_below(root)

    def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
        """All entries of one folder with their status, links not followed, in no order; errors are raised on iteration.

        An entry that vanishes while the folder is read is left out; one whose status cannot be read has None.
        Names that are not valid UTF-8 are decoded by ``os.fsdecode``.
        """
        with self._listed(path) as listing:
            for entry in listing:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError:
                    yield entry.name, None
                else:
                    yield entry.name, status

    def name_folder(self, path: AnyPath) -> Iterator[NamedEntry]:
        """As ``scan_folder``, without the status of files, which costs more than their names. For files that will be
        opened anyway."""
        with self._listed(path) as listing:
            for entry in listing:
                try:
                    if entry.is_file(follow_symlinks=False):
                        yield entry.name, Kind.FILE, 0
                        continue
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError:
                    yield entry.name, None, 0
                else:
                    yield entry.name, kind_of(status), status.st_dev

    def lstat(self, path: AnyPath) -> os.stat_result:
        return os.lstat(path)

    def open_read(self, path: AnyPath) -> BinaryIO:
        """Opens a regular file, unbuffered; a symbolic link or anything else that is not a file is an ``OSError``.

        Never hangs: a FIFO without a writer is opened without waiting and refused.
        """
        descriptor = self._open(path, _READ)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            with contextlib.suppress(OSError):
                os.set_blocking(descriptor, True)
            return open(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise

    def read_small(self, path: AnyPath, most: int) -> tuple[os.stat_result, bytes | None, os.stat_result]:
        """Reads a regular file, opened as by ``open_read``: its status, its bytes, and its status after reading.

        The bytes are None where there are more than ``most``, and fewer than the status says where the file has become
        shorter."""
        descriptor = self._open(path, _READ)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            if before.st_size > most:
                return before, None, before
            data = os.read(descriptor, before.st_size)
            while len(data) < before.st_size and (piece := os.read(descriptor, before.st_size - len(data))):
                data += piece
            return before, data, os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def fstat(self, file: BinaryIO) -> os.stat_result:
        """The status of an open file, even if its name refers to another file now."""
        return os.fstat(file.fileno())

    def chunks(self, file: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
        """The rest of an open file in pieces of at most ``size`` bytes."""
        while piece := file.read(size):
            yield piece

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        """Creates the folder and its missing parents, durably; an existing folder is fine.

        ``mode`` is what the umask is taken from. The hidden folder of a store and those in it are private, and a link
        in place of one is an ``OSError``.
        """
        private = STATE_DIR in path.parts
        if private and path.is_symlink():
            raise OSError(errno.ELOOP, "symbolic link, not followed", str(path))
        if path.is_dir():
            return
        if path.parent != path:
            self.make_folder(path.parent, mode)
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700 if private else mode)
            give_to_owner_of_folder(path, path)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        self.sync_folder(path.parent)

    @contextlib.contextmanager
    def hold_folder(self, root: Path, parts: Sequence[str], mode: int) -> Iterator[Path]:
        """The folder of these ``parts`` below ``root``, made where it is missing, as a path that leads to this folder
        even where another user exchanges it, or one above it, for a link. A link on the way is an ``OSError``.

        Where the system has no such path (macOS), it is the plain one."""
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        place = root
        try:
            for part in parts:
                place /= part
                made = False
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, mode, dir_fd=folder)
                    made = True
                above, folder = folder, open_folder(folder, part)
                try:
                    if made:
                        give_to_owner_of_folder(folder, place)
                        _sync_names(above)
                finally:
                    os.close(above)
            held = Path(f"/proc/self/fd/{folder}")
            yield held if held.is_dir() else place
        finally:
            os.close(folder)

    def write_synced(self, path: Path, chunks: Iterable[bytes], mode: int | None = None) -> None:
        """Replaces the whole file: after a crash it has the old or the new bytes, after the return the new ones.

        A link of that name is replaced, not followed. ``mode`` is what the umask is taken from."""
        temp = temp_name(path)
        self._write_temp(temp, chunks, _mode_of(temp) if mode is None else mode)
        self.publish(temp, path)

    def append_synced(self, path: Path, data: bytes) -> None:
        """Appends bytes, durable at the return; a crash may leave a part of them. A file with a second name (a hard
        link) is an ``OSError``, since the bytes would be in the other one as well."""
        fresh = not path.exists()
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, _mode_of(path)
        )
        try:
            if fresh:
                give_to_owner_of_folder(descriptor, path)
            if os.fstat(descriptor).st_nlink > 1:
                raise OSError(errno.EMLINK, "hard link, not written to", str(path))
            write_all(descriptor, data)
            sync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            self.sync_folder(path.parent)

    def copy_synced(self, source: AnyPath, temp: Path, mode: int | None = None) -> None:
        """Copies the bytes into the new file ``temp``, durably; it shares no inode with the source.

        Blocks are shared where the file system can (copy on write), else the kernel copies, else this process does.
        The caller checks the copy and then calls ``publish``. After an error there is no ``temp``; it names ``source``
        where that cannot be read. ``mode`` is what the umask is taken from.
        """
        with self.open_read(source) as reader:
            target = create_private(temp, os.O_RDWR, _mode_of(temp) if mode is None else mode)
            try:
                _copy(reader.fileno(), target, source)
                sync(target)
            except BaseException:
                self.remove(temp)
                raise
            finally:
                os.close(target)

    def publish(self, temp: Path, target: Path) -> None:
        """Renames a synced temporary file, durably and atomically; an existing ``target`` is replaced.

        After an error both names are in doubt: the bytes must be written again, since a second sync proves nothing.
        """
        try:
            temp.replace(target)
        except BaseException:
            self.remove(temp)
            raise
        self.sync_folder(target.parent)

    def publish_new(self, temp: Path, target: Path) -> None:
        """As ``publish``, but an existing ``target`` is a ``FileExistsError``; ``temp`` is removed."""
        try:
            os.link(temp, target, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            # No hard links on this file system (FAT, some network file systems): check, then rename.
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            temp.replace(target)
        finally:
            self.remove(temp)
        self.sync_folder(target.parent)

    def sync_folder(self, path: Path) -> None:
        """Makes the names in a folder durable, for example one that a killed process has just published.

        Where the system cannot do that for folders (some FUSE and network file systems), or this user may not open the
        folder, its names are as durable as they can be there. A disk that fails is an ``OSError`` as ever.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            return
        try:
            _sync_names(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Removes one file; a missing one is fine."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def time_ns(self, folder: Path) -> int:
        """The current time of the clock that stamps files on the file system of ``folder``, in nanoseconds."""
        temp = temp_name(folder / "any")
        _mode_of(temp)
        descriptor = create_private(temp)
        try:
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)
            self.remove(temp)

    def free_bytes(self, path: AnyPath) -> int | None:
        """How many bytes this user can still write to the file system of ``path``; None where that is not known."""
        try:
            status = os.statvfs(path)
        except OSError:
            return None
        return status.f_bavail * status.f_frsize if status.f_blocks else None

    def _open(self, path: AnyPath, flags: int) -> int:
        descriptor = os.open(path, flags)
        if self.root is None:
            return descriptor
        text = path if type(path) is str else str(path)
        if not text.startswith(self.root + "/") or text.startswith(f"{self.root}/{STATE_DIR}/"):
            return descriptor
        # Its path costs a tenth of opening each folder. Where it is another one, the file may have been renamed just
        # now, or the file system may spell names in its own way.
        if is_opened_at(descriptor, text):
            return descriptor
        os.close(descriptor)
        return open_below(self.root or "/", text[len(self.root) + 1 :], flags)

    @contextlib.contextmanager
    def _listed(self, path: AnyPath) -> Iterator[Iterator[os.DirEntry[str]]]:
        descriptor = self._open(path, _LIST)
        try:
            with os.scandir(descriptor) as listing:
                yield listing
        finally:
            os.close(descriptor)

    def _write_temp(self, temp: Path, chunks: Iterable[bytes], mode: int) -> None:
        descriptor = create_private(temp, mode=mode)
        try:
            for chunk in chunks:
                write_all(descriptor, chunk)
            sync(descriptor)
        except BaseException:
            self.remove(temp)
            raise
        finally:
            os.close(descriptor)


def free_space(files: FileSystem, path: AnyPath) -> str:
    """The room that is left on the disk of ``path``, for a message."""
    free = files.free_bytes(path)
    return "an unknown amount free" if free is None else f"{free / 1e6:.1f} MB free"


def _sync_names(folder: int) -> None:
    """As ``FileSystem.sync_folder``, for an open folder."""
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise


def sync(descriptor: int) -> None:
    """Makes an open file, or the names in an open folder, durable.

    Raises:
        OSError: the disk fails, or it is a folder of a file system that does this for files alone.
    """
    if _FULLFSYNC is not None:
        try:
            fcntl.fcntl(descriptor, _FULLFSYNC)
            return
        except OSError as error:
            # Network disks and FAT know only the usual call.
            if error.errno not in _NO_SYNC:
                raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise
        # A file system without fsync(2): the call that writes everything is all there is.
        os.sync()


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all bytes, in several steps where the system takes some of them only."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _copy(source: int, target: int, path: AnyPath) -> None:
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError:
        # Not supported by this file system or system, or across file systems: copy.
        pass
    if hasattr(os, "copy_file_range"):
        try:
            while os.copy_file_range(source, target, CHUNK * 64):
                pass
        except OSError:
            # Many systems know the call and fail with errors of their own (EXDEV, EINVAL, EIO, EBADF, EPERM, EOVERFLOW,
            # ETXTBSY, ...). If it is the disk that fails, it fails below as well.
            pass
    # What the kernel has not copied; on some file systems copy_file_range returns 0 and has copied nothing.
    while piece := _read(source, path):
        write_all(target, piece)


def _read(source: int, path: AnyPath) -> bytes:
    try:
        return os.read(source, CHUNK)
    except OSError as error:
        # Python names no file where reading fails, and the caller has two.
        error.filename = os.fspath(path)
        raise
