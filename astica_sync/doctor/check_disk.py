"""What the disk of the store can do, tried with temporary files in its hidden folder."""

import contextlib
import errno
import fcntl
import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

from filelock import Timeout

from astica_sync.doctor.section import Section
from astica_sync.local.filesystem import FileSystem, file_system_type
from astica_sync.local.layout import Layout
from astica_sync.system.error_advice import lock_remedy, remedy
from astica_sync.system.native_lock import native_lock

LITTLE_SPACE = 1_000_000_000
_FICLONE = 0x40049409


def check_disk(layout: Layout) -> Section:
    """Each ability with the way that the program goes without it; only locks are needed."""
    section = Section("disk")
    facts = section.facts
    files = FileSystem()
    facts["file system"] = file_system_type(layout.root) or None
    facts["free bytes"] = free = files.free_bytes(layout.state)
    facts["keeps inode numbers"] = files.keeps_inodes(layout.root)
    if free is not None and free < LITTLE_SPACE:
        section.note(
            f"{free / 1e6:.0f} MB are free on the disk of the store, and the backup keeps each uploaded image",
            "free some space; astica-sync backup prune shows what the backup no longer needs",
        )
    try:
        made = tempfile.mkdtemp(prefix=".tmp-doctor-", dir=layout.state)
    except OSError as error:
        section.problem(
            f"nothing can be written to {layout.state}: {error.strerror}",
            f"status works, a push does not; {remedy(error, layout.state)}",
        )
        return section
    folder = Path(made)
    try:
        for name, can in ABILITIES.items():
            with contextlib.suppress(OSError):
                facts[name] = can(folder)
        _check_locks(section, folder)
    finally:
        for entry in folder.iterdir():
            entry.unlink()
        folder.rmdir()
    if facts.get("permissions") is False:
        section.note("the disk keeps no permissions: everybody who can read it can read the backup and the journal")
    if facts.get("upper and lower case differ") is False:
        section.note("the disk takes names that differ only in case for one: two such classes cannot both be here")
    return section


def _check_locks(section: Section, folder: Path) -> None:
    lock = native_lock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return
    except (OSError, NotImplementedError) as error:
        section.facts["locks"] = False
        section.problem(f"the disk of the store cannot lock files: {error}", lock_remedy(error, folder.parent))
        return
    section.facts["locks"] = True
    lock.release()


def _keeps_permissions(folder: Path) -> bool:
    file = _file(folder, "mode")
    file.chmod(0o600)
    return file.stat().st_mode & 0o777 == 0o600


def _has_hard_links(folder: Path) -> bool:
    file = _file(folder, "first")
    try:
        (folder / "second").hardlink_to(file)
    except OSError:
        return False
    return file.stat().st_nlink == 2


def _has_clones(folder: Path) -> bool:
    source, target = _file(folder, "source"), folder / "clone"
    with source.open("rb") as read, target.open("wb") as written:
        try:
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
        except OSError:
            return False
    return target.read_bytes() == source.read_bytes()


def _syncs_folders(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
    finally:
        os.close(descriptor)
    return True


def _tells_case_apart(folder: Path) -> bool:
    _file(folder, "case")
    return not (folder / "CASE").exists()


def _keeps_unicode_form(folder: Path) -> bool:
    name = unicodedata.normalize("NFD", "\u00e9-form")
    _file(folder, name)
    return any(entry.name == name for entry in folder.iterdir())


def _has_fine_times(folder: Path) -> bool:
    file = _file(folder, "time")
    os.utime(file, ns=(1_700_000_000_123_456_000, 1_700_000_000_123_456_000))
    return file.stat().st_mtime_ns == 1_700_000_000_123_456_000


def _file(folder: Path, name: str) -> Path:
    file = folder / name
    file.write_bytes(b"astica-sync")
    return file


ABILITIES: dict[str, Callable[[Path], bool]] = {
    "permissions": _keeps_permissions,
    "hard links": _has_hard_links,
    "copies without copying": _has_clones,
    "folders can be synced": _syncs_folders,
    "upper and lower case differ": _tells_case_apart,
    "names keep their Unicode form": _keeps_unicode_form,
    "times finer than a second": _has_fine_times,
}
