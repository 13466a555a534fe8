"""What a budget server does: it runs the rule of the rate limiter as a whole, on its own clock and for all machines.

A request counts from the time it was allowed until one window after its end was reported, or after its timeout. A
server that has no records, was restarted, has lost some, or whose clock went back begins a new *epoch*: it forgets what
it has and allows nothing until whatever was under way must have ended and left every window.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from astica_sync.remote.shared_budget.elapsed_proof import Proof

POLL_SECONDS = 0.5
ANSWER_SECONDS = 5.0
"""How long an answer of the server may take. One that takes longer is as good as none: a request waits for it."""

PLACES_SHOWN = 100_000
MOST_BYTES = 16_000_000
"""Of one answer; the longest one, of 100,000 requests, has a fifth of it."""
_LARGEST = 1e15
"""Far more than any time in seconds or any limit."""
_LONGEST_WORD = 200
_STOP_AGAIN_SECONDS = 0.1


class ServerAway(Exception):
    """Whether the server carried out the call is not known: away, slow, restarting, full. It may be back later."""


class ServerUnusable(Exception):
    """The server will refuse every call in the same way: wrong password, not what the address says, no permission.

    ``str(error)`` is what is wrong, ``hint`` what to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Terms:
    """What the asking machine knows, and the limit that it keeps.

    Args:
        loss_rest: seconds in which nothing is allowed at the start of an epoch.
        nonce: the name of the next epoch, should this call begin one.
        distrusted: the epoch in which this machine saw the server's clock go back.
        epoch: the epoch of the proofs.
        proofs: the youngest first.
    """

    limit: int
    window: float
    margin: float
    loss_rest: float
    nonce: str
    distrusted: str = ""
    epoch: str = ""
    proofs: list[Proof] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call, as all servers give it.

    Args:
        wall: the server's clock.
        why: why the epoch began, until its first rest is over: ``new``, ``restarted``, ``damaged`` or ``clock``.
        limit: the lowest limit that any machine keeps, and ``window`` the longest window.
        status: ``granted``, ``wait``, ``ok`` or ``void``.
        details: of a look at the budget: its latency, then for each request whether it is done, and since when.
    """

    wall: float
    epoch: str
    why: str
    limit: int
    window: float
    status: str
    seconds: float
    details: list[str]


def parse_reply(fields: Iterable[object]) -> Reply:
    """The reply of a list of texts.

    Raises:
        ValueError: it is none: another number of fields, a number that is not finite or negative, a text that is long.
    """
    words = []
    for one in fields:
        if not isinstance(one, str | int) or len(word := str(one)) > _LONGEST_WORD:
            raise ValueError("not a short text")
        words.append(word)
    wall, epoch, why, limit, window, status, seconds, *details = words
    # Of a look: the latency, where it is known, and two texts for each request.
    if details and (len(details) % 2 == 0 or not all(map(_is_number, [details[0] or "0", *details[2::2]]))):
        raise ValueError("not the answer to a look")
    return Reply(_number(wall), epoch, why, int(_number(limit)), _number(window), status, _number(seconds), details)


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number <= _LARGEST:
        raise ValueError("not a number that can be")
    return number


def _is_number(text: str) -> bool:
    """Whether it is a finite number. Since when a request counts may be in the past."""
    return math.isfinite(float(text)) and abs(float(text)) <= _LARGEST


@contextmanager
def stopped_after(seconds: float, stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Calls ``stop`` from another thread when the block takes longer, and again until it ends: a server that sends
    without end keeps every single read short. The event is set once that has begun."""
    ended, late = threading.Event(), threading.Event()

    def watch() -> None:
        if ended.wait(seconds):
            return
        late.set()
        while True:
            # A failure here is one of the connection, which the block meets itself.
            with suppress(Exception):
                stop()
            if ended.wait(_STOP_AGAIN_SECONDS):
                return

    thread = threading.Thread(target=watch, name="deadline of the budget server", daemon=True)
    thread.start()
    try:
        yield late
    finally:
        ended.set()
        thread.join()


class BudgetServer(Protocol):
    """One connection to a server, made with the first call and after each failure; for one thread at a time."""

    def call(self, name: str, terms: Terms, operation: str, arguments: list[str]) -> Reply:
        """Runs ``operation`` on the budget called ``name``:

        - ``take``: member, lane, who
        - ``release``: member, sent, served, when it was granted, its latency
        - ``extend``: member, the member that takes its place
        - ``back_off``: retry-after, when the refused request was granted, shortest, longest and longest obeyed rest
        - ``look``: most places

        A *member* names a request and ends with its timeout. Truths are ``1`` and ``0``, and no value is ``""``.

        Raises:
            ServerAway: it may work later.
            ServerUnusable: it will not.
        """
        ...

    def close(self) -> None: ...
