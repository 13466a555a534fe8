"""The records of processes on real servers: expiry, bounds, what other machines may write, and missing rights."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from astica_sync.core.fleet.announcement import KEPT_SECONDS, MOST_CHARACTERS, MOST_KEPT
from astica_sync.remote.fleet.fleet_board import FleetBoard
from astica_sync.remote.shared_budget.budget_server import ServerAway, ServerUnusable, Terms
from astica_sync.secret import Secret
from tests.harness.budget_servers import PASSWORD, QUOTED_PASSWORD, BudgetServerProcess, postgres_server, redis_server

TERMS = Terms(4, 1.0, 0.001, 3.0, "nonce")
START = 2_000_000_000.0


@pytest.fixture(scope="module", params=["redis", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("redis" if request.param == "redis" else "psycopg")
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str) -> Iterator[BudgetServerProcess]:
    with redis_server() if kind == "redis" else postgres_server() as server:
        yield server


class At:
    """A board whose server has the clock ``now``."""

    def __init__(self, kind: str, address: str, name: str) -> None:
        self.now = START
        self.name = name
        self.board: FleetBoard
        if kind == "redis":
            from astica_sync.remote.fleet.redis_board import RedisBoard

            self.board = RedisBoard(Secret(address), server_time=lambda: self.now)
        else:
            from astica_sync.remote.fleet.postgres_board import PostgresBoard

            self.board = PostgresBoard(Secret(address), server_time=lambda: self.now)

    def write(self, who: str, text: str = "{}", gone: str = "") -> None:
        self.board.write(self.name, who, text, gone)

    def read(self) -> list[tuple[object, float]]:
        return [(one.text, float(str(one.seen))) for one in self.board.read(self.name)]


@pytest.fixture
def at(kind: str, server: BudgetServerProcess, request: pytest.FixtureRequest) -> Iterator[At]:
    """A board for a budget of this test alone."""
    made = At(kind, server.address, request.node.name)
    with contextlib.closing(made.board):
        yield made


def raw(server: BudgetServerProcess) -> Any:
    """The server as another machine may use it."""
    if server.address.startswith("redis"):
        import redis

        return redis.Redis(port=server.port, password=PASSWORD)
    import psycopg

    return psycopg.connect(server.address, autocommit=True)


def plant(at: At, server: BudgetServerProcess, who: str, text: str, seen: float) -> None:
    with contextlib.closing(raw(server)) as client:
        if server.address.startswith("redis"):
            client.hset(f"astica-sync:{{{at.name}}}:fleet", who, text)
            client.zadd(f"astica-sync:{{{at.name}}}:fleet-seen", {who: seen})
        else:
            client.execute("INSERT INTO astica_sync.fleet VALUES (%s, %s, %s, %s)", (at.name, who, seen, text))


def stored(at: At, server: BudgetServerProcess) -> list[str]:
    """Who has a record on the server, whether it is read or not."""
    with contextlib.closing(raw(server)) as client:
        if server.address.startswith("redis"):
            return sorted(who.decode() for who in client.hkeys(f"astica-sync:{{{at.name}}}:fleet"))
        rows = client.execute("SELECT who FROM astica_sync.fleet WHERE name = %s", (at.name,)).fetchall()
        return sorted(who for (who,) in rows)


def test_a_record_is_replaced_read_with_its_age_and_removed_with_its_successor(at: At) -> None:
    assert at.read() == []
    at.write("a", '{"n": 1}')
    at.now += 5
    at.write("a", '{"n": 2}')
    at.write("b", '{"n": 3}')
    at.now += 2.5
    assert sorted(at.read(), key=str) == [('{"n": 2}', 2.5), ('{"n": 3}', 2.5)]
    at.write("c", '{"n": 4}', gone="a")
    assert sorted(at.read(), key=str) == [('{"n": 3}', 2.5), ('{"n": 4}', 0.0)]


def test_a_record_expires(at: At) -> None:
    at.write("a")
    at.now += KEPT_SECONDS - 1
    at.write("b")
    assert len(at.read()) == 2
    at.now += 2
    assert len(at.read()) == 1
    at.now += KEPT_SECONDS
    assert at.read() == []
    at.write("c")
    assert len(at.read()) == 1


def test_records_are_bounded_in_number_and_the_newest_stay(at: At, server: BudgetServerProcess) -> None:
    for number in range(MOST_KEPT + 20):
        at.now += 0.001
        at.write(f"w{number}", json.dumps(number))
    found = at.read()
    assert len(found) == MOST_KEPT
    assert {text for text, _ in found} == {str(number) for number in range(20, MOST_KEPT + 20)}
    assert len(stored(at, server)) == MOST_KEPT


def test_records_are_those_of_one_budget(at: At) -> None:
    at.write("a")
    assert at.board.read(f"{at.name}, another") == []


@pytest.mark.parametrize("seen", [START + 1e9, float("inf"), float("-inf"), 0.0])
def test_a_record_from_no_time_that_can_be_is_not_read_and_goes(
    at: At, server: BudgetServerProcess, seen: float
) -> None:
    at.write("a", "[1]")
    plant(at, server, "planted", "[2]", seen)
    assert at.read() == [("[1]", 0.0)]
    at.write("b", "[3]")
    assert stored(at, server) == ["a", "b"]


def test_a_record_that_is_too_long_is_not_read(at: At, server: BudgetServerProcess) -> None:
    at.write("a", "[1]")
    plant(at, server, "planted", "x" * (MOST_CHARACTERS + 1), START)
    assert at.read() == [("[1]", 0.0)]
    at.write("c", "y" * 5000)
    assert max(len(str(text)) for text, _ in at.read()) == MOST_CHARACTERS


@pytest.mark.parametrize("kind", ["redis"], indirect=True, scope="module")
def test_bytes_that_are_no_text_do_not_hide_the_others(server: BudgetServerProcess, at: At) -> None:
    at.write("a", "[1]")
    plant(at, server, "planted", b"\xff\xfe\x00", START)  # type: ignore[arg-type]
    assert at.read() == [("[1]", 0.0)]


@pytest.mark.parametrize("kind", ["redis"], indirect=True, scope="module")
def test_records_of_another_kind_end_in_one_error_and_not_in_the_budget(server: BudgetServerProcess, at: At) -> None:
    with contextlib.closing(raw(server)) as client:
        client.set(f"astica-sync:{{{at.name}}}:fleet-seen", "x")
    with pytest.raises((ServerAway, ServerUnusable)):
        at.read()


def test_how_requests_are_counted_is_not_changed_by_records(kind: str, server: BudgetServerProcess, at: At) -> None:
    if kind == "redis":
        from astica_sync.remote.shared_budget.redis_server import RedisServer as Server
    else:
        from astica_sync.remote.shared_budget.postgres_server import PostgresServer as Server  # type: ignore[assignment]
    with contextlib.closing(Server(Secret(server.address), server_time=lambda: at.now)) as budget:
        budget.call(at.name, TERMS, "look", ["9"])
        before = budget.call(at.name, TERMS, "take", ["m|1.0", "0", "me"])
        at.write("a")
        at.write("b", gone="a")
        after = budget.call(at.name, TERMS, "take", ["m|1.0", "0", "me"])
    assert (before.epoch, before.why, before.status, before.limit) == (
        after.epoch,
        after.why,
        after.status,
        after.limit,
    )


def test_the_rights_of_the_manual_suffice(server: BudgetServerProcess, at: At, kind: str) -> None:
    with contextlib.closing(raw(server)) as client:
        if kind == "redis":
            rights = "on >pw ~astica-sync:* resetchannels -@all +eval +evalsha +info +time +@hash +@sortedset +del"
            client.execute_command("ACL", "SETUSER", "limited", *rights.split())
            address = f"redis://limited:pw@127.0.0.1:{server.port}/0"
        else:
            at.write("a")
            client.execute("CREATE ROLE limited LOGIN PASSWORD 'pw'")
            client.execute("GRANT USAGE ON SCHEMA astica_sync TO limited")
            client.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA astica_sync TO limited")
            address = server.address.replace(f"budget:{QUOTED_PASSWORD}", "limited:pw")
    limited = At(kind, address, at.name)
    with contextlib.closing(limited.board):
        limited.write("b", "[7]")
        assert ("[7]", 0.0) in limited.read()


def test_a_user_without_rights_gets_one_error(server: BudgetServerProcess, at: At, kind: str) -> None:
    if kind == "redis":
        address = server.address.replace(QUOTED_PASSWORD, "wrong")
    else:
        at.write("a")
        with contextlib.closing(raw(server)) as client:
            client.execute("CREATE ROLE unprivileged LOGIN PASSWORD 'pw'")
        address = server.address.replace(f"budget:{QUOTED_PASSWORD}", "unprivileged:pw")
    unprivileged = At(kind, address, at.name)
    with contextlib.closing(unprivileged.board), pytest.raises(ServerUnusable) as error:
        unprivileged.read()
    assert error.value.hint
