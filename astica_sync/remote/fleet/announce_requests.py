"""Announces a process while it uses the service: the announcer counts each request and each wait."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import Protocol

from astica_sync.clock import Clock
from astica_sync.core.fleet.announcement import LimitSetting, ProcessTask
from astica_sync.remote.fleet.announcer import Announcer, ProcessFacts
from astica_sync.remote.fleet.open_board import open_board
from astica_sync.remote.fleet.store_announcement import StoreAnnouncement
from astica_sync.remote.rate_limited_client import RequestListener
from astica_sync.remote.rate_limiter import OnWait
from astica_sync.remote.shared_budget.budget_server import ANSWER_SECONDS
from astica_sync.secret import SecretAddress


class UseListener(RequestListener, Protocol):
    """Is called for requests and for waits."""

    def waits(self, seconds: float, why: str) -> None: ...


class _Counted:
    """Passes each call on."""

    def __init__(self, announcer: Announcer, listener: UseListener) -> None:
        self._announcer = announcer
        self._listener = listener

    def request_sent(self, size: int) -> None:
        self._announcer.request_sent()
        self._listener.request_sent(size)

    def request_ended(self, size: int, *, answered: bool) -> None:
        self._listener.request_ended(size, answered=answered)

    def waits(self, seconds: float, why: str) -> None:
        self._announcer.waits(seconds)
        self._listener.waits(seconds, why)


@contextlib.contextmanager
def announce_requests(
    address: SecretAddress,
    name: str,
    task: ProcessTask,
    setting: LimitSetting,
    clock: Clock,
    listener: UseListener,
    store: StoreAnnouncement | None = None,
) -> Iterator[tuple[RequestListener, OnWait]]:
    """What to call for each request and each wait. ``task`` has the store's whole path, of which the last part is
    announced, and ``store`` what is announced of the store itself. Seven parameters: where, what and when."""
    place = task.store
    shown = replace(task, store=PurePath(place).name)
    facts = ProcessFacts(os.uname().nodename, shown, setting, place, store)
    announcer = Announcer(lambda: open_board(address, ANSWER_SECONDS), name, facts, clock.ticks)
    counted = _Counted(announcer, listener)
    try:
        yield counted, counted.waits
    finally:
        announcer.close()
