"""The price of a plan: every request of the push that carries it out."""

import pytest

from astica_sync.core.plan.count_requests import push_price
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan, RemoveClass, RemoveSample, Upload, Waiting


def upload(name: str) -> Upload:
    return Upload(f"{name:0>32}-00000000", "Can", f"Can/{name}.png", 1)


def price(plan: Plan, *, batch_size: int = 10, limit: int = 90) -> int:
    return push_price(plan, [], batch_size=batch_size, limit=limit)


@pytest.mark.parametrize(
    ("plan", "requests"),
    [
        (Plan(), 1),
        (Plan(uploads=(upload("a"),)), 2),
        (Plan(uploads=(upload("a"),), first_upload_alone=True), 3),
        (Plan(uploads=(upload("a"), upload("b")), first_upload_alone=True, sizes_unproven=True), 5),
        (Plan(uploads=tuple(map(upload, "abcdefghij"))), 11),
        (Plan(uploads=tuple(map(upload, "abcdefghijk"))), 13),
        (Plan(uploads=tuple(map(upload, "abc")), later=18), 24),
        (Plan(waiting=(Waiting("x", "Can", "sent", 0.0),)), 2),
        (Plan(class_removals=(RemoveClass("Can", 1, ()),)), 3),
    ],
)
def test_the_price_of_a_plan(plan: Plan, requests: int) -> None:
    assert price(plan) == requests


def removal(number: int) -> RemoveSample:
    return RemoveSample(f"{number:032x}-00000000", "Can", number, 1, RemovalReason.ABSENT, f"Can/{number}.png")


@pytest.mark.parametrize(("limit", "requests"), [(1, 4), (2, 3), (90, 3)])
def test_a_class_is_removed_as_a_whole_where_the_limit_has_room_for_its_view(limit: int, requests: int) -> None:
    plan = Plan(class_removals=(RemoveClass("Can", 1, (removal(1), removal(2), removal(3))),))
    assert price(plan, limit=limit) == requests


def test_what_the_guard_refuses_costs_nothing() -> None:
    plan = Plan(uploads=(upload("a"), upload("b")), removals=(removal(1),))
    removals = Refusal("too many", (removal(1),))
    repeats = Refusal("the model was emptied", (), (upload("a"),))
    assert push_price(plan, [], batch_size=10, limit=90) == 4
    assert push_price(plan, [removals], batch_size=10, limit=90) == 3
    assert push_price(plan, [removals, repeats], batch_size=10, limit=90) == 2
