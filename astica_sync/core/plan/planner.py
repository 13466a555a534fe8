"""What to do: the plan that the decision table makes of one scan, the marks and one observation.

Everything in here is pure. A plan is plain data; what a dry run prints is what apply consumes.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from astica_sync.core.model import (
    ALL_READABLE,
    LocalSample,
    Mark,
    MarkState,
    Observation,
    Presence,
    RemoteSample,
    Unreadable,
    fold_title,
)
from astica_sync.core.plan.decision import Verdict, decide
from astica_sync.core.plan.join import Row, merge_rows

CLASS_REMOVE_COST = 2
"""Requests of one ``class_remove``: the view asked for at that moment, and the removal."""


class RemovalReason(StrEnum):
    """Why a remote sample is to go."""

    ABSENT = "its file is gone"
    IGNORED = "its file is ignored now"
    MOVED = "it is in another class now"
    EXTRA = "it is there more than once"
    MISPLACED = "it lies in another class than it was sent to"
    NOT_IN_VERSION = "it is not in the data of that version"


@dataclass(frozen=True, slots=True)
class Upload:
    """Send one sample of ``size`` bytes; one request. ``again``: the service has confirmed or shown it before."""

    uid: str
    class_title: str
    path: str
    size: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class RemoveSample:
    """Remove one remote sample by its id; one request. ``class_title`` is the store's spelling."""

    uid: str
    class_title: str
    sample_id: int
    class_id: int
    why: RemovalReason
    path: str


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
class Waiting:
    """A sample nothing may be sent for before ``until`` (an observation asked for from then on settles it)."""

    uid: str
    class_title: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class Held:
    """A remote sample that would go if what is not known now were known."""

    uid: str
    class_title: str
    sample_id: int
    reason: str


@dataclass(slots=True)
class ClassCount:
    """Samples of one class: in the store, managed on the service, unmanaged there, and to be done."""

    local: int = 0
    managed: int = 0
    unmanaged: int = 0
    upload: int = 0
    remove: int = 0
    wait: int = 0
    hold: int = 0


@dataclass(slots=True)
class Plan:
    """All that follows from one scan, the marks and one observation; in the order apply works it off.

    Of what is not done, ``waiting`` waits for its quarantine, ``held`` for what is not known, ``blocked`` failed
    before, and ``asked`` waits for a person's word about its class title.
    """

    adopts: list[Adopt] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    removals: list[RemoveSample] = field(default_factory=list)
    class_removals: list[RemoveClass] = field(default_factory=list)
    forgets: list[str] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    blocked: list[Upload] = field(default_factory=list)
    asked: list[Upload] = field(default_factory=list)
    unmanaged: list[RemoteSample] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    twins: list[tuple[LocalSample, ...]] = field(default_factory=list)
    """Images that lie in more than one class: several samples, and often a slip."""
    classes: dict[str, ClassCount] = field(default_factory=dict)
    unseen: bool = False
    """Whether a part of the store could not be seen, so that nobody can say what is equal."""
    more: int = 0
    """How many uploads follow that are not in it: a plan for a push names so many at a time, and goes on from there."""
    probe: bool = False
    """Whether the first upload is looked at before the others follow: nothing has shown yet that the service keeps
    our uids so that samples can be told apart."""

    @property
    def requests(self) -> int:
        """The requests that applying this plan sends, beyond the view it was made from."""
        return (
            len(self.uploads)
            + self.more
            + self.probe
            + len(self.removals)
            + CLASS_REMOVE_COST * len(self.class_removals)
        )

    @property
    def removed(self) -> list[RemoveSample]:
        """Every sample that goes, by itself or with its class."""
        return [*self.removals, *(sample for entry in self.class_removals for sample in entry.samples)]

    @property
    def managed(self) -> int:
        return sum(count.managed for count in self.classes.values())

    @property
    def in_sync(self) -> bool:
        """Nothing to send, nothing awaited, nothing unknown: the service equals the store."""
        return not (self.requests or self.waiting or self.blocked or self.asked or self.held or self.unseen)

    def count(self, class_title: str) -> ClassCount:
        found = self.classes.get(class_title)
        if found is None:
            found = self.classes[class_title] = ClassCount()
        return found


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a plan depends on besides the three sides.

    ``run`` and ``run_started`` name the run of the program that plans and when it began, ``quarantine`` is in
    seconds, ``unknown`` what its scan could not see, ``bad`` the uids that are not tried again (promise 9),
    ``asked`` the class titles that wait for a person's word, ``class_remove`` whether whole classes may be removed by
    one request, ``uids_proven`` whether the service has been seen to keep our uids, ``ignored`` which paths the ignore
    file takes out of the store, ``version`` whether the local side is the snapshot of a version
    instead of the store: what is missing in it is missing by a person's word.
    """

    run: str
    run_started: float
    quarantine: float
    unknown: Unreadable = ALL_READABLE
    bad: Collection[str] = frozenset()
    asked: Collection[str] = frozenset()
    class_remove: bool = True
    uids_proven: bool = True
    ignored: Callable[[str], bool] = lambda _: False
    version: bool = False


def last_sending(mark: Mark, terms: PlanContext) -> float | None:
    """When the last request about the sample was sent, as this run must see it.

    An attempt of an earlier run counts as sent when this run began: a restart begins the quarantine anew
    (promise 5). A time of another run that lies ahead of ours came from a clock that was wrong.
    """
    if mark.sent_at is None or mark.run == terms.run:
        return mark.sent_at
    if mark.state is MarkState.ATTEMPTED:
        return terms.run_started
    return min(mark.sent_at, terms.run_started)


def make_plan(
    local: Iterable[LocalSample],
    marks: Iterable[Mark],
    observation: Observation,
    terms: PlanContext,
    kept: Mapping[str, int] | None = None,
    later: Mapping[str, int] | None = None,
    rest: Iterable[RemoteSample] | None = None,
) -> Plan:
    """Compares the three sides, each sorted by uid, and says what makes the service equal to the store.

    Where ``kept`` counts, by class title, what is the same on all of them, and ``later`` what is in the store alone and
    planned another time, ``local``, ``marks`` and ``rest`` (of what the service shows) are about the others alone.
    """
    plan = Plan(unseen=bool(terms.unknown))
    for title, samples in (kept or {}).items():
        plan.classes[title] = ClassCount(local=samples, managed=samples)
    for title, samples in (later or {}).items():
        count = plan.count(title)
        count.local += samples
        count.upload += samples
        plan.more += samples
    rows = merge_rows(local, marks, observation if rest is None else rest)
    # Uids begin with the content hash, so all rows about one image arrive together, whatever their class.
    for _, together in groupby(rows, key=lambda row: row.uid[:32]):
        _plan_image(plan, list(together), observation.asked_at, terms)
    plan.uploads.sort(key=lambda upload: upload.path)
    plan.probe = not terms.uids_proven and plan.managed == 0 and bool(plan.uploads)
    _fold_into_class_removals(plan, observation, terms)
    return plan


def _plan_image(plan: Plan, rows: list[Row], asked_at: float, terms: PlanContext) -> None:
    """Plans all samples of one image, the present ones first: a moved one leaves its old place only when its new
    one is sure."""
    if len(rows) == 1 and _is_kept(plan, rows[0]):
        return
    gone, unsure = RemovalReason.ABSENT, False
    present = tuple(row.local for row in rows if row.local is not None)
    if len(present) > 1:
        plan.twins.append(present)
    for row in rows:
        if row.local is not None:
            gone = RemovalReason.MOVED
            unsure = not _plan_present(plan, row, row.local, asked_at, terms) or unsure
    for row in rows:
        if row.local is not None:
            continue
        if row.mark is not None:
            _plan_absent(plan, row, row.mark, asked_at, terms, gone, unsure)
        else:
            plan.unmanaged.extend(row.remote)
            for sample in row.remote:
                plan.count(sample.class_title).unmanaged += 1


def _is_kept(plan: Plan, row: Row) -> bool:
    """Counts the sample that is on both sides under one title, as nearly all of a million are; False for any other."""
    local, mark = row.local, row.mark
    if local is None or mark is None or len(row.remote) != 1 or row.remote[0].class_title != local.class_title:
        return False
    if decide(Presence.PRESENT, mark.state, 1, settled=True) is not Verdict.KEEP:
        return False
    count = plan.count(local.class_title)
    count.local += 1
    count.managed += 1
    return True


def _plan_absent(
    plan: Plan, row: Row, mark: Mark, asked_at: float, terms: PlanContext, gone: RemovalReason, unsure: bool
) -> None:
    title = mark.class_title
    count = plan.count(title)
    count.managed += len(row.remote)
    hidden = terms.unknown.covers(title)
    certainty = Presence.UNKNOWN if hidden or (unsure and row.remote) else Presence.ABSENT
    verdict = decide(certainty, mark.state, len(row.remote), settled=_settled(mark, asked_at, terms))
    if verdict is Verdict.REMOVE:
        why = RemovalReason.IGNORED if gone is RemovalReason.ABSENT and terms.ignored(mark.path) else gone
        if terms.version:
            why = RemovalReason.NOT_IN_VERSION
        plan.removals.extend(_removals(row, row.remote, title, why))
        count.remove += len(row.remote)
    elif verdict is Verdict.FORGET:
        plan.forgets.append(row.uid)
    elif verdict is Verdict.HOLD:
        reason = "part of its class could not be read" if hidden else "its new place is not confirmed yet"
        plan.held.extend(Held(row.uid, title, sample.sample_id, reason) for sample in row.remote)
        count.hold += len(row.remote)


def _settled(mark: Mark | None, asked_at: float, terms: PlanContext) -> bool:
    sent_at = last_sending(mark, terms) if mark else None
    return sent_at is None or asked_at - sent_at >= terms.quarantine


def _plan_present(plan: Plan, row: Row, local: LocalSample, asked_at: float, terms: PlanContext) -> bool:
    """Plans a sample that is in the store; False when nothing says yet that the service has it or will take it."""
    title, path, mark = local.class_title, local.paths[0], row.mark
    count = plan.count(title)
    count.local += 1
    count.managed += len(row.remote)
    folded = fold_title(title)
    copies = [sample for sample in row.remote if fold_title(sample.class_title) == folded]
    misplaced = [sample for sample in row.remote if fold_title(sample.class_title) != folded]
    state = mark.state if mark else None
    verdict = decide(Presence.PRESENT, state, len(copies), settled=_settled(mark, asked_at, terms))
    if verdict in (Verdict.WAIT, Verdict.UPLOAD) and row.uid in terms.bad:
        plan.blocked.append(Upload(row.uid, title, path, local.size))
        return False
    if verdict is Verdict.WAIT:
        confirmed = state is MarkState.AGREED
        reason = "confirmed by the service, not shown by it yet" if confirmed else "sent, its outcome is unknown"
        until = (last_sending(mark, terms) if mark else None) or asked_at
        plan.waiting.append(Waiting(row.uid, title, reason, until + terms.quarantine))
        count.wait += 1
        return confirmed
    if verdict is Verdict.UPLOAD and title in terms.asked:
        plan.asked.append(Upload(row.uid, title, path, local.size))
        return False
    if verdict is Verdict.UPLOAD:
        plan.uploads.append(Upload(row.uid, title, path, local.size, again=state is MarkState.AGREED))
        count.upload += 1
    elif state is not MarkState.AGREED:
        plan.adopts.append(Adopt(row.uid, title, path, copies[0].sample_id))
    extras = [
        *_removals(row, copies[1:], title, RemovalReason.EXTRA),
        *_removals(row, misplaced, title, RemovalReason.MISPLACED),
    ]
    plan.removals.extend(extras)
    count.remove += len(extras)
    return True


def _removals(row: Row, samples: Iterable[RemoteSample], title: str, why: RemovalReason) -> Iterator[RemoveSample]:
    path = row.local.paths[0] if row.local else row.mark.path if row.mark else ""
    for sample in samples:
        yield RemoveSample(row.uid, title, sample.sample_id, sample.class_id, why, path)


def _fold_into_class_removals(plan: Plan, observation: Observation, terms: PlanContext) -> None:
    """Replaces the removals of a whole class by one ``class_remove`` where that saves requests.

    A class into which something goes, or may have gone, keeps its samples' own removals: the class must not be
    taken away with what was just sent to it.
    """
    plan.removals.sort(key=lambda removal: (removal.class_id, removal.sample_id))
    if not terms.class_remove:
        return
    per_class = Counter(removal.class_id for removal in plan.removals)
    busy = {fold_title(upload.class_title) for upload in plan.uploads}
    busy |= {fold_title(waiting.class_title) for waiting in plan.waiting}
    # Those that follow in another plan are counted here alone.
    busy |= {fold_title(title) for title, count in plan.classes.items() if count.upload}
    whole = {
        entry.class_id: entry
        for entry in observation.classes
        if per_class[entry.class_id] == entry.samples > CLASS_REMOVE_COST and fold_title(entry.title) not in busy
    }
    for class_id, entry in whole.items():
        samples = tuple(removal for removal in plan.removals if removal.class_id == class_id)
        plan.class_removals.append(RemoveClass(entry.title, class_id, samples))
    plan.removals = [removal for removal in plan.removals if removal.class_id not in whole]
