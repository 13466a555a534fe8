"""How much time has certainly passed on a budget server, by the clock of this machine.

The server's clock may be set, and then a place would look free long before it is. So each answer of the server is an
anchor: the server's time, and this machine's at the moment the answer was there. From then on at least as much time
has passed on the server as here, less what two clocks may differ in speed. A place is reused only when the server's
clock and an anchor agree that it is free, and the anchor is at least as old as the place had to be kept: then either
the anchor was there before the place was taken, or this machine has waited for the whole time itself.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

DRIFT = 0.0005
"""How much faster one clock may run than another: as much as a time service slews a clock."""
TOLERANCE = 0.5
"""Seconds that the server's clock may be ahead of, or behind, what this machine's clock allows, before it was set."""

_STEPS = (1.0, 1.25, 2.0, 4.0, 8.0, 16.0)


class Anchor(NamedTuple):
    """The server said ``wall`` in an answer that was asked for at ``sent`` and received at ``received``."""

    wall: float
    sent: float
    received: float


class Proof(NamedTuple):
    """On the server it is at least ``at``, by an anchor that is ``age`` seconds old."""

    age: float
    at: float


@dataclass(slots=True)
class _Known:
    epoch: str
    anchors: deque[Anchor]


class ElapsedProof:
    """The anchors of one budget; for any number of threads."""

    def __init__(self, window: float, keep: float) -> None:
        """``keep`` is the longest time that a place is held, in seconds: older anchors are not needed."""
        self._window = window
        self._keep = keep
        self._lock = threading.Lock()
        self._known = _Known("", deque())
        self._chosen_at = float("-inf")
        self._chosen: list[Anchor] = []

    def learn(self, epoch: str, anchor: Anchor) -> bool:
        """Takes in an answer. ``epoch`` changes when the server has lost its records or its clock was set.

        Returns:
            Whether the server's clock went back, by the clock of this machine: all must learn of that.
        """
        with self._lock:
            if epoch != self._known.epoch:
                self._restart(epoch, anchor)
                return False
            anchors = self._known.anchors
            last = anchors[-1]
            slack = TOLERANCE + DRIFT * (anchor.received - last.sent)
            if anchor.wall > last.wall + (anchor.received - last.sent) + slack:
                # Set forward, or this machine was paused. Either way the old anchors prove nothing about it any more.
                self._restart(epoch, anchor)
                return False
            if anchor.wall < last.wall + (anchor.sent - last.received) - slack:
                self._restart(epoch, anchor)
                return True
            if anchor.received - last.received >= self._window / 20:
                anchors.append(anchor)
                self._thin(anchor.received)
            return False

    def proofs(self, now: float) -> tuple[str, list[Proof]]:
        """The epoch and what is proven in it, the youngest anchor first; the later ones are older and prove less."""
        with self._lock:
            if now - self._chosen_at >= self._window / 100:
                self._chosen = self._choose(now)
                self._chosen_at = now
            return self._known.epoch, [Proof(now - one.received, _proven(one, now)) for one in self._chosen]

    def newest(self) -> tuple[str, Anchor | None]:
        """The epoch and its last anchor, for another process of this machine."""
        with self._lock:
            return self._known.epoch, self._known.anchors[-1] if self._known.anchors else None

    def adopt(self, epoch: str, anchors: list[Anchor]) -> None:
        """Begins with the anchors of other processes of this machine, the oldest first."""
        with self._lock:
            self._known = _Known(epoch, deque(anchors))

    def _restart(self, epoch: str, anchor: Anchor) -> None:
        self._known = _Known(epoch, deque([anchor]))
        self._chosen_at = float("-inf")

    def _choose(self, now: float) -> list[Anchor]:
        """Of the anchors of some ages the ones that prove the most, the youngest first, and the oldest of all."""
        anchors = self._known.anchors
        chosen: list[Anchor] = []
        best: Anchor | None = None
        position = 0
        for age in (step * self._window for step in reversed(_STEPS)):
            while position < len(anchors) and now - anchors[position].received >= age:
                if best is None or _proven(anchors[position], now) >= _proven(best, now):
                    best = anchors[position]
                position += 1
            if best is not None and best not in chosen:
                chosen.append(best)
        oldest = [anchors[0]] if anchors and anchors[0] not in chosen else []
        return [*reversed(chosen), *oldest]

    def _thin(self, now: float) -> None:
        """Forgets what is too old, and every other one of the older half where there are many."""
        anchors = self._known.anchors
        while len(anchors) > 1 and now - anchors[1].received > self._keep:
            anchors.popleft()
        if len(anchors) > 500:
            old = [anchors.popleft() for _ in range(250)]
            anchors.extendleft(reversed(old[::2]))


def _proven(anchor: Anchor, now: float) -> float:
    return anchor.wall + (now - anchor.received) * (1 - DRIFT)
