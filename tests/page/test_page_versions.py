"""The versions on the page: what they were trained on, the difference as images, and one that comes back."""

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
    return write_digits(tmp_path / "digits", 4, names=("zero", "one"))


def two_versions(shell: Shell, store: Path) -> None:
    """Trains, then adds one image, removes one and moves one, and trains again."""
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    write_digits(store.parent / "more", 1, start=4, names=("zero", "one"))
    (store.parent / "more" / "zero" / "004.png").rename(store / "zero" / "added.png")
    (store / "zero" / "000.png").unlink()
    (store / "zero" / "001.png").rename(store / "one" / "moved.png")
    assert shell("push", "--store", store, "--yes").code == 0
    assert shell("train", "--store", store).code == 0


def ended(page: PageClient) -> dict[str, Any]:
    """The push once it has ended."""
    for _ in range(5000):
        push: dict[str, Any] = page.json("/api/store")["push"]
        if push["state"] in ("done", "failed", "asking"):
            return push
    raise AssertionError("the push does not end")


def test_versions_their_difference_and_the_way_back(shell: Shell, photo_store: Path, sandbox: RunningSandbox) -> None:
    two_versions(shell, photo_store)
    now = in_store(photo_store)
    model = sandbox.models()[0][0]
    with running_page(photo_store) as page:
        sandbox.clear_log()
        answer = page.json("/api/versions")
        newest, first = answer["versions"]
        assert (newest["number"], first["number"], answer["follows"]) == (2, 1, None)
        assert (newest["samples"], newest["classes"], newest["known"]) == (8, 2, True)
        assert newest["same_data"] == []
        assert newest["changes"] == {"added": 1, "removed": 1, "moved": 1}
        found = page.json("/api/versions/diff", before="@1", after="@2")
        assert [one["class"] for one in found["added"]["images"]] == ["zero"]
        assert [(one["from"], one["to"]) for one in found["moved"]["images"]] == [("zero", "one")]
        [gone] = found["removed"]["images"]
        # Its file is deleted and no sample has it: the backup shows it.
        assert page.get(f"/thumbnails/{gone['content_hash']}").content.startswith(b"\xff\xd8")
        assert not sandbox.log
        price = page.json("/api/versions/price", version="@1")
        assert (price["uploads"], price["removals"]) == (2, 2)
        sandbox.clear_log()
        assert page.post("/api/push", {"action": "start", "version": "@1"}).status_code == 200
        push = ended(page)
        if push["state"] == "asking":
            assert page.post("/api/push", {"action": "agree"}).status_code == 200
            push = ended(page)
        assert push["state"] == "done", push
        assert page.json("/api/versions")["follows"] == first["name"]
    assert in_store(photo_store) == now
    assert len(on_service(sandbox, model)) == 8
    assert on_service(sandbox, model) != now


@pytest.mark.parametrize("name", ["", "@9", "../../etc", "x" * 5000, "@1\0"])
def test_an_unknown_version_is_named(pushed_page: PageClient, name: str) -> None:
    for answer in (
        pushed_page.get("/api/versions/diff", before=name, after="@1"),
        pushed_page.get("/api/versions/price", version=name),
    ):
        assert answer.status_code in (404, 409)
        assert answer.json()["hint"]


def test_a_version_whose_record_is_damaged_ends_no_list(shell: Shell, photo_store: Path) -> None:
    two_versions(shell, photo_store)
    for snapshot in (photo_store / ".astica-sync" / "backup" / "snapshots").iterdir():
        snapshot.chmod(0o600)
        snapshot.write_bytes(snapshot.read_bytes()[:-40])
        break
    with running_page(photo_store) as page:
        shown = page.json("/api/versions")["versions"]
        assert len(shown) == 2
        assert sorted(one["known"] for one in shown) == [False, True]
        assert next(one["unknown_because"] for one in shown if not one["known"])


def test_a_training_that_another_command_has_requested_is_named(
    shell: Shell, photo_store: Path, sandbox: RunningSandbox
) -> None:
    assert shell("push", "--store", photo_store).code == 0
    sandbox.set_faults("model_train:1=lost-before")
    with running_page(photo_store) as page:
        assert page.json("/api/versions")["requested"] is None
        assert shell("train", "--no-wait", "--store", photo_store).code == 0
        answer = page.json("/api/versions")
    assert answer["versions"] == [] and answer["requested"]["samples"] == in_store(photo_store).total()
    assert answer["requested"]["asked_at"] > 1.7e9
