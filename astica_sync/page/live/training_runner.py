"""Runs a training in a thread of its own: the same one as the command's."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astica_sync.api import Store
from astica_sync.clock import SystemClock
from astica_sync.core.versions.pending_training import Training
from astica_sync.errors import AsticaSyncError, Interrupted
from astica_sync.open_session import OpenStore, open_session
from astica_sync.page.live.push_runner import CannotNow
from astica_sync.page.live.training_times import expect_training
from astica_sync.sync.progress import ProgressListener
from astica_sync.training.version_history import VersionHistory


class TrainingRunner:
    """One training at a time. The training itself goes on at the service when the page ends."""

    def __init__(self, store: Path, changed: Callable[[], None], ended: Callable[[], None]) -> None:
        self._store, self._changed, self._ended = store, changed, ended
        self._lock = threading.Lock()
        self._data: dict[str, Any] | None = None
        self._clock: SystemClock | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_active(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, *, anyway: bool = False) -> None:
        """
        Raises:
            CannotNow: one is running.
        """
        if self.is_active:
            raise CannotNow("a training is running")
        self._clock = SystemClock()
        self._set(
            state="starting",
            message="",
            seconds=0.0,
            version=None,
            error=None,
            began_at=time.time(),
            expected_seconds=None,
        )
        self._thread = threading.Thread(target=self._run, args=(self._clock, anyway), name="training")
        self._thread.start()

    def data(self) -> dict[str, Any] | None:
        """What the page shows; None before the first training."""
        with self._lock:
            return None if self._data is None else dict(self._data)

    def close(self) -> None:
        """Stops waiting for the version."""
        if self._clock is not None:
            self._clock.stopping.set()
        if self._thread is not None:
            self._thread.join(60)

    def _run(self, clock: SystemClock, anyway: bool) -> None:
        def waits(training: Training, seconds: float) -> None:
            self._set(state="training", seconds=round(seconds, 1), samples=training.samples)

        try:
            with open_session(self._store, ProgressListener(), clock=clock, doing="train") as opened:
                self._set(**self._expect(opened))
                result = Store.over(opened).train(
                    anyway=anyway, on_message=lambda message: self._set(message=message), on_wait=waits
                )
            name = None if result.version is None else result.version.name
            self._set(state="done", version=name, snapshot=result.snapshot, picked_up=result.picked_up)
        except Interrupted as error:
            self._set(state="stopped", error={"error": str(error), "hint": error.hint})
        except AsticaSyncError as error:
            self._set(state="failed", error={"error": str(error), "hint": error.hint})
        except Exception as error:  # noqa: BLE001 - shown on the page, as a command prints it
            self._set(state="failed", error={"error": f"internal error: {type(error).__name__}: {error}", "hint": ""})
        finally:
            self._ended()

    def _expect(self, opened: OpenStore) -> dict[str, Any]:
        local = opened.session.local
        versions = VersionHistory(local.layout, local.backup, local.fs, opened.session.remote.model_id).versions()
        expected = expect_training(local.journal.history(titles=("",)), versions)
        return {"expected_seconds": round(expected.seconds, 1), "expected_from": expected.earlier}

    def _set(self, **values: Any) -> None:
        with self._lock:
            self._data = {**(self._data or {}), **values}
        self._changed()
