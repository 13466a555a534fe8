"""A folder in which nothing changed has the same digests; every change makes them differ."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.core.model import Unreadable
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import File, Index, Known
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.scan.directory_digest import BUCKETS, BUCKETS_FROM_FILES, DIGEST_BYTES, INVALID, list_directory
from astica_sync.local.scan.parallel.directory_prefetch import Prefetcher
from astica_sync.local.scan.parallel.hash_pool import HashPool
from astica_sync.local.scan.parallel.worker_process import WorkerProcess
from astica_sync.local.scan.scan_workers import SerialWorkers
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store

PNG = b"\x89PNG\r\n\x1a\n"


def end(worker: WorkerProcess | None) -> None:
    """Kills a worker and waits for its end."""
    assert worker is not None
    worker._process.kill()
    worker._process._process.wait()


class CountingIndex(Index):
    """Counts the folders whose rows were read, and the rows."""

    def known(self, folder_id: int, broken: Sequence[int] = (), buckets: int = 0) -> dict[bytes, Known]:
        self.asked += 1
        found = super().known(folder_id, broken, buckets)
        self.rows += len(found)
        return found

    asked = 0
    rows = 0


class Digested:
    """A store with one class of three files, one of them in a subfolder, scanned until both have digests."""

    def __init__(self, root: Path) -> None:
        for name in ("Can/1.png", "Can/2.png", "Can/old/3.png"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(PNG + name.encode())
        self.root = root
        self.layout = create_store(root, model_id=1, train_url="http://127.0.0.1:1", now=time.time())
        self.index = CountingIndex(self.layout.index_db)
        # Not racy, without waiting: as if all files had been read much later than they changed.
        self.scan()
        self.settle()
        self.scan()

    def settle(self) -> None:
        self.index.write(lambda connection: connection.execute("UPDATE file SET checked_ns = checked_ns + 60000000000"))

    def scan(self) -> Scan:
        self.index.asked = self.index.rows = 0
        return scan_store(self.layout, self.index, clock=SystemClock(), options=ScanOptions(threads=0))


@pytest.fixture
def digested(tmp_path: Path) -> Iterator[Digested]:
    found = Digested(tmp_path / "photos")
    yield found
    found.index.close()


def test_no_row_is_read_of_an_unchanged_folder(digested: Digested) -> None:
    scan = digested.scan()
    assert (scan.files, scan.hashed, digested.index.asked) == (3, 0, 1), "the store's own folder alone"


def test_a_changed_a_new_and_a_missing_file_change_the_digest(digested: Digested) -> None:
    (digested.root / "Can/1.png").write_bytes(PNG + b"other")
    (digested.root / "Can/new.png").write_bytes(PNG + b"new")
    (digested.root / "Can/old/3.png").unlink()
    assert digested.scan().hashed == 2
    assert [path for sample in digested.index.local_samples(1) for path in sample.paths if "3" in path] == []


def test_a_file_of_the_same_size_with_its_old_time_changes_the_digest(digested: Digested) -> None:
    path = digested.root / "Can/1.png"
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digested.scan().hashed == 1


def test_a_file_that_is_to_be_read_again_invalidates_the_digest(digested: Digested) -> None:
    digested.index.forget(["Can/1.png"])
    assert digested.scan().hashed == 1


def test_a_racy_file_leaves_the_digest_of_its_folder_invalid(digested: Digested) -> None:
    (digested.root / "Can/1.png").write_bytes(PNG + b"other")
    digested.scan()
    digested.index.write(lambda connection: connection.execute("UPDATE file SET checked_ns = ctime_ns"))
    assert digested.scan().hashed == 2
    digests = {folder.path: folder.digests for folder in digested.index.folders().values()}
    assert (digests[b"Can"], digests[b"Can/old"] == INVALID) == (INVALID, False)


def test_a_forced_scan_ignores_digests(digested: Digested) -> None:
    scan = scan_store(digested.layout, digested.index, clock=SystemClock(), options=ScanOptions(threads=0, forced=True))
    assert scan.hashed == 3


def test_a_new_ignore_file_changes_every_digest(digested: Digested) -> None:
    (digested.root / ".astica-ignore").write_text("1.png\n")
    digested.scan()
    assert "Can/1.png" not in {path for sample in digested.index.local_samples(1) for path in sample.paths}


def test_schemas_of_earlier_versions_are_upgraded(tmp_path: Path) -> None:
    found = Digested(tmp_path / "photos")
    found.index.write(
        lambda connection: [
            connection.execute(text)
            for text in (
                "ALTER TABLE folder DROP COLUMN seal",
                "DELETE FROM _sqlite_migrations WHERE name LIKE '%_seals' OR name LIKE '%_buckets'",
                "PRAGMA user_version = 1",
            )
        ]
    )
    found.index.close()
    with Index(Layout(found.root).index_db) as index:
        assert len(list(index.local_samples(1))) == 3


class Many(Digested):
    """So many files in one folder that they are in several buckets."""

    def __init__(self, root: Path) -> None:
        (root / "Many").mkdir(parents=True)
        for number in range(BUCKETS_FROM_FILES + 20):
            (root / f"Many/{number:05}.png").write_bytes(PNG + b"%d" % number)
        super().__init__(root)


def test_of_a_large_folder_only_the_rows_around_a_change_are_read(tmp_path: Path) -> None:
    many = Many(tmp_path / "photos")
    assert (many.scan().hashed, many.index.rows) == (0, 0)
    (many.root / "Many/00000.png").write_bytes(PNG + b"other")
    (many.root / "Many/00001.png").unlink()
    (many.root / "Many/new.png").write_bytes(PNG + b"new")
    assert many.scan().hashed == 2
    assert 2 <= many.index.rows <= 5 * (1 + BUCKETS_FROM_FILES // BUCKETS)
    held = {path for sample in many.index.local_samples(1) for path in sample.paths}
    assert held == {path.relative_to(many.root).as_posix() for path in many.root.rglob("*.png")}
    many.settle()
    many.scan()
    assert (many.scan().hashed, many.index.rows) == (0, 0)
    many.index.close()


def test_a_folder_that_loses_its_last_problem_is_compared_completely(digested: Digested) -> None:
    (digested.root / "Can/link").symlink_to("1.png")
    digested.scan()
    (digested.root / "Can/1.png").unlink()
    digested.scan()
    (digested.root / "Can/link").unlink()
    assert digested.scan().hashed == 0
    assert list(digested.index.problems()) == []
    assert {path for sample in digested.index.local_samples(1) for path in sample.paths} == {
        "Can/2.png",
        "Can/old/3.png",
    }


def test_a_subfolder_that_could_not_be_read_is_scanned_again(digested: Digested) -> None:
    problem = File(1, b"old", 0, 0, 0, 0, 0, None, "cannot be read")
    folder = digested.index.folders()[b"Can"]
    digested.index.change([], [problem._replace(folder_id=folder.folder_id)], [])
    digested.scan()
    assert list(digested.index.problems()) == []


def test_another_process_lists_the_same(tmp_path: Path) -> None:
    many = Many(tmp_path / "photos")
    (many.root / "Many/sub").mkdir()
    (many.root / "Many/link").symlink_to("00000.png")
    (many.root / "Many" / os.fsdecode(b"\xff.png")).write_bytes(PNG)
    path = str(many.root / "Many")
    with closing(Prefetcher()) as prefetcher:
        for digests, seed in ((None, 0), (bytes(BUCKETS * DIGEST_BYTES), 7)):
            prefetcher.add(path, digests, seed)
            prefetcher.feed()
            assert prefetcher.take(path) == list_directory(FileSystem(), path, digests, seed)
    many.index.close()


def test_what_the_other_process_does_not_list_is_listed_by_this_one(tmp_path: Path) -> None:
    with closing(Prefetcher()) as prefetcher:
        prefetcher.add(str(tmp_path / "gone"), None, 0)
        prefetcher.add(str(tmp_path), None, 0)
        prefetcher.feed()
        assert prefetcher.take(str(tmp_path / "gone")) is None
        assert prefetcher.take(str(tmp_path)) is not None
        prefetcher.add(str(tmp_path), None, 0)
        end(prefetcher._worker)
        assert prefetcher.take(str(tmp_path / "gone")) is None
        assert prefetcher.take(str(tmp_path)) is None


def test_a_scan_with_prefetching_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(tmp_path / "photos")
    monkeypatch.setattr("astica_sync.local.scan.scanner._PREFETCH_FROM", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (many.root / "Many/00000.png").write_bytes(PNG + b"other")
    (many.root / "Can/1.png").unlink()
    scan = scan_store(many.layout, many.index, clock=SystemClock(), options=ScanOptions(threads=1))
    assert (scan.hashed, scan.unknown) == (1, Unreadable())
    held = {path for sample in many.index.local_samples(1) for path in sample.paths}
    assert held == {path.relative_to(many.root).as_posix() for path in many.root.rglob("*.png")}
    many.index.close()


def test_many_files_are_hashed_by_other_processes_and_by_this_one_when_those_end(tmp_path: Path) -> None:
    paths = []
    for number in range(40):
        path = tmp_path / f"{number}.png"
        path.write_bytes(PNG + b"%d" % number if number % 7 else b"no image")
        paths.append(str(path))
    paths += [str(tmp_path / "gone.png"), str(tmp_path)]
    expected = SerialWorkers(FileSystem()).hash(paths).result()
    with HashPool(FileSystem(), 2, many=10) as pool:
        pending = [pool.hash(paths) for _ in range(3)]
        assert [each.result() for each in pending] == [expected] * 3
        assert pool._queues
        for queue in pool._queues:
            end(queue._worker)
        pending = [pool.hash(paths) for _ in range(3)]
        assert [each.result() for each in reversed(pending)] == [expected] * 3
        assert [pool.hash(paths).result() for _ in range(3)] == [expected] * 3


def test_the_two_processes_never_wait_for_each_other(tmp_path: Path) -> None:
    """More than two pipes hold: results wait while tasks are still being written."""
    path = tmp_path / f"{'long' * 50}.png"
    path.write_bytes(PNG)
    # Different strings, since marshal writes the same one only once.
    paths = [f"{tmp_path}/{'./' * (number % 50)}{path.name}" for number in range(400)]
    with HashPool(FileSystem(), 1, many=0) as pool:
        pending = [pool.hash(paths) for _ in range(60)]
        assert [len(each.result()) for each in pending] == [400] * 60
