"""The guard before a massacre (promise 7)."""

import pytest

from astica_sync.core.plan.guard import Allowance, find_refusals, find_repeats
from astica_sync.core.plan.planner import ClassCount, Plan, RemovalReason, RemoveClass, RemoveSample, Upload


def plan_of(
    removed: int, managed: int, *, why: RemovalReason = RemovalReason.ABSENT, local: int = 100, class_local: int = 1
) -> Plan:
    removals = [RemoveSample(f"{i:032x}-00000000", "Can", i, 1, why, f"Can/{i}.jpg") for i in range(removed)]
    classes = {"Can": ClassCount(local=class_local, managed=removed * 2), "Bottle": ClassCount(local=local)}
    classes["Bottle"].managed = managed - classes["Can"].managed
    return Plan(removals=removals, classes=classes)


def reasons(plan: Plan, allowance: Allowance | None = None) -> list[str]:
    return [refusal.reason for refusal in find_refusals(plan, allowance or Allowance())]


def test_a_few_removals_pass():
    assert reasons(plan_of(10, 20)) == []
    assert reasons(plan_of(100, 1000)) == []


@pytest.mark.parametrize(("removed", "managed"), [(11, 100), (101, 1000)])
def test_more_than_ten_and_more_than_a_tenth_is_refused_with_every_name(removed, managed):
    (refusal,) = find_refusals(plan_of(removed, managed), Allowance())
    assert f"{removed} samples of {managed} would go" in refusal.reason
    assert len(refusal.samples) == removed


def test_more_than_half_of_a_class_is_refused():
    plan = plan_of(30, 1000)
    plan.classes["Can"].managed = 40
    assert reasons(plan) == ["class 'Can' would lose 30 of 40; 20 may go without a word"]


def test_a_class_that_is_gone_is_refused_however_small():
    assert reasons(plan_of(1, 100, class_local=0)) == ["class 'Can' has vanished or is empty"]


def test_a_class_that_was_renamed_is_no_vanished_one():
    assert reasons(plan_of(5, 100, class_local=0, why=RemovalReason.MOVED)) == []


def test_a_store_without_a_sample_is_refused_however_few_would_go():
    assert reasons(plan_of(1, 2, local=0, class_local=0))[0].startswith("the store holds no sample at all; 1 sample")


def test_an_empty_store_is_refused_even_with_a_number():
    assert reasons(plan_of(1, 2, local=0, class_local=0), Allowance(at_most=100)) != []


def test_a_number_replaces_the_shares():
    assert reasons(plan_of(50, 100), Allowance(at_most=50)) == []
    assert reasons(plan_of(2, 1000), Allowance(at_most=1)) == ["2 samples would go, 1 may"]


def test_yes_lets_everything_go():
    assert reasons(plan_of(50, 50, local=0, class_local=0), Allowance(all=True)) == []


def test_samples_that_go_with_their_class_count_too():
    plan = plan_of(20, 100)
    plan.class_removals = [RemoveClass("Can", 1, tuple(plan.removals))]
    plan.removals = []
    assert reasons(plan)[0].startswith("20 samples of 100")


def test_a_plan_without_removals_is_never_refused():
    assert reasons(Plan()) == []


def test_samples_that_go_for_being_ignored_are_refused_however_few():
    assert reasons(plan_of(1, 100, why=RemovalReason.IGNORED)) == ["1 sample would go for being ignored now"]


def missing(again: int, shown: int, new: int = 0) -> Plan:
    uploads = [Upload(f"{i:032x}-00000000", "Can", f"Can/{i}.jpg", 9, again=i < again) for i in range(again + new)]
    return Plan(uploads=uploads, classes={"Can": ClassCount(local=again + shown + new, managed=shown)})


def test_a_service_that_shows_less_than_it_lacks_gets_nothing_again_without_a_word():
    (refusal,) = find_repeats(missing(20, 19, new=5), Allowance())
    assert refusal.reason == "the service shows 19 of 39 samples that it had; it may not be telling the truth"
    assert refusal.kept_back == "sent again"
    assert len(refusal.uploads) == 20 and all(upload.again for upload in refusal.uploads)
    assert find_refusals(missing(20, 0), Allowance()) == []


@pytest.mark.parametrize("plan", [missing(10, 0), missing(20, 20), missing(0, 0, new=1000), Plan()])
def test_what_is_new_or_little_is_sent(plan):
    assert find_repeats(plan, Allowance()) == []


def test_a_word_lets_everything_be_sent_again_and_a_number_of_removals_does_not():
    assert find_repeats(missing(2000, 0), Allowance(all=True)) == []
    assert len(find_repeats(missing(2000, 0), Allowance(at_most=5000))) == 1


def test_a_refusal_says_what_is_kept_back():
    assert find_refusals(plan_of(11, 100), Allowance())[0].kept_back == "removed"
