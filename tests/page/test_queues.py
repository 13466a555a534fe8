"""The queues: near duplicates, images in several classes, and leaks into a held-out folder."""

import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from astica_sync.page.queues import queue_finder
from tests.harness.page_client import PageClient, running_page

pytestmark = pytest.mark.long


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photographs that differ, in two classes, and the pairs that the queues are to find."""
    folder = tmp_path / "photos"
    for number, (title, name) in enumerate([("Can", "a"), ("Can", "b"), ("Bottle", "c"), ("Bottle", "d")]):
        (folder / title).mkdir(parents=True, exist_ok=True)
        noise = Image.effect_noise((12, 9), 90 + 5 * number).resize((320, 240), Image.Resampling.BICUBIC)
        Image.merge("RGB", (noise, noise.rotate(7 * number), noise)).save(folder / title / f"{name}.png")
    return folder


def found(page: PageClient, kind: str) -> dict[str, Any]:
    """A queue, once it is that of the gallery as it is now."""
    for _ in range(20_000):
        data: dict[str, Any] = page.json("/api/queues", kind=kind)
        if data["ready"]:
            return data
        time.sleep(0)
    raise AssertionError("the queues are not ready")


def members(data: dict[str, Any]) -> list[list[str]]:
    return [[f"{one['class']}/{one['name']}" for one in group["images"]] for group in data["groups"]]


def similar(path: Path, to: Path) -> None:
    """Saves the picture again, smaller and a little brighter."""
    image = Image.open(path).convert("RGB").resize((280, 210))
    ImageEnhance.Brightness(image).enhance(1.04).save(to)


@pytest.fixture
def pairs(photo_store: Path) -> Path:
    similar(photo_store / "Can" / "a.png", photo_store / "Can" / "a again.jpg")
    similar(photo_store / "Can" / "b.png", photo_store / "Bottle" / "b elsewhere.jpg")
    (photo_store / "Can" / "c copy.png").write_bytes((photo_store / "Bottle" / "c.png").read_bytes())
    held_out = photo_store.parent / "held out"
    (held_out / "Bottle").mkdir(parents=True)
    similar(photo_store / "Bottle" / "d.png", held_out / "Bottle" / "d leaked.jpg")
    Image.new("RGB", (64, 64), "red").save(held_out / "Bottle" / "plain.png")
    return held_out


def test_each_pair_is_in_its_queue(photo_store: Path, pairs: Path) -> None:
    with running_page(photo_store, held_out=[pairs]) as page:
        duplicates = found(page, "duplicates")
        assert duplicates["counts"] == {"leaks": 1, "several": 1, "across": 1, "duplicates": 1}
        assert members(duplicates) == [["Can/a again.jpg", "Can/a.png"]]
        assert members(found(page, "across")) == [["Bottle/b elsewhere.jpg", "Can/b.png"]]
        assert members(found(page, "several")) == [["Bottle/c.png", "Can/c copy.png"]]
        [leak] = found(page, "leaks")["groups"]
        assert [(one["name"], one["held_out"]) for one in leak["images"]] == [("d leaked.jpg", True), ("d.png", False)]
        assert found(page, "")["groups"] == []
        assert page.get("/api/queues", kind="wrong").status_code == 400


def test_a_change_takes_a_group_out_of_its_queue_and_undo_brings_it_back(photo_store: Path, pairs: Path) -> None:
    with running_page(photo_store, held_out=[pairs]) as page:
        [group] = found(page, "several")["groups"]
        one = group["images"][0]
        items = [[one["id"], one["content_hash"]]]
        assert page.post("/api/changes", {"kind": "delete", "items": items}).json()["done"] == 1
        assert found(page, "several")["counts"]["several"] == 0
        assert page.post("/api/undo").status_code == 200
        assert found(page, "several")["groups"] == [group]
        # Moved to the class of the other one, the two are duplicates there.
        [across] = found(page, "across")["groups"]
        one = across["images"][0]
        page.post("/api/changes", {"kind": "move", "items": [[one["id"], one["content_hash"]]], "to": "Can"})
        assert found(page, "across")["groups"] == []
        assert ["Can/b elsewhere.jpg", "Can/b.png"] in members(found(page, "duplicates"))


def test_what_is_kept_stays_away_also_after_a_restart(photo_store: Path, pairs: Path) -> None:
    with running_page(photo_store) as page:
        [group] = found(page, "duplicates")["groups"]
        assert page.post("/api/queues/keep", {"group": group["key"]}).status_code == 200
        data = found(page, "duplicates")
        assert (data["groups"], data["kept"]) == ([], 1)
    with running_page(photo_store) as page:
        assert found(page, "duplicates")["groups"] == []
        assert page.post("/api/queues/keep", {"group": group["key"], "keep": False}).status_code == 200
        assert found(page, "duplicates")["groups"] == [group]
        page.post("/api/queues/keep", {"group": group["key"]})
        # One more of them is another group, which no user has looked at.
        similar(photo_store / "Can" / "a again.jpg", photo_store / "Can" / "a third.jpg")
        page.post("/api/refresh")
        assert len(members(found(page, "duplicates"))[0]) == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"group": 7}, 400),
        ({"group": "../../../etc/passw"}, 400),
        ({"group": "0" * 16, "keep": "yes"}, 400),
        ({"group": "0" * 16}, 409),
        ({"group": "0" * 10_000}, 400),
    ],
)
def test_a_group_that_is_none_is_refused(page: PageClient, body: dict[str, Any], status: int) -> None:
    assert page.post("/api/queues/keep", body).status_code == status


def test_a_damaged_list_of_kept_groups_hides_nothing_else(photo_store: Path, pairs: Path) -> None:
    kept = photo_store / ".astica-sync" / "page" / "kept-groups.jsonl"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b'{"group": [1], "keep": true}\n[]\n\xff\xfe\n{"gro')
    with running_page(photo_store) as page:
        assert len(found(page, "duplicates")["groups"]) == 1


def test_where_nothing_can_be_compared_the_same_bytes_are_found(
    photo_store: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise queue_finder.AsticaSyncError("no worker process can be started", "Close other programs.")

    monkeypatch.setattr(queue_finder, "group_likes", missing)
    with running_page(photo_store) as page:
        data = found(page, "several")
        assert members(data) == [["Bottle/c.png", "Can/c copy.png"]]
        assert "Close other programs" in data["trouble"]
        assert data["counts"]["duplicates"] == 0


def test_of_a_large_store_a_part_is_compared(photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_finder, "MOST_IMAGES", 3)
    with running_page(photo_store) as page:
        data = found(page, "duplicates")
        assert (data["total"], data["left_out"]) == (3, 1)
