"""What carrying out a plan did: the counts, the failed samples, and the requests of unknown outcome."""

from dataclasses import dataclass, field

from astica_sync.core.plan.plan import Adopt, Conversion, GivenUp, RemoveSample, Upload
from astica_sync.errors import AsticaSyncError, RemoteError, StoreError, kind_of


@dataclass(frozen=True, slots=True)
class FailedSample:
    """One sample that could not be sent or removed, and the reason; ``kind`` names the kind of error, for counters."""

    class_title: str
    path: str
    reason: str
    kind: str = "refused"


def failure_of(sample: Upload | RemoveSample | Adopt | Conversion, error: AsticaSyncError) -> FailedSample:
    """The failure of one sample with its error."""
    return FailedSample(sample.class_title, sample.path, error.text_with_hint, kind_of(error))


def settles(error: BaseException | None) -> bool:
    """Whether a request that ended with this error was tried. A fault of the program or of the machine, such as no
    memory, ends the run and says nothing about the sample: it is left to do."""
    return error is None or isinstance(error, StoreError | RemoteError)


@dataclass(slots=True)
class ApplyResult:
    """What carrying out a plan, or a part of it, did.

    ``doubtful_uploads`` (uids) and ``doubtful_removals`` (sample ids) were sent with unknown outcome. ``refused`` are
    the ids of samples whose removal the service refused, ``unconverted`` the uids of images whose conversion failed, so
    that another observation would change nothing. ``given_up`` are the samples that the store does not manage any
    more. ``left`` counts what was planned and not tried. ``error`` is what ended it early.
    """

    uploaded: set[str] = field(default_factory=set)
    removed: int = 0
    failed: list[FailedSample] = field(default_factory=list)
    doubtful_uploads: set[str] = field(default_factory=set)
    doubtful_removals: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    unconverted: set[str] = field(default_factory=set)
    given_up: list[GivenUp] = field(default_factory=list)
    left: int = 0
    error: BaseException | None = None

    @property
    def doubtful(self) -> int:
        return len(self.doubtful_uploads) + len(self.doubtful_removals)

    def include(self, other: "ApplyResult") -> None:
        """Adds what another part of the plan did; the first error stays."""
        self.uploaded |= other.uploaded
        self.removed += other.removed
        self.failed += other.failed
        self.doubtful_uploads |= other.doubtful_uploads
        self.doubtful_removals |= other.doubtful_removals
        self.refused |= other.refused
        self.unconverted |= other.unconverted
        self.given_up += other.given_up
        self.left += other.left
        self.error = self.error or other.error
