"""What went to another class lately: what ``backup restore --since --move-back`` moves back."""

from collections import defaultdict
from collections.abc import Sequence

from astica_sync.core.find_moved_images import ImagePlaces, MovedImage, OtherPlace, SamplePlace, find_moved
from astica_sync.core.model import make_scope, make_uid
from astica_sync.local.backup.removed_since import Elsewhere
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal


def moved_since(
    journal: Journal, index: Index, model_id: int, since: float, elsewhere: Sequence[Elsewhere]
) -> tuple[list[MovedImage], list[OtherPlace]]:
    """Divides what the store has in another place (``found_elsewhere``), by path: what has moved to another class at
    ``since`` or later, and the rest."""

    def place(path: str, content: str) -> SamplePlace:
        title = class_title_of(path.partition("/")[0]) or ""
        return SamplePlace(path, make_uid(content, make_scope(model_id, title, index.recipe_of(content))))

    left: dict[str, list[SamplePlace]] = defaultdict(list)
    for one in elsewhere:
        content, _ = index.file_at(one.now) or (None, None)
        if content is not None:
            left[content].append(place(one.path, content))
    images = {
        content: ImagePlaces(places, [place(path, content) for path in index.paths_with(content)])
        for content, places in left.items()
    }
    events = list(journal.history(since=since)) if images else []
    return find_moved(images, reversed(events), journal.has_sample)
