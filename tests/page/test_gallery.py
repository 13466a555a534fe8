"""The gallery as the page gets it, on real photos."""

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.page_client import PageClient
from tests.harness.shell import Shell


def test_the_gallery_has_every_image_of_the_store(page: PageClient, photo_store: Path) -> None:
    found = {(row["class"], row["name"]) for row in page.rows() if row["state"] == "new"}
    expected = {
        (path.relative_to(photo_store).parts[0], "/".join(path.relative_to(photo_store).parts[1:]))
        for path in photo_store.glob("*/**/*")
        if path.suffix in (".png", ".jpg", ".jpeg") and "raw" not in path.parts
    }
    assert found == expected
    store = page.json("/api/store")
    assert store["totals"]["images"] == len(page.rows())
    assert sum(entry["images"] for entry in store["classes"]) == store["totals"]["images"]


def test_a_pushed_store_is_on_the_service(pushed_page: PageClient) -> None:
    states = {row["state"] for row in pushed_page.rows()}
    assert states == {"on-service"}
    store = pushed_page.json("/api/store")
    assert store["price"]["guard"] is None and store["model"]["title"] == "Cans"


def test_filters_and_sorts(page: PageClient) -> None:
    everything = page.rows()
    assert [row["class"] for row in everything] == sorted(row["class"] for row in everything)
    cans = page.rows(**{"class": "Can"})
    assert cans == [row for row in everything if row["class"] == "Can"]
    assert page.rows(**{"class": "nothing"}) == [] == page.rows(state="problem") == page.rows(state="wrong")
    assert [row["name"] for row in page.rows(text="DREI")] == ["zwei drei.jpg"]
    sizes = [row["size"] for row in page.rows(sort="size", order="desc")]
    assert sizes == sorted(sizes, reverse=True)
    names = [row["name"].lower() for row in page.rows(sort="name")]
    assert names == sorted(names)
    assert page.get("/api/gallery", sort="wrong").status_code == 400
    counted = page.json("/api/gallery", **{"class": "Can"})["counts"]
    assert counted["by_class"] == {row["class"]: 0 for row in everything} | {
        title: sum(row["class"] == title for row in everything) for title in {row["class"] for row in everything}
    }


def test_rows_of_another_time_are_stale(page: PageClient) -> None:
    answer = page.get("/api/gallery/rows", view="0" * 16)
    assert (answer.status_code, answer.json()["error"]) == (409, "stale")


def test_an_id_names_one_image(page: PageClient) -> None:
    row = page.row("Can", "001.jpg")
    image = page.json(f"/api/images/{row['id']}")
    assert (image["class"], image["name"], image["state"]) == ("Can", "001.jpg", "new")
    assert image["reason"]
    assert page.get("/api/images/" + "0" * 16).status_code == 404


def test_the_details_of_an_image(pushed_page: PageClient, photo_store: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Maker", "Model <b>\n1</b>", "2026:11:28 10:00:00"
    Image.effect_noise((40, 30), 60).convert("RGB").save(photo_store / "Can" / "shot.jpg", exif=exif)
    pushed_page.post("/api/refresh")
    shot = pushed_page.json(f"/api/images/{pushed_page.row('Can', 'shot.jpg')['id']}")
    assert shot["exif"] == {"camera": "Maker Model <b>1</b>", "taken": "2026:11:28 10:00:00"}
    assert (shot["pixels"], shot["history"]) == ([40, 30], [])
    row = pushed_page.row("Can", "001.jpg")
    image = pushed_page.json(f"/api/images/{row['id']}")
    assert image["uid"].startswith(row["content"]) and image["exif"] == {}
    assert [one["text"] for one in image["history"]] == ["upload Can done"]


def test_a_thumbnail_is_made_again_and_kept(page: PageClient, photo_store: Path) -> None:
    big = Image.effect_noise((1600, 1200), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret in the metadata"
    big.save(photo_store / "Can" / "turned.jpg", exif=exif)
    assert page.post("/api/refresh").status_code == 200
    row = page.row("Can", "turned.jpg")
    for _ in range(2):
        answer = page.get(f"/thumbnails/{row['content']}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert b"secret" not in answer.content
        assert Image.open(io.BytesIO(answer.content)).size == (192, 256)
    kept = list((photo_store / ".astica-sync" / "page" / "thumbnails").glob("*/*.jpg"))
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]
    large = page.get(f"/images/{row['id']}/large")
    assert Image.open(io.BytesIO(large.content)).size == (1200, 1600)


def test_a_planted_thumbnail_is_not_served(page: PageClient, photo_store: Path) -> None:
    row = page.row("Can", "001.jpg")
    good = page.get(f"/thumbnails/{row['content']}").content
    (kept,) = (photo_store / ".astica-sync" / "page" / "thumbnails").glob("*/*.jpg")
    for planted in (b"\xff\xd8\xff<script>", kept.read_bytes()[:-1] + b"\0", b""):
        kept.write_bytes(planted)
        assert page.get(f"/thumbnails/{row['content']}").content == good


@pytest.mark.parametrize(
    "content", [b"<html><script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b""]
)
def test_what_is_no_image_is_a_problem_and_has_no_thumbnail(
    page: PageClient, photo_store: Path, content: bytes
) -> None:
    (photo_store / "Can" / "fake.jpg").write_bytes(content)
    page.post("/api/refresh")
    row = page.row("Can", "fake.jpg")
    assert (row["state"], row["content"]) == ("problem", "")
    assert page.get(f"/images/{row['id']}/large").status_code == 404


def test_a_damaged_image_is_never_served_as_itself(page: PageClient, photo_store: Path) -> None:
    whole = (photo_store / "Can" / "001.jpg").read_bytes()
    (photo_store / "Can" / "half.jpg").write_bytes(whole[: len(whole) // 3])
    page.post("/api/refresh")
    row = page.row("Can", "half.jpg")
    answer = page.get(f"/thumbnails/{row['content']}")
    assert answer.status_code == 422
    assert "decoded" in answer.json()["error"]


def test_a_file_that_changed_since_is_not_served_under_its_old_hash(page: PageClient, photo_store: Path) -> None:
    row = page.row("Can", "001.jpg")
    (photo_store / "Can" / "001.jpg").write_bytes((photo_store / "Can" / "002.jpg").read_bytes())
    assert page.get(f"/thumbnails/{row['content']}").status_code == 404


def test_images_of_the_command(shell: Shell, photo_store: Path, page: PageClient) -> None:
    """The page works beside the commands, and shows what they did after a look."""
    assert shell("push", "--store", photo_store).code == 0
    page.post("/api/refresh")
    assert {row["state"] for row in page.rows()} <= {"on-service", "waiting"}
    assert shell("status", "--store", photo_store).code == 0
    page.post("/api/refresh")
    assert {row["state"] for row in page.rows()} == {"on-service"}


def test_an_image_that_was_moved_is_followed_by_its_content(page: PageClient, photo_store: Path) -> None:
    row = page.row("Can", "001.jpg")
    view = page.json("/api/gallery", **{"class": "Can"})["view"]
    there = page.json(f"/api/images/{row['id']}", content=row["content"], view=view)
    cans = page.rows(**{"class": "Can"})
    assert (there["id"], there["position"]) == (row["id"], cans.index(row))
    (photo_store / "Can" / "001.jpg").rename(photo_store / "Bottle" / "here.jpg")
    (photo_store / "Can" / "002.jpg").rename(photo_store / "Can" / "001.jpg")
    page.post("/api/refresh")
    view = page.json("/api/gallery", **{"class": "Can"})["view"]
    moved = page.json(f"/api/images/{row['id']}", content=row["content"], view=view)
    assert (moved["class"], moved["name"], moved["content_hash"]) == ("Bottle", "here.jpg", row["content"])
    assert moved["position"] is None and moved["has_file"]
    # By its id alone it is what is there now.
    assert page.json(f"/api/images/{row['id']}")["content_hash"] != row["content"]
    large = page.get(f"/images/{row['content']}/large")
    assert large.status_code == 200
    assert large.content == page.get(f"/images/{moved['id']}/large").content
    assert page.json(f"/api/images/{row['content']}/similar").keys() == {"ready", "trouble", "images"}
    for unknown in ("0" * 32, "f" * 32, "F" * 32):
        assert page.json(f"/api/images/{row['id']}", content=unknown)["name"] == "001.jpg"
        assert page.get(f"/images/{unknown}/large").status_code == 404


def test_a_removal_that_waits_names_its_cause_after_a_change_in_another_class(
    pushed_page: PageClient, photo_store: Path
) -> None:
    (photo_store / "Can" / "k.jpg").symlink_to("nowhere")
    (photo_store / "Can" / "001.jpg").unlink()
    pushed_page.post("/api/refresh")
    for name in ("a.png", "b.png"):
        (waiting,) = pushed_page.rows(state="waiting")
        reason = pushed_page.json(f"/api/images/{waiting['id']}")["reason"]
        assert reason == "not removed for now: part of its class could not be read: Can/k.jpg"
        row = pushed_page.row("Bottle", name)
        change = {"kind": "move", "items": [[row["id"], row["content"]]], "to": "Büchse"}
        assert pushed_page.post("/api/changes", change).json()["done"] == 1
