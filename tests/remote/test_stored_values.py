"""Values out of bounds: what the service answers with them today, and what an earlier version of the program stored."""

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import xxhash

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.sandbox_images import draw
from tests.harness.shell import Shell

pytestmark = pytest.mark.long

LONG = "x" * 2_000_000
READERS = [
    ("status",),
    ("status", "--offline"),
    ("push", "--dry-run"),
    ("versions",),
    ("versions", "--json"),
    ("log",),
    ("snapshot", "list"),
    ("backup", "list"),
]


def read_all(shell: Shell, store: Path) -> str:
    """Runs every command that shows what is stored; returns what they printed."""
    printed = ""
    for arguments in READERS:
        ran = shell(*arguments, "--store", store)
        assert ran.code == 0, (arguments, ran.err[-2000:])
        printed += ran.out + ran.err
    return printed


def plant(store: Path, name: str, *records: dict[str, Any]) -> None:
    file = store / ".astica-sync" / "backup" / name
    with file.open("a") as opened:
        opened.writelines(json.dumps(record) + "\n" for record in records)


def version(model_id: int, **fields: Any) -> dict[str, Any]:
    return {"model_id": model_id, "version": "v", "trained_at": 1.7e9, "seen_at": 1.7e9, "snapshot": None, **fields}


BAD_DATES = [1e300, -1e300, math.nan, math.inf, -math.inf, 10**400, 0, -1, 3093527980800, "1e300", "soon", [], True]


@pytest.mark.parametrize("date", BAD_DATES, ids=[str(date)[:20] for date in BAD_DATES])
def test_a_stored_version_with_any_date_is_shown(shell: Shell, pushed: Path, model_id: int, date: Any) -> None:
    plant(
        pushed,
        "versions.jsonl",
        version(model_id, version="bad-trained", trained_at=date),
        version(model_id, version="bad-seen", trained_at=None, seen_at=date),
        version(model_id, version="good"),
    )
    ran = shell("versions", "--store", pushed)
    assert ran.code == 0, ran.err
    assert "good" in ran.out
    assert shell("versions", "--store", pushed, "--json").code == 0


@pytest.mark.long
def test_a_version_whose_date_was_out_of_bounds_is_not_recorded_again(
    shell: Shell, pushed: Path, model_id: int, sandbox: RunningSandbox
) -> None:
    assert shell("train", "--store", pushed).code == 0
    records = pushed / ".astica-sync" / "backup" / "versions.jsonl"
    (line,) = map(json.loads, records.read_text().splitlines())
    records.write_text(json.dumps({**line, "trained_at": 1e300}) + "\n")
    shown = shell("versions", "--store", pushed, "--json").json
    assert [one["name"] for one in shown["versions"]] == [line["version"]]
    assert len(records.read_text().splitlines()) == 1


@pytest.mark.long
def test_stored_texts_of_megabytes_are_shown_in_part(shell: Shell, pushed: Path, model_id: int) -> None:
    plant(pushed, "versions.jsonl", version(model_id, version=LONG), version(model_id, version=LONG + "2"))
    plant(
        pushed,
        "adopted.jsonl",
        {"model_id": model_id, "sample_id": 1e300, "foreign_uid": LONG, "class": LONG, "uid": LONG},
        {"model_id": model_id, "sample_id": 77, "foreign_uid": LONG, "class": LONG, "uid": "0" * 32 + "-00000000"},
        {"model_id": model_id, "sample_id": math.inf, "foreign_uid": "u", "class": "Can", "uid": "u"},
    )
    scores = pushed / ".astica-sync" / "scores.jsonl"
    good = {"version": "v", "right": 1, "shown": 2, "folder": "held-out", "images": "a", "at": 1.7e9}
    bad = [{"right": "many"}, {"shown": -1}, {"at": 1e300}, {"at": None}, {"folder": LONG}, {"right": 1e300}]
    scores.write_text("".join(json.dumps({**good, **one}) + "\n" for one in bad))
    printed = read_all(shell, pushed)
    assert len(printed) < 50_000
    assert shell("push", "--store", pushed).code == 0


def test_a_stored_history_with_any_time_is_shown(shell: Shell, pushed: Path) -> None:
    with sqlite3.connect(pushed / ".astica-sync" / "journal.db") as journal:
        ids = [row[0] for row in journal.execute("SELECT id FROM history ORDER BY id")]
        for row, at in zip(ids, (1e300, -1e300, -5, 3093527980800), strict=False):
            journal.execute("UPDATE history SET at = ? WHERE id = ?", (at, row))
    journal.close()
    assert "unknown" in shell("log", "--store", pushed).out
    read_all(shell, pushed)


def test_a_view_cache_of_an_earlier_version_is_made_again(shell: Shell, pushed: Path) -> None:
    assert shell("status", "--store", pushed, "--offline").code == 0
    columns = pushed / ".astica-sync" / "last-view.columns"
    content = columns.read_bytes()
    head, _, rest = content[:-32].partition(b"\n")
    fields = json.loads(head)
    fields["format"] = 1
    fields["model"].update(trained_at=1e300, created_at="soon", title=LONG)
    old = json.dumps(fields).encode() + b"\n" + rest
    columns.write_bytes(old + xxhash.xxh3_128_digest(old))
    read_all(shell, pushed)
    assert json.loads(columns.read_bytes().partition(b"\n")[0])["format"] > 1


@pytest.mark.parametrize(
    "change",
    [
        {"title": LONG},
        {"date_trained": 1e300, "date_created": -1e300},
        {"total_size": -1, "trained": 7, "model_version": LONG, "date_trained": 10**300},
        {"purpose": LONG, "type": LONG, "tags": [LONG]},
    ],
    ids=["title", "dates", "version", "texts"],
)
def test_a_stored_view_with_values_out_of_bounds_is_read(shell: Shell, pushed: Path, change: dict[str, Any]) -> None:
    view = pushed / ".astica-sync" / "last-view.json"
    head, _, body = view.read_bytes().partition(b"\n")
    about, answer = json.loads(head), json.loads(body)
    answer["dataset"].update(change)
    about.pop("name")
    view.write_bytes(json.dumps(about).encode() + b"\n" + json.dumps(answer).encode())
    ran = shell("status", "--store", pushed, "--offline")
    assert ran.code == 0, ran.err
    assert len(ran.out + ran.err) < 20_000


@pytest.mark.parametrize("asked_at", [1e300, -1, "soon", None, [], "NaN", 10**400], ids=lambda at: str(at)[:9])
def test_a_stored_view_with_any_time_is_read_or_refused(shell: Shell, pushed: Path, asked_at: Any) -> None:
    view = pushed / ".astica-sync" / "last-view.json"
    head, _, body = view.read_bytes().partition(b"\n")
    view.write_bytes(json.dumps({**json.loads(head), "asked_at": asked_at}).encode() + b"\n" + body)
    ran = shell("status", "--store", pushed, "--offline")
    assert ran.code == 0 or "cannot read the last observation" in ran.err
    assert shell("status", "--store", pushed).code == 0


@pytest.mark.long
def test_titles_and_uids_of_megabytes_on_the_service_are_shown_in_part_and_remove_nothing(
    shell: Shell, pushed: Path, model_id: int, sandbox: RunningSandbox
) -> None:
    sandbox.add_sample(model_id, LONG, draw("blue"), "made elsewhere")
    sandbox.add_sample(model_id, LONG + "2", draw("green"), LONG)
    sandbox.add_model(LONG)
    before = len(sandbox.samples(model_id))
    printed = read_all(shell, pushed)
    for arguments in (("models",), ("models", "show", str(model_id))):
        ran = shell(*arguments)
        assert ran.code == 0, ran.err
        printed += ran.out + ran.err
    assert len(printed) < 50_000
    ran = shell("push", "--store", pushed, "--json")
    assert ran.json["removed"] == 0
    assert ran.code == 0, ran.err
    assert len(sandbox.samples(model_id)) == before
    state = pushed / ".astica-sync"
    long = [path for path in state.rglob("*") if path.is_file() and LONG.encode() in path.read_bytes()]
    assert [path.name for path in long] == ["last-view.json"]


def test_our_samples_under_a_title_of_megabytes_are_never_removed(
    shell: Shell, pushed: Path, model_id: int, sandbox: RunningSandbox
) -> None:
    (sample,) = [one for one in sandbox.samples(model_id) if one.class_title == "Can"][:1]
    sandbox.add_sample(model_id, LONG, sample.image, sample.uid)
    sandbox.clear_log()
    for arguments in (("status",), ("push",), ("push", "--yes", "--max-remove", "100%")):
        ran = shell(*arguments, "--store", pushed)
        assert ran.code == 1
        assert "title that no folder can have" in ran.err
        assert len(ran.err) < 2000
    assert {request.call for request in sandbox.log} == {"view"}
