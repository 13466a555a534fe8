"""Which uploads must be confirmed before a removal is sent: a moved image's new place comes before its old one."""

from collections.abc import Iterable, Mapping

from astica_sync.core.model import content_of
from astica_sync.core.plan.decision import RemovalReason
from astica_sync.core.plan.plan import RemoveSample, Upload


def uploads_by_content(uploads: Iterable[Upload]) -> dict[str, list[str]]:
    """The uids of the planned uploads, by their content hash."""
    uids: dict[str, list[str]] = {}
    for upload in uploads:
        uids.setdefault(content_of(upload.uid), []).append(upload.uid)
    return uids


def uploads_before(removal: RemoveSample, planned: Mapping[str, list[str]]) -> list[str]:
    """The uids whose upload must be confirmed before the removal is sent: a moved sample's new places, the right place
    of a misplaced one, and the image that replaces it under its file name. ``planned`` is what ``uploads_by_content``
    returned."""
    if removal.replaced_by:
        uids = planned.get(content_of(removal.replaced_by), [])
        return [uid for uid in uids if uid == removal.replaced_by]
    if removal.why not in (RemovalReason.MOVED, RemovalReason.MISPLACED, RemovalReason.NOT_IN_VERSION):
        return []
    uids = planned.get(content_of(removal.uid), [])
    return [uid for uid in uids if uid == removal.uid] if removal.why is RemovalReason.MISPLACED else uids
