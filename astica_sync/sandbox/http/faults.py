"""Faults that a sandbox simulates: their kinds, their rules as texts, and which request gets which."""

import math
import random
import re
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class FaultKind(StrEnum):
    """What can go wrong with one request; *done* means that the request is carried out all the same."""

    LOST_BEFORE = "lost-before"  # not done; the connection closes without an answer
    LOST_AFTER = "lost-after"  # done; the connection closes without an answer
    LATE = "late"  # the connection closes without an answer; done some seconds later
    TWICE = "twice"  # done twice, answered once
    ERROR_PAGE = "5xx"  # not done; an HTML page with status 503
    ERROR_PAGE_AFTER = "5xx-after"  # done; an HTML page with status 502
    HTML = "html"  # not done; an HTML page with status 200
    CUT = "cut"  # done; half of the JSON, with a Content-Length that matches it
    CUT_CONNECTION = "cut-connection"  # done; the connection closes half-way through the answer
    SLOW = "slow"  # done; the answer arrives some seconds later
    PARTIAL = "partial"  # of a view: half of the samples are missing, the counts are complete
    LISTED = "listed"  # of a view: the list of models in its place


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

_SECONDS = {FaultKind.LATE: (5.0, 5.0), FaultKind.SLOW: (5.0, 5.0)}
_RANGE = re.compile(r"(\d+(?:\.\d+)?|inf)(?:-(\d+(?:\.\d+)?))?(ms|s|)")
_RULE = re.compile(
    r"(?P<call>\*|[a-z_]+)(?::(?P<first>\d+)(?:-(?P<last>\d+))?|@(?P<share>[\d.]+)(?P<percent>%?))?"
    r"=(?P<kind>[a-z0-9-]+?)(?:~(?P<seconds>.+))?"
)


def parse_range(text: str) -> tuple[float, float]:
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
        raise ValueError(f"a range needs its lower value first: {text!r}")
    return low, high


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Which requests of which call (``*``: any) get which fault.

    Selected by number (``first`` to ``last``, from 1, for each call) or else with the probability ``share``.
    """

    call: str
    kind: FaultKind
    first: int = 0
    last: int = 0
    share: float = 0.0
    seconds: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A rule from ``upload:3=lost-after``, ``upload:3-7=5xx``, ``*@10%=lost-before``, ``view=slow~0.5-2s``.

        Without a number or a share, every request of the call gets the fault. A request with ``late~inf`` is
        carried out only by ``run_late``.

        Raises:
            ValueError: the text is not a rule; the message says why.
        """
        match = _RULE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not a fault: {text!r} (write upload:3=lost-after or view@10%=5xx)")
        call = match["call"]
        if call != "*" and call not in CALLS:
            raise ValueError(f"no call {call!r}; there are {', '.join(CALLS)} and *")
        try:
            kind = FaultKind(match["kind"])
        except ValueError:
            raise ValueError(f"no fault {match['kind']!r}; there are {', '.join(FaultKind)}") from None
        seconds = parse_range(match["seconds"]) if match["seconds"] else _SECONDS.get(kind, (0.0, 0.0))
        if match["first"]:
            first = int(match["first"])
            return cls(call, kind, first, int(match["last"] or first), seconds=seconds)
        share = float(match["share"]) / (100 if match["percent"] else 1) if match["share"] else 1.0
        if not 0 <= share <= 1:
            raise ValueError(f"a probability is between 0 and 1: {text!r}")
        return cls(call, kind, share=share, seconds=seconds)


@dataclass(frozen=True, slots=True)
class Faults:
    """All rules, the seed of the random numbers, and the extra seconds (from, to) of every answer."""

    rules: tuple[FaultRule, ...] = ()
    seed: int = 0
    latency: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def parse(cls, *rules: str, seed: int = 0, latency: str = "0") -> Self:
        """Faults from texts; see ``FaultRule.read`` and ``parse_range``.

        Raises:
            ValueError: one of the texts cannot be read.
        """
        return cls(tuple(FaultRule.parse(text) for text in rules), seed, parse_range(latency))


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one request or none, its seconds, and the delays before and after the request is carried out."""

    kind: FaultKind | None
    seconds: float
    before: float
    after: float


class FaultSchedule:
    """Chooses the fault of each request; the same seed and order of requests give the same faults."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def next_fault(self, call: str) -> Fault:
        """The fault of the next request, by the first rule that matches. The request is carried out at a random
        time within the latency, as over a real network."""
        with self._lock:
            for name in (call, "*"):
                self._counts[name] = self._counts.get(name, 0) + 1
            rule = next((rule for rule in self._faults.rules if self._matches(rule, call)), None)
            latency = self._random.uniform(*self._faults.latency)
            before = latency * self._random.random()
            seconds = self._pick(rule.seconds) if rule else 0.0
        return Fault(rule.kind if rule else None, seconds, before, latency - before)

    def _matches(self, rule: FaultRule, call: str) -> bool:
        if rule.call not in (call, "*"):
            return False
        if rule.first:
            return rule.first <= self._counts[rule.call] <= rule.last
        return self._random.random() < rule.share

    def _pick(self, seconds: tuple[float, float]) -> float:
        low, high = seconds
        return low if math.isinf(low) else self._random.uniform(low, high)
