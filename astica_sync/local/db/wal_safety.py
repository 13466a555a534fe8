"""Whether a database may use write-ahead logging (WAL).

WAL has a bug that can lose committed pages when two connections checkpoint at the same time, fixed in SQLite 3.51.3
(https://sqlite.org/wal.html#walresetbug), and it needs shared memory, which network file systems do not provide. So it
is used from that version on, and only on file systems known to be local.
"""

import sqlite3
from pathlib import Path

from astica_sync.local.filesystem import file_system_type

WAL_FIXED = (3, 51, 3)
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "overlay"})


def is_wal_safe(path: Path, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether a database at ``path`` may use WAL with this version of SQLite."""
    return version >= WAL_FIXED and file_system_type(path) in _LOCAL
