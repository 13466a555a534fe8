"""The decision table and the plan it makes."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import (
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    Presence,
    RemoteClass,
    RemoteSample,
    Unreadable,
    make_scope,
    make_uid,
)
from astica_sync.core.plan.decision_table import (
    ADOPTED_TWICE,
    CLASS_UNREADABLE,
    CONVERTED_FIRST,
    MADE_AGAIN,
    NEW_PLACE_PENDING,
    NEW_RECIPE_PENDING,
    OTHER_SIZE,
    SENT_AGAIN,
    UNPROVEN,
    Action,
    AdoptCopy,
    AskAboutTitle,
    ConvertFirst,
    Facts,
    ForgetMark,
    HoldCopies,
    Keep,
    KeepMark,
    LeaveUnmanaged,
    RemovalReason,
    RemoveCopies,
    SkipFailed,
    UploadSample,
    WaitUntil,
    decide,
    secures_image,
)
from astica_sync.core.plan.gather_facts import FileAt, PlanContext
from astica_sync.core.plan.plan import CLASS_REMOVE_COST, Plan
from astica_sync.core.plan.plan_subset import with_uploads
from astica_sync.core.plan.planner import make_plan
from astica_sync.core.plan.upload_before_removal import uploads_before, uploads_by_content
from astica_sync.core.versions.match_unmanaged import Adopted, find_unproven

MODEL = 7
QUARANTINE = 60.0
ASKED = 10_000.0
P, A, U = Presence.PRESENT, Presence.ABSENT, Presence.UNKNOWN
NONE, ATTEMPTED, AGREED, REMOVED = None, MarkState.ATTEMPTED, MarkState.AGREED, MarkState.REMOVED


def facts(local: Presence, mark: MarkState | None, copies: int, settled: bool) -> Facts:
    """The columns of the table; sample ids count from 1."""
    ends = ASKED - 1 if settled else ASKED + 1
    in_doubt = mark is MarkState.ATTEMPTED and not settled
    return Facts(local, mark, tuple(range(1, copies + 1)), (), ASKED, ends, upload_open=in_doubt)


def extras(copies: int) -> RemoveCopies:
    return RemoveCopies(tuple(range(2, copies + 1)), RemovalReason.EXTRA)


TABLE = [
    (U, (NONE, ATTEMPTED, AGREED), (0, 1, 2), (True, False), lambda f: (HoldCopies(f.copies, CLASS_UNREADABLE),)),
    (P, (NONE, ATTEMPTED), (0,), (True,), lambda f: (UploadSample(again=False),)),
    (P, (AGREED,), (0,), (True,), lambda f: (UploadSample(again=True),)),
    (P, (ATTEMPTED,), (0,), (False,), lambda f: (WaitUntil(ASKED + 1, confirmed=False),)),
    (P, (AGREED,), (0,), (False,), lambda f: (WaitUntil(ASKED + 1, confirmed=True),)),
    (P, (AGREED,), (1,), (True, False), lambda f: (Keep(),)),
    (P, (NONE, ATTEMPTED), (1,), (True, False), lambda f: (AdoptCopy(1),)),
    (P, (AGREED,), (2, 3), (True, False), lambda f: (Keep(), extras(len(f.copies)))),
    (P, (NONE,), (2, 3), (True, False), lambda f: (AdoptCopy(1), extras(len(f.copies)))),
    (P, (ATTEMPTED,), (2, 3), (True,), lambda f: (AdoptCopy(1), extras(len(f.copies)))),
    (P, (ATTEMPTED,), (2, 3), (False,), lambda f: (AdoptCopy(1), replace(extras(len(f.copies)), leaves_doubt=True))),
    (A, (NONE,), (0, 1, 2), (True, False), lambda f: (LeaveUnmanaged(),)),
    (A, (AGREED,), (1, 2), (True, False), lambda f: (RemoveCopies(f.copies, RemovalReason.ABSENT),)),
    (A, (ATTEMPTED,), (1, 2), (True,), lambda f: (RemoveCopies(f.copies, RemovalReason.ABSENT),)),
    (A, (ATTEMPTED,), (1, 2), (False,), lambda f: (RemoveCopies(f.copies, RemovalReason.ABSENT, leaves_doubt=True),)),
    (A, (ATTEMPTED, AGREED), (0,), (False,), lambda f: (KeepMark(),)),
    (A, (ATTEMPTED, AGREED), (0,), (True,), lambda f: (ForgetMark(),)),
]


def rows_of_table() -> Iterator[tuple[Facts, Callable[[Facts], tuple[Action, ...]]]]:
    for local, marks, copies, settled, expected in TABLE:
        for mark, number, is_settled in itertools.product(marks, copies, settled):
            yield facts(local, mark, number, is_settled), expected


def test_the_table_is_that_of_the_design() -> None:
    for row, expected in rows_of_table():
        assert decide(row) == expected(row), row


def test_the_table_has_one_row_for_each_combination() -> None:
    """Every mark, up to three copies, before and after the quarantine; none of it twice."""
    rows = [row for row, _ in rows_of_table()]
    assert len(rows) == len(set(rows))
    needed = {
        facts(local, mark, copies, settled)
        for local, mark in itertools.product((P, A, U), (NONE, ATTEMPTED, AGREED))
        for copies, settled in itertools.product(range(3), (True, False))
    }
    # Without a mark nothing was sent, so there is no quarantine.
    assert needed - set(rows) == {facts(P, NONE, 0, False)}


CIRCUMSTANCES = [
    (facts(P, NONE, 0, True)._replace(failed_before=True), (SkipFailed(),)),
    (facts(P, AGREED, 0, False)._replace(failed_before=True), (SkipFailed(),)),
    (facts(P, NONE, 0, True)._replace(title_questioned=True), (AskAboutTitle(),)),
    (facts(P, ATTEMPTED, 0, False)._replace(title_questioned=True), (WaitUntil(ASKED + 1, confirmed=False),)),
    (facts(P, AGREED, 1, True)._replace(title_questioned=True, failed_before=True), (Keep(),)),
    (
        facts(P, NONE, 0, True)._replace(misplaced=(9,)),
        (UploadSample(again=False), RemoveCopies((9,), RemovalReason.MISPLACED)),
    ),
    (facts(P, AGREED, 1, True)._replace(misplaced=(9,)), (Keep(), RemoveCopies((9,), RemovalReason.MISPLACED))),
    (facts(A, AGREED, 1, True)._replace(moved=True), (RemoveCopies((1,), RemovalReason.MOVED),)),
    (
        facts(A, AGREED, 1, True)._replace(moved=True, new_place_pending=True),
        (HoldCopies((1,), NEW_PLACE_PENDING),),
    ),
    (facts(A, AGREED, 0, True)._replace(moved=True, new_place_pending=True), (ForgetMark(),)),
    (facts(A, AGREED, 1, True)._replace(ignored=True), (RemoveCopies((1,), RemovalReason.IGNORED),)),
    (facts(A, AGREED, 1, True)._replace(held_out=True), (RemoveCopies((1,), RemovalReason.HELD_OUT),)),
    (facts(A, AGREED, 1, True)._replace(not_in_version=True), (RemoveCopies((1,), RemovalReason.NOT_IN_VERSION),)),
    (
        facts(A, AGREED, 1, True)._replace(not_in_version=True, moved=True, new_place_pending=True),
        (HoldCopies((1,), NEW_PLACE_PENDING),),
    ),
    (
        facts(A, AGREED, 1, True)._replace(other_recipe=True, moved=True),
        (RemoveCopies((1,), RemovalReason.RECONVERTED),),
    ),
    (
        facts(A, AGREED, 1, True)._replace(other_recipe=True, moved=True, is_loss=True, not_in_version=True),
        (RemoveCopies((1,), RemovalReason.RECONVERTED),),
    ),
    (
        facts(A, AGREED, 1, True)._replace(other_recipe=True, moved=True, new_place_pending=True),
        (HoldCopies((1,), NEW_RECIPE_PENDING),),
    ),
    # Of two copies the service has confirmed the removal of one: a view that lags shows it, under an id that may be
    # another client's by now.
    (
        facts(A, ATTEMPTED, 2, False)._replace(gone=(1,)),
        (RemoveCopies((2,), RemovalReason.ABSENT, leaves_doubt=True),),
    ),
    (facts(A, ATTEMPTED, 2, False)._replace(gone=(1, 2)), (HoldCopies((1, 2), SENT_AGAIN),)),
    (facts(A, ATTEMPTED, 2, False)._replace(gone=(1, 2), upload_open=False), (KeepMark(),)),
    (facts(A, ATTEMPTED, 2, True)._replace(gone=(1,)), (RemoveCopies((1, 2), RemovalReason.ABSENT),)),
    (facts(P, ATTEMPTED, 2, False)._replace(gone=(1,)), (AdoptCopy(2),)),
    (facts(P, ATTEMPTED, 1, False)._replace(gone=(1,)), (WaitUntil(ASKED + 1, confirmed=False),)),
    # A removed image was put back and sent again: what the view shows may be the copy that was removed.
    (facts(P, ATTEMPTED, 1, False)._replace(removed=(1,), gone=(1,)), (WaitUntil(ASKED + 1, confirmed=False),)),
    (facts(P, ATTEMPTED, 1, True)._replace(removed=(1,), gone=(1,)), (AdoptCopy(1),)),
    (facts(P, ATTEMPTED, 2, False)._replace(removed=(1,), gone=(1,)), (AdoptCopy(2),)),
]


@pytest.mark.parametrize(("row", "actions"), CIRCUMSTANCES)
def test_circumstances_beside_the_table(row: Facts, actions: tuple[Action, ...]) -> None:
    assert decide(row) == actions


@pytest.mark.parametrize(
    ("row", "secured"),
    [
        (facts(P, NONE, 0, True), True),
        (facts(P, AGREED, 1, True), True),
        (facts(P, ATTEMPTED, 1, True), True),
        (facts(P, AGREED, 0, False), True),
        (facts(P, ATTEMPTED, 0, False), False),
        (facts(P, NONE, 0, True)._replace(failed_before=True), False),
        (facts(P, NONE, 0, True)._replace(title_questioned=True), False),
    ],
)
def test_a_moved_image_is_secured_where_the_service_has_it_or_takes_it_first(row: Facts, secured: bool) -> None:
    assert secures_image(decide(row)) is secured


def removed(
    local: Presence,
    copies: tuple[int, ...],
    asked_after: float,
    ids: tuple[int, ...] = (5,),
    misplaced: tuple[int, ...] = (),
) -> Facts:
    """A sample whose ids 5 (or ``ids``) were removed; the view was asked for so many seconds after the confirmation."""
    at = ASKED - asked_after
    return Facts(local, REMOVED, copies, misplaced, ASKED, at + QUARANTINE, removed=ids, removed_at=at)


def waits_for_removal(seconds: float) -> WaitUntil:
    return WaitUntil(ASKED - seconds + QUARANTINE, confirmed=False, removed_for=seconds, removal=True)


def hold_for_problem(copies: tuple[int, ...]) -> HoldCopies:
    return HoldCopies(copies, "its file is there without a good image: empty")


UPLOAD_FIRST = UploadSample(again=False)
REMOVED_ROWS = [
    # Absent: what settles is an observation a quarantine after it: until then an older view may show the id again.
    (removed(A, (), 0.0), (KeepMark(),)),
    (removed(A, (), 1.0), (KeepMark(),)),
    (removed(A, (), QUARANTINE), (ForgetMark(),)),
    (removed(A, (), 1e6), (ForgetMark(),)),
    (removed(A, (), -1.0), (KeepMark(),)),
    (removed(A, (5,), 1.0), (KeepMark(),)),
    (removed(A, (5, 6), 1.0, ids=(5, 6)), (KeepMark(),)),
    # Another id is another client's, and so is the same one a quarantine later.
    (removed(A, (9,), 1.0), (LeaveUnmanaged((9,), MADE_AGAIN), KeepMark())),
    (removed(A, (9,), QUARANTINE), (LeaveUnmanaged((9,), MADE_AGAIN), ForgetMark())),
    (removed(A, (5, 9), 1.0), (LeaveUnmanaged((9,), MADE_AGAIN), KeepMark())),
    (removed(A, (5,), QUARANTINE), (LeaveUnmanaged((5,), MADE_AGAIN), ForgetMark())),
    (removed(A, (9,), -1.0), (KeepMark(),)),
    # Present again: sent at once when the removal is shown, and what was removed is no copy.
    (removed(P, (), 1.0), (UPLOAD_FIRST,)),
    (removed(P, (), -1.0), (waits_for_removal(-1.0),)),
    (removed(P, (5,), 12.0), (waits_for_removal(12.0),)),
    (removed(P, (5, 9), 12.0), (AdoptCopy(9),)),
    (removed(P, (9, 10), 12.0), (AdoptCopy(9), RemoveCopies((10,), RemovalReason.EXTRA))),
    (removed(P, (5,), QUARANTINE), (AdoptCopy(5),)),
    (removed(P, (), 12.0, misplaced=(5,)), (waits_for_removal(12.0),)),
    (removed(P, (), 12.0, misplaced=(9,)), (UPLOAD_FIRST, RemoveCopies((9,), RemovalReason.MISPLACED))),
    (removed(P, (), 1.0)._replace(failed_before=True), (SkipFailed(),)),
    (removed(P, (), 1.0)._replace(title_questioned=True), (AskAboutTitle(),)),
    (removed(U, (5,), 1.0), (HoldCopies((5,), CLASS_UNREADABLE),)),
    # An upload before the removal may still be carried out: another id is ours, and nothing is sent beside it.
    (removed(A, (9,), 1.0)._replace(upload_open=True), (RemoveCopies((9,), RemovalReason.ABSENT, leaves_doubt=True),)),
    (removed(A, (5,), 1.0)._replace(upload_open=True), (KeepMark(),)),
    (removed(A, (), 1.0)._replace(upload_open=True), (KeepMark(),)),
    (removed(P, (), 1.0)._replace(upload_open=True), (waits_for_removal(1.0),)),
]


@pytest.mark.parametrize(
    ("mark", "copies", "actions"),
    [
        (Mark("", "", ATTEMPTED, ASKED - QUARANTINE, "before", "", removed_ids=(5,)), (), ["forget"]),
        (Mark("", "", ATTEMPTED, ASKED - QUARANTINE, "before", "", removed_ids=(5,)), (9,), [9]),
        (Mark("", "", ATTEMPTED, ASKED - QUARANTINE + 1, "before", "", removed_ids=(5,)), (), []),
        # A time of another run is at most the start of this one; a late upload is waited for as ever.
        (Mark("", "", ATTEMPTED, ASKED + 500, "before", "", removed_ids=(5,)), (), []),
        (Mark("", "", ATTEMPTED, ASKED - QUARANTINE, "before", "", removed_ids=(5,), upload_open=True), (), []),
        (Mark("", "", ATTEMPTED, ASKED - QUARANTINE, "before", ""), (), []),
    ],
)
def test_a_removal_of_unknown_outcome_is_forgotten_once_a_quarantine_has_passed_whatever_was_restarted(
    mark: Mark, copies: tuple[int, ...], actions: list[int | str]
) -> None:
    uid = World().uid("Can/a")
    shown = tuple(RemoteSample(uid, number, 1, "Can") for number in copies)
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, (RemoteClass(1, "Can", len(copies)),), shown)
    mark = replace(mark, uid=uid, class_title="Can", path="Can/a.jpg")
    plan = make_plan([], [mark], observation, PlanContext("now", ASKED - 2, QUARANTINE))
    assert [one.sample_id for one in plan.removals] + ["forget" for _ in plan.forgets] == actions


@given(
    st.sampled_from([P, A]),
    st.sets(st.integers(1, 6)),
    st.sets(st.integers(1, 6), min_size=1),
    st.integers(-200, 200),
)
def test_what_others_made_again_is_never_removed(
    local: Presence, shown: set[int], ids: set[int], asked_after: int
) -> None:
    actions = decide(removed(local, tuple(sorted(shown)), asked_after, tuple(sorted(ids))))
    going = {one for action in actions if isinstance(action, RemoveCopies) for one in action.sample_ids}
    if local is A:
        assert not going, "nothing that is shown after a confirmed removal is ours"
        assert isinstance(actions[-1], ForgetMark) == (asked_after >= QUARANTINE)
    else:
        # Extras alone, and never the last copy.
        assert not shown or going < shown


UNSIZED = [
    # Converted before it is sent, and not yet: nothing is concluded from a sample that may have been made elsewhere.
    (facts(P, NONE, 0, True), (UPLOAD_FIRST,)),
    (facts(P, NONE, 1, True), (ConvertFirst(),)),
    (facts(P, NONE, 2, True), (ConvertFirst(),)),
    (facts(P, ATTEMPTED, 1, False), (ConvertFirst(),)),
    (facts(P, AGREED, 1, True), (Keep(),)),
    (facts(P, AGREED, 2, True), (ConvertFirst(),)),
    (facts(P, AGREED, 0, True)._replace(misplaced=(9,)), (ConvertFirst(),)),
    (facts(P, NONE, 1, True)._replace(failed_before=True), (SkipFailed(),)),
]


@pytest.mark.parametrize(("row", "actions"), UNSIZED)
def test_an_image_whose_size_is_not_known_is_converted_before_a_sample_counts_as_its_own(
    row: Facts, actions: tuple[Action, ...]
) -> None:
    assert decide(row._replace(size_unknown=True)) == actions
    assert not secures_image((ConvertFirst(),))


@pytest.mark.parametrize(
    ("wait", "reason"),
    [
        (WaitUntil(0.0, confirmed=True), "confirmed by the service, not shown by it yet"),
        (WaitUntil(0.0, confirmed=False), "sent, its outcome is unknown"),
        (WaitUntil(0.0, confirmed=False, removal=True), "its removal was sent, the outcome is unknown"),
        (waits_for_removal(12.4), "removed 12 s ago; waiting until the service shows it"),
    ],
)
def test_a_wait_says_what_is_waited_for(wait: WaitUntil, reason: str) -> None:
    assert wait.reason == reason
    assert wait.ends_when_shown == (wait.confirmed or wait.removed_for is not None)


FORGED = LeaveUnmanaged((9,), OTHER_SIZE)
OTHER_SIZES = [
    (facts(P, NONE, 0, True)._replace(copies=(9,)), (UPLOAD_FIRST, FORGED)),
    (facts(P, NONE, 0, True)._replace(copies=(9, 10)), (AdoptCopy(10), FORGED)),
    (facts(P, ATTEMPTED, 0, False)._replace(copies=(9,)), (WaitUntil(ASKED + 1, confirmed=False), FORGED)),
    (facts(P, ATTEMPTED, 0, True)._replace(copies=(9,)), (UPLOAD_FIRST, FORGED)),
    (facts(P, NONE, 0, True)._replace(misplaced=(9,)), (UPLOAD_FIRST, FORGED)),
    (facts(P, AGREED, 0, True)._replace(copies=(5, 9)), (Keep(), FORGED)),
    (
        facts(P, AGREED, 0, True)._replace(copies=(5, 6, 9)),
        (Keep(), RemoveCopies((6,), RemovalReason.EXTRA), FORGED),
    ),
    # What was confirmed and is shown with another size alone: the service may change images.
    (facts(P, AGREED, 0, True)._replace(copies=(9,)), (Keep(),)),
    (facts(P, AGREED, 0, True)._replace(copies=(8, 9), other_size=(8, 9)), (Keep(), FORGED)),
    (facts(P, AGREED, 0, True)._replace(misplaced=(9,)), (UploadSample(again=True), FORGED)),
    (facts(A, AGREED, 0, True)._replace(copies=(9,)), (ForgetMark(), FORGED)),
    (facts(A, ATTEMPTED, 0, False)._replace(copies=(9,)), (KeepMark(), FORGED)),
    (facts(A, AGREED, 0, True)._replace(copies=(5, 9)), (RemoveCopies((5,), RemovalReason.ABSENT), FORGED)),
    (facts(A, AGREED, 0, True)._replace(copies=(5, 9), file_problem="empty"), (hold_for_problem((5,)), FORGED)),
    (facts(A, NONE, 0, True)._replace(copies=(9,)), (LeaveUnmanaged(),)),
    (removed(A, (9,), 1.0), (KeepMark(), FORGED)),
    (removed(P, (5, 9), 12.0), (waits_for_removal(12.0), FORGED)),
]


@pytest.mark.parametrize(("row", "actions"), OTHER_SIZES)
def test_a_sample_of_another_size_is_not_ours(row: Facts, actions: tuple[Action, ...]) -> None:
    assert decide(row if row.other_size else row._replace(other_size=(9,))) == actions


@given(
    st.sampled_from([P, A]),
    st.sampled_from([NONE, ATTEMPTED, AGREED, REMOVED]),
    st.sets(st.integers(1, 6)),
    st.sets(st.integers(1, 6)),
    st.booleans(),
)
def test_no_sample_of_another_size_is_removed(
    local: Presence, mark: MarkState | None, copies: set[int], other: set[int], settled: bool
) -> None:
    shown = copies & other
    row = facts(local, mark, 0, settled)._replace(copies=tuple(sorted(copies)), other_size=tuple(sorted(shown)))
    actions = decide(row)
    going = {one for action in actions if isinstance(action, RemoveCopies) for one in action.sample_ids}
    adopted = {action.sample_id for action in actions if isinstance(action, AdoptCopy)}
    assert not (going | adopted) & shown


class World:
    """Three sides, written the short way: ``"Can/a"`` is image a in class Can."""

    def __init__(self) -> None:
        self.local: list[LocalSample] = []
        self.marks: list[Mark] = []
        self.remote: list[RemoteSample] = []
        self.ids = itertools.count(100)
        self.classes: dict[str, int] = {}

    def uid(self, name: str) -> str:
        title, image = name.split("/")
        return make_uid(format(ord(image), "x") * 16, make_scope(MODEL, title))

    def has(self, *names: str) -> "World":
        self.local += [LocalSample(self.uid(n), n.split("/")[0], (f"{n}.jpg",), 10) for n in names]
        return self

    def marked(self, state: MarkState, *names: str, sent_at: float | None = 0.0, run: str = "now") -> "World":
        self.marks += [Mark(self.uid(n), n.split("/")[0], state, sent_at, run, f"{n}.jpg") for n in names]
        return self

    def agreed(self, *names: str) -> "World":
        return self.marked(AGREED, *names)

    def shows(self, *names: str, under: str | None = None) -> "World":
        for name in names:
            title = under or name.split("/")[0]
            class_id = self.classes.setdefault(title, len(self.classes) + 1)
            self.remote.append(RemoteSample(self.uid(name), next(self.ids), class_id, title))
        return self

    def plan(self, **terms: object) -> Plan:
        def by_uid(items: Iterable) -> list:
            return sorted(items, key=lambda item: (item.uid, getattr(item, "sample_id", 0)))

        classes = tuple(
            RemoteClass(class_id, title, sum(s.class_id == class_id for s in self.remote))
            for title, class_id in self.classes.items()
        )
        observation = Observation(ModelInfo(MODEL, "m"), ASKED, classes, tuple(by_uid(self.remote)))
        given_terms = {"run": "now", "run_started": 0.0, "quarantine": QUARANTINE, **terms}
        return make_plan(by_uid(self.local), by_uid(self.marks), observation, PlanContext(**given_terms))


def story(plan: Plan) -> list[str]:
    """A plan as short sentences, in the order of apply."""
    return [
        *(f"adopt {a.path}" for a in plan.adopts),
        *(f"upload {u.path}" for u in plan.uploads),
        *(f"remove {r.path} #{r.sample_id}: {r.why.name}" for r in plan.removals),
        *(f"remove class {c.class_title}: {len(c.samples)}" for c in plan.class_removals),
        *(f"forget {uid[:2]}" for uid in plan.forgets),
        *(f"wait {w.class_title} until {w.until:g}" for w in plan.waiting),
        *(f"held {h.class_title}: {h.reason}" for h in plan.held),
        *(f"blocked {b.path}" for b in plan.failed_before),
    ]


def test_a_new_file_is_uploaded():
    plan = World().has("Can/a").plan()
    assert story(plan) == ["upload Can/a.jpg"]
    assert plan.requests == 1
    assert not plan.in_sync


def test_equal_sides_need_nothing():
    plan = World().has("Can/a").agreed("Can/a").shows("Can/a").plan()
    assert story(plan) == []
    assert plan.in_sync
    assert plan.requests == 0


def test_a_file_that_is_gone_is_removed_by_its_id():
    assert story(World().agreed("Can/a").shows("Can/a").has("Can/b").plan())[-1] == "remove Can/a.jpg #100: ABSENT"


def test_a_sample_made_elsewhere_is_left():
    plan = World().shows("Can/a").plan()
    assert story(plan) == []
    assert [sample.sample_id for sample in plan.unmanaged] == [100]
    assert plan.in_sync


def test_a_lost_journal_costs_adoptions_and_no_request():
    plan = World().has("Can/a", "Can/b").shows("Can/a", "Can/b").plan()
    assert story(plan) == ["adopt Can/a.jpg", "adopt Can/b.jpg"]
    assert plan.requests == 0


def test_a_move_is_one_upload_and_one_removal():
    plan = World().has("Bottle/a").agreed("Can/a").shows("Can/a").plan()
    assert story(plan) == ["upload Bottle/a.jpg", "remove Can/a.jpg #100: MOVED"]
    assert uploads_before(plan.removals[0], uploads_by_content(plan.uploads)) == [plan.uploads[0].uid]


@pytest.mark.parametrize("why", [why for why in RemovalReason if why.name not in ("EXTRA", "MISPLACED")])
def test_no_place_of_an_image_is_given_up_before_another_one_is_secured(why: RemovalReason) -> None:
    world = World().has("Bottle/a").agreed("Can/a").shows("Can/a")
    plan = world.plan()
    removal = replace(plan.removals[0], why=why)
    assert uploads_before(removal, uploads_by_content(plan.uploads)) == [world.uid("Bottle/a")]


def test_an_extra_copy_waits_for_no_other_place() -> None:
    plan = World().has("Bottle/a").agreed("Can/a").shows("Can/a").plan()
    removal = replace(plan.removals[0], why=RemovalReason.EXTRA)
    assert uploads_before(removal, uploads_by_content(plan.uploads)) == []


@pytest.mark.parametrize(
    ("mark", "in_doubt"),
    [
        (Mark("", "", ATTEMPTED, ASKED - 1, "now", ""), True),
        (Mark("", "", ATTEMPTED, ASKED - QUARANTINE, "now", ""), False),
        (Mark("", "", ATTEMPTED, ASKED - 1, "now", "", removed_ids=(7,)), False),
        (Mark("", "", ATTEMPTED, ASKED - 1, "now", "", removed_ids=(7,), upload_open=True), True),
        # A restart does not prolong the doubt; a time of another run is at most the start of this one.
        (Mark("", "", ATTEMPTED, ASKED - QUARANTINE, "before", ""), False),
        (Mark("", "", ATTEMPTED, ASKED + 500, "before", ""), True),
        (Mark("", "", AGREED, ASKED - 1, "now", ""), False),
        (Mark("", "", REMOVED, ASKED - 1, "now", "", removed_ids=(7,), upload_open=True), True),
    ],
)
def test_a_removal_leaves_doubt_where_an_upload_may_still_be_carried_out(mark: Mark, in_doubt: bool) -> None:
    uid = World().uid("Can/a")
    shown = (RemoteSample(uid, 1, 1, "Can"),)
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, (RemoteClass(1, "Can", 1),), shown)
    mark = replace(mark, uid=uid, class_title="Can", path="Can/a.jpg")
    (removal,) = make_plan([], [mark], observation, PlanContext("now", ASKED - 2, QUARANTINE)).removals
    assert removal.leaves_doubt is in_doubt


def test_a_moved_sample_keeps_its_old_place_while_the_new_one_is_doubtful():
    world = World().has("Bottle/a").marked(ATTEMPTED, "Bottle/a", sent_at=ASKED - 1).agreed("Can/a").shows("Can/a")
    assert story(world.plan()) == [
        f"wait Bottle until {ASKED - 1 + QUARANTINE:g}",
        "held Can: its new place is not confirmed yet",
    ]


def test_a_moved_sample_keeps_its_old_place_while_the_new_one_is_refused():
    world = World().has("Bottle/a").agreed("Can/a").shows("Can/a")
    plan = world.plan(failed_before={world.uid("Bottle/a")})
    assert story(plan) == ["held Can: its new place is not confirmed yet", "blocked Bottle/a.jpg"]


def test_extra_copies_go_and_the_lowest_id_stays():
    plan = World().has("Can/a").agreed("Can/a").shows("Can/a", "Can/a", "Can/a").plan()
    assert story(plan) == ["remove Can/a.jpg #101: EXTRA", "remove Can/a.jpg #102: EXTRA"]


def test_a_misplaced_sample_is_an_extra_and_not_a_copy():
    plan = World().has("Can/a").agreed("Can/a").shows("Can/a", under="Bottle").plan()
    assert story(plan) == ["upload Can/a.jpg", "remove Can/a.jpg #100: MISPLACED"]
    assert uploads_before(plan.removals[0], uploads_by_content(plan.uploads)) == [plan.uploads[0].uid]


@pytest.mark.parametrize("shown", ["can", " Can ", "CAN", "Ca\N{LATIN SMALL LETTER N}"])
def test_a_title_the_service_folded_is_in_place(shown):
    assert World().has("Can/a").agreed("Can/a").shows("Can/a", under=shown).plan().in_sync


def test_a_class_title_in_another_unicode_form_is_in_place():
    world = World().has("Caf\u00e9/a").agreed("Caf\u00e9/a").shows("Caf\u00e9/a", under="Cafe\u0301")
    assert world.plan().in_sync


@pytest.mark.parametrize("state", [ATTEMPTED, AGREED])
def test_nothing_is_sent_again_within_the_quarantine(state):
    world = World().has("Can/a").marked(state, "Can/a", sent_at=ASKED - QUARANTINE + 1)
    assert story(world.plan()) == [f"wait Can until {ASKED + 1:g}"]


def test_the_view_counts_from_when_it_was_asked_for_not_from_now():
    world = World().has("Can/a").marked(ATTEMPTED, "Can/a", sent_at=ASKED - QUARANTINE)
    assert story(world.plan()) == ["upload Can/a.jpg"]


def test_a_restart_begins_the_quarantine_of_an_attempt_again():
    world = World().has("Can/a").marked(ATTEMPTED, "Can/a", sent_at=0.0, run="before")
    assert story(world.plan(run_started=ASKED - 5)) == [f"wait Can until {ASKED - 5 + QUARANTINE:g}"]


def test_a_restart_does_not_make_an_agreed_sample_wait():
    world = World().has("Can/a").marked(AGREED, "Can/a", sent_at=0.0, run="before")
    assert story(world.plan(run_started=ASKED - 5)) == ["upload Can/a.jpg"]


def test_a_time_from_a_clock_that_was_ahead_does_not_wait_for_ever():
    world = World().has("Can/a").marked(AGREED, "Can/a", sent_at=ASKED * 9, run="before")
    assert story(world.plan(run_started=ASKED - QUARANTINE)) == ["upload Can/a.jpg"]


@pytest.mark.parametrize("unreadable", [Unreadable(everything=True), Unreadable(classes=frozenset({"Can"}))])
def test_what_could_not_be_read_is_not_absent(unreadable):
    plan = World().agreed("Can/a").shows("Can/a").plan(unreadable=unreadable)
    assert story(plan) == ["held Can: part of its class could not be read"]
    assert not plan.in_sync


def test_an_unreadable_class_holds_nothing_else():
    plan = World().agreed("Can/a").shows("Can/a").plan(unreadable=Unreadable(classes=frozenset({"Bottle"})))
    assert story(plan) == ["remove Can/a.jpg #100: ABSENT"]


def test_a_gone_sample_that_the_service_no_longer_shows_is_forgotten_after_the_quarantine():
    assert story(World().marked(ATTEMPTED, "Can/a", sent_at=ASKED - 1).plan()) == []
    assert story(World().marked(ATTEMPTED, "Can/a", sent_at=ASKED - QUARANTINE).plan()) == ["forget 61"]


def test_a_sample_that_failed_for_good_is_not_tried_again():
    world = World().has("Can/a")
    plan = world.plan(failed_before={world.uid("Can/a")})
    assert story(plan) == ["blocked Can/a.jpg"]
    assert plan.requests == 0
    assert not plan.in_sync


def test_a_whole_class_goes_by_one_removal_when_that_saves_requests():
    gone = ["Can/a", "Can/b", "Can/c"]
    plan = World().has("Bottle/d").agreed("Bottle/d", *gone).shows("Bottle/d", *gone).plan()
    assert story(plan) == ["remove class Can: 3"]
    assert plan.requests == CLASS_REMOVE_COST
    assert len(World().agreed(*gone).shows(*gone).plan(class_remove=False).removals) == 3


def test_a_class_of_two_is_not_worth_a_view():
    gone = ["Can/a", "Can/b"]
    assert len(World().agreed(*gone).shows(*gone).plan().removals) == 2


def test_a_class_with_something_unmanaged_is_never_removed_whole():
    gone = ["Can/a", "Can/b", "Can/c"]
    plan = World().agreed(*gone).shows(*gone, "Can/z").plan()
    assert not plan.class_removals
    assert len(plan.removals) == 3


def test_a_class_that_gets_an_upload_is_not_removed_whole():
    gone = ["Can/a", "Can/b", "Can/c"]
    plan = World().has("Can/d").agreed(*gone).shows(*gone).plan()
    assert not plan.class_removals


def test_a_class_that_may_still_get_a_sample_is_not_removed_whole():
    gone = ["Can/a", "Can/b", "Can/c"]
    world = World().has("Can/d").marked(ATTEMPTED, "Can/d", sent_at=ASKED).agreed(*gone).shows(*gone)
    assert not world.plan().class_removals


def test_the_first_upload_is_probed_when_nothing_shows_that_uids_are_kept():
    assert World().has("Can/a", "Can/b").plan(uids_proven=False).requests == 3
    assert World().has("Can/a").plan(uids_proven=False).requests == 2
    seen = World().has("Can/a", "Can/b", "Can/c").agreed("Can/a").shows("Can/a")
    assert seen.plan(uids_proven=False).requests == 2


def test_the_same_image_in_two_classes_is_two_samples():
    assert story(World().has("Can/a", "Bottle/a").plan()) == ["upload Bottle/a.jpg", "upload Can/a.jpg"]


NAMES = [f"{title}/{image}" for title in ("Can", "Bottle") for image in "abcd"]
SUBSET = st.sets(st.sampled_from(NAMES))


@given(local=SUBSET, agreed=SUBSET, shown=st.lists(st.sampled_from(NAMES), max_size=12), whole=st.booleans())
def test_applying_a_plan_makes_the_service_equal_and_nothing_unmanaged_goes(local, agreed, shown, whole):
    world = World().has(*local).agreed(*agreed).shows(*shown)
    plan = world.plan(class_remove=whole)
    removed = {removal.sample_id for removal in plan.removed}
    assert len(removed) == len(plan.removed)
    after = [sample.uid for sample in world.remote if sample.sample_id not in removed]
    after += [upload.uid for upload in plan.uploads]
    unmanaged = sorted(world.uid(name) for name in shown if name not in local and name not in agreed)
    assert sorted(after) == sorted([*(world.uid(name) for name in local), *unmanaged])
    assert [sample.uid for sample in plan.unmanaged] == unmanaged


def fewest(world: World, plan: Plan) -> int:
    """The length of the shortest sequence of documented calls that reaches what the plan reaches: every subset of
    classes removed whole (a view and a removal each), the rest removed and uploaded one by one."""
    removed = {removal.sample_id for removal in plan.removed}
    per_class: dict[int, set[int]] = {}
    for sample in world.remote:
        per_class.setdefault(sample.class_id, set()).add(sample.sample_id)
    best = len(plan.uploads) + len(removed)
    for number in range(1, len(per_class) + 1):
        for chosen in itertools.combinations(per_class, number):
            covered = set().union(*(per_class[class_id] for class_id in chosen))
            if covered <= removed:
                cost = len(plan.uploads) + CLASS_REMOVE_COST * number + len(removed - covered)
                best = min(best, cost)
    return best


@given(local=SUBSET, agreed=SUBSET, shown=st.lists(st.sampled_from(NAMES), max_size=12))
def test_no_correct_sequence_of_calls_is_shorter_than_the_plan(local, agreed, shown):
    world = World().has(*local).agreed(*agreed).shows(*shown)
    plan = world.plan()
    uploading = {upload.class_title for upload in plan.uploads}
    # A class that is uploaded to in the same plan cannot be removed whole: uploads go first.
    if not any(class_id for title, class_id in world.classes.items() if title in uploading):
        assert plan.requests == fewest(world, plan)
    else:
        assert plan.requests <= len(plan.uploads) + len(plan.removed)


def test_a_side_that_is_not_sorted_is_an_error_and_not_an_absence():
    world = World().has("Can/a", "Can/b")
    world.local.sort(key=lambda sample: sample.uid, reverse=True)
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, (), ())
    with pytest.raises(ValueError, match="not sorted"):
        make_plan(world.local * 2, [], observation, PlanContext("now", 0.0, QUARANTINE))


def test_why_is_readable():
    assert all(why.value for why in RemovalReason)


def test_an_ignored_file_is_distinguished_from_a_missing_one():
    world = World().agreed("Can/a", "Can/b").shows("Can/a", "Can/b").has("Can/c").agreed("Can/c").shows("Can/c")
    plan = world.plan(ignored=lambda path: path == "Can/a.jpg")
    assert story(plan) == ["remove Can/a.jpg #100: IGNORED", "remove Can/b.jpg #101: ABSENT"]


def test_what_split_has_moved_is_distinguished_from_a_missing_file():
    world = World().agreed("Can/a", "Can/b").shows("Can/a", "Can/b").has("Can/c").agreed("Can/c").shows("Can/c")
    held_out = {upload.uid for upload in World().has("Can/a").plan().uploads}
    plan = world.plan(held_out=held_out.__contains__)
    assert story(plan) == ["remove Can/a.jpg #100: HELD_OUT", "remove Can/b.jpg #101: ABSENT"]


def test_uploads_into_a_class_that_is_asked_about_wait_and_what_moves_there_stays_in_its_old_place():
    plan = World().has("Cna/a", "Can/b").agreed("Can/a").shows("Can/a").plan(questioned_titles={"Cna"})
    assert story(plan) == ["upload Can/b.jpg", "held Can: its new place is not confirmed yet"]
    assert [upload.path for upload in plan.questioned] == ["Cna/a.jpg"]
    assert not plan.in_sync


def test_a_file_that_is_there_without_a_good_image_holds_its_sample() -> None:
    empty = {"Can/a.jpg": FileAt(problem="empty file")}
    plan = World().agreed("Can/a").shows("Can/a").plan(file_at=empty.get)
    assert story(plan) == ["held Can: its file is there without a good image: empty file"]
    assert not plan.in_sync


@pytest.mark.parametrize("state", [ATTEMPTED, AGREED])
def test_its_mark_is_kept_as_well_until_the_path_is_free(state: MarkState) -> None:
    empty = {"Can/a.jpg": FileAt(problem="empty file")}
    assert story(World().marked(state, "Can/a").plan(file_at=empty.get)) == []
    assert story(World().marked(state, "Can/a").plan()) == ["forget 61"]


def test_a_copy_in_another_class_does_not_make_a_broken_file_absent() -> None:
    empty = {"Can/a.jpg": FileAt(problem="empty file")}
    plan = World().has("Jar/a").agreed("Can/a", "Jar/a").shows("Can/a", "Jar/a").plan(file_at=empty.get)
    assert story(plan) == ["held Can: its file is there without a good image: empty file"]


def replaced(world: World) -> dict[str, FileAt]:
    """Image b is now under the file name of image a."""
    return {"Can/a.jpg": FileAt(content=world.uid("Can/b")[:32])}


def test_a_replaced_image_is_removed_after_its_replacement_is_uploaded() -> None:
    world = World().has("Can/b").agreed("Can/a").shows("Can/a")
    plan = world.plan(file_at=replaced(world).get)
    assert story(plan) == ["upload Can/b.jpg", "remove Can/a.jpg #100: REPLACED"]
    (removal,) = plan.removals
    assert uploads_before(removal, uploads_by_content(plan.uploads)) == [world.uid("Can/b")]


def test_a_replaced_image_is_removed_where_its_replacement_is_on_the_service() -> None:
    world = World().has("Can/b").agreed("Can/a", "Can/b").shows("Can/a", "Can/b")
    plan = world.plan(file_at=replaced(world).get)
    assert story(plan) == ["remove Can/a.jpg #100: REPLACED"]
    assert uploads_before(plan.removals[0], uploads_by_content(plan.uploads)) == []


def test_a_moved_image_that_is_replaced_waits_for_both() -> None:
    world = World().has("Jar/a", "Can/b").agreed("Can/a").shows("Can/a")
    plan = world.plan(file_at=replaced(world).get)
    assert story(plan) == ["upload Can/b.jpg", "upload Jar/a.jpg", "remove Can/a.jpg #100: MOVED"]
    before = uploads_before(plan.removals[0], uploads_by_content(plan.uploads))
    assert set(before) == {world.uid("Jar/a"), world.uid("Can/b")}


@pytest.mark.parametrize(
    ("mark", "terms", "reason"),
    [
        (None, {"failed_before": "b"}, "the image that replaces it failed before"),
        (None, {"questioned_titles": {"Can"}}, "the class of the image that replaces it is not confirmed"),
        (ATTEMPTED, {}, "the image that replaces it is not confirmed yet"),
    ],
)
def test_a_replaced_image_stays_while_its_replacement_is_not_sent(mark, terms, reason) -> None:
    world = World().has("Can/b").agreed("Can/a").shows("Can/a")
    if mark is not None:
        world.marked(mark, "Can/b", sent_at=ASKED - 1)
    if "failed_before" in terms:
        terms = {"failed_before": {world.uid("Can/b")}}
    plan = world.plan(file_at=replaced(world).get, **terms)
    assert [(held.path, held.reason) for held in plan.held] == [("Can/a.jpg", reason)]
    assert not plan.removals


def test_what_a_version_lacks_is_removed_whatever_is_at_its_path() -> None:
    empty = {"Can/a.jpg": FileAt(problem="empty file")}
    plan = World().agreed("Can/a").shows("Can/a").plan(file_at=empty.get, is_version=True)
    assert story(plan) == ["remove Can/a.jpg #100: NOT_IN_VERSION"]


@pytest.mark.parametrize("row", [row for row, _ in rows_of_table()])
def test_no_action_removes_what_is_unproven_and_the_others_are_removed_as_before(row: Facts) -> None:
    row = row._replace(misplaced=(98, 99) if row.local is Presence.PRESENT else ())
    usual = [one for action in decide(row) if isinstance(action, RemoveCopies) for one in action.sample_ids]
    for unproven in ((), row.copies[:1], row.copies[-1:], (99,), (*row.copies, *row.misplaced)):
        actions = decide(row._replace(unproven=unproven))
        removed = [one for action in actions if isinstance(action, RemoveCopies) for one in action.sample_ids]
        kept = [one for action in actions if isinstance(action, HoldCopies) for one in action.sample_ids]
        kept += [one for action in actions if isinstance(action, LeaveUnmanaged) for one in action.sample_ids or ()]
        assert not set(removed) & set(unproven)
        # One copy stays where some would go as extras: a proven one, if there is any.
        proven = [one for one in (*row.copies, *row.misplaced) if one not in unproven]
        assert len(proven) - len(removed) <= max(1, len(row.copies + row.misplaced) - len(usual))
        if usual:
            assert set(kept) | set(removed) >= set(usual) - set(proven)


def test_an_adopted_sample_is_held_and_another_under_its_id_is_not():
    world = World().agreed("Can/a").shows("Can/a")
    for is_certain in (True, False):
        (pair,) = find_unproven([Adopted(100, "IMG", "Can", world.uid("Can/a"), is_certain=is_certain)])
    assert story(world.plan(unproven={pair})) == [f"held Can: {UNPROVEN}"]
    assert story(world.plan(unproven={(100, "another uid")})) == ["remove Can/a.jpg #100: ABSENT"]


def test_of_an_adopted_sample_and_one_that_was_sent_none_is_removed_and_the_sent_one_counts():
    copies = World().has("Can/a").agreed("Can/a").shows("Can/a", "Can/a")
    for adopted in (100, 101):
        plan = copies.plan(unproven={(adopted, copies.uid("Can/a"))})
        assert story(plan) == []
        assert plan.unmanaged_reasons == {adopted: ADOPTED_TWICE}
        assert plan.in_sync
    new = World().has("Can/a").shows("Can/a", "Can/a")
    (adopt,) = new.plan(unproven={(100, new.uid("Can/a"))}).adopts
    assert adopt.sample_id == 101
    misplaced = World().has("Can/a").agreed("Can/a").shows("Can/a").shows("Can/a", under="Jar")
    assert story(misplaced.plan(unproven={(101, misplaced.uid("Can/a"))})) == []


def removed_in_part(local: Presence, seconds: float) -> Facts:
    """An agreed sample, id 5, of which the service removed the copy 9 so many seconds before a view that shows both."""
    end = ASKED - seconds + QUARANTINE
    return Facts(local, AGREED, (5, 9), (), ASKED, end, removed=(9,))


@pytest.mark.parametrize(
    ("row", "actions"),
    [
        (removed_in_part(P, 3.0), (Keep(),)),
        (removed_in_part(P, QUARANTINE), (Keep(), RemoveCopies((9,), RemovalReason.EXTRA))),
        (removed_in_part(A, 3.0), (RemoveCopies((5,), RemovalReason.ABSENT),)),
        (removed_in_part(A, QUARANTINE), (RemoveCopies((5, 9), RemovalReason.ABSENT),)),
    ],
)
def test_a_copy_that_was_removed_is_not_removed_again_while_the_view_may_lag(row: Facts, actions: tuple) -> None:
    assert decide(row) == actions


def removal_in_doubt(seconds: float, copies: tuple[int, ...], asked: tuple[int, ...] = (5,)) -> Facts:
    """A sample that is in the store again, and whose removal was sent so many seconds before a view; the outcome is
    unknown. ``asked`` are the sample ids that it named."""
    return Facts(P, ATTEMPTED, copies, (), ASKED, ASKED - seconds + QUARANTINE, removed=asked)


@pytest.mark.parametrize(
    ("row", "actions"),
    [
        (removal_in_doubt(3.0, (5,)), (WaitUntil(ASKED - 3.0 + QUARANTINE, confirmed=False, removal=True),)),
        (removal_in_doubt(3.0, ()), (WaitUntil(ASKED - 3.0 + QUARANTINE, confirmed=False, removal=True),)),
        (removal_in_doubt(QUARANTINE, (5,)), (AdoptCopy(5),)),
        (removal_in_doubt(QUARANTINE, ()), (UploadSample(again=False),)),
        # Another copy stays in its place, also where it has the higher id.
        (removal_in_doubt(3.0, (5, 9)), (AdoptCopy(9), RemoveCopies((5,), RemovalReason.EXTRA))),
        (removal_in_doubt(3.0, (5, 9), (9,)), (AdoptCopy(5), RemoveCopies((9,), RemovalReason.EXTRA))),
        (removal_in_doubt(QUARANTINE, (5, 9)), (AdoptCopy(5), RemoveCopies((9,), RemovalReason.EXTRA))),
    ],
)
def test_what_may_be_removed_yet_is_not_taken_for_the_copy_that_stays(row: Facts, actions: tuple[Action, ...]) -> None:
    """The view may be older than the removal, or the removal be carried out after it."""
    assert decide(row) == actions


def test_an_image_that_was_in_two_classes_did_not_move_when_one_of_them_loses_it() -> None:
    both = World().has("Jar/a").shows("Can/a", "Jar/a").marked(AGREED, "Can/a", sent_at=100.0)
    plan = both.marked(AGREED, "Jar/a", sent_at=100.5).plan()
    assert story(plan) == ["remove Can/a.jpg #100: DUPLICATE"]


def test_an_image_that_came_to_another_class_later_moved() -> None:
    world = World().has("Jar/a").shows("Can/a", "Jar/a").marked(AGREED, "Can/a", sent_at=100.0)
    assert story(world.marked(AGREED, "Jar/a", sent_at=200.0).plan()) == ["remove Can/a.jpg #100: MOVED"]


def test_a_file_overwritten_with_an_image_that_another_file_has_is_a_loss() -> None:
    world = World().has("Can/b").agreed("Can/a", "Can/b").shows("Can/a", "Can/b")
    same = {"Can/a.jpg": FileAt(content=world.uid("Can/b")[:32], is_edit=False)}
    assert story(world.plan(file_at=same.get)) == ["remove Can/a.jpg #100: OVERWRITTEN"]


def test_a_sample_of_another_size_is_left_and_ours_is_kept() -> None:
    world = World().has("Can/a", "Can/b")
    uid = world.uid("Can/a")
    remote = (RemoteSample(uid, 1, 1, "Can", 0.00001), RemoteSample(uid, 2, 1, "Can", 5.0))
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, (RemoteClass(1, "Can", 2),), remote, size_decimals=6)
    mark = Mark(uid, "Can", AGREED, 0.0, "now", "Can/a.jpg")
    for known, unproven in ((None, True), (True, False)):
        context = PlanContext("now", 0.0, QUARANTINE, shows_sizes=lambda known=known: known)
        plan = make_plan(world.local, [mark], observation, context)
        assert [sample.sample_id for sample in plan.unmanaged] == [2]
        assert plan.unmanaged_reasons == {2: OTHER_SIZE}
        assert (story(plan), plan.sizes_unproven) == (["upload Can/b.jpg"], unproven)


def test_a_plan_converts_and_waits_for_another_observation() -> None:
    world = World().has("Can/a")
    remote = (RemoteSample(world.uid("Can/a"), 1, 1, "Can", 5.0),)
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, (RemoteClass(1, "Can", 1),), remote, size_decimals=6)
    for shows_sizes in (True, None, False):
        context = PlanContext(
            "now", 0.0, QUARANTINE, sent_size_of=lambda *_: None, shows_sizes=lambda known=shows_sizes: known
        )
        plan = make_plan(world.local, [], observation, context)
        if shows_sizes is False:
            assert len(plan.adopts) == 1 and not plan.conversions, "where sizes decide nothing"
        else:
            assert [one.path for one in plan.conversions] == ["Can/a.jpg"]
            assert [one.reason for one in plan.waiting] == [CONVERTED_FIRST] and not plan.adopts and not plan.in_sync


def test_a_forged_sample_in_its_place_is_left_where_ours_is_in_another_class() -> None:
    world = World().has("Can/a")
    uid = world.uid("Can/a")
    remote = (RemoteSample(uid, 1, 1, "Can", 5.0), RemoteSample(uid, 2, 2, "Jar", 0.00001))
    classes = (RemoteClass(1, "Can", 1), RemoteClass(2, "Jar", 1))
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, classes, remote, size_decimals=6)
    mark = Mark(uid, "Can", AGREED, 0.0, "now", "Can/a.jpg")
    plan = make_plan(world.local, [mark], observation, PlanContext("now", 0.0, QUARANTINE, shows_sizes=lambda: True))
    assert story(plan) == ["upload Can/a.jpg", "remove Can/a.jpg #2: MISPLACED"]
    assert [sample.sample_id for sample in plan.unmanaged] == [1]


def test_the_size_of_a_moved_image_is_that_in_the_store_where_the_backup_is_damaged() -> None:
    world = World().has("Jar/a")
    uid = world.uid("Can/a")
    remote = (RemoteSample(uid, 1, 1, "Can", 0.00001), RemoteSample(uid, 2, 1, "Can", 5.0))
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, (RemoteClass(1, "Can", 2),), remote, size_decimals=6)
    mark = Mark(uid, "Can", AGREED, 0.0, "now", "Can/a.jpg")
    context = PlanContext("now", 0.0, QUARANTINE, shows_sizes=lambda: True, is_intact=lambda _: False)
    plan = make_plan(world.local, [mark], observation, context)
    assert [removal.sample_id for removal in plan.removed] == [1]
    assert [sample.sample_id for sample in plan.unmanaged] == [2]


def test_the_size_of_a_damaged_backup_says_nothing_of_a_sample() -> None:
    world = World()
    uid = world.uid("Can/a")
    remote = (RemoteSample(uid, 1, 1, "Can", 5.0),)
    observation = Observation(ModelInfo(MODEL, "m"), ASKED, (RemoteClass(1, "Can", 1),), remote, size_decimals=6)
    mark = Mark(uid, "Can", AGREED, 0.0, "now", "Can/a.jpg")
    terms = {"size_of": lambda *_: 10, "shows_sizes": lambda: True}
    for intact, removed_ids in ((True, []), (False, [1])):
        context = PlanContext("now", 0.0, QUARANTINE, is_intact=lambda _, intact=intact: intact, **terms)
        plan = make_plan([], [mark], observation, context)
        assert [removal.sample_id for removal in plan.removed] == removed_ids


def test_a_removal_in_part_leaves_the_same_doubt() -> None:
    row = Facts(A, ATTEMPTED, (5, 9), (), ASKED, ASKED + 1.0, upload_open=True, unproven=(9,))
    assert decide(row) == (RemoveCopies((5,), RemovalReason.ABSENT, leaves_doubt=True), HoldCopies((9,), UNPROVEN))


def made_by(recipe: str, name: str) -> str:
    title, image = name.split("/")
    return make_uid(format(ord(image), "x") * 16, make_scope(MODEL, title, recipe))


class Reconverted:
    """An image that was sent by the default recipe, and is converted by another one now."""

    def __init__(self, old: str = "", new: str = "max_side=64") -> None:
        self.old, self.new = made_by(old, "Can/a"), made_by(new, "Can/a")
        self.recipe, self.content = new, self.old[:32]
        self.local = [LocalSample(self.new, "Can", ("Can/a.jpg",), 10)]
        self.marks = [Mark(self.old, "Can", AGREED, 0.0, "now", "Can/a.jpg")]
        self.remote = [RemoteSample(self.old, 1, 1, "Can", 0.00002)]

    def plan(self, **terms: Any) -> Plan:
        remote = tuple(sorted(self.remote, key=lambda one: (one.uid, one.sample_id)))
        classes = (RemoteClass(1, "Can", sum(one.class_id == 1 for one in remote)), RemoteClass(2, "Jar", 5))
        observation = Observation(ModelInfo(MODEL, "m"), ASKED, classes, remote, size_decimals=6)
        # What the new recipe makes is smaller than what the service has.
        context = PlanContext(
            "now",
            0.0,
            QUARANTINE,
            recipe_of=lambda content: self.recipe if content == self.content else "",
            sent_size_of=lambda *_: 10,
            size_of=lambda uid, _: 20 if uid == self.old else 10,
            shows_sizes=lambda: True,
            **terms,
        )
        marks = sorted(self.marks, key=lambda one: one.uid)
        return make_plan(sorted(self.local, key=lambda one: one.uid), marks, observation, context)


@pytest.mark.parametrize(("old", "new"), [("", "max_side=64"), ("max_side=64", ""), ("quality=5", "max_side=64")])
def test_what_another_recipe_made_is_replaced_by_what_this_one_makes(old: str, new: str) -> None:
    world = Reconverted(old, new)
    plan = world.plan()
    assert story(plan) == ["upload Can/a.jpg", "remove Can/a.jpg #1: RECONVERTED"]
    assert [one.uid for one in plan.uploads] == [world.new] and plan.uploads[0].reconverted
    assert not plan.uploads[0].again and not plan.unmanaged
    assert (plan.classes["Can"].local, plan.classes["Can"].managed) == (1, 1)
    assert uploads_before(plan.removals[0], uploads_by_content(plan.uploads)) == [world.new]
    assert story(with_uploads(plan, set())) == [], "its removal waits for the upload"


def test_the_former_sample_stays_until_the_service_has_the_new_one() -> None:
    world = Reconverted()
    held = ["held Can: " + NEW_RECIPE_PENDING]
    assert story(world.plan(failed_before={world.new})) == [*held, "blocked Can/a.jpg"]
    world.marks.append(Mark(world.new, "Can", ATTEMPTED, ASKED - 1, "now", "Can/a.jpg"))
    assert story(world.plan()) == ["wait Can until " + f"{ASKED - 1 + QUARANTINE:g}", *held]
    world.marks[1:] = [Mark(world.new, "Can", AGREED, ASKED - 1, "now", "Can/a.jpg")]
    world.remote.append(RemoteSample(world.new, 2, 1, "Can", 0.00001))
    assert story(world.plan()) == ["remove Can/a.jpg #1: RECONVERTED"]
    unread = Unreadable(classes=frozenset({"Can"}))
    assert story(world.plan(unreadable=unread)) == ["held Can: " + CLASS_UNREADABLE]


def test_one_that_moved_to_another_class_meanwhile_is_judged_by_its_own_size() -> None:
    world = Reconverted()
    world.local = [LocalSample(made_by(world.recipe, "Jar/a"), "Jar", ("Jar/a.jpg",), 10)]
    plan = world.plan()
    assert story(plan) == ["upload Jar/a.jpg", "remove Can/a.jpg #1: MOVED"] and not plan.uploads[0].reconverted


def test_the_image_that_replaces_another_one_is_waited_for_by_its_recipe() -> None:
    world = Reconverted()
    other = made_by("", "Can/b")
    world.marks = [Mark(other, "Can", AGREED, 0.0, "now", "Can/a.jpg")]
    world.remote = [RemoteSample(other, 1, 1, "Can", 0.00001)]
    plan = world.plan(file_at={"Can/a.jpg": FileAt(content=world.content)}.get)
    assert story(plan) == ["upload Can/a.jpg", "remove Can/a.jpg #1: REPLACED"]
    assert plan.removals[0].replaced_by == world.new
