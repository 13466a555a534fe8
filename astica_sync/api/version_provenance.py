"""Whether a version has the data of the training that it seems to be the result of."""

from collections.abc import Sequence
from itertools import chain

from astica_sync.core.model import (
    MarkState,
    ModelInfo,
    Observation,
    RemoteSample,
    make_scope,
    make_uid,
)
from astica_sync.core.rate_limit import Lane
from astica_sync.core.versions.data_doubts import (
    ChangesAtRequest,
    DataChanges,
    doubt_about,
    doubt_about_skipped,
    find_gone,
    key_of,
    keys_of,
)
from astica_sync.core.versions.match_unmanaged import rename_adopted
from astica_sync.core.versions.pending_training import MOST_SKIPPED, Training, counts_up, never_shown
from astica_sync.core.versions.snapshot import ManagedSample, SnapshotSample, find_additions, find_missing
from astica_sync.errors import AsticaSyncError, Refused, RemoteError, StoreError
from astica_sync.remote.responses import parse_dates
from astica_sync.sync.observe import request_view, uid_repair_for
from astica_sync.sync.session import Session
from astica_sync.training.version_history import VersionHistory

SHOWN_AFTER = "shown after training"
"""The journal's key for what the view just after the service confirmed a training showed otherwise than the one before
it."""
MOST_CHANGED = 1_000
"""Of so many samples at most the journal keeps that they were gone, or added."""


def look_after_request(session: Session, history: VersionHistory, training: Training, before: Observation) -> None:
    """Requests a view just after the service confirmed the training, and records what it shows otherwise than the view
    ``before``: others changed it between that view and the request, or one of the views was behind. Where there is no
    such view, ``check_data`` goes by its own, which cannot distinguish these changes from later ones.
    """
    local, remote = session.local, session.remote
    try:
        seen = remote.service.view(
            remote.model_id, Lane.INTERACTIVE, uid_repair_for(local, remote.model_id, session.target)
        )[0]
    except (RemoteError, StoreError):
        return
    after = rename_adopted(seen, history.records.adopted())
    known = keys_of(before)
    new = [one for one in after if key_of(one) not in known and not _is_sent_here(session, one, 0.0)]
    gone, added = find_gone(before, after.samples), sorted(keys_of(_without_removed_here(session, new)))
    changes = {"gone": gone[:MOST_CHANGED], "added": added[:MOST_CHANGED], "version": seen.model.version or ""}
    with local.journal.commit():
        local.journal.set_meta(SHOWN_AFTER, {"asked_at": training.asked_at, **changes})


def _is_sent_here(session: Session, sample: RemoteSample, since: float) -> bool:
    """Whether this store sent the sample at ``since`` or later. What it has removed since then was put back elsewhere,
    if it is shown again."""
    mark = session.local.journal.mark(sample.uid)
    if mark is None or mark.sent_at is None or mark.sent_at < since:
        return False
    return mark.state is not MarkState.REMOVED or mark.upload_open


def _changes_at_request(session: Session, training: Training) -> ChangesAtRequest | None:
    """What ``look_after_request`` recorded for this training; None where it has not."""
    recorded = session.local.journal.get_meta(SHOWN_AFTER)
    if not isinstance(recorded, dict) or recorded.get("asked_at") != training.asked_at:
        return None
    gone, added = ({(one, content) for one, content in recorded.get(name, ())} for name in ("gone", "added"))
    return ChangesAtRequest(gone, added, recorded.get("version", ""))


def check_data(session: Session, history: VersionHistory, training: Training, model: ModelInfo) -> str:
    """Why the version that the model shows may have other data than the training; "" where nothing speaks against it.

    Another user may have changed samples and trained between the request and this look. So what the service shows
    besides the snapshot must have been sent by this store after it, or be younger than the version. What it no longer
    shows must have been removed by this store, where the answer was lost, or a version was never shown or may have
    been, as names do not count up. What it did not show just after the request must be shown again.

    Raises:
        RemoteError: there is no observation.
        StoreError: the manifest cannot be read.
    """
    snapshot = list(history.snapshots.read(training.snapshot))
    local = session.local
    seen, answer, _ = request_view(
        local, session.remote, session.listener, lambda: uid_repair_for(local, session.remote.model_id, None)
    )
    observation, dates = rename_adopted(seen, history.records.adopted()), parse_dates(answer)
    # An adopted sample is in the snapshot under its own uid or under that which it was given.
    unknown = {sample.sample_id for sample in find_additions(snapshot, seen)}
    others = []
    for sample in (one for one in find_additions(snapshot, observation) if one.sample_id in unknown):
        made = dates.get(sample.sample_id)
        younger = made is not None and model.trained_at is not None and made > model.trained_at
        if not (younger or _is_sent_here(session, sample, training.asked_at)):
            others.append(sample)
    added = keys_of(_without_removed_here(session, others))
    skipped = never_shown(training, model, history.versions())
    changes = _changes_at_request(session, training)
    removed = 0
    if not training.answered or changes is None or skipped or not counts_up(training.name, model.version or ""):
        missing = find_missing(snapshot, chain(observation, seen))
        removed = _count_removed_elsewhere(session, training, missing) if missing else 0
    gone: set[tuple[int, str]] = set()
    if changes is not None and changes.gone:
        # A view that was behind may have lacked what the service shows by now; but a service may give the id of a
        # removed sample again, to what this store has sent since.
        shown = [one for one in chain(observation, seen) if not _is_sent_here(session, one, training.asked_at)]
        gone = changes.gone - keys_of(shown)
    if changes is not None:
        added |= changes.added
    doubt = doubt_about(DataChanges(len(added), removed, len(gone)))
    if not doubt and len(skipped) <= MOST_SKIPPED:
        # A service may count the versions of all models of the account.
        skipped = [name for name in skipped if _is_version(session, history, training, name) is not False]
    return doubt or doubt_about_skipped(skipped)


def _without_removed_here(session: Session, samples: Sequence[RemoteSample]) -> list[RemoteSample]:
    """Those of these samples that this store has not removed: a view that lags may show removed ones again."""
    if not samples:
        return []
    events = session.local.journal.events_of(sorted({sample.uid for sample in samples}))
    removed = {(one.uid, one.sample_id) for one in events if one.action.startswith("remove") and one.outcome == "done"}
    return [sample for sample in samples if (sample.uid, sample.sample_id) not in removed]


def _count_removed_elsewhere(session: Session, training: Training, missing: Sequence[SnapshotSample]) -> int:
    """How many of the samples that are no longer shown this store did not remove after the request."""
    titles, recipes = set(session.local.journal.titles_in_history()), session.local.known_recipes()
    candidates: list[list[str]] = []
    for sample in missing:
        if isinstance(sample, ManagedSample):
            # One that was moved to another class on the service is in the snapshot by that class, and in the history
            # by its own.
            scopes = {
                make_scope(session.remote.model_id, title, recipe)
                for title in titles.union([sample.class_title])
                for recipe in recipes
            }
            candidates.append([make_uid(sample.content, scope) for scope in scopes])
        else:
            candidates.append([sample.uid])
    events = session.local.journal.events_of(sorted({uid for uids in candidates for uid in uids}))
    removed = {one.uid for one in events if one.action.startswith("remove") and one.at >= training.asked_at}
    return sum(removed.isdisjoint(uids) for uids in candidates)


def can_run(session: Session, history: VersionHistory, training: Training, name: str) -> bool:
    """Whether the version of this name, which the model never showed, can be that of the training: the service runs it,
    and the view just after the request showed no other version than the one before it."""
    changes = _changes_at_request(session, training)
    if changes is None or changes.version != training.name:
        return False
    return _is_version(session, history, training, name) is True


def _is_version(session: Session, history: VersionHistory, training: Training, name: str) -> bool | None:
    """Whether the service runs the version of this name, asked with the smallest image of the training's data; None
    where its answer says neither."""
    backup = history.backup
    found = (
        backup.find(sample.content)
        for sample in history.snapshots.read(training.snapshot)
        if isinstance(sample, ManagedSample)
    )
    try:
        smallest = min((path for path in found if path is not None), key=lambda path: path.stat().st_size, default=None)
        if smallest is None:
            return None
        session.remote.service.detect(session.remote.model_id, name, smallest.read_bytes())
    except Refused:
        return False
    except RemoteError as error:
        if error.stops_run:
            raise
        return None
    except (OSError, AsticaSyncError):
        return None
    return True
