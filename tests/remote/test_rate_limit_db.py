"""The database of the rate limiter: waiting threads share one transaction."""

import os
import sqlite3
import threading
from pathlib import Path

from astica_sync.remote.rate_limit_db import RateLimitDb


def test_waiting_tasks_share_a_transaction_and_an_error_affects_one_task(tmp_path: Path) -> None:
    database = RateLimitDb(tmp_path / "budget.db", lambda: 0.0)
    inside, go_on = threading.Event(), threading.Event()
    ended: dict[str, object] = {}

    def hold(rows: sqlite3.Connection) -> None:
        inside.set()
        assert go_on.wait(60)

    def add(rows: sqlite3.Connection) -> int:
        return rows.execute("INSERT INTO loss VALUES (1.0)").rowcount

    def fail(rows: sqlite3.Connection) -> None:
        add(rows)
        raise ValueError("not this one")

    def run(name: str, work) -> None:
        try:
            ended[name] = database.run(work)
        except ValueError as error:
            ended[name] = str(error)

    holder = threading.Thread(target=run, args=("holder", hold))
    holder.start()
    assert inside.wait(60)
    others = [threading.Thread(target=run, args=(name, work)) for name, work in (("a", add), ("b", fail), ("c", add))]
    for thread in others:
        thread.start()
    while len(database._waiting) < len(others):
        os.sched_yield()
    go_on.set()
    for thread in [holder, *others]:
        thread.join(60)
    assert ended == {"holder": None, "a": 1, "b": "not this one", "c": 1}
    assert database.run(lambda rows: rows.execute("SELECT count(*) FROM loss").fetchone()) == (2,)
    database.close()
