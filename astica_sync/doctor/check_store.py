"""The store: whose it is, which model it mirrors, and whether its databases and its backup can be read."""

import contextlib
import os
import sqlite3
from pathlib import Path

from astica_sync.clock import Clock, local_time
from astica_sync.core.model import CONTENT_LENGTH
from astica_sync.doctor.read_database import read_database
from astica_sync.doctor.section import Section
from astica_sync.errors import StoreError
from astica_sync.local.check_state_folder import check_state_folder
from astica_sync.local.db.index import join
from astica_sync.local.layout import Layout
from astica_sync.local.lock import find_writer, is_wanted
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.store_sentinel import check_root, read_sentinel
from astica_sync.mirror.mirror_status import read_record
from astica_sync.open_session import trust_file
from astica_sync.service_address import spelled_address
from astica_sync.shell_quote import quote_path
from astica_sync.store_trust import owners_of

MOST_CHECKED = 500_000_000
"""Bytes of a database above which it is not read as a whole."""
WRITER = "written to by"
"""The fact with the command line of another process; a report of a bug leaves the command out."""
COUNTS = {
    "index.db": {"files": "file", "folders": "folder"},
    "journal.db": {"samples sent": "mark", "events": "history", "samples that failed": "bad"},
}
"""For each database what is counted, by table. ``docs/dev/databases.md`` describes the tables."""


def check_store(layout: Layout, clock: Clock) -> Section:
    """Everything that can be said without a scan and without the service."""
    section = Section("store")
    facts = section.facts
    facts["folder"] = str(layout.root)
    with section.findings_of():
        check_state_folder(layout, owners_of(trust_file(), layout.root))
    if section.findings:
        # What another user has made is not read.
        return section
    with section.findings_of():
        sentinel = read_sentinel(layout)
        facts["model"] = sentinel.model_id
        facts["service"] = spelled_address(sentinel.train_url)
        facts["made"] = local_time(sentinel.created_at)
        check_root(layout)
    with section.findings_of():
        facts[WRITER] = find_writer(layout) or "no process"
        facts["another command waits for it"] = is_wanted(layout)
    for name, tables in COUNTS.items():
        _check_database(section, layout.state / name, tables)
    for name, file in (("last view", layout.last_view), ("last status of a watcher", layout.watch_state)):
        with contextlib.suppress(OSError):
            facts[name] = local_time(file.stat().st_mtime)
    facts["backup"] = layout.backup.is_dir()
    _check_mirror(section, layout)
    damaged = sorted(one.name for one in layout.state.glob("*.damaged*"))
    if damaged:
        section.note(
            f"{damaged[0]} was set aside since it was damaged; a new one took its place",
            f"see what the backup has: astica-sync backup verify --store {quote_path(str(layout.root))}",
        )
    if facts.get("samples that failed"):
        facts["samples that failed"] = _count_failed(layout)
    if facts.get("samples that failed"):
        section.note(
            f"samples that failed and are not tried again by themselves: {facts['samples that failed']}",
            f"see why: astica-sync status --store {quote_path(str(layout.root))}",
        )
    return section


def _count_failed(layout: Layout) -> int:
    """The samples that failed and that a push would have to send: one of their files is there and is not left out, as
    the last scan and the ignore file of today have it."""
    try:
        ignore = Ignore.load(layout.root)
    except StoreError:
        # The next command names what is wrong with it.
        ignore = Ignore()
    with contextlib.ExitStack() as stack:
        failed = stack.enter_context(read_database(layout.journal_db)).execute("SELECT uid, class, path FROM bad")
        with contextlib.suppress(sqlite3.Error):
            index = stack.enter_context(read_database(layout.index_db))
            index.execute("SELECT 1 FROM file")
            return sum(
                any(_is_in_store(layout, path, ignore) for path in _paths_of(index, uid, title))
                for uid, title, _ in failed
            )
        # Before the next scan makes the index again, only the name that it had when it failed is known.
        return sum(_is_in_store(layout, os.fsdecode(path), ignore) for _, _, path in failed)


def _paths_of(index: sqlite3.Connection, uid: str, title: str) -> list[str]:
    rows = index.execute(
        "SELECT folder.path, file.name FROM file JOIN folder ON folder.id = file.folder_id"
        " WHERE file.content = ? AND folder.class = ?",
        (uid[:CONTENT_LENGTH], title),
    )
    return [join(folder, name) for folder, name in rows]


def _is_in_store(layout: Layout, path: str, ignore: Ignore) -> bool:
    return os.path.lexists(layout.root / path) and not ignore.skips_below(path)


def _check_mirror(section: Section, layout: Layout) -> None:
    record = read_record(layout)
    section.facts["mirror"] = None if record is None else record.place
    if record is None:
        return
    section.facts["last whole copy"] = None if record.done_at is None else local_time(record.done_at)
    again = f"astica-sync backup mirror {quote_path(record.place)} --store {quote_path(str(layout.root))}"
    if record.error:
        section.note(f"the last copy to the mirror failed: {record.error}", f"try again: {again}")
    elif record.damaged:
        missing = "1 object is" if record.damaged == 1 else f"{record.damaged} objects are"
        section.note(f"{missing} not in the mirror", f"see which: {again} --verify all")


def _check_database(section: Section, file: Path, tables: dict[str, str]) -> None:
    """Reads it without changing it: commands set a damaged one aside."""
    if not file.exists():
        section.facts[file.name] = None
        return
    try:
        with read_database(file) as opened:
            for name, table in tables.items():
                section.facts[name] = opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            section.facts[file.name] = f"format {opened.execute('PRAGMA user_version').fetchone()[0]}"
            if file.stat().st_size > MOST_CHECKED:
                return
            found = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                section.problem(
                    f"{file.name} is damaged: {found}", "the next command sets it aside and makes a new one"
                )
    except (sqlite3.Error, OSError) as error:
        section.problem(f"{file} cannot be read: {error}", "the next command says what to do; nothing is removed by it")
