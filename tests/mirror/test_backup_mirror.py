"""The mirror of a backup in a folder, and the store that is rebuilt from it alone."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.clock import local_time
from astica_sync.core.mirror.plan_copies import is_of_mirror
from astica_sync.errors import MirrorFailed
from astica_sync.local.layout import Layout
from astica_sync.mirror import mirror_run
from astica_sync.mirror.folder_place import FolderPlace
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, in_store, on_service


@pytest.fixture
def store(shell: Shell, photos: Path, sandbox: RunningSandbox) -> Path:
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    assert shell("push", "--store", photos).code == 0
    return photos


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "another disk"
    folder.mkdir()
    return folder


@pytest.fixture
def every_object_is_read_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(mirror_run, "TURNS", 1)
    yield


def objects(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("backup/objects/*/*")}


def test_everything_is_copied_once_and_then_only_what_is_new(shell: Shell, store: Path, disk: Path) -> None:
    first = shell("backup", "mirror", disk, "--store", store, "--json").json
    assert (first["copied"], first["kept"], first["problems"]) == (8, 0, [])
    assert objects(disk) == objects(store / ".astica-sync")
    assert (disk / "backup" / "catalog.jsonl").read_bytes() == (Layout(store).backup / "catalog.jsonl").read_bytes()
    draw(store / "Can" / "new.png", 900)
    assert shell("push", "--store", store).code == 0
    second = shell("backup", "mirror", disk, "--store", store, "--json").json
    assert (second["copied"], second["kept"]) == (1, 8)
    assert "new.png" in (disk / "backup" / "catalog.jsonl").read_text()
    assert "new.png" in (disk / "files.jsonl").read_text()


def test_a_store_that_is_lost_whole_is_rebuilt_and_nothing_is_sent_or_removed(
    shell: Shell, store: Path, disk: Path, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    (store / "Can" / "old" / "003.png").unlink()
    model = sandbox.models()[0][0]
    assert shell("push", "--store", store, "--yes").code == 0
    kept, shown = in_store(store), sorted(sandbox.samples(model), key=lambda one: one.sample_id)
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    shutil.rmtree(store)
    shutil.rmtree(shell.home)
    shell.home.mkdir()
    ran = shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt")
    assert ran.code == 0, ran.err
    assert in_store(tmp_path / "rebuilt") == kept
    assert not (tmp_path / "rebuilt" / ".astica-sync" / "rebuilding").exists()
    pushed = shell("push", "--store", tmp_path / "rebuilt", "--json").json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (0, 0, True)
    assert sorted(sandbox.samples(model), key=lambda one: one.sample_id) == shown
    assert on_service(sandbox, model) == kept
    assert shell("backup", "verify", "--store", tmp_path / "rebuilt").code == 0


@pytest.mark.long
def test_a_removed_image_is_in_the_backup_of_the_rebuilt_store_and_not_in_its_folders(
    shell: Shell, store: Path, disk: Path, tmp_path: Path
) -> None:
    (store / "Can" / "old" / "003.png").unlink()
    assert shell("push", "--store", store, "--yes").code == 0
    shell("backup", "mirror", disk, "--store", store)
    shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt")
    assert not (tmp_path / "rebuilt" / "Can" / "old" / "003.png").exists()
    assert shell("backup", "restore", "Can/old/003.png", "--store", tmp_path / "rebuilt").code == 0


@pytest.mark.long
@pytest.mark.usefixtures("every_object_is_read_back")
def test_a_damaged_object_of_the_mirror_is_found_and_written_again(shell: Shell, store: Path, disk: Path) -> None:
    shell("backup", "mirror", disk, "--store", store)
    victim = next(disk.rglob("backup/objects/*/*"))
    good = victim.read_bytes()
    victim.write_bytes(bytes(len(good)))
    again = shell("backup", "mirror", disk, "--store", store, "--json").json
    assert (again["repaired"], again["checked"], again["problems"]) == (1, 8, [])
    assert victim.read_bytes() == good


@pytest.mark.long
def test_with_verify_all_every_object_is_read_back(shell: Shell, store: Path, disk: Path) -> None:
    assert shell("backup", "mirror", disk, "--store", store, "--verify", "all", "--json").json["checked"] == 8


def test_a_damaged_object_of_the_backup_is_not_copied(shell: Shell, store: Path, disk: Path) -> None:
    victim = next((Layout(store).backup / "objects").rglob("*.*"))
    victim.write_bytes(bytes(victim.stat().st_size))
    ran = shell("backup", "mirror", disk, "--store", store, "--json")
    assert ran.code == 3, "the others are in the mirror"
    assert shell("backup", "mirror", disk, "--store", store).code == 3
    assert "astica-sync backup verify" in ran.json["problems"][0]["reason"]
    assert victim.name not in objects(disk)
    assert "1 object is not in the mirror" in shell("doctor", "--store", store).out


@pytest.mark.long
def test_a_mirror_that_gives_back_something_else_is_named(
    shell: Shell, store: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderPlace, "read", lambda place, name: b"something else")
    ran = shell("backup", "mirror", disk, "--store", store, "--verify", "all", "--json")
    assert ran.code == 1
    assert {one["reason"] for one in ran.json["problems"]} == {"the mirror does not give back what was written to it"}


@pytest.mark.long
def test_a_mirror_that_is_away_blocks_nothing_and_is_shown(shell: Shell, store: Path, disk: Path) -> None:
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    disk.rename(disk.with_name("unplugged"))
    ran = shell("backup", "mirror", disk, "--store", store)
    assert ran.code == 1
    assert "is not there" in ran.err
    assert not disk.exists()
    assert shell("push", "--store", store).code == 0
    status = shell("status", "--store", store).out
    assert f"Mirror   {disk}, whole copy of " in status
    assert "the last copy failed" not in status


def test_nothing_is_copied_to_the_empty_folder_of_a_disk_that_is_not_mounted(
    shell: Shell, store: Path, disk: Path
) -> None:
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    mounted = disk.rename(disk.with_name("unmounted"))
    disk.mkdir()
    refused = shell("backup", "mirror", disk, "--store", store)
    assert refused.code == 1 and list(disk.iterdir()) == []
    assert f"is gone from {disk}, which is empty" in refused.err
    assert f"astica-sync backup mirror '{disk}' --new" in " ".join(refused.err.split())
    assert "is gone from" in " ".join(shell("pull-status", "--store", store).out.split())
    disk.rmdir()
    mounted.rename(disk)
    assert "0 objects copied" in shell("backup", "mirror", disk, "--store", store).out
    shutil.rmtree(disk)
    disk.mkdir()
    assert shell("backup", "mirror", disk, "--new", "--store", store).code == 0
    assert len(objects(disk)) == len(objects(store / ".astica-sync"))


def test_a_mistyped_mirror_does_not_take_the_place_of_the_one_that_has_a_copy(
    shell: Shell, store: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    wrong = tmp_path / "wrong"
    wrong.mkdir()

    def fails(place: FolderPlace) -> None:
        raise MirrorFailed(f"{place.name} cannot be listed: no such bucket", "")

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "sizes", fails)
        assert shell("backup", "mirror", wrong, "--store", store).code == 1
    shown = shell("status", "--store", store).out
    assert f"Mirror   {disk}, whole copy of" in shown and "wrong" not in shown
    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "sizes", fails)
        assert shell("backup", "mirror", disk, "--store", store).code == 1
    assert "the last copy failed" in shell("status", "--store", store).out


@pytest.mark.long
def test_a_failed_copy_is_shown_by_doctor(
    shell: Shell, store: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("backup", "mirror", disk, "--store", store).code == 0

    def fail(place: FolderPlace, name: str, data: bytes) -> None:
        raise MirrorFailed("the disk of the mirror fails")

    monkeypatch.setattr(FolderPlace, "write", fail)
    assert shell("backup", "mirror", disk, "--store", store).code == 1
    shown = shell("doctor", "--store", store, "--json").json
    assert "the last copy to the mirror failed: the disk of the mirror fails" in str(shown["findings"])
    assert "the last copy failed: the disk of the mirror fails" in shell("status", "--store", store).out
    assert shown["store"]["last whole copy"] is not None


@pytest.mark.long
def test_an_interrupted_copy_goes_on_where_it_was(
    shell: Shell, store: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, written = FolderPlace.write, []

    def fail_late(place: FolderPlace, name: str, data: bytes) -> None:
        if len(written) == 3:
            raise MirrorFailed("the connection was cut")
        written.append(name)
        original(place, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "write", fail_late)
        assert shell("backup", "mirror", disk, "--store", store).code == 1
    assert not (disk / "store.json").exists()
    again = shell("backup", "mirror", disk, "--store", store, "--json").json
    assert again["kept"] >= 3
    assert again["copied"] + again["kept"] == 8


@pytest.mark.long
def test_an_interrupted_rebuilding_goes_on_where_it_was(
    shell: Shell, store: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("backup", "mirror", disk, "--store", store)
    original, read = FolderPlace.read_start, []

    def fail_late(place: FolderPlace, name: str, most: int) -> bytes | None:
        read.append(name)
        if len(read) == 6:
            raise MirrorFailed("the connection was cut")
        return original(place, name, most)

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "read_start", fail_late)
        assert shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt").code == 1
    assert shell("push", "--store", tmp_path / "rebuilt").code == 1, "it is no store yet"
    assert shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt").code == 0
    assert in_store(tmp_path / "rebuilt") == in_store(store)


@pytest.mark.long
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda disk: (disk / "store.json").unlink(), "is no mirror of a store"),
        (lambda disk: (disk / "store.json").write_text("[" * 50_000), "is damaged"),
        (
            lambda disk: (disk / "store.json").write_text('{"model_id": -1, "train_url": "https://a.example"}'),
            "damaged",
        ),
        (lambda disk: (disk / "store.json").write_text('{"model_id": 1, "train_url": "file:///etc"}'), "damaged"),
    ],
)
def test_what_is_no_mirror_is_refused(shell: Shell, store: Path, disk: Path, tmp_path: Path, wrong, words: str) -> None:
    shell("backup", "mirror", disk, "--store", store)
    wrong(disk)
    ran = shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt")
    assert ran.code == 1
    assert words in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.long
def test_a_planted_mirror_writes_nothing_outside_of_the_new_folder(
    shell: Shell, store: Path, disk: Path, tmp_path: Path
) -> None:
    shell("backup", "mirror", disk, "--store", store)
    content = next(disk.rglob("backup/objects/*/*")).stem
    lines = [
        {"class": "..", "path": "../escaped.png", "content": content},
        {"class": "Can", "path": "Can/../../escaped.png", "content": content},
        {"class": "Can", "path": f"{tmp_path}/escaped.png", "content": content},
        {"class": ".astica-sync", "path": ".astica-sync/store.json", "content": content},
        {"class": "Can", "path": "Can/\ud800.png", "content": content},
        {"class": "Can", "path": "Can/a.png", "content": "../../../../etc/passwd"},
        {"class": 1, "path": [], "content": None},
    ]
    with (disk / "files.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    (disk / "backup" / "evil").mkdir()
    (disk / "backup" / "evil" / "journal.db").write_bytes(b"x")
    (disk / "journal.db").write_bytes(b"x")
    before = {path for path in tmp_path.rglob("*") if not {"rebuilt", "home"} & {*path.parts}}
    shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt")
    assert {path for path in tmp_path.rglob("*") if not {"rebuilt", "home"} & {*path.parts}} == before
    assert in_store(tmp_path / "rebuilt") == in_store(store)
    assert not (tmp_path / "rebuilt" / ".astica-sync" / "journal.db").exists()


def test_a_store_that_is_rebuilt_in_part_ends_with_3(shell: Shell, store: Path, disk: Path, tmp_path: Path) -> None:
    shell("backup", "mirror", disk, "--store", store)
    victim = next(disk.rglob("backup/objects/*/*"))
    victim.write_bytes(bytes(victim.stat().st_size))
    ran = shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt")
    assert ran.code == 3, ran.err
    assert re.search(r"7 objects of the backup, 7 files in class folders, [12] failed", ran.out), ran.out


@pytest.mark.long
def test_a_mirror_gives_the_key_to_no_new_address(shell: Shell, store: Path, disk: Path, tmp_path: Path) -> None:
    shell("backup", "mirror", disk, "--store", store)
    (disk / "store.json").write_text('{"format": 1, "model_id": 7, "train_url": "https://elsewhere.example"}')
    assert shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt").code == 0
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        del shell.environ[name]
    ran = shell("status", "--store", tmp_path / "rebuilt")
    assert ran.code == 1
    assert "astica-sync trust" in ran.err


@pytest.mark.long
def test_a_folder_that_is_not_empty_is_refused(shell: Shell, store: Path, disk: Path, tmp_path: Path) -> None:
    shell("backup", "mirror", disk, "--store", store)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    ran = shell("backup", "restore", "--from", disk, "--to", tmp_path / "full")
    assert ran.code == 1
    assert "is not empty" in ran.err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.long
def test_a_mirror_inside_a_store_is_refused(shell: Shell, store: Path) -> None:
    (store / "mirror").mkdir()
    ran = shell("backup", "mirror", store / "mirror", "--store", store)
    assert ran.code == 1
    assert "would be lost with it" in ran.err


@pytest.mark.long
def test_from_needs_a_folder_and_nothing_else(shell: Shell, disk: Path) -> None:
    assert shell("backup", "restore", "--from", disk).code == 2
    assert shell("backup", "restore", "--from", disk, "--to", disk / "x", "Can/a.png").code == 2


@pytest.mark.long
def test_versions_are_restored_with_the_store(
    shell: Shell, store: Path, disk: Path, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    assert shell("train", "--store", store).code == 0
    draw(store / "Can" / "later.png", 901)
    assert shell("push", "--store", store).code == 0
    shell("backup", "mirror", disk, "--store", store)
    rebuilt = tmp_path / "rebuilt"
    shell("backup", "restore", "--from", disk, "--to", rebuilt)
    versions = shell("versions", "--store", rebuilt, "--json").json["versions"]
    assert [version["samples"] for version in versions] == [8]
    assert shell("push", "--store", rebuilt).code == 0
    again = shell("push", "--as", str(versions[0]["number"]), "--yes", "--store", rebuilt, "--json")
    assert again.code == 0, again.err
    assert len(sandbox.samples(sandbox.models()[0][0])) == 8


@pytest.mark.parametrize(
    "name",
    ["backup/../x", "../backup/catalog.jsonl", "backup/objects/aa/" + "b" * 32 + ".png", "backup/a/b/c", "journal.db"],
)
def test_other_names_are_not_of_a_mirror(name: str) -> None:
    assert not is_of_mirror(name)


def test_the_files_of_the_store_that_are_not_in_the_mirror_are_counted(shell: Shell, store: Path, disk: Path) -> None:
    assert "not in the mirror" not in shell("backup", "mirror", disk, "--store", store).out
    (store / "Can" / "phone.heic").write_bytes(b"no image for the service")
    draw(store / "Can" / "new.png", 901)
    assert shell("status", "--store", store).code == 0
    ran = shell("backup", "mirror", disk, "--store", store)
    assert ran.code == 0 and "2 files of the store are not in the mirror" in " ".join(ran.out.split())
    assert shell("backup", "mirror", disk, "--store", store, "--json").json["outside"] == 2


def test_a_rebuilt_store_says_how_old_its_files_are_and_what_is_back(
    shell: Shell, store: Path, disk: Path, tmp_path: Path
) -> None:
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    (store / "Can" / "old" / "003.png").unlink()
    assert shell("push", "--store", store, "--yes").code == 0
    copied_at = json.loads((disk / "store.json").read_text())["copied_at"]
    ran = shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt")
    said = " ".join(ran.out.split())
    assert f"the files of the last copy on {local_time(copied_at)}. What was deleted, or held out by split" in said
    assert "  + Can/old/003.png" in shell("status", "--store", tmp_path / "rebuilt").out


@pytest.mark.parametrize("planted", ["null", '"x"', "1e300", "-5", "true", "10" * 40])
def test_an_odd_time_in_a_mirror_is_not_shown(
    shell: Shell, store: Path, disk: Path, tmp_path: Path, planted: str
) -> None:
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    text = (disk / "store.json").read_text()
    (disk / "store.json").write_text(re.sub(r'("copied_at": )\d+', rf"\g<1>{planted}", text))
    ran = shell("backup", "restore", "--from", disk, "--to", tmp_path / "rebuilt")
    assert ran.code == 0 and "the files of the last copy. What" in " ".join(ran.out.split())


def test_the_advice_about_a_missing_folder_names_it(shell: Shell, store: Path, tmp_path: Path) -> None:
    ran = shell("backup", "mirror", tmp_path / "my nas", "--store", store)
    assert f"mkdir -p '{tmp_path}/my nas'" in " ".join(ran.err.split())


def test_an_image_that_only_the_service_and_the_mirror_have_is_named_by_its_old_path(
    shell: Shell, store: Path, disk: Path, tmp_path: Path
) -> None:
    draw(store / "Can" / "late.png", 900)
    assert shell("push", "--store", store).code == 0
    shutil.copy(store / "Can" / "late.png", store / "Bottle" / "late too.png")
    assert shell("push", "--store", store).code == 0
    assert shell("backup", "mirror", disk, "--store", store).code == 0
    files = disk / "files.jsonl"
    files.write_text("".join(line for line in files.read_text().splitlines(True) if "late" not in line))
    draw(store / "Can" / "later.png", 901)
    assert shell("push", "--store", store).code == 0
    shutil.rmtree(store)
    rebuilt = tmp_path / "rebuilt"
    assert shell("backup", "restore", "--from", disk, "--to", rebuilt).code == 0
    shown = shell("status", "--store", rebuilt).out
    for name in ("Can/late.png", "Bottle/late too.png"):
        assert re.search(rf"\? {name}  #\d+  \(sent by another store\)", shown), shown
    assert re.search(r"\? Can  #\d+ [0-9a-f]{32}-[0-9a-f]+  \(sent by another store\)", shown)
    assert "or this one before it was lost and rebuilt" in shown
