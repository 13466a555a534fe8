"""Values of a planted or damaged store that no command of the program writes: none ends in a crash or a hang."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xxhash

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

DEEP = "[" * 200_000


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 41)


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("name", "plant", "command"),
    [
        (".astica-sync/last-view.json", write(DEEP), ("pull-status", "--offline")),
        (".astica-sync/last-view.json", sparse, ("pull-status", "--offline")),
        (".astica-sync/last-view.columns", sparse, ("pull-status", "--offline")),
        (".astica-sync/store.json", write(DEEP), ("pull-status",)),
        (".astica-sync/store.json", sparse, ("pull-status",)),
        (".astica-sync/watch.json", write(DEEP), ("pull-status",)),
        (".astica-sync/watch.json", sparse, ("pull-status",)),
        (".astica-sync/backup/catalog.jsonl", sparse, ("backup", "list")),
        (".astica-sync/backup/versions.jsonl", sparse, ("versions", "--offline")),
        (".astica-sync/backup/adopted.jsonl", sparse, ("pull-status",)),
        ("astica-sync.toml", write("a=" + "[" * 100_000), ("pull-status",)),
        ("astica-sync.toml", write("a" + ".a" * 100_000 + "=1"), ("pull-status",)),
    ],
)
def test_deep_and_sparse_files_end_in_a_message(
    shell: Shell, pushed: Path, name: str, plant: Callable[[Path], object], command: tuple[str, ...]
) -> None:
    plant(pushed / name)
    ran = shell(*command, "--store", pushed)
    assert ran.code in (0, 1), ran.err
    assert "internal error" not in ran.err
    assert "Traceback" not in ran.err


FORGED = [
    ("a title that is a number", lambda head: head.update(classes=[[1, 7, 8]])),
    ("classes that are lists", lambda head: head.update(classes=[[[1], ["Can"], 8]])),
    ("samples without a place", lambda head: head.update(places=[])),
    ("more samples than there are", lambda head: head.update(samples=10**6)),
    ("fewer than none", lambda head: head.update(samples=-3)),
    ("sizes of no precision", lambda head: head.update(size_decimals=-400)),
    ("a model without a title", lambda head: head["model"].update(title=None)),
    ("another number of samples", lambda head: head.update(classes=[[1, "Glass", 500]])),
]


@pytest.mark.parametrize(("name", "forge"), FORGED, ids=[name for name, _ in FORGED])
def test_columns_of_a_view_that_this_user_did_not_write_are_not_read(
    shell: Shell, pushed: Path, name: str, forge: Callable[[dict[str, Any]], object]
) -> None:
    shown = shell("pull-status", "--offline", "--json", "--store", pushed).out
    columns = pushed / ".astica-sync/last-view.columns"
    head, _, rest = columns.read_bytes()[:-32].partition(b"\n")
    fields = json.loads(head)
    forge(fields)
    body = json.dumps(fields).encode() + b"\n" + rest
    digest = xxhash.xxh3_128_digest(body)
    # Without a seal, with one of no folder, and with that of another state folder.
    for end in (digest, digest + bytes(16), digest + xxhash.xxh3_128_digest(digest)):
        columns.write_bytes(body + end)
        ran = shell("pull-status", "--offline", "--json", "--store", pushed)
        assert ran.code == 0 and ran.out == shown, (ran.out, ran.err)


META = [
    ("training", '{"a": 1}'),
    ("training", "[]"),
    ("training", "5"),
    ("training", '{"snapshot": "../x", "samples": 1, "asked_at": "x", "answered": 1, "name": 2, "trained_at": "q"}'),
    ("trained", '{"a": 1}'),
    ("follows", '["a"]'),
    ("follows", '["a", "b"]'),
    ("follows", "5"),
    ("follows", DEEP),
]


@pytest.mark.parametrize(("key", "value"), META, ids=[f"{key} {value[:12]}" for key, value in META])
def test_odd_values_of_the_journal_are_called_damage(shell: Shell, pushed: Path, key: str, value: str) -> None:
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/journal.db")) as journal, journal:
        journal.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
    for command in (("pull-status",), ("versions",), ("train", "--no-wait")):
        ran = shell(*command, "--store", pushed)
        assert "internal error" not in ran.err, (command, ran.err)
    assert "values that astica-sync never writes" in ran.err


@pytest.mark.parametrize("sent_at", ["yesterday", b"1"])
def test_a_mark_whose_time_is_none_is_called_damage(shell: Shell, pushed: Path, sent_at: object) -> None:
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/journal.db")) as journal, journal:
        journal.execute("UPDATE mark SET sent_at = ?", (sent_at,))
    (pushed / "Can" / "000.png").unlink()
    for command in (("status",), ("push", "--dry-run"), ("push", "--yes")):
        ran = shell(*command, "--store", pushed)
        assert ran.code == 1
        assert "values that astica-sync never writes" in ran.err, (command, ran.err)


def test_a_history_that_can_take_no_more_events_is_called_damage(
    shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/journal.db")) as journal, journal:
        journal.execute("UPDATE history SET id = 9223372036854775807 WHERE id = (SELECT max(id) FROM history)")
    (pushed / "Can" / "000.png").unlink()
    ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 1
    assert "values that astica-sync never writes" in ran.err
    assert len(sandbox.samples(model_id)) == 5


@pytest.mark.parametrize("uid", ["IMG_0001.png", "0" * 32, "0" * 31 + "G-12345678", "../../etc/passwd"])
def test_a_mark_whose_uid_is_no_hash_is_called_damage(shell: Shell, pushed: Path, uid: str) -> None:
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/journal.db")) as journal, journal:
        journal.execute("INSERT INTO mark VALUES (?, 'Can', 'agreed', 1, 'x', ?, NULL)", (uid, b"Can/q.png"))
    for command in (("push",), ("backup", "verify"), ("backup", "restore", "--since", "1d"), ("pull-status",)):
        ran = shell(*command, "--store", pushed)
        assert "internal error" not in ran.err, (command, ran.err)


@pytest.mark.parametrize("change", ["at = 'x'", "at = 9e999", "class = x'05'", "outcome = x'07'"])
def test_odd_rows_of_the_history_are_called_damage(shell: Shell, pushed: Path, change: str) -> None:
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/journal.db")) as journal, journal:
        journal.execute(f"UPDATE history SET {change}")
    ran = shell("log", "--store", pushed)
    assert (ran.code, "values that astica-sync never writes" in ran.err) == (1, True), ran.err


@pytest.mark.parametrize(
    "split",
    [
        {"seed": "SEED"},
        {"store": "a\0b"},
        {"store": "\ud800"},
        {"paths": ["Can/\ud800.png"]},
        {"paths": ["Can/a\0b.png"]},
        {"paths": 5},
    ],
)
def test_an_odd_file_of_a_split_ends_in_a_message(
    shell: Shell, pushed: Path, tmp_path: Path, split: dict[str, object]
) -> None:
    target = tmp_path / "held-out"
    target.mkdir()
    fields = {"store": str(pushed), "share": 0.2, "seed": 1, "done": False, "paths": [], **split}
    (target / ".astica-split.json").write_text(json.dumps(fields).replace('"SEED"', "1e999"))
    ran = shell("split", "--to", target, "--yes", "--store", pushed)
    assert (ran.code, "cannot be read" in ran.err) == (1, True), ran.err


@pytest.mark.parametrize("number", ["9223372036854775807", "9223372036854775808", "9" * 25])
def test_numbers_that_no_database_has_are_wrong_usage(shell: Shell, pushed: Path, number: str) -> None:
    assert shell("log", "-n", number, "--store", pushed).code == 2
    assert shell("models", "show", number).code == 2


def test_a_key_file_in_the_home_of_an_unknown_user_is_missing(shell: Shell, pushed: Path) -> None:
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = "~nobodyx/key"
    draw(pushed / "Can" / "new.png", 91)
    ran = shell("push", "--store", pushed)
    assert (ran.code, "internal error" in ran.err) == (1, False), ran.err
