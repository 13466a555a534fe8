"""Opens the board on the server that the settings name, with the library that this needs."""

from astica_sync.remote.fleet.fleet_board import FleetBoard
from astica_sync.secret import SecretAddress


def open_board(address: SecretAddress, answer_s: float) -> FleetBoard:
    """The board on a budget server.

    Raises:
        ImportError: the library for it is missing.
        ServerUnusable: the address is none.
    """
    if address.reveal().lower().startswith("redis"):
        from astica_sync.remote.fleet.redis_board import RedisBoard

        return RedisBoard(address, answer_s=answer_s)
    from astica_sync.remote.fleet.postgres_board import PostgresBoard

    return PostgresBoard(address, answer_s=answer_s)
