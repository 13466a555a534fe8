"""A scan of some folders alone: what it finds, what it says is new or gone, and what it leaves as it was."""

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


class Eyes:
    def __init__(self, root: Path) -> None:
        self.root = fill(root, {"Bottle": 2, "Can": 2})
        self.layout: Layout = create_store(root, model_id=1, train_url="https://train.astica.ai", now=0.0)
        self.index = Index(self.layout.index_db)

    def look(self, *below: str) -> Scan:
        return scan_store(self.layout, self.index, clock=SystemClock(), options=ScanOptions(below=below or None))

    def paths(self) -> set[str]:
        return {path for sample in self.index.local_samples(1) for path in sample.paths}


@pytest.fixture
def eyes(tmp_path: Path) -> Iterator[Eyes]:
    root = tmp_path / "store"
    root.mkdir()
    eyes = Eyes(root)
    with contextlib.closing(eyes.index):
        assert len(eyes.look().fresh or ()) == 4
        yield eyes


def test_a_look_at_one_folder_finds_what_is_new_there_and_nothing_elsewhere(eyes: Eyes) -> None:
    draw(eyes.root / "Can" / "new.png", 10)
    draw(eyes.root / "Bottle" / "new.png", 11)
    scan = eyes.look("Can")
    assert len(scan.fresh or ()) == 1 and scan.lost == frozenset()
    assert "Can/new.png" in eyes.paths() and "Bottle/new.png" not in eyes.paths()
    assert not scan.unknown


def test_what_is_gone_is_named_and_what_lies_elsewhere_is_kept(eyes: Eyes) -> None:
    (eyes.root / "Can" / "000.png").unlink()
    (eyes.root / "Bottle" / "000.png").unlink()
    scan = eyes.look("Can")
    assert len(scan.lost or ()) == 1
    assert eyes.paths() == {"Can/001.png", "Bottle/000.png", "Bottle/001.png"}


def test_a_changed_file_is_new_and_gone_and_one_that_is_read_again_is_neither(eyes: Eyes) -> None:
    draw(eyes.root / "Can" / "000.png", 10)
    (eyes.root / "Can" / "001.png").touch()
    scan = eyes.look("Can")
    assert len(scan.fresh or ()) == 1 and len(scan.lost or ()) == 1


def test_a_new_folder_is_found_from_the_nearest_known_one(eyes: Eyes) -> None:
    draw(eyes.root / "Can" / "deep" / "er" / "new.png", 10)
    assert len(eyes.look("Can/deep/er").fresh or ()) == 1
    draw(eyes.root / "Glass" / "new.png", 11)
    assert len(eyes.look("Glass").fresh or ()) == 1
    assert {"Can/deep/er/new.png", "Glass/new.png"} <= eyes.paths()


def test_a_folder_that_is_gone_is_forgotten_with_what_it_held(eyes: Eyes) -> None:
    (eyes.root / "Can").rename(eyes.root.parent / "away")
    scan = eyes.look("Can")
    assert scan.lost is None
    assert eyes.paths() == {"Bottle/000.png", "Bottle/001.png"}


def test_a_folder_that_became_a_link_is_not_followed(eyes: Eyes) -> None:
    draw(eyes.root / "Can" / "deep" / "a.png", 10)
    eyes.look()
    outside = eyes.root.parent / "outside"
    (eyes.root / "Can").rename(outside)
    draw(outside / "deep" / "secret.png", 11)
    (eyes.root / "Can").symlink_to(outside)
    scan = eyes.look("Can/deep")
    assert not any("secret" in path for path in eyes.paths())
    assert scan.unknown.covers("Can"), "what a link hides is not called absent"


def test_folders_inside_one_another_are_looked_at_once(eyes: Eyes) -> None:
    draw(eyes.root / "Can" / "deep" / "a.png", 10)
    eyes.look()
    assert eyes.look("Can/deep", "Can", "Can/deep").files == 3


class Passing(FileSystem):
    """A clock, and a disk whose files are stamped by it: time passes only where somebody sleeps."""

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
def test_a_patient_look_reads_what_was_written_just_now_only_once(eyes: Eyes, patient: bool) -> None:
    draw(eyes.root / "Can" / "new.png", 10)
    passing = Passing(eyes.root / "Can" / "new.png")

    def look(patient: bool) -> Scan:
        return scan_store(
            eyes.layout,
            eyes.index,
            clock=passing,
            files=passing,
            options=ScanOptions(threads=0, below=["Can"], patient=patient),
        )

    assert len(look(patient).fresh or ()) == 1
    assert bool(passing.slept) == patient and passing.slept <= (GRAIN_NS + TICK_NS) / 1e9
    passing.time += 10 * GRAIN_NS
    assert bool(look(False).hashed) != patient


def test_a_patient_look_does_not_wait_for_what_settled_long_ago(eyes: Eyes) -> None:
    draw(eyes.root / "Can" / "new.png", 10)
    passing = Passing(eyes.root / "Can" / "new.png")
    passing.time += 2 * GRAIN_NS
    scan = scan_store(
        eyes.layout, eyes.index, clock=passing, files=passing, options=ScanOptions(threads=0, patient=True)
    )
    assert len(scan.fresh or ()) == 1 and not passing.slept


@pytest.mark.parametrize("ahead_ns", [3600 * 10**9, -(10**9)])
def test_a_patient_look_does_not_wait_for_a_clock_that_is_wrong(eyes: Eyes, ahead_ns: int) -> None:
    draw(eyes.root / "Can" / "new.png", 10)
    passing = Passing(eyes.root / "Can" / "new.png")
    passing.time -= ahead_ns
    scan = scan_store(
        eyes.layout, eyes.index, clock=passing, files=passing, options=ScanOptions(threads=0, patient=True)
    )
    assert len(scan.fresh or ()) == 1 and not passing.slept
