"""What makes the scan of many files fast changes nothing in its result: it is compared with the plain loop.

The same store is scanned by two indexes after each change: one by the plain loop (one thread, no digests), and one with
worker processes, prefetching and digests.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync.clock import SystemClock
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.scan import scanner
from astica_sync.local.scan.parallel import hash_pool
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store

PNG = b"\x89PNG\r\n\x1a\n"
# As if every file had been read later: none is racy any more, so that rows and digests are relied on.
LATER = "UPDATE file SET checked_ns = checked_ns + 9000000000"
PLAIN = ScanOptions(threads=0, digests=False)
FAST = ScanOptions(threads=2)


@pytest.fixture(autouse=True)
def everything_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started for any number of files, on any machine."""
    monkeypatch.setattr(scanner, "_PREFETCH_FROM", 0)
    monkeypatch.setattr(hash_pool.HashPool.__init__, "__defaults__", (5,))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


class Pair:
    """One store, and the two indexes that scan it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "store"
        self.root.mkdir()
        self.layout = create_store(self.root, model_id=1, train_url="http://127.0.0.1:1", now=0.0)
        self.plain, self.fast = Index(root / "plain.db"), Index(self.layout.index_db)

    def write(self, path: str, data: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def scan(self) -> tuple[Scan, Scan]:
        """Scans with both, and compares every row but when it was read, and the results."""
        plain, fast = (
            scan_store(self.layout, index, clock=SystemClock(), options=options)
            for index, options in ((self.plain, PLAIN), (self.fast, FAST))
        )
        assert rows(self.fast) == rows(self.plain)
        assert list(self.fast.local_samples(1)) == list(self.plain.local_samples(1))
        assert list(self.fast.problems()) == list(self.plain.problems())
        assert self.fast.totals() == self.plain.totals()
        for field in ("files", "unknown", "classes", "changing", "ignore_changed", "ignore_digest", "fresh", "lost"):
            assert getattr(fast, field) == getattr(plain, field), field
        return plain, fast


def rows(index: Index) -> dict[str, list[Any]]:
    """The tables of the index, without the numbers of folders, the digests and the times of reading."""
    tables: dict[str, list[Any]] = {}

    def read(connection: Any) -> None:
        tables["folder"] = connection.execute("SELECT path, class, mounted FROM folder ORDER BY path").fetchall()
        tables["file"] = connection.execute(
            "SELECT path, name, size, mtime_ns, ctime_ns, inode, content, reason"
            " FROM file JOIN folder ON folder.id = folder_id ORDER BY path, name"
        ).fetchall()

    index.write(read)
    return tables


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.plain.close()
    made.fast.close()


def test_the_index_is_the_same_after_any_change(pair: Pair) -> None:
    for number in range(150):
        pair.write(f"Can/{number % 7}/{number}.png", PNG + b"%d" % (number % 90))
    pair.write("Bottle/page.html", b"<html>")
    pair.write("loose.png", PNG)
    plain, fast = pair.scan()
    assert plain.hashed == fast.hashed == 151
    assert len(pair.plain.folders()) == 10

    pair.write("Can/1/1.png", PNG + b"another")
    (pair.root / "Can/2/2.png").unlink()
    (pair.root / "Can/3").rename(pair.root / "Bottle/three")
    (pair.root / "Can/4/link.png").symlink_to("4.png")
    (pair.root / "Can/5/nested/.astica-sync").mkdir(parents=True)
    pair.write("Jar/" + os.fsdecode(b"\xff.png"), PNG + b"jar")
    pair.scan()

    pair.write(".astica-ignore", b"*1.png\n")
    pair.scan()
    (pair.root / ".astica-ignore").unlink()
    (pair.root / "Can/4/link.png").unlink()
    pair.scan()


def test_the_index_is_the_same_after_many_random_changes(pair: Pair) -> None:
    dice = random.Random(7)
    for turn in range(6):
        for _ in range(dice.randrange(1, 30)):
            path = f"{dice.choice('ABC')}/{dice.choice(['', 'x/', 'x/y/', 'z/'])}{dice.randrange(12)}.png"
            data = dice.choice([PNG + b"%d" % dice.randrange(30), b"text", b""])
            if dice.random() < 0.3:
                (pair.root / path).unlink(missing_ok=True)
            else:
                pair.write(path, data)
        if dice.random() < 0.3:
            for index in (pair.plain, pair.fast):
                # Later than it was: no file is racy any more, so digests and rows are relied on.
                index.write(
                    lambda connection: connection.execute("UPDATE file SET checked_ns = checked_ns + 9000000000")
                )
        pair.scan()
        assert turn or pair.plain.totals()[1] > 0
