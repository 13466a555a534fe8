"""Runs a push in a thread of its own: the same one as the command's, with a session of its own.

A pause is a clean stop, after which the lock is free and everything is saved; to go on is to push again. So is the
answer to the guard: a push that is refused a part does the rest and ends, and nothing is locked while the user thinks.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from astica_sync.api import Store
from astica_sync.clock import SystemClock
from astica_sync.core.failure_remedy import remedy_of, retry_helps
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.errors import AsticaSyncError, Interrupted
from astica_sync.open_session import open_session
from astica_sync.page.live.push_progress import PushState, PushStateWriter, rate_of
from astica_sync.sync.observe import observe
from astica_sync.sync.push.push import PushResult

ACTIVE = ("starting", "observing", "sending")
MOST_SHOWN = 500

ImagesOfSamples = Callable[[Sequence[tuple[str, str]]], list[list[str]]]
"""The images of some samples, each a uid and a path: id, content hash, name and class."""


class CannotNow(Exception):
    """The action makes no sense in this state; the message says why."""


class PushRunner:
    """One push at a time. ``changed`` is called, from any thread, when there is something new to show."""

    def __init__(self, store: Path, changed: Callable[[], None], ended: Callable[[], None]) -> None:
        self._store, self._changed, self._ended = store, changed, ended
        self._lock = threading.Lock()
        self._state = PushState()
        self._clock: SystemClock | None = None
        self._thread: threading.Thread | None = None
        self._agreed: set[str] = set()
        self._titles: set[str] = set()
        self._version: str | None = None
        self._pausing = False
        self._refusals: list[Refusal] = []
        self._near: list[NearTitle] = []

    @property
    def is_active(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def act(self, action: str, version: str | None = None) -> None:
        """``version`` names the one whose data a push that starts brings back, in place of the store's.

        Raises:
            CannotNow: the action makes no sense now.
        """
        with self._lock:
            state = self._state.state
        match action:
            case "start" if not self.is_active:
                self._version = version
                self._start(PushState())
            case "pause" if self.is_active:
                self._pausing = True
                self._stop()
            case "resume" if state == "paused" and not self.is_active:
                self._start(self._continued())
            case "stop" if self.is_active:
                self._stop()
            case "stop" if state in ("asking", "paused"):
                self._finish("done")
            case "agree" if state == "asking" and not self.is_active:
                self._agreed |= {name for refusal in self._refusals for name in _names(refusal)}
                self._titles |= {entry.title for entry in self._near}
                self._start(self._continued())
            case _:
                raise CannotNow(f"a push that is {state} cannot {action}")

    def data(self, shown: ImagesOfSamples, budget: dict[str, Any] | None) -> dict[str, Any] | None:
        """What the page shows; None before the first push."""
        with self._lock:
            state = self._state
            if state.state == "idle":
                return None
            now = time.time()
            next_in = None if state.next_at is None else max(0.0, round(state.next_at - now, 1))
            return {
                "number": state.number,
                "state": state.state,
                "done": state.done,
                "total": max(state.total, state.done),
                "requests": state.requests,
                "rate": rate_of(state, now),
                "budget": None if budget is None else {**budget, "next_in": next_in},
                "eta_seconds": None if state.eta_seconds is None else round(state.eta_seconds, 1),
                "current": state.current,
                "waits": state.waits,
                "failures": [_failure(failure, shown) for failure in state.failures],
                "notes": state.notes[-20:],
                "question": self._question(shown) if state.state == "asking" else None,
                "error": state.error,
                "result": state.result,
            }

    def close(self) -> None:
        """Stops a push in order, and waits for its end."""
        self._stop()
        if self._thread is not None:
            self._thread.join(60)

    def _continued(self) -> PushState:
        with self._lock:
            before = self._state
            return PushState(done=before.done, total=before.total, requests=before.requests, sent=before.sent)

    def _start(self, state: PushState) -> None:
        state.state = "starting"
        with self._lock:
            state.number = self._state.number + 1
            self._state = state
        self._pausing, self._refusals, self._near = False, [], []
        self._clock = SystemClock()
        self._thread = threading.Thread(target=self._run, args=(self._clock,), name="push")
        self._thread.start()
        self._changed()

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.stopping.set()

    def _run(self, clock: SystemClock) -> None:
        listener = PushStateWriter(self._state, self._lock, self._changed)
        try:
            with open_session(self._store, listener, clock=clock, doing="push") as opened:
                store = Store.over(opened)
                pushed = store.push(as_version=self._version, consent=self._consent, new_classes=self._titles)
                if (pushed.uploaded or pushed.removed) and not clock.stopping.is_set():
                    # What the service confirmed is shown as waiting until a view has it.
                    observe(opened.session.local, opened.session.remote, listener)
            self._take(pushed)
        except Interrupted:
            self._finish("paused" if self._pausing else "done")
        except AsticaSyncError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - shown on the page, as a command prints it
            self._fail(AsticaSyncError(f"internal error: {type(error).__name__}: {error}", "What was done is saved."))
        finally:
            self._ended()

    def _take(self, pushed: PushResult) -> None:
        error = pushed.error
        with self._lock:
            known = {(one["path"], one["reason"]) for one in self._state.failures}
            self._state.failures += [
                {"class": one.class_title, "path": one.path, "reason": one.reason}
                for one in pushed.failed
                if (one.path, one.reason) not in known
            ]
            self._state.result = {
                "uploaded": pushed.uploaded,
                "removed": pushed.removed,
                "failed": len(pushed.failed),
                "in_sync": pushed.in_sync,
            }
        if isinstance(error, Interrupted):
            self._finish("paused" if self._pausing else "done")
        elif isinstance(error, AsticaSyncError):
            self._fail(error)
        elif error is not None:
            self._fail(AsticaSyncError(f"internal error: {type(error).__name__}: {error}", "What was done is saved."))
        elif pushed.refusals or pushed.near:
            self._refusals, self._near = pushed.refusals, pushed.near
            self._finish("asking")
        else:
            self._finish("done")

    def _consent(self, refusals: list[Refusal]) -> bool:
        """Whether the user has agreed to exactly these samples, or to more."""
        return {name for refusal in refusals for name in _names(refusal)} <= self._agreed

    def _finish(self, state: str) -> None:
        with self._lock:
            self._state.state, self._state.current, self._state.waits = state, "", None
            self._state.next_at = self._state.eta_seconds = None
        self._changed()

    def _fail(self, error: AsticaSyncError) -> None:
        with self._lock:
            self._state.error = {"error": str(error), "hint": error.hint}
        self._finish("failed")

    def _question(self, shown: ImagesOfSamples) -> dict[str, Any]:
        removed = [(one.uid, one.path) for refusal in self._refusals for one in refusal.samples]
        again = [(one.uid, one.path) for refusal in self._refusals for one in refusal.uploads]
        samples = list(dict.fromkeys(removed + again))
        reasons = [refusal.reason for refusal in self._refusals]
        reasons += [f"class {entry.title!r} is new and nearly {entry.existing!r}" for entry in self._near]
        hint = "Agree to remove them from the service; the backup has their images."
        if any(upload.reconverted for refusal in self._refusals for upload in refusal.uploads):
            hint = "Agree to send these as they are converted now, and to remove what was sent of them before."
        elif any(refusal.uploads for refusal in self._refusals):
            hint = "Look at the model on the service's page; agree to send all of these again."
        elif not self._refusals:
            hint = "Rename the class if it is a slip; agree to make it."
        return {
            "kind": "guard" if self._refusals else "new-class",
            "text": "; ".join(reasons),
            "hint": hint,
            "total": len(samples),
            "images": shown(samples[:MOST_SHOWN]),
        }


def _names(refusal: Refusal) -> list[str]:
    return [f"#{one.sample_id}" for one in refusal.samples] + [one.uid for one in refusal.uploads]


def _failure(failure: dict[str, str], shown: ImagesOfSamples) -> dict[str, Any]:
    found, reason = shown([("", failure["path"])]), failure["reason"]
    return {
        "id": found[0][0] if found else None,
        "name": failure["path"].partition("/")[2],
        "class": failure["class"],
        "reason": reason,
        "remedy": "push again, or astica-sync push --retry" if retry_helps(reason) else remedy_of(reason),
    }
