"""The log of the requests to a sandbox."""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from astica_sync.sandbox.http.faults import FaultKind

TRAIN = "train"
DETECT = "detect"


@dataclass(slots=True)
class RequestRecord:
    """One request to the sandbox.

    Attributes:
        time: when it arrived, on the sandbox's clock in seconds.
        endpoint: ``TRAIN`` or ``DETECT``.
        call: such as ``upload``; the path where there is no such call.
        sent: its fields without the key and the image.
        outcome: ``ok``, ``limited``, ``gone`` (the client disconnected), ``late``, or the text of the error.
        fault: the fault that was applied to it.
        done: how often it was carried out.
    """

    time: float
    endpoint: str
    call: str
    sent: Mapping[str, object] = field(default_factory=dict)
    outcome: str = ""
    fault: FaultKind | None = None
    done: int = 0


def most_in_any_window(times: Iterable[float], window: float) -> int:
    """The largest number of the times within one half-open window of so many seconds."""
    ordered = sorted(times)
    return max((bisect.bisect_left(ordered, time + window) - i for i, time in enumerate(ordered)), default=0)
