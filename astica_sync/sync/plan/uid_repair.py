"""What a store knows of its class titles and samples, for reading a view in which uids are cut and titles respelled."""

from astica_sync.core.model import content_of
from astica_sync.core.view.uid_repair import UidRepair
from astica_sync.sync.session import Session


def spelling_of(session: Session) -> UidRepair:
    """For one view. Its questions go to index and journal, so it serves the thread that opened them."""

    def titles() -> set[str]:
        local = session.index.folders().values() if session.wanted is None else session.wanted.samples
        return {one.class_title for one in local if one.class_title is not None}.union(session.journal.classes())

    def present(uid: str, title: str) -> bool:
        if session.wanted is None:
            return bool(session.index.paths_of(title, content_of(uid)))
        return any(sample.uid == uid for sample in session.wanted.samples)

    return UidRepair(titles, present, lambda uid, _: session.journal.mark(uid) is not None)
