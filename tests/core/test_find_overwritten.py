"""Of the images that were at one path, the one that was there first comes back; what is there now may be that one."""

from typing import NamedTuple

import pytest

from astica_sync.core.find_overwritten import find_overwritten

A, B, C = "a" * 32 + "-11111111", "b" * 32 + "-11111111", "c" * 32 + "-11111111"


class Event(NamedTuple):
    action: str
    uid: str
    run: str = ""
    path: str = "Can/1.png"
    outcome: str = "done"
    reason: str = ""


@pytest.mark.parametrize(
    ("events", "marked", "now", "before", "found"),
    [
        # Overwritten, and not pushed since.
        ("", A, B, (A,), A),
        ("", A, "", (A,), A),
        # Pushed since; the image is older than the time, or not.
        ("+B -A", B, B, (A,), A),
        ("+A +B -A", B, B, (A,), A),
        # Overwritten twice.
        ("+B -A +C -B", C, C, (B, A), A),
        ("+A +B -A +C -B", C, C, (B, A), A),
        # It has come back: a second restore changes nothing.
        ("+B -A +A -B", A, A, (B,), None),
        ("+B -A", B, A, (B,), None),
        # Another one was put there while it was away.
        ("-A", "", B, (A,), A),
        # Nothing is known of either.
        ("", "", B, (A,), None),
    ],
)
def test_the_image_that_was_there_first_comes_back(
    events: str, marked: str, now: str, before: tuple[str, ...], found: str | None
) -> None:
    uids = {"A": A, "B": B, "C": C}
    done = [Event("upload" if word[0] == "+" else "remove", uids[word[1]]) for word in events.split()]
    expected = {} if found is None else {"Can/1.png": found}
    assert find_overwritten({"Can/1.png": (now, before)}, done, lambda uid: uid == marked) == expected
