"""One Redis and one PostgreSQL for all tests here that do not stop their server."""

from collections.abc import Iterator

import pytest

from tests.harness.budget_servers import BudgetServerProcess, postgres_server, redis_server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[BudgetServerProcess]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[BudgetServerProcess]:
    with postgres_server() as server:
        yield server
