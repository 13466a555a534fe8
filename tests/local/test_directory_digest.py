"""A folder in which nothing changed is known by its seal; whatever changes breaks it."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.core.model import Unreadable
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import File, Index, Known
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.scan.directory_digest import BROKEN, BUCKET_FROM, BUCKETS, SEAL_BYTES, list_directory
from astica_sync.local.scan.parallel.hash_pool import HashPool
from astica_sync.local.scan.parallel.prefetch import Prefetcher
from astica_sync.local.scan.scanner import Scan, scan_store

PNG = b"\x89PNG\r\n\x1a\n"


class CountingIndex(Index):
    """Notes each folder whose rows were read."""

    def known(self, folder_id: int, broken: Sequence[int] = (), buckets: int = 0) -> dict[bytes, Known]:
        self.asked += 1
        found = super().known(folder_id, broken, buckets)
        self.rows += len(found)
        return found

    asked = 0
    rows = 0


class Sealed:
    """A store with one class of three files and a folder below it, scanned until both are sealed."""

    def __init__(self, root: Path) -> None:
        for name in ("Can/1.png", "Can/2.png", "Can/old/3.png"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(PNG + name.encode())
        self.root = root
        self.layout = create_store(root, model_id=1, train_url="http://127.0.0.1:1", now=time.time())
        self.index = CountingIndex(self.layout.index_db)
        # Settled without waiting: what was read is as if it had been read much later than it changed.
        self.scan()
        self.settle()
        self.scan()

    def settle(self) -> None:
        self.index.write(lambda connection: connection.execute("UPDATE file SET checked_ns = checked_ns + 60000000000"))

    def scan(self) -> Scan:
        self.index.asked = self.index.rows = 0
        return scan_store(self.layout, self.index, clock=SystemClock(), threads=0)


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Sealed]:
    found = Sealed(tmp_path / "photos")
    yield found
    found.index.close()


def test_no_row_is_read_of_a_folder_in_which_nothing_changed(sealed: Sealed) -> None:
    scan = sealed.scan()
    assert (scan.files, scan.hashed, sealed.index.asked) == (3, 0, 1), "the store's own folder alone"


def test_a_changed_a_new_and_a_missing_file_break_the_seal(sealed: Sealed) -> None:
    (sealed.root / "Can/1.png").write_bytes(PNG + b"other")
    (sealed.root / "Can/new.png").write_bytes(PNG + b"new")
    (sealed.root / "Can/old/3.png").unlink()
    assert sealed.scan().hashed == 2
    assert [path for sample in sealed.index.local_samples(1) for path in sample.paths if "3" in path] == []


def test_a_file_of_the_same_size_with_its_old_time_breaks_the_seal(sealed: Sealed) -> None:
    path = sealed.root / "Can/1.png"
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sealed.scan().hashed == 1


def test_a_file_that_is_to_be_read_again_breaks_the_seal(sealed: Sealed) -> None:
    sealed.index.forget(["Can/1.png"])
    assert sealed.scan().hashed == 1


def test_a_file_that_is_not_settled_leaves_its_folder_unsealed(sealed: Sealed) -> None:
    (sealed.root / "Can/1.png").write_bytes(PNG + b"other")
    sealed.scan()
    sealed.index.write(lambda connection: connection.execute("UPDATE file SET checked_ns = ctime_ns"))
    assert sealed.scan().hashed == 2
    seals = {folder.path: folder.seal for folder in sealed.index.folders().values()}
    assert (seals[b"Can"], seals[b"Can/old"] == BROKEN) == (BROKEN, False)


def test_a_forced_scan_believes_no_seal(sealed: Sealed) -> None:
    scan = scan_store(sealed.layout, sealed.index, clock=SystemClock(), threads=0, forced=True)
    assert scan.hashed == 3


def test_the_ignore_file_breaks_the_seal(sealed: Sealed) -> None:
    (sealed.root / ".astica-ignore").write_text("1.png\n")
    sealed.scan()
    assert "Can/1.png" not in {path for sample in sealed.index.local_samples(1) for path in sample.paths}


def test_layouts_of_earlier_versions_are_brought_up_to_date(tmp_path: Path) -> None:
    found = Sealed(tmp_path / "photos")
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


class Many(Sealed):
    """So many files in one folder that they fall into buckets."""

    def __init__(self, root: Path) -> None:
        (root / "Many").mkdir(parents=True)
        for number in range(BUCKET_FROM + 20):
            (root / f"Many/{number:05}.png").write_bytes(PNG + b"%d" % number)
        super().__init__(root)


def test_of_a_large_folder_only_the_rows_around_a_change_are_read(tmp_path: Path) -> None:
    many = Many(tmp_path / "photos")
    assert (many.scan().hashed, many.index.rows) == (0, 0)
    (many.root / "Many/00000.png").write_bytes(PNG + b"other")
    (many.root / "Many/00001.png").unlink()
    (many.root / "Many/new.png").write_bytes(PNG + b"new")
    assert many.scan().hashed == 2
    assert 2 <= many.index.rows <= 5 * (1 + BUCKET_FROM // BUCKETS)
    held = {path for sample in many.index.local_samples(1) for path in sample.paths}
    assert held == {path.relative_to(many.root).as_posix() for path in many.root.rglob("*.png")}
    many.settle()
    many.scan()
    assert (many.scan().hashed, many.index.rows) == (0, 0)
    many.index.close()


def test_a_folder_that_loses_its_last_oddity_is_compared_whole(sealed: Sealed) -> None:
    (sealed.root / "Can/link").symlink_to("1.png")
    sealed.scan()
    (sealed.root / "Can/1.png").unlink()
    sealed.scan()
    (sealed.root / "Can/link").unlink()
    assert sealed.scan().hashed == 0
    assert list(sealed.index.problems()) == []
    assert {path for sample in sealed.index.local_samples(1) for path in sample.paths} == {"Can/2.png", "Can/old/3.png"}


def test_a_folder_below_that_could_not_be_read_is_looked_at_again(sealed: Sealed) -> None:
    problem = File(1, b"old", 0, 0, 0, 0, 0, None, "cannot be read")
    folder = sealed.index.folders()[b"Can"]
    sealed.index.change([], [problem._replace(folder_id=folder.folder_id)], [])
    sealed.scan()
    assert list(sealed.index.problems()) == []


def test_another_process_that_lists_sees_the_same(tmp_path: Path) -> None:
    many = Many(tmp_path / "photos")
    (many.root / "Many/sub").mkdir()
    (many.root / "Many/link").symlink_to("00000.png")
    (many.root / "Many" / os.fsdecode(b"\xff.png")).write_bytes(PNG)
    path = str(many.root / "Many")
    with Prefetcher() as beside:
        for seals, seed in ((None, 0), (bytes(BUCKETS * SEAL_BYTES), 7)):
            beside.ahead.append((path, seals, seed))
            beside.feed()
            assert beside.take(path) == list_directory(FileSystem(), path, seals, seed)
    many.index.close()


def test_what_the_other_process_cannot_answer_is_left_to_this_one(tmp_path: Path) -> None:
    with Prefetcher() as beside:
        beside.ahead.extend([(str(tmp_path / "gone"), None, 0), (str(tmp_path), None, 0)])
        beside.feed()
        assert beside.take(str(tmp_path / "gone")) is None
        assert beside.take(str(tmp_path)) is not None
        beside.ahead.append((str(tmp_path), None, 0))
        beside._hand._process.kill()
        beside._hand._process.wait()
        assert beside.take(str(tmp_path / "gone")) is None
        assert beside.take(str(tmp_path)) is None


def test_a_scan_with_another_process_beside_it_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(tmp_path / "photos")
    monkeypatch.setattr("astica_sync.local.scan.scanner._BESIDE_FROM", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (many.root / "Many/00000.png").write_bytes(PNG + b"other")
    (many.root / "Can/1.png").unlink()
    scan = scan_store(many.layout, many.index, clock=SystemClock(), threads=1)
    assert (scan.hashed, scan.unknown) == (1, Unreadable())
    held = {path for sample in many.index.local_samples(1) for path in sample.paths}
    assert held == {path.relative_to(many.root).as_posix() for path in many.root.rglob("*.png")}
    many.index.close()


def test_many_files_are_read_by_other_processes_and_what_they_cannot_answer_by_this_one(tmp_path: Path) -> None:
    paths = []
    for number in range(40):
        path = tmp_path / f"{number}.png"
        path.write_bytes(PNG + b"%d" % number if number % 7 else b"no image")
        paths.append(str(path))
    paths += [str(tmp_path / "gone.png"), str(tmp_path)]
    with HashPool(FileSystem(), 0) as here, HashPool(FileSystem(), 2, many=10) as there:
        expected = here.read(paths).result()
        handed = [there.read(paths) for _ in range(3)]
        assert [each.result() for each in handed] == [expected] * 3
        assert there._desks
        for desk in there._desks:
            assert desk._hand is not None
            desk._hand._process.kill()
            desk._hand._process.wait()
        handed = [there.read(paths) for _ in range(3)]
        assert [each.result() for each in reversed(handed)] == [expected] * 3
        assert [there.read(paths).result() for _ in range(3)] == [expected] * 3


def test_many_tasks_at_once_never_wait_for_each_other(tmp_path: Path) -> None:
    """More than two pipes hold: the answers wait while questions are still being written."""
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    paths = [str(path)] * 2000
    with HashPool(FileSystem(), 1, many=0) as readers:
        handed = [readers.read(paths) for _ in range(40)]
        assert [len(each.result()) for each in handed] == [2000] * 40
