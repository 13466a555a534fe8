"""What is known of one image besides its row: its history, its size in pixels, and what a camera wrote."""

import contextlib
from typing import Any

from astica_sync.core.model import make_scope, make_uid
from astica_sync.core.recipe import FORMAT_NAMES
from astica_sync.errors import AsticaSyncError
from astica_sync.local.image.format import dimensions, sniff
from astica_sync.local.image.thumbnailer import Thumbnailer
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.store_thread import OpenedStore
from astica_sync.page.versions.version_filter import VersionFilter

MOST_EVENTS = 200


def find_history(opened: OpenedStore, columns: Columns, content: str) -> list[dict[str, Any]]:
    """What was done to the image in any class, the last first; for the thread of the store."""
    journal, model_id = opened.session.local.journal, opened.session.remote.model_id
    titles = {*columns.titles, *journal.titles_in_history()}
    recipes = opened.session.local.known_recipes()
    uids = [make_uid(content, make_scope(model_id, title, recipe)) for title in titles for recipe in recipes]
    events = list(journal.events_of(uids))[-MOST_EVENTS:]
    return [
        {
            "at": event.at,
            "text": " ".join(
                part
                for part in (event.action, event.class_title, event.outcome, event.reason and f"({event.reason})")
                if part
            ),
        }
        for event in reversed(events)
    ]


def find_said(versions: VersionFilter, columns: Columns, content: str, service: str) -> list[dict[str, Any]]:
    """What the versions know of the image, the newest first: in which classes they were trained on it, and what they
    said of it when they were asked."""
    found = []
    for version, trained_as, answer in versions.of_image(columns, content, service):
        found.append(
            {
                "number": version.number,
                "name": version.name,
                "trained_as": trained_as,
                "label": None if answer is None else answer.label,
                "percent": None if answer is None else answer.percent,
            }
        )
    return found


def find_conversion(opened: OpenedStore, content: str, *, on_service: bool) -> dict[str, Any] | None:
    """The format that the image is converted from before it is sent, and what was sent of it; None for one that is sent
    as it is. For the thread of the store. ``on_service``: the service has the image.

    Raises:
        StoreError: the record of the backup cannot be read.
    """
    local = opened.session.local
    made = local.backup.prepared.records().get(content, {})
    # What the service has until the next push, where another recipe has converted it.
    record = made.get(local.index.recipe_identity) or next(reversed(made.values()), None)
    if record is not None:
        sent = local.backup.prepared.read(content, record.recipe)
        kind = None if sent is None else sniff(sent)
        return {
            "from": FORMAT_NAMES.get(record.format, record.format),
            "as": kind and kind.upper(),
            "size": record.size,
        }
    word = local.index.formats_of([content]).get(content)
    # What is on the service with no record was sent as it is, by a version that converted nothing.
    if word is None or on_service or not local.preparer.recipe.converts(word):
        return None
    return {"from": FORMAT_NAMES[word], "as": None, "size": None}


def read_image(thumbnailer: Thumbnailer, original: bytes, shown: bytes | None) -> dict[str, Any]:
    """Size in pixels and what a camera wrote; for any thread. ``shown`` is what is sent of the image."""
    found: dict[str, Any] = {"pixels": None if shown is None else dimensions(shown), "exif": {}}
    with contextlib.suppress(AsticaSyncError):
        found["exif"] = thumbnailer.read_camera(original)
    return found
