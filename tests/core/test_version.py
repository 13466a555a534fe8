"""The rules of versions, trainings and snapshots."""

from dataclasses import replace

import pytest

from astica_sync.core.model import (
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    Problem,
    RemoteClass,
    RemoteSample,
    make_scope,
    make_uid,
)
from astica_sync.core.plan.decision_table import CLASS_UNREADABLE, NEW_PLACE_PENDING
from astica_sync.core.plan.plan import Held, Plan, Upload, Waiting
from astica_sync.core.versions.pending_training import (
    Training,
    counts_up,
    has_newer,
    is_overdue,
    never_shown,
    skipped_names,
)
from astica_sync.core.versions.snapshot import (
    ManagedSample,
    UnmanagedSample,
    diff,
    find_additions,
    find_missing,
    freeze,
    to_local_samples,
)
from astica_sync.core.versions.training_objections import find_objections
from astica_sync.core.versions.version import (
    Version,
    VersionKey,
    find_versions,
    is_recorded,
    make_version_key,
    name_apart,
)


def test_versions_with_the_same_name_are_found_by_number() -> None:
    twins = [Version(1, "v", 10.0, 1.0, None), Version(2, "v", 20.0, 2.0, None), Version(3, "va", 30.0, 3.0, None)]
    assert find_versions("v", twins) == twins[:2]
    assert find_versions("@2", twins) == twins[1:2]
    assert find_versions("va", twins) == twins[2:]
    assert find_versions("x", twins) == []


def test_a_text_that_is_the_number_of_one_version_and_the_name_of_another_means_both() -> None:
    first, second = Version(1, "@2", 10.0, 1.0, None), Version(2, "v", 20.0, 2.0, None)
    assert find_versions("@2", [first, second]) == [second, first]
    assert [name_apart(version, [first, second]) for version in (first, second)] == ["@1", "v"]
    # A name that is the version's own number, and one that is the number of none, are clear.
    own, third = Version(2, "@2", 20.0, 2.0, None), Version(3, "@9", 30.0, 3.0, None)
    assert find_versions("@2", [first, own]) == [own]
    assert find_versions("@9", [first, own, third]) == [third]
    crossed = [Version(1, "@2", 10.0, 1.0, None), Version(2, "@1", 20.0, 2.0, None)]
    assert [name_apart(version, crossed) for version in crossed] == [None, None]


@pytest.mark.parametrize(
    ("version", "trained_at", "newer"),
    [
        ("b", 10.0, True),
        ("a", 20.0, True),
        ("a", 10.0, False),
        (None, None, False),
        (None, 10.0, False),
        ("a", None, False),
    ],
)
def test_a_training_is_finished_when_the_name_or_the_date_changes(
    version: str | None, trained_at: float | None, newer: bool
) -> None:
    training = Training("s", 100, 1000.0, True, "a", 10.0)
    assert has_newer(training, ModelInfo(1, "M", version=version, trained_at=trained_at), []) is newer
    assert is_recorded(ModelInfo(1, "M", version="a"), [Version(1, "a", 10.0, 1.0, None)])


def test_an_earlier_version_in_a_stale_list_is_not_new() -> None:
    seen = [Version(1, "a", 10.0, 1.0, None), Version(2, "b", 20.0, 2.0, None)]
    training = Training("s", 100, 1000.0, True, "b", 20.0, known=2)
    old, new = ModelInfo(1, "M", version="a", trained_at=10.0), ModelInfo(1, "M", version="c", trained_at=30.0)
    assert not has_newer(training, old, seen)
    assert has_newer(training, new, seen)
    assert has_newer(training, new, [*seen, Version(3, "c", 30.0, 3.0, "s")]), (
        "recorded by a command that was then killed"
    )


def test_a_training_is_overdue_after_the_documented_time_and_the_quarantine() -> None:
    small, large = Training("s", 10, 0.0, True, "", None), Training("s", 100_000, 0.0, True, "", None)
    assert not is_overdue(small, 660.0, 60.0) and is_overdue(small, 661.0, 60.0)
    assert not is_overdue(large, 10_060.0, 60.0) and is_overdue(large, 10_061.0, 60.0)


def observed(*classes: RemoteClass, samples: tuple[RemoteSample, ...] = ()) -> Observation:
    return Observation(ModelInfo(7, "M"), 0.0, classes, samples)


CAN, BOTTLE, EMPTY = RemoteClass(1, "Can", 3), RemoteClass(2, "Bottle", 2), RemoteClass(3, "Empty", 0)


def test_nothing_prevents_a_training_of_what_is_in_sync() -> None:
    assert find_objections(Plan(), observed(CAN, BOTTLE)) == []


def test_a_training_needs_samples_in_two_classes() -> None:
    (objection,) = find_objections(Plan(), observed(CAN, EMPTY))
    assert "has only 'Can'" in objection.reason and "Add a second class" in objection.hint
    assert not objection.overridable
    (none, _) = find_objections(Plan(uploads=(Upload("u", "Can", "a", 1), Upload("v", "Jar", "b", 1))), observed())
    assert none.reason.endswith("has none") and none.hint == "Run: astica-sync push"


def test_unknown_outcomes_and_differences_prevent_a_training() -> None:
    uploads = tuple(Upload(title, title, title, 1) for title in "abcde")
    waiting = (Waiting("w", "Can", "sent", 1.0), Waiting("x", "Can", "sent", 1.0))
    doubtful, differing = find_objections(
        Plan(uploads=uploads, waiting=waiting, incomplete=True), observed(CAN, BOTTLE)
    )
    assert "the outcome of 2 requests is not known yet, in 'Can'" in doubtful.reason and not doubtful.overridable
    assert "5 to upload in 'a', 'b', 'c' and 2 more classes" in differing.reason and differing.overridable
    assert "could not be read" in differing.reason
    (four,) = find_objections(Plan(uploads=uploads[:4]), observed(CAN, BOTTLE))
    assert four.reason.endswith("4 to upload in 'a', 'b', 'c' and 1 more class")
    (one,) = find_objections(Plan(waiting=waiting[:1]), observed(CAN, BOTTLE))
    assert "the outcome of 1 request is" in one.reason


def test_a_training_names_what_failed_before_apart_from_what_a_push_would_send() -> None:
    failed = (Upload("u", "Can", "Can/wide.png", 1),)
    (objection,) = find_objections(Plan(failed_before=failed), observed(CAN, BOTTLE))
    assert objection.reason == "store and service differ: 1 that failed before in 'Can'"
    assert "astica-sync push" not in objection.hint and "astica-sync status" in objection.hint
    assert objection.overridable
    (objection,) = find_objections(Plan(uploads=failed, failed_before=failed), observed(CAN, BOTTLE))
    assert "1 to upload in 'Can', 1 that failed before in 'Can'" in objection.reason
    assert objection.hint.startswith("Run: astica-sync push.")


def test_a_training_names_what_could_not_be_read_and_the_folders_that_are_left_out() -> None:
    unread = [Problem("Can/a.png", "cannot be read"), Problem("Can/b", "symbolic link")]
    held = (Held("u", "Can", 1, CLASS_UNREADABLE),)
    (objection,) = find_objections(Plan(held=held, incomplete=True), observed(CAN, BOTTLE), unread)
    assert "a part of the store could not be read: Can/a.png (cannot be read) and 1 more" in objection.reason
    assert "1 held (not removed for now) in 'Can'" in objection.reason
    assert "astica-sync push" not in objection.hint and "astica-sync status" in objection.hint
    untitled = [Problem("B\udce4", "not UTF-8"), Problem("a\nb", "line break")]
    (objection,) = find_objections(Plan(), observed(CAN, BOTTLE), untitled=untitled[:1])
    assert objection.reason.endswith("a folder is left out: B\udce4 (not UTF-8)") and objection.overridable
    (objection,) = find_objections(Plan(), observed(CAN, BOTTLE), untitled=untitled)
    assert "2 folders are left out: B\udce4 (not UTF-8) and 1 more" in objection.reason


def test_a_training_says_that_a_push_removes_what_waits_for_one() -> None:
    held = (Held("u", "Can", 1, NEW_PLACE_PENDING),)
    (objection,) = find_objections(Plan(held=held), observed(CAN, BOTTLE))
    assert objection.hint.startswith("Run: astica-sync push. To train")
    (objection,) = find_objections(Plan(held=held, incomplete=True), observed(CAN, BOTTLE))
    assert objection.hint.startswith("Run: astica-sync push. For what it leaves: astica-sync status. To train")


def uid(number: int, title: str) -> str:
    return make_uid(f"{number:032x}", make_scope(7, title))


def test_a_snapshot_has_what_the_service_holds_each_under_a_name_of_its_own() -> None:
    local = [LocalSample(uid(1, "Can"), "Can", ("Can/a.png",), 10)]
    marks = [
        Mark(uid(1, "Can"), "Can", MarkState.AGREED, None, "r", "Can/a.png"),
        Mark(uid(2, "Can"), "Can", MarkState.AGREED, None, "r", "Can/deep/a.png"),
        Mark(uid(3, "Can"), "Can", MarkState.AGREED, None, "r", "plain"),
        Mark(uid(4, "Can"), "Can", MarkState.AGREED, None, "r", "Can/not there.png"),
    ]
    remote = [RemoteSample(uid(number, "Can"), number, 1, "Can") for number in (1, 2, 3)]
    remote.append(RemoteSample("theirs", 9, 1, "Can"))
    assert list(freeze(local, marks, remote)) == [
        ManagedSample("Can", f"{1:032x}", "Can/a.png"),
        ManagedSample("Can", f"{2:032x}", "Can/deep/a-00000000.png"),
        ManagedSample("Can", f"{3:032x}", "Can/plain-00000000"),
        UnmanagedSample("Can", "theirs", 9),
    ]


def test_the_managed_samples_of_a_snapshot_are_the_local_side_of_a_plan() -> None:
    samples = [ManagedSample("Can", f"{2:032x}", "Can/b"), ManagedSample("Can", f"{1:032x}", "Can/a")]
    assert to_local_samples(samples, 7, {f"{1:032x}": 11}) == [
        LocalSample(uid(1, "Can"), "Can", ("Can/a",), 11),
        LocalSample(uid(2, "Can"), "Can", ("Can/b",), 0),
    ]


def test_an_image_that_left_one_class_and_appeared_in_another_is_moved() -> None:
    one, two, three = (f"{number:032x}" for number in (1, 2, 3))
    before = [ManagedSample("Can", one, "a"), ManagedSample("Can", two, "b"), UnmanagedSample("Can", "theirs", 1)]
    after = [ManagedSample("Jar", one, "a"), ManagedSample("Box", one, "a"), ManagedSample("Can", three, "c")]
    changed = diff(before, after)
    assert [(move.content, move.before, move.after) for move in changed.moved] == [(one, "Can", "Box")]
    assert changed.added == [after[0], after[2]]
    assert changed.removed == [before[1], before[2]]
    assert changed.per_class() == {"Box": (0, 0, 1, 0), "Can": (1, 2, 0, 1), "Jar": (1, 0, 0, 0)}
    assert changed and not diff(before, before)


def test_an_empty_text_refers_to_no_version() -> None:
    assert find_versions("", [Version(1, "v", None, 1.0, None)]) == []


@pytest.mark.parametrize(
    ("shown", "known"),
    [
        (ModelInfo(1, "M"), True),
        (ModelInfo(1, "M", version="v", trained_at=10.0), True),
        (ModelInfo(1, "M", version="v", trained_at=11.0), False),
        (ModelInfo(1, "M", version="w", trained_at=10.0), False),
        (ModelInfo(1, "M", version="undated", trained_at=99.0), True),
    ],
)
def test_a_version_is_known_by_name_and_date_and_a_date_may_be_missing(shown: ModelInfo, known: bool) -> None:
    recorded = [Version(1, "v", 10.0, 1.0, None), Version(2, "undated", None, 1.0, None)]
    assert is_recorded(shown, recorded) is known


def test_a_version_that_cannot_be_distinguished_from_another_one_has_no_key() -> None:
    model = ModelInfo(7, "M", created_at=5.0)
    twins = [Version(1, "v", 10.0, 1.0, None), Version(2, "v", 20.0, 2.0, None)]
    one, undated = [Version(1, "v", 10.0, 1.0, None)], [Version(1, "v", None, 1.0, None)]
    assert make_version_key("a b", model, "v", one) == VersionKey("a b", 7, 5.0, "v", 10.0)
    for versions in (twins, undated, []):
        assert make_version_key("a b", model, "v", versions) is None
    fresh = ModelInfo(7, "M", created_at=6.0)
    assert make_version_key("a b", fresh, "v", one) != make_version_key("a b", model, "v", one)
    assert make_version_key("a b", ModelInfo(7, "M"), "v", one) == VersionKey("a b", 7, 0.0, "v", 10.0)


@pytest.mark.parametrize(
    ("before", "now", "skipped"),
    [
        ("1001_20001", "1001_20003", ["1001_20002"]),
        ("1001_20001", "1001_20002", []),
        ("1001_20001", "1001_20005", ["1001_20002", "1001_20003", "1001_20004"]),
        ("1001_20001", "1001_20006", ["1001_20002", "1001_20003", "1001_20004", "1001_20005"]),
        ("1001_20001", "1001_30001", []),
        ("1001_20001", "1002_20003", []),
        ("7", "9", ["8"]),
        ("", "1001_20003", []),
        ("20230710_212503", "20230710_212505", []),
        ("v1.0", "v1.2", []),
        ("1001_20003", "1001_20001", []),
    ],
)
def test_names_that_were_skipped_are_those_between_two_numbers(before: str, now: str, skipped: list[str]) -> None:
    assert skipped_names(before, now) == skipped


def test_a_version_that_is_known_was_not_skipped() -> None:
    """The answer before the request was behind and showed the version before the last one."""
    training = Training("a" * 32, 3, 1.0, True, "7_2", None, 2)
    known = [Version(number, f"7_{number}", None, 0.0, None) for number in (2, 3)]
    now = ModelInfo(7, "Cans", version="7_5")
    assert never_shown(training, now, known) == ["7_4"]
    assert never_shown(training, now, []) == ["7_3", "7_4"]
    assert never_shown(training, replace(now, version=None), known) == []


def test_what_the_service_shows_besides_a_snapshot_is_an_addition() -> None:
    snapshot = [ManagedSample("Can", f"{1:032x}", "Can/a.png"), UnmanagedSample("Can", "theirs", 9)]
    shown = [
        RemoteSample(uid(1, "Can"), 1, 1, "Can"),
        RemoteSample(uid(2, "Can"), 2, 1, "Can"),
        RemoteSample(uid(1, "Jar"), 3, 2, "Jar"),
        RemoteSample("theirs", 9, 1, "Can"),
        RemoteSample("theirs", 10, 1, "Can"),
    ]
    assert [one.sample_id for one in find_additions(snapshot, shown)] == [2, 3, 10]


def test_a_sample_that_got_the_id_of_a_removed_one_is_an_addition() -> None:
    snapshot = [UnmanagedSample("Can", "theirs", 9), UnmanagedSample("Can", uid(7, "Can"), 10)]
    shown = [RemoteSample("later", 9, 1, "Can"), RemoteSample(uid(7, "Can")[:35], 10, 1, "Can")]
    assert [one.sample_id for one in find_additions(snapshot, shown)] == [9]
    assert find_missing(snapshot, shown) == [snapshot[0]]


def test_what_a_snapshot_has_and_the_service_does_not_show_is_missing() -> None:
    snapshot = [
        ManagedSample("Can", f"{1:032x}", "Can/a.png"),
        ManagedSample("Can", f"{2:032x}", "Can/b.png"),
        ManagedSample("Jar", f"{1:032x}", "Jar/a.png"),
        UnmanagedSample("Can", "theirs", 9),
        UnmanagedSample("Can", "gone", 8),
    ]
    shown = [
        RemoteSample(uid(1, "Can"), 1, 1, "CAN"),
        RemoteSample(uid(2, "Can"), 2, 2, "Jar"),
        RemoteSample("theirs", 9, 1, "Can"),
    ]
    assert find_missing(snapshot, shown) == [snapshot[1], snapshot[2], snapshot[4]]


@pytest.mark.parametrize(
    ("before", "now", "counts"),
    [
        ("7_1", "7_2", True),
        ("7_1", "7_5", True),
        ("7_2", "7_2", False),
        ("7_3", "7_2", False),
        ("7_1", "8_2", False),
        ("", "7_1", False),
        ("7_1", "", False),
        ("20230710_212503", "20230710_212516", False),
        ("7_20230710_212503", "7_20230710_212516", False),
        ("20230710_212503", "20230711_212503", False),
    ],
)
def test_names_count_up_where_their_last_numbers_are_near(before: str, now: str, counts: bool) -> None:
    assert counts_up(before, now) == counts
