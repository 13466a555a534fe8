"""Everything one run works with, opened once and handed around as one thing."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from astica_sync.clock import Clock
from astica_sync.core.model import LocalSample
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
    from astica_sync.remote.service import Service
    from astica_sync.sync.apply.thread_pool import WorkerPool


@dataclass(frozen=True, slots=True)
class VersionTarget:
    """What the service is to hold instead of the store: the snapshot of a version, its samples sorted by uid."""

    version: str
    snapshot: str
    samples: Sequence[LocalSample]


@dataclass(frozen=True, slots=True)
class Session:
    """The local truth, the service, time, and who listens. ``run_started`` is when this run of the program began,
    ``stopping`` whether a person has said stop, ``lock`` makes this process the store's one writer (promise 8), and
    ``readers`` is how many threads read files during a scan. ``at_once`` is how many new samples a push plans
    before it looks again, hours of budget, so that a backlog of a week needs little more memory than that of a day.
    ``wanted`` takes the place of the store where a person asked for a version's data (``push --as``)."""

    layout: Layout
    model_id: int
    fs: FileSystem
    index: Index
    journal: Journal
    backup: "Backup"
    decoder: "Decoder"
    service: "Service"
    workers: "WorkerPool"
    clock: Clock
    run_started: float
    quarantine: float
    class_remove: bool
    allowance: Allowance
    listener: ProgressListener
    stopping: Callable[[], bool]
    lock: Callable[[Layout], AbstractContextManager[None]] = writer_lock
    readers: int = 2
    at_once: int = 10_000
    wanted: VersionTarget | None = None
