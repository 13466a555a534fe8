"""What a push costs: every request that it sends, its own views included."""

import math
from collections.abc import Sequence

from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import CLASS_REMOVE_COST, Plan
from astica_sync.core.plan.plan_subset import without_repeats


def allowed_part(plan: Plan, refusals: Sequence[Refusal]) -> Plan:
    """The part of the plan that a push carries out where no user confirms what the guard refuses."""
    if not refusals:
        return plan
    rest = without_repeats(plan, {upload.uid for refusal in refusals for upload in refusal.uploads})
    return Plan(
        adopts=rest.adopts,
        uploads=rest.uploads,
        waiting=rest.waiting,
        later=rest.later,
        first_upload_alone=rest.first_upload_alone,
        sizes_unproven=rest.sizes_unproven,
    )


def push_price(plan: Plan, refusals: Sequence[Refusal], *, batch_size: int, limit: int) -> int:
    """The requests of a push that begins now, if nothing changes meanwhile and each is answered.

    What follows a wait depends on what the service shows then: the price has the view that ends it and no more. So it
    has one view of the first upload, although a service may show that late.

    Args:
        batch_size: how many new samples a push plans at a time; each further batch begins with a view.
        limit: how many requests the service allows in one window.
    """
    plan = allowed_part(plan, refusals)
    uploads = len(plan.uploads) + plan.later
    views = max(1, math.ceil(uploads / batch_size))
    if plan.uploads and plan.first_upload_alone:
        # The others are planned again once it is known how the service shows sizes.
        views += 1 + plan.sizes_unproven
    if plan.waiting:
        views += 1
    classes = sum(CLASS_REMOVE_COST if limit >= CLASS_REMOVE_COST else len(one.samples) for one in plan.class_removals)
    return views + uploads + len(plan.removals) + classes
