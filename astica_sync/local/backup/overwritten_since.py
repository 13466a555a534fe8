"""What was overwritten lately: what ``backup restore --since --overwritten`` brings back."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from astica_sync.core.find_overwritten import find_overwritten
from astica_sync.core.model import make_scope, make_uid
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal


def overwritten_since(
    journal: Journal, index: Index, model_id: int, since: float, removed: Sequence[CatalogEntry]
) -> Collection[CatalogEntry]:
    """Of the images that were removed (``removed_since``) those that came to their paths before the files that are
    there now; of several images of one path the first."""

    def uid_of(title: str, content: str) -> str:
        return make_uid(content, make_scope(model_id, title, index.recipe_of(content)))

    entries: dict[str, dict[str, CatalogEntry]] = defaultdict(dict)
    for entry in removed:
        entries[entry.path][uid_of(entry.class_title, entry.content)] = entry
    paths = {}
    for path, before in entries.items():
        content, _ = index.file_at(path) or (None, None)
        title = next(iter(before.values())).class_title
        # What was sent of a copy was sent of another file: nothing tells when the copy came, and it is not lost.
        is_known = content is not None and len(index.paths_with(content)) == 1
        paths[path] = (uid_of(title, content) if content is not None and is_known else "", tuple(before))
    events = reversed(list(journal.history(since=since)))
    return {entries[path][uid] for path, uid in find_overwritten(paths, events, journal.has_sample).items()}
