"""The states of the images of one status, as the page and the Python API show them."""

from astica_sync.api.states.problem_advice import advise
from astica_sync.core.gallery.image_state import ImageState, ImageStates, Shown, find_states
from astica_sync.core.model import Problem
from astica_sync.core.plan.plan_subset import sent_since_view
from astica_sync.sync.plan.find_status import StoreStatus

SENT_SINCE = "the service has confirmed it; the last view was before that"


def find_shown_states(status: StoreStatus, quarantine: float) -> ImageStates:
    """The states that follow from the plan. What the service has confirmed since the last view is on the service."""
    states = find_states(
        status.plan,
        [Problem(one.path, advise(one)) for one in (*status.problems, *status.rejected)],
        {uid: entry.reason for uid, entry in status.bad.items()},
        {entry.title: entry.existing for entry in status.near},
        (sample for refusal in status.refusals for sample in refusal.samples),
    )
    for waiting in sent_since_view(status.plan, status.observation.asked_at, quarantine):
        states.by_uid[waiting.uid] = Shown(ImageState.ON_SERVICE, SENT_SINCE)
    return states
