"""What a store knows of its class titles and samples, for reading a view in which uids are cut and titles respelled."""

from astica_sync.core.sample import content_of
from astica_sync.core.spelling import Spelling
from astica_sync.sync.parts import Parts


def spelling_of(parts: Parts) -> Spelling:
    """For one view. Its questions go to index and journal, so it serves the thread that opened them."""

    def titles() -> set[str]:
        local = parts.index.folders().values() if parts.wanted is None else parts.wanted.samples
        return {one.class_title for one in local if one.class_title is not None}.union(parts.journal.classes())

    def present(uid: str, title: str) -> bool:
        if parts.wanted is None:
            return bool(parts.index.paths_of(title, content_of(uid)))
        return any(sample.uid == uid for sample in parts.wanted.samples)

    return Spelling(titles, present, lambda uid, _: parts.journal.mark(uid) is not None)
