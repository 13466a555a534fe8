"""Opens the request budget on a server: the library that speaks to it, this machine's share, and what it knows of the
server's clock."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astica_sync.clock import Clock
from astica_sync.errors import ConfigError
from astica_sync.remote.rate_limiter import RateLimiter
from astica_sync.remote.shared_budget.budget_server import ANSWER_SECONDS, BudgetServer, ServerUnusable
from astica_sync.remote.shared_budget.elapsed_proof import Anchor, ElapsedProof
from astica_sync.remote.shared_budget.shared_rate_limiter import (
    LONGEST_HOLD,
    OnNote,
    Pool,
    SharedRateLimiter,
    ignore_note,
    part_of,
)
from astica_sync.secret import SecretAddress

SHARE_FILE = "budget-share.db"
ANCHOR_FILE = "budget-clock.json"
_ANCHORS_KEPT, _ANCHORS_APART = 3, 600.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_WITH_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class ClockWithSleep:
    """A clock whose ticks go on while the machine sleeps, as the server's clock does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()

    def ticks(self) -> float:
        return time.clock_gettime(_WITH_SLEEP)

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


@dataclass(frozen=True, slots=True)
class BudgetAddress:
    """The server, and the parts of the limit that it and this machine have."""

    address: SecretAddress
    share: float = 0.0
    pool: float = 1.0
    answer_s: float = ANSWER_SECONDS


def open_shared_limiter(
    place: BudgetAddress,
    folder: Path,
    *,
    name: str,
    limit: int,
    window: float,
    clock: Clock,
    follows: bool = False,
    on_note: OnNote = ignore_note,
) -> SharedRateLimiter:
    """The rate limiter on the server; its parameters are those of the local one. Nothing is sent before its first use.

    Args:
        folder: this user's state folder, for the share and what is known of the server's clock.
        clock: a ``ClockWithSleep``.

    Raises:
        ConfigError: the library is missing, or the settings contradict each other.
    """
    if place.share + place.pool > 1 + 1e-9:
        raise ConfigError(
            f"budget_share is {place.share:.0%} and budget_pool {place.pool:.0%}, more than the whole limit together",
            "Set budget_pool on every machine to what is left of 100% without the shares of all machines.",
        )
    try:
        server = _server_class(place.address)(place.address, answer_s=place.answer_s)
    except ServerUnusable as error:
        raise ConfigError(f"the request budget {place.address} cannot be used: {error}", error.hint) from None
    own = part_of(limit, place.share)
    if own + part_of(limit, place.pool) < 1:
        raise ConfigError(
            f"budget_share ({place.share:.0%}) and budget_pool ({place.pool:.0%}) leave none of {limit} requests",
            "Make one of them larger, on every machine.",
        )
    share = RateLimiter(folder / SHARE_FILE, name=name, limit=own, window=window, clock=clock) if own else None
    proof = _ProofOnFile(folder / ANCHOR_FILE, f"{place.address} {name}", window, clock)
    return SharedRateLimiter(
        server,
        place=str(place.address),
        name=name,
        limit=limit,
        window=window,
        clock=clock,
        pool=Pool(place.pool, place.share, share),
        follows=follows,
        on_note=on_note,
        proof=proof,
        on_close=proof.save,
    )


def _server_class(address: SecretAddress) -> "Callable[..., BudgetServer]":
    scheme = address.reveal().partition("://")[0].lower()
    extra = "redis" if scheme.startswith("redis") else "postgres"
    try:
        if extra == "redis":
            from astica_sync.remote.shared_budget.redis_server import RedisServer

            return RedisServer
        from astica_sync.remote.shared_budget.postgres_server import PostgresServer

        return PostgresServer
    except ImportError as error:
        if (error.name or "").startswith("astica_sync"):
            raise
        library = "redis" if extra == "redis" else "psycopg"
        raise ConfigError(
            f"the request budget {address} needs {library}, which is not installed",
            f"Run: pip install 'astica-sync[{extra}]'",
        ) from None


class _ProofOnFile(ElapsedProof):
    """What earlier processes of this machine knew of the server's clock since the machine started, from a file that may
    be lost: a new process would else have to wait for places that have long been free."""

    def __init__(self, file: Path, name: str, window: float, clock: Clock) -> None:
        super().__init__(window, LONGEST_HOLD)
        self._file = file
        self._name = name
        with contextlib.suppress(TypeError, ValueError, KeyError, AttributeError):
            known = _read(file)[name]
            anchors = [Anchor(float(wall), float(ticks), float(ticks)) for wall, ticks in known["anchors"]]
            if known["boot"] == _boot_id() != "" and anchors and anchors[-1].received <= clock.ticks():
                self.adopt(str(known["epoch"]), sorted(anchors, key=lambda anchor: anchor.received))

    def save(self) -> None:
        """Keeps an anchor of this process for later ones, where the last one kept is old."""
        epoch, anchor = self.newest()
        if anchor is None or not (boot := _boot_id()):
            return
        known = _read(self._file)
        anchors: list[list[float]] = []
        with contextlib.suppress(TypeError, ValueError, KeyError, AttributeError):
            before = known[self._name]
            if (before["boot"], before["epoch"]) == (boot, epoch):
                anchors = [[float(wall), float(ticks)] for wall, ticks in before["anchors"]][-_ANCHORS_KEPT:]
        if anchors and anchor.received - anchors[-1][1] < _ANCHORS_APART:
            return
        anchors.append([anchor.wall, anchor.received])
        known[self._name] = {"boot": boot, "epoch": epoch, "anchors": anchors}
        new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(known, file)
            new.replace(self._file)


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and len(known) < 100 else {}


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
