"""What the service has confirmed after the view that a status compares with: that view cannot show it."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from astica_sync.core.plan.decision_table import CONFIRMED
from astica_sync.core.plan.plan import ClassCount, Plan, Waiting

if TYPE_CHECKING:
    from astica_sync.sync.plan.find_status import StoreStatus


def find_sent_since(plan: Plan, asked_at: float, quarantine: float) -> list[Waiting]:
    """The samples that were sent after the view was asked for (``asked_at``), and that the service has confirmed. A
    view that was asked for later and lacks one lags behind: such a sample is not among them."""
    # The wait of a confirmed sample ends a quarantine after it was sent.
    return [one for one in plan.waiting if one.reason == CONFIRMED and one.until - quarantine >= asked_at]


def count_sent_since(status: "StoreStatus", quarantine: float) -> "tuple[StoreStatus, int]":
    """The status with these samples counted as managed ones on the service, and their number."""
    plan = status.plan
    sent = {id(one) for one in find_sent_since(plan, status.observation.asked_at, quarantine)}
    if not sent:
        return status, 0
    classes = dict(plan.classes)
    for title, number in Counter(one.class_title for one in plan.waiting if id(one) in sent).items():
        count = classes.get(title, ClassCount(wait=number))
        classes[title] = replace(count, managed=count.managed + number, wait=count.wait - number)
    waiting = tuple(one for one in plan.waiting if id(one) not in sent)
    return replace(status, plan=replace(plan, waiting=waiting, classes=classes)), len(sent)
