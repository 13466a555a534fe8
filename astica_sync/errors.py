"""Every error a person can meet, each with what happened and what to do.

AsticaSyncError
├─ ConfigError             a setting is wrong or missing
├─ StoreError              the local side
│  ├─ NoStore              no store here or above
│  ├─ StoreBusy            another process writes this store
│  ├─ StoreChanged         the folder is not the one the store was made in
│  ├─ DatabaseError        the index or the journal cannot be used
│  ├─ ImageRejected        a file that is no image the service could take
│  ├─ StorageFull          no room for the backup or a database
│  ├─ Unworkable           something that every sample needs does not work
│  ├─ SourceChanged        a file is no longer the one that was scanned
│  ├─ Collision            two different files with one content hash
│  └─ BackupDamaged        an object of the backup is missing or is not what its name says
├─ RemoteError             the service; each knows what it proves about the request
│  ├─ Unreachable          nothing was sent
│  ├─ RateLimited          refused for the limit: nothing was done, slow down
│  ├─ BadKey               refused for the key
│  ├─ Refused              the service's own ERROR for this one request
│  │  └─ NoSuchModel
│  ├─ NotTheService        something else answered: a redirect, a proxy
│  ├─ OutcomeUnknown       sent, and no answer that says what became of it
│  └─ NotAnObservation     a view that does not add up
├─ GuardRefused            a plan removes more than is allowed
└─ Interrupted             a person said stop; state is saved
"""

from enum import StrEnum
from typing import ClassVar


class AsticaSyncError(Exception):
    """The root: ``str(error)`` says what happened, ``hint`` what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def text_with_hint(self) -> str:
        """Both in one line, for a list of failures."""
        return f"{self}; {self.hint}" if self.hint else str(self)


def kind_of(error: BaseException) -> str:
    """What an error is counted as: the name of its type, in small letters."""
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in type(error).__name__).lstrip("_")


class ConfigError(AsticaSyncError):
    """A setting is missing or wrong; the message names it."""


class StoreError(AsticaSyncError):
    """Something about the local side. ``stops_run``: it would fail for every sample, so that going on is in vain."""

    stops_run: ClassVar[bool] = False


class NoStore(StoreError):
    """No store in this folder or above it."""


class StoreBusy(StoreError):
    """Another process is applying a plan for this store (promise 8)."""


class StoreChanged(StoreError):
    """The folder is not the one the store was made in: unmounted, replaced, copied or moved (promise 3)."""


class DatabaseError(StoreError):
    """The index, the journal or the request budget is locked, damaged or of a newer version."""

    stops_run = True


class ImageRejected(StoreError):
    """A file that is no image the service could take; it is not tried again until its bytes change (promise 9)."""


class StorageFull(StoreError):
    """No room left for the backup or a database; going on would fail for every sample."""

    stops_run = True


class Unworkable(StoreError):
    """Something that every sample needs does not work: the backup cannot be written, no image can be checked."""

    stops_run = True


class SourceChanged(StoreError):
    """A file is no longer the one that was scanned, or cannot be read; about this sample alone (promise 9)."""


class Collision(StoreError):
    """Two different files with one content hash; a problem of this sample, never merged."""


class BackupDamaged(StoreError):
    """An object of the backup is missing, unreadable or not the bytes its name promises."""


class Outcome(StrEnum):
    """What a failed request proves. *not_done* may be repeated at once; *unknown* only after the quarantine
    (promise 5); *refused* would be refused again."""

    NOT_DONE = "not done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class RemoteError(AsticaSyncError):
    """A request to the service failed. ``stops_run``: going on would only burn budget (promise 9)."""

    outcome: ClassVar[Outcome] = Outcome.UNKNOWN
    stops_run: ClassVar[bool] = False


class Unreachable(RemoteError):
    """No connection: name not found, refused, TLS failure. Nothing was sent."""

    outcome = Outcome.NOT_DONE
    stops_run = True


class RateLimited(RemoteError):
    """Refused for the limit; ``retry_after`` is the service's word in seconds, where it gave one."""

    outcome = Outcome.NOT_DONE

    def __init__(self, message: str, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class BadKey(RemoteError):
    """The service refused the key."""

    outcome = Outcome.REFUSED
    stops_run = True


class Refused(RemoteError):
    """A whole answer with status ERROR that is about this request alone."""

    outcome = Outcome.REFUSED


class NoSuchModel(Refused):
    """The account has no such model."""

    stops_run = True


class NotTheService(RemoteError):
    """Something else than the service answered and passed nothing on: a redirect, a proxy, a firewall."""

    outcome = Outcome.REFUSED
    stops_run = True


class OutcomeUnknown(RemoteError):
    """The request left, and no whole answer says what became of it: time-out, cut, 5xx, not JSON."""


class NotAnObservation(RemoteError):
    """A view answer from which nothing may be concluded (promise 14)."""

    stops_run = True


class GuardRefused(AsticaSyncError):
    """A plan removes more than is allowed; nothing was removed (promise 7)."""

    exit_code = 4


class Interrupted(AsticaSyncError):
    """A person said stop; everything that was under way is finished or parked in the journal."""

    exit_code = 130
