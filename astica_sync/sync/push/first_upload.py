"""Looks at the very first upload before the others follow.

Whether the service keeps a uid of 41 characters whole is not documented. Where it cuts them so that samples can no
longer be told apart, that must be known before more than one request is spent.
"""

from astica_sync.core.model import CONTENT_LENGTH, Observation, RemoteSample, fold_title
from astica_sync.core.plan.plan import Upload
from astica_sync.errors import RemoteError
from astica_sync.sync.plan.observe import observe
from astica_sync.sync.plan.status import UIDS_PROVEN
from astica_sync.sync.session import Session

FIRST_LOOK_AGAIN = 1.0
TELLING = 8
"""Characters of a uid that nobody else's has by chance. With fewer, or none at all, a sample may be one that somebody
adds at this moment, so ours gets the quarantine to show."""
UIDS_CUT = "uids_cut"
"""The journal's key for the id of the sample that came back with too short a uid."""


def refuse_cut_uids(session: Session, observation: Observation) -> None:
    """Spends no second upload on a service that was seen to cut uids, while what was sent then is still there.

    Raises:
        RemoteError: it is.
    """
    cut = session.local.journal.get_meta(UIDS_CUT)
    for sample in observation.samples:
        if sample.sample_id == cut:
            raise _too_short(sample)


def try_again(session: Session) -> None:
    """Forgets that the service cuts uids: the sample that told so may have been somebody else's."""
    if session.local.journal.get_meta(UIDS_CUT) is not None:
        session.local.journal.set_meta(UIDS_CUT, None)


def prove_uids(session: Session, before: Observation, upload: Upload) -> None:
    """Observes until the sample just uploaded shows, and notes that the service keeps our uids.

    Raises:
        RemoteError: the service cuts uids too short, or does not show the sample within the quarantine.
        Interrupted: a person said stop.
    """
    known = {sample.sample_id for sample in before.samples}
    title = fold_title(upload.class_title)
    pause = FIRST_LOOK_AGAIN
    give_up = session.runtime.clock.now() + session.policy.quarantine
    while True:
        observation = observe(session.local, session.remote, session.listener, session.target)
        fresh = [
            sample
            for sample in observation.samples
            if sample.sample_id not in known and fold_title(sample.class_title) == title
        ]
        if any(sample.uid == upload.uid for sample in fresh):
            session.local.journal.set_meta(UIDS_PROVEN, True)
            return
        over = session.runtime.clock.now() >= give_up
        for sample in fresh:
            if upload.uid.startswith(sample.uid) and (over or len(sample.uid) >= TELLING):
                session.local.journal.set_meta(UIDS_CUT, sample.sample_id)
                raise _too_short(sample)
        if over:
            raise RemoteError(
                "the service confirmed the first upload and does not show it",
                "Nothing more was sent. Push again later; if this stays, look at the model on the service's page.",
            )
        session.listener.waits(pause, "the service does not show the first upload yet")
        session.runtime.clock.sleep(pause)
        pause = min(pause * 2, 15.0)


def _too_short(sample: RemoteSample) -> RemoteError:
    kept = f"{len(sample.uid)} character" + ("" if len(sample.uid) == 1 else "s")
    return RemoteError(
        f"the service keeps only {kept} of a uid, {CONTENT_LENGTH} at least are needed to tell samples apart",
        "Nothing more was sent. Ask the service's support to keep uids whole; then remove the one sample that went up, "
        f"its id is {sample.sample_id}, and push again. If it is not yours: astica-sync push --retry.",
    )
