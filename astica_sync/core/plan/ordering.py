"""What must be sure before something may go: a moved sample's new place comes before its old one."""

from collections.abc import Iterable, Mapping

from astica_sync.core.model import content_of
from astica_sync.core.plan.decision import RemovalReason
from astica_sync.core.plan.plan import RemoveSample, Upload


def new_places(uploads: Iterable[Upload]) -> dict[str, list[str]]:
    """The uids that are about to be uploaded, by the content hash they share."""
    places: dict[str, list[str]] = {}
    for upload in uploads:
        places.setdefault(content_of(upload.uid), []).append(upload.uid)
    return places


def uploads_before(removal: RemoveSample, places: Mapping[str, list[str]]) -> list[str]:
    """The uids whose upload must be confirmed before the removal may go: a moved sample's new places, and the
    right place of a misplaced one."""
    if removal.why not in (RemovalReason.MOVED, RemovalReason.MISPLACED, RemovalReason.NOT_IN_VERSION):
        return []
    uids = places.get(content_of(removal.uid), [])
    return [uid for uid in uids if uid == removal.uid] if removal.why is RemovalReason.MISPLACED else uids
