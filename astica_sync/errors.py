"""Every error of the program. The message says what happened, the hint which command or setting helps.

AsticaSyncError
├─ ConfigError             a setting is missing or wrong
├─ StoreError              the local side
│  ├─ NoStore              no store in this folder or above it
│  │  └─ StoreUnreadable   it cannot be seen whether there is one
│  ├─ StoreBusy            another process writes to this store
│  ├─ StoreChanged         the folder is not the one in which the store was created
│  │  └─ StoreMoved        it is a whole store: moved, copied or made elsewhere
│  ├─ DatabaseError        the index, the journal or another database cannot be used
│  ├─ ImageRejected        a file is not an image that the service accepts
│  ├─ StorageFull          no space left for the backup or a database
│  ├─ Unworkable           something that every sample needs does not work
│  ├─ SourceChanged        a file has changed since the scan
│  ├─ Collision            two different files have the same content hash
│  ├─ BackupDamaged        an object of the backup is missing or has other bytes than its name says
│  ├─ MirrorFailed         the mirror of the backup cannot be used
│  └─ ExecutorFailed       the cluster that is to read images cannot be used
├─ RemoteError             the service; ``outcome`` tells what the error proves about the request
│  ├─ Unreachable          nothing was sent
│  ├─ RateLimited          refused for the limit: nothing was done
│  │  └─ StillRateLimited  refused for the limit for longer than a run waits
│  ├─ QuotaExceeded        refused for what the account may use: nothing was done
│  ├─ BadKey               refused for the API key
│  ├─ Refused              the service refused this one request
│  │  └─ NoSuchModel       the account has no such model
│  ├─ NotTheService        something else answered: a redirect, a proxy
│  ├─ OutcomeUnknown       sent, but no answer tells whether the request was carried out
│  └─ NotAnObservation     a view that is incomplete or contradicts itself
│     └─ CountsDiffer      a view that lists more or fewer classes or samples than it counts
├─ GuardRefused            a plan removes more than is allowed
└─ Interrupted             stopped by the user; finished work is saved
"""

from enum import StrEnum
from typing import ClassVar


class AsticaSyncError(Exception):
    """The base class: ``str(error)`` is what happened, ``hint`` is what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def text_with_hint(self) -> str:
        """Message and hint on one line, for a list of failures."""
        return f"{self}; {self.hint}" if self.hint else str(self)


def kind_of(error: BaseException) -> str:
    """The name under which an error is counted: that of its class in snake case."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in type(error).__name__).lstrip("_")


class ConfigError(AsticaSyncError):
    """A setting is missing or wrong; the message names it."""


class StoreError(AsticaSyncError):
    """An error of the local side. ``stops_run``: every other sample would fail in the same way, so the run ends."""

    stops_run: ClassVar[bool] = False


class NoStore(StoreError):
    """No store in this folder or above it."""


class StoreUnreadable(NoStore):
    """It cannot be seen whether a folder is a store: the disk fails, or this process may not look."""


class StoreBusy(StoreError):
    """Another process writes to this store (promise 8)."""


class StoreChanged(StoreError):
    """The folder is not the one in which the store was created: unmounted, replaced, copied or moved (promise 3)."""


class StoreMoved(StoreChanged):
    """The folder is a store with its sentinel, and not known to be the one of the last use: moved to another disk, a
    copy, or made elsewhere. What is in it can be seen; what is gone from it proves nothing until ``init``."""


class DatabaseError(StoreError):
    """The index, the journal or the request budget is locked, damaged or of a newer version."""

    stops_run = True


class ImageRejected(StoreError):
    """A file is not an image that the service accepts; it is not tried again until it changes (promise 9)."""


class StorageFull(StoreError):
    """No space is left for the backup or a database."""

    stops_run = True


class Unworkable(StoreError):
    """Something that every sample needs does not work, such as writing to the backup or checking images."""

    stops_run = True


class SourceChanged(StoreError):
    """A file has changed since the scan, or cannot be read; only this sample fails (promise 9)."""


class Collision(StoreError):
    """Two different files have the same content hash; they are never merged, and only this sample fails."""


class BackupDamaged(StoreError):
    """An object of the backup is missing, unreadable, or has other bytes than its name says."""


class MirrorFailed(StoreError):
    """The mirror of the backup cannot be opened, listed, read or written."""


class ExecutorFailed(StoreError):
    """The cluster that is to read images cannot be reached, or does not do the work; what it has done is kept."""


class Outcome(StrEnum):
    """What a failed request proves. *not done* may be repeated immediately, *unknown* only after the quarantine
    (promise 5), and *refused* would be refused again."""

    NOT_DONE = "not done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class RemoteError(AsticaSyncError):
    """A request to the service failed. ``stops_run``: other requests would fail in the same way (promise 9)."""

    outcome: ClassVar[Outcome] = Outcome.UNKNOWN
    stops_run: ClassVar[bool] = False


class Unreachable(RemoteError):
    """There is no connection: unknown host name, refused, TLS failure. Nothing was sent."""

    outcome = Outcome.NOT_DONE
    stops_run = True


class RateLimited(RemoteError):
    """The service refused a request for its limit. ``retry_after`` is the time it asked to wait, in seconds, if any."""

    outcome = Outcome.NOT_DONE

    def __init__(self, message: str, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class StillRateLimited(RateLimited):
    """The service refuses requests for its limit for longer than a run waits, or asks for a longer pause."""

    stops_run = True


class QuotaExceeded(RemoteError):
    """The account has used up what it may use in a day or a month, or is not paid for: waiting does not help."""

    outcome = Outcome.NOT_DONE
    stops_run = True


class BadKey(RemoteError):
    """The service refused the API key. ``host`` is which one, with its port; "" where that is not known."""

    outcome = Outcome.REFUSED
    stops_run = True

    def __init__(self, message: str, hint: str = "", host: str = "") -> None:
        super().__init__(message, hint)
        self.host = host


class Refused(RemoteError):
    """The service refused this one request: a complete answer with the status ERROR."""

    outcome = Outcome.REFUSED


class NoSuchModel(Refused):
    """The account has no model with this id."""

    stops_run = True


class NotTheService(RemoteError):
    """Something other than the service answered, such as a redirect, a proxy or a firewall; nothing was passed on."""

    outcome = Outcome.REFUSED
    stops_run = True


class OutcomeUnknown(RemoteError):
    """The request was sent, but no answer tells whether it was carried out: timeout, cut off, 5xx, not JSON."""


class NotAnObservation(RemoteError):
    """The answer to a view is incomplete or contradicts itself, so nothing is concluded from it (promise 14)."""

    stops_run = True


class CountsDiffer(NotAnObservation):
    """A view counts other numbers of classes or samples than it lists. A change of our own shortly before explains
    that: the counts may be ahead of the lists."""


class GuardRefused(AsticaSyncError):
    """A plan removes more samples than is allowed; nothing was removed (promise 7)."""

    exit_code = 4


class Interrupted(AsticaSyncError):
    """Stopped by the user; requests under way were finished or are recorded in the journal."""

    exit_code = 130
