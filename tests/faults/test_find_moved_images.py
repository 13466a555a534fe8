"""Which of several places of one image is where it was moved to: never one at which it stood before."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from astica_sync.cli.undo.find_moved_images import OtherPlace, find_moved
from astica_sync.core.model import make_scope, make_uid
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.local.backup.removed_since import Elsewhere
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Event, Journal

CONTENT = "a" * 32
A, B, C, X, Y = "A/fork_1.jpg", "B/copy.jpg", "C/fork_2.jpg", "X/fork_1.jpg", "Y/fork_1.jpg"
UP, MOVED, DUPLICATE, GONE = "", RemovalReason.MOVED, RemovalReason.DUPLICATE, RemovalReason.ABSENT
Step = tuple[str, str, str]
"""The run, the path, and "" for an upload or the reason of a removal."""


class OneImage:
    """An index of a store that has one image at some paths."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = sorted(paths)

    def file_at(self, path: str) -> tuple[str, None] | None:
        return (CONTENT, None) if path in self.paths else None

    def paths_with(self, content: str) -> list[str]:
        return self.paths if content == CONTENT else []

    def recipe_of(self, content: str) -> str:
        return ""


def uid_of(path: str) -> str:
    return make_uid(CONTENT, make_scope(1, path.partition("/")[0]))


def find(
    tmp_path: Path, steps: Sequence[Step], now: Sequence[str], since: int = 0, left: Sequence[str] = ()
) -> tuple[dict[str, str], list[OtherPlace]]:
    """Each path with the one that its image is moved back from, and the others. ``since``: the number of the first step
    within the time. ``left``: the paths that the image has left, by default all that it is not at."""
    with contextlib.closing(Journal(tmp_path / "journal.db")) as journal:
        for at, (run, path, reason) in enumerate(steps):
            action = "remove" if reason else "upload"
            title = path.partition("/")[0]
            with journal.commit():
                journal.record([Event(float(at), run, action, title, uid_of(path), path, None, "done", reason)])
                if reason:
                    journal.forget([uid_of(path)])
                else:
                    journal.agree([(uid_of(path), title, path)], float(at))
        left = left or sorted({path for _, path, _ in steps} - set(now))
        elsewhere = [Elsewhere(path, sorted(now)[0]) for path in left]
        moved, others = find_moved(journal, cast(Index, OneImage(now)), 1, float(since), elsewhere)
    assert all(one.content == CONTENT for one in moved)
    return {path: at for path, at, _ in moved}, others


TWINS: list[Step] = [("1", A, UP), ("1", B, UP)]
LATER_TWIN: list[Step] = [("1", A, UP), ("2", B, UP)]


@pytest.mark.parametrize("before", [TWINS, LATER_TWIN])
@pytest.mark.parametrize("reason", [MOVED, DUPLICATE])
def test_what_came_last_goes_back_and_not_the_copy_that_stood_in_another_class(
    tmp_path: Path, before: list[Step], reason: str
) -> None:
    steps = [*before, ("3", X, UP), ("3", A, reason)]
    assert find(tmp_path, steps, [B, X])[0] == {A: X}


@pytest.mark.parametrize("before", [TWINS, LATER_TWIN])
def test_the_same_before_a_push_has_sent_the_move(tmp_path: Path, before: list[Step]) -> None:
    assert find(tmp_path, before, [B, X])[0] == {A: X}


@pytest.mark.parametrize("since", [1, 2])
def test_the_same_where_the_copies_are_older_than_the_time(tmp_path: Path, since: int) -> None:
    steps = [*LATER_TWIN, ("3", X, UP), ("3", A, MOVED)]
    assert find(tmp_path, steps, [B, X], since)[0] == {A: X}


@pytest.mark.parametrize("removal", [[], [("4", A, MOVED)]])
def test_the_same_where_a_guard_holds_the_removal_or_has_delayed_it(tmp_path: Path, removal: list[Step]) -> None:
    assert find(tmp_path, [*LATER_TWIN, ("3", X, UP), *removal], [B, X])[0] == {A: X}


def test_a_copy_that_was_made_after_the_move_stays(tmp_path: Path) -> None:
    assert find(tmp_path, [("1", A, UP), ("2", X, UP), ("2", A, MOVED), ("3", B, UP)], [B, X])[0] == {A: X}


def test_an_image_that_was_moved_on_is_found_beside_its_copy(tmp_path: Path) -> None:
    steps = [*LATER_TWIN, ("3", X, UP), ("3", A, MOVED), ("4", Y, UP), ("4", X, MOVED)]
    moved, others = find(tmp_path, steps, [B, Y])
    assert moved == {A: Y} and others == [OtherPlace(X, Y, A)]


@pytest.mark.parametrize("left", [(A,), (A, X)])
def test_where_the_moved_one_was_deleted_its_copy_stays(tmp_path: Path, left: Sequence[str]) -> None:
    """Also where another file has the path of the moved one since."""
    steps = [*LATER_TWIN, ("3", X, UP), ("3", A, MOVED), ("4", X, DUPLICATE)]
    moved, others = find(tmp_path, steps, [B], left=left)
    assert moved == {} and {one.path for one in others} == set(left)


def test_two_images_of_one_content_go_back_each_by_its_name(tmp_path: Path) -> None:
    x = ("X/fork_2.jpg", "X/fork_1.jpg")
    steps = [("1", A, UP), ("1", C, UP), ("2", B, UP), ("3", x[0], UP), ("3", A, MOVED), ("3", C, MOVED)]
    assert find(tmp_path, steps, [B, *x], since=3)[0] == {A: x[1], C: x[0]}


def test_an_image_that_was_moved_there_and_back_and_there_again_goes_back(tmp_path: Path) -> None:
    there: list[Step] = [("2", X, UP), ("2", A, MOVED)]
    back: list[Step] = [("3", A, UP), ("3", X, MOVED)]
    assert find(tmp_path, [*TWINS, *there, *back], [B, X])[0] == {A: X}


def test_what_was_deleted_and_came_back_to_another_class_goes_back(tmp_path: Path) -> None:
    assert find(tmp_path, [("1", A, UP), ("2", A, GONE), ("3", X, UP)], [X])[0] == {A: X}


def test_a_place_that_a_failed_upload_was_for_is_no_place(tmp_path: Path) -> None:
    with contextlib.closing(Journal(tmp_path / "journal.db")) as journal, journal.commit():
        journal.record([Event(9.0, "2", "upload", "Y", uid_of(Y), Y, None, "refused", "")])
    assert find(tmp_path, LATER_TWIN, [B, X], left=[A])[0] == {A: X}


def test_a_copy_that_was_deleted_is_not_moved_to(tmp_path: Path) -> None:
    moved, others = find(tmp_path, [*TWINS, ("2", A, DUPLICATE)], [B])
    assert moved == {} and others == [OtherPlace(A, B, "")]


def test_the_place_that_is_named_is_where_the_image_came_last(tmp_path: Path) -> None:
    """A watcher is one run for days, so what it has uploaded counts as copies."""
    steps = [("1", A, UP), ("1", B, UP), ("1", X, UP), ("1", A, DUPLICATE)]
    assert find(tmp_path, steps, [B, X]) == ({}, [OtherPlace(A, X, "")])
