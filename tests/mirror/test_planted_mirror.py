"""A mirror in a folder where another user may write: no link in it is followed, and what is copied there is private."""

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.local.layout import Layout
from astica_sync.mirror.mirror_keeper import MirrorKeeper
from astica_sync.mirror.mirror_status import read_record, write_record
from astica_sync.mirror.rebuild import UNFINISHED
from tests.harness.shell import Shell

MALLORY = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")


def mirrored(shell: Shell, store: Path, disk: Path) -> Path:
    disk.mkdir()
    assert shell("push", "--store", store).code == 0
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    return disk


@pytest.mark.parametrize("place", ["backup", "backup/objects", "an object's folder"])
def test_a_link_in_a_mirror_leads_no_copy_elsewhere(shell: Shell, store: Path, tmp_path: Path, place: str) -> None:
    disk = mirrored(shell, store, tmp_path / "disk")
    linked = next((disk / "backup" / "objects").iterdir()) if place.startswith("an") else disk / place
    linked.rename(tmp_path / "before")
    private = tmp_path / "private"
    private.mkdir()
    (private / "catalog.jsonl").write_text("mine\n")
    linked.symlink_to(private)
    ran = shell("backup", "mirror", disk, "--store", store)
    assert ran.code != 0 and "symbolic link" in ran.out + ran.err
    assert [path.name for path in private.rglob("*")] == ["catalog.jsonl"]
    assert (private / "catalog.jsonl").read_text() == "mine\n"


def test_a_link_in_place_of_a_file_of_a_mirror_is_replaced(shell: Shell, store: Path, tmp_path: Path) -> None:
    disk = mirrored(shell, store, tmp_path / "disk")
    letter = tmp_path / "letter"
    letter.write_text("mine")
    for name in ("store.json", "files.jsonl", "backup/catalog.jsonl"):
        (disk / name).unlink()
        (disk / name).symlink_to(letter)
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    assert letter.read_text() == "mine"
    assert not [path for path in disk.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("seal", [None, "", "00" * 16, 7, "no hex"])
def test_the_record_of_a_mirror_in_a_downloaded_store_is_not_believed(shell: Shell, store: Path, seal: object) -> None:
    assert shell("push", "--store", store).code == 0
    planted = {
        "place": "s3://elsewhere/x",
        "tried_at": 1.9e9,
        "done_at": 1.9e9,
        "objects": 8,
        "damaged": 1,
        "error": "no",
    }
    if seal is not None:
        planted["seal"] = seal
    (store / ".astica-sync/mirror.json").write_text(json.dumps(planted))
    for command in ("status", "doctor"):
        for flags in ([], ["--json"]):
            ran = shell(command, *flags, "--store", store)
            assert ran.code == 0 and "elsewhere" not in ran.out + ran.err, ran


def test_a_record_of_a_wrong_clock_keeps_no_copy_away(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = mirrored(shell, store, tmp_path / "disk")
    # The record has a seal of the commands' state folder.
    monkeypatch.setenv("XDG_STATE_HOME", shell.environ["XDG_STATE_HOME"])
    layout = Layout(store)
    record = read_record(layout)
    assert record is not None
    catalog = (layout.backup / "catalog.jsonl").read_bytes()

    def copy_once() -> None:
        assert shell("backup", "mirror", disk, "--store", store).code == 0

    def watch_once() -> None:
        copied, clock = threading.Event(), SystemClock()
        keeper = MirrorKeeper(layout, str(disk), 3600.0, clock, copied=lambda _: copied.set(), failed=lambda _: None)
        keeper.start()
        assert copied.wait(30)
        clock.stopping.set()
        keeper.join(30)

    for copy in (copy_once, watch_once):
        (disk / "backup/catalog.jsonl").write_bytes(catalog[::-1])
        write_record(layout, replace(record, done_at=record.tried_at + 1e8))
        copy()
        assert (disk / "backup/catalog.jsonl").read_bytes() == catalog


@pytest.mark.parametrize("name", ["store.json", "files.jsonl", "backup/catalog.jsonl", "an object"])
def test_a_file_of_any_length_in_a_mirror_is_not_read_into_memory(
    shell: Shell, store: Path, tmp_path: Path, name: str
) -> None:
    disk = mirrored(shell, store, tmp_path / "disk")
    file = next((disk / "backup" / "objects").glob("*/*.png")) if name.startswith("an") else disk / name
    with file.open("r+b") as opened:
        opened.truncate(0 if name == "store.json" else file.stat().st_size)
        opened.truncate(1 << 42)
    ran = shell("backup", "restore", "--from", disk, "--to", tmp_path / "new")
    if name in ("store.json", "files.jsonl"):
        assert ran.code == 1 and f"{name} of {disk} is damaged" in ran.err, ran
    else:
        # The others are restored.
        assert ran.code == 3 and "it has 4,398.0 GB, more than the 1.1 GB that are read" in ran.err, ran
    assert "memory" not in ran.err


@needs_root
@pytest.mark.parametrize(
    ("by_link", "planted"), [(False, False), (True, False), (False, True)], ids=["folder", "link", "interrupted"]
)
def test_a_store_is_not_rebuilt_in_the_folder_of_another_user(
    shell: Shell, store: Path, tmp_path: Path, *, by_link: bool, planted: bool
) -> None:
    disk = mirrored(shell, store, tmp_path / "disk")
    target = tmp_path / "target"
    hidden = target / ".astica-sync"
    if planted:
        hidden.mkdir(parents=True)
        (hidden / UNFINISHED).touch()
    else:
        target.mkdir()
    for path in (target, *target.rglob("*")):
        os.chown(path, MALLORY, MALLORY)
    named = target
    if by_link:
        named = tmp_path / "link"
        named.symlink_to(target)
    before = sorted(target.rglob("*"))
    ran = shell("backup", "restore", "--from", disk, "--to", named)
    assert ran.code == 1 and f"belongs to user id {MALLORY}" in ran.err, ran.err
    assert "with --to" in ran.err
    assert sorted(target.rglob("*")) == before


@needs_root
@pytest.mark.parametrize("part", [".astica-sync", f".astica-sync/{UNFINISHED}", "astica-sync.toml"])
def test_what_another_user_has_put_into_an_interrupted_rebuilding_is_refused(
    shell: Shell, store: Path, tmp_path: Path, part: str
) -> None:
    """The folder itself is the user's own, and others may write in it."""
    disk = mirrored(shell, store, tmp_path / "disk")
    target = tmp_path / "target"
    (target / ".astica-sync").mkdir(parents=True)
    (target / ".astica-sync" / UNFINISHED).touch()
    (target / "astica-sync.toml").touch()
    os.chown(target / part, MALLORY, MALLORY)
    ran = shell("backup", "restore", "--from", disk, "--to", target)
    assert ran.code == 1 and f"belongs to user id {MALLORY}" in ran.err, ran.err
    assert {path.name for path in target.rglob("*")} == {".astica-sync", UNFINISHED, "astica-sync.toml"}


def test_an_interrupted_rebuilding_with_a_link_in_it_is_refused(shell: Shell, store: Path, tmp_path: Path) -> None:
    disk = mirrored(shell, store, tmp_path / "disk")
    elsewhere, target = tmp_path / "elsewhere", tmp_path / "target"
    elsewhere.mkdir()
    (elsewhere / UNFINISHED).touch()
    target.mkdir()
    (target / ".astica-sync").symlink_to(elsewhere)
    ran = shell("backup", "restore", "--from", disk, "--to", target)
    assert ran.code == 1 and "is a symbolic link" in ran.err, ran.err
    assert [path.name for path in elsewhere.rglob("*")] == [UNFINISHED]


@pytest.mark.parametrize("planted", ["files.jsonl", "catalog.jsonl"])
def test_no_planted_line_makes_a_folder_in_the_place_of_the_settings(
    shell: Shell, store: Path, tmp_path: Path, planted: str
) -> None:
    disk = mirrored(shell, store, tmp_path / "disk")
    file = disk / "files.jsonl" if planted == "files.jsonl" else store / ".astica-sync" / "backup" / planted
    line = json.loads(file.read_text().splitlines()[0])
    names = ("astica-sync.toml", "astica-sync.TOML", "a\u200dstica-sync.toml", ".astica-ignore", ".astica-sync", "a\nb")
    with file.open("a") as opened:
        for name in names:
            opened.write(json.dumps({**line, "class": name, "path": f"{name}/x.png"}) + "\n")
    target = tmp_path / "target"
    ran = shell("backup", "restore", *(("--from", disk) if file.parent == disk else ("--store", store)), "--to", target)
    assert ran.code == 3 and "6 failed" in ran.out, (ran.out, ran.err)
    assert {path.name for path in target.iterdir()} <= {"Can", "Box", "Bottle", ".astica-sync", "Dose"}
    if planted == "files.jsonl":
        assert shell("status", "--store", target).code == 0
    else:
        assert shell("backup", "restore", "astica-sync.toml/x.png", "--store", store).code == 1
        assert not (store / "astica-sync.toml").exists()


def test_what_is_copied_to_a_mirror_is_for_the_user_alone(shell: Shell, store: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        disk = mirrored(shell, store, tmp_path / "disk")
    finally:
        os.umask(before)
    readable = [path.relative_to(disk) for path in disk.rglob("*") if path.stat().st_mode & 0o077]
    assert readable == []
