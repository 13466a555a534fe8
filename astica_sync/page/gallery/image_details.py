"""What is known of one image besides its row: its history, its size in pixels, and what a camera wrote."""

import contextlib
from typing import Any

from astica_sync.core.model import make_scope, make_uid
from astica_sync.errors import AsticaSyncError
from astica_sync.local.image.format import dimensions
from astica_sync.local.image.thumbnailer import Thumbnailer
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.store_keeper import OpenedStore
from astica_sync.page.thumbnails.thumbnail_queue import NotShown
from astica_sync.page.versions.version_filter import VersionFilter

MOST_EVENTS = 200


def find_history(opened: OpenedStore, columns: Columns, content: str) -> list[dict[str, Any]]:
    """What was done to the image in any class, the last first; for the thread of the store."""
    journal, model_id = opened.session.local.journal, opened.session.remote.model_id
    titles = {*columns.titles, *journal.titles_in_history()}
    uids = [make_uid(content, make_scope(model_id, title)) for title in titles]
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


def read_image(thumbnailer: Thumbnailer, data: bytes) -> dict[str, Any]:
    """Size in pixels and what a camera wrote; for any thread."""
    found: dict[str, Any] = {"pixels": dimensions(data), "exif": {}}
    with contextlib.suppress(AsticaSyncError, NotShown):
        found["exif"] = thumbnailer.read_camera(data)
    return found
