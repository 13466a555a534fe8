"""Which files that cannot be uploaded were not reported yet: each once, and none while it is still being written."""

from collections.abc import Callable, Iterable, Sequence

from astica_sync.core.model import Problem
from astica_sync.sync.session import LocalSide

ReportProblems = Callable[[Sequence[Problem]], None]
"""Called with the problems that are new since its last call."""


class UnreportedProblems:
    """The problems of the last scan. ``reported`` has a number for each one that was reported, and outlives the opening
    of the store: the same problem is not reported again after a restart of the watcher."""

    def __init__(self, local: LocalSide, reported: set[int], report: ReportProblems, quiet_seconds: float) -> None:
        """``quiet_seconds`` is how long a file must not change before it is complete."""
        self._local = local
        self._reported = reported
        self._report = report
        self._quiet_seconds = quiet_seconds
        self._scanned_at = 0.0
        self._waiting: list[Problem] = []

    def take_scan(self, problems: Iterable[Problem], began: float) -> int:
        """Takes the problems that a scan found, which began at this wall time; returns how many there are."""
        self._scanned_at = began
        numbered = {_number(one): one for one in problems}
        # What is good again is reported again when it comes back.
        self._reported.intersection_update(numbered)
        self._waiting = [one for number, one in numbered.items() if number not in self._reported]
        return len(numbered)

    def report(self, now: float, is_open: Callable[[str], bool]) -> None:
        """Reports those whose files are complete at this wall time, and keeps the others for the next call. ``is_open``
        is whether a program writes to a file."""
        if not self._waiting:
            return
        ready: list[Problem] = []
        waiting: list[Problem] = []
        for one in self._waiting:
            (waiting if self._may_change(one.path, now) or is_open(one.path) else ready).append(one)
        self._waiting = waiting
        if ready:
            self._reported.update(map(_number, ready))
            self._report(ready)

    def _may_change(self, path: str, now: float) -> bool:
        """Whether the file may not be complete. One that was changed after the scan is read by a scan that follows."""
        try:
            changed_at = self._local.fs.lstat(self._local.layout.root / path).st_ctime
        except FileNotFoundError:
            return True
        except OSError:
            # What cannot be read is the problem.
            return False
        return changed_at > self._scanned_at or now - changed_at < self._quiet_seconds


def _number(problem: Problem) -> int:
    return hash((problem.path, problem.reason))
