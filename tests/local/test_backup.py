"""The backup: every byte that ever goes up is in it first, and what is in it can be relied on (promises 1 and 2)."""

import contextlib
import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.errors import (
    BackupDamaged,
    Collision,
    SourceChanged,
    StorageFull,
    StoreChanged,
    StoreError,
    Unworkable,
)
from astica_sync.local.backup.backup import LINKED, Backup, VerifyResult
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.filesystem import TEMP_PREFIX, AnyPath, FileSystem
from tests.harness.damaged_images import DAMAGED

PNG = (DAMAGED / "see-through.png").read_bytes()
JPEG = (DAMAGED / "tail.jpg").read_bytes()

EFFECTS = (
    "make_folder",
    "write_synced",
    "append_synced",
    "copy_synced",
    "publish",
    "sync_folder",
    "remove",
    "open_read",
    "scan_folder",
    "lstat",
)


def hash_of(data: bytes) -> str:
    return xxhash.xxh3_128(data).hexdigest()


class Killed(BaseException):
    """The process was killed here."""


class FailingDisk(FileSystem):
    """The real disk, on which one step fails: its number, or each of a name; steps are counted from 1."""

    def __init__(self, at: int = 0, name: str = "", failure: BaseException | None = None, after: bool = False) -> None:
        self._at, self._name, self._after = at, name, after
        self._failure = failure or OSError(errno.EIO, os.strerror(errno.EIO))
        self.steps: list[str] = []

    def _step(self, name: str, step: Callable[..., Any], *args: Any) -> Any:
        self.steps.append(name)
        if len(self.steps) != self._at and name != self._name:
            return step(*args)
        if self._after:
            made = step(*args)
            if name == "open_read":
                made.close()
        elif name == "copy_synced" and isinstance(self._failure, Killed):
            args[1].write_bytes(Path(args[0]).read_bytes()[:10])
        raise self._failure


def _counted(name: str) -> Callable[..., Any]:
    def call(self: FailingDisk, *args: Any) -> Any:
        return self._step(name, getattr(super(FailingDisk, self), name), *args)

    return call


for _name in EFFECTS:
    setattr(FailingDisk, _name, _counted(_name))


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return Backup(tmp_path / "backup", FileSystem())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "Can" / "001.png"
    path.parent.mkdir()
    path.write_bytes(PNG)
    return path


def visible(root: Path) -> Iterator[Path]:
    """The objects that a user sees."""
    return (path for path in root.glob("objects/*/*") if not path.name.startswith(TEMP_PREFIX))


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(TEMP_PREFIX)]


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


def test_an_object_has_the_exact_bytes_under_the_name_of_their_hash(backup: Backup, tmp_path: Path) -> None:
    for data, extension in ((PNG, "png"), (JPEG, "jpg"), (b"neither", "bin")):
        (tmp_path / "any name").write_bytes(data)
        content = hash_of(data)
        stored = backup.put(tmp_path / "any name", content)
        assert stored.path == tmp_path / "backup" / "objects" / content[:2] / f"{content}.{extension}"
        assert stored.path.read_bytes() == backup.read(content) == data
        assert (stored.is_new, stored.size, stored.content) == (True, len(data), content)
        assert backup.size_of(content) == len(data)
        assert backup.has(content)
        assert backup.check(content) is None
    assert sorted(backup.objects()) == list(backup.objects()) == sorted(map(hash_of, (PNG, JPEG, b"neither")))
    assert "cp objects/*/*" in (tmp_path / "backup" / "README.txt").read_text()


def test_an_object_shares_no_inode_with_the_store(backup: Backup, source: Path) -> None:
    stored = backup.put(source, hash_of(PNG))
    assert stored.path.stat().st_ino != source.stat().st_ino
    with open(source, "r+b") as file:
        file.write(b"edited in place")
    assert backup.read(hash_of(PNG)) == PNG


def test_storing_again_writes_nothing(backup: Backup, source: Path, tmp_path: Path) -> None:
    first = backup.put(source, hash_of(PNG))
    before = first.path.stat()
    for again in (backup, Backup(tmp_path / "backup", FileSystem())):
        stored = again.put(source, hash_of(PNG))
        assert not stored.is_new
        assert (stored.path, stored.size) == (first.path, first.size)
    assert first.path.stat() == before


def test_the_name_of_an_existing_object_is_made_durable(backup: Backup, source: Path) -> None:
    """The process that wrote it may have been killed before."""
    backup.put(source, hash_of(PNG))
    fs = FailingDisk()
    Backup(backup.root, fs).put(source, hash_of(PNG))
    assert "sync_folder" in fs.steps


def test_a_file_that_changed_since_the_scan_leaves_nothing_behind(backup: Backup, source: Path) -> None:
    for content in (hash_of(JPEG), hash_of(PNG)):
        source.write_bytes(b"other bytes by now")
        with pytest.raises(SourceChanged, match="changed since"):
            backup.put(source, content)
        assert not list(visible(backup.root)) or content == hash_of(PNG)
        assert not leftovers(backup.root)
        source.write_bytes(PNG)
        backup.put(source, hash_of(PNG))
        backup = Backup(backup.root, FileSystem())
    assert backup.read(hash_of(PNG)) == PNG


def test_a_source_that_cannot_be_read_fails_alone(backup: Backup, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(source)
    os.mkfifo(tmp_path / "pipe.png")
    names = ("absent.png", "link.png", "pipe.png")
    for name in names:
        with pytest.raises(SourceChanged, match="cannot be read"):
            backup.put(tmp_path / name, hash_of(PNG))
    assert not leftovers(backup.root)

    backup.put(source, hash_of(PNG))
    later = Backup(backup.root, FileSystem())
    for name in names:
        with pytest.raises(SourceChanged, match="cannot be read"):
            later.put(tmp_path / name, hash_of(PNG))


def test_a_damaged_object_is_reported_and_replaced_by_the_next_good_copy(backup: Backup, source: Path) -> None:
    content = hash_of(PNG)
    path = backup.put(source, content).path
    damage(path)
    assert "damaged" in str(backup.check(content))
    with pytest.raises(BackupDamaged, match="damaged"):
        backup.read(content)
    assert backup.has(content)

    assert backup.put(source, content).is_new
    assert backup.read(content) == PNG

    damage(path)
    with pytest.raises(BackupDamaged):
        backup.read(content)
    assert backup.put(source, content).is_new
    assert backup.check(content) is None
    assert not leftovers(backup.root)


def test_an_object_that_was_linked_to_a_photo_gets_a_file_of_its_own_again(
    backup: Backup, source: Path, tmp_path: Path
) -> None:
    """What a program does that looks for files with the same bytes: the next change of one is a change of both."""
    data = source.read_bytes()
    stored = backup.put(source, hash_of(data))
    for way in ("verify", "put", "put_bytes"):
        source.unlink()
        source.hardlink_to(stored.path)
        assert backup.is_linked(stored.content)
        assert [one.reason for one in backup.verify()] == [LINKED]
        if way == "verify":
            assert backup.repair(stored.content, [])
        else:
            assert (backup.put(source, stored.content) if way == "put" else backup.put_bytes(data)).is_new
        assert [one.reason for one in backup.verify()] == [None]
        source.write_bytes(b"changed in place")
        assert backup.read(stored.content) == data
        source.write_bytes(data)
    backup.discard(stored.content)
    assert not backup.is_linked(stored.content)


def test_a_damaged_object_with_another_extension_is_replaced_too(backup: Backup, source: Path) -> None:
    content = hash_of(PNG)
    path = backup.put(source, content).path
    path.rename(path.with_suffix(".jpg"))
    damage(path.with_suffix(".jpg"))
    backup.put(source, content)
    assert backup.read(content) == PNG
    assert len(list(visible(backup.root))) == 1


def test_a_damaged_object_stays_while_there_is_no_good_copy(backup: Backup, source: Path) -> None:
    path = backup.put(source, hash_of(PNG)).path
    damage(path)
    before = path.read_bytes()
    source.write_bytes(b"edited")
    with pytest.raises(SourceChanged):
        Backup(backup.root, FileSystem()).put(source, hash_of(PNG))
    assert path.read_bytes() == before


def test_an_object_is_not_called_missing_where_the_disk_is_gone(tmp_path: Path) -> None:
    backup = Backup(tmp_path / "store" / "state" / "backup", FileSystem())
    backup.root.mkdir(parents=True)
    with pytest.raises(BackupDamaged):
        backup.add_samples([("Can", "Can/1.png", "0" * 32)], 1.0)
    shutil.rmtree(tmp_path / "store")
    for use in (lambda: backup.add_samples([("Can", "Can/1.png", "0" * 32)], 1.0), lambda: backup.read("0" * 32)):
        with pytest.raises(StoreChanged, match="store has no store now: is its disk mounted"):
            use()


def test_a_disk_that_fails_is_named_where_an_object_seems_missing(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, lstat = backup.root.parent, FileSystem.lstat

    def fail(self: FileSystem, path: AnyPath) -> os.stat_result:
        if Path(os.fsdecode(path)) == state:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return lstat(self, path)

    monkeypatch.setattr(FileSystem, "lstat", fail)
    with pytest.raises(StoreChanged, match="cannot be read: Input/output error"):
        backup.read(hash_of(PNG))


def test_a_missing_object_is_missing_everywhere(backup: Backup) -> None:
    content = hash_of(PNG)
    assert not backup.has(content)
    assert backup.find(content) is None
    assert "missing" in str(backup.check(content))
    for ask in (backup.read, backup.size_of):
        with pytest.raises(BackupDamaged, match="missing"):
            ask(content)
    assert list(backup.objects()) == []
    assert list(backup.samples()) == []


def test_an_object_lost_after_it_was_stored_is_written_again(backup: Backup, source: Path) -> None:
    backup.put(source, hash_of(PNG)).path.unlink()
    assert backup.put(source, hash_of(PNG)).is_new
    assert backup.read(hash_of(PNG)) == PNG


def test_an_unreadable_object_does_not_count_as_stored(backup: Backup, source: Path) -> None:
    backup.put(source, hash_of(PNG))
    later = Backup(backup.root, FailingDisk(name="open_read"))
    assert "cannot be read" in str(later.check(hash_of(PNG)))
    with pytest.raises(BackupDamaged, match="cannot be read"):
        later.read(hash_of(PNG))


@pytest.mark.parametrize("text", ["", "../../../etc/passwd", "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "\n"])
def test_text_that_is_not_a_content_hash_never_becomes_a_path(backup: Backup, text: str) -> None:
    with pytest.raises(ValueError, match="not a content hash"):
        backup.find(text)


class WeakHash:
    """The same digest for all bytes of the same length."""

    def __init__(self) -> None:
        self._length = 0

    def update(self, data: bytes, /) -> None:
        self._length += len(data)

    def hexdigest(self) -> str:
        return f"{self._length:032x}"


@pytest.mark.parametrize("later", [False, True], ids=["in the same run", "in a later run"])
def test_two_images_with_one_hash_are_never_merged(tmp_path: Path, source: Path, later: bool) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(PNG[:-1] + b"!")
    content = f"{len(PNG):032x}"
    backup = Backup(tmp_path / "backup", FileSystem(), WeakHash)
    backup.put(source, content)
    if later:
        backup = Backup(tmp_path / "backup", FileSystem(), WeakHash)
    with pytest.raises(Collision, match="one content hash"):
        backup.put(other, content)
    assert backup.read(content) == PNG


def test_a_longer_file_is_not_the_same(backup: Backup, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"abc")
    (tmp_path / "long").write_bytes(b"abcd")
    assert not backup.has_same_bytes(tmp_path / "short", tmp_path / "long")
    assert not backup.has_same_bytes(tmp_path / "long", tmp_path / "short")
    assert backup.has_same_bytes(tmp_path / "long", tmp_path / "long")


class ShortReads(FileSystem):
    """A file system that gives fewer bytes than were asked for, as a network one may."""

    def open_read(self, path: str | Path) -> Any:
        file = super().open_read(path)

        class Short:
            def __enter__(self) -> "Short":
                return self

            def __exit__(self, *exc: object) -> None:
                file.close()

            def read(self, size: int) -> bytes:
                return file.read(min(size, 7)) if "objects" in str(path) else file.read(min(size, 11))

        return Short()


def test_files_are_compared_rightly_where_reads_come_in_pieces(backup: Backup, source: Path) -> None:
    backup.put(source, hash_of(PNG))
    assert not Backup(backup.root, ShortReads()).put(source, hash_of(PNG)).is_new


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["make_folder", "write_synced", "copy_synced", "publish"])
def test_a_full_disk_is_reported_with_its_free_space_and_leaves_nothing_partial(
    source: Path, number: int, step: str
) -> None:
    root = source.parents[1] / "backup"
    full = Backup(root, FailingDisk(name=step, failure=OSError(number, os.strerror(number))))
    with pytest.raises(StorageFull, match="MB free in") as failure:
        full.put(source, hash_of(PNG))
    assert ("free disk space" if number == errno.ENOSPC else "your quota") in failure.value.hint
    assert not list(visible(root))
    assert Backup(root, FileSystem()).put(source, hash_of(PNG)).is_new
    assert not leftovers(root)


def test_a_backup_that_cannot_be_written_stops_the_run_and_names_the_folder(source: Path) -> None:
    (source.parents[1] / "backup").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written") as failure:
        Backup(source.parents[1] / "backup", FileSystem()).put(source, hash_of(PNG))
    assert isinstance(failure.value, Unworkable)
    assert "is a file and not a folder" in failure.value.hint


def test_an_object_whose_name_is_not_durable_does_not_count(backup: Backup, source: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jpg").write_bytes(JPEG)
    backup.put(tmp_path / "other.jpg", hash_of(JPEG))
    fs = FailingDisk(name="publish", after=True)
    with pytest.raises(StoreError):
        Backup(backup.root, fs).put(source, hash_of(PNG))
    assert not backup.has(hash_of(PNG))
    backup.put(source, hash_of(PNG))
    with pytest.raises(StoreError, match="cannot be written"):
        Backup(backup.root, FailingDisk(name="sync_folder")).put(source, hash_of(PNG))


def story(backup: Backup, source: Path) -> None:
    """What a push does with the backup, for a new object and for one that stands."""
    for _ in range(2):
        backup.put(source, hash_of(PNG))
        backup.add_samples([("Can", "Can/001.png", hash_of(PNG))], at=0.0)


def count_steps(source: Path, root: Path) -> int:
    fs = FailingDisk()
    story(Backup(root, fs), source)
    return len(fs.steps)


@pytest.mark.parametrize("stands", [False, True], ids=["new", "standing"])
@pytest.mark.parametrize("failure", ["error", "full", "killed before", "killed after"])
def test_after_a_failure_at_any_step_no_partial_object_is_visible_and_the_next_run_repairs_it(
    tmp_path: Path, source: Path, failure: str, stands: bool
) -> None:
    def fail(at: int) -> FailingDisk:
        if failure.startswith("killed"):
            return FailingDisk(at, failure=Killed(), after=failure == "killed after")
        return FailingDisk(at, failure=OSError(errno.ENOSPC if failure == "full" else errno.EIO, failure))

    def prepare(root: Path) -> None:
        if stands:
            story(Backup(root, FileSystem()), source)

    prepare(tmp_path / "counted")
    for at in range(1, count_steps(source, tmp_path / "counted") + 1):
        root = tmp_path / f"{at}"
        prepare(root)
        with contextlib.suppress(StoreError, Killed):
            story(Backup(root, fail(at)), source)
        for path in visible(root):
            assert path.read_bytes() == PNG, at
        for entry in Backup(root, FileSystem()).samples():
            assert Backup(root, FileSystem()).read(entry.content) == PNG, at

        story(Backup(root, FileSystem()), source)
        assert Backup(root, FileSystem()).read(hash_of(PNG)) == PNG
        assert [checked.reason for checked in Backup(root, FileSystem()).verify()] == [None]
        Backup(root, FileSystem()).remove_leftovers()
        assert not leftovers(root), at


def test_what_a_killed_run_left_is_removed_by_the_next_write_into_the_folder(backup: Backup, source: Path) -> None:
    content = hash_of(PNG)
    folder = backup.root / "objects" / content[:2]
    folder.mkdir(parents=True)
    (folder / f"{TEMP_PREFIX}0011").write_bytes(PNG[:10])
    backup.put(source, content)
    assert [path.name for path in folder.iterdir()] == [f"{content}.png"]


def test_leftovers_are_removed_on_demand_and_nothing_else(backup: Backup, source: Path) -> None:
    backup.put(source, hash_of(PNG))
    for folder in (backup.root, backup.root / "objects" / hash_of(PNG)[:2]):
        (folder / f"{TEMP_PREFIX}0011").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written"):
        Backup(backup.root, FailingDisk(name="remove")).remove_leftovers()
    backup.remove_leftovers()
    assert not leftovers(backup.root)
    assert backup.read(hash_of(PNG)) == PNG


def test_many_threads_store_the_same_and_different_images_at_once(tmp_path: Path) -> None:
    images = [PNG + bytes([number]) for number in range(12)]
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(images[number % 12])
    backup = Backup(tmp_path / "backup", FileSystem())
    start = threading.Barrier(8)

    def put(number: int) -> bool:
        if number < 8:
            start.wait(30)
        return backup.put(tmp_path / f"{number}.png", hash_of(images[number % 12])).is_new

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(put, range(60))) == 12
    assert sorted(backup.objects()) == sorted(map(hash_of, images))
    assert all(checked.reason is None for checked in backup.verify())
    assert not leftovers(backup.root)


def test_unknown_files_in_the_backup_are_skipped(backup: Backup, source: Path) -> None:
    stored = backup.put(source, hash_of(PNG))
    (stored.path.parent / "notes.txt").write_text("")
    (stored.path.parent / f"{'0' * 32}.gif").write_text("")
    (stored.path.parent / f"{hash_of(PNG)[:2]}{'0' * 30}.jpg").mkdir()
    (backup.root / "objects" / "lost+found").mkdir()
    assert list(backup.objects()) == [hash_of(PNG)]


def test_a_backup_that_cannot_be_listed_is_an_error_and_not_empty(backup: Backup, source: Path) -> None:
    backup.put(source, hash_of(PNG))
    for ask in (Backup.objects, Backup.verify):
        with pytest.raises(StoreError, match="cannot be read"):
            list(ask(Backup(backup.root, FailingDisk(name="scan_folder"))))


def test_the_catalog_names_class_and_file_of_an_object(backup: Backup, source: Path, tmp_path: Path) -> None:
    content = hash_of(PNG)
    backup.put(source, content)
    backup.add_samples([("Can", "Can/001.png", content), ("Büchse", "Büchse/eins.png", content)], at=1700000000.9)
    backup.add_samples([("Can", "Can/001.png", content)], at=1700000000)
    backup.add_samples([], at=0)
    can = CatalogEntry("Can", "Can/001.png", content, "png", len(PNG), 1700000000.0)
    tin = CatalogEntry("Büchse", "Büchse/eins.png", content, "png", len(PNG), 1700000000.0)
    assert list(Backup(tmp_path / "backup", FileSystem()).samples()) == [can, tin, can]
    assert backup.entries_of({content}) == {content: [can, tin]}
    assert backup.entries_of({hash_of(JPEG)}) == {}


def test_the_name_of_the_catalog_is_made_durable_once_in_each_run(backup: Backup, source: Path) -> None:
    """A killed run may have made the file and no more."""
    backup.put(source, hash_of(PNG))
    (backup.root / "catalog.jsonl").touch()
    fs = FailingDisk()
    later = Backup(backup.root, fs)
    for expected in (1, 1):
        later.add_samples([("Can", "Can/001.png", hash_of(PNG))], at=0)
        assert fs.steps.count("sync_folder") == expected


def test_a_sample_is_in_the_catalog_only_after_its_object(backup: Backup) -> None:
    with pytest.raises(BackupDamaged, match="missing"):
        backup.add_samples([("Can", "Can/001.png", hash_of(PNG))], at=0)
    assert list(backup.samples()) == []


def test_a_catalog_that_cannot_be_read_or_written_is_an_error(backup: Backup, source: Path) -> None:
    backup.put(source, hash_of(PNG))
    backup.add_samples([("Can", "Can/001.png", hash_of(PNG))], at=0)
    with pytest.raises(StoreError, match="catalog of the backup cannot be read"):
        list(Backup(backup.root, FailingDisk(name="open_read")).samples())
    with pytest.raises(StorageFull):
        full = FailingDisk(name="append_synced", failure=OSError(errno.ENOSPC, "full"))
        Backup(backup.root, full).add_samples([("Can", "Can/001.png", hash_of(PNG))], at=0)


def fill(backup: Backup, folder: Path, count: int) -> list[str]:
    contents = []
    for number in range(count):
        (folder / "any.png").write_bytes(PNG + number.to_bytes(4, "big"))
        contents.append(hash_of(PNG + number.to_bytes(4, "big")))
        backup.put(folder / "any.png", contents[-1])
        backup.add_samples([("Can", f"Can/{number}.png", contents[-1])], at=0)
    return contents


def test_verify_finds_damaged_and_missing_objects_and_nothing_else(backup: Backup, tmp_path: Path) -> None:
    contents = fill(backup, tmp_path, 20)
    damage(backup.find(contents[3]) or Path())
    (backup.find(contents[7]) or Path()).unlink()
    results = {checked.content: checked.reason for checked in backup.verify()}
    assert sorted(results) == sorted(contents)
    assert {content for content, reason in results.items() if reason} == {contents[3], contents[7]}
    assert "damaged" in str(results[contents[3]])
    assert "missing" in str(results[contents[7]])


@settings(deadline=None, max_examples=7)
@given(parts=st.integers(1, 7))
def test_the_parts_of_a_verification_are_the_whole_and_none_is_twice(
    tmp_path_factory: pytest.TempPathFactory, parts: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    backup = Backup(folder / "backup", FileSystem())
    contents = fill(backup, folder, 8)
    (backup.find(contents[0]) or Path()).unlink()
    checked = [result for number in range(parts) for result in backup.verify((number + 1, parts))]
    assert sorted(result.content for result in checked) == sorted(contents)
    assert [result for result in checked if result.reason] == [VerifyResult(contents[0], "missing in the backup")]


def test_repair_takes_the_first_source_with_the_right_bytes(backup: Backup, source: Path, tmp_path: Path) -> None:
    content = hash_of(PNG)
    path = backup.put(source, content).path
    assert backup.repair(content, [])
    damage(path)
    (tmp_path / "edited.png").write_bytes(b"edited")
    assert not backup.repair(content, [tmp_path / "edited.png", tmp_path / "absent.png"])
    assert backup.repair(content, [tmp_path / "absent.png", tmp_path / "edited.png", source])
    assert backup.read(content) == PNG
    path.unlink()
    assert backup.repair(content, [source])
    assert backup.read(content) == PNG


def test_the_backup_can_be_checked_and_copied_without_this_program(backup: Backup, tmp_path: Path) -> None:
    contents = fill(backup, tmp_path, 3)
    (tmp_path / "out").mkdir()
    subprocess.run(f"cp {backup.root}/objects/*/* {tmp_path}/out", shell=True, check=True)
    assert {hash_of(path.read_bytes()) for path in (tmp_path / "out").iterdir()} == set(contents)
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(contents)


def test_no_backup_is_made_where_the_store_was_unmounted(source: Path, tmp_path: Path) -> None:
    mount_point = tmp_path / "mount point"
    mount_point.mkdir()
    with pytest.raises(StoreError):
        Backup(mount_point / ".astica-sync" / "backup", FileSystem()).put(source, hash_of(PNG))
    assert list(mount_point.iterdir()) == []


def test_a_pruned_object_is_gone_with_its_line_and_the_others_stay(
    backup: Backup, source: Path, tmp_path: Path
) -> None:
    other = tmp_path / "Can" / "002.jpg"
    other.write_bytes(JPEG)
    for path, data in ((source, PNG), (other, JPEG)):
        backup.put(path, hash_of(data))
        backup.add_samples([("Can", f"Can/{path.name}", hash_of(data))], 1e9)
    assert backup.time_of(hash_of(PNG)) > 0
    assert backup.prune([hash_of(PNG)]) == len(PNG)
    assert backup.prune([hash_of(PNG)]) == 0
    assert [entry.content for entry in backup.samples()] == [hash_of(JPEG)]
    assert list(backup.objects()) == [hash_of(JPEG)]
    assert backup.time_of(hash_of(PNG)) == 0.0


def test_an_object_or_catalog_that_cannot_be_removed_is_an_error(source: Path) -> None:
    root = source.parents[1] / "backup"
    Backup(root, FileSystem()).put(source, hash_of(PNG))
    for step in ("write_synced", "remove"):
        with pytest.raises(StoreError):
            Backup(root, FailingDisk(name=step)).prune([hash_of(PNG)])
    assert list(Backup(root, FileSystem()).objects()) == [hash_of(PNG)]


def test_contents_named_by_snapshots_are_found_outside_the_catalog(backup: Backup, source: Path) -> None:
    backup.put(source, hash_of(PNG))
    backup.add_samples([("Can", "Can/001.png", hash_of(PNG))], 1e9)
    (backup.root / "snapshots").mkdir()
    (backup.root / "snapshots" / "one.jsonl").write_text(f'{{"content": "{hash_of(JPEG)}"}}\n')
    assert backup.referenced_contents() >= {hash_of(JPEG)}
    assert hash_of(PNG) not in backup.referenced_contents()
    with pytest.raises(StoreError):
        Backup(backup.root, FailingDisk(name="open_read")).referenced_contents()
