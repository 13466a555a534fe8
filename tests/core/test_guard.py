"""The guard against unusually large removals (promise 7)."""

from dataclasses import replace

import pytest

from astica_sync.core.plan.count_requests import allowed_part
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.guard import Allowance, RecentRemovals, check_reconversions, check_removals, check_repeats
from astica_sync.core.plan.plan import ClassCount, Plan, RemoveClass, RemoveSample, Upload


def plan_of(
    removed: int, managed: int, *, why: RemovalReason = RemovalReason.ABSENT, local: int = 100, class_local: int = 1
) -> Plan:
    removals = tuple(RemoveSample(f"{i:032x}-00000000", "Can", i, 1, why, f"Can/{i}.jpg") for i in range(removed))
    classes = {
        "Can": ClassCount(local=class_local, managed=removed * 2),
        "Bottle": ClassCount(local=local, managed=managed - removed * 2),
    }
    return Plan(removals=removals, classes=classes)


def reasons(plan: Plan, allowance: Allowance | None = None) -> list[str]:
    return [refusal.reason for refusal in check_removals(plan, allowance or Allowance())]


def test_a_few_removals_pass():
    assert reasons(plan_of(10, 20)) == []
    assert reasons(plan_of(100, 1000)) == []


@pytest.mark.parametrize(("removed", "managed"), [(11, 100), (101, 1000)])
def test_more_than_ten_and_more_than_a_tenth_is_refused_with_all_names(removed, managed):
    (refusal,) = check_removals(plan_of(removed, managed), Allowance())
    assert f"{removed} samples of {managed} would be removed" in refusal.reason
    assert len(refusal.samples) == removed


def test_more_than_half_of_a_class_is_refused():
    plan = plan_of(30, 1000)
    plan = replace(plan, classes={**plan.classes, "Can": ClassCount(local=1, managed=40)})
    assert reasons(plan) == ["class 'Can' would lose 30 of 40 samples; at most 20 are removed without confirmation"]


def test_a_missing_class_is_refused_even_a_small_one():
    assert reasons(plan_of(1, 100, class_local=0)) == ["class 'Can' is missing or empty in the store"]


def test_a_renamed_class_is_not_a_missing_one():
    assert reasons(plan_of(5, 100, class_local=0, why=RemovalReason.MOVED)) == []


def test_an_empty_store_is_refused_even_for_one_removal():
    assert reasons(plan_of(1, 2, local=0, class_local=0))[0].startswith("the store has no samples; 1 sample")


def test_an_empty_store_is_refused_even_with_max_remove():
    assert reasons(plan_of(1, 2, local=0, class_local=0), Allowance(at_most=100)) != []


def test_max_remove_replaces_the_shares():
    assert reasons(plan_of(50, 100), Allowance(at_most=50)) == []
    assert reasons(plan_of(2, 1000), Allowance(at_most=1)) == ["2 samples would be removed; --max-remove allows 1"]


def test_yes_allows_every_removal():
    assert reasons(plan_of(50, 50, local=0, class_local=0), Allowance(all=True)) == []


def test_samples_removed_with_their_class_count():
    plan = plan_of(20, 100)
    plan = replace(plan, class_removals=(RemoveClass("Can", 1, plan.removals),), removals=())
    assert reasons(plan)[0].startswith("20 samples of 100")


def test_a_plan_without_removals_is_never_refused():
    assert reasons(Plan()) == []


def test_removing_ignored_files_is_refused_even_for_one():
    assert reasons(plan_of(1, 100, why=RemovalReason.IGNORED)) == [
        "1 sample would be removed because their files are left out now, as litter or by .astica-ignore"
    ]


def missing(again: int, shown: int, new: int = 0) -> Plan:
    uploads = tuple(Upload(f"{i:032x}-00000000", "Can", f"Can/{i}.jpg", 9, again=i < again) for i in range(again + new))
    return Plan(uploads=uploads, classes={"Can": ClassCount(local=again + shown + new, managed=shown)})


def test_a_service_that_shows_less_than_it_lacks_gets_no_repeats_without_confirmation():
    (refusal,) = check_repeats(missing(20, 19, new=5), Allowance())
    assert refusal.reason == "the service shows 19 of 39 samples that it had; its answer may be wrong"
    assert refusal.kept_back == "sent again"
    assert len(refusal.uploads) == 20 and all(upload.again for upload in refusal.uploads)
    assert check_removals(missing(20, 0), Allowance()) == []


@pytest.mark.parametrize("plan", [missing(10, 0), missing(20, 20), missing(0, 0, new=1000), Plan()])
def test_new_samples_and_a_few_repeats_are_sent(plan):
    assert check_repeats(plan, Allowance()) == []


def test_yes_allows_repeats_and_max_remove_does_not():
    assert check_repeats(missing(2000, 0), Allowance(all=True)) == []
    assert len(check_repeats(missing(2000, 0), Allowance(at_most=5000))) == 1


def test_a_refusal_says_what_is_kept_back():
    assert check_removals(plan_of(11, 100), Allowance())[0].kept_back == "removed"


def recent(can: int) -> RecentRemovals:
    return RecentRemovals({"Can": can})


def test_what_was_removed_in_the_last_day_counts() -> None:
    """A folder that loses three files before each push is noticed at the fourth."""
    assert check_removals(plan_of(3, 91), Allowance(), recent(7)) == []
    refusals = check_removals(plan_of(3, 88), Allowance(), recent(10))
    assert refusals[0].reason == (
        "3 samples of 88 would be removed, after 10 removals in the last 24 hours; "
        "at most 10 are removed without confirmation"
    )


def test_the_share_is_that_of_what_was_there_a_day_ago() -> None:
    elsewhere = RecentRemovals({"Bottle": 50})
    assert check_removals(plan_of(50, 950), Allowance(), elsewhere) == []
    assert len(check_removals(plan_of(51, 950), Allowance(), elsewhere)) == 1


def test_a_class_that_shrinks_slowly_is_noticed() -> None:
    plan = plan_of(5, 1000)
    plan = replace(plan, classes={**plan.classes, "Can": ClassCount(local=10, managed=30)})
    assert check_removals(plan, Allowance(), recent(15)) == []
    (refusal,) = check_removals(plan, Allowance(), recent(30))
    assert refusal.reason == (
        "class 'Can' would lose 5 of 30 samples, after 30 removals in the last 24 hours; "
        "at most 30 are removed without confirmation"
    )


@pytest.mark.parametrize("why", [RemovalReason.MOVED, RemovalReason.REPLACED])
def test_moves_and_replaced_images_are_not_added_to_earlier_removals(why: RemovalReason) -> None:
    assert check_removals(plan_of(9, 1000, why=why), Allowance(), recent(100)) == []


def test_what_earlier_removals_do_not_count_against_they_are_no_share_of_either() -> None:
    (refusal,) = check_removals(plan_of(101, 1000, why=RemovalReason.EXTRA), Allowance(), recent(100))
    assert refusal.reason == "101 samples of 1000 would be removed; at most 100 are removed without confirmation"
    plan = plan_of(60, 1000, why=RemovalReason.EXTRA)
    plan = replace(plan, classes={**plan.classes, "Can": ClassCount(local=1, managed=100)})
    (refusal,) = check_removals(plan, Allowance(), recent(100))
    assert refusal.reason == "class 'Can' would lose 60 of 100 samples; at most 50 are removed without confirmation"


def test_what_split_has_moved_needs_no_allowance() -> None:
    assert check_removals(plan_of(90, 100, why=RemovalReason.HELD_OUT), Allowance(), recent(10)) == []
    plan = plan_of(90, 100, why=RemovalReason.HELD_OUT)
    others = tuple(replace(one, why=RemovalReason.ABSENT) for one in plan.removals[:11])
    (refusal,) = check_removals(replace(plan, removals=plan.removals[11:] + others), Allowance())
    assert refusal.samples == others


def test_max_remove_and_yes_ask_for_no_memory() -> None:
    assert check_removals(plan_of(5, 100), Allowance(at_most=5), recent(100)) == []
    assert check_removals(plan_of(5, 100), Allowance(all=True), recent(100)) == []


def reconverted(number: int, managed: int) -> Plan:
    plan = plan_of(number, managed, why=RemovalReason.RECONVERTED)
    uploads = tuple(Upload(f"{i:032x}-11111111", "Can", f"Can/{i}.tif", 9, reconverted=True) for i in range(number))
    others = (Upload("f" * 32 + "-11111111", "Can", "Can/new.png", 9),)
    return replace(plan, uploads=uploads + others)


def test_a_few_images_of_another_recipe_are_replaced_and_of_many_nothing_is_sent() -> None:
    for number, managed in ((10, 20), (100, 1000)):
        assert check_reconversions(reconverted(number, managed), Allowance()) == []
    plan = reconverted(11, 100)
    (refusal,) = check_reconversions(plan, Allowance())
    assert refusal.reason == (
        "11 images are converted by another recipe now: 11 requests to send and 11 requests to remove what was sent"
        " before; at most 10 are replaced without confirmation"
    )
    assert refusal.uploads == plan.uploads[:11] and refusal.samples == plan.removals
    assert allowed_part(plan, [refusal]).uploads == plan.uploads[11:] and not allowed_part(plan, [refusal]).removals
    assert check_removals(plan, Allowance()) == [], "the store has lost nothing"


def test_what_is_left_of_a_replacement_is_asked_about_by_itself() -> None:
    plan = reconverted(11, 100)
    (refusal,) = check_reconversions(replace(plan, uploads=()), Allowance())
    assert refusal.reason.startswith(
        "11 images are converted by another recipe now: 0 requests to send and 11 requests"
    )
    (refusal,) = check_reconversions(replace(reconverted(1, 100), removals=()), Allowance(at_most=0))
    assert refusal.reason.startswith("1 image is converted by another recipe now: 1 request to send and 0 requests")


def test_flags_allow_replacements() -> None:
    assert check_reconversions(reconverted(50, 60), Allowance(all=True)) == []
    assert check_reconversions(reconverted(50, 60), Allowance(at_most=50)) == []
    assert check_reconversions(reconverted(51, 60), Allowance(at_most=50)) != []
