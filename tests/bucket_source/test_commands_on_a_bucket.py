"""The commands of a store whose images lie in a bucket: what works, and what says that it does not."""

import json
from pathlib import Path

import pytest

from tests.bucket_source.conftest import SOURCE, Mirrored, SourceBucket
from tests.harness.s3_gate import Gate
from tests.harness.shell import Shell, fill, on_service
from tests.harness.watch_process import WatchProcess, wait_until

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_a_training_knows_its_data_and_push_as_brings_it_back(mirrored: Mirrored) -> None:
    shell, folder, source = mirrored.shell, mirrored.folder, mirrored.source
    assert shell("train", "--store", folder).code == 0
    [version] = shell("versions", "--store", folder, "--json").json["versions"]
    trained = source.held()
    assert version["samples"] == sum(trained.values())
    source.remove("Can/000.png")
    source.draw("Can/late.png", 55)
    mirrored.push()
    assert shell("push", "--as", "@1", "--yes", "--store", folder).code == 0
    assert on_service(mirrored.sandbox, mirrored.model) == trained
    mirrored.push()


def test_a_removed_object_comes_back_into_the_bucket_and_overwrites_none(mirrored: Mirrored) -> None:
    shell, folder, source = mirrored.shell, mirrored.folder, mirrored.source
    kept = {key: source.get(key) for key in source.list_keys()}
    source.remove("Can/001.png")
    mirrored.push()
    other = source.draw("Can/002.png", 77)
    ran = shell("backup", "restore", "Can/001.png", "Can/002.png", "--store", folder)
    assert ran.code == 3 and "another file exists at this path" in ran.err, ran
    assert source.get("Can/001.png") == kept["Can/001.png"] and source.get("Can/002.png") == other
    assert not [path for path in folder.rglob("*") if path.name.startswith(".tmp-")]
    assert mirrored.push()["uploaded"] == 2
    source.remove("Bottle/000.png")
    mirrored.push()
    preview = shell("backup", "restore", "--since", "1h", "--dry-run", "--store", folder)
    assert preview.code == 0 and "Bottle/000.png" in preview.out, preview
    assert "Bottle/000.png" not in source.list_keys()
    assert shell("backup", "restore", "--since", "1h", "--store", folder).code == 0
    assert source.get("Bottle/000.png") == kept["Bottle/000.png"]
    mirrored.push()


def test_a_restore_that_is_refused_by_the_bucket_says_so(mirrored: Mirrored, gate: Gate) -> None:
    mirrored.source.remove("Can/001.png")
    mirrored.push()
    gate.rule = lambda method, _path, _headers: 403 if method == "PUT" else 0
    ran = mirrored.shell("backup", "restore", "Can/001.png", "--store", mirrored.folder)
    assert ran.code == 1 and "cannot be written" in ran.err and "credentials" in ran.err, ran
    assert "Can/001.png" not in mirrored.source.list_keys()


@pytest.mark.parametrize(
    "command",
    [
        ("page", "--no-open"),
        ("split", "--to", "held-out", "--yes"),
        ("import", "other"),
        ("export", "exported", "--format", "csv"),
        ("watch", "--from", "inbox", "--once"),
        ("backup", "restore", "--since", "1h", "--move-back"),
        ("backup", "restore", "--since", "1h", "--overwritten"),
    ],
    ids=" ".join,
)
def test_what_works_on_files_says_so_in_one_sentence_and_does_nothing(
    mirrored: Mirrored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "other", {"Can": 2}, start=300)
    (tmp_path / "inbox").mkdir()
    before = {key: mirrored.source.get(key) for key in mirrored.source.list_keys()}
    at = () if command[0] == "watch" else ("--store",)
    ran = mirrored.shell(*command, *at, mirrored.folder)
    assert ran.code == 1 and SOURCE in ran.err and "nothing was done" in ran.err and "Traceback" not in ran.err, ran
    assert {key: mirrored.source.get(key) for key in mirrored.source.list_keys()} == before
    assert sorted(path.name for path in mirrored.folder.iterdir()) == [".astica-sync"]
    assert not (tmp_path / "held-out").exists() and not (tmp_path / "exported").exists()


def test_a_backup_object_that_is_lost_is_read_from_the_bucket_again(mirrored: Mirrored) -> None:
    lost = next((mirrored.folder / ".astica-sync" / "backup" / "objects").rglob("*.png"))
    lost.write_bytes(b"damaged")
    ran = mirrored.shell("backup", "verify", "--store", mirrored.folder)
    assert ran.code == 0, ran
    assert len(lost.read_bytes()) > 20


def test_a_store_is_rebuilt_from_its_mirror_as_one_in_a_folder(mirrored: Mirrored, tmp_path: Path) -> None:
    place = tmp_path / "mirror"
    place.mkdir()
    assert mirrored.shell("backup", "mirror", place, "--store", mirrored.folder).code == 0
    ran = mirrored.shell("backup", "restore", "--from", place, "--to", tmp_path / "rebuilt")
    assert ran.code == 0, ran
    found = {path.read_bytes() for path in (tmp_path / "rebuilt").rglob("*/*.png") if ".astica-sync" not in path.parts}
    assert found == {image for _, image in mirrored.source.held()}


def test_inspect_looks_at_what_was_uploaded(mirrored: Mirrored) -> None:
    pytest.importorskip("numpy")
    mirrored.source.put("Bottle/same.png", mirrored.source.get("Can/000.png"))
    mirrored.push()
    ran = mirrored.shell("inspect", "--json", "--no-features", mirrored.folder)
    assert ran.code == 0 and ran.json["images"] == 6, ran


def test_a_watcher_lists_the_bucket(mirrored: Mirrored, tmp_path: Path) -> None:
    watcher = WatchProcess(mirrored.shell, tmp_path, [mirrored.folder], [], [])
    try:
        wait_until(lambda: watcher.reported("watching"))
        mirrored.source.draw("Jar/new.png", 88)
        mirrored.source.remove("Can/000.png")
        wait_until(lambda: on_service(mirrored.sandbox, mirrored.model) == mirrored.source.held(), 90)
        mirrored.source.draw("Can/001.png", 89)
        # A status beside it asks it to look.
        assert mirrored.status()["local"]["samples"] == 5
        wait_until(lambda: on_service(mirrored.sandbox, mirrored.model) == mirrored.source.held(), 90)
        assert any("listed at an interval" in event["text"] for event in watcher.events)
    finally:
        watcher.close()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("s3://photos/nothing/here", "nothing is below this address"),
        ("s3://no-such-bucket/x", "NoSuchBucket"),
        ("photos/cans", "needs the address of a bucket"),
        ("https://host/photos", "needs the address of a bucket"),
        ("s3://key:canary@photos/x", "needs the address of a bucket"),
        ("s3://photos/x?secret=canary", "needs the address of a bucket"),
        ("s3://photos/../x", "needs the address of a bucket"),
        ("s3://photos/data//x", "empty part"),
        ("s3:///x", "needs the address of a bucket"),
    ],
)
def test_a_wrong_address_makes_no_store(
    source: SourceBucket, shell: Shell, tmp_path: Path, address: str, text: str
) -> None:
    ran = shell("init", tmp_path / "cans", "--from", address, "--create", "Cans", "--purpose", "sort")
    assert ran.code == 1 and text in ran.err and "canary" not in ran.err and "Traceback" not in ran.err, ran
    assert not (tmp_path / "cans" / ".astica-sync").exists()


def test_a_folder_with_images_is_no_place_for_the_records(
    source: SourceBucket, shell: Shell, tmp_path: Path, store: Path
) -> None:
    for folder, text in (
        (store, "is already a store"),
        (fill(tmp_path / "other", {"Can": 1}), "is beside the records"),
    ):
        ran = shell("init", folder, "--from", SOURCE, "--model", "1001")
        assert ran.code == 1 and text in ran.err, ran


def test_another_source_is_asked_for_and_trust_lists_it(mirrored: Mirrored) -> None:
    shell, folder = mirrored.shell, mirrored.folder
    listed = shell("trust", "--list", "--json").json
    assert SOURCE in [one["address"] for one in listed]
    for key in mirrored.source.list_keys():
        mirrored.source.put(f"moved/{key}", mirrored.source.get(key))
    ran = shell("init", folder, "--from", f"{SOURCE}/moved")
    assert ran.code == 1 and "--rebind" in ran.err, ran
    assert shell("init", folder, "--from", f"{SOURCE}/moved", "--rebind").code == 0
    done = shell("push", "--json", "--store", folder).json
    assert (done["uploaded"], done["removed"], done["in_sync"]) == (0, 0, True)
    assert shell("trust", "--revoke", "--store", folder).code == 0
    ran = shell("status", "--store", folder)
    assert ran.code == 1 and "with your credentials" in ran.err, ran
    found = json.dumps(shell("doctor", "--json", "--store", folder).json)
    assert "ask to read s3://photos/data/cans/moved" in found or "with your credentials" in found
