"""The very first upload of a store, which is checked before the others follow.

Whether the service keeps a uid of 41 characters whole is not documented. Where it cuts them so far that samples
can no longer be distinguished, that must be known before more than one request is spent.
"""

from astica_sync.core.model import CONTENT_LENGTH, Observation, RemoteSample, fold_title
from astica_sync.core.observation.shown_size import fits
from astica_sync.core.plan.plan import Plan, Upload
from astica_sync.core.plan.plan_subset import after_uploads, first_upload_only
from astica_sync.errors import AsticaSyncError, Refused, RemoteError
from astica_sync.local.db.journal import Journal
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.apply.circuit_breaker import CircuitBreaker
from astica_sync.sync.apply.result import ApplyResult
from astica_sync.sync.observe import observe
from astica_sync.sync.plan.find_status import SIZES_SHOWN, UIDS_PROVEN, find_size_of
from astica_sync.sync.session import Session

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two views."""
DISTINCT_LENGTH = 8
"""Characters of a uid that no other one has by chance. With fewer, or none at all, a new sample may be one that
another user adds at the same time, so ours gets the whole quarantine to appear."""
UIDS_CUT = "uids_cut"
"""The journal's key for the id of the sample that the service showed with too short a uid."""


def apply_first_upload(session: Session, plan: Plan, observation: Observation) -> tuple[ApplyResult, int]:
    """Uploads one sample after the other until one is on the service, and checks how the service shows it.

    Returns what that did, and how many uploads of the plan were tried.
    """
    result = ApplyResult()
    tried: list[str] = []
    try:
        refuse_cut_uids(session.local.journal, observation)
    except AsticaSyncError as error:
        result.error = error
        return result, 0
    breaker = CircuitBreaker()
    rest = plan
    while rest.uploads and not (result.uploaded or result.doubtful or result.error):
        upload = rest.uploads[0]
        result.include(apply_plan(session, first_upload_only(rest), removals=False, breaker=breaker))
        tried.append(upload.uid)
        rest = after_uploads(rest, 1, result.uploaded)
        if result.uploaded and result.error is None:
            try:
                prove_uids(session, observation, upload)
            except AsticaSyncError as error:
                result.error = error
    if isinstance(result.error, Refused):
        # The reason of one refusal after the other is the account, and no sample is blocked.
        session.local.journal.clear_bad(tried)
    return result, len(tried)


def refuse_cut_uids(journal: Journal, observation: Observation) -> None:
    """Spends no second upload on a service that was seen to cut uids, as long as the sample that showed it exists.

    Raises:
        RemoteError: it exists.
    """
    cut = journal.get_meta(UIDS_CUT)
    for sample in observation.samples:
        if sample.sample_id == cut:
            raise _too_short(sample)


def forget_cut_uids(journal: Journal) -> None:
    """Forgets that the service cuts uids: the sample that showed it may not have been ours."""
    if journal.get_meta(UIDS_CUT) is not None:
        journal.set_meta(UIDS_CUT, None)


def prove_uids(session: Session, before: Observation, upload: Upload) -> None:
    """Observes until the sample just uploaded appears, and records that the service keeps our uids.

    Raises:
        RemoteError: the service cuts uids too short, or does not show the sample within the quarantine.
        Interrupted: the user asked to stop.
    """
    clock = session.runtime.clock
    # A service may give the id of a removed sample again, which an earlier view still shows.
    known = {(sample.sample_id, sample.uid) for sample in before.samples}
    title = fold_title(upload.class_title)
    pause = FIRST_PAUSE
    give_up = clock.now() + session.policy.quarantine
    while True:
        # An answer that is read late, after a stop of this process, is of the moment at which it was asked for.
        overdue = clock.now() >= give_up
        observation = observe(session.local, session.remote, session.listener, session.target)
        new = [
            sample
            for sample in observation.samples
            if (sample.sample_id, sample.uid) not in known and fold_title(sample.class_title) == title
        ]
        sizes = [sample.size for sample in new if sample.uid == upload.uid]
        sent = find_size_of(session.local, session.remote.model_id)(upload.uid, upload.class_title) or upload.size
        fitting = any(fits(sent, size, observation.size_decimals) for size in sizes if size)
        # Until the quarantine is over, a sample of another size may be one made elsewhere, and ours not shown yet.
        if sizes and (fitting or overdue or not any(sizes)):
            with session.local.journal.commit():
                session.local.journal.set_meta(UIDS_PROVEN, True)
                # Another size proves nothing by one sample: ours may have been removed elsewhere, and another one made.
                if fitting:
                    session.local.journal.set_meta(SIZES_SHOWN, True)
            return
        for sample in new:
            if sample.uid != upload.uid and is_cut(sample.uid, upload.uid, overdue=overdue):
                session.local.journal.set_meta(UIDS_CUT, sample.sample_id)
                raise _too_short(sample)
        if overdue:
            raise RemoteError(
                "the service confirmed the first upload and does not show it",
                "Nothing more was sent. Push again later; if this stays, look at the model on the service's page.",
            )
        what = "shows another size for the first upload" if sizes else "does not show the first upload yet"
        session.listener.waits(pause, f"the service {what}")
        clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def is_cut(shown: str, sent: str, *, overdue: bool) -> bool:
    """Whether the uid of a new sample is what the service left of the one we sent."""
    return sent.startswith(shown) and (overdue or len(shown) >= DISTINCT_LENGTH)


def _too_short(sample: RemoteSample) -> RemoteError:
    length = f"{len(sample.uid)} character" + ("" if len(sample.uid) == 1 else "s")
    return RemoteError(
        f"the service keeps only {length} of a uid; to tell samples apart, at least {CONTENT_LENGTH} are needed",
        "Nothing more was sent. Ask the service's support to keep uids whole; then remove the one sample that was "
        f"uploaded, its id is {sample.sample_id}, and push again. If that sample is not yours: "
        "astica-sync push --retry.",
    )
