"""Reads the records of the processes that share a budget server, for a command."""

import contextlib

from astica_sync.core.fleet.fleet import Fleet
from astica_sync.errors import ConfigError, DatabaseError
from astica_sync.remote.fleet.fleet_board import fleet_on
from astica_sync.remote.fleet.open_board import open_board
from astica_sync.remote.shared_budget.budget_server import ServerAway, ServerUnusable
from astica_sync.secret import SecretAddress


def read_fleet(address: SecretAddress, name: str, answer_s: float) -> Fleet:
    """The processes of the budget called ``name``.

    Raises:
        ConfigError: the address or the server cannot be used.
        DatabaseError: the server does not answer.
    """
    try:
        with contextlib.closing(open_board(address, answer_s)) as board:
            return fleet_on(board.read(name))
    except ServerUnusable as error:
        raise ConfigError(f"the machines on {address} cannot be listed: {error}", error.hint) from None
    except ServerAway as error:
        raise DatabaseError(f"the request budget {address} does not answer ({error})", "Start it.") from None
