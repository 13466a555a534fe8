"""The columns of the gallery: kept for the next opening, and not believed when another program wrote them."""

import threading
from pathlib import Path

import pytest

from astica_sync.page import page_state
from astica_sync.page.gallery import refresh_gallery
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import fill


@pytest.fixture
def kept(photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that counts as large, whose page was open before."""
    monkeypatch.setattr(page_state, "MANY", 1)
    with running_page(photo_store) as page:
        # Until the whole store has been looked at, a large one shows its first images.
        wait_until_looked(page)
        assert len(page.rows()) == 8
    return photo_store / ".astica-sync" / "page" / "columns.cache"


def wait_until_looked(page: PageClient) -> None:
    page.post("/api/refresh")
    assert page.json("/api/store")["unknown"] != refresh_gallery.BEFORE


@pytest.mark.long
def test_a_large_store_is_shown_as_it_was_and_then_as_it_is(
    kept: Path, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(photo_store, {"Added": 3}, 900)
    refresh, looked = refresh_gallery.GalleryRefresher.refresh, threading.Event()
    monkeypatch.setattr(
        refresh_gallery.GalleryRefresher, "refresh", lambda self, *given: (looked.wait(60), refresh(self, *given))[1]
    )
    with running_page(photo_store) as page:
        store = page.json("/api/store")
        assert (store["unknown"], store["totals"]["images"], store["price"]) == (refresh_gallery.BEFORE, 8, None)
        row = page.row("Can", "001.jpg")
        assert page.get(f"/thumbnails/{row['content']}").status_code == 200
        done = page.post("/api/changes", {"kind": "move", "items": [[row["id"], row["content"]]], "to": "Bottle"})
        assert done.json()["done"] == 1
        looked.set()
        wait_until_looked(page)
        assert len(page.rows()) == 11
        assert page.row("Bottle", "001.jpg")["content"] == row["content"]
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty", "other"])
def test_columns_that_this_program_has_not_written_are_not_read(kept: Path, photo_store: Path, kind: str) -> None:
    data = kept.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    kept.write_bytes({"cut": data[:-9], "flipped": bytes(flipped), "empty": b"", "other": b"{}" * 99}[kind])
    with running_page(photo_store) as page:
        assert page.json("/api/store")["unknown"] != refresh_gallery.BEFORE
        assert len(page.rows()) == 8
