"""The requests a sandbox has seen: its limit, and its log for whoever wants to count them."""

import bisect
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from astica_sync.sandbox.http.faults import Kind

TRAIN = "train"
DETECT = "detect"


@dataclass(slots=True)
class Request:
    """One request as the sandbox saw it.

    ``time`` is when it arrived (the sandbox's seconds), ``sent`` its fields without the key and the image,
    ``outcome`` is ``ok``, ``limited``, ``gone`` (the client left), ``late`` or the text of the error, ``done`` how
    often the work was carried out.
    """

    time: float
    endpoint: str
    call: str
    sent: Mapping[str, object] = field(default_factory=dict)
    outcome: str = ""
    fault: Kind | None = None
    done: int = 0


class Limiter:
    """A sliding window: at most ``limit`` requests in any ``window`` seconds; refused ones do not count."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self._admitted: deque[float] = deque()
        self._lock = threading.Lock()

    def admit(self, now: float) -> float:
        """0 when a request may come in now (it is counted), else the seconds until the next place is free."""
        with self._lock:
            while self._admitted and self._admitted[0] + self.window <= now:
                self._admitted.popleft()
            if len(self._admitted) < self.limit:
                self._admitted.append(now)
                return 0.0
            return self._admitted[-self.limit] + self.window - now


def most_in_any_window(times: Iterable[float], window: float) -> int:
    """The largest number of the times that lie within one half-open window of that many seconds."""
    ordered = sorted(times)
    return max((bisect.bisect_left(ordered, time + window) - i for i, time in enumerate(ordered)), default=0)
