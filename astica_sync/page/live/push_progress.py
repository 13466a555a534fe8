"""What a push reports, as the object that the page shows."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.sync.progress import ProgressListener

MOST_FAILURES = 500
_RATE_SECONDS = 60.0


@dataclass(slots=True)
class PushState:
    """One push, or the pushes that a pause divides it into. Read it under ``lock``."""

    number: int = 0
    """Of the starts and resumptions so far."""
    state: str = "idle"
    done: int = 0
    total: int = 0
    requests: int = 0
    eta_seconds: float | None = None
    current: str = ""
    waits: str | None = None
    next_at: float | None = None
    failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    question: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    result: dict[str, Any] | None = None
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=2000))


class PushStateWriter(ProgressListener):
    """Writes each report into a ``PushState`` and calls ``changed``; for any thread."""

    def __init__(self, state: PushState, lock: threading.Lock, changed: Callable[[], None]) -> None:
        self._state, self._lock, self._changed = state, lock, changed
        self._before = state.done

    def phase(self, text: str) -> None:
        self._set(current=text, state="observing", waits=None)

    def phase_ended(self) -> None:
        self._set(current="")

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        removed = 0 if refusals else len(plan.removed)
        with self._lock:
            self._state.total = self._state.done + len(plan.uploads) + plan.later + removed
            self._state.eta_seconds, self._state.state = eta, "sending"
        self._changed()

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        with self._lock:
            self._state.done += 1
        self._set(current=path, eta_seconds=eta, state="sending", waits=None)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        with self._lock:
            self._state.done += samples
        self._set(current=path, eta_seconds=eta, state="sending", waits=None)

    def failed(self, class_title: str, path: str, reason: str) -> None:
        with self._lock:
            if len(self._state.failures) < MOST_FAILURES:
                self._state.failures.append({"class": class_title, "path": path, "reason": reason})
        self._changed()

    def waits(self, seconds: float, why: str) -> None:
        self._set(waits=why, next_at=time.time() + seconds)

    def next_request(self, seconds: float, why: str) -> None:
        self._set(waits=why or None, next_at=time.time() + seconds)

    def request_sent(self, size: int) -> None:
        with self._lock:
            self._state.requests += 1
            self._state.sent.append(time.time())
            self._state.waits = self._state.next_at = None
        self._changed()

    def note(self, text: str) -> None:
        with self._lock:
            self._state.notes.append(text)
        self._changed()

    def _set(self, **values: Any) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(self._state, name, value)
        self._changed()


def rate_of(state: PushState, now: float) -> int:
    """How many requests were sent in the last minute."""
    return sum(at > now - _RATE_SECONDS for at in state.sent)
