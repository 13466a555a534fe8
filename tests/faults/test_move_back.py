"""``backup restore --since``: a dry run lists and writes nothing, and ``--move-back`` undoes moves to other classes."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.shell import Shell, draw, fill, in_store
from tests.harness.terminal import converse

SINCE = ("backup", "restore", "--since", "1h")


@pytest.fixture
def undone(shell: Shell, pushed: Path) -> Path:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    return pushed


def files_of(store: Path) -> dict[str, bytes]:
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.glob("[!.]*/**/*.png")}


def move_all(store: Path, title: str, to: str) -> None:
    """As ``mv TITLE/* TO/`` does: what is there is overwritten."""
    for path in sorted((store / title).iterdir()):
        os.replace(path, store / to / path.name)


def test_a_dry_run_lists_on_standard_output_what_a_restore_would_do_and_changes_nothing(
    shell: Shell, undone: Path
) -> None:
    (undone / "Can/000.png").unlink()
    (undone / "Can/001.png").rename(undone / "Bottle/moved.png")
    (undone / "Can/002.png").rename(undone / "Can/renamed.png")
    draw(undone / "Glass/000.png", 99)
    for pushes in range(2):
        before = files_of(undone)
        ran = shell(*SINCE, "--dry-run", "--store", undone)
        assert (ran.code, ran.err) == (0, ""), ran.err
        assert "To write (1):\n  + Can/000.png\n" in ran.out
        assert "to move back with --move-back (1):\n  Can/001.png  (now Bottle/moved.png)\n" in ran.out
        assert "In another place now, not restored (1):\n  Can/002.png  (now Can/renamed.png)\n" in ran.out
        assert "another file is at the path now (1):\n  Glass/000.png\n" in ran.out
        assert ran.out.endswith("0 already there, 1 to move back with --move-back; nothing was changed\n")
        listed = shell(*SINCE, "--dry-run", "--json", "--store", undone).json
        assert [one["path"] for one in listed["write"]] == ["Can/000.png"]
        assert listed["moved"] == [{"path": "Can/001.png", "now": "Bottle/moved.png"}]
        assert listed["elsewhere"] == [{"path": "Can/002.png", "now": "Can/renamed.png", "first": None}]
        assert [one["path"] for one in listed["taken"]] == ["Glass/000.png"]
        assert files_of(undone) == before
        if not pushes:
            assert shell("push", "--yes", "--store", undone).code == 0
    ran = shell(*SINCE, "--json", "--store", undone)
    assert (ran.json["written"], ran.json["dry_run"], ran.err) == (1, False, "")
    assert (undone / "Can/000.png").exists()


def test_a_dry_run_of_everything_and_of_one_file_writes_nothing(shell: Shell, undone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = shell("backup", "restore", "--to", out, "--dry-run", "--store", undone)
    assert ran.out.endswith("8 files would be written, 0 already there; nothing was changed\n") and not out.exists()
    assert shell("backup", "restore", "--to", out, "--store", undone).code == 0
    (out / "Can/000.png").write_bytes(b"other")
    again = shell("backup", "restore", "--to", out, "--dry-run", "--json", "--store", undone).json
    assert (again["write"], again["already_there"]) == ([], 7)
    assert again["failed"] == [{"path": "Can/000.png", "reason": "another file exists at this path"}]
    (undone / "Can/001.png").unlink()
    one = shell("backup", "restore", "Can/001.png", "--dry-run", "--store", undone)
    assert "To write (1):\n  + Can/001.png\n" in one.out and not (undone / "Can/001.png").exists()


@pytest.mark.parametrize("pushes", [0, 1, 2])
def test_a_mass_move_is_undone_by_one_command_with_what_it_overwrote(shell: Shell, undone: Path, pushes: int) -> None:
    """Also where the guard has stopped the removals, so that the images are in both classes on the service."""
    fill(undone, {"Tin": 14}, 300)
    draw(undone / "Glass/keep.png", 900)
    assert shell("push", "--store", undone).code == 0
    (undone / "Glass/keep.png").unlink()
    assert shell("push", "--store", undone).code == 0
    wanted = files_of(undone)
    move_all(undone, "Tin", "Bottle")
    codes = [shell("push", *(["--yes"] if number else []), "--store", undone).code for number in range(pushes)]
    assert codes in ([], [4], [4, 0])
    moved = files_of(undone)
    ran = shell(*SINCE, "--move-back", "--dry-run", "--store", undone)
    overwritten = len(wanted) - len(moved)
    assert overwritten > 1 and "To move back (14):\n  Tin/000.png  (now Bottle/000.png)\n" in ran.out
    assert f"14 files would be moved back, {overwritten} files would be written" in ran.out
    assert "1 deleted image would not be restored" in ran.out
    assert files_of(undone) == moved
    ran = shell(*SINCE, "--move-back", "--store", undone)
    assert ran.code == 0, ran.err
    assert f"14 files moved back, {overwritten} files written, 0 already there, 0 failed" in ran.out
    assert "1 deleted image not restored" in ran.err
    assert files_of(undone) == wanted, "and what was deleted on purpose stays away"
    assert shell("push", "--yes", "--store", undone).code == 0


def test_a_refused_move_names_the_command_that_moves_it_back(shell: Shell, undone: Path) -> None:
    fill(undone, {"Tin": 14}, 300)
    assert shell("push", "--store", undone).code == 0
    move_all(undone, "Tin", "Bottle")
    before = " ".join(shell("status", "--store", undone).out.split())
    assert "--since 1d --move-back" in before and "both classes" not in before, "nothing was uploaded yet"
    refused = shell("push", "--store", undone)
    assert refused.code == 4
    assert "  - 14 samples from Tin to Bottle\n" in refused.out and "Tin/" not in refused.out
    assert "  - 14 samples from Tin to Bottle\n" in shell("watch", "--once", undone).out
    assert "both classes on the service now" in refused.out and "--since 1d --move-back" in refused.out
    shutil.rmtree(undone / "Bottle")
    again = shell("push", "--store", undone)
    assert again.code == 4 and "--since 1d --dry-run" in again.out and "--move-back" not in again.out


@pytest.mark.parametrize("quarantine", ["0", "60"])
def test_a_status_says_that_another_class_has_the_image(shell: Shell, undone: Path, quarantine: str) -> None:
    """Within a quarantine both uploads count as one change, so that the image was in both classes."""
    shell.environ["ASTICA_QUARANTINE"] = quarantine
    draw(undone / "Can/both.png", 70)
    shutil.copy(undone / "Can/both.png", undone / "Bottle/both.png")
    assert shell("push", "--store", undone).code == 0
    (undone / "Can/both.png").unlink()
    (undone / "Bottle/both.png").rename(undone / "Bottle/other.png")
    out = shell("status", "--store", undone).out
    if quarantine == "60":
        assert "- Can/both.png  (it is gone from this class, and another class has it)" in out, out
    assert "another class had it before" not in out


def test_an_image_that_was_moved_twice_goes_back_to_the_first_place(shell: Shell, undone: Path) -> None:
    wanted = files_of(undone)
    for old, new in (("Can/000.png", "Bottle/f.png"), ("Bottle/f.png", "Glass/g.png")):
        (undone / old).rename(undone / new)
        assert shell("push", "--store", undone).code == 0
    ran = shell(*SINCE, "--dry-run", "--store", undone)
    assert "--move-back (1):\n  Can/000.png  (now Glass/g.png)\n" in ran.out
    assert "  Bottle/f.png  (now Glass/g.png, before in Can/000.png)\n" in ran.out
    assert shell(*SINCE, "--move-back", "--store", undone).code == 0
    assert files_of(undone) == wanted


def test_a_copy_in_two_classes_is_not_moved_where_one_was_deleted(shell: Shell, undone: Path) -> None:
    # What one push sends to both within a quarantine has not moved, see ``gather_facts.is_new_place``.
    shell.environ["ASTICA_QUARANTINE"] = "60"
    draw(undone / "Can/both.png", 70)
    shutil.copy(undone / "Can/both.png", undone / "Bottle/both.png")
    assert shell("push", "--store", undone).code == 0
    (undone / "Can/both.png").unlink()
    for _ in range(3):
        ran = shell(*SINCE, "--move-back", "--store", undone)
        assert (ran.code, "0 files moved back, 0 files written" in ran.out) == (0, True), ran.out
        assert (
            "1 image not restored: the store has it in another place\n  Can/both.png  (now Bottle/both.png)\n"
            in ran.err
        )
        assert (undone / "Bottle/both.png").exists() and not (undone / "Can/both.png").exists()
        assert shell("push", "--store", undone).code == 0


def test_only_what_was_in_one_class_is_moved_back(shell: Shell, undone: Path) -> None:
    (undone / "Can/000.png").rename(undone / "Glass/a.png")
    (undone / "Bottle/000.png").rename(undone / "Glass/b.png")
    ran = shell(*SINCE, "--move-back", "--class", "Can", "--store", undone)
    assert (ran.code, "1 file moved back" in ran.out) == (0, True), ran.out + ran.err
    assert (undone / "Can/000.png").exists() and not (undone / "Bottle/000.png").exists()


def test_an_image_whose_place_another_one_has_taken_goes_back_as_well(shell: Shell, undone: Path) -> None:
    wanted = files_of(undone)
    (undone / "Can/000.png").rename(undone / "Glass/c.png")
    assert shell("push", "--store", undone).code == 0
    (undone / "Bottle/000.png").rename(undone / "Can/000.png")
    assert shell("push", "--store", undone).code == 0
    ran = shell(*SINCE, "--move-back", "--store", undone)
    assert (ran.code, "2 files moved back" in ran.out) == (0, True), ran.out + ran.err
    assert files_of(undone) == wanted


def test_two_images_that_have_changed_places_stay_and_none_is_lost(shell: Shell, undone: Path) -> None:
    can, bottle, spare = undone / "Can/000.png", undone / "Bottle/000.png", undone / "Glass/spare.png"
    can.rename(spare)
    bottle.rename(can)
    spare.rename(bottle)
    swapped = files_of(undone)
    ran = shell(*SINCE, "--move-back", "--store", undone)
    assert (ran.code, "0 files moved back, 0 files written" in ran.out) == (0, True), ran.out + ran.err
    assert files_of(undone) == swapped


def test_nothing_is_moved_through_a_link_or_into_another_store(shell: Shell, undone: Path, tmp_path: Path) -> None:
    (undone / "Can/000.png").rename(undone / "Bottle/moved.png")
    shutil.move(undone / "Can", tmp_path / "Can")
    (undone / "Can").symlink_to(tmp_path / "Can")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    ran = shell(*SINCE, "--move-back", "--store", undone)
    assert ran.code != 0 and "symbolic link, not followed" in ran.out + ran.err
    (undone / "Can").unlink()
    (undone / "Can/.astica-sync").mkdir(parents=True)
    again = shell(*SINCE, "--move-back", "--store", undone)
    assert again.code != 0 and "its folder is a store" in again.err, again.err
    assert {path: path.read_bytes() for path in before if path.exists()} == before


@pytest.mark.parametrize("words", [("--move-back",), ("--since", "1h", "--move-back", "--to", "x")])
def test_a_move_back_needs_a_time_and_stays_in_the_store(shell: Shell, undone: Path, words: tuple[str, ...]) -> None:
    assert shell("backup", "restore", *words, "--store", undone).code == 2


def test_the_json_of_a_restore_names_what_failed(shell: Shell, undone: Path, tmp_path: Path) -> None:
    assert in_store(undone)
    shell("backup", "restore", "--to", tmp_path / "out", "--store", undone)
    (tmp_path / "out/Can/000.png").write_bytes(b"other")
    ran = shell("backup", "restore", "--to", tmp_path / "out", "--json", "--store", undone)
    data = json.loads(ran.out)
    assert (ran.code, data["already_there"], ran.err) == (3, 7, "")
    assert [one["path"] for one in data["failed"]] == ["Can/000.png"]


@pytest.mark.long
def test_a_move_back_prints_its_result_first_and_nothing_about_what_it_has_undone(shell: Shell, undone: Path) -> None:
    fill(undone, {"Tin": 14}, 300)
    assert shell("push", "--store", undone).code == 0
    move_all(undone, "Tin", "Glass")
    (undone / "Can/000.png").unlink()
    assert shell("push", "--yes", "--store", undone).code == 0
    preview = shell(*SINCE, "--dry-run", "--store", undone)
    assert "already there, 14 to move back with --move-back; nothing was changed\n" in preview.out
    process = shell.start("-v", *SINCE, "--move-back", "--store", undone, stderr=subprocess.STDOUT)
    ran = shell.finish(process)
    assert ran.code == 0
    first, *others = ran.out.splitlines()
    assert "14 files moved back" in first
    assert "another place" not in ran.out and "(now " not in ran.out
    assert any("1 deleted image not restored" in line for line in others), ran.out


@pytest.mark.long
@pytest.mark.parametrize(("answers", "code"), [("maybe\nn", 4), ("y", 0)])
def test_the_question_about_a_mass_move_counts_it_by_pairs_of_classes(
    shell: Shell, undone: Path, answers: str, code: int
) -> None:
    fill(undone, {"Tin": 14, "Jar": 2}, 300)
    assert shell("push", "--store", undone).code == 0
    for path in sorted((undone / "Tin").iterdir()):
        path.rename(undone / "Bottle" / f"tin-{path.name}")
    (undone / "Jar/000.png").rename(undone / "Can/jar.png")
    ran = converse(shell, "[y/N]", answers, "push", "--store", undone)
    assert ran.code == code, ran.out
    asked = ran.out.replace("\r\n", "\n").partition("[y/N]")[0]
    assert "  - 14 samples from Tin to Bottle\n" in asked and "tin-000" not in asked and "Tin/000" not in asked
    assert re.search(r"  - Jar/000.png  \(#\d+, now in Can\)\n", asked)
    assert asked.index("both classes on the service now, until") < asked.index("Remove them from the service?")
    assert ("answer y or n" in ran.out) == (code == 4)


def test_a_question_keeps_its_choice_whole_on_a_narrow_terminal(shell: Shell, undone: Path) -> None:
    shutil.rmtree(undone / "Bottle")
    shell.environ["COLUMNS"] = "60"
    ran = converse(shell, "[y/N]: ", "n", "push", "--store", undone)
    lines = ran.out.replace("\r\n", "\n").splitlines()
    place = next(place for place, line in enumerate(lines) if "[y/N]: " in line)
    assert lines[place].strip().startswith("[y/N]: ") and lines[place - 1].endswith("has their images."), lines


def test_the_heading_of_what_is_removed_counts_samples(shell: Shell, undone: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    fill(undone, {"Tin": 14}, 300)
    assert shell("push", "--store", undone).code == 0
    shutil.rmtree(undone / "Tin")
    (undone / "Can/000.png").unlink()
    ran = shell("status", "--store", undone)
    assert "class Tin, 14 samples by one request" in ran.out and "To remove (15):" in ran.out


def test_an_image_in_another_place_is_listed_with_what_moves_it_back(shell: Shell, undone: Path) -> None:
    """Also where the folder is not the current one, and the store was found by its path."""
    renamed, wanted = undone / "Can/a b.png", files_of(undone)
    (undone / "Can/002.png").rename(renamed)
    for words in (("--dry-run",), ("--move-back",)):
        ran = shell(*SINCE, *words, "--store", undone)
        [command] = [line for line in (ran.out + ran.err).splitlines() if "To move it back: " in line]
        assert "/Can/a b.png' " in command
    subprocess.run(command.partition(": ")[2], shell=True, check=True)
    assert files_of(undone) == wanted


def test_beside_a_copy_in_a_third_class_the_moved_one_goes_back(shell: Shell, undone: Path) -> None:
    shutil.copy(undone / "Can/000.png", undone / "Bottle/copy.png")
    assert shell("push", "--store", undone).code == 0
    wanted = files_of(undone)
    (undone / "Can/000.png").rename(undone / "Glass/x.png")
    for _ in range(2):
        ran = shell(*SINCE, "--dry-run", "--store", undone)
        assert "--move-back (1):\n  Can/000.png  (now Glass/x.png)\n" in ran.out
        assert shell("push", "--store", undone).code == 0
    assert shell(*SINCE, "--move-back", "--store", undone).code == 0
    assert files_of(undone) == wanted
