"""Makes the plan: joins store, marks and observation by uid, decides about each sample, and orders what follows.

Everything in here is pure. The decisions themselves are in ``decision``.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import assert_never

from astica_sync.core.model import (
    CONTENT_LENGTH,
    LocalSample,
    Mark,
    Observation,
    RemoteSample,
    fold_title,
    is_uid,
    make_scope,
    make_uid,
)
from astica_sync.core.plan.decision_table import (
    CONVERTED_FIRST,
    OTHER_STORE,
    Action,
    AdoptCopy,
    AskAboutTitle,
    ConvertFirst,
    Facts,
    ForgetMark,
    GiveUp,
    HoldCopies,
    Keep,
    KeepMark,
    LeaveUnmanaged,
    RemoveCopies,
    SkipFailed,
    SkipNotOwned,
    UploadSample,
    WaitUntil,
    decide,
    secures_image,
)
from astica_sync.core.plan.gather_facts import (
    AbsentRow,
    PlanContext,
    absent_facts,
    is_new_place,
    present_facts,
    unmanaged_facts,
)
from astica_sync.core.plan.join import JoinedRow, merge_rows
from astica_sync.core.plan.plan import (
    CLASS_REMOVE_COST,
    Adopt,
    ClassCount,
    Conversion,
    GivenUp,
    Held,
    InOtherStore,
    Plan,
    RemoveClass,
    RemoveSample,
    Upload,
    Waiting,
)


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
    draft = _Draft(observation.asked_at)
    for title, samples in (counted or {}).items():
        draft.classes[title]["local"] = draft.classes[title]["managed"] = samples
    for title, samples in (later or {}).items():
        draft.classes[title]["local"] += samples
        draft.classes[title]["upload"] += samples
    rows = merge_rows(local, marks, observation if remote is None else remote)
    # Uids begin with the content hash, so all rows about one image arrive together, whatever their class.
    for _, image in groupby(rows, key=lambda row: row.uid[:CONTENT_LENGTH]):
        _plan_image(draft, list(image), observation, context)
    _plan_absent(draft, observation, context)
    return draft.finish(observation, context, sum((later or {}).values()))


@dataclass(slots=True)
class _Draft:
    """A plan in the making; see ``Plan``. ``asked_at`` is when its observation was asked for."""

    asked_at: float
    conversions: list[Conversion] = field(default_factory=list)
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
    in_other_stores: list[InOtherStore] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)
    classes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    absent: list[AbsentRow] = field(default_factory=list)
    sizes_unproven: bool = False

    def note_sizes(self, facts: Facts, context: PlanContext) -> None:
        """Whether the plan rests on sizes although it is not known how the service shows them."""
        if facts.other_size and context.shows_sizes() is None:
            self.sizes_unproven = True

    def finish(self, observation: Observation, context: PlanContext, later: int) -> Plan:
        self.uploads.sort(key=lambda upload: upload.path)
        self.removals.sort(key=lambda removal: (removal.class_id, removal.sample_id))
        busy = {upload.class_title for upload in self.uploads} | {waiting.class_title for waiting in self.waiting}
        # Those that follow in another plan are counted here alone.
        busy |= {title for title, count in self.classes.items() if count["upload"]}
        removals, class_removals = fold_into_class_removals(self.removals, observation, busy, context)
        managed = sum(count["managed"] for count in self.classes.values())
        return Plan(
            adopts=tuple(self.adopts),
            conversions=tuple(self.conversions),
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
            in_other_stores=tuple(self.in_other_stores),
            given_up=tuple(sorted(self.given_up, key=lambda one: one.path)),
            classes={title: ClassCount(**count) for title, count in self.classes.items()},
            incomplete=bool(context.unreadable),
            later=later,
            first_upload_alone=bool(self.uploads)
            and ((not context.uids_proven and managed == 0) or self.sizes_unproven),
            sizes_unproven=self.sizes_unproven,
        )


def _plan_image(draft: _Draft, rows: list[JoinedRow], observation: Observation, context: PlanContext) -> None:
    """Plans all samples of one image, the present ones first: a moved one is removed from its old place only when its
    new place is secured."""
    owned = context.owned
    present = tuple(row.local for row in rows if row.local is not None and owned.covers(row.local.class_title))
    if len(present) > 1:
        draft.in_several_classes.append(present)
    draft.in_other_stores.extend(_in_other_stores(rows, present))
    pending = False
    # The classes in which another recipe has converted it.
    reconverted = {
        row.mark.class_title for row in rows if row.local is None and row.mark is not None and row.remote
    }.intersection(one.class_title for one in present)
    for row in rows:
        if row.local is not None:
            facts = present_facts(row, row.local, observation, context)
            actions = decide(facts)
            if facts.class_not_owned:
                _take(draft, row, row.local.class_title, actions)
                continue
            draft.note_sizes(facts, context)
            pending = pending or not secures_image(actions)
            count = draft.classes[row.local.class_title]
            count["local"] += 1
            count["managed"] += len(row.remote) - _count_left(actions)
            _take(draft, row, row.local.class_title, actions, reconverted=row.local.class_title in reconverted)
    for row in rows:
        if row.local is None:
            # What replaces it may be planned after it.
            is_new = any(is_new_place(other.mark, row.mark, context) for other in rows if other.local is not None)
            other_recipe = row.mark is not None and any(one.class_title == row.mark.class_title for one in present)
            # What another recipe has made has another size.
            size = None
            if present and _is_of_recipe(row, observation, context):
                size = context.sent_size_of(present[0].content, present[0].size)
            draft.absent.append(
                AbsentRow(
                    row, moved=bool(present), is_new=is_new, pending=pending, size=size, other_recipe=other_recipe
                )
            )


def _in_other_stores(rows: list[JoinedRow], present: tuple[LocalSample, ...]) -> Iterator[InOtherStore]:
    """The samples of one image that another store has in another class than this one."""
    if not present:
        return
    titles = {fold_title(one.class_title) for one in present}
    for row in rows:
        if row.mark is None and is_uid(row.uid):
            for sample in row.remote:
                if fold_title(sample.class_title) not in titles:
                    yield InOtherStore(present[0].paths[0], present[0].class_title, sample)


def _is_of_recipe(row: JoinedRow, observation: Observation, context: PlanContext) -> bool:
    """Whether a sample that is not in the store was sent by the recipe by which its image is converted now; never of a
    version, whose images the index may not have."""
    if row.mark is None or context.is_version:
        return False
    content, title = row.mark.content, row.mark.class_title
    return row.uid == make_uid(content, make_scope(observation.model.model_id, title, context.recipe_of(content)))


def _plan_absent(draft: _Draft, observation: Observation, context: PlanContext) -> None:
    """Plans the samples that are not in the store, after all present ones."""
    unsent = {upload.uid: "the image that replaces it failed before" for upload in draft.failed_before}
    unsent |= {upload.uid: "the class of the image that replaces it is not confirmed" for upload in draft.questioned}
    unsent |= {waiting.uid: "the image that replaces it is not confirmed yet" for waiting in draft.waiting}
    for absent in draft.absent:
        mark = absent.row.mark
        if mark is None:
            _take(draft, absent.row, "", decide(unmanaged_facts(absent.row, context)))
            continue
        replacement, facts = absent_facts(absent, mark, observation, context)
        facts = facts._replace(replacement_pending=unsent.get(replacement, ""))
        actions = decide(facts)
        if not facts.class_not_owned:
            draft.classes[mark.class_title]["managed"] += len(absent.row.remote) - _count_left(actions)
        _take(draft, absent.row, mark.class_title, actions, replacement)


def _count_left(actions: tuple[Action, ...]) -> int:
    """How many of the samples that are shown are left as unmanaged, where the actions name them."""
    return sum(len(action.sample_ids or ()) for action in actions if isinstance(action, LeaveUnmanaged))


def _take(
    draft: _Draft,
    row: JoinedRow,
    title: str,
    actions: tuple[Action, ...],
    replaced_by: str = "",
    *,
    reconverted: bool = False,
) -> None:
    """Enters the actions about one sample into the plan."""
    for action in actions:
        match action:
            case Keep() | KeepMark() | SkipNotOwned():
                pass
            case UploadSample():
                draft.uploads.append(_upload(row, action.again, reconverted))
                draft.classes[title]["upload"] += 1
            case WaitUntil():
                draft.waiting.append(
                    Waiting(row.uid, title, action.reason, action.moment, _path(row), action.ends_when_shown)
                )
                draft.classes[title]["wait"] += 1
            case SkipFailed():
                draft.failed_before.append(_upload(row))
            case ConvertFirst():
                draft.conversions.append(Conversion(row.uid, title, _path(row)))
                draft.waiting.append(Waiting(row.uid, title, CONVERTED_FIRST, draft.asked_at, _path(row)))
                draft.classes[title]["wait"] += 1
            case AskAboutTitle():
                draft.questioned.append(_upload(row))
            case AdoptCopy():
                draft.adopts.append(Adopt(row.uid, title, _path(row), action.sample_id))
            case RemoveCopies():
                draft.removals.extend(_removals(row, title, action, replaced_by))
                draft.classes[title]["remove"] += len(action.sample_ids)
            case HoldCopies():
                draft.held.extend(Held(row.uid, title, one, action.reason, _path(row)) for one in action.sample_ids)
                draft.classes[title]["hold"] += len(action.sample_ids)
            case LeaveUnmanaged():
                reason = action.reason or (OTHER_STORE if is_uid(row.uid) else "")
                for sample in row.remote:
                    if action.sample_ids is None or sample.sample_id in action.sample_ids:
                        draft.unmanaged.append(sample)
                        draft.classes[sample.class_title]["unmanaged"] += 1
                        if reason:
                            draft.unmanaged_reasons[sample.sample_id] = reason
            case GiveUp():
                draft.given_up.append(GivenUp(row.uid, title, _path(row), action.sample_ids))
            case ForgetMark():
                draft.forgets.append(row.uid)
            case _:
                assert_never(action)


def _path(row: JoinedRow) -> str:
    return row.local.paths[0] if row.local else row.mark.path if row.mark else ""


def _upload(row: JoinedRow, again: bool = False, reconverted: bool = False) -> Upload:
    assert row.local is not None
    return Upload(row.uid, row.local.class_title, row.local.paths[0], row.local.size, again, reconverted)


def _removals(row: JoinedRow, title: str, action: RemoveCopies, replaced_by: str) -> Iterator[RemoveSample]:
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
