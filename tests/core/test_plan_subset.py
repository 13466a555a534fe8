"""Plans made of a plan: what a round leaves out takes with it the removals that depend on it."""

from astica_sync.core.plan.decision_table import CONFIRMED, OUTCOME_UNKNOWN, RemovalReason
from astica_sync.core.plan.plan import Adopt, ClassCount, Conversion, Plan, RemoveClass, RemoveSample, Upload, Waiting
from astica_sync.core.plan.plan_subset import (
    after_uploads,
    first_upload_only,
    left_out,
    marks_to_forget,
    sent_since_view,
    with_confirmed_places,
    with_confirmed_removals,
    with_sent_as_managed,
    with_uploads,
    without_lost,
    without_repeats,
    without_uploads,
)


def upload(number: int) -> Upload:
    return Upload(f"{number:032x}-00000000", "New", f"New/{number}.png", 1)


def removal(number: int, why: RemovalReason) -> RemoveSample:
    return RemoveSample(f"{number:032x}-11111111", "Old", number, 7, why, f"Old/{number}.png")


MOVED, ABSENT = RemovalReason.MOVED, RemovalReason.ABSENT
OLD_CLASS = RemoveClass("Old", 7, (removal(1, MOVED), removal(4, ABSENT)))
OTHER_CLASS = RemoveClass("Other", 8, (removal(5, ABSENT), removal(6, ABSENT)))
PLAN = Plan(
    adopts=(Adopt("a", "New", "New/a.png", 9),),
    uploads=(upload(1), upload(2)),
    removals=(removal(1, MOVED), removal(2, MOVED), removal(3, ABSENT)),
    class_removals=(OLD_CLASS, OTHER_CLASS),
    forgets=("f",),
)


def test_an_upload_that_is_left_out_takes_the_removal_of_the_old_place_with_it() -> None:
    part = with_uploads(PLAN, {upload(2).uid})
    assert part.uploads == (upload(2),)
    assert part.removals == (removal(2, MOVED), removal(3, ABSENT))
    assert part.class_removals == (OTHER_CLASS,)
    assert without_uploads(PLAN, {upload(1).uid}) == part
    assert with_uploads(PLAN, {upload(1).uid, upload(2).uid}) == PLAN


def test_nothing_is_left_out_for_uploads_that_are_not_planned() -> None:
    assert without_uploads(PLAN, {upload(3).uid}) is PLAN
    assert without_repeats(PLAN, set()) is PLAN
    assert without_lost(PLAN, set()) is PLAN


def test_a_refused_repeat_keeps_every_mark() -> None:
    part = without_repeats(PLAN, {upload(1).uid})
    assert (part.uploads, part.forgets, part.adopts) == ((upload(2),), (), PLAN.adopts)


def test_lost_requests_are_left_out_by_uid_and_by_sample_id() -> None:
    part = without_lost(PLAN, {upload(2).uid, 3, 5})
    assert part.uploads == (upload(1),)
    assert part.removals == (removal(1, MOVED),)
    assert part.class_removals == (OLD_CLASS,)
    assert left_out(PLAN, part) == [upload(2), removal(2, MOVED), removal(3, ABSENT), *OTHER_CLASS.samples]


def test_a_sample_leaves_its_old_place_only_when_its_new_one_is_confirmed() -> None:
    part = with_confirmed_places(PLAN, {upload(2).uid})
    assert part.removals == (removal(2, MOVED), removal(3, ABSENT))
    assert part.class_removals == (OTHER_CLASS,)
    assert with_confirmed_places(PLAN, {upload(1).uid, upload(2).uid}) == PLAN


def test_the_old_mark_of_an_image_stays_while_its_sample_is_not_adopted_under_the_new_one() -> None:
    old, other, new = removal(1, ABSENT).uid, removal(2, ABSENT).uid, upload(1).uid
    adopted = Plan(adopts=(Adopt(new, "Can", "Can/a.png", 7),), forgets=(old, other, "forged"))
    assert marks_to_forget(adopted, {("Can", "Can/b.png"), ("can", "Can/a.png")}) == adopted.forgets
    assert marks_to_forget(adopted, {("Can", "Can/a.png")}) == (other, "forged")
    converted = Plan(conversions=(Conversion(new, "Can", "Can/a.png"),), forgets=(old, other))
    assert marks_to_forget(converted, ()) == (other,)


def test_the_first_upload_and_what_follows_it_are_the_whole_plan() -> None:
    first, rest = first_upload_only(PLAN), after_uploads(PLAN, 1, {upload(1).uid})
    assert (first.uploads + rest.uploads, first.adopts, first.forgets) == (PLAN.uploads, PLAN.adopts, PLAN.forgets)
    assert first.removed == []
    assert (rest.adopts, rest.forgets, rest.removals) == ((), (), PLAN.removals)
    assert first_upload_only(Plan()) == Plan()


def test_a_removal_that_waits_for_an_upload_which_failed_before_the_others_is_left_out() -> None:
    rest = after_uploads(PLAN, 1, set())
    assert rest.uploads == (upload(2),)
    assert (rest.removals, rest.class_removals) == ((removal(2, MOVED), removal(3, ABSENT)), (OTHER_CLASS,))
    assert after_uploads(PLAN, 2, {upload(2).uid}).removals == (removal(2, MOVED), removal(3, ABSENT))


def test_confirmed_removals_are_marked_and_nothing_else_changes() -> None:
    confirmed = with_confirmed_removals(PLAN)
    assert all(one.confirmed for one in confirmed.removed)
    assert not any(one.confirmed for one in PLAN.removed)
    assert [one.sample_id for one in confirmed.removed] == [one.sample_id for one in PLAN.removed]
    assert (confirmed.adopts, confirmed.uploads, confirmed.forgets) == (PLAN.adopts, PLAN.uploads, PLAN.forgets)


def test_an_answer_about_some_samples_confirms_the_removal_of_these_alone() -> None:
    named = {PLAN.removed[0].sample_id, PLAN.removed[-1].sample_id}
    confirmed = with_confirmed_removals(PLAN, named)
    assert {one.sample_id for one in confirmed.removed if one.confirmed} == named


def test_what_was_confirmed_after_the_view_counts_as_managed_and_nothing_else_does() -> None:
    """A view asked for at 100, a quarantine of 60 s: a wait until 159 is about a sample that was sent before it."""
    sent = [Waiting("a", "New", CONFIRMED, 160.0), Waiting("b", "Old", CONFIRMED, 200.0)]
    others = [Waiting("c", "New", CONFIRMED, 159.0), Waiting("d", "New", OUTCOME_UNKNOWN, 200.0)]
    counts = {"New": ClassCount(local=5, managed=2, wait=3), "Old": ClassCount(local=1, wait=1)}
    plan = Plan(waiting=(sent[0], *others, sent[1]), classes=counts)
    assert sent_since_view(plan, 100.0, 60.0) == sent
    found = with_sent_as_managed(plan, sent)
    assert found.waiting == tuple(others)
    assert found.classes == {"New": ClassCount(local=5, managed=3, wait=2), "Old": ClassCount(local=1, managed=1)}
    assert with_sent_as_managed(plan, []) == plan
