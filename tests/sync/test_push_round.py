"""The steps of a round that need neither a store nor a service."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Adopt, Plan, RemoveSample, Upload, Waiting
from astica_sync.local.db.journal import BadSample, Journal
from astica_sync.sync.apply.adoption import mark_adopted
from astica_sync.sync.apply.result import ApplyResult
from astica_sync.sync.plan.find_status import StoreStatus
from astica_sync.sync.push.push import LOST_TRIES, LostAnswers
from astica_sync.sync.push.push_round import (
    Round,
    drop_confirmed,
    drop_refused_repeats,
    fail_still_shown,
    next_observation,
)

NOW, QUARANTINE = 1000.0, 60.0


def upload(number: int) -> Upload:
    return Upload(f"{number:032x}-00000000", "Can", f"Can/{number}.png", 1, again=True)


def removal(number: int) -> RemoveSample:
    return RemoveSample(f"{number:032x}-00000000", "Can", number, 7, RemovalReason.ABSENT, f"Can/{number}.png")


def status(plan: Plan, refusals: list[Refusal] | None = None) -> StoreStatus:
    scan: Any = None
    observation = Observation(ModelInfo(7, "m"), NOW, (), ())
    return StoreStatus(scan, observation, plan, refusals or [], [], {}, [])


def test_the_next_observation_waits_for_the_quarantine_of_what_is_doubtful() -> None:
    waiting = Plan(waiting=(Waiting("u", "Can", "sent", NOW + 20.0),))
    assert next_observation(Plan(), ApplyResult(), set(), NOW, QUARANTINE) is None
    assert next_observation(waiting, ApplyResult(), set(), NOW, QUARANTINE) == NOW + 20.0
    # What could not be converted will not be another time, whatever is observed.
    failed = ApplyResult(unconverted={one.uid for one in waiting.waiting})
    assert next_observation(waiting, failed, set(), NOW, QUARANTINE) is None
    doubtful = ApplyResult(doubtful_removals={1})
    assert next_observation(waiting, doubtful, set(), NOW, QUARANTINE) == NOW + QUARANTINE


def test_the_next_batch_of_a_backlog_waits_for_nothing_but_the_first_upload() -> None:
    doubtful = ApplyResult(doubtful_uploads={"u"})
    assert next_observation(Plan(later=3), doubtful, set(), NOW, QUARANTINE) == NOW
    first = Plan(later=3, first_upload_alone=True)
    assert next_observation(first, doubtful, set(), NOW, QUARANTINE) == NOW + QUARANTINE


def test_a_refused_removal_fails_only_when_an_observation_still_shows_it() -> None:
    plan, refused = Plan(removals=(removal(1), removal(2))), ApplyResult(refused={1})
    assert next_observation(plan, refused, set(), NOW, QUARANTINE) == NOW
    assert fail_still_shown(plan, refused, set()) == []
    assert next_observation(plan, refused, {1}, NOW, QUARANTINE) is None
    assert [failed.path for failed in fail_still_shown(plan, refused, {1})] == ["Can/1.png"]


def test_a_confirmed_upload_is_not_sent_again_in_the_same_push() -> None:
    both, one = Refusal("r", uploads=(upload(1), upload(2))), Refusal("r", uploads=(upload(1),))
    before = status(Plan(uploads=(upload(1), upload(2))), [both, one])
    after, failed = drop_confirmed(before, {upload(1).uid})
    assert after.plan.uploads == (upload(2),)
    assert after.refusals == [both], "a refusal about uploads that are not planned any more is none"
    assert [(entry.path, entry.kind) for entry in failed] == [("Can/1.png", "not_shown")]
    assert drop_confirmed(before, set()) == (before, [])


def test_refused_repeats_are_not_sent_and_no_mark_is_forgotten() -> None:
    before = status(Plan(uploads=(upload(1), upload(2)), forgets=("f",)))
    after = drop_refused_repeats(before, [Refusal("r", uploads=(upload(1),))])
    assert (after.plan.uploads, after.plan.forgets) == ((upload(2),), ())
    assert drop_refused_repeats(before, []) == before


def test_requests_whose_answers_are_lost_again_and_again_are_given_up() -> None:
    plan, lost = Plan(uploads=(upload(1), upload(2)), removals=(removal(3),)), LostAnswers()
    doubtful = ApplyResult(doubtful_uploads={upload(1).uid}, doubtful_removals={3})
    ended = Round(status(plan), doubtful, [], None, 0, 0)
    for _ in range(LOST_TRIES):
        assert lost.leave_out(plan) == plan and lost.given_up == []
        lost.count(ended)
    assert lost.leave_out(plan) == replace(plan, uploads=(upload(2),), removals=())
    assert [failed.path for failed in lost.given_up] == ["Can/1.png", "Can/3.png"]


def test_what_was_refused_and_is_shown_all_the_same_is_blocked_no_more(tmp_path: Path) -> None:
    """A service that takes no uid twice refuses what another store has sent."""
    adopt = Adopt(f"{1:032x}-00000000", "Can", "Can/a.png", 7)
    with contextlib.closing(Journal(tmp_path / "journal.db")) as journal:
        journal.set_bad([BadSample(adopt.uid, adopt.class_title, adopt.path, "refused", 1.0)])
        mark_adopted(journal, [adopt], 2.0)
        assert list(journal.bad()) == []
