"""A folder in which nothing changed is known by its seal; whatever changes breaks it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.store.index import Index, Known
from astica_sync.store.layout import Layout, create_store
from astica_sync.store.scan import Scan, scan_store

PNG = b"\x89PNG\r\n\x1a\n"


class CountingIndex(Index):
    """Notes each folder whose rows were read."""

    def known(self, folder_id: int) -> dict[bytes, Known]:
        self.asked += 1
        return super().known(folder_id)

    asked = 0


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
        self.index.asked = 0
        return scan_store(self.layout, self.index, clock=SystemClock(), threads=0)


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Sealed]:
    found = Sealed(tmp_path / "photos")
    yield found
    found.index.close()


def test_no_row_is_read_of_a_folder_in_which_nothing_changed(sealed: Sealed) -> None:
    scan = sealed.scan()
    assert (scan.files, scan.hashed, sealed.index.asked) == (3, 0, 1), "the store's own folder alone"
    assert scan.empty_classes == frozenset()


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
    assert {folder.path for folder in sealed.index.folders().values() if folder.seal} == {b"Can/old"}


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
                "ALTER TABLE folder DROP COLUMN filled",
                "DELETE FROM _sqlite_migrations WHERE name LIKE '%_seals'",
                "PRAGMA user_version = 1",
            )
        ]
    )
    found.index.close()
    with Index(Layout(found.root).index_db) as index:
        assert len(list(index.local_samples(1))) == 3
