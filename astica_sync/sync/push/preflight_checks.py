"""The checks that a push makes of each sample just before its request, made for a status: what would fail, and why.

They read whole images, so they take a limited time; how many were not made is in the result.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from astica_sync.core.model import Problem, content_of
from astica_sync.core.plan.count_requests import push_price
from astica_sync.core.plan.plan import Held, Plan, RemoveSample, Upload
from astica_sync.core.plan.plan_subset import without_uploads
from astica_sync.errors import StoreError
from astica_sync.sync.apply.removal import SUPERFLUOUS
from astica_sync.sync.apply.upload import check_image
from astica_sync.sync.plan.find_status import StoreStatus
from astica_sync.sync.session import LocalSide, Session

AT_ONCE = 8


def check_samples(session: Session, status: StoreStatus, seconds: float, *, from_backup: bool = False) -> StoreStatus:
    """The status without the requests that a push would not send, since the check of their sample fails.

    Args:
        seconds: about how long the checks may take; the first one is made in any case.
        from_backup: the images to send are those of a version, from the backup.
    """
    plan = status.plan
    if not plan.uploads and not plan.removed:
        return status
    session.listener.phase("Checking the images")
    formats = session.local.index.formats_of([content_of(one.uid) for one in plan.uploads])
    reason_against = partial(_reason_against_upload, session.local, formats, from_backup)
    try:
        checks: deque[tuple[str | int, Callable[[], str]]] = deque(
            [(one.uid, partial(reason_against, one)) for one in plan.uploads]
            + [(one.sample_id, partial(_reason_against_removal, session.local, one)) for one in plan.removed]
        )
        reasons, unchecked = _run(session, checks, seconds)
    finally:
        session.listener.phase_ended()
    rejected = [Problem(one.path, reason) for one in plan.uploads if (reason := reasons.get(one.uid))]
    plan = _without_damaged(_without_rejected(plan, reasons), reasons)
    return replace(status, plan=plan, rejected=rejected, unchecked=unchecked)


def with_retries(status: StoreStatus) -> StoreStatus:
    """The status of a push that tries the samples again which failed before."""
    plan = status.plan
    uploads = tuple(sorted([*plan.uploads, *plan.failed_before], key=lambda upload: upload.path))
    return replace(status, plan=replace(plan, uploads=uploads, failed_before=()))


def requests_of(session: Session, status: StoreStatus) -> int:
    """What a push sends from now on, its own views included; see ``push_price``."""
    return push_price(
        status.plan,
        status.refusals,
        batch_size=session.policy.batch_size,
        limit=session.remote.service.limit,
    )


def _run(
    session: Session, checks: deque[tuple[str | int, Callable[[], str]]], seconds: float
) -> tuple[dict[str | int, str], int]:
    """The reasons that were found, and how many checks were not made."""
    clock, workers = session.runtime.clock, session.runtime.workers
    give_up = clock.now() + seconds
    reasons: dict[str | int, str] = {}
    running = done = 0
    run = object()
    while running or checks:
        while checks and running < AT_ONCE and (clock.now() < give_up or not (running or done)):
            name, check = checks.popleft()
            workers.submit(check, (run, name))
            running += 1
        if not running or session.runtime.stopping():
            break
        result = workers.next_done(1.0)
        if result is not None and result.tag[0] is run:
            running, done = running - 1, done + 1
            if result.error is not None:
                raise result.error
            if result.value:
                reasons[result.tag[1]] = result.value
            session.listener.scanned(done, 0)
    return reasons, len(checks) + running


def _reason_against_upload(local: LocalSide, formats: Mapping[str, str], from_backup: bool, upload: Upload) -> str:
    content = content_of(upload.uid)
    try:
        if from_backup:
            local.backup.read(content)
        else:
            check_image(local, upload, formats.get(content, ""))
    except StoreError as error:
        if error.stops_run:
            raise
        return error.text_with_hint
    return ""


def _reason_against_removal(local: LocalSide, removal: RemoveSample) -> str:
    # A damaged copy of an image that the store has is repaired by the push.
    reason = None if removal.why in SUPERFLUOUS else local.backup.check(content_of(removal.uid))
    return f"its backup copy is damaged: {reason}" if reason else ""


def _without_rejected(plan: Plan, reasons: dict[str | int, str]) -> Plan:
    counts = Counter(upload.class_title for upload in plan.uploads if upload.uid in reasons)
    if not counts:
        return plan
    classes = {
        title: replace(count, upload=count.upload - counts[title]) if counts[title] else count
        for title, count in plan.classes.items()
    }
    rest = without_uploads(plan, reasons)
    return replace(rest, classes=classes, first_upload_alone=rest.first_upload_alone and bool(rest.uploads))


def _without_damaged(plan: Plan, reasons: dict[str | int, str]) -> Plan:
    """A class that has samples which stay is not removed as a whole."""
    damaged = [removal for removal in plan.removed if removal.sample_id in reasons]
    if not damaged:
        return plan
    whole = [entry for entry in plan.class_removals if not any(one.sample_id in reasons for one in entry.samples)]
    single = [one for entry in plan.class_removals if entry not in whole for one in entry.samples]
    held = [Held(one.uid, one.class_title, one.sample_id, reasons[one.sample_id], one.path) for one in damaged]
    return replace(
        plan,
        removals=tuple(one for one in [*plan.removals, *single] if one.sample_id not in reasons),
        class_removals=tuple(whole),
        held=(*plan.held, *held),
    )
