"""A sample that was made elsewhere under a uid of ours, which can be computed, and with other bytes is not ours."""

from collections import Counter
from pathlib import Path

import pytest

from astica_sync.core.model import make_scope, make_uid
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.file_hash import hash_file
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.sandbox_images import draw as other_image
from tests.harness.shell import Shell, draw, in_store, on_service

REASON = "its uid is that of an image of this store, its size is not"
OTHER = other_image("blue", size=(90, 70)) + b"\0" * 5000


def uid_of(path: Path, model_id: int) -> str:
    content = hash_file(FileSystem(), path).content
    assert content
    return make_uid(content, make_scope(model_id, path.parent.name))


def forge(sandbox: RunningSandbox, model_id: int, path: Path) -> int:
    """Another client adds another image under the uid of this file; returns its id."""
    return sandbox.add_sample(model_id, path.parent.name, OTHER, uid_of(path, model_id))


def ours(sandbox: RunningSandbox, model_id: int) -> Counter[tuple[str, bytes]]:
    return on_service(sandbox, model_id) - Counter({(title.casefold(), OTHER): 99 for title in ("Can", "Bottle")})


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.long), 5])
def test_the_first_push_sends_the_real_images(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, count: int
) -> None:
    files = sorted(store.glob("*/*.png"))[:count]
    forged = {forge(sandbox, model_id, path) for path in files}
    status = shell("pull-status", "--json", "--store", store).json
    assert {one["sample_id"] for one in status["unmanaged"]} == forged
    assert {one["reason"] for one in status["unmanaged"]} == {REASON}
    assert len(status["plan"]["upload"]) == 5
    assert REASON in shell("pull-status", "--store", store).out
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert ours(sandbox, model_id) == in_store(store)
    sandbox.clear_log()
    assert shell("push", "--store", store).code == 0
    assert [request.call for request in sandbox.log] == ["view"]


def test_no_removal_follows_from_a_forged_sample(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    path = pushed / "Can" / "000.png"
    forged = forge(sandbox, model_id, path)
    for change in ("nothing", "gone", "back"):
        if change == "gone":
            image = path.read_bytes()
            path.unlink()
        elif change == "back":
            path.write_bytes(image)
        for _ in range(2):
            assert shell("push", "--store", pushed).code == 0
        assert forged in {sample.sample_id for sample in sandbox.samples(model_id)}
        assert ours(sandbox, model_id) == in_store(pushed)
    listed = shell("pull-status", "--json", "--store", pushed).json
    assert [(one["sample_id"], one["reason"]) for one in listed["unmanaged"]] == [(forged, REASON)]


def test_a_forged_sample_in_a_class_that_goes_keeps_the_class(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    forged = forge(sandbox, model_id, pushed / "Can" / "000.png")
    for path in (pushed / "Can").iterdir():
        path.unlink()
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert [sample.sample_id for sample in sandbox.samples(model_id) if sample.class_title == "Can"] == [forged]


def test_removing_it_by_hand_says_that_no_backup_has_its_image(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    forged = forge(sandbox, model_id, pushed / "Can" / "000.png")
    ran = shell("remove-sample", str(forged), "--store", pushed)
    assert ran.code != 0
    assert "not in the backup" in ran.out + ran.err
    assert shell("remove-sample", str(forged), "--yes", "--lose-unmanaged", "1", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


SHOWN = ("kilobytes", "halved", "zero", "text", "mebibytes")


@pytest.mark.parametrize("shown", ["missing", "coarse", *(pytest.param(one, marks=pytest.mark.long) for one in SHOWN)])
def test_services_that_show_sizes_in_other_ways_cost_no_second_sample(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a service shows of sizes, a lost journal is rebuilt and each image is there once."""
    import json
    import sqlite3

    from astica_sync.remote import responses

    change = {
        "kilobytes": lambda size: size * 1000,
        "halved": lambda size: size / 2,
        "missing": lambda size: None,
        "zero": lambda size: 0,
        "text": str,
        "coarse": lambda size: round(size, 2),
        "mebibytes": lambda size: round(size * 1e6 / (1 << 20), 6),
    }[shown]
    parse = responses.parse_view

    def parse_changed(body: bytes, *rest: object) -> object:
        answer = json.loads(bytes(body))
        for entry in answer["dataset"]["class_list"]:
            for sample in entry["samples"]:
                sample["size"] = change(sample["size"])
        return parse(json.dumps(answer).encode(), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(responses, "parse_view", parse_changed)
    monkeypatch.setattr("astica_sync.remote.client.parse_view", parse_changed, raising=False)
    assert shell("push", "--store", store).code == 0
    for name in ("journal.db", "last-view.json", "last-view.columns"):
        (store / ".astica-sync" / name).unlink(missing_ok=True)
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)
    (store / "Can" / "000.png").unlink()
    draw(store / "Can" / "new.png", 77)
    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(store)
    with sqlite3.connect(store / ".astica-sync" / "journal.db") as journal:
        assert journal.execute("SELECT count(*) FROM mark WHERE state = 'agreed'").fetchone() == (5,)
