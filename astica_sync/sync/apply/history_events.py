"""Entries of the journal's history about what a plan did to one sample.

A removal has its reason, which the guard counts for a day: ``RemovalReason``, and whether the user allowed it.
"""

from astica_sync.core.plan.plan import Adopt, RemoveSample, Upload
from astica_sync.errors import Outcome, RemoteError
from astica_sync.local.db.journal import Event


def event_of(
    action: str,
    sample: Upload | RemoveSample | Adopt,
    now: float,
    run: str,
    error: BaseException | None = None,
    class_title: str | None = None,
) -> Event:
    """The event of one action about one sample; ``class_title`` where it is not the sample's own."""
    outcome = "done"
    if isinstance(error, RemoteError):
        outcome = str(error.outcome)
    elif error is not None:
        outcome = str(Outcome.NOT_DONE)
    return Event(
        now,
        run,
        action,
        sample.class_title if class_title is None else class_title,
        sample.uid,
        sample.path,
        None if isinstance(sample, Upload) else sample.sample_id,
        outcome,
        _reason(sample, error),
    )


def _reason(sample: Upload | RemoveSample | Adopt, error: BaseException | None) -> str:
    if not isinstance(sample, RemoveSample):
        return "" if error is None else str(error)
    # The guard counts a removal without an answer as well.
    return removal_reason(sample) if error is None else f"{removal_reason(sample)}: {error}"


def removal_reason(removal: RemoveSample) -> str:
    """What the history says about a removal that was done."""
    return f"{removal.why}; confirmed" if removal.confirmed else str(removal.why)
