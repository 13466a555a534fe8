"""A scan of some folders: what it finds, and which contents it reports as fresh and lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import GRAIN_NS, TICK_NS, Index
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store
from tests.harness.shell import draw, fill


class ScannedStore:
    def __init__(self, root: Path) -> None:
        self.root = fill(root, {"Bottle": 2, "Can": 2})
        self.layout: Layout = create_store(root, model_id=1, train_url="https://train.astica.ai", now=0.0)
        self.index = Index(self.layout.index_db)

    def scan(self, *below: str) -> Scan:
        return scan_store(self.layout, self.index, clock=SystemClock(), options=ScanOptions(below=below or None))

    def paths(self) -> set[str]:
        return {path for sample in self.index.local_samples(1) for path in sample.paths}


@pytest.fixture
def scanned(tmp_path: Path) -> Iterator[ScannedStore]:
    root = tmp_path / "store"
    root.mkdir()
    scanned = ScannedStore(root)
    with contextlib.closing(scanned.index):
        assert len(scanned.scan().fresh or ()) == 4
        yield scanned


def test_a_scan_of_one_folder_finds_new_files_there_and_nothing_elsewhere(scanned: ScannedStore) -> None:
    draw(scanned.root / "Can" / "new.png", 10)
    draw(scanned.root / "Bottle" / "new.png", 11)
    scan = scanned.scan("Can")
    assert len(scan.fresh or ()) == 1 and scan.lost == frozenset()
    assert "Can/new.png" in scanned.paths() and "Bottle/new.png" not in scanned.paths()
    assert not scan.unknown


def test_deleted_files_of_a_scanned_folder_are_reported_and_other_folders_keep_theirs(scanned: ScannedStore) -> None:
    (scanned.root / "Can" / "000.png").unlink()
    (scanned.root / "Bottle" / "000.png").unlink()
    scan = scanned.scan("Can")
    assert len(scan.lost or ()) == 1
    assert scanned.paths() == {"Can/001.png", "Bottle/000.png", "Bottle/001.png"}


def test_a_changed_file_is_fresh_and_lost_and_an_unchanged_one_neither(scanned: ScannedStore) -> None:
    draw(scanned.root / "Can" / "000.png", 10)
    (scanned.root / "Can" / "001.png").touch()
    scan = scanned.scan("Can")
    assert len(scan.fresh or ()) == 1 and len(scan.lost or ()) == 1


def test_a_new_folder_is_found_from_the_nearest_known_one(scanned: ScannedStore) -> None:
    draw(scanned.root / "Can" / "deep" / "er" / "new.png", 10)
    assert len(scanned.scan("Can/deep/er").fresh or ()) == 1
    draw(scanned.root / "Glass" / "new.png", 11)
    assert len(scanned.scan("Glass").fresh or ()) == 1
    assert {"Can/deep/er/new.png", "Glass/new.png"} <= scanned.paths()


def test_a_deleted_folder_is_forgotten_with_its_files(scanned: ScannedStore) -> None:
    (scanned.root / "Can").rename(scanned.root.parent / "away")
    scan = scanned.scan("Can")
    assert scan.lost is None
    assert scanned.paths() == {"Bottle/000.png", "Bottle/001.png"}


def test_a_folder_that_became_a_link_is_not_followed(scanned: ScannedStore) -> None:
    draw(scanned.root / "Can" / "deep" / "a.png", 10)
    scanned.scan()
    outside = scanned.root.parent / "outside"
    (scanned.root / "Can").rename(outside)
    draw(outside / "deep" / "secret.png", 11)
    (scanned.root / "Can").symlink_to(outside)
    scan = scanned.scan("Can/deep")
    assert not any("secret" in path for path in scanned.paths())
    assert scan.unknown.covers("Can"), "files behind a link are not called absent"


def test_nested_folders_are_scanned_once(scanned: ScannedStore) -> None:
    draw(scanned.root / "Can" / "deep" / "a.png", 10)
    scanned.scan()
    assert scanned.scan("Can/deep", "Can", "Can/deep").files == 3


class ManualTime(FileSystem):
    """A clock, and a file system that takes its times from it: time passes only in ``sleep``."""

    def __init__(self, path: Path) -> None:
        self.time, self.slept = path.stat().st_ctime_ns, 0.0

    def now(self) -> float:
        return self.time / 1e9

    def ticks(self) -> float:
        return self.time / 1e9

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.time += round(seconds * 1e9)

    def time_ns(self, folder: Path) -> int:
        return self.time


@pytest.mark.parametrize("patient", [True, False])
def test_a_patient_scan_reads_a_file_that_was_just_written_only_once(scanned: ScannedStore, patient: bool) -> None:
    draw(scanned.root / "Can" / "new.png", 10)
    manual = ManualTime(scanned.root / "Can" / "new.png")

    def scan(patient: bool) -> Scan:
        return scan_store(
            scanned.layout,
            scanned.index,
            clock=manual,
            files=manual,
            options=ScanOptions(threads=0, below=["Can"], patient=patient),
        )

    assert len(scan(patient).fresh or ()) == 1
    assert bool(manual.slept) == patient and manual.slept <= (GRAIN_NS + TICK_NS) / 1e9
    manual.time += 10 * GRAIN_NS
    assert bool(scan(False).hashed) != patient


def test_a_patient_scan_does_not_wait_for_an_old_file(scanned: ScannedStore) -> None:
    draw(scanned.root / "Can" / "new.png", 10)
    manual = ManualTime(scanned.root / "Can" / "new.png")
    manual.time += 2 * GRAIN_NS
    scan = scan_store(
        scanned.layout, scanned.index, clock=manual, files=manual, options=ScanOptions(threads=0, patient=True)
    )
    assert len(scan.fresh or ()) == 1 and not manual.slept


@pytest.mark.parametrize("ahead_ns", [3600 * 10**9, -(10**9)])
def test_a_patient_scan_does_not_wait_for_a_wrong_clock(scanned: ScannedStore, ahead_ns: int) -> None:
    draw(scanned.root / "Can" / "new.png", 10)
    manual = ManualTime(scanned.root / "Can" / "new.png")
    manual.time -= ahead_ns
    scan = scan_store(
        scanned.layout, scanned.index, clock=manual, files=manual, options=ScanOptions(threads=0, patient=True)
    )
    assert len(scan.fresh or ()) == 1 and not manual.slept
