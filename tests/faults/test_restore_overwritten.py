"""``backup restore --since TIME --overwritten`` brings overwritten images back, and loses none of the files in their
places."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.shell import Shell, draw, in_store

OVERWRITTEN = ("backup", "restore", "--since", "1h", "--overwritten")


@pytest.fixture
def changed(shell: Shell, pushed: Path) -> Path:
    """A store of which two images were overwritten and one was deleted since the push."""
    draw(pushed / "Can/000.png", 900)
    draw(pushed / "Glass/000.png", 901)
    (pushed / "Can/001.png").unlink()
    return pushed


def aside(store: Path) -> Path:
    return store.with_name(f"{store.name}-overwritten")


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("[!.]*/**/*.png")}


@pytest.mark.parametrize("pushes", [True, False])
def test_overwritten_and_deleted_images_come_back_and_the_files_there_are_kept(
    shell: Shell, pushed: Path, pushes: bool
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    before = files_below(pushed)
    new = {
        name: draw(pushed / name, 900 + number).read_bytes()
        for number, name in enumerate(("Can/000.png", "Glass/000.png"))
    }
    (pushed / "Can/001.png").unlink()
    if pushes:
        assert shell("push", "--yes", "--store", pushed).code == 0
    plain = shell("backup", "restore", "--since", "1h", "--store", pushed)
    assert (
        "2 images not restored: other files are at their paths now; to bring back what was overwritten: --overwritten"
        in plain.err
    )
    assert files_below(pushed) == before | new
    preview = shell(*OVERWRITTEN, "--dry-run", "--store", pushed)
    assert (
        f"To move to {aside(pushed)}, since an image comes back" in preview.out
        and "2 files would be written" in preview.out
    )
    assert files_below(pushed) == before | new and not aside(pushed).exists()
    ran = shell(*OVERWRITTEN, "--store", pushed)
    assert (ran.code, "2 files written" in ran.out) == (0, True), ran
    assert f"2 files that were at such a path: now in {aside(pushed)}" in ran.err
    assert files_below(pushed) == before and files_below(aside(pushed)) == new
    assert aside(pushed).stat().st_mode & 0o077 == 0
    assert shell("push", "--yes", "--store", pushed).code == 0
    # A second time nothing is left to bring back: what is there came first.
    again = shell(*OVERWRITTEN, "--store", pushed)
    assert files_below(pushed) == before and "0 files written" in again.out, again


@pytest.mark.parametrize("title", ["Can", "Glass"])
def test_an_image_that_a_copy_of_another_one_has_overwritten_comes_back(shell: Shell, pushed: Path, title: str) -> None:
    before = files_below(pushed)
    shutil.copy(pushed / title / "001.png", pushed / "Can/000.png")
    assert shell("push", "--yes", "--store", pushed).code == 0
    ran = shell(*OVERWRITTEN, "--store", pushed)
    assert (ran.code, "1 file written" in ran.out) == (0, True), ran
    assert files_below(pushed) == before
    assert files_below(aside(pushed)) == {"Can/000.png": before[f"{title}/001.png"]}
    again = shell(*OVERWRITTEN, "--store", pushed)
    assert files_below(pushed) == before and "0 files written" in again.out, again


def test_a_second_time_the_files_get_other_names(shell: Shell, changed: Path) -> None:
    first = (changed / "Can/000.png").read_bytes()
    assert shell(*OVERWRITTEN, "--class", "Can", "--store", changed).code == 0
    second = draw(changed / "Can/000.png", 902).read_bytes()
    listed = shell(*OVERWRITTEN, "--class", "Can", "--json", "--store", changed).json["set_aside"]
    assert listed == [{"path": "Can/000.png", "now": str(aside(changed) / "Can/000 (2).png")}]
    assert files_below(aside(changed)) == {"Can/000.png": first, "Can/000 (2).png": second}


def test_what_was_moved_or_renamed_to_the_path_stays_in_the_store(shell: Shell, pushed: Path) -> None:
    os.replace(pushed / "Bottle/000.png", pushed / "Can/000.png")
    os.replace(pushed / "Glass/001.png", pushed / "Glass/000.png")
    before = files_below(pushed)
    ran = shell(*OVERWRITTEN, "--store", pushed)
    assert "2 images not restored: other files are at their paths now" in ran.err, ran
    assert "--overwritten" not in ran.err, "it was given"
    assert files_below(pushed) == before and not aside(pushed).exists()


def test_a_file_stays_where_the_backup_has_no_good_image_for_its_place(shell: Shell, changed: Path) -> None:
    before = files_below(changed)
    for file in (changed / ".astica-sync/backup/objects").glob("*/*"):
        file.chmod(0o600)
        file.write_bytes(b"damaged")
    ran = shell(*OVERWRITTEN, "--store", changed)
    assert ran.code == 1 and files_below(changed) == before, ran
    assert files_below(aside(changed)) == {}


def test_a_file_comes_back_where_its_image_cannot_be_written(
    shell: Shell, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astica_sync.local.filesystem import FileSystem

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = files_below(changed)
    monkeypatch.setattr(FileSystem, "copy_synced", full)
    ran = shell(*OVERWRITTEN, "--store", changed)
    assert ran.code == 1 and "the disk is full" in ran.err, ran
    assert files_below(changed) == before and files_below(aside(changed)) == {}


def test_another_disk_beside_the_store_leaves_the_file(
    shell: Shell, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astica_sync.local.class_folders import folder_handles

    def other_disk(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    before = files_below(changed)
    monkeypatch.setattr(folder_handles, "rename_new", other_disk)
    ran = shell(*OVERWRITTEN, "--class", "Glass", "--store", changed)
    assert ran.code == 1 and "is on another disk than the folder for it: move the file away" in ran.err, ran
    assert files_below(changed) == before


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounts as root")
def test_a_store_that_is_a_mount_keeps_the_files_in_its_hidden_folder(
    shell: Shell, changed: Path, tmp_path: Path
) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    if subprocess.run(["mount", "--bind", changed, place], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        now = (place / "Glass/000.png").read_bytes()
        listed = shell(*OVERWRITTEN, "--class", "Glass", "--dry-run", "--store", place)
        assert str(place / ".astica-sync/overwritten") in listed.out, listed
        ran = shell(*OVERWRITTEN, "--class", "Glass", "--store", place)
        assert ran.code == 0, ran
        assert (place / "Glass/000.png").read_bytes() != now
        assert (place / ".astica-sync/overwritten/Glass/000.png").read_bytes() == now
    finally:
        subprocess.run(["umount", place], check=True)


def test_another_store_in_place_of_the_folder_gets_no_files(shell: Shell, changed: Path) -> None:
    (aside(changed) / ".astica-sync").mkdir(parents=True)
    before = in_store(changed)
    ran = shell(*OVERWRITTEN, "--store", changed)
    assert ran.code == 1 and "inside the store" in ran.err and "away, then run it again" in ran.err
    assert in_store(changed) == before and files_below(aside(changed)) == {}


def test_another_store_below_the_folder_gets_no_files(shell: Shell, changed: Path) -> None:
    (aside(changed) / "Can/.astica-sync").mkdir(parents=True)
    before = (changed / "Can/000.png").read_bytes()
    ran = shell(*OVERWRITTEN, "--store", changed)
    assert ran.code == 3 and f"{aside(changed)}/Can, where it would go, is a store" in ran.err, ran
    assert (changed / "Can/000.png").read_bytes() == before
    # What has another place is brought back all the same.
    assert files_below(aside(changed)).keys() == {"Glass/000.png"}


def test_links_and_folders_at_the_path_are_not_moved(shell: Shell, changed: Path, tmp_path: Path) -> None:
    (changed / "Can/000.png").unlink()
    (changed / "Can/000.png").mkdir()
    (changed / "Glass/000.png").unlink()
    (changed / "Glass/000.png").symlink_to(tmp_path / "elsewhere")
    ran = shell(*OVERWRITTEN, "--store", changed)
    assert (changed / "Can/000.png").is_dir() and (changed / "Glass/000.png").is_symlink(), ran
    assert files_below(aside(changed)) == {}


def test_a_link_in_place_of_the_folder_is_refused(shell: Shell, changed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    aside(changed).symlink_to(tmp_path / "mine")
    before = in_store(changed)
    ran = shell(*OVERWRITTEN, "--store", changed)
    assert ran.code == 1 and "symbolic link" in ran.err and "away, then run it again" in ran.err
    assert in_store(changed) == before and not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize(
    "words", [("--overwritten",), (*OVERWRITTEN[2:], "--move-back"), (*OVERWRITTEN[2:], "--to", "x")]
)
def test_it_is_for_since_alone(shell: Shell, pushed: Path, words: tuple[str, ...]) -> None:
    assert shell("backup", "restore", *words, "--store", pushed).code == 2
