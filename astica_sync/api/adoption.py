"""Adopts unmanaged samples: finds the local file of each, and manages it as that file from then on."""

from collections.abc import Iterable

from astica_sync.core.model import LocalSample
from astica_sync.core.plan.plan import Plan
from astica_sync.core.versions.match_unmanaged import Adopted, Certainty, Matching, Pair, find_duplicates, find_pairs
from astica_sync.local.backup.service_records import Records
from astica_sync.local.store_sentinel import check_root
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.plan.find_status import find_status
from astica_sync.sync.session import Session


def find_adoptable(session: Session) -> Matching:
    """Matches the unmanaged samples of the service with the files of the store.

    Raises:
        As ``Store.find_adoptable``.
    """
    status = find_status(session)
    plan = status.plan
    missing = {upload.uid for upload in (*plan.uploads, *plan.questioned, *plan.failed_before)}
    unsent: list[LocalSample] = []
    sent: list[LocalSample] = []
    owned = session.policy.owned
    for sample in session.local.index.local_samples(session.remote.model_id):
        if not owned.covers(sample.class_title):
            continue
        (unsent if sample.uid in missing else sent).append(sample)
    sizes = {sample.sample_id: sample.size for sample in status.observation.samples if sample.size}
    unmanaged = [sample for sample in plan.unmanaged if owned.covers(sample.class_title)]
    return find_duplicates(find_pairs(unmanaged, unsent, sizes), sent, sizes)


def adopt(session: Session, records: Records, pairs: Iterable[Pair]) -> int:
    """Records the pairs, and adopts their samples under the uids of the local files; returns how many.

    Raises:
        As ``Store.adopt``.
    """
    adopted = [
        Adopted(
            pair.remote.sample_id,
            pair.remote.uid,
            pair.remote.class_title,
            pair.local.uid,
            is_certain=pair.certainty is Certainty.CERTAIN,
        )
        for pair in pairs
    ]
    if not adopted:
        return 0
    with session.local.lock(session.local.layout):
        check_root(session.local.layout, session.local.fs)
        records.add_adopted(adopted)
        # With their new uids the samples are on both sides and have no mark, so the decision table adopts them.
        status = find_status(session)
        uids = {entry.uid for entry in adopted}
        plan = Plan(adopts=tuple(adopt for adopt in status.plan.adopts if adopt.uid in uids))
        applied = apply_plan(session, plan, removals=False)
    return len(plan.adopts) - len(applied.failed)
