"""Snapshots and their differences, as data."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import (
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    RemoteClass,
    RemoteSample,
    make_scope,
    make_uid,
)
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.planner import make_plan
from astica_sync.core.plan.upload_before_removal import uploads_before, uploads_by_content
from astica_sync.core.versions.snapshot import ManagedSample, UnmanagedSample, diff, freeze, to_local_samples
from astica_sync.core.versions.training_objections import find_objections

TITLES = ("Bottle", "Can", "Jar")


def uid(number: int, title: str) -> str:
    return make_uid(f"{number:032x}", make_scope(1, title))


def mark(number: int, title: str, path: str) -> Mark:
    return Mark(uid(number, title), title, MarkState.AGREED, None, "run", path)


def plan_as(wanted: list[LocalSample], marks: list[Mark], remote: list[RemoteSample]) -> Plan:
    classes = Counter(sample.class_title for sample in remote)
    listed = tuple(RemoteClass(10 + TITLES.index(title), title, count) for title, count in classes.items())
    observation = Observation(ModelInfo(1, "M"), 1000.0, listed, tuple(sorted(remote, key=lambda one: one.uid)))
    terms = PlanContext(run="now", run_started=0.0, quarantine=0.0, is_version=True, class_remove=False)
    return make_plan(wanted, sorted(marks, key=lambda one: one.uid), observation, terms)


def test_a_snapshot_has_what_the_service_holds_not_what_the_store_holds() -> None:
    local = [LocalSample(uid(1, "Can"), "Can", ("Can/new-name.png",), 9), LocalSample(uid(4, "Can"), "Can", ("x",), 9)]
    marks = [mark(1, "Can", "Can/old-name.png"), mark(2, "Can", "Can/new-name.png"), mark(3, "Can", "Can/gone.png")]
    remote = [
        RemoteSample(uid(1, "Can"), 1, 5, "Can"),
        RemoteSample(uid(2, "Can"), 2, 5, "Can"),
        RemoteSample("theirs", 9, 5, "Can"),
    ]
    frozen = list(freeze(sorted(local, key=lambda one: one.uid), sorted(marks, key=lambda one: one.uid), remote))
    assert frozen == [
        ManagedSample("Can", f"{1:032x}", "Can/new-name.png"),
        ManagedSample("Can", f"{2:032x}", "Can/new-name-00000000.png"),
        UnmanagedSample("Can", "theirs", 9),
    ]


def test_a_removal_for_a_version_waits_for_the_upload_to_the_new_class() -> None:
    wanted = to_local_samples([ManagedSample("Bottle", f"{1:032x}", "Bottle/a.png")], 1, {})
    remote = [RemoteSample(uid(1, "Can"), 1, 11, "Can"), RemoteSample(uid(2, "Can"), 2, 11, "Can")]
    plan = plan_as(wanted, [mark(1, "Can", "Can/a.png"), mark(2, "Can", "Can/b.png")], remote)
    assert [upload.uid for upload in plan.uploads] == [uid(1, "Bottle")]
    assert {removal.why for removal in plan.removals} == {RemovalReason.NOT_IN_VERSION}
    places = uploads_by_content(plan.uploads)
    waits = {removal.sample_id: uploads_before(removal, places) for removal in plan.removals}
    assert waits == {1: [uid(1, "Bottle")], 2: []}


samples = st.frozensets(st.tuples(st.integers(0, 6), st.sampled_from(TITLES)), max_size=12)


def pinned(drawn: frozenset[tuple[int, str]]) -> list[ManagedSample]:
    return [ManagedSample(title, f"{number:032x}", f"{title}/{number}.png") for number, title in sorted(drawn)]


@given(samples, samples)
def test_a_diff_turns_one_snapshot_into_the_other(
    before: frozenset[tuple[int, str]], after: frozenset[tuple[int, str]]
) -> None:
    changed = diff(pinned(before), pinned(after))
    result = {(sample.class_title, sample.content) for sample in pinned(before)}
    for sample in changed.removed:
        assert isinstance(sample, ManagedSample)
        result.remove((sample.class_title, sample.content))
    for move in changed.moved:
        result.remove((move.before, move.content))
    result |= {(move.after, move.content) for move in changed.moved}
    result |= {(sample.class_title, sample.content) for sample in changed.added if isinstance(sample, ManagedSample)}
    assert result == {(sample.class_title, sample.content) for sample in pinned(after)}
    moved = {move.content for move in changed.moved}
    assert not {one.content for one in changed.added if isinstance(one, ManagedSample)} & {
        one.content for one in changed.removed if isinstance(one, ManagedSample)
    }, "what could be a move is one"
    assert moved <= {sample.content for sample in pinned(before)}
    assert bool(changed) is (before != after)


@given(samples, samples, st.frozensets(st.integers(100, 103), max_size=3))
def test_a_push_as_a_version_reaches_it_and_keeps_unmanaged_samples(
    version: frozenset[tuple[int, str]], service: frozenset[tuple[int, str]], theirs: frozenset[int]
) -> None:
    ours = [
        RemoteSample(uid(number, title), place, 10 + TITLES.index(title), title)
        for place, (number, title) in enumerate(sorted(service), 1)
    ]
    foreign = [RemoteSample(f"theirs-{number}", number, 10, "Bottle") for number in sorted(theirs)]
    marks = [mark(number, title, f"{title}/{number}.png") for number, title in service]
    plan = plan_as(to_local_samples(pinned(version), 1, {}), marks, ours + foreign)
    left = {one.sample_id: one.uid for one in ours + foreign}
    for removal in plan.removals:
        del left[removal.sample_id]
    reached = Counter(left.values()) + Counter(upload.uid for upload in plan.uploads)
    assert reached == Counter([uid(*one) for one in version] + [one.uid for one in foreign])


def test_a_snapshot_path_without_extension_gets_the_content_hash() -> None:
    remote = [RemoteSample(uid(2, "Can"), 2, 5, "Can")]
    assert list(freeze([], [mark(2, "Can", "Can/plain")], remote)) == [
        ManagedSample("Can", f"{2:032x}", "Can/plain-00000000")
    ]


def test_a_removed_unmanaged_sample_is_in_the_diff() -> None:
    theirs = UnmanagedSample("Can", "theirs", 9)
    assert diff([theirs], []).removed == [theirs]
    assert diff([], [theirs]).added == [theirs]


def test_an_unreadable_part_of_the_store_is_an_objection_to_training() -> None:
    classes = (RemoteClass(1, "Can", 1), RemoteClass(2, "Jar", 1))
    observation = Observation(ModelInfo(1, "M"), 1000.0, classes, ())
    (objection,) = find_objections(Plan(incomplete=True), observation)
    assert "a part of the store could not be read" in objection.reason


def test_a_snapshot_has_each_copy_in_the_class_that_the_service_shows() -> None:
    local = [LocalSample(uid(1, "Bottle"), "Bottle", ("Bottle/a.png",), 9)]
    marks = [mark(1, "Bottle", "Bottle/a.png")]
    remote = [
        RemoteSample(uid(1, "Bottle"), number, 5, title)
        for number, title in enumerate(("bottle ", "Can", "Can", "Bottle", "../up", ".."), 1)
    ]
    frozen = list(freeze(local, marks, remote))
    content, short = f"{1:032x}", "00000000"
    assert frozen == [
        ManagedSample("Bottle", content, "Bottle/a.png"),
        ManagedSample("Can", content, f"Can/a-{short}.png"),
        ManagedSample("Can", content, f"Can/a-{short}-2.png"),
        ManagedSample("Bottle", content, f"Bottle/a-{short}-2.png"),
        UnmanagedSample("../up", uid(1, "Bottle"), 5),
        UnmanagedSample("..", uid(1, "Bottle"), 6),
    ]
    managed = [sample for sample in frozen if isinstance(sample, ManagedSample)]
    assert [(one.class_title, len(one.paths)) for one in to_local_samples(managed, 1, {})] == [
        (title, 2) for title in sorted(("Bottle", "Can"), key=lambda title: uid(1, title))
    ]
    assert diff(managed[:2], managed[:3]).added == [managed[2]], "a further copy is a difference"


def test_a_sample_that_was_adopted_without_proof_is_unmanaged_in_a_snapshot() -> None:
    local = [LocalSample(uid(1, "Can"), "Can", ("Can/a.png",), 9)]
    remote = [RemoteSample(uid(1, "Can"), 7, 5, "Can"), RemoteSample(uid(1, "Can"), 8, 5, "Can")]
    unproven = {(7, uid(1, "Can")): "theirs"}
    assert list(freeze(local, [mark(1, "Can", "Can/a.png")], remote, frozenset(), unproven)) == [
        UnmanagedSample("Can", "theirs", 7),
        ManagedSample("Can", f"{1:032x}", "Can/a.png"),
    ]
    assert list(freeze(local, [], remote[:1], frozenset(), {(7, "another"): "theirs"})) == [
        ManagedSample("Can", f"{1:032x}", "Can/a.png")
    ], "an id that the service gave to another sample"
