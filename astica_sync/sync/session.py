"""What a run of the program works with, in groups; a function takes the groups that it uses.

``open_session.open_session`` builds them for production. The simulation builds them from simulated parts.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from astica_sync.clock import Clock
from astica_sync.core.model import LocalSample
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan.guard import Allowance
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.image.decoder import Decoder
    from astica_sync.local.image.prepare.preparer import Preparer
    from astica_sync.remote.rate_limited_client import RateLimitedClient
    from astica_sync.sync.apply.thread_pool import WorkerPool

DEFAULT_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class LocalSide:
    """The store and what is recorded next to it on this machine.

    ``lock`` makes this process the only writer of the store (promise 8). ``hash_threads`` is how many threads read
    files during a scan; with 0 the thread that scans reads them itself.
    """

    layout: Layout
    fs: FileSystem
    index: Index
    journal: Journal
    backup: "Backup"
    decoder: "Decoder"
    preparer: "Preparer"
    lock: Callable[[Layout], AbstractContextManager[None]] = writer_lock
    hash_threads: int = 2

    def known_recipes(self) -> list[str]:
        """Every recipe that may be a part of a uid of this store, the default one first; see ``make_scope``.

        Raises:
            StoreError: the record of the backup cannot be read.
        """
        return sorted({self.index.recipe_identity, *self.backup.prepared.recipes()})


@dataclass(frozen=True, slots=True)
class RemoteSide:
    """The account on the service, and the model in it that the store mirrors. ``quarantine`` is how many seconds it may
    take until a view shows a change; see ``Policy``."""

    service: "RateLimitedClient"
    model_id: int
    quarantine: float = 60.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """Time and threads of this run of the program.

    ``run_started`` is when it began, in seconds since the epoch. ``stopping`` returns whether the user asked it to
    stop.
    """

    clock: Clock
    workers: "WorkerPool"
    run_started: float
    stopping: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide what a push may do.

    ``quarantine`` is in seconds. ``class_remove`` allows one request to remove a whole class. ``batch_size`` is how
    many new samples one round of a push plans, hours of the request limit, so that a backlog of a week needs little
    more memory than that of a day. ``owned`` are the classes that the store manages.
    """

    quarantine: float
    class_remove: bool = True
    allowance: Allowance = field(default_factory=Allowance)
    batch_size: int = DEFAULT_BATCH
    owned: OwnedClasses = ALL_CLASSES


@dataclass(frozen=True, slots=True)
class VersionAsStore:
    """The data of a version, which the service is to hold instead of the store's (``push --as``).

    ``samples`` are those of its snapshot, sorted by uid.
    """

    version: str
    snapshot: str
    samples: Sequence[LocalSample]


@dataclass(frozen=True, slots=True)
class Session:
    """All groups of one run. Only what runs a whole round takes a session; the rest takes the groups it uses.
    ``on_agreed`` is called when the store and a view of the model are found to be the same."""

    local: LocalSide
    remote: RemoteSide
    runtime: Runtime
    policy: Policy
    listener: ProgressListener
    target: VersionAsStore | None = None
    on_agreed: Callable[[], None] = lambda: None
