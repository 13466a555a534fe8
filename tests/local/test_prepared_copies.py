"""What was sent in place of an image is in the backup before it is sent, and is found again."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.errors import StorageFull, StoreError, Unworkable
from astica_sync.local.backup.object_store import ObjectStore
from astica_sync.local.backup.prepared_images import PreparedImage, PreparedImages
from astica_sync.local.filesystem import FileSystem
from tests.local.test_backup import JPEG, PNG, FailingDisk, hash_of

ORIGINAL, OTHER = "1" * 32, "2" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def prepared_in(root: Path, files: FileSystem | None = None) -> PreparedImages:
    return PreparedImages(root, files or FileSystem())


def file_of(root: Path, data: bytes) -> Path:
    [found] = (root / "prepared").glob(f"*/{hash_of(data)}.*")
    return found


def test_what_was_stored_is_read_by_its_original_by_every_process(root: Path) -> None:
    prepared = prepared_in(root)
    assert prepared.read(ORIGINAL) is None and not prepared.secure(ORIGINAL) and prepared.records() == {}
    prepared.add(ORIGINAL, "heic", JPEG)
    for reader in (prepared, prepared_in(root)):
        assert reader.read(ORIGINAL) == JPEG and reader.secure(ORIGINAL)
        assert reader.records() == {ORIGINAL: {"": PreparedImage(ORIGINAL, "heic", hash_of(JPEG), len(JPEG))}}
    assert file_of(root, JPEG).suffix == ".jpg"
    prepared.add(ORIGINAL, "heic", JPEG)
    assert len((root / "prepared.jsonl").read_text().splitlines()) == 1, "the same again changes nothing"
    prepared_in(root).add(ORIGINAL, "heic", PNG)
    assert prepared.read(ORIGINAL) == PNG, "another process has written, and the last line counts"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"damaged")])
def test_a_lost_or_damaged_one_is_named_and_written_again(root: Path, spoil: Callable[[Path], object]) -> None:
    prepared = prepared_in(root)
    prepared.add(ORIGINAL, "webp", JPEG)
    prepared.add(OTHER, "webp", PNG)
    assert list(prepared.damaged()) == []
    spoil(file_of(root, JPEG))
    assert prepared.read(ORIGINAL) is None and prepared.read(OTHER) == PNG
    assert [one.content for one in prepared.damaged()] == [ORIGINAL]
    parts = [[one.content for one in prepared.damaged((number, 3))] for number in (1, 2, 3)]
    assert sorted(parts) == [[], [], [ORIGINAL]]
    prepared.add(ORIGINAL, "webp", JPEG)
    assert prepared.read(ORIGINAL) == JPEG and list(prepared.damaged()) == []


def test_what_is_dropped_is_gone_and_what_another_image_needs_stays(root: Path) -> None:
    prepared = prepared_in(root)
    for content, data in ((ORIGINAL, JPEG), (OTHER, JPEG), ("3" * 32, PNG)):
        prepared.add(content, "heic", data)
    assert prepared.droppable_size({"4" * 32}) == prepared.drop({"4" * 32}) == 0
    assert prepared.droppable_size({ORIGINAL, "3" * 32}) == len(PNG)
    assert prepared.drop({ORIGINAL, "3" * 32}) == len(PNG)
    assert prepared.read(ORIGINAL) is None and prepared.read(OTHER) == JPEG
    assert prepared.drop({OTHER}) == len(JPEG) and prepared.records() == {}


def test_lines_that_this_program_never_writes_are_skipped(root: Path) -> None:
    prepared = prepared_in(root)
    prepared.add(ORIGINAL, "heic", JPEG)
    good = {"content": OTHER, "format": "heic", "sent": hash_of(JPEG), "size": 5}
    odd = (
        {"content": "../x"},
        {"sent": "../x"},
        {"size": "5"},
        {"size": True},
        {"size": -1},
        {"format": 7},
        {"recipe": 7},
        {"sent": 1},
    )
    with (root / "prepared.jsonl").open("a") as file:
        file.writelines(json.dumps({**good, **change}) + "\n" for change in odd)
        file.write('{"content": "torn\n[]\n')
    assert prepared.records().keys() == {ORIGINAL}
    assert prepared.drop({OTHER}) == 0
    with (root / "prepared.jsonl").open("a") as file:
        file.write(json.dumps(good) + "\n")
    assert prepared.records().keys() == {ORIGINAL, OTHER}
    assert prepared.drop({OTHER}) == 0 and prepared.read(ORIGINAL) == JPEG


def test_what_each_recipe_made_is_kept_and_found_by_its_name(root: Path) -> None:
    prepared = prepared_in(root)
    prepared.add(ORIGINAL, "heic", JPEG)
    prepared.add(ORIGINAL, "heic", PNG, "max_side=64")
    first, second = (json.loads(line) for line in (root / "prepared.jsonl").read_text().splitlines())
    assert "recipe" not in first and second["recipe"] == "max_side=64", "the default one leaves the lines as they were"
    for reader in (prepared, prepared_in(root)):
        assert reader.read(ORIGINAL) == JPEG and reader.read(ORIGINAL, "max_side=64") == PNG
        assert reader.read(ORIGINAL, "quality=5") is None and not reader.secure(ORIGINAL, "quality=5")
        assert reader.recipes() == ["", "max_side=64"]
    file_of(root, PNG).unlink()
    assert [one.recipe for one in prepared.damaged()] == ["max_side=64"]
    prepared.add(ORIGINAL, "heic", PNG, "max_side=64")
    assert prepared.drop({ORIGINAL}) == len(JPEG) + len(PNG) and prepared.records() == {}
    assert prepared.recipes() == [""]


def test_a_record_that_cannot_be_read_stops_and_is_named(root: Path) -> None:
    (root / "prepared.jsonl").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"prepared\.jsonl of the backup cannot be read"):
        prepared_in(root).records()


@pytest.mark.parametrize("step", ["write_synced", "append_synced", "make_folder", "publish"])
@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EIO, Unworkable)])
def test_a_disk_that_fails_leaves_nothing_half_recorded(
    root: Path, step: str, number: int, kind: type[StoreError]
) -> None:
    root.mkdir()
    (root / "README.txt").touch()
    with pytest.raises(kind):
        prepared_in(root, FailingDisk(name=step, failure=OSError(number, "failed"))).add(ORIGINAL, "heic", JPEG)
    prepared = prepared_in(root)
    assert prepared.read(ORIGINAL) is None
    prepared.add(ORIGINAL, "heic", JPEG)
    assert prepared.read(ORIGINAL) == JPEG
    with pytest.raises(kind):
        prepared_in(root, FailingDisk(name="write_synced", failure=OSError(number, "failed"))).drop({ORIGINAL})
    assert prepared_in(root).read(ORIGINAL) == JPEG


def test_bytes_that_the_disk_changes_are_not_stored(root: Path) -> None:
    class ChangingDisk(FileSystem):
        def write_synced(self, path: Path, chunks: object, mode: int | None = None) -> None:
            super().write_synced(path, [b"changed"], mode)

    root.mkdir()
    with pytest.raises(Unworkable):
        ObjectStore(root, ChangingDisk()).put_bytes(JPEG)
    stored = ObjectStore(root, FileSystem()).put_bytes(JPEG)
    assert stored.is_new and stored.path.read_bytes() == JPEG, "the changed one is replaced"
    assert not ObjectStore(root, FileSystem()).put_bytes(JPEG).is_new
