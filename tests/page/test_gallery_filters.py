"""The filters of the gallery beside class, state and text: split, problem, and the data of a version."""

from pathlib import Path
from typing import Any

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.digits import write_digits
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell, in_store, on_service


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of handwritten digits, in place of the usual photos."""
    return write_digits(tmp_path / "digits", 6, names=("zero", "one"))


@pytest.fixture
def held_out(shell: Shell, photo_store: Path) -> Path:
    """Two images of each class, moved out of the store."""
    folder = photo_store.parent / "held out"
    ran = shell("split", "--store", photo_store, "--to", folder, "--share", "0.34", "--yes")
    assert ran.code == 0, ran.err
    return folder


def names(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["class"], row["name"]) for row in rows}


def counts(page: PageClient, **wanted: Any) -> Any:
    return page.json("/api/gallery/counts", **wanted)


def test_held_out_images_are_a_split_of_their_own(shell: Shell, photo_store: Path, held_out: Path) -> None:
    outside = {(path.parent.name, path.name) for path in held_out.glob("*/*.png")}
    assert len(outside) == 4
    with running_page(photo_store) as page:
        assert names(page.rows(split="held-out")) == outside == names(page.rows(state="held-out"))
        assert {row["state"] for row in page.rows(split="held-out")} == {"held-out"}
        assert (
            names(page.rows())
            == names(page.rows(split="store"))
            == {(path.parent.name, path.name) for path in photo_store.glob("*/*.png")}
        )
        assert len(page.rows(split="all")) == 12
        assert page.rows(split="wrong") == []
        assert counts(page)["split"] == {"store": 8, "held-out": 4}
        assert counts(page, split="held-out", **{"class": "one"})["split"] == {"store": 4, "held-out": 2}
        store = page.json("/api/store")["totals"]
        assert (store["images"], store["by_state"]["held-out"]) == (8, 4)
        one = page.rows(split="held-out")[0]
        assert page.get(f"/thumbnails/{one['content']}").content.startswith(b"\xff\xd8")
        assert "evaluated" in page.json(f"/api/images/{one['id']}")["reason"]
        assert one["size"] == (held_out / one["class"] / one["name"]).stat().st_size


@pytest.mark.long
@pytest.mark.parametrize("kind", ["move", "delete", "restore"])
def test_no_change_reaches_a_held_out_image(photo_store: Path, held_out: Path, shell: Shell, kind: str) -> None:
    before = in_store(held_out), in_store(photo_store)
    with running_page(photo_store) as page:
        rows = page.rows(split="held-out")
        items = [[row["id"], row["content"]] for row in rows]
        answer = page.post("/api/changes", {"kind": kind, "items": items, "to": "zero"}).json()
        assert answer["done"] == 0
        assert len(answer["skipped"]) == 4
        words = "a held-out folder has it" if kind == "restore" else "it is held out, and the page changes no"
        assert all(one["reason"].startswith(words) for one in answer["skipped"])
        view = page.json("/api/gallery", split="held-out")["view"]
        everything = {"kind": kind, "all": {"view": view, "except": []}, "to": "zero"}
        assert page.post("/api/changes", everything).json()["done"] == 0
    assert (in_store(held_out), in_store(photo_store)) == before


def restore(page: PageClient, rows: list[dict[str, Any]]) -> Any:
    return page.post("/api/changes", {"kind": "restore", "items": [[row["id"], row["content"]] for row in rows]}).json()


@pytest.mark.long
def test_what_was_held_out_is_not_put_back_beside_itself(
    photo_store: Path, shell: Shell, sandbox: RunningSandbox
) -> None:
    assert shell("push", "--store", photo_store).code == 0
    assert shell("status", "--store", photo_store).code == 0
    folder = photo_store.parent / "held out"
    assert shell("split", "--store", photo_store, "--to", folder, "--share", "0.34", "--yes").code == 0
    before = in_store(photo_store)
    with running_page(photo_store) as page:
        waiting = page.rows(state="to-remove")
        assert len(waiting) == 4
        answer = restore(page, waiting)
        assert answer["done"] == 0
        assert {one["reason"] for one in answer["skipped"]} == {
            "a held-out folder has it: to train on it, move its file from there into the store yourself"
        }
        assert shell("push", "--store", photo_store, "--yes").code == 0
        page.post("/api/refresh")
        # It is in the backup and not only there.
        assert page.rows(state="backup-only") == page.rows(state="to-remove") == []
        assert len(page.rows(state="held-out")) == 4
        assert in_store(photo_store) == before == on_service(sandbox, sandbox.models()[0][0])
        # One that is gone from the held-out folder too is put back.
        gone = next(folder.glob("zero/*.png"))
        data = gone.read_bytes()
        gone.unlink()
        page.post("/api/refresh")
        [only] = page.rows(state="backup-only")
        assert restore(page, [only])["done"] == 1
        assert in_store(photo_store) - before == {("zero", data): 1}


def test_a_new_held_out_image_appears_and_a_link_does_not(photo_store: Path, held_out: Path, tmp_path: Path) -> None:
    with running_page(photo_store) as page:
        write_digits(tmp_path / "more", 1, start=9, names=("zero",))
        (tmp_path / "more" / "zero" / "009.png").rename(held_out / "zero" / "later.png")
        (held_out / "zero" / "link.png").symlink_to(photo_store / "one" / next((photo_store / "one").iterdir()).name)
        (held_out / "loose.png").write_bytes((held_out / "zero" / "later.png").read_bytes())
        page.post("/api/refresh")
        assert ("zero", "later.png") in names(page.rows(split="held-out"))
        assert len(page.rows(split="held-out")) == 5
        (held_out / "zero" / "later.png").unlink()
        page.post("/api/refresh")
        assert len(page.rows(split="held-out")) == 4


def test_the_folder_of_another_store_is_not_shown(photo_store: Path, held_out: Path) -> None:
    text = (held_out / ".astica-split.json").read_text("utf-8")
    (held_out / ".astica-split.json").write_text(text.replace(str(photo_store), "/another"), "utf-8")
    with running_page(photo_store) as page:
        assert page.rows(split="held-out") == []


def test_problems_by_their_kind(page: PageClient, photo_store: Path) -> None:
    (photo_store / "zero" / "empty.jpg").write_bytes(b"")
    (photo_store / "zero" / "text.jpg").write_bytes(b"some text, no image at all")
    (photo_store / "one" / "empty.png").write_bytes(b"")
    page.post("/api/refresh")
    assert counts(page)["problem"] == {"empty file": 2, "text file": 1}
    assert counts(page, problem="text file")["problem"] == {"empty file": 2, "text file": 1}
    assert counts(page, **{"class": "one"})["problem"] == {"empty file": 1}
    assert names(page.rows(problem="empty file")) == {("zero", "empty.jpg"), ("one", "empty.png")}
    assert len(page.rows(problem="1")) == 3
    assert page.rows(problem="nothing such") == []


@pytest.mark.long
def test_the_data_of_a_version_and_what_changed_since(shell: Shell, photo_store: Path) -> None:
    assert shell("push", "--store", photo_store).code == 0
    assert shell("train", "--store", photo_store).code == 0
    before = names_on_disk(photo_store)
    write_digits(photo_store.parent / "more", 1, start=7, names=("zero",))
    (photo_store.parent / "more" / "zero" / "007.png").rename(photo_store / "zero" / "added.png")
    (photo_store / "zero" / "000.png").unlink()
    (photo_store / "zero" / "001.png").rename(photo_store / "one" / "moved.png")
    (photo_store / "zero" / "002.png").rename(photo_store / "zero" / "other name.png")
    (photo_store / "zero" / "empty.png").write_bytes(b"")
    with running_page(photo_store) as page:
        since = page.rows(version="since-@1")
        assert names(since) == {("zero", "added.png"), ("one", "moved.png"), ("zero", "000.png"), ("zero", "001.png")}
        in_data = page.rows(version="@1")
        assert len(in_data) == len(before)
        assert names(in_data) & names(since) == {("zero", "000.png"), ("zero", "001.png")}
        assert ("zero", "other name.png") in names(in_data)
        found = counts(page, of="@1", version="@1")["version"]
        assert found == {"in": len(in_data), "since": len(since)}
        one = counts(page, of="@1", **{"class": "one"})["version"]
        assert one == {"in": 6, "since": 1}


def names_on_disk(store: Path) -> set[tuple[str, str]]:
    return {(path.parent.name, path.name) for path in store.glob("*/*.png")}


@pytest.mark.parametrize("text", ["@9", "since-@9", "", "since-", "x" * 5000, "@1\0", "../../etc", "@-1"])
def test_an_unknown_version_is_named(page: PageClient, text: str) -> None:
    for answer in (
        page.get("/api/gallery", version=text or "@"),
        page.get("/api/gallery/counts", of=text or "@"),
        page.get("/api/gallery", said=text or "@"),
    ):
        assert answer.status_code == 404
        assert answer.json()["hint"]
