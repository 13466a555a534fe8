"""Faults on request: which ones there are, how they are asked for, and which request gets one."""

import math
import random
import re
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Kind(StrEnum):
    """What may go wrong with one request. *done* says whether the service did the work all the same."""

    LOST_BEFORE = "lost-before"  # not done; the connection closes without an answer
    LOST_AFTER = "lost-after"  # done; the connection closes without an answer
    LATE = "late"  # the connection closes without an answer; done some seconds later
    TWICE = "twice"  # done twice, answered once
    ERROR_PAGE = "5xx"  # not done; a bare 503 page
    ERROR_PAGE_AFTER = "5xx-after"  # done; a bare 502 page
    HTML = "html"  # not done; an HTML page with status 200
    CUT = "cut"  # done; half of the JSON under a Content-Length that fits
    CUT_CONNECTION = "cut-connection"  # done; the connection closes half-way through the answer
    SLOW = "slow"  # done; the answer waits some seconds
    PARTIAL = "partial"  # of a view: half of the samples are missing, the counts are whole
    LISTED = "listed"  # of a view: the list of models comes instead


CALLS = (
    "create",
    "list",
    "view",
    "upload",
    "model_train",
    "sample_remove",
    "class_remove",
    "model_remove",
    "detect",
)

_SECONDS = {Kind.LATE: (5.0, 5.0), Kind.SLOW: (5.0, 5.0)}
_RANGE = re.compile(r"(\d+(?:\.\d+)?|inf)(?:-(\d+(?:\.\d+)?))?(ms|s|)")
_RULE = re.compile(
    r"(?P<call>\*|[a-z_]+)(?::(?P<first>\d+)(?:-(?P<last>\d+))?|@(?P<share>[\d.]+)(?P<percent>%?))?"
    r"=(?P<kind>[a-z0-9-]+?)(?:~(?P<seconds>.+))?"
)


def read_range(text: str) -> tuple[float, float]:
    """Seconds from texts such as ``20-50ms``, ``0.2-2s`` or ``1s``; a bare number is seconds.

    Raises:
        ValueError: the text is none of these.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a time or a range of times: {text!r} (write 50ms, 20-50ms or 0.2-2s)")
    scale = 0.001 if match[3] == "ms" else 1.0
    low = float(match[1]) * scale
    high = float(match[2]) * scale if match[2] else low
    if high < low:
        raise ValueError(f"a range goes from low to high: {text!r}")
    return low, high


@dataclass(frozen=True, slots=True)
class Rule:
    """One wish: which requests of which call (``*``: any) get which fault.

    By number (``first`` to ``last``, from 1, counted per call) or else with the probability ``share``.
    """

    call: str
    kind: Kind
    first: int = 0
    last: int = 0
    share: float = 0.0
    seconds: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def read(cls, text: str) -> Self:
        """A rule from ``upload:3=lost-after``, ``upload:3-7=5xx``, ``*@10%=lost-before``, ``view=slow~0.5-2s``.

        Without a number or a share every request of the call gets it; ``late~inf`` is never done by itself.

        Raises:
            ValueError: the text is no rule; the message says what is wrong with it.
        """
        match = _RULE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not a fault: {text!r} (write upload:3=lost-after or view@10%=5xx)")
        call = match["call"]
        if call != "*" and call not in CALLS:
            raise ValueError(f"no call {call!r}; there are {', '.join(CALLS)} and *")
        try:
            kind = Kind(match["kind"])
        except ValueError:
            raise ValueError(f"no fault {match['kind']!r}; there are {', '.join(Kind)}") from None
        seconds = read_range(match["seconds"]) if match["seconds"] else _SECONDS.get(kind, (0.0, 0.0))
        if match["first"]:
            first = int(match["first"])
            return cls(call, kind, first, int(match["last"] or first), seconds=seconds)
        share = float(match["share"]) / (100 if match["percent"] else 1) if match["share"] else 1.0
        if not 0 <= share <= 1:
            raise ValueError(f"a probability lies between 0 and 1: {text!r}")
        return cls(call, kind, share=share, seconds=seconds)


@dataclass(frozen=True, slots=True)
class Faults:
    """All wishes, the seed of the dice, and the seconds (from, to) every answer takes besides the work."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0
    latency: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def read(cls, *rules: str, seed: int = 0, latency: str = "0") -> Self:
        """Faults from texts; see ``Rule.read`` and ``read_range``.

        Raises:
            ValueError: one of the texts cannot be read.
        """
        return cls(tuple(Rule.read(text) for text in rules), seed, read_range(latency))


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request gets: a fault or none, its seconds, and the waits before and after the work."""

    kind: Kind | None
    seconds: float
    before: float
    after: float


class FaultSchedule:
    """Deals each request its fault; the same seed and the same order of requests give the same faults."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def deal(self, call: str) -> Fault:
        """The first rule that fits decides. The work lies anywhere within the latency, as on a real way."""
        with self._lock:
            for name in (call, "*"):
                self._seen[name] = self._seen.get(name, 0) + 1
            rule = next((rule for rule in self._faults.rules if self._fits(rule, call)), None)
            latency = self._random.uniform(*self._faults.latency)
            before = latency * self._random.random()
            seconds = self._pick(rule.seconds) if rule else 0.0
        return Fault(rule.kind if rule else None, seconds, before, latency - before)

    def _fits(self, rule: Rule, call: str) -> bool:
        if rule.call not in (call, "*"):
            return False
        if rule.first:
            return rule.first <= self._seen[rule.call] <= rule.last
        return self._random.random() < rule.share

    def _pick(self, seconds: tuple[float, float]) -> float:
        low, high = seconds
        return low if math.isinf(low) else self._random.uniform(low, high)
