"""Which images a status has found to be unfit: a push does not announce that it uploads them.

They are kept in the index, which may be lost. A push checks each image all the same; its first line alone goes by this.
"""

import contextlib
from typing import TYPE_CHECKING

from astica_sync.core.failure_remedy import retry_helps
from astica_sync.errors import AsticaSyncError

if TYPE_CHECKING:
    from astica_sync.core.plan.plan import Plan
    from astica_sync.local.db.index import Index
    from astica_sync.sync.plan.find_status import StoreStatus

REJECTED = "rejected_images"
MOST_REJECTED = 10_000


def note_rejections(index: "Index", planned: "Plan", checked: "StoreStatus") -> None:
    """Notes the images that the checks have taken out of the plan, since their bytes cannot be sent."""
    in_vain = {one.path for one in checked.rejected if not retry_helps(one.reason)}
    noted = sorted(one.uid for one in planned.uploads if one.path in in_vain)[:MOST_REJECTED]
    # A status of a store that cannot be written shows the same.
    with contextlib.suppress(AsticaSyncError):
        if noted != (index.get_meta(REJECTED) or []):
            index.set_meta(REJECTED, noted)


def read_rejections(index: "Index") -> frozenset[str]:
    """The uids that were noted."""
    noted = index.get_meta(REJECTED)
    # The index may be another user's.
    return frozenset(uid for uid in noted if isinstance(uid, str)) if isinstance(noted, list) else frozenset()
