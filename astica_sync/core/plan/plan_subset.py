"""Plans made of a plan: what a round leaves out is another plan, made by one of these functions."""

from collections import Counter
from collections.abc import Callable, Collection, Container
from dataclasses import replace

from astica_sync.core.model import content_of, is_uid
from astica_sync.core.plan.decision_table import CONFIRMED
from astica_sync.core.plan.plan import Plan, RemoveSample, Upload, Waiting
from astica_sync.core.plan.upload_before_removal import uploads_before, uploads_by_content


def with_uploads(plan: Plan, chosen: Container[str]) -> Plan:
    """The uploads whose uids are in ``chosen`` alone, and without the removals that wait for one of the others."""
    places = uploads_by_content(plan.uploads)

    def ready(removal: RemoveSample) -> bool:
        return all(uid in chosen for uid in uploads_before(removal, places))

    return replace(_with_removals(plan, ready), uploads=tuple(one for one in plan.uploads if one.uid in chosen))


def without_uploads(plan: Plan, left_out: Container[str | int]) -> Plan:
    """Without the uploads whose uids are in ``left_out``, and without the removals that wait for them."""
    if not any(upload.uid in left_out for upload in plan.uploads):
        return plan
    return with_uploads(plan, {upload.uid for upload in plan.uploads if upload.uid not in left_out})


def without_repeats(plan: Plan, repeats: Collection[str]) -> Plan:
    """Without the repeated uploads that the guard refuses. A view that the guard doubts makes no mark forgotten."""
    return replace(without_uploads(plan, repeats), forgets=()) if repeats else plan


def without_lost(plan: Plan, lost: Collection[str | int]) -> Plan:
    """Without the uploads (by uid) and removals (by sample id) in ``lost``."""
    if not lost:
        return plan
    return _with_removals(without_uploads(plan, lost), lambda removal: removal.sample_id not in lost)


def with_confirmed_places(plan: Plan, confirmed: Container[str]) -> Plan:
    """Without the removals that wait for uploads which are not ``confirmed``: a sample that moved to another class
    leaves its old place only when the service has it in the new one."""
    places = uploads_by_content(plan.uploads)
    return _with_removals(plan, lambda removal: all(uid in confirmed for uid in uploads_before(removal, places)))


def with_confirmed_removals(plan: Plan, allowed: Container[int] | None = None) -> Plan:
    """The same plan, its removals marked as allowed by the user: those of the sample ids in ``allowed``, or all."""

    def mark(removal: RemoveSample) -> RemoveSample:
        return replace(removal, confirmed=True) if allowed is None or removal.sample_id in allowed else removal

    return replace(
        plan,
        removals=tuple(map(mark, plan.removals)),
        class_removals=tuple(replace(entry, samples=tuple(map(mark, entry.samples))) for entry in plan.class_removals),
    )


def sent_since_view(plan: Plan, asked_at: float, quarantine: float) -> list[Waiting]:
    """The samples that were sent after the view was asked for (``asked_at``), and that the service has confirmed. A
    view that was asked for later and lacks one lags behind: such a sample is not among them."""
    # The wait of a confirmed sample ends a quarantine after it was sent.
    return [one for one in plan.waiting if one.reason == CONFIRMED and one.until - quarantine >= asked_at]


def with_sent_as_managed(plan: Plan, sent: Collection[Waiting]) -> Plan:
    """With these samples counted as managed ones on the service: they wait for nothing but a view."""
    uids, classes = {one.uid for one in sent}, dict(plan.classes)
    for title, number in Counter(one.class_title for one in sent).items():
        count = classes[title]
        classes[title] = replace(count, managed=count.managed + number, wait=count.wait - number)
    return replace(plan, waiting=tuple(one for one in plan.waiting if one.uid not in uids), classes=classes)


def marks_to_forget(plan: Plan, failed: Container[tuple[str, str]]) -> tuple[str, ...]:
    """The plan's forgets without those whose sample may be the one that is to be adopted for the same image in a class
    of almost the same name: until that is marked, the old mark alone says that this store has sent it.

    Args:
        failed: class titles and paths of the adoptions that failed.
    """
    unsettled = {content_of(one.uid) for one in plan.conversions}
    unsettled |= {content_of(one.uid) for one in plan.adopts if (one.class_title, one.path) in failed}
    return tuple(uid for uid in plan.forgets if not (is_uid(uid) and content_of(uid) in unsettled))


def first_upload_only(plan: Plan) -> Plan:
    """Everything that needs no request, and the first upload."""
    return Plan(adopts=plan.adopts, conversions=plan.conversions, forgets=plan.forgets, uploads=plan.uploads[:1])


def after_uploads(plan: Plan, tried: int, confirmed: Container[str]) -> Plan:
    """What remains of a plan after the steps without a request and the first ``tried`` uploads: without the removals
    that wait for one of these which is not ``confirmed``."""
    failed = {upload.uid for upload in plan.uploads[:tried] if upload.uid not in confirmed}
    return replace(without_uploads(plan, failed), adopts=(), forgets=(), uploads=plan.uploads[tried:])


def left_out(plan: Plan, subset: Plan) -> list[Upload | RemoveSample]:
    """The uploads and removals of the plan that are not in the subset."""
    uids = {upload.uid for upload in subset.uploads}
    ids = {removal.sample_id for removal in subset.removed}
    uploads: list[Upload | RemoveSample] = [upload for upload in plan.uploads if upload.uid not in uids]
    return [*uploads, *(removal for removal in plan.removed if removal.sample_id not in ids)]


def _with_removals(plan: Plan, keep: Callable[[RemoveSample], bool]) -> Plan:
    """The removals that pass the test; a class is removed only where all its samples pass."""
    return replace(
        plan,
        removals=tuple(removal for removal in plan.removals if keep(removal)),
        class_removals=tuple(entry for entry in plan.class_removals if all(keep(removal) for removal in entry.samples)),
    )
