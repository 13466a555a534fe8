"""Snapshots in the backup: readable lines, named by their hash, proven before they are believed."""

import errno
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
import xxhash

from astica_sync.core.model import make_scope
from astica_sync.core.versions.snapshot import ManagedSample, SnapshotSample, UnmanagedSample
from astica_sync.errors import BackupDamaged, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.manifests import Manifests
from astica_sync.local.filesystem import AnyPath, Entry, FileSystem

PNG = b"\x89PNG\r\n\x1a\n and so on"


class Failing(FileSystem):
    """A disk on which one kind of step fails."""

    def __init__(self, step: str) -> None:
        self._step = step

    def write_synced(self, path: Path, chunks: Iterable[bytes]) -> None:
        if self._step == "write":
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write_synced(path, chunks)

    def sync_folder(self, path: Path) -> None:
        if self._step == f"sync {path.name}":
            raise OSError(errno.ENOSPC, "No space left on device")
        super().sync_folder(path)

    def open_read(self, path: AnyPath) -> BinaryIO:
        if self._step == "read" and str(path).endswith(".jsonl"):
            raise OSError(errno.EIO, "Input/output error")
        return super().open_read(path)

    def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
        if self._step == "list" and str(path).endswith("snapshots"):
            raise OSError(errno.EACCES, "Permission denied")
        return super().scan_folder(path)


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    (tmp_path / "a.png").write_bytes(PNG)
    backup = Backup(tmp_path / "backup", FileSystem())
    backup.put(tmp_path / "a.png", CONTENT)
    return backup


CONTENT = xxhash.xxh3_128_hexdigest(PNG)
SAMPLES: list[SnapshotSample] = [
    ManagedSample("Can", CONTENT, "Can/a.png"),
    ManagedSample("Can", CONTENT, "Can/no utf8 \udcff.png"),
    UnmanagedSample("Can", "uid of another client", 7),
]


def test_a_snapshot_with_any_names_is_read_as_it_was_written(backup: Backup) -> None:
    snapshots = Manifests(backup, FileSystem())
    assert snapshots.ids() == []
    frozen = snapshots.write(lambda: SAMPLES)
    assert list(snapshots.read(frozen)) == SAMPLES
    assert snapshots.write(lambda: SAMPLES) == frozen == snapshots.ids()[0]
    assert snapshots.frozen_at(frozen) > 0
    lines = (snapshots.folder / f"{frozen}.jsonl").read_bytes().splitlines()
    assert json.loads(lines[0])["content"] == CONTENT
    assert [entry.size for entry in snapshots.entries(frozen)] == [len(PNG)] * 2


def test_the_samples_of_a_snapshot_have_the_uids_of_the_recipe_where_they_are_converted(backup: Backup) -> None:
    snapshots = Manifests(backup, FileSystem())
    tiff = b"II*\x00 and so on"
    source = backup.root.parent / "a.tiff"
    source.write_bytes(tiff)
    other = xxhash.xxh3_128_hexdigest(tiff)
    backup.put(source, other)
    frozen = snapshots.write(lambda: [ManagedSample("Can", CONTENT, "Can/a.png"), ManagedSample("Can", other, "Can/a")])
    recipe = "quality=80"
    plain, changed = make_scope(7, "Can"), make_scope(7, "Can", recipe)
    assert {one.uid for one in snapshots.local_samples(frozen, 7)} == {f"{CONTENT}-{plain}", f"{other}-{plain}"}
    found = {one.uid for one in snapshots.local_samples(frozen, 7, recipe)}
    assert found == {f"{CONTENT}-{plain}", f"{other}-{changed}"}
    found = {one.uid for one in snapshots.local_samples(frozen, 7, recipe, {CONTENT})}
    assert found == {f"{CONTENT}-{changed}", f"{other}-{changed}"}


def test_a_snapshot_keeps_its_images_from_being_pruned(backup: Backup) -> None:
    Manifests(backup, FileSystem()).write(lambda: SAMPLES)
    assert CONTENT in backup.referenced_contents()


def test_what_is_not_in_the_backup_cannot_be_frozen(backup: Backup) -> None:
    with pytest.raises(BackupDamaged, match="not in the backup"):
        Manifests(backup, FileSystem()).write(lambda: [ManagedSample("Can", "0" * 32, "Can/lost.png")])
    assert Manifests(backup, FileSystem()).ids() == []


def test_a_changed_or_lost_snapshot_is_an_error(backup: Backup) -> None:
    snapshots = Manifests(backup, FileSystem())
    frozen = snapshots.write(lambda: SAMPLES)
    file = snapshots.folder / f"{frozen}.jsonl"
    with pytest.raises(BackupDamaged, match="cannot be read: Input/output error") as failure:
        Manifests(backup, Failing("read")).check(frozen)
    assert "dmesg" in failure.value.hint
    file.write_bytes(file.read_bytes().replace(b"Can", b"Jar"))
    with pytest.raises(BackupDamaged, match="damaged"):
        list(snapshots.read(frozen))
    file.unlink()
    with pytest.raises(BackupDamaged, match="missing"):
        snapshots.check(frozen)
    with pytest.raises(ValueError, match="not the id"):
        snapshots.check("../../etc/passwd")


def test_a_failing_disk_is_an_error(backup: Backup) -> None:
    with pytest.raises(StoreError, match="cannot be written: No space left"):
        Manifests(backup, Failing("write")).write(lambda: SAMPLES)
    Manifests(backup, FileSystem()).write(lambda: SAMPLES)
    with pytest.raises(StoreError, match="cannot be listed"):
        Manifests(backup, Failing("list")).ids()


def test_a_folder_that_an_earlier_run_could_not_make_durable_is_made_so_before_a_snapshot_counts(
    backup: Backup,
) -> None:
    for above in (backup.root, backup.root.parent):
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot be written: No space left"):
                Manifests(backup, Failing(f"sync {above.name}")).write(lambda: SAMPLES)


def test_other_files_in_the_folder_are_skipped(backup: Backup) -> None:
    snapshots = Manifests(backup, FileSystem())
    frozen = snapshots.write(lambda: SAMPLES)
    (snapshots.folder / "notes.txt").write_text("mine")
    (snapshots.folder / "short.jsonl").write_text("{}")
    assert snapshots.ids() == [frozen]


def test_a_manifest_that_changes_after_its_check_is_an_error(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = Manifests(backup, FileSystem())
    frozen = snapshots.write(lambda: SAMPLES)
    monkeypatch.setattr(Manifests, "check", lambda self, snapshot: None)
    file = snapshots.folder / f"{frozen}.jsonl"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(BackupDamaged, match="one of its lines is invalid"):
        list(snapshots.read(frozen))
    file.unlink()
    with pytest.raises(BackupDamaged, match="cannot be read: No such file"):
        list(snapshots.read(frozen))


@pytest.mark.parametrize(
    "line", [{"class": "Can", "uid": "u", "sample_id": "seven"}, {"class": 5, "content": "../x"}, {"model_id": 1}]
)
def test_a_line_that_this_program_never_writes_makes_the_snapshot_invalid(
    backup: Backup, line: dict[str, object]
) -> None:
    data = json.dumps(line).encode() + b"\n"
    name = xxhash.xxh3_128_hexdigest(data)
    snapshots = Manifests(backup, FileSystem())
    snapshots.folder.mkdir(exist_ok=True)
    (snapshots.folder / f"{name}.jsonl").write_bytes(data)
    for read in (snapshots.read, snapshots.entries):
        with pytest.raises(BackupDamaged):
            list(read(name))
