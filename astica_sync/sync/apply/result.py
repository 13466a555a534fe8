"""What applying a plan did: the counts, the failed samples, and the requests of unknown outcome."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FailedSample:
    """One sample that could not be sent or removed, and the reason; ``kind`` names the kind of error, for counters."""

    class_title: str
    path: str
    reason: str
    kind: str = "refused"


@dataclass(slots=True)
class ApplyResult:
    """What applying a plan did.

    ``doubtful_uploads`` (uids) and ``doubtful_removals`` (sample ids) were sent with unknown outcome. ``refused`` are
    the ids of samples whose removal the service refused. ``left`` counts what was planned and not tried. ``error`` is
    what ended it early.
    """

    uploaded: set[str] = field(default_factory=set)
    removed: int = 0
    failed: list[FailedSample] = field(default_factory=list)
    doubtful_uploads: set[str] = field(default_factory=set)
    doubtful_removals: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    left: int = 0
    error: BaseException | None = None

    @property
    def doubtful(self) -> int:
        return len(self.doubtful_uploads) + len(self.doubtful_removals)
