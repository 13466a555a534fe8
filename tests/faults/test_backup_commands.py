"""``backup verify``, ``restore`` and ``list`` after something went wrong."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash

from astica_sync.cli.point_in_time import parse_time
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, draw, fill, in_store, on_service


def object_of(store: Path, path: str) -> Path:
    """The object of one file of the store."""
    return object_of_bytes(store, (store / path).read_bytes())


def object_of_bytes(store: Path, data: bytes) -> Path:
    return next(
        found for found in (store / ".astica-sync" / "backup" / "objects").glob("*/*") if found.read_bytes() == data
    )


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_a_damaged_or_missing_object_is_named_and_repaired_from_the_store(shell: Shell, pushed: Path) -> None:
    damage(object_of(pushed, "Can/000.png"))
    object_of(pushed, "Can/001.png").unlink()
    # Which files there are is looked up, not remembered.
    (pushed / ".astica-sync" / "index.db").unlink()
    (pushed / "Can" / "001.png").rename(pushed / "Can" / "renamed.png")
    ran = shell("backup", "verify", "--store", pushed)
    assert ran.code == 0, ran.out + ran.err
    assert "repaired from the store: Can/000.png" in ran.out
    assert "repaired from the store: Can/001.png" in ran.out
    assert "6 objects good, 2 repaired, 0 damaged" in ran.out
    assert shell("backup", "verify", "--json", "--store", pushed).json["good"] == 8


def test_an_object_that_is_one_file_with_a_photo_gets_its_own_again(shell: Shell, pushed: Path) -> None:
    photo, data = pushed / "Can" / "000.png", (pushed / "Can" / "000.png").read_bytes()
    photo.unlink()
    photo.hardlink_to(object_of_bytes(pushed, data))
    ran = shell("backup", "verify", "--store", pushed)
    assert ran.code == 0
    assert "repaired from the store: Can/000.png  (was: one file with another one (a hard link)" in ran.out
    with photo.open("r+b") as file:
        file.write(b"edited in place")
    assert object_of_bytes(pushed, data).is_file()
    assert shell("backup", "verify", "--json", "--store", pushed).json["broken"] == []


def test_what_cannot_be_repaired_is_named_with_class_and_file_and_the_exit_code_says_so(
    shell: Shell, pushed: Path
) -> None:
    damage(object_of(pushed, "Can/000.png"))
    (pushed / "Can" / "000.png").unlink()
    ran = shell("backup", "verify", "--store", pushed)
    assert ran.code == 1
    assert "damaged: Can/000.png  (damaged in the backup" in ran.out
    assert "put a copy of that image into a class folder" in " ".join(ran.out.split())
    [broken] = shell("backup", "verify", "--json", "--store", pushed).json["broken"]
    assert (broken["path"], broken["reason"][:7]) == ("Can/000.png", "damaged")


def test_verify_fails_when_the_whole_backup_is_missing(shell: Shell, pushed: Path) -> None:
    shutil.rmtree(pushed / ".astica-sync" / "backup")
    (pushed / "Can" / "000.png").unlink()
    found = shell("backup", "verify", "--json", "--store", pushed)
    assert found.code == 1
    assert (found.json["good"], len(found.json["repaired"]), len(found.json["broken"])) == (0, 7, 1)
    assert found.json["broken"][0]["reason"] == "missing in the backup"


def test_verifying_in_parts_covers_every_object(shell: Shell, pushed: Path) -> None:
    damage(object_of(pushed, "Can/000.png"))
    (pushed / "Can" / "000.png").unlink()
    parts = [shell("backup", "verify", "--json", "--part", f"{number}/3", "--store", pushed) for number in (1, 2, 3)]
    assert sum(part.json["good"] for part in parts) == 7
    assert sorted(part.code for part in parts) == [0, 0, 1]
    for wrong in ("0/3", "4/3", "1", "a/b", "1/0"):
        assert shell("backup", "verify", "--part", wrong, "--store", pushed).code == 2


def test_verify_repairs_nothing_while_another_process_writes(shell: Shell, pushed: Path) -> None:
    damage(object_of(pushed, "Can/000.png"))
    hold = (
        "import sys; from pathlib import Path; from astica_sync.local.layout import Layout;"
        "from astica_sync.local.lock import writer_lock\n"
        "with writer_lock(Layout(Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(pushed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    ran = shell("backup", "verify", "--store", pushed)
    assert ran.code == 1
    assert "damaged: Can/000.png" in ran.out
    assert "Cannot repair now" in ran.err
    holder.communicate()
    assert shell("backup", "verify", "--store", pushed).code == 0


def test_a_damaged_object_blocks_the_removal_that_relies_on_it(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    data = (pushed / "Can" / "000.png").read_bytes()
    damage(object_of(pushed, "Can/000.png"))
    (pushed / "Can" / "000.png").unlink()
    ran = shell("push", "--store", pushed)
    assert ran.code == 3
    assert "its backup copy is damaged" in ran.out
    assert not sandbox.requests_of("sample_remove")
    # The same image turns up in another class: it goes up, and heals the object on its way.
    (pushed / "Glass" / "found.png").write_bytes(data)
    assert shell("push", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)
    assert shell("backup", "verify", "--store", pushed).code == 0


def test_a_damaged_object_does_not_block_an_upload(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    damage(object_of(pushed, "Can/000.png"))
    sandbox.remove_sample(next(one.sample_id for one in sandbox.samples(model_id) if one.class_title == "Can"))
    assert shell("push", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_restore_writes_every_class_folder_byte_for_byte_next_to_the_store(shell: Shell, pushed: Path) -> None:
    ran = shell("backup", "restore", "--store", pushed)
    assert ran.code == 0, ran.err
    back = pushed.with_name("store-restored")
    assert str(back) in ran.out
    assert in_store(back) == in_store(pushed)
    assert {path.name for path in back.iterdir()} == {"Bottle", "Can", "Glass"}
    again = shell("backup", "restore", "--store", pushed)
    assert "0 files written, 8 already there, 0 failed" in again.out


def test_a_restore_of_one_class_never_overwrites_a_different_file(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    draw(tmp_path / "out" / "Can" / "000.png", 99)
    mine = (tmp_path / "out" / "Can" / "000.png").read_bytes()
    ran = shell("backup", "restore", "--store", pushed, "--class", "Can", "--to", tmp_path / "out")
    assert ran.code == 3, "a part was restored"
    assert "! Can/000.png  (another file exists at this path" in ran.err
    assert (tmp_path / "out" / "Can" / "000.png").read_bytes() == mine
    assert sorted(path.name for path in (tmp_path / "out").glob("*/*")) == ["000.png", "001.png", "002.png", "003.png"]
    assert not (tmp_path / "out" / "Bottle").exists()


def test_the_failures_of_a_restore_are_wrapped_between_words(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    draw(tmp_path / "o" / "Can" / "000.png", 99)
    words = ("backup", "restore", "--store", pushed, "--class", "Can", "--to", tmp_path / "o")
    with Terminal(shell, *words, columns=40) as terminal:
        # The result stands above what failed.
        terminal.until(lambda seen: "1 failed" in " ".join(seen.split()) and "  this path" in seen)
        rows = terminal.rows
    at = next(place for place, row in enumerate(rows) if row.startswith("! Can/000.png"))
    assert rows[at] == "! Can/000.png  (another file exists at" and rows[at + 1].startswith("  this path")


def test_restore_needs_no_index_journal_sentinel_or_service(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    before = in_store(pushed)
    for title in ("Bottle", "Can", "Glass"):
        shutil.rmtree(pushed / title)
    for name in ("index.db", "journal.db", "store.json"):
        (pushed / ".astica-sync" / name).unlink()
    sandbox.set_key("another")
    assert shell("backup", "list", "--store", pushed).code == 0
    assert shell("backup", "verify", "--store", pushed).code == 0
    assert shell("backup", "restore", "--store", pushed).code == 0
    assert in_store(pushed.with_name("store-restored")) == before


@pytest.mark.parametrize("to", ["", "Can", "new", "Can/..", "../link", "../link/Can", "../store/.", ".astica-sync"])
@pytest.mark.parametrize("more", ["", pytest.param("--class Can", marks=pytest.mark.long)])
def test_a_restore_into_the_store_is_refused(shell: Shell, pushed: Path, to: str, more: str) -> None:
    pushed.with_name("link").symlink_to(pushed)
    (pushed / "Can" / "000.png").rename(pushed / "Bottle" / "moved.png")
    before = set(pushed.rglob("*"))
    ran = shell("backup", "restore", "--store", pushed, "--to", pushed / to, *more.split())
    assert ran.code == 1
    assert "is inside the store" in ran.err and "--to" in ran.err
    assert set(pushed.rglob("*")) == before


@pytest.mark.parametrize("to", ["Can", "../other"])
def test_named_files_go_to_their_old_place_and_to_no_other_in_a_store(shell: Shell, pushed: Path, to: str) -> None:
    (pushed / "../other/.astica-sync").mkdir(parents=True)
    ran = shell("backup", "restore", "Can/000.png", "--store", pushed, "--to", pushed / to)
    assert ran.code == 1 and "is inside the store" in ran.err
    assert not (pushed / to / "Can").exists()


def test_named_files_come_back_into_the_store(shell: Shell, pushed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = in_store(pushed)
    wanted = [pushed / "Can" / f"00{number}.png" for number in range(3)]
    for path in wanted:
        path.unlink()
    monkeypatch.chdir(pushed / "Can")
    ran = shell("backup", "restore", "000.png", "Can/001.png", str(wanted[2]))
    assert ran.code == 0, ran.err
    assert "3 files written" in ran.out
    assert in_store(pushed) == before
    assert "0 files written, 1 already there" in shell("backup", "restore", "000.png").out


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (("Can/0O0.png",), "Did you mean 'Can/00"),
        (("../elsewhere.png",), "backup list"),
        (("--class", "Cam"), "Did you mean 'Can'?"),
        (("--class", "zzzzzz"), "backup list"),
    ],
)
def test_an_unknown_file_or_class_is_an_error(shell: Shell, pushed: Path, wrong: tuple[str, ...], hint: str) -> None:
    ran = shell("backup", "restore", "--store", pushed, *wrong)
    assert ran.code == 1
    assert "the backup has no" in ran.err and hint in ran.err
    assert not pushed.with_name("store-restored").exists()


def test_a_class_may_be_typed_in_another_unicode_form(shell: Shell, pushed: Path) -> None:
    draw(pushed / "Büchse" / "1.png", 50)
    assert shell("push", "--store", pushed).code == 0
    for form in ("NFC", "NFD"):
        ran = shell("backup", "restore", "--store", pushed, "--class", unicodedata.normalize(form, "Büchse"))
        assert ran.code == 0, ran.err
        assert "1 file written" in ran.out or "1 already there" in ran.out


@pytest.mark.parametrize("pattern", ["Ca*/001.png", "Can/00?.png", "Can/[0-9]01.png"])
def test_a_pattern_is_no_name_of_a_file_and_no_other_file_is_suggested(
    shell: Shell, pushed: Path, pattern: str
) -> None:
    ran = shell("backup", "restore", pattern, "--store", pushed)
    assert ran.code == 1 and f"the backup has no file {pattern!r}" in ran.err
    assert "atterns with *, ? or [ are not taken" in ran.err and "--class TITLE" in ran.err
    assert "Did you mean" not in ran.err
    typing_error = shell("backup", "restore", "Can/0001.png", "--store", pushed)
    assert "Did you mean 'Can/001.png'?" in typing_error.err


def test_a_renamed_file_comes_back_under_the_name_of_its_upload_which_is_suggested(shell: Shell, pushed: Path) -> None:
    (pushed / "Can/001.png").rename(pushed / "Can/party on the roof.png")
    assert shell("status", "--store", pushed).code == 0
    (pushed / "Can/party on the roof.png").unlink()
    ran = shell("backup", "restore", "Can/party on the roof.png", "--store", pushed)
    assert ran.code == 1 and "the backup has no file 'Can/party on the roof.png'" in ran.err
    assert "It was uploaded as 'Can/001.png': astica-sync backup restore Can/001.png" in " ".join(ran.err.split())
    # After a scan nothing knows the newer name.
    assert shell("status", "--store", pushed).code == 0
    again = shell("backup", "restore", "Can/party on the roof.png", "--store", pushed)
    assert again.code == 1 and "under the names of the uploads: astica-sync backup list" in " ".join(again.err.split())
    assert shell("backup", "restore", "--since", "yesterday", "--store", pushed).code == 0
    assert (pushed / "Can/001.png").exists()


def test_the_name_of_an_upload_in_the_same_class_is_suggested(shell: Shell, pushed: Path) -> None:
    shutil.copy(pushed / "Can/001.png", pushed / "Bottle/copy.png")
    assert shell("push", "--store", pushed).code == 0
    (pushed / "Bottle/copy.png").rename(pushed / "Bottle/L\udcf6ffel.png")
    assert shell("status", "--store", pushed).code == 0
    ran = shell("backup", "restore", "Bottle/L\udcf6ffel.png", "--store", pushed)
    assert "It was uploaded as 'Bottle/copy.png': astica-sync backup restore Bottle/copy.png" in " ".join(
        ran.err.split()
    )


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        (b"L\xf6ffel.png", "L\\xf6ffel.png"),
        (b"L\xf6ffel.png", "L\\udcf6ffel.png"),
        (b"L\xf6ffel.png", "L\udcf6ffel.png"),
        (b"a\nb.png", "a\\nb.png"),
        ("a\u202eb.png".encode(), "a\\u202eb.png"),
        (b"plain\\xf6.png", "plain\\xf6.png"),
    ],
)
def test_a_name_with_escapes_may_be_typed_as_it_is_printed(shell: Shell, store: Path, name: bytes, typed: str) -> None:
    path = store / "Can" / os.fsdecode(name)
    draw(path, 60)
    assert shell("push", "--store", store).code == 0
    path.unlink()
    ran = shell("backup", "restore", f"Can/{typed}", "--store", store)
    assert (ran.code, path.exists()) == (0, True), ran.err


def test_a_name_with_escapes_is_suggested_as_it_is_printed(shell: Shell, store: Path) -> None:
    draw(store / "Can" / os.fsdecode(b"L\xf6ffel.png"), 60)
    assert shell("push", "--store", store).code == 0
    assert "- Can/L\\xf6ffel.png" in removed_line(shell, store, "L\udcf6ffel.png")
    for wrong, shown in (("Can/L\\xf6fel.png", "Can/L\\xf6fel.png"), ("Can/L\udcf6fel.png", "Can/L\\xf6fel.png")):
        ran = shell("backup", "restore", wrong, "--store", store)
        assert ran.code == 1 and f"the backup has no file '{shown}'" in ran.err
        assert "Did you mean 'Can/L\\xf6ffel.png'?" in ran.err


def removed_line(shell: Shell, store: Path, name: str) -> str:
    """What a status says once the file of the class Can is gone."""
    (store / "Can" / name).unlink()
    return shell("status", "--store", store).out


def test_what_was_deleted_lately_comes_back_and_nothing_else(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    can = pushed / "Can"
    wanted = in_store(pushed)
    (can / "000.png").unlink()
    (can / "001.png").rename(pushed / "Bottle" / "moved.png")
    (can / "002.png").rename(can / "renamed.png")
    overwritten = (can / "003.png").read_bytes()
    draw(can / "003.png", 90)
    for _ in range(2):
        assert shell("push", "--store", pushed, "--yes").code == 0
    # Deleted, and not yet pushed.
    (pushed / "Bottle" / "000.png").unlink()
    ran = shell("backup", "restore", "--since", "yesterday", "--store", pushed)
    assert ran.code == 0, ran.err
    assert "2 files written, 0 already there, 0 failed" in ran.out
    assert "2 images not restored: the store has them in another place; for the places: --verbose" in ran.err
    assert (can / "000.png").exists() and (pushed / "Bottle" / "000.png").exists()
    assert not (can / "001.png").exists() and not (can / "002.png").exists()
    assert (can / "003.png").read_bytes() != overwritten, "the path was not free"
    assert wanted - in_store(pushed), "what was moved and what was overwritten"
    again = shell("backup", "restore", "--since", "yesterday", "-v", "--store", pushed)
    assert "  Can/001.png  (now Bottle/moved.png)\n  Can/002.png  (now Can/renamed.png)\n" in again.err
    assert "0 files written, 0 already there, 0 failed" in again.out
    assert shell("push", "--store", pushed).code == 0


def move(store: Path, *places: str) -> None:
    """Moves a file of the store from each place to the next one."""
    (store / places[1]).parent.mkdir(exist_ok=True)
    (store / places[0]).rename(store / places[1])


def push_twice(shell: Shell, store: Path) -> None:
    """The second push sees the removals of the first one."""
    for _ in range(2):
        assert shell("push", "--store", store, "--yes").code == 0


def test_a_moved_and_deleted_image_comes_back_in_its_last_class_alone(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    image = (pushed / "Can/000.png").read_bytes()
    for old, new in (("Can/000.png", "Bottle/f.png"), ("Bottle/f.png", "Glass/g.png")):
        move(pushed, old, new)
        assert shell("push", "--store", pushed).code == 0
    (pushed / "Glass/g.png").unlink()
    restore = ("backup", "restore", "--since", "yesterday", "--store", pushed)
    # Before the push that removes it, right after it, and once an observation has shown that.
    for pushes in range(3):
        ran = shell(*restore, "-v", "--to", pushed.with_name(f"out{pushes}"))
        assert (ran.code, "1 file written, 0 already there, 0 failed" in ran.out) == (0, True), ran.out + ran.err
        assert [path.parent.name for path in pushed.with_name(f"out{pushes}").glob("*/*")] == ["Glass"]
        assert " ".join(ran.err.split()) == (
            "2 earlier places of deleted images left out: another class had the image then; a place that is named "
            "comes back Bottle/f.png (later Glass/g.png) Can/000.png (later Glass/g.png)"
        )
        assert shell("push", "--store", pushed).code == 0
    of_class = shell(*restore, "--class", "Can")
    assert "0 files written" in of_class.out and "1 earlier place of deleted images left out" in of_class.err
    assert "for the places: --verbose" in of_class.err
    assert shell(*restore).code == 0
    assert (pushed / "Glass/g.png").read_bytes() == image
    assert not (pushed / "Bottle/f.png").exists() and not (pushed / "Can/000.png").exists()
    named = shell("backup", "restore", "Can/000.png", "--store", pushed)
    assert named.code == 0 and (pushed / "Can/000.png").read_bytes() == image


@pytest.mark.parametrize("delete_pushed", [False, True])
def test_a_deleted_class_brings_no_image_back_to_the_class_that_it_was_moved_from(
    shell: Shell, pushed: Path, delete_pushed: bool
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    for number in range(3):
        move(pushed, f"Can/00{number}.png", f"Bottle/moved{number}.png")
    assert shell("push", "--store", pushed).code == 0
    wanted = in_store(pushed)
    shutil.rmtree(pushed / "Bottle")
    if delete_pushed:
        push_twice(shell, pushed)
    ran = shell("backup", "restore", "--since", "yesterday", "--store", pushed)
    assert ran.code == 0 and "3 earlier places of deleted images left out" in ran.err
    assert in_store(pushed) == wanted


def test_an_image_that_was_moved_back_and_deleted_comes_back_there(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    wanted = in_store(pushed)
    for old, new in (("Can/000.png", "Bottle/f.png"), ("Bottle/f.png", "Can/000.png")):
        move(pushed, old, new)
        push_twice(shell, pushed)
    (pushed / "Can/000.png").unlink()
    push_twice(shell, pushed)
    assert shell("backup", "restore", "--since", "yesterday", "--store", pushed).code == 0
    assert in_store(pushed) == wanted


def test_an_image_that_was_deleted_twice_in_a_class_comes_back_once(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    image = (pushed / "Can/000.png").read_bytes()
    (pushed / "Can/000.png").unlink()
    push_twice(shell, pushed)
    (pushed / "Can/again.png").write_bytes(image)
    push_twice(shell, pushed)
    (pushed / "Can/again.png").unlink()
    push_twice(shell, pushed)
    ran = shell("backup", "restore", "--since", "yesterday", "--store", pushed)
    assert (ran.code, "1 file written" in ran.out) == (0, True), ran.out
    assert (pushed / "Can/again.png").exists() and not (pushed / "Can/000.png").exists()


@pytest.mark.parametrize("one_push", [False, True])
def test_of_an_image_in_two_classes_the_copies_come_back_that_were_deleted_last(
    shell: Shell, pushed: Path, one_push: bool
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    shutil.copy(pushed / "Can/000.png", pushed / "Bottle/copy.png")
    assert shell("push", "--store", pushed).code == 0
    (pushed / "Bottle/copy.png").unlink()
    restore = ("backup", "restore", "--since", "yesterday", "-v", "--store", pushed)
    if not one_push:
        push_twice(shell, pushed)
        assert "  Bottle/copy.png  (now Can/000.png)" in shell(*restore).err
        assert not (pushed / "Bottle/copy.png").exists()
    (pushed / "Can/000.png").unlink()
    push_twice(shell, pushed)
    ran = shell(*restore)
    assert ran.code == 0 and (pushed / "Can/000.png").exists()
    assert (pushed / "Bottle/copy.png").exists() is one_push
    assert ("  Bottle/copy.png  (later Can/000.png)" in ran.err) is not one_push


def test_images_whose_move_the_guard_has_stopped_come_back_in_their_last_class(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    fill(pushed, {"Tin": 40}, 300)
    shutil.copy(pushed / "Tin/039.png", pushed / "Glass/copy.png")
    assert shell("push", "--store", pushed).code == 0
    for number in range(12):
        move(pushed, f"Tin/{number:03}.png", f"Bottle/moved{number}.png")
    assert shell("push", "--store", pushed).code == 4
    wanted = in_store(pushed)
    shutil.rmtree(pushed / "Bottle")
    (pushed / "Tin/039.png").unlink()
    (pushed / "Glass/copy.png").unlink()
    ran = shell("backup", "restore", "--since", "yesterday", "--store", pushed)
    assert (ran.code, "12 earlier places of deleted images left out" in ran.err) == (0, True), ran.err
    assert in_store(pushed) == wanted, "a copy in two classes is back in both"


def test_a_moved_image_that_the_service_has_lost_comes_back_in_its_last_class(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    image = (pushed / "Can/000.png").read_bytes()
    move(pushed, "Can/000.png", "Bottle/f.png")
    push_twice(shell, pushed)
    [sample] = [one for one in sandbox.samples(model_id) if one.image == image]
    sandbox.remove_sample(sample.sample_id)
    (pushed / "Bottle/f.png").unlink()
    push_twice(shell, pushed)
    assert shell("backup", "restore", "--since", "yesterday", "--store", pushed).code == 0
    assert (pushed / "Bottle/f.png").read_bytes() == image and not (pushed / "Can/000.png").exists()


def test_what_was_deleted_before_that_time_stays_deleted(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    (pushed / "Can" / "000.png").unlink()
    assert shell("push", "--store", pushed).code == 0
    tomorrow = time.strftime("%Y-%m-%dT%H:%M", time.localtime(time.time() + 86_400))
    for since, written in (("0m", 0), (tomorrow, 0), ("1h", 1)):
        ran = shell("backup", "restore", "--since", since, "--store", pushed)
        assert f"{written} file" in ran.out, since


@pytest.mark.parametrize("wrong", ["", "soon", "3x", "2026-13-01", "d", "-1d", "99999999999999d"])
def test_an_unknown_time_is_wrong_usage(shell: Shell, pushed: Path, wrong: str) -> None:
    ran = shell("backup", "restore", "--since", wrong, "--store", pushed)
    assert ran.code == 2 and "is not a time" in ran.err


def test_a_restore_ends_with_3_where_a_part_was_restored_and_with_1_where_nothing_was(
    shell: Shell, pushed: Path, tmp_path: Path
) -> None:
    words = ("backup", "restore", "--store", pushed, "--to", tmp_path / "out")
    damage(object_of(pushed, "Can/000.png"))
    ran = shell(*words)
    assert (ran.code, "7 files written, 0 already there, 1 failed" in ran.out) == (3, True), ran.out
    again = shell(*words)
    assert (again.code, "0 files written, 7 already there, 1 failed" in again.out) == (3, True), again.out
    single = shell("backup", "restore", "Can/000.png", "--store", pushed, "--to", tmp_path / "single")
    assert (single.code, "0 files written, 0 already there, 1 failed" in single.out) == (1, True), single.out


def test_a_time_on_the_command_line() -> None:
    noon = time.mktime((2026, 3, 29, 12, 0, 0, 0, 0, -1))
    assert parse_time("today", noon) == time.mktime((2026, 3, 29, 0, 0, 0, 0, 0, -1))
    assert parse_time("yesterday", noon) == time.mktime((2026, 3, 28, 0, 0, 0, 0, 0, -1))
    assert parse_time("12h", noon) == noon - 43_200
    assert parse_time("2w", noon) == noon - 14 * 86_400
    assert parse_time("2026-03-28t14:30", noon) == time.mktime((2026, 3, 28, 14, 30, 0, 0, 0, -1))


@pytest.mark.parametrize(
    "path", ["../planted.png", "/planted.png", ".ssh/planted", "Can/.ssh/keys", "Can/../../x", "Can"]
)
def test_planted_rows_of_the_journal_restore_nothing(shell: Shell, pushed: Path, path: str) -> None:
    (pushed / "Can" / "000.png").unlink()
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync/journal.db")) as journal, journal:
        journal.execute("UPDATE mark SET path = ?", (path.encode(),))
    before = set(pushed.parent.rglob("*"))
    shell("backup", "restore", "--since", "yesterday", "--store", pushed)
    assert set(pushed.parent.rglob("*")) == before


def lose(path: Path) -> None:
    path.unlink()


def halve(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def garble(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"content"', b'"cantent"'))


@pytest.mark.parametrize("harm", [lose, halve, garble])
def test_a_damaged_catalog_is_reported_by_restore_and_written_again_by_verify(
    shell: Shell, pushed: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    catalog = pushed / ".astica-sync" / "backup" / "catalog.jsonl"
    harm(catalog)
    shutil.rmtree(pushed / "Can")
    ran = shell("backup", "restore", "--to", tmp_path / "first", "--store", pushed)
    assert ran.code == (3 if harm is halve else 1), "a part of the lines is left where the file was halved alone"
    assert "of the backup not restored" in ran.err
    ran = shell("backup", "verify", "--store", pushed)
    assert "no line of the catalog names it" in ran.out
    # Lines that were changed are still there for the user to look at.
    assert ran.code == int(harm is garble), ran.out
    ran = shell("backup", "restore", "--to", tmp_path / "second", "--store", pushed)
    assert (ran.code, "8 files written" in ran.out) == (0, True), ran.out


def test_without_catalog_journal_and_files_verify_and_restore_fail(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    (pushed / ".astica-sync" / "backup" / "catalog.jsonl").unlink()
    (pushed / ".astica-sync" / "journal.db").unlink()
    (pushed / "Can" / "000.png").unlink()
    ran = shell("backup", "restore", "--to", tmp_path / "out", "--store", pushed)
    assert (ran.code, "8 failed" in ran.out) == (1, True), ran.out
    found = shell("backup", "verify", "--json", "--store", pushed)
    assert (found.code, len(found.json["repaired"]), len(found.json["broken"])) == (1, 7, 1)


def test_an_image_that_a_crash_left_without_a_line_is_no_damage(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    draw(tmp_path / "new.png", 71)
    data = (tmp_path / "new.png").read_bytes()
    content = xxhash.xxh3_128_hexdigest(data)
    folder = pushed / ".astica-sync" / "backup" / "objects" / content[:2]
    folder.mkdir(exist_ok=True)
    (folder / f"{content}.png").write_bytes(data)
    ran = shell("backup", "verify", "--store", pushed)
    assert (ran.code, "1 image without a line in the catalog, never uploaded" in ran.out) == (0, True), ran.out
    assert shell("backup", "restore", "--to", tmp_path / "out", "--store", pushed).code == 0


def test_an_image_that_only_a_snapshot_names_is_expected_and_restored_by_its_version(
    shell: Shell, pushed: Path
) -> None:
    assert shell("train", "--store", pushed).code == 0
    (pushed / ".astica-sync" / "backup" / "catalog.jsonl").unlink()
    (pushed / ".astica-sync" / "journal.db").unlink()
    object_of(pushed, "Can/000.png").unlink()
    (pushed / "Can" / "000.png").unlink()
    found = shell("backup", "verify", "--json", "--store", pushed)
    assert (found.code, len(found.json["broken"])) == (1, 1), found.out


def misspell_snapshot(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"snapshot", b"snaqshot"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def misspell_class(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"Can", b"Cen", 1))


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("snapshots/*.jsonl", misspell_class),
        ("snapshots/*.jsonl", lose),
        ("versions.jsonl", misspell_snapshot),
        ("versions.jsonl", cut),
    ],
)
def test_a_damaged_snapshot_or_record_is_reported_and_ends_no_list(
    shell: Shell, pushed: Path, file: str, harm: Callable[[Path], None]
) -> None:
    assert shell("train", "--store", pushed).code == 0
    draw(pushed / "Can" / "second.png", 72)
    assert shell("push", "--store", pushed).code == 0
    assert shell("train", "--store", pushed).code == 0
    path = min((pushed / ".astica-sync" / "backup").glob(file), key=lambda path: path.stat().st_mtime_ns)
    harm(path)
    found = shell("backup", "verify", "--json", "--store", pushed)
    assert (found.code, found.json["good"]) == (1, 9)
    assert [one["path"] for one in found.json["broken"]] == [str(path.relative_to(pushed / ".astica-sync/backup"))]
    assert "from a copy of the backup" in shell("backup", "verify", "--store", pushed).out
    if path.name == "versions.jsonl":
        return
    ran = shell("versions", "--store", pushed, "--offline")
    assert (ran.code, "@1" in ran.out, "9 samples" in ran.out) == (1, True, True), ran.out + ran.err
    assert "its data cannot be read" in ran.out
    ran = shell("snapshot", "list", "--store", pushed)
    assert (ran.code, "9 samples" in ran.out, path.stem[:8] in ran.err) == (1, True, True)


@pytest.mark.parametrize("command", ["list", "verify", "restore"])
def test_backup_commands_need_no_key_and_send_no_request(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, command: str
) -> None:
    del shell.environ["ASTICA_API_KEY"]
    assert shell("backup", command, "--store", pushed).code == 0
    assert sandbox.log == []


def test_the_list_counts_each_sample_once(shell: Shell, pushed: Path) -> None:
    # A second line about a sample says nothing new.
    catalog = pushed / ".astica-sync" / "backup" / "catalog.jsonl"
    catalog.write_bytes(catalog.read_bytes() * 2)
    said = shell("backup", "list", "--store", pushed).out
    assert [line.split() for line in said.splitlines()[:3]] == [["2", "Bottle"], ["4", "Can"], ["2", "Glass"]]
    assert len(shell("backup", "list", "--json", "--store", pushed).out.splitlines()) == 8


def test_what_was_moved_to_a_folder_that_cannot_be_read_is_written_with_a_warning(shell: Shell, pushed: Path) -> None:
    """As a folder without permissions does, a link hides what is in it, also from root."""
    (pushed / "Can/001.png").rename(pushed / "Bottle/moved.png")
    (pushed / "Bottle").rename(pushed.with_name("away"))
    (pushed / "Bottle").symlink_to(pushed.with_name("away"))
    (pushed / "Can/002.png").rename(pushed.with_name("002.png"))
    (pushed / "Can/002.png").symlink_to(pushed.with_name("002.png"))
    shell.environ["COLUMNS"] = "300"
    restore = ("backup", "restore", "--since", "yesterday", "--store", pushed)
    warning = "This cannot be read, so what is at such a place stays, and what was moved to one may be written again:"
    preview = shell(*restore, "--dry-run")
    assert warning in preview.out and "  Bottle  (symbolic link, not followed" in preview.out
    assert "another file is at the path" not in preview.out and "+ Can/002.png" not in preview.out
    unread = [one["path"] for one in shell(*restore, "--dry-run", "--json").json["unread"]]
    assert unread == ["Bottle", "Can/002.png"]
    ran = shell(*restore)
    assert ran.code == 3
    assert warning in ran.err and "another file is" not in ran.err
    assert (pushed / "Can/001.png").exists() and (pushed / "Can/002.png").is_symlink()
