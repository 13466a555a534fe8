"""One probe of an account at a time: another one would take the model of the first for that of an interrupted one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout

from astica_sync.errors import StoreBusy, StoreError
from astica_sync.system.error_advice import lock_remedy, reason_of
from astica_sync.system.native_lock import native_lock


@contextlib.contextmanager
def probe_lock(record: Path) -> Iterator[None]:
    """Held while a probe runs. The lock is a file next to its record, and ends with its process.

    Raises:
        StoreBusy: another process holds it.
        StoreError: the file system cannot lock.
    """
    lock = native_lock(record.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StoreBusy(
            "another astica-sync doctor --probe of this account is under way", "Wait for it to end, or stop it."
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise StoreError(f"cannot lock {record.parent}: {reason}", lock_remedy(error, record.parent)) from error
    try:
        yield
    finally:
        lock.release()
