"""The state of each image is what ``astica-sync status`` says of it, in a store that has every state."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xxhash

from astica_sync.core.gallery.image_state import ImageState
from astica_sync.core.model import make_scope, make_uid
from astica_sync.local.db.journal import Journal
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.page_client import PageClient, running_page
from tests.harness.sandbox_images import draw as draw_bytes
from tests.harness.shell import Shell, draw, fill


@pytest.fixture
def every_state(shell: Shell, photo_store: Path, sandbox: RunningSandbox) -> Path:
    """A store with an image in each state."""
    store, (model_id, _) = photo_store, sandbox.models()[0]
    fill(store, {"Filler": 30}, 300)
    draw(store / "Can" / "deleted.png", 100)
    draw(store / "Can" / "gone.png", 101)
    assert shell("push", "--store", store).code == 0
    # Only in the backup: removed from the service as well.
    (store / "Can" / "gone.png").unlink()
    assert shell("push", "--store", store).code == 0
    sandbox.add_sample(model_id, "Can", draw_bytes("blue"), "made-elsewhere")
    assert shell("status", "--store", store).code == 0
    # To be removed, new, in two classes, waiting for its class, a problem, of unknown outcome.
    (store / "Can" / "deleted.png").unlink()
    draw(store / "Can" / "new.png", 102)
    draw(store / "Can" / "both.png", 103)
    draw(store / "Bottle" / "both.png", 103)
    draw(store / "Bottel" / "slip.png", 104)
    (store / "Can" / "problem.jpg").write_text("no image")
    draw(store / "Can" / "doubtful.png", 105)
    with running_page(store) as page:
        content = page.row("Can", "doubtful.png")["content"]
    with Journal(store / ".astica-sync" / "journal.db", "another run") as journal:
        journal.attempt([(make_uid(content, make_scope(model_id, "Can")), "Can", "Can/doubtful.png")], time.time())
    shell.environ["ASTICA_QUARANTINE"] = "600"
    return store


@pytest.fixture
def every_page(every_state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageClient]:
    monkeypatch.setenv("ASTICA_QUARANTINE", "600")
    with running_page(every_state) as page:
        yield page


def uid_of(row: dict[str, Any], model_id: int) -> str:
    return make_uid(row["content"], make_scope(model_id, row["class"]))


def test_the_states_are_those_of_the_status(
    every_page: PageClient, every_state: Path, shell: Shell, sandbox: RunningSandbox
) -> None:
    model_id = sandbox.models()[0][0]
    status = shell("status", "--store", every_state, "--offline", "--json").json
    rows = every_page.rows()
    shown = [str(state) for state in ImageState if state not in (ImageState.HELD_OUT, ImageState.NOT_OWNED)]
    by_state = {state: [row for row in rows if row["state"] == state] for state in shown}
    assert {state for state, found in by_state.items() if not found} == set(), "every state occurs"

    def paths(*states: str) -> set[str]:
        return {f"{row['class']}/{row['name']}" for state in states for row in by_state[state]}

    details = {row["id"]: every_page.json(f"/api/images/{row['id']}") for row in rows}
    several = {f"{row['class']}/{row['name']}" for row in by_state["several-classes"]}
    assert several == {"Can/both.png", "Bottle/both.png"}
    assert paths("new") | several == {one["path"] for one in status["plan"]["upload"]}
    assert paths("problem") == {one["path"] for one in status["problems"]}
    assert {one["reason"] for one in status["problems"]} == {
        details[row["id"]]["reason"] for row in by_state["problem"]
    }
    removed = {details[row["id"]]["sample_id"] for row in by_state["to-remove"]}
    assert removed == {one["sample_id"] for one in status["plan"]["remove"]} != set()
    elsewhere = {details[row["id"]]["sample_id"] for row in by_state["elsewhere"]}
    assert elsewhere == {one["sample_id"] for one in status["unmanaged"]} != set()
    doubtful = {(uid_of(row, model_id), details[row["id"]]["reason"]) for row in by_state["doubtful"]}
    assert doubtful == {(one["uid"], one["reason"]) for one in status["waiting"]} != set()
    assert [details[row["id"]]["until"] > time.time() for row in by_state["doubtful"]] == [True]
    assert paths("waiting") == {"Bottel/slip.png"}
    assert any("Bottel" in refusal["reason"] for refusal in status["refusals"])
    assert paths("backup-only") == {"Can/gone.png"}
    managed = status["remote"]["managed"] - len(removed)
    assert len(by_state["on-service"]) == managed
    price = every_page.json("/api/store")["price"]
    assert price["requests"] == status["plan"]["requests"]


@pytest.mark.long
def test_the_counts_beside_the_filters_are_those_of_the_rows(every_page: PageClient) -> None:
    store, rows = every_page.json("/api/store"), every_page.rows()
    assert store["totals"]["images"] == len(rows)
    for state, count in store["totals"]["by_state"].items():
        assert count == len(every_page.rows(state=state)) == sum(row["state"] == state for row in rows)
    for entry in store["classes"]:
        assert entry["images"] == len(every_page.rows(**{"class": entry["title"]}))
    assert len({row["id"] for row in rows}) == len(rows)


def test_what_only_the_backup_has_is_put_back(every_page: PageClient, every_state: Path) -> None:
    rows = [row for state in ("backup-only", "to-remove") for row in every_page.rows(state=state)]
    assert {row["name"] for row in rows} == {"gone.png", "deleted.png"}
    for row in rows:
        assert every_page.get(f"/thumbnails/{row['content']}").status_code == 200
    items = [[row["id"], row["content"]] for row in rows]
    done = every_page.post("/api/changes", {"kind": "restore", "items": items}).json()
    assert (done["done"], done["skipped"], done["undo"]) == (2, [], "put back 2 images")
    assert draw(every_state.parent / "same.png", 101).read_bytes() == (every_state / "Can" / "gone.png").read_bytes()
    every_page.post("/api/refresh")
    assert every_page.rows(state="backup-only") == every_page.rows(state="to-remove") == []
    assert every_page.post("/api/undo").json()["done"] == 2
    assert not (every_state / "Can" / "gone.png").exists()


def test_a_file_that_is_there_is_not_put_back(every_page: PageClient) -> None:
    row = every_page.row("Can", "new.png")
    done = every_page.post("/api/changes", {"kind": "restore", "items": [[row["id"], row["content"]]]}).json()
    assert [one["reason"] for one in done["skipped"]] == ["its file is in the store"]


def test_what_has_no_file_cannot_be_moved(every_page: PageClient) -> None:
    rows = every_page.rows(state="elsewhere") + every_page.rows(state="backup-only")
    items = [[row["id"], row["content"]] for row in rows]
    done = every_page.post("/api/changes", {"kind": "move", "items": items, "to": "Can"}).json()
    assert (done["done"], len(done["skipped"])) == (0, 2)


def test_a_planted_catalog_puts_back_images_alone_and_stops_nothing_else(photo_store: Path, shell: Shell) -> None:
    """A line of the backup that leads elsewhere, or to a script, is skipped; what else was chosen is put back."""
    assert shell("push", "--store", photo_store).code == 0
    backup = photo_store / ".astica-sync" / "backup"
    script = b"#!/bin/sh\necho planted\n"
    content = xxhash.xxh3_128_hexdigest(script)
    (backup / "objects" / content[:2]).mkdir(exist_ok=True)
    (backup / "objects" / content[:2] / f"{content}.png").write_bytes(script)
    line = json.loads((backup / "catalog.jsonl").read_text().splitlines()[0])
    paths = ["Can/run.sh", "../x.png", "Nul\0/x.png", ".ssh/x.png", "con/x.png", " /x.png", "Bottle/a/../../../x.png"]
    with (backup / "catalog.jsonl").open("a") as catalog:
        for path in paths:
            planted = {**line, "class": path.split("/")[0], "path": path, "content": content}
            catalog.write(json.dumps(planted) + "\n")
    gone = photo_store / "Can" / "001.jpg"
    data = gone.read_bytes()
    gone.unlink()

    def listed() -> list[Path]:
        return sorted(path for path in photo_store.parent.rglob("*") if not {".astica-sync", "home"} & set(path.parts))

    before = listed()
    with running_page(photo_store) as page:
        rows = [row for row in page.rows() if row["content"] in (content, xxhash.xxh3_128_hexdigest(data))]
        assert {row["class"] for row in rows} >= {"Can", "Bottle", "..", "con", " "}
        items = [[row["id"], row["content"]] for row in rows]
        answer = page.post("/api/changes", {"kind": "restore", "items": items}).json()
    assert answer["done"] == 1 and len(answer["skipped"]) == len(rows) - 1
    assert gone.read_bytes() == data
    gone.unlink()
    assert listed() == before


def test_the_images_of_a_class_that_the_store_does_not_own_are_shown_as_such(shell: Shell, photo_store: Path) -> None:
    assert shell("push", "--store", photo_store).code == 0
    (photo_store / "astica-sync.toml").write_text('owns = ["Can"]\n')
    draw(photo_store / "Can" / "new.png", 102)
    assert shell("status", "--store", photo_store).code == 0
    with running_page(photo_store) as page:
        rows = page.rows()
        of_file = [row for row in rows if row["state"] != "elsewhere"]
        assert {row["state"] for row in of_file if row["class"] != "Can"} == {"not-owned"}
        assert {row["state"] for row in of_file if row["class"] == "Can"} == {"on-service", "new"}
        other = next(row for row in rows if row["state"] == "not-owned")
        details = page.json(f"/api/images/{other['id']}")
        assert details["reason"] == "its class is none that this store owns"


def test_what_the_service_has_confirmed_since_the_last_view_is_on_it(shell: Shell, photo_store: Path) -> None:
    assert shell("push", "--store", photo_store).code == 0
    with running_page(photo_store) as page:
        totals = page.json("/api/store")["totals"]
        assert set(totals["by_state"]) == {"on-service"}, totals
