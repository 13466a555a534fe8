"""Carries out a plan. With the steps next to it, this is the only code that changes samples on the service.

The journal is written before each request and after each answer.
"""

from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.plan_subset import marks_to_forget, with_confirmed_places
from astica_sync.sync.apply.adoption import adopt_samples, forget_marks, give_up_samples
from astica_sync.sync.apply.circuit_breaker import CircuitBreaker
from astica_sync.sync.apply.class_removal import remove_classes
from astica_sync.sync.apply.conversion import convert_images
from astica_sync.sync.apply.pipeline import Pipeline
from astica_sync.sync.apply.removal import remove_samples
from astica_sync.sync.apply.result import ApplyResult
from astica_sync.sync.apply.upload import upload_samples
from astica_sync.sync.session import Session


def apply_plan(session: Session, plan: Plan, *, removals: bool, breaker: CircuitBreaker | None = None) -> ApplyResult:
    """Converts, adopts, forgets and gives up, uploads, removes samples, removes classes.

    A sample's failure is in the result. What ends the run early is in ``error``, after everything under way was
    recorded, or parked in the journal as attempted.

    Args:
        removals: False where the guard refused the removals, or what would be given up.
        breaker: shared by plans that are parts of one.

    Raises:
        DatabaseError: the journal cannot be written; nothing was sent for the samples concerned.
    """
    local, remote, runtime, listener = session.local, session.remote, session.runtime, session.listener
    pipeline = Pipeline(
        runtime.workers,
        remote.service,
        runtime.clock,
        breaker or CircuitBreaker(),
        runtime.stopping,
        listener.next_request,
    )
    from_backup = session.target is not None

    result = convert_images(local, runtime.clock, plan.conversions, from_backup=from_backup)
    result.include(adopt_samples(local, runtime.clock, plan.adopts, from_backup=from_backup))
    failed = {(one.class_title, one.path) for one in result.failed}
    forget_marks(local.journal, marks_to_forget(plan, failed))
    if removals:
        give_up_samples(local.journal, runtime.clock, plan.given_up)
        result.given_up += plan.given_up
    result.include(upload_samples(plan.uploads, pipeline, local, remote, listener, from_backup=from_backup))
    if not removals or result.error is not None:
        return result
    # A sample that moved leaves its old place only after its new one is confirmed.
    confirmed = with_confirmed_places(plan, result.uploaded)
    result.left += len(plan.removed) - len(confirmed.removed)
    result.include(remove_samples(confirmed.removals, pipeline, local, remote, listener))
    if result.error is not None:
        result.left += sum(len(entry.samples) for entry in confirmed.class_removals)
        return result
    result.include(remove_classes(confirmed.class_removals, pipeline, local, remote, listener, session.target))
    return result
