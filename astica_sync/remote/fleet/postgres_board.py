"""The board on PostgreSQL: an unlogged table, on the server's clock."""

import json
from collections.abc import Callable

from astica_sync.core.fleet.announcement import KEPT_SECONDS, MOST_CHARACTERS, MOST_KEPT
from astica_sync.remote.fleet.fleet_board import MOST_NAMED, BoardRecord
from astica_sync.remote.shared_budget.budget_server import ANSWER_SECONDS, ServerUnusable
from astica_sync.remote.shared_budget.postgres_server import PostgresServer
from astica_sync.secret import Secret

_WRITE = "SELECT astica_sync.fleet_write_1($1, $2::float8, $3::float8, $4::int, $5, $6, $7)"
_READ = "SELECT astica_sync.fleet_read_1($1, $2::float8, $3::float8, $4::int, $5::int)"

_SCRIPT = """
CREATE SCHEMA IF NOT EXISTS astica_sync;
CREATE UNLOGGED TABLE IF NOT EXISTS astica_sync.fleet (
  name text NOT NULL, who text NOT NULL, seen float8 NOT NULL, record text NOT NULL, PRIMARY KEY (name, who)
);

CREATE OR REPLACE FUNCTION astica_sync.fleet_write_1(
  budget text, given float8, kept float8, most int, who_ text, text_ text, gone text
) RETURNS text LANGUAGE plpgsql SET search_path = astica_sync AS $$
DECLARE moment float8 := coalesce(given, extract(epoch FROM clock_timestamp()));
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(budget, 7302));
  DELETE FROM fleet WHERE name = budget AND (who = gone OR NOT seen BETWEEN moment - kept AND moment);
  INSERT INTO fleet VALUES (budget, who_, moment, text_)
    ON CONFLICT (name, who) DO UPDATE SET seen = excluded.seen, record = excluded.record;
  DELETE FROM fleet WHERE name = budget AND who IN (
    SELECT who FROM fleet WHERE name = budget ORDER BY seen DESC OFFSET most);
  RETURN '';
END $$;

CREATE OR REPLACE FUNCTION astica_sync.fleet_read_1(
  budget text, given float8, kept float8, most int, longest int
) RETURNS text LANGUAGE plpgsql SET search_path = astica_sync AS $$
DECLARE moment float8 := coalesce(given, extract(epoch FROM clock_timestamp()));
BEGIN
  RETURN (SELECT coalesce(json_agg(json_build_array(record, moment - seen)), '[]')::text FROM (
    SELECT record, seen FROM fleet
      WHERE name = budget AND seen BETWEEN moment - kept AND moment AND length(record) <= longest
      ORDER BY seen DESC LIMIT most) AS newest);
END $$;
"""


class PostgresBoard:
    """A ``FleetBoard``. ``server_time`` takes the place of the server's clock in tests."""

    def __init__(
        self, address: Secret, *, answer_s: float = ANSWER_SECONDS, server_time: Callable[[], float] | None = None
    ) -> None:
        self._server = PostgresServer(address, answer_s=answer_s)
        self._server_time = server_time

    def write(self, name: str, who: str, text: str, gone: str = "") -> None:
        self._server.ask(_WRITE, [*self._first(name), who[:MOST_NAMED], text[:MOST_CHARACTERS], gone], _SCRIPT)

    def read(self, name: str) -> list[BoardRecord]:
        answer = self._server.ask(_READ, [*self._first(name), str(MOST_CHARACTERS)], _SCRIPT)
        try:
            return [BoardRecord(text, seen) for text, seen in json.loads(answer)]
        except (TypeError, ValueError, RecursionError):
            raise ServerUnusable("its answer is not the expected one", "check the address") from None

    def _first(self, name: str) -> list[str | None]:
        now = None if self._server_time is None else f"{self._server_time():.6f}"
        return [name, now, str(KEPT_SECONDS), str(MOST_KEPT)]

    def close(self) -> None:
        self._server.close()
