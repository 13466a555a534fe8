"""Which uploads must be confirmed before a removal is sent: a moved image's new place comes before its old one."""

from collections.abc import Iterable, Mapping

from astica_sync.core.model import content_of
from astica_sync.core.plan.decision_table import RemovalReason
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
    needed = {removal.replaced_by} if removal.replaced_by else set()
    if removal.why is RemovalReason.MISPLACED:
        needed.add(removal.uid)
    elif removal.why is not RemovalReason.EXTRA:
        # Its image may have another place, whatever the reason is.
        needed.update(planned.get(content_of(removal.uid), ()))
    return [uid for uid in sorted(needed) if uid in planned.get(content_of(uid), ())]
