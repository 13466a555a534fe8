"""The request budget on Redis, or on a server that speaks its protocol and runs its scripts."""

import hashlib
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from astica_sync.remote.shared_budget.budget_server import (
    ANSWER_SECONDS,
    POLL_SECONDS,
    Reply,
    ServerAway,
    ServerUnusable,
    Terms,
    parse_reply,
)
from astica_sync.remote.shared_budget.redis_script import SCRIPT
from astica_sync.secret import Secret

_DIGEST = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
_PARTS = ("state", "open", "done", "waiting")
_NOT_REDIS = "check the address: it must be that of a Redis server, redis://HOST:6379 or with TLS rediss://HOST:6379"


class RedisServer:
    """A ``BudgetServer``. ``server_time`` takes the place of the server's clock in tests."""

    def __init__(
        self, address: Secret, *, answer_s: float = ANSWER_SECONDS, server_time: Callable[[], float] | None = None
    ) -> None:
        self._server_time = server_time
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
            try:
                answer = self._redis.evalsha(_DIGEST, len(_PARTS), *values)
            except redis.exceptions.NoScriptError:
                answer = self._redis.eval(SCRIPT, len(_PARTS), *values)
        except redis.exceptions.RedisError as error:
            raise _translated(error) from None
        except (OSError, UnicodeError, ValueError) as error:
            # Not an answer in the protocol of Redis.
            raise ServerUnusable(f"its answer is not one of Redis ({type(error).__name__})", _NOT_REDIS) from None
        try:
            return parse_reply(list(answer))
        except (TypeError, ValueError):
            raise ServerUnusable("its answer is not the expected one", _NOT_REDIS) from None

    def close(self) -> None:
        self._redis.close()


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
_ACCESS_HINT = (
    "write user and password into the address, redis://USER:PASSWORD@HOST:6379; the user needs"
    " +eval +evalsha +info +time +@hash +@sortedset +del on the keys astica-sync:*"
)


def _translated(error: redis.exceptions.RedisError) -> ServerAway | ServerUnusable:
    text = str(error)
    code = text.partition(" ")[0]
    # The library takes some codes off the text.
    if isinstance(error, redis.exceptions.NoPermissionError) or text.startswith("ACL failure"):
        code = "NOPERM"
    elif isinstance(error, redis.exceptions.AuthenticationError):
        code = "WRONGPASS"
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
        return ServerUnusable(_REFUSALS[code], hint)
    if isinstance(error, redis.exceptions.InvalidResponse):
        return ServerUnusable("its answer is not one of Redis", _NOT_REDIS)
    if isinstance(error, redis.exceptions.ConnectionError):
        return ServerAway(_reason_of(error))
    return ServerAway(f"it answered {code[:40]}")


def _reason_of(error: BaseException) -> str:
    """Why there is no connection, in the words of the system; the library's own text has the address in it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return "connection closed" if "closed" in str(error).lower() else "no connection"
