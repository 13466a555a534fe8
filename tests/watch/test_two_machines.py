"""Two machines with a watcher each on one model and one budget server, through edits, kills, splits and restarts.

``python -m benchmarks.watch.two_machines`` plays the same for an hour.
"""

import random
from pathlib import Path

import pytest

from tests.harness.budget_servers import postgres_server, redis_server
from tests.harness.fleet_walk import KEPT_ON_DISK, fleet_walk

# Real processes that wait for real limits.
pytestmark = pytest.mark.long

SECONDS = 30.0


@pytest.mark.parametrize("kind", ["redis", "postgresql", "gone"])
def test_each_store_keeps_its_own_through_edits_kills_splits_and_restarts(tmp_path: Path, kind: str) -> None:
    """``gone``: the budget server ends for good half-way, and each machine goes on within its own part of the limit."""
    pytest.importorskip("psycopg" if kind == "postgresql" else "redis")
    rng = random.Random(21)
    server = postgres_server() if kind == "postgresql" else redis_server(*KEPT_ON_DISK)
    with server as process, fleet_walk(tmp_path, process) as walk:
        walk.begin()
        walk.play(rng, SECONDS)
        walk.settle()
        if kind == "gone":
            walk.end_server()
        walk.play(rng, SECONDS, gently=walk.server_is_gone)
        walk.settle()
        walk.check_statuses()
        played = {"kill", "rename class", "cut off from the service", "cut off from the budget server"}
        assert played <= walk.happened.keys()
        assert any(what.startswith("budget server: ") for what in walk.happened)
