"""What speaks against the data of a version, from two views as values."""

import pytest

from astica_sync.core.model import RemoteSample, make_scope, make_uid
from astica_sync.core.versions.data_doubts import (
    DataChanges,
    doubt_about,
    doubt_about_name,
    doubt_about_skipped,
    find_gone,
)

ONE, OTHER = "1" * 32, "2" * 32


def sample(sample_id: int, content: str = ONE, title: str = "Can", uid: str | None = None) -> RemoteSample:
    own = make_uid(content, make_scope(7, title))
    return RemoteSample(own if uid is None else uid, sample_id, 1, title)


@pytest.mark.parametrize(
    ("after", "gone"),
    [
        ([sample(1), sample(2, OTHER)], []),
        ([sample(2, OTHER)], [(1, ONE)]),
        ([sample(9), sample(2, OTHER)], [(1, ONE)]),
        ([sample(1, title="CAN"), sample(2, OTHER)], []),
        ([], [(1, ONE), (2, OTHER)]),
    ],
)
def test_what_is_no_longer_shown_is_gone(after: list[RemoteSample], gone: list[tuple[int, str]]) -> None:
    assert find_gone([sample(1), sample(2, OTHER)], after) == gone


def test_a_copy_that_was_there_before_stands_for_the_one_that_is_gone() -> None:
    assert find_gone([sample(1), sample(2)], [sample(2)]) == []
    assert find_gone([sample(1), sample(2, title="CAN")], [sample(2, title="CAN")]) == [(1, ONE)]


def test_samples_without_a_uid_of_ours_are_no_copies_of_one_another() -> None:
    assert find_gone([sample(1, uid=""), sample(2, uid="")], [sample(2, uid="")]) == [(1, "")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (DataChanges(0, 0, 0), ""),
        (DataChanges(1, 0, 0), "1 sample was added elsewhere before it was trained"),
        (DataChanges(2, 1, 5), "2 samples were added elsewhere and 1 sample was removed elsewhere before"),
        (DataChanges(0, 1_000, 0), "1,000 samples were removed elsewhere, so"),
        (DataChanges(0, 3, 1), "1 sample was no longer shown just after it was requested"),
    ],
)
def test_what_others_changed_is_said(changes: DataChanges, said: str) -> None:
    assert doubt_about(changes).startswith(said) and bool(doubt_about(changes)) == bool(said)


def test_versions_that_were_never_shown_are_counted() -> None:
    assert doubt_about_skipped([]) == ""
    assert doubt_about_skipped(["7_2"]).startswith("1 version was made")
    assert doubt_about_skipped(["7_2", "7_3"]).startswith("2 versions were made")


def test_the_name_of_the_version_before_speaks_against_a_training() -> None:
    assert doubt_about_name("7_1", "7_1").startswith("it has the name of the version before it")
    assert doubt_about_name("7_1", "7_2") == doubt_about_name("", "") == doubt_about_name("", "7_1") == ""
