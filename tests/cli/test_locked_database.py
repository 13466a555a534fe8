"""A database that another process has locked: what waits for it says so, and names that process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.cli.render.live.database_locks import LONG_AFTER, DatabaseLocks
from astica_sync.cli.render.live.disk_probe import PROBE_EVERY, DiskProbe
from astica_sync.local.db.journal import Journal
from astica_sync.sqlite import Locked, open_database
from astica_sync.system.processes.lock_holder import LOCKS
from tests.harness.shell import fill

pytestmark = pytest.mark.skipif(not LOCKS.exists(), reason="/proc says which process has a lock")

LOCK = """
import sqlite3, sys
opened = sqlite3.connect(sys.argv[1], isolation_level=None)
opened.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a journal, and a folder in it."""
    store = fill(tmp_path / "store", {"Can": 1})
    (store / ".astica-sync").mkdir()
    Journal(store / ".astica-sync" / "journal.db", "a run").close()
    return store / "Can"


@pytest.fixture
def locker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has locked the journal."""
    words = [sys.executable, "-c", LOCK, str(folder.parent / ".astica-sync" / "journal.db")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.stdin.close()


def test_a_lock_that_lasts_is_named_with_its_process(folder: Path, locker: "subprocess.Popen[str]") -> None:
    now = [100.0]
    locks = DatabaseLocks(folder, ticks=lambda: now[0])
    for shown in ("", "waiting for journal.db: process "):
        locks.look()
        assert locks.text().startswith(shown) and bool(locks.text()) == bool(shown)
        now[0] += LONG_AFTER
    assert f"process {locker.pid} (" in locks.text() and locks.text().endswith(" has locked it, 2 s")
    assert LONG_AFTER + 2 * PROBE_EVERY <= 2.0
    assert DiskProbe(folder, locks=locks).text() == locks.text()
    locker.communicate()
    locks.look()
    assert locks.text() == ""


def test_the_error_names_the_process(folder: Path, locker: "subprocess.Popen[str]") -> None:
    from astica_sync.local.db import journal

    with pytest.raises(Locked, match=rf"journal\.db is locked by process {locker.pid} \("):
        open_database(folder.parent / ".astica-sync" / "journal.db", journal.SCHEMA, busy_s=0.0, durable=True)


def test_outside_of_a_store_nothing_is_locked(tmp_path: Path) -> None:
    locks = DatabaseLocks(tmp_path)
    locks.look()
    assert locks.text() == ""
