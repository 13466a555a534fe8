"""Changes on the page: what they do to the files, what they skip, and undo and redo without end."""

import contextlib
import errno
import http.client
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import xxhash

from astica_sync.local.backup.backup import Backup
from astica_sync.local.class_folders import folder_handles
from astica_sync.local.class_folders.folder_handles import HeldFolders, NotDone
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from astica_sync.page.access.access_gate import MOST_JSON
from astica_sync.page.changes import kept_files
from astica_sync.page.changes.kept_files import KeptFiles
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.system.exclusive_rename import rename_new
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell, draw

Tree = dict[str, bytes]


def tree(store: Path) -> Tree:
    """Every file of the store outside the hidden folder."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and ".astica-sync" not in path.parts
    }


def folders(store: Path) -> set[str]:
    return {
        path.relative_to(store).as_posix()
        for path in store.rglob("*")
        if path.is_dir() and ".astica-sync" not in path.parts
    }


def change(page: PageClient, kind: str, rows: list[dict[str, Any]] = [], **more: Any) -> Any:  # noqa: B006
    answer = page.post("/api/changes", {"kind": kind, "items": [[row["id"], row["content"]] for row in rows], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def undo(page: PageClient, kind: str = "undo") -> Any:
    answer = page.post(f"/api/{kind}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_move_is_made_at_once_and_undone(page: PageClient, photo_store: Path) -> None:
    before = tree(photo_store)
    row = page.row("Can", "001.jpg")
    moved = change(page, "move", [row], to="Bottle")
    assert (moved["done"], moved["skipped"], moved["undo"]) == (1, [], "move 1 image to Bottle")
    after = tree(photo_store)
    assert after == {
        **{path: data for path, data in before.items() if path != "Can/001.jpg"},
        "Bottle/001.jpg": before["Can/001.jpg"],
    }
    assert page.row("Bottle", "001.jpg")["content"] == row["content"]
    assert undo(page)["redo"] == "move 1 image to Bottle"
    assert tree(photo_store) == before
    undo(page, "redo")
    assert tree(photo_store) == after
    assert page.post("/api/redo").status_code == 409


def test_names_that_exist_are_never_overwritten(page: PageClient, photo_store: Path) -> None:
    draw(photo_store / "Bottle" / "001.jpg", 77)
    draw(photo_store / "Bottle" / "001-2.jpg", 78)
    page.post("/api/refresh")
    before = tree(photo_store)
    change(page, "move", [page.row("Can", "001.jpg")], to="Bottle")
    after = tree(photo_store)
    assert after.pop("Bottle/001-3.jpg") == before["Can/001.jpg"]
    assert after == {path: data for path, data in before.items() if path != "Can/001.jpg"}
    undo(page)
    assert tree(photo_store) == before


def test_folders_in_a_class_go_along(page: PageClient, photo_store: Path) -> None:
    before, were = tree(photo_store), folders(photo_store)
    change(page, "move", [page.row("Can", "old/003.png")], to="Bottle")
    assert "Bottle/old/003.png" in tree(photo_store)
    undo(page)
    assert (tree(photo_store), folders(photo_store)) == (before, were)


def test_a_deleted_file_comes_back_with_its_bytes(page: PageClient, photo_store: Path) -> None:
    before = tree(photo_store)
    rows = [row for row in page.rows() if row["class"] == "Can"]
    deleted = change(page, "delete", rows)
    assert (deleted["done"], deleted["undo"]) == (3, "delete 3 images")
    assert {path.partition("/")[0] for path in tree(photo_store) if not path.startswith("Can/raw")} >= {"Bottle"}
    assert not [path for path in tree(photo_store) if path in ("Can/001.jpg", "Can/002.jpg", "Can/old/003.png")]
    undo(page)
    assert tree(photo_store) == before


def test_a_deleted_file_goes_into_the_backup(photo_store: Path, shell: Shell) -> None:
    """Its bytes are there before they can be lost anywhere, and undo takes them from there after a restart."""
    before = tree(photo_store)
    with running_page(photo_store) as page:
        rows = [page.row("Can", "001.jpg"), page.row("Bottle", "a.png")]
        change(page, "delete", rows)
    objects = {path.stem for path in (photo_store / ".astica-sync" / "backup" / "objects").glob("*/*")}
    assert objects == {row["content"] for row in rows}
    assert list((photo_store / ".astica-sync" / "page" / "kept").iterdir()) == []
    listed = shell("backup", "verify", "--store", photo_store)
    assert listed.code == 0, listed.err
    with running_page(photo_store) as page:
        assert page.json("/api/store")["undo"]["undo"] == "delete 2 images"
        undo(page)
    assert tree(photo_store) == before


def test_a_push_that_holds_the_lock_does_not_stop_a_deletion(page: PageClient, photo_store: Path) -> None:
    before = tree(photo_store)
    row = page.row("Can", "001.jpg")
    with writer_lock(Layout(photo_store), patient=False):
        assert change(page, "delete", [row])["done"] == 1
        kept = photo_store / ".astica-sync" / "page" / "kept" / row["content"]
        assert kept.read_bytes() == before["Can/001.jpg"]
        undo(page)
        assert tree(photo_store) == before
        undo(page, "redo")
    change(page, "delete", [page.row("Can", "002.jpg")])
    undo(page)
    undo(page)
    assert tree(photo_store) == before


def test_a_deleted_image_is_shown_while_it_waits_for_the_backup(page: PageClient, photo_store: Path) -> None:
    row = page.row("Can", "001.jpg")
    with writer_lock(Layout(photo_store), patient=False):
        change(page, "delete", [row])
        assert page.get(f"/thumbnails/{row['content']}").headers["content-type"] == "image/jpeg"


def test_classes_are_made_renamed_and_merged(page: PageClient, photo_store: Path) -> None:
    before, were = tree(photo_store), folders(photo_store)
    change(page, "create_class", to="Glas & Söhne")
    assert (photo_store / "Glas & Söhne").is_dir()
    assert "Glas & Söhne" in [one["title"] for one in page.json("/api/store")["classes"]]
    change(page, "rename_class", **{"class": "Can", "to": "Tin"})
    assert {path.replace("Can/", "Tin/") for path in before} == set(tree(photo_store))
    merged = change(page, "merge_classes", **{"class": "Tin", "to": "Bottle"})
    assert merged["done"] == 4, "under its new name, the ignore file leaves nothing of the class out"
    assert not [row for row in page.rows() if row["class"] == "Tin"]
    for _ in range(3):
        undo(page)
    assert (tree(photo_store), folders(photo_store)) == (before, were)
    for _ in range(3):
        undo(page, "redo")
    assert "Bottle/old/003.png" in tree(photo_store)


@pytest.mark.parametrize(
    "title",
    [
        "",
        " ",
        ".hidden",
        ".astica-sync",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "nul",
        "COM1",
        "x" * 256,
        "x" * 10_000,
        " outer ",
        "@eaDir",
    ],
)
def test_a_title_that_no_class_can_have_is_refused(page: PageClient, photo_store: Path, title: str) -> None:
    before, were = tree(photo_store), folders(photo_store)
    row = page.row("Can", "001.jpg")
    for body in (
        {"kind": "create_class", "to": title},
        {"kind": "rename_class", "class": "Can", "to": title},
        {"kind": "move", "items": [[row["id"], row["content"]]], "to": title},
    ):
        answer = page.post("/api/changes", body)
        assert 400 <= answer.status_code < 600 and answer.json()["error"]
    assert (tree(photo_store), folders(photo_store)) == (before, were)


def test_a_title_that_is_html_is_only_a_title(page: PageClient, photo_store: Path) -> None:
    title = "<img src=x onerror=alert(1)>&\"'"
    change(page, "create_class", to=title)
    assert (photo_store / title).is_dir()
    assert title in [one["title"] for one in page.json("/api/store")["classes"]]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "format"},
        {"kind": "move", "items": "x", "to": "Can"},
        {"kind": "move", "items": [["x"]], "to": "Can"},
        {"kind": "move", "items": [[1, 2]], "to": "Can"},
        {"kind": "move", "to": ["Can"]},
        {"kind": "move", "all": [], "to": "Can"},
        {"kind": "move", "all": {"view": "x", "except": 1}, "to": "Can"},
        {"kind": "rename_class", "class": "nothing", "to": "Tin"},
        {"kind": "rename_class", "class": "Can", "to": "Bottle"},
        {"kind": "merge_classes", "class": "Can", "to": "nothing"},
        {"kind": "merge_classes", "class": "Can", "to": "Can"},
        {"kind": "create_class", "to": "Can"},
    ],
)
def test_a_request_without_sense_changes_nothing(page: PageClient, photo_store: Path, body: dict[str, Any]) -> None:
    before = tree(photo_store)
    assert page.post("/api/changes", body).status_code == 400
    assert tree(photo_store) == before
    assert page.json("/api/store")["undo"] == {"undo": None, "redo": None}


def test_bodies_that_are_no_json_are_refused(page: PageClient) -> None:
    headers = {**page.change_headers, "Content-Type": "application/json"}
    for body in (b"{", b"[]", b"[" * 100_000, b"\xff", b"null"):
        assert page.http.post("/api/changes", content=body, headers=headers).status_code == 400
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = page.http.post("/api/changes", content=b"{}", headers={**headers, "Content-Type": kind})
        assert answer.status_code == 400
    answer = page.http.post("/api/changes", content=b" " * (MOST_JSON + 1), headers=headers)
    assert answer.status_code == 413


def test_all_that_match_are_changed_and_a_stale_view_is_refused(page: PageClient, photo_store: Path) -> None:
    view = page.json("/api/gallery", **{"class": "Can"})["view"]
    spared = page.row("Can", "002.jpg")
    moved = change(page, "move", all={"view": view, "except": [spared["id"]]}, to="Bottle")
    assert moved["done"] == 2
    assert [row["name"] for row in page.rows(**{"class": "Can"})] == ["002.jpg"]
    answer = page.post("/api/changes", {"kind": "delete", "all": {"view": view}})
    assert (answer.status_code, answer.json()["error"]) == (409, "stale")


def test_what_changed_meanwhile_is_skipped(page: PageClient, photo_store: Path) -> None:
    """Two tabs, or a file manager: each item names what it saw."""
    changed, gone, linked, fine = (
        page.row("Can", "001.jpg"),
        page.row("Can", "002.jpg"),
        page.row("Bottle", "a.png"),
        page.row("Bottle", "b.png"),
    )
    draw(photo_store / "Can" / "001.jpg", 5, "JPEG")
    (photo_store / "Can" / "002.jpg").unlink()
    target = photo_store / "Bottle" / "a.png"
    target.rename(photo_store.parent / "secret.png")
    target.symlink_to(photo_store.parent / "secret.png")
    answer = change(page, "move", [changed, gone, linked, fine, {"id": "0" * 16, "content": ""}], to="Büchse")
    assert answer["done"] == 1
    reasons = {one["id"]: one["reason"] for one in answer["skipped"]}
    assert set(reasons) == {changed["id"], gone["id"], linked["id"], "0" * 16}
    assert "changed" in reasons[changed["id"]] and "gone" in reasons[gone["id"]] and "link" in reasons[linked["id"]]
    assert (photo_store / "Büchse" / "b.png").exists() and target.is_symlink()
    wrong = change(page, "delete", [{"id": page.row("Büchse", "b.png")["id"], "content": "f" * 32}])
    assert (wrong["done"], len(wrong["skipped"])) == (0, 1)


def test_a_class_folder_that_became_a_link_is_not_entered(page: PageClient, photo_store: Path) -> None:
    row = page.row("Can", "001.jpg")
    outside = photo_store.parent / "outside"
    (photo_store / "Bottle").rename(outside)
    (photo_store / "Bottle").symlink_to(outside)
    before = sorted(outside.iterdir())
    answer = page.post("/api/changes", {"kind": "move", "items": [[row["id"], row["content"]]], "to": "Bottle"})
    assert answer.status_code >= 400 or answer.json()["done"] == 0
    assert sorted(outside.iterdir()) == before
    assert (photo_store / "Can" / "001.jpg").exists()


def test_undo_skips_what_is_another_file_now(page: PageClient, photo_store: Path) -> None:
    rows = [page.row("Can", "001.jpg"), page.row("Can", "002.jpg")]
    change(page, "move", rows, to="Bottle")
    draw(photo_store / "Bottle" / "001.jpg", 9, "JPEG")
    draw(photo_store / "Can" / "002.jpg", 10, "JPEG")
    undone = undo(page)
    assert undone["done"] == 1
    assert [one["reason"] for one in undone["skipped"]] == ["it has changed since the page showed it"]
    assert (photo_store / "Can" / "002-2.jpg").exists(), "the file that took the old name stays"
    undo(page, "redo")
    assert (photo_store / "Bottle" / "002.jpg").exists()


def test_a_class_folder_that_was_deleted_under_the_page(page: PageClient, photo_store: Path) -> None:
    rows = page.rows(**{"class": "Can"})
    shutil.rmtree(photo_store / "Can")
    answer = change(page, "move", rows, to="Bottle")
    assert answer["done"] == 0
    assert {one["reason"] for one in answer["skipped"]} == {"its folder is gone"}
    page.post("/api/refresh")
    assert "Can" not in {row["class"] for row in page.rows()}


def test_a_store_that_goes_away_is_shown_and_comes_back(page: PageClient, photo_store: Path) -> None:
    row = page.row("Can", "001.jpg")
    away = photo_store.rename(photo_store.parent / "away")
    answer = page.post("/api/changes", {"kind": "delete", "items": [[row["id"], row["content"]]]})
    assert answer.status_code == 503 and answer.json()["hint"]
    trouble = page.post("/api/refresh").json()["trouble"]
    assert trouble["error"] and trouble["hint"]
    assert page.row("Can", "001.jpg") == row, "the last gallery stays"
    away.rename(photo_store)
    assert page.post("/api/refresh").json()["trouble"] is None
    assert change(page, "delete", [page.row("Can", "001.jpg")])["done"] == 1


def test_a_planted_history_leads_nowhere(photo_store: Path) -> None:
    """A downloaded store may bring one; its paths are checked where they are used."""
    import sqlite3

    with running_page(photo_store) as page:
        change(page, "move", [page.row("Can", "001.jpg")], to="Bottle")
    outside = photo_store.parent / "outside.jpg"
    outside.write_bytes((photo_store / "Can" / "002.jpg").read_bytes())
    (photo_store.parent / "Can").mkdir()
    connection = sqlite3.connect(photo_store / ".astica-sync" / "page" / "changes.db")
    rows = [
        ("move", b"../Can/x.jpg", b"../outside.jpg"),
        ("rename-folder", b"../Can", b"../other"),
        ("add", b"", b"../outside.jpg"),
        ("move", b".astica-sync/x", b"Can/002.jpg"),
        ("drop-folder", b"../Can", b""),
        ("make-folder", b"", b"../new"),
    ]
    with connection:
        connection.executemany(
            "INSERT INTO step VALUES (1, ?, ?, ?, ?, '')", [(10 + n, *row) for n, row in enumerate(rows)]
        )
    connection.close()
    before = sorted(photo_store.parent.iterdir())
    with running_page(photo_store) as page:
        assert len(undo(page)["skipped"]) == len(rows)
    assert sorted(photo_store.parent.iterdir()) == before
    assert (photo_store / "Can" / "002.jpg").exists() and (photo_store / "Can" / "001.jpg").exists()


def test_a_history_of_a_newer_version_is_refused_with_what_helps(photo_store: Path) -> None:
    import sqlite3

    with running_page(photo_store) as page:
        change(page, "move", [page.row("Can", "001.jpg")], to="Bottle")
    connection = sqlite3.connect(photo_store / ".astica-sync" / "page" / "changes.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = tree(photo_store)
    with running_page(photo_store) as page:
        refused = page.get("/api/store")
        assert refused.status_code >= 400
        assert "changes.db was written by a newer version of astica-sync" in refused.json()["error"]
        assert refused.json()["hint"] == "upgrade astica-sync"
    assert tree(photo_store) == before


def test_what_the_page_did_is_what_a_push_sends(
    page: PageClient, photo_store: Path, shell: Shell, sandbox: RunningSandbox
) -> None:
    assert shell("push", "--store", photo_store).code == 0
    page.post("/api/refresh")
    change(page, "move", page.rows(**{"class": "Can"}), to="Bottle")
    pushed = shell("push", "--store", photo_store, "--json", "--yes").json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (3, 3, True)


# Uploads


def upload(page: PageClient, data: bytes, name: str, title: str = "Can", batch: str = "") -> httpx.Response:
    from urllib.parse import quote

    headers = {**page.change_headers, "X-File-Name": quote(name), "Content-Type": "application/octet-stream"}
    if batch:
        headers["X-Change-Batch"] = batch
    return page.http.post("/api/uploads", params={"class": title}, content=data, headers=headers)


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    return draw(tmp_path / "picture.png", 4242).read_bytes()


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("photo.png", "photo.png"),
        ("photo.jpg", "photo.png"),
        ("../../etc/passwd", "passwd.png"),
        ("..\\..\\windows\\system32\\x.png", "x.png"),
        ("/etc/shadow.png", "shadow.png"),
        ("a\0b.png", "ab.png"),
        ("a\nb.png", "ab.png"),
        (".hidden.png", "hidden.png"),
        ("..", "image.png"),
        ("", "image.png"),
        ("CON", "image-CON.png"),
        ("nul.png", "image-nul.png"),
        ("x.php", "x.php.png"),
        ("x.html", "x.html.png"),
        ("<script>alert(1)</script>.png", "script_.png"),
        ("\u202egnp.exe", "gnp.exe.png"),
        ("é" * 10_000, "é" * 98 + ".png"),
        ("x" * 10_000 + ".png", "x" * 196 + ".png"),
    ],
)
def test_the_name_of_an_upload_never_becomes_a_path(
    page: PageClient, photo_store: Path, picture: bytes, given: str, stored: str
) -> None:
    before = tree(photo_store)
    answer = upload(page, picture, given)
    assert answer.status_code == 200, answer.text
    added = {path: data for path, data in tree(photo_store).items() if path not in before}
    assert added == {f"Can/{stored}": picture}
    page.post("/api/refresh")
    assert page.row("Can", stored)["id"] == answer.json()["id"]
    undo(page)
    assert tree(photo_store) == before


def test_a_drop_of_many_files_is_one_step_of_undo(page: PageClient, photo_store: Path, tmp_path: Path) -> None:
    before, were = tree(photo_store), folders(photo_store)
    for number in range(5):
        data = draw(tmp_path / f"{number}.png", 900 + number).read_bytes()
        assert upload(page, data, "same.png", "New class", "drop-1").status_code == 200
    assert sorted(path for path in tree(photo_store) if path.startswith("New class")) == [
        f"New class/same{end}.png" for end in ("-2", "-3", "-4", "-5", "")
    ]
    assert undo(page)["done"] == 5
    assert (tree(photo_store), folders(photo_store)) == (before, were)


def test_the_same_image_twice_is_said(page: PageClient, photo_store: Path, picture: bytes) -> None:
    first = upload(page, picture, "a.png")
    page.post("/api/refresh")
    again = upload(page, picture, "b.png")
    assert (again.status_code, again.json()["exists"]) == (409, first.json()["id"])
    assert upload(page, picture, "b.png", "Bottle").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<html><script>alert(1)</script></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"GIF89a" + b"\0" * 100,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"\xff\xd8\xff\xe0" + b"\0" * 1000,
        b"%PDF-1.4",
    ],
)
def test_what_is_no_image_is_refused(page: PageClient, photo_store: Path, data: bytes) -> None:
    before = tree(photo_store)
    answer = upload(page, data, "image.png")
    assert answer.status_code == 422 and answer.json()["error"]
    assert tree(photo_store) == before


def test_a_damaged_image_is_refused_with_the_reason(page: PageClient, photo_store: Path) -> None:
    whole = (photo_store / "Can" / "001.jpg").read_bytes()
    answer = upload(page, whole[: len(whole) // 2], "half.jpg")
    assert answer.status_code == 422 and "broken image" in answer.json()["error"]


def test_an_upload_that_is_too_long_is_not_read(page: PageClient, photo_store: Path) -> None:
    before = tree(photo_store)
    headers = {**page.change_headers, "Content-Length": str(5_000_000_000)}
    host, _, port = page.host.partition(":")
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in page.http.cookies.items())
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.putrequest("POST", "/api/uploads?class=Can")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(b"x" * 1000)
        with contextlib.closing(connection.getresponse()) as refused:
            assert refused.status == 413

    def endless() -> Any:
        for _ in range(21_000):
            yield b"\xff" * 1000

    try:
        answer = page.http.post("/api/uploads?class=Can", headers=page.change_headers, content=endless())
        assert answer.status_code == 413
    except httpx.WriteError:
        pass  # The server has answered and closed before all was sent.
    assert tree(photo_store) == before


def test_an_upload_into_a_class_that_cannot_be_is_refused(page: PageClient, photo_store: Path, picture: bytes) -> None:
    before, were = tree(photo_store), folders(photo_store)
    for title in ("", "..", "../x", "a/b", ".astica-sync", "x" * 20_000):
        assert 400 <= upload(page, picture, "a.png", title).status_code < 600
    assert upload(page, picture, "a.png", "Can", "../x").status_code == 400
    assert (tree(photo_store), folders(photo_store)) == (before, were)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(page: PageClient, photo_store: Path, picture: bytes) -> None:
    (photo_store / "Can").chmod(0o500)
    answer = upload(page, picture, "a.png")
    assert answer.status_code == 422


def test_a_file_that_is_exchanged_while_it_is_deleted_stays(
    page: PageClient, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program saves a new image under the name after the page has looked at it, and once more after that."""
    row, path = page.row("Can", "001.jpg"), photo_store / "Can" / "001.jpg"
    saved = [photo_store / f"saved{number}" for number in range(2)]
    for number, file in enumerate(saved):
        file.write_bytes(path.read_bytes() + bytes(number + 1))
    newer, newest = (file.read_bytes() for file in saved)

    def rename(old: str, old_folder: int, new: str, new_folder: int) -> None:
        if old == "001.jpg":
            saved[0].rename(path)
        rename_new(old, old_folder, new, new_folder)
        if old == "001.jpg":
            saved[1].rename(path)

    monkeypatch.setattr(kept_files, "rename_new", rename)
    answer = change(page, "delete", [row])
    assert [one["reason"] for one in answer["skipped"]] == ["another program exchanged it just now"]
    assert path.read_bytes() == newest and (photo_store / "Can" / "001-2.jpg").read_bytes() == newer
    assert not any((photo_store / ".astica-sync" / "page" / "kept").iterdir())
    assert page.json("/api/store")["undo"] == {"undo": None, "redo": None}


class _OneHash:
    """A hash of which all images have the same value, as two made on purpose have."""

    def update(self, data: bytes) -> None:
        pass

    def hexdigest(self) -> str:
        return "5" * 32


def test_of_two_images_with_one_hash_the_second_is_not_removed(
    photo_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(photo_store) as (kept, folder):
        one, other = photo_store / "Can" / "001.jpg", photo_store / "Can" / "002.jpg"
        first, second = one.read_bytes(), other.read_bytes()
        assert first != second
        monkeypatch.setattr(folder_handles.xxhash, "xxh3_128", _OneHash)
        kept.keep(folder, "001.jpg", "5" * 32, one.stat())
        with pytest.raises(NotDone, match="another image with the same hash"):
            kept.keep(folder, "002.jpg", "5" * 32, other.stat())
        assert not one.exists() and other.read_bytes() == second
        at = kept.has("5" * 32)
        assert at is not None and at.read_bytes() == first


@pytest.mark.parametrize("is_mount", [False, True], ids=["same image twice", "another file system"])
@pytest.mark.parametrize("is_exchanged", [False, True])
def test_what_an_editor_saves_while_its_image_is_removed_stays(
    photo_store: Path, monkeypatch: pytest.MonkeyPatch, is_mount: bool, is_exchanged: bool
) -> None:
    """The editor saves after the bytes were compared and before the file is removed."""
    path, saved = photo_store / "Can" / "001.jpg", photo_store / "saved"
    content, status = hash_file(path)
    newer = path.read_bytes() + b"edited"
    saved.write_bytes(newer)

    def rename(old: str, old_folder: int, new: str, new_folder: int) -> None:
        if is_mount and old == "001.jpg" and new == content:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        if is_exchanged and old == "001.jpg" and new.startswith(".tmp-"):
            saved.rename(path)
        rename_new(old, old_folder, new, new_folder)

    monkeypatch.setattr(kept_files, "rename_new", rename)
    with writing(photo_store) as (kept, folder):
        if not is_mount:
            shutil.copy(path, photo_store / "Can" / "copy.jpg")
            kept.keep(folder, "copy.jpg", content, (photo_store / "Can" / "copy.jpg").stat())
        if is_exchanged:
            with pytest.raises(NotDone, match="another program exchanged it just now"):
                kept.keep(folder, "001.jpg", content, status)
            assert path.read_bytes() == newer
        else:
            kept.keep(folder, "001.jpg", content, status)
            assert not path.exists()
        assert kept.has(content) is not None
    assert not list(photo_store.rglob(".tmp-*"))


def test_the_same_image_of_another_file_system_is_removed_twice(
    photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo_store / "Can" / "001.jpg"
    content, _ = hash_file(path)
    shutil.copy(path, photo_store / "Can" / "copy.jpg")

    def rename(old: str, old_folder: int, new: str, new_folder: int) -> None:
        if old.endswith(".jpg") and new == content:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename_new(old, old_folder, new, new_folder)

    monkeypatch.setattr(kept_files, "rename_new", rename)
    with writing(photo_store) as (kept, folder):
        for name in ("001.jpg", "copy.jpg"):
            kept.keep(folder, name, content, (photo_store / "Can" / name).stat())
            assert not (photo_store / "Can" / name).exists()


@contextlib.contextmanager
def writing(store: Path) -> Iterator[tuple[KeptFiles, int]]:
    """The folder of removed files of a store, and its class folder Can, open."""
    layout = Layout(store)
    backup = Backup(layout.backup, FileSystem(store))
    with HeldFolders(store) as folders:
        yield KeptFiles(layout, store / ".astica-sync" / "page" / "kept", backup, lambda: 1.0), folders.folder("Can")


def hash_file(path: Path) -> tuple[str, os.stat_result]:
    return xxhash.xxh3_128_hexdigest(path.read_bytes()), path.stat()


def test_kept_files_that_are_damaged_hold_back_no_deleted_image(photo_store: Path) -> None:
    kept = photo_store / ".astica-sync" / "page" / "kept"
    with running_page(photo_store):
        pass
    kept.mkdir(mode=0o700, exist_ok=True)
    for number in range(60):
        damaged = kept / f"{number:032x}"
        damaged.write_bytes(b"these are not the bytes of that name")
        damaged.chmod(0o600)
    with running_page(photo_store) as page:
        row = page.row("Can", "001.jpg")
        change(page, "delete", [row])
    objects = photo_store / ".astica-sync" / "backup" / "objects"
    assert [path.name for path in objects.rglob(f"{row['content']}*")]
    assert len(list(kept.iterdir())) == 60
