"""What a store that takes long to look at shows meanwhile."""

import threading
from pathlib import Path
from typing import Any

import pytest

from astica_sync.local.layout import Layout
from astica_sync.page import page_state
from astica_sync.page.gallery import first_images, refresh_gallery
from tests.harness.page_client import running_page
from tests.harness.watch_process import wait_until


@pytest.fixture
def slow_look(photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The first look at the store waits for this event."""
    refresh, go_on = refresh_gallery.GalleryRefresher.refresh, threading.Event()

    def wait(self: refresh_gallery.GalleryRefresher, *given: Any) -> refresh_gallery.Gallery:
        self._found(1234)
        go_on.wait(60)
        return refresh(self, *given)

    monkeypatch.setattr(refresh_gallery.GalleryRefresher, "refresh", wait)
    monkeypatch.setattr(page_state, "PATIENCE", 0.0)
    return go_on


def test_the_first_images_are_shown_while_a_new_store_is_looked_at(
    photo_store: Path, slow_look: threading.Event
) -> None:
    (photo_store / "Can" / ".hidden.jpg").write_bytes((photo_store / "Can" / "001.jpg").read_bytes())
    (photo_store / "Can" / "000 no image.jpg").write_bytes(b"<html>")
    (photo_store / "Can" / "000 link.jpg").symlink_to(photo_store / "Can" / "001.jpg")
    with running_page(photo_store) as page:
        wait_until(lambda: page.json("/api/store")["looking"] == 1234)
        store = page.json("/api/store")
        assert (store["unknown"], store["price"], store["looking"]) == (first_images.FIRST, None, 1234)
        row = page.row("Can", "001.jpg")
        assert row["state"] == "waiting"
        assert page.get(f"/thumbnails/{row['content']}").status_code == 200
        assert not {"000 no image.jpg", "000 link.jpg", ".hidden.jpg"} & {one["name"] for one in page.rows()}
        moved = page.post("/api/changes", {"kind": "move", "items": [[row["id"], row["content"]]], "to": "Bottle"})
        assert (moved.status_code, moved.json()["done"]) == (200, 1)
        slow_look.set()
        page.post("/api/refresh")
        store = page.json("/api/store")
        assert (store["unknown"], store["looking"]) != (first_images.FIRST, 1234) and store["looking"] is None
        assert page.row("Bottle", "001.jpg")["state"] == "new"
        assert page.row("Can", "000 no image.jpg")["state"] == "problem"


def test_each_class_shows_some_of_its_first_images(photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_images, "MOST", 1)
    columns = first_images.first_images(Layout(photo_store), 1)
    assert columns is not None
    shown = [(columns.title(row), columns.name(row)) for row in range(len(columns))]
    for title in columns.titles:
        names = sorted(
            path.name for path in (photo_store / title).iterdir() if path.suffix in (".png", ".jpg", ".jpeg")
        )
        assert [name for of, name in shown if of == title] == names[:4]


def test_a_store_without_images_has_no_first_ones(photo_store: Path) -> None:
    for path in photo_store.glob("*/**/*"):
        if path.is_file():
            path.unlink()
    assert first_images.first_images(Layout(photo_store), 1) is None
