"""Which of several places of one image is where it was moved to: never one at which it stood before."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from astica_sync.core.find_moved_images import ImagePlaces, OtherPlace, SamplePlace, find_moved
from astica_sync.core.model import make_scope, make_uid
from astica_sync.core.plan.decision_table import RemovalReason

CONTENT = "a" * 32
A, B, C, X, Y = "A/fork_1.jpg", "B/copy.jpg", "C/fork_2.jpg", "X/fork_1.jpg", "Y/fork_1.jpg"
UP, MOVED, DUPLICATE, GONE = "", RemovalReason.MOVED, RemovalReason.DUPLICATE, RemovalReason.ABSENT
Step = tuple[str, str, str]
"""The run, the path, and "" for an upload or the reason of a removal."""


class Event(NamedTuple):
    run: str
    action: str
    uid: str
    path: str
    outcome: str
    reason: str


def uid_of(path: str) -> str:
    return make_uid(CONTENT, make_scope(1, path.partition("/")[0]))


def find(
    steps: Sequence[Step], now: Sequence[str], since: int = 0, left: Sequence[str] = (), more: Sequence[Event] = ()
) -> tuple[dict[str, str], list[OtherPlace]]:
    """Each path with the one that its image is moved back from, and the others. ``since``: the number of the first step
    within the time. ``left``: the paths that the image has left, by default all that it is not at. ``more`` are later
    events."""
    marked: set[str] = set()
    events: list[Event] = []
    for run, path, reason in steps:
        uid = uid_of(path)
        marked = marked - {uid} if reason else marked | {uid}
        events.append(Event(run, "remove" if reason else "upload", uid, path, "done", reason))
    left = left or sorted({path for _, path, _ in steps} - set(now))
    places = ImagePlaces(
        [SamplePlace(one, uid_of(one)) for one in left], [SamplePlace(one, uid_of(one)) for one in sorted(now)]
    )
    moved, others = find_moved({CONTENT: places}, [*events[since:], *more], marked.__contains__)
    assert all(one.content == CONTENT for one in moved)
    return {path: at for path, at, _ in moved}, others


TWINS: list[Step] = [("1", A, UP), ("1", B, UP)]
LATER_TWIN: list[Step] = [("1", A, UP), ("2", B, UP)]


@pytest.mark.parametrize("before", [TWINS, LATER_TWIN])
@pytest.mark.parametrize("reason", [MOVED, DUPLICATE])
def test_what_came_last_goes_back_and_not_the_copy_that_stood_in_another_class(before: list[Step], reason: str) -> None:
    steps = [*before, ("3", X, UP), ("3", A, reason)]
    assert find(steps, [B, X])[0] == {A: X}


@pytest.mark.parametrize("before", [TWINS, LATER_TWIN])
def test_the_same_before_a_push_has_sent_the_move(before: list[Step]) -> None:
    assert find(before, [B, X])[0] == {A: X}


@pytest.mark.parametrize("since", [1, 2])
def test_the_same_where_the_copies_are_older_than_the_time(since: int) -> None:
    steps = [*LATER_TWIN, ("3", X, UP), ("3", A, MOVED)]
    assert find(steps, [B, X], since)[0] == {A: X}


@pytest.mark.parametrize("removal", [[], [("4", A, MOVED)]])
def test_the_same_where_a_guard_holds_the_removal_or_has_delayed_it(removal: list[Step]) -> None:
    assert find([*LATER_TWIN, ("3", X, UP), *removal], [B, X])[0] == {A: X}


def test_a_copy_that_was_made_after_the_move_stays() -> None:
    assert find([("1", A, UP), ("2", X, UP), ("2", A, MOVED), ("3", B, UP)], [B, X])[0] == {A: X}


def test_an_image_that_was_moved_on_is_found_beside_its_copy() -> None:
    steps = [*LATER_TWIN, ("3", X, UP), ("3", A, MOVED), ("4", Y, UP), ("4", X, MOVED)]
    moved, others = find(steps, [B, Y])
    assert moved == {A: Y} and others == [OtherPlace(X, Y, A)]


@pytest.mark.parametrize("left", [(A,), (A, X)])
def test_where_the_moved_one_was_deleted_its_copy_stays(left: Sequence[str]) -> None:
    """Also where another file has the path of the moved one since."""
    steps = [*LATER_TWIN, ("3", X, UP), ("3", A, MOVED), ("4", X, DUPLICATE)]
    moved, others = find(steps, [B], left=left)
    assert moved == {} and {one.path for one in others} == set(left)


def test_two_images_of_one_content_go_back_each_by_its_name() -> None:
    x = ("X/fork_2.jpg", "X/fork_1.jpg")
    steps = [("1", A, UP), ("1", C, UP), ("2", B, UP), ("3", x[0], UP), ("3", A, MOVED), ("3", C, MOVED)]
    assert find(steps, [B, *x], since=3)[0] == {A: x[1], C: x[0]}


def test_an_image_that_was_moved_there_and_back_and_there_again_goes_back() -> None:
    there: list[Step] = [("2", X, UP), ("2", A, MOVED)]
    back: list[Step] = [("3", A, UP), ("3", X, MOVED)]
    assert find([*TWINS, *there, *back], [B, X])[0] == {A: X}


def test_what_was_deleted_and_came_back_to_another_class_goes_back() -> None:
    assert find([("1", A, UP), ("2", A, GONE), ("3", X, UP)], [X])[0] == {A: X}


def test_a_place_that_a_failed_upload_was_for_is_no_place() -> None:
    failed = Event("2", "upload", uid_of(Y), Y, "refused", "")
    assert find(LATER_TWIN, [B, X], left=[A], more=[failed])[0] == {A: X}


def test_what_was_done_to_other_images_changes_nothing() -> None:
    other = Event("9", "remove", make_uid("b" * 32, "c" * 8), X, "done", MOVED)
    of_no_image = Event("9", "train", "", "", "done", "")
    assert find(LATER_TWIN, [B, X], left=[A], more=[other, of_no_image])[0] == {A: X}


def test_a_copy_on_the_service_that_was_removed_as_an_extra_has_left_no_place() -> None:
    extra = Event("3", "remove", uid_of(B), B, "done", f"{RemovalReason.EXTRA}: twice")
    assert find([*LATER_TWIN, ("3", X, UP), ("3", A, MOVED)], [B, X], more=[extra])[0] == {A: X}


def test_an_image_of_which_nothing_is_known_stays() -> None:
    assert find([], [B], left=[A]) == ({}, [OtherPlace(A, B, "")])


def test_an_image_that_was_renamed_in_its_class_stays() -> None:
    assert find([("1", "B/old.jpg", UP)], [B, X], left=["B/old.jpg"]) == ({}, [OtherPlace("B/old.jpg", B, "")])


@pytest.mark.parametrize("moved", [True, False])
def test_what_one_run_has_uploaded_was_there_together_unless_the_first_has_moved(moved: bool) -> None:
    """A watcher is one run for days."""
    steps = [("run", A, UP), ("run", B, UP), ("run", A, MOVED if moved else DUPLICATE)]
    assert find(steps, [B])[0] == ({A: B} if moved else {})


def test_a_copy_that_was_deleted_is_not_moved_to() -> None:
    moved, others = find([*TWINS, ("2", A, DUPLICATE)], [B])
    assert moved == {} and others == [OtherPlace(A, B, "")]


def test_the_place_that_is_named_is_where_the_image_came_last() -> None:
    """A watcher is one run for days, so what it has uploaded counts as copies."""
    steps = [("1", A, UP), ("1", B, UP), ("1", X, UP), ("1", A, DUPLICATE)]
    assert find(steps, [B, X]) == ({}, [OtherPlace(A, X, "")])
