"""Samples that the service shows in another class each time they are sent, since it spells the title in its own way.

A title may be cut, or stored with entities in place of ``&``. Without an end to it each push would send such a sample
again and remove what the one before has sent.
"""

from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.local.db.journal import BadSample, Journal
from astica_sync.shell_quote import quote_path
from astica_sync.sync.plan.find_status import StoreStatus

SURE = 2
"""How many times a sample must have been removed from another class than it was sent to. Once may be a user who moved
it on the service's page."""


def block_renamed(journal: Journal, status: StoreStatus, now: float) -> bool:
    """Blocks the planned uploads of samples that the service shows in another class again and again; returns whether
    there were any, so that the plan must be made again."""
    misplaced = {one.uid: one.sample_id for one in status.plan.removed if one.why is RemovalReason.MISPLACED}
    again = [upload for upload in status.plan.uploads if upload.again and upload.uid in misplaced]
    if not again:
        return False
    shown = {sample.sample_id: sample.class_title for sample in status.observation.samples}
    renamed = [upload for upload in again if _count_misplaced(journal, upload.uid) >= SURE]
    journal.set_bad(
        BadSample(one.uid, one.class_title, one.path, _reason(one.class_title, shown[misplaced[one.uid]]), now)
        for one in renamed
    )
    return bool(renamed)


def _count_misplaced(journal: Journal, uid: str) -> int:
    return sum(
        event.outcome == "done" and event.reason.startswith(RemovalReason.MISPLACED)
        for event in journal.events_of([uid])
        if event.action.startswith("remove")
    )


def _reason(sent: str, shown: str) -> str:
    return (
        f"the service shows it in class {shown!r} each time it is sent to {sent!r}; give the folder a title that the "
        f"service keeps, for example: mv {quote_path(sent)} {quote_path(_plain(sent))}"
    )


def _plain(title: str) -> str:
    """The title with letters, digits and spaces alone."""
    words = "".join(letter if letter.isalnum() else " " for letter in title[:40]).split()
    return " ".join(words) or "Class"
