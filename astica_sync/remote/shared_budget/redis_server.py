"""The request budget on Redis, or on a server that speaks its protocol and runs its scripts."""

import hashlib
import re
import socket
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import DefaultParser
from redis.retry import Retry

from astica_sync.remote.shared_budget.budget_server import (
    ANSWER_SECONDS,
    MOST_BYTES,
    POLL_SECONDS,
    Reply,
    ServerAway,
    ServerUnusable,
    Terms,
    parse_reply,
    stopped_after,
)
from astica_sync.remote.shared_budget.redis_script import SCRIPT
from astica_sync.secret import Secret

_PARTS = ("state", "open", "done", "waiting")
_NOT_REDIS = "check the address: it must be that of a Redis server, redis://HOST:6379 or with TLS rediss://HOST:6379"


class RedisScript:
    """A script, and the name by which a server finds it that has it already."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest: str = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_RULE = RedisScript(SCRIPT)


class _TooLong(redis.exceptions.InvalidResponse):
    """More has arrived than any answer has."""


class _Bounded:
    """A connection or its socket, from which one answer takes so many bytes at most."""

    def __init__(self, inner: Any, left: list[int]) -> None:
        self._inner = inner
        self._left = left

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return _Bounded(value, self._left) if isinstance(value, socket.socket) else value

    def recv(self, *arguments: Any) -> bytes:
        data: bytes = self._inner.recv(*arguments)
        self._count(len(data))
        return data

    def recv_into(self, *arguments: Any) -> int:
        size: int = self._inner.recv_into(*arguments)
        self._count(size)
        return size

    def _count(self, size: int) -> None:
        self._left[0] -= size
        if self._left[0] < 0:
            raise _TooLong


class _BoundedParser(DefaultParser):  # type: ignore[misc, valid-type]
    """The library's parser, which by itself reads a text of any length that the server names into memory."""

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)
        self._left = [MOST_BYTES]

    def on_connect(self, connection: Any) -> None:
        super().on_connect(_Bounded(connection, self._left))

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        self._left[0] = MOST_BYTES
        return super().read_response(*arguments, **options)


class RedisServer:
    """A ``BudgetServer``. ``server_time`` takes the place of the server's clock in tests."""

    def __init__(
        self, address: Secret, *, answer_s: float = ANSWER_SECONDS, server_time: Callable[[], float] | None = None
    ) -> None:
        self._server_time = server_time
        self._answer_s = answer_s
        try:
            self._redis = redis.Redis.from_url(
                address.reveal(),
                socket_timeout=answer_s,
                socket_connect_timeout=answer_s,
                socket_keepalive=True,
                decode_responses=True,
                # A call that is repeated is decided one layer up.
                retry=Retry(NoBackoff(), 0),
                # The other one begins with a command that a user may not be allowed to run.
                protocol=2,
                parser_class=_BoundedParser,
            )
        except (ValueError, TypeError, AttributeError, redis.RedisError):
            # The library's message may repeat the address, with its password.
            raise ServerUnusable("its address cannot be used", _NOT_REDIS) from None

    def call(self, name: str, terms: Terms, operation: str, arguments: list[str]) -> Reply:
        given = "" if self._server_time is None else f"{self._server_time():.6f}"
        proofs = [f"{number:.6f}" for proof in terms.proofs for number in proof]
        values: list[Any] = [
            *(f"astica-sync:{{{name}}}:{part}" for part in _PARTS),
            operation,
            given,
            terms.nonce,
            terms.limit,
            terms.window,
            terms.margin,
            terms.loss_rest,
            POLL_SECONDS,
            terms.distrusted,
            terms.epoch,
            len(terms.proofs),
            *proofs,
            *arguments,
        ]
        try:
            return parse_reply(self.run(_RULE, len(_PARTS), values))
        except (TypeError, ValueError):
            raise ServerUnusable("its answer is not the expected one", _NOT_REDIS) from None

    def run(self, script: "RedisScript", keys: int, values: list[Any]) -> Any:
        """The answer of a script, whose first values are names of keys.

        Raises:
            ServerAway: it may work later.
            ServerUnusable: it will not.
        """
        with stopped_after(self._answer_s, self._redis.connection_pool.disconnect) as late:
            try:
                return self._evaluate(script, keys, values)
            except _FAILURES as error:
                # What is left of the answer is not taken for the next one.
                self.close()
                if late.is_set():
                    raise ServerAway("no answer in time") from None
                if isinstance(error, redis.exceptions.RedisError):
                    raise _translated(error) from None
                # Not an answer in the protocol of Redis.
                raise ServerUnusable(f"its answer is not one of Redis ({type(error).__name__})", _NOT_REDIS) from None

    def _evaluate(self, script: "RedisScript", keys: int, values: list[Any]) -> Any:
        try:
            return self._redis.evalsha(script.digest, keys, *values)
        except redis.exceptions.NoScriptError:
            return self._redis.eval(script.text, keys, *values)

    def close(self) -> None:
        self._redis.close()


_FAILURES = (
    redis.exceptions.RedisError,
    OSError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the library raises at an answer that is none, or on a connection that was closed while it read."""


_REFUSALS = {
    "WRONGPASS": "it refused the user or the password",
    "NOAUTH": "it asks for a password",
    "NOPERM": "the user may not run what the budget needs",
    "NORUN": "it does not tell its run_id",
    "FORM": "another version of astica-sync has written its records",
    "ERR": "it refused the call",
    "MOVED": "it is a Redis Cluster, which is not supported",
    "CROSSSLOT": "it is a Redis Cluster, which is not supported",
}
_CLUSTER_HINT = "name a Redis server that is not part of a cluster, redis://HOST:6379"
_CODE = re.compile(r"[A-Z]{1,40}", re.ASCII)
_ACCESS_HINT = (
    "write user and password into the address, redis://USER:PASSWORD@HOST:6379; the user needs"
    " +eval +evalsha +info +time +@hash +@sortedset +del on the keys astica-sync:*"
)


def _translated(error: redis.exceptions.RedisError) -> ServerAway | ServerUnusable:
    if isinstance(error, _TooLong):
        return ServerUnusable("its answer is too long", _NOT_REDIS)
    text = str(error)
    code = text.partition(" ")[0]
    # The library takes some codes off the text.
    if isinstance(error, redis.exceptions.NoPermissionError) or text.startswith("ACL failure"):
        code = "NOPERM"
    elif isinstance(error, redis.exceptions.AuthenticationError):
        code = "WRONGPASS"
    elif isinstance(error, redis.exceptions.AskError):
        # Of which MovedError is one.
        code = "MOVED"
    if isinstance(error, redis.exceptions.TimeoutError):
        return ServerAway("no answer in time")
    if isinstance(error, redis.exceptions.BusyLoadingError):
        return ServerAway("it is loading its data")
    if isinstance(error, redis.exceptions.OutOfMemoryError) or code == "OOM" or "OOM command" in text:
        return ServerAway("its memory is full (maxmemory)")
    if isinstance(error, redis.exceptions.ReadOnlyError) or "READONLY" in text:
        return ServerAway("it is a replica, which takes no writes")
    if "MISCONF" in text:
        return ServerAway("it cannot save its data (MISCONF)")
    if "NOREPLICAS" in text:
        return ServerAway("it has too few replicas (NOREPLICAS)")
    if code in _REFUSALS:
        hint = _ACCESS_HINT if code in ("WRONGPASS", "NOAUTH", "NOPERM") else _NOT_REDIS
        hint = "install the same version on all machines" if code == "FORM" else hint
        hint = _CLUSTER_HINT if code in ("MOVED", "CROSSSLOT") else hint
        return ServerUnusable(_REFUSALS[code], hint)
    if isinstance(error, redis.exceptions.InvalidResponse):
        return ServerUnusable("its answer is not one of Redis", _NOT_REDIS)
    if isinstance(error, redis.exceptions.ConnectionError):
        return ServerAway(_reason_of(error))
    return ServerAway(f"it answered {code}" if _CODE.fullmatch(code) else "it answered with an unknown error")


def _reason_of(error: BaseException) -> str:
    """Why there is no connection, in the words of the system; the library's own text has the address in it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return "connection closed" if "closed" in str(error).lower() else "no connection"
