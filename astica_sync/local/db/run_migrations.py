"""Schema migrations of the databases in a store, run and recorded by sqlite-utils.

Each file records in ``_sqlite_migrations`` which steps it has had; ``PRAGMA user_version`` is their number, so that
opening a file that is up to date loads nothing.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from astica_sync.sqlite import Schema

if TYPE_CHECKING:
    from sqlite_utils import Database

Step = Callable[["Database"], None]


def make_schema(name: str, steps: Sequence[Step], *, when_newer: str, when_damaged: str) -> Schema:
    """The schema that these steps make, in order. A step that has been released is never changed.

    ``name``, ``when_newer`` and ``when_damaged`` are those of ``Schema``.
    """

    def upgrade(connection: sqlite3.Connection) -> None:
        from sqlite_utils import Migrations

        migrations = Migrations("astica-sync")
        for number, step in enumerate(steps, 1):
            migrations(name=f"{number:03} {step.__name__}")(step)
        migrations.apply(open_with_sqlite_utils(connection))

    return Schema(name, len(steps), upgrade, when_newer, when_damaged)


def open_with_sqlite_utils(connection: sqlite3.Connection) -> "Database":
    """The same connection for sqlite-utils. Its import takes a tenth of a second: not for what every command does."""
    from sqlite_utils import Database

    return Database(connection, recursive_triggers=False, execute_plugins=False)
