"""Makes the plan: joins store, marks and observation by uid, decides about each sample, and orders what follows.

Everything in here is pure. The decisions themselves are in ``decision``.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import assert_never

from astica_sync.core.model import (
    ALL_READABLE,
    CONTENT_LENGTH,
    LocalSample,
    Mark,
    MarkState,
    Observation,
    Presence,
    RemoteSample,
    Unreadable,
    fold_title,
    make_scope,
    make_uid,
)
from astica_sync.core.observation.sample_size import fits
from astica_sync.core.plan.decision import (
    Action,
    AdoptCopy,
    AskAboutTitle,
    Facts,
    ForgetMark,
    HoldCopies,
    Keep,
    KeepMark,
    LeaveUnmanaged,
    RemoveCopies,
    SkipFailed,
    UploadSample,
    WaitUntil,
    decide,
    secures_image,
)
from astica_sync.core.plan.join import Row, merge_rows
from astica_sync.core.plan.plan import (
    CLASS_REMOVE_COST,
    Adopt,
    ClassCount,
    Held,
    Plan,
    RemoveClass,
    RemoveSample,
    Upload,
    Waiting,
)


@dataclass(frozen=True, slots=True)
class FileAt:
    """What the scan found at one path: the content hash of an image, or "" and the ``problem`` that makes it none.
    ``is_first``: the image has no other file in its class, or came to the class with this one."""

    content: str = ""
    problem: str = ""
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a plan depends on besides the three sides.

    ``run`` and ``run_started`` name the run of the program that plans and when it began, ``quarantine`` is in
    seconds, ``unreadable`` what its scan could not read, ``failed_before`` the uids that are not tried again (promise
    9), ``questioned_titles`` the class titles that wait for the user's confirmation, ``class_remove`` whether whole
    classes may be removed by one request, ``uids_proven`` whether the service has been seen to keep our uids,
    ``ignored`` which paths the ignore file takes out of the store, ``file_at`` what is at a path of the store,
    ``size_of`` the size in bytes of an image in the backup by its content hash, None where it is not known,
    ``is_intact`` whether that image is undamaged, ``shows_sizes`` whether the service has been seen to show the sizes
    of images as they were sent, None where it is not known, ``is_version`` whether the local side is the snapshot of a version instead of the store: what is missing in it is
    meant to be missing, ``unproven`` the ids and uids of adopted samples whose bytes the backup may not have.
    """

    run: str
    run_started: float
    quarantine: float
    unreadable: Unreadable = ALL_READABLE
    failed_before: Collection[str] = frozenset()
    questioned_titles: Collection[str] = frozenset()
    class_remove: bool = True
    uids_proven: bool = True
    ignored: Callable[[str], bool] = lambda _: False
    file_at: Callable[[str], FileAt | None] = lambda _: None
    size_of: Callable[[str], int | None] = lambda _: None
    is_intact: Callable[[str], bool] = lambda _: True
    shows_sizes: Callable[[], bool | None] = lambda: None
    is_version: bool = False
    unproven: Collection[tuple[int, str]] = frozenset()


def make_plan(
    local: Iterable[LocalSample],
    marks: Iterable[Mark],
    observation: Observation,
    context: PlanContext,
    *,
    counted: Mapping[str, int] | None = None,
    later: Mapping[str, int] | None = None,
    remote: Iterable[RemoteSample] | None = None,
) -> Plan:
    """Compares the three sides, each sorted by uid, and returns what brings the service in sync with the store.

    Where ``counted`` has the samples, by class title, that are the same on all three sides, and ``later`` those that
    are in the store alone and planned another time, ``local``, ``marks`` and ``remote`` (of what the observation shows)
    are about the others alone. Seven parameters: the three sides, what was left out of them, and the context.
    """
    draft = _Draft()
    for title, samples in (counted or {}).items():
        draft.count(title).local = draft.count(title).managed = samples
    for title, samples in (later or {}).items():
        draft.count(title).local += samples
        draft.count(title).upload += samples
    rows = merge_rows(local, marks, observation if remote is None else remote)
    # Uids begin with the content hash, so all rows about one image arrive together, whatever their class.
    for _, image in groupby(rows, key=lambda row: row.uid[:CONTENT_LENGTH]):
        _plan_image(draft, list(image), observation, context)
    _plan_absent(draft, observation, context)
    return draft.finish(observation, context, sum((later or {}).values()))


def last_sending(mark: Mark, context: PlanContext) -> float | None:
    """When the last request about the sample was sent, as this run must see it; None if none was.

    An attempt of an earlier run counts as sent when this run began: a restart begins the quarantine again (promise 5).
    A time of another run that is later than the start of this one came from a clock that was wrong.
    """
    if mark.sent_at is None or mark.run == context.run:
        return mark.sent_at
    if mark.state is MarkState.ATTEMPTED:
        return context.run_started
    return min(mark.sent_at, context.run_started)


def quarantine_end(mark: Mark | None, context: PlanContext) -> float | None:
    """When the last request about the sample can no longer be carried out late; None if none was sent."""
    sent_at = None if mark is None else last_sending(mark, context)
    return None if sent_at is None else sent_at + context.quarantine


@dataclass(slots=True)
class _Count:
    """A ``ClassCount`` in the making."""

    local: int = 0
    managed: int = 0
    unmanaged: int = 0
    upload: int = 0
    remove: int = 0
    wait: int = 0
    hold: int = 0


@dataclass(frozen=True, slots=True)
class _Absent:
    """A row that is not in the store. ``moved``: its image is in another class of the store, ``is_new`` since this one
    was sent; ``pending``: nothing shows yet that the service has it there."""

    row: Row
    moved: bool
    is_new: bool
    pending: bool


@dataclass(slots=True)
class _Draft:
    """A plan in the making; see ``Plan``."""

    adopts: list[Adopt] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    removals: list[RemoveSample] = field(default_factory=list)
    forgets: list[str] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    failed_before: list[Upload] = field(default_factory=list)
    questioned: list[Upload] = field(default_factory=list)
    unmanaged: list[RemoteSample] = field(default_factory=list)
    unmanaged_reasons: dict[int, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    in_several_classes: list[tuple[LocalSample, ...]] = field(default_factory=list)
    classes: dict[str, _Count] = field(default_factory=dict)
    absent: list[_Absent] = field(default_factory=list)
    sizes_unproven: bool = False

    def count(self, title: str) -> _Count:
        found = self.classes.get(title)
        if found is None:
            found = self.classes[title] = _Count()
        return found

    def note_sizes(self, facts: Facts, context: PlanContext) -> None:
        """Whether the plan rests on sizes although it is not known how the service shows them."""
        if facts.other_size and context.shows_sizes() is None:
            self.sizes_unproven = True

    def finish(self, observation: Observation, context: PlanContext, later: int) -> Plan:
        self.uploads.sort(key=lambda upload: upload.path)
        self.removals.sort(key=lambda removal: (removal.class_id, removal.sample_id))
        busy = {upload.class_title for upload in self.uploads} | {waiting.class_title for waiting in self.waiting}
        # Those that follow in another plan are counted here alone.
        busy |= {title for title, count in self.classes.items() if count.upload}
        removals, class_removals = fold_into_class_removals(self.removals, observation, busy, context)
        managed = sum(count.managed for count in self.classes.values())
        return Plan(
            adopts=tuple(self.adopts),
            uploads=tuple(self.uploads),
            removals=removals,
            class_removals=class_removals,
            forgets=tuple(self.forgets),
            waiting=tuple(self.waiting),
            failed_before=tuple(self.failed_before),
            questioned=tuple(self.questioned),
            unmanaged=tuple(self.unmanaged),
            unmanaged_reasons=self.unmanaged_reasons,
            held=tuple(self.held),
            in_several_classes=tuple(self.in_several_classes),
            classes={
                title: ClassCount(
                    count.local, count.managed, count.unmanaged, count.upload, count.remove, count.wait, count.hold
                )
                for title, count in self.classes.items()
            },
            incomplete=bool(context.unreadable),
            later=later,
            first_upload_alone=bool(self.uploads)
            and ((not context.uids_proven and managed == 0) or self.sizes_unproven),
            sizes_unproven=self.sizes_unproven,
        )


def _plan_image(draft: _Draft, rows: list[Row], observation: Observation, context: PlanContext) -> None:
    """Plans all samples of one image, the present ones first: a moved one is removed from its old place only when its
    new place is secured."""
    present = tuple(row.local for row in rows if row.local is not None)
    if len(present) > 1:
        draft.in_several_classes.append(present)
    pending = False
    for row in rows:
        if row.local is not None:
            facts = _present_facts(row, row.local, observation, context)
            actions = decide(facts)
            draft.note_sizes(facts, context)
            pending = pending or not secures_image(actions)
            count = draft.count(row.local.class_title)
            count.local += 1
            count.managed += len(row.remote) - _count_left(actions)
            _take(draft, row, row.local.class_title, actions)
    for row in rows:
        if row.local is None:
            # What replaces it may be planned after it.
            is_new = any(_is_new_place(other.mark, row.mark, context) for other in rows if other.local is not None)
            draft.absent.append(_Absent(row, moved=bool(present), is_new=is_new, pending=pending))


def _is_new_place(place: Mark | None, old: Mark | None, context: PlanContext) -> bool:
    """Whether an image came to a class after it was sent to the old one: otherwise it was in both, and did not move.
    What a run sends to both is sent within a quarantine, as a rule."""
    if place is None or place.state is not MarkState.AGREED:
        return True
    if place.sent_at is None or old is None or old.sent_at is None:
        return False
    return place.sent_at > old.sent_at + context.quarantine


def _plan_absent(draft: _Draft, observation: Observation, context: PlanContext) -> None:
    """Plans the samples that are not in the store, after all present ones."""
    unsent = {upload.uid: "the image that replaces it failed before" for upload in draft.failed_before}
    unsent |= {upload.uid: "the class of the image that replaces it is not confirmed" for upload in draft.questioned}
    unsent |= {waiting.uid: "the image that replaces it is not confirmed yet" for waiting in draft.waiting}
    for absent in draft.absent:
        mark = absent.row.mark
        if mark is None:
            # Made elsewhere: whether its class could be read here changes nothing.
            _take(draft, absent.row, "", decide(Facts(Presence.ABSENT)))
            continue
        replacement, facts = _absent_facts(absent, mark, observation, context)
        facts = facts._replace(replacement_pending=unsent.get(replacement, ""))
        actions = decide(facts)
        draft.count(mark.class_title).managed += len(absent.row.remote) - _count_left(actions)
        _take(draft, absent.row, mark.class_title, actions, replacement)


def _count_left(actions: tuple[Action, ...]) -> int:
    """How many of the samples that are shown are left as unmanaged, where the actions name them."""
    return sum(len(action.sample_ids or ()) for action in actions if isinstance(action, LeaveUnmanaged))


def _present_facts(row: Row, local: LocalSample, observation: Observation, context: PlanContext) -> Facts:
    mark, title = row.mark, local.class_title
    copies: tuple[int, ...] = ()
    misplaced: tuple[int, ...] = ()
    if len(row.remote) == 1 and row.remote[0].class_title == title:
        # As nearly all are: no title has to be folded.
        copies = (row.remote[0].sample_id,)
    elif row.remote:
        folded = fold_title(title)
        copies = tuple(sample.sample_id for sample in row.remote if fold_title(sample.class_title) == folded)
        misplaced = tuple(sample.sample_id for sample in row.remote if fold_title(sample.class_title) != folded)
    return Facts(
        Presence.PRESENT,
        mark.state if mark else None,
        copies,
        misplaced,
        observation.asked_at,
        quarantine_end(mark, context),
        *_removed(mark, context),
        _of_other_size(row, local.size, observation, context),
        failed_before=row.uid in context.failed_before,
        title_questioned=title in context.questioned_titles,
        unproven=_unproven(row, context),
    )


def _of_other_size(row: Row, size: int | None, observation: Observation, context: PlanContext) -> tuple[int, ...]:
    """The sample ids whose shown size an image of ``size`` bytes cannot have."""
    if size is None or not observation.size_decimals:
        return ()
    decimals = observation.size_decimals
    others = tuple(sample.sample_id for sample in row.remote if not fits(size, sample.size, decimals))
    return () if others and context.shows_sizes() is False else others


def _removed(mark: Mark | None, context: PlanContext) -> tuple[tuple[int, ...], float]:
    """The sample ids whose removal was requested, and when the service confirmed that."""
    if mark is None or not mark.removed_ids:
        return (), 0.0
    confirmed_at = last_sending(mark, context) if mark.state is MarkState.REMOVED else None
    return mark.removed_ids, confirmed_at or 0.0


def _absent_facts(absent: _Absent, mark: Mark, observation: Observation, context: PlanContext) -> tuple[str, Facts]:
    """The uid of the image that replaces the sample under its file name, "" where there is none; and the facts."""
    row = absent.row
    at = None if context.is_version else context.file_at(mark.path)
    replacement = ""
    others = _of_other_size(row, context.size_of(mark.content) if row.remote else None, observation, context)
    if others and not context.is_intact(mark.content):
        others = ()
    if at is not None and at.content and at.content != mark.content:
        replacement = make_uid(at.content, make_scope(observation.model.model_id, mark.class_title))
    return replacement, Facts(
        Presence.UNKNOWN if context.unreadable.covers(mark.class_title) else Presence.ABSENT,
        mark.state,
        tuple(sample.sample_id for sample in row.remote),
        (),
        observation.asked_at,
        quarantine_end(mark, context),
        *_removed(mark, context),
        others,
        moved=absent.moved,
        new_place_pending=absent.pending,
        ignored=bool(row.remote) and not absent.moved and context.ignored(mark.path),
        not_in_version=context.is_version,
        file_problem=at.problem if at is not None else "",
        replaced=bool(replacement),
        is_loss=not absent.is_new if absent.moved else at is not None and not at.is_first,
        unproven=_unproven(row, context),
    )


def _unproven(row: Row, context: PlanContext) -> tuple[int, ...]:
    if not context.unproven:
        return ()
    return tuple(one.sample_id for one in row.remote if (one.sample_id, row.uid) in context.unproven)


def _take(draft: _Draft, row: Row, title: str, actions: tuple[Action, ...], replaced_by: str = "") -> None:
    """Enters the actions about one sample into the plan."""
    for action in actions:
        match action:
            case Keep() | KeepMark():
                pass
            case UploadSample():
                draft.uploads.append(_upload(row, action.again))
                draft.count(title).upload += 1
            case WaitUntil():
                draft.waiting.append(
                    Waiting(row.uid, title, action.reason, action.moment, _path(row), action.ends_when_shown)
                )
                draft.count(title).wait += 1
            case SkipFailed():
                draft.failed_before.append(_upload(row))
            case AskAboutTitle():
                draft.questioned.append(_upload(row))
            case AdoptCopy():
                draft.adopts.append(Adopt(row.uid, title, _path(row), action.sample_id))
            case RemoveCopies():
                draft.removals.extend(_removals(row, title, action, replaced_by))
                draft.count(title).remove += len(action.sample_ids)
            case HoldCopies():
                draft.held.extend(Held(row.uid, title, one, action.reason, _path(row)) for one in action.sample_ids)
                draft.count(title).hold += len(action.sample_ids)
            case LeaveUnmanaged():
                for sample in row.remote:
                    if action.sample_ids is None or sample.sample_id in action.sample_ids:
                        draft.unmanaged.append(sample)
                        draft.count(sample.class_title).unmanaged += 1
                        if action.reason:
                            draft.unmanaged_reasons[sample.sample_id] = action.reason
            case ForgetMark():
                draft.forgets.append(row.uid)
            case _:
                assert_never(action)


def _path(row: Row) -> str:
    return row.local.paths[0] if row.local else row.mark.path if row.mark else ""


def _upload(row: Row, again: bool = False) -> Upload:
    assert row.local is not None
    return Upload(row.uid, row.local.class_title, row.local.paths[0], row.local.size, again)


def _removals(row: Row, title: str, action: RemoveCopies, replaced_by: str) -> Iterator[RemoveSample]:
    for sample in row.remote:
        if sample.sample_id in action.sample_ids:
            yield RemoveSample(
                row.uid,
                title,
                sample.sample_id,
                sample.class_id,
                action.reason,
                _path(row),
                replaced_by,
                leaves_doubt=action.leaves_doubt,
            )


def fold_into_class_removals(
    removals: list[RemoveSample], observation: Observation, busy: Collection[str], context: PlanContext
) -> tuple[tuple[RemoveSample, ...], tuple[RemoveClass, ...]]:
    """Replaces the removals of a whole class by one ``class_remove`` where that saves requests.

    A ``busy`` class, into which something is sent or may have been, keeps its samples' own removals: the class must not
    be removed together with what was just sent to it.
    """
    if not context.class_remove:
        return tuple(removals), ()
    folded = {fold_title(title) for title in busy}
    per_class = Counter(removal.class_id for removal in removals)
    whole = {
        entry.class_id: entry
        for entry in observation.classes
        if per_class[entry.class_id] == entry.samples > CLASS_REMOVE_COST and fold_title(entry.title) not in folded
    }
    class_removals = tuple(
        RemoveClass(entry.title, class_id, tuple(removal for removal in removals if removal.class_id == class_id))
        for class_id, entry in whole.items()
    )
    return tuple(removal for removal in removals if removal.class_id not in whole), class_removals
