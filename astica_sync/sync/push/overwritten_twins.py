"""Samples that the service took and gave up for another one of the same image.

Some services keep one sample for each uid, and some cut uids so far that an image has the same one in all classes. To
send such samples again and again would only take the other ones away.
"""

from collections import Counter
from itertools import pairwise

from astica_sync.core.model import CONTENT_LENGTH, content_of, is_uid
from astica_sync.core.plan.plan import Upload
from astica_sync.local.db.journal import BadSample
from astica_sync.sync.plan.status import StoreStatus
from astica_sync.sync.session import Session

TWINS_KEPT = "twins_kept"
"""The journal's key for whether the service was seen to keep two samples of one uid."""
SURE = 2
"""So often a sample went when its twin came. Once may be an accident: somebody removes it on the service's page, or a
view that lags has an id removed that is another sample's by now."""
ONE_FOR_EACH = (
    "the service cuts uids and keeps one sample for each, so that an image can be in one class alone; "
    "remove it from the other class, then push --retry"
)


def note_replaced(session: Session, seen: StoreStatus) -> bool:
    """Notes the planned samples that were replaced by their twins as failed; whether there are any, so that the plan is
    to be made anew."""
    if seen.observation.classes_known or session.local.journal.get_meta(TWINS_KEPT):
        return False
    shown = Counter(sample.uid[:CONTENT_LENGTH] for sample in seen.observation.samples if is_uid(sample.uid))
    if max(shown.values(), default=0) > 1:
        session.local.journal.set_meta(TWINS_KEPT, True)
        return False
    twins = {
        group[0].content: [one.uid for one in group]
        for group in seen.plan.in_several_classes
        if group[0].content in shown
    }
    replaced = [
        one
        for one in seen.plan.uploads
        if one.again and _was_replaced(session, one, twins.get(content_of(one.uid), []))
    ]
    now = session.runtime.clock.now()
    session.local.journal.set_bad(BadSample(one.uid, one.class_title, one.path, ONE_FOR_EACH, now) for one in replaced)
    return bool(replaced)


def _was_replaced(session: Session, upload: Upload, twins: list[str]) -> bool:
    """Whether the service confirmed this sample, and then another one of the same image, again and again."""
    confirmed: list[str] = []
    for event in session.local.journal.events_of(twins):
        if (event.action, event.outcome) == ("upload", "done"):
            confirmed.append(event.uid)
        elif event.uid == upload.uid:
            confirmed.clear()
    times = sum(one == upload.uid != after for one, after in pairwise(confirmed))
    return times >= SURE and confirmed[-1] != upload.uid
