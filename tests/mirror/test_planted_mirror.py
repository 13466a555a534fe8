"""A mirror in a folder where another user may write: no link in it is followed, and what is copied there is private."""

import os
from pathlib import Path

import pytest

from tests.harness.shell import Shell


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


def test_what_is_copied_to_a_mirror_is_for_the_user_alone(shell: Shell, store: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        disk = mirrored(shell, store, tmp_path / "disk")
    finally:
        os.umask(before)
    readable = [path.relative_to(disk) for path in disk.rglob("*") if path.stat().st_mode & 0o077]
    assert readable == []
