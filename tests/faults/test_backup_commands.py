"""``backup verify``, ``restore`` and ``list`` after something went wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, in_store, on_service


def object_of(store: Path, path: str) -> Path:
    """The object of one file of the store."""
    data = (store / path).read_bytes()
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


def test_what_cannot_be_repaired_is_named_with_class_and_file_and_the_exit_code_says_so(
    shell: Shell, pushed: Path
) -> None:
    damage(object_of(pushed, "Can/000.png"))
    (pushed / "Can" / "000.png").unlink()
    ran = shell("backup", "verify", "--store", pushed)
    assert ran.code == 1
    assert "damaged: Can/000.png  (damaged in the backup" in ran.out
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
    assert ran.code == 1
    assert "! Can/000.png  (another file exists at this path" in ran.err
    assert (tmp_path / "out" / "Can" / "000.png").read_bytes() == mine
    assert sorted(path.name for path in (tmp_path / "out").glob("*/*")) == ["000.png", "001.png", "002.png", "003.png"]
    assert not (tmp_path / "out" / "Bottle").exists()


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
    assert shell("backup", "restore", "--store", pushed, "--to", pushed).code == 0
    assert in_store(pushed) == before


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
