"""Samples that the service overwrites by each other, since it cannot distinguish them.

A service may keep one sample for each uid and cut uids so far that an image has the same one in all classes. To send
such a sample again would only remove the one in the other class.
"""

from collections import Counter
from itertools import pairwise

from astica_sync.core.model import CONTENT_LENGTH, content_of, is_uid
from astica_sync.core.plan.plan import Upload
from astica_sync.local.db.journal import BadSample, Journal
from astica_sync.sync.plan.find_status import StoreStatus

DUPLICATES_KEPT = "twins_kept"
"""The journal's key for whether the service was seen to keep two samples of one uid."""
SURE = 2
"""How many times a sample must have disappeared when the same image was uploaded to another class. Once may be a
coincidence: the user removes
it on the service's page, or a late view has an id removed that is another sample's by now."""
ONE_FOR_EACH = (
    "the service cuts uids and keeps one sample for each, so that an image can be in one class alone; "
    "remove it from the other class, then push --retry"
)


def block_overwritten(journal: Journal, status: StoreStatus, now: float) -> bool:
    """Blocks the planned uploads of images that the service keeps in one class alone; returns whether there were
    any, so that the plan must be made again."""
    if status.observation.classes_known or journal.get_meta(DUPLICATES_KEPT):
        return False
    shown = Counter(sample.uid[:CONTENT_LENGTH] for sample in status.observation.samples if is_uid(sample.uid))
    if max(shown.values(), default=0) > 1:
        journal.set_meta(DUPLICATES_KEPT, True)
        return False
    several = status.plan.in_several_classes
    siblings = {group[0].content: [one.uid for one in group] for group in several if group[0].content in shown}
    overwritten = [
        upload
        for upload in status.plan.uploads
        if upload.again and _was_overwritten(journal, upload, siblings.get(content_of(upload.uid), []))
    ]
    journal.set_bad(BadSample(one.uid, one.class_title, one.path, ONE_FOR_EACH, now) for one in overwritten)
    return bool(overwritten)


def _was_overwritten(journal: Journal, upload: Upload, siblings: list[str]) -> bool:
    """Whether the service confirmed this sample, and then another one of the same image, again and again."""
    confirmed: list[str] = []
    for event in journal.events_of(siblings):
        if (event.action, event.outcome) == ("upload", "done"):
            confirmed.append(event.uid)
        elif event.uid == upload.uid:
            confirmed.clear()
    times = sum(one == upload.uid != after for one, after in pairwise(confirmed))
    return times >= SURE and confirmed[-1] != upload.uid
