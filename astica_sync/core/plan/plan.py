"""A plan: what a push would do, as immutable data. What a dry run prints is what apply carries out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from astica_sync.core.model import LocalSample, RemoteSample
from astica_sync.core.plan.decision_table import RemovalReason

CLASS_REMOVE_COST = 2
"""Requests of one ``class_remove``: the view asked for at that moment, and the removal."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Send one sample of ``size`` bytes; one request. ``again``: the service has confirmed or shown it before;
    ``reconverted``: the service has the image in this class as another recipe converted it."""

    uid: str
    class_title: str
    path: str
    size: int
    again: bool = False
    reconverted: bool = False


@dataclass(frozen=True, slots=True)
class RemoveSample:
    """Remove one remote sample by its id; one request. ``class_title`` is the store's spelling, ``replaced_by`` the uid
    of the image that has its file name now, "" where there is none; ``confirmed`` whether the user allowed it;
    ``leaves_doubt`` whether a copy of it may still appear after the service has confirmed the removal."""

    uid: str
    class_title: str
    sample_id: int
    class_id: int
    why: RemovalReason
    path: str
    replaced_by: str = ""
    confirmed: bool = False
    leaves_doubt: bool = False


@dataclass(frozen=True, slots=True)
class RemoveClass:
    """Remove a whole remote class in place of all its samples; one view and one request."""

    class_title: str
    class_id: int
    samples: tuple[RemoveSample, ...]


@dataclass(frozen=True, slots=True)
class Adopt:
    """Note that the service has the sample; no request."""

    uid: str
    class_title: str
    path: str
    sample_id: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """Convert the image and store the result in the backup; no request."""

    uid: str
    class_title: str
    path: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sample about which nothing is sent before ``until`` (an observation asked for from then on decides).
    ``ends_when_shown``: an earlier observation ends the wait, if it shows what the service confirmed."""

    uid: str
    class_title: str
    reason: str
    until: float
    path: str = ""
    ends_when_shown: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A remote sample that is not removed as long as something about it is unknown."""

    uid: str
    class_title: str
    sample_id: int
    reason: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A sample of this store whose class another one manages now: its mark is deleted, and it stays on the service as
    these sample ids; no request."""

    uid: str
    class_title: str
    path: str
    sample_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InOtherStore:
    """An image of this store that another one has in another class: the file here and its class, and a sample of the
    other store."""

    path: str
    class_title: str
    sample: RemoteSample


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Samples of one class: in the store, managed on the service, unmanaged there, and to be done."""

    local: int = 0
    managed: int = 0
    unmanaged: int = 0
    upload: int = 0
    remove: int = 0
    wait: int = 0
    hold: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All that follows from one scan, the marks and one observation; in the order in which apply carries it out.

    Of what is not done, ``waiting`` waits for its quarantine, ``held`` for what is unknown, ``failed_before`` failed in
    an earlier push, and ``questioned`` waits until the user confirms its class title.

    ``unmanaged_reasons`` says, by sample id, how it is known where an unmanaged sample comes from.

    ``in_several_classes`` are images that are in more than one class: several samples, and often a mistake.
    ``in_other_stores`` are images that another store has in another class. ``given_up`` are samples whose class another
    store manages now, and ``not_owned`` counts the images of the store in such classes, which are not sent.
    ``classes`` counts by the store's title. ``incomplete``: a part of the store could not be read, so it is unknown
    whether all is in sync. ``later`` counts the uploads that are not in this plan: a plan for a push names so many at a
    time, and the next plan goes on from there. ``first_upload_alone``: nothing has shown yet that the service keeps our
    uids so that samples can be distinguished, so the first upload is checked before the others follow.
    ``sizes_unproven``: samples under uids of ours show other sizes, and nothing has shown yet that the service shows
    the sizes of images as they are: after the first upload another plan is made.
    """

    adopts: tuple[Adopt, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    uploads: tuple[Upload, ...] = ()
    removals: tuple[RemoveSample, ...] = ()
    class_removals: tuple[RemoveClass, ...] = ()
    forgets: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    failed_before: tuple[Upload, ...] = ()
    questioned: tuple[Upload, ...] = ()
    unmanaged: tuple[RemoteSample, ...] = ()
    unmanaged_reasons: Mapping[int, str] = field(default_factory=dict)
    held: tuple[Held, ...] = ()
    in_several_classes: tuple[tuple[LocalSample, ...], ...] = ()
    in_other_stores: tuple[InOtherStore, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    not_owned: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, ClassCount] = field(default_factory=dict)
    incomplete: bool = False
    later: int = 0
    first_upload_alone: bool = False
    sizes_unproven: bool = False

    @property
    def requests(self) -> int:
        """The requests that applying this plan sends, beyond the view it was made from."""
        return (
            len(self.uploads)
            + self.later
            + self.first_upload_alone
            + len(self.removals)
            + CLASS_REMOVE_COST * len(self.class_removals)
        )

    @property
    def removed(self) -> list[RemoveSample]:
        """Every sample that is removed, by itself or with its class."""
        return [*self.removals, *(sample for entry in self.class_removals for sample in entry.samples)]

    @property
    def managed(self) -> int:
        return sum(count.managed for count in self.classes.values())

    @property
    def in_sync(self) -> bool:
        """Nothing to send, nothing awaited, nothing unknown: the service has what the store has."""
        open_ends = self.waiting or self.failed_before or self.questioned or self.held or self.incomplete
        return not (self.requests or open_ends)
