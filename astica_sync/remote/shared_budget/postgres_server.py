"""The request budget on PostgreSQL."""

import fcntl
import re
import select
import sys
import termios
import time
from collections.abc import Callable

import psycopg
from psycopg import pq

from astica_sync.remote.shared_budget.budget_server import (
    ANSWER_SECONDS,
    MOST_BYTES,
    POLL_SECONDS,
    Reply,
    ServerAway,
    ServerUnusable,
    Terms,
    parse_reply,
)
from astica_sync.remote.shared_budget.postgres_script import CALL, SCRIPT
from astica_sync.secret import Secret

_NOT_POSTGRES = (
    "check the address: it must be that of a PostgreSQL server, postgresql://USER:PASSWORD@HOST:5432/DATABASE"
)
_RIGHTS = (
    "the user must be able to make the schema astica_sync there: GRANT CREATE ON DATABASE … TO …, or let the owner of"
    " the database run astica-sync with it once, then GRANT what is in the schema"
)
_STATE = re.compile(r"[0-9A-Z]{5}", re.ASCII)
_STATUS_OF_ANSWERS = {
    pq.ExecStatus.TUPLES_OK,
    pq.ExecStatus.COMMAND_OK,
    pq.ExecStatus.EMPTY_QUERY,
    pq.ExecStatus.FATAL_ERROR,
}
_MISSING = {"3F000", "42883", "42P01"}
"""No such schema, function or table."""


class PostgresServer:
    """A ``BudgetServer``. ``server_time`` takes the place of the server's clock in tests."""

    def __init__(
        self, address: Secret, *, answer_s: float = ANSWER_SECONDS, server_time: Callable[[], float] | None = None
    ) -> None:
        self._address = address
        self._answer_s = answer_s
        self._server_time = server_time
        self._connection: psycopg.Connection[object] | None = None

    def call(self, name: str, terms: Terms, operation: str, arguments: list[str]) -> Reply:
        values = [
            name,
            operation,
            None if self._server_time is None else f"{self._server_time():.6f}",
            terms.nonce,
            str(terms.limit),
            str(terms.window),
            str(terms.margin),
            str(terms.loss_rest),
            str(POLL_SECONDS),
            terms.distrusted,
            terms.epoch,
            _array([f"{proof.age:.6f}" for proof in terms.proofs]),
            _array([f"{proof.at:.6f}" for proof in terms.proofs]),
            _array(arguments),
        ]
        answer = self.ask(CALL, values, SCRIPT)
        try:
            return parse_reply(_elements(answer.decode()))
        except ValueError:
            raise ServerUnusable("its answer is not the expected one", _NOT_POSTGRES) from None

    def ask(self, sql: str, values: list[str | None], script: str) -> bytes:
        """The one value that a query returns. ``script`` makes what it needs, where that is missing.

        Raises:
            ServerAway: it may work later.
            ServerUnusable: it will not.
        """
        try:
            try:
                return self._query(sql, values)
            except _Refused as error:
                if error.state not in _MISSING:
                    raise
                self._create(script)
                return self._query(sql, values)
        except _Refused as error:
            raise _translated(error) from None
        except psycopg.Error as error:
            self.close()
            raise _no_connection(error, self._address) from None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> "psycopg.Connection[object]":
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._address.reveal(),
                autocommit=True,
                # libpq takes no less.
                connect_timeout=max(2, round(self._answer_s)),
                application_name="astica-sync",
                keepalives=1,
                keepalives_idle=30,
            )
        return self._connection

    def _create(self, script: str) -> None:
        """All statements are one transaction, which one client at a time runs."""
        self._execute(f"SELECT pg_advisory_xact_lock(7301);{script}")

    def _query(self, sql: str, values: list[str | None]) -> bytes:
        pgconn = self._connect().pgconn
        pgconn.send_query_params(sql.encode(), [None if value is None else value.encode() for value in values])
        result = self._result(pgconn)
        return result.get_value(0, 0) or b""

    def _execute(self, sql: str) -> None:
        pgconn = self._connect().pgconn
        pgconn.send_query(sql.encode())
        self._result(pgconn)

    def _result(self, pgconn: "pq.abc.PGconn") -> "pq.abc.PGresult":
        """Waits for the answer, but not for ever: a server that hangs keeps its connections open, and one that sends
        without end keeps each wait short. What is not an answer to a query is a failure."""
        deadline = time.monotonic() + self._answer_s
        received = 0
        last: pq.abc.PGresult | None = None
        while True:
            unsent = pgconn.flush()
            while pgconn.is_busy() or unsent:
                left = deadline - time.monotonic()
                readable, writable, _ = select.select(
                    [pgconn.socket], [pgconn.socket] if unsent else [], [], max(0.0, left)
                )
                if left <= 0 or not (readable or writable):
                    self.close()
                    raise ServerAway("no answer in time")
                if readable:
                    received += _waiting_bytes(pgconn.socket)
                    pgconn.consume_input()
                if received > MOST_BYTES:
                    self.close()
                    raise ServerUnusable("its answer is too long", _NOT_POSTGRES)
                unsent = pgconn.flush()
            result = pgconn.get_result()
            if result is None:
                break
            if result.status not in _STATUS_OF_ANSWERS or time.monotonic() > deadline:
                self.close()
                raise ServerUnusable("its answer is not the expected one", _NOT_POSTGRES)
            if last is None or last.status != pq.ExecStatus.FATAL_ERROR:
                last = result
        if last is None:
            self.close()
            raise ServerAway("connection closed")
        if last.status == pq.ExecStatus.FATAL_ERROR:
            state = (last.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode("ascii", "replace")
            if pgconn.status != pq.ConnStatus.OK:
                self.close()
            raise _Refused(state)
        return last


def _waiting_bytes(socket: int) -> int:
    """How many bytes have arrived and are not read yet."""
    return int.from_bytes(fcntl.ioctl(socket, termios.FIONREAD, bytes(4)), sys.byteorder)


class _Refused(Exception):
    """The server answered with an error; ``state`` is its SQLSTATE."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


_AWAY_STATES = {
    "25006": "it is a standby, which takes no writes",
    "53100": "its disk is full",
    "53200": "its memory is full",
    "53300": "it has too many connections",
    "57014": "no answer in time",
    "57P01": "it is shutting down",
    "57P02": "it has crashed",
    "57P03": "it is starting or shutting down",
}


def _translated(error: _Refused) -> ServerAway | ServerUnusable:
    if error.state == "42501":
        return ServerUnusable("the user may not use the schema astica_sync", _RIGHTS)
    if error.state in _MISSING:
        return ServerUnusable("the schema astica_sync cannot be made", _RIGHTS)
    known = error.state if _STATE.fullmatch(error.state) else "unknown"
    return ServerAway(_AWAY_STATES.get(error.state, f"it answered with error {known}"))


_UNUSABLE_TEXTS = (
    (r"password authentication failed|authentication failed|no password supplied|role .* does not exist", "access"),
    (r"database .* does not exist", "database"),
    (r"no pg_hba\.conf entry|certificate|SSL error", "rejected"),
    (r"expected authentication request|invalid response to SSL|server does not support SSL|received invalid", "other"),
    (r"unexpected (?:response|message)", "other"),
    # "server closed the connection unexpectedly" is said by a proxy, too, whose server is away.
    (r"unexpected (?:character|spaces)|invalid (?:port|integer|connection|URI|percent|sslmode)", "address"),
    (r"missing .*=|invalid .* value", "address"),
)
_UNUSABLE = {
    "access": ("it refused the user or the password", _NOT_POSTGRES),
    "database": ("it has no such database", _NOT_POSTGRES),
    "rejected": (
        "it, or TLS, does not accept this connection",
        "check sslmode in the address, and the server's pg_hba.conf",
    ),
    "other": ("its answer is not one of PostgreSQL", _NOT_POSTGRES),
    "address": ("its address cannot be used", _NOT_POSTGRES),
}


_AWAY_TEXTS = (
    "connection refused",
    "timeout expired",
    "could not translate host name",
    "starting up",
    "shutting down",
    "too many connections",
    "too many clients",
    "server closed the connection",
)


def _no_connection(error: psycopg.Error, address: Secret) -> ServerAway | ServerUnusable:
    """What the text of libpq means. The text itself has the address in it, so it is not shown."""
    text = str(error)
    for pattern, kind in _UNUSABLE_TEXTS:
        if re.search(pattern, text, re.IGNORECASE):
            return ServerUnusable(*_UNUSABLE[kind])
    for known in _AWAY_TEXTS:
        if known in text.lower():
            return ServerAway(known)
    return ServerAway("no connection")


def _array(texts: list[str]) -> str:
    """A list in PostgreSQL's form."""
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"


def _elements(text: str) -> list[str]:
    """The list of such a form. No element has a quote or a backslash in it."""
    return [word.strip('"') for word in text.strip("{}").split(",")]
