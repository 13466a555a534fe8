"""What a push has to say is printed once in one place."""

from types import SimpleNamespace
from typing import Any

import pytest

from astica_sync.cli.render.live import progress
from astica_sync.cli.render.live.progress import SHORT_PUSH, PushProgress
from astica_sync.cli.render.push_output import MOST_FAILED, push_lines, with_names
from astica_sync.core.model import Problem
from astica_sync.sync.push.push import PushResult
from tests.harness.shell import Shell


def push_progress(monkeypatch: pytest.MonkeyPatch, *, one_place: bool) -> tuple[PushProgress, list[float]]:
    """The progress of a push with its clock."""
    monkeypatch.setattr(progress, "_is_one_place", lambda: one_place)
    shown, now = PushProgress(), [0.0]
    monkeypatch.setattr(shown, "ticks", lambda: now[0])
    return shown, now


def test_the_failures_of_a_short_push_are_left_to_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, now = push_progress(monkeypatch, one_place=True)
    shown.failed("Can", "Can/1.png", "bad")
    shown.tick()
    assert capsys.readouterr().err == ""
    now[0] = SHORT_PUSH + 1
    shown.tick()
    assert capsys.readouterr().err.count("Can/1.png: bad\n") == 1
    shown.failed("Can", "Can/2.png", "bad")
    assert capsys.readouterr().err.count("Can/2.png: bad\n") == 1


def test_failures_that_no_list_in_the_same_place_has_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, _ = push_progress(monkeypatch, one_place=False)
    shown.failed("Can", "Can/1.png", "bad")
    assert "Can/1.png: bad" in capsys.readouterr().err
    shown, _ = push_progress(monkeypatch, one_place=True)
    for number in range(MOST_FAILED + 1):
        shown.failed("Can", f"Can/{number}.png", "bad")
    assert capsys.readouterr().err.count(": bad") == MOST_FAILED + 1


def test_the_samples_of_a_question_are_not_listed_after_it() -> None:
    sample = SimpleNamespace(class_title="Can", path="Can/1.png", sample_id=7, why=None)
    refusal: Any = SimpleNamespace(samples=[sample], uploads=[], given_up=[], kept_back="removed", reason="too many")
    [(_, names)] = with_names([refusal], lambda _: "")
    pushed = PushResult(refusals=[refusal])
    assert any("Can/1.png" in line for line in push_lines(pushed, None))
    after = push_lines(pushed, None, seen=names)
    assert not any("Can/1.png" in line for line in after) and any("too many" in line for line in after)


def test_a_class_that_cannot_be_read_is_named_in_a_sentence() -> None:
    problem = Problem("private", "cannot be read: Permission denied; fix the permissions: chmod u+rx /s/private")
    text = "\n".join(push_lines(PushResult(problems=[problem]), None))
    expected = (
        "Class 'private' cannot be synced: its folder cannot be read (Permission denied). Fix the permissions: chmod"
    )
    assert expected in text


def test_trust_that_is_not_confirmed_says_so(shell: Shell, store: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astica_sync.cli.start.trust.foreign_owners", lambda _: {4321})
    ran = shell("trust", "--owner", "--store", str(store))
    assert "nothing was allowed, since this was not confirmed: Allow " in " ".join(ran.err.split())
    assert "To allow it, run the same command with --yes." in ran.err
