"""A FUSE file system that passes everything through to a folder and lacks what many lack.

``python odd_fuse.py FOLDER MOUNTPOINT [flock=ENOLCK] [lock=ENOSYS]`` mounts it, with locks of that
kind refused. Each mount makes up other inodes. It has no sync of folders, no
hard links, no permissions, no owners, no extended attributes and no free space to report.
"""

import errno
import os
import sys
from typing import Any

import mfusepy as fuse


class OddFileSystem(fuse.Operations):  # type: ignore[misc]
    """Names as the FUSE library wants them."""

    use_ns = True

    def __init__(self, root: str) -> None:
        self._root = root
        self._inodes: dict[int, int] = {}
        self._first = int.from_bytes(os.urandom(5), "big") + 10_000

    def _at(self, path: str) -> str:
        return self._root + path

    def _made_up(self, inode: int) -> int:
        return self._inodes.setdefault(inode, self._first + len(self._inodes))

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        status = os.lstat(self._at(path))
        return {
            "st_mode": status.st_mode | 0o777,
            "st_size": status.st_size,
            "st_nlink": 1,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            "st_ino": self._made_up(status.st_ino),
            "st_atime": status.st_atime_ns,
            "st_mtime": status.st_mtime_ns,
            "st_ctime": status.st_ctime_ns,
        }

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with os.scandir(self._at(path)) as listing:
            return [(entry.name, {"st_ino": self._made_up(entry.inode())}, 0) for entry in listing]

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags & ~os.O_NOFOLLOW)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT, 0o644)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._at(path), length)
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        os.fsync(fh)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        raise fuse.FuseOSError(errno.EINVAL)

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._at(path), 0o755)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._at(path))
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._at(path))
        return 0

    def rename(self, old: str, new: str) -> int:
        os.rename(self._at(old), self._at(new))
        return 0

    def link(self, target: str, source: str) -> int:
        raise fuse.FuseOSError(errno.EPERM)

    def chmod(self, path: str, mode: int) -> int:
        raise fuse.FuseOSError(errno.EPERM)

    def chown(self, path: str, uid: int, gid: int) -> int:
        raise fuse.FuseOSError(errno.EPERM)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self._at(path), ns=times)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 0, "f_bavail": 0, "f_bfree": 0, "f_namemax": 255}


def refusing(call: str, error: int) -> type[OddFileSystem]:
    """The file system with one kind of locks refused: ``flock``, or ``lock``, which is that of fcntl."""

    def refuse(self: OddFileSystem, *arguments: Any) -> int:
        raise fuse.FuseOSError(error)

    return type("WithoutLocks", (OddFileSystem,), {call: refuse})


if __name__ == "__main__":
    kind = OddFileSystem
    for given in sys.argv[3:]:
        call, _, name = given.partition("=")
        kind = refusing(call, getattr(errno, name))
    fuse.FUSE(kind(sys.argv[1]), sys.argv[2], foreground=True, nothreads=True, use_ino=True)
