"""What the service has refused, for ``doctor`` and for the end of a push: requests for its limit, and API keys. Each is
a JSON file in the state folder, with one object for each name of a request budget. There is no key in it: a name is a
hash."""

import contextlib
import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from astica_sync.file_owner import create_private, remove_left_over

FILE_NAME = "refusals.json"
KEYS_FILE = "refused-keys.json"
STRETCH_SECONDS = 3600.0
"""Refusals with no longer gap between two of them are counted together."""
FORGET_SECONDS = 30 * 86_400.0
LOCK_SECONDS = 2.0
MOST_BYTES = 1_000_000
MOST_RECENT = 1_000
MOST_KEYS = 20


@dataclass(frozen=True, slots=True)
class LimitRefusals:
    """``count`` requests that were refused between ``first`` and ``last``, in seconds since the epoch, while at most
    ``limit`` were sent in ``window`` seconds.

    ``passed`` is the fewest that were not refused in the window before a refusal, over all programs that share the
    budget; None where that is not known.
    """

    first: float
    last: float
    count: int
    limit: int
    window: float
    passed: int | None


@dataclass(frozen=True, slots=True)
class SeenRefusals:
    """``count`` requests that were refused now: ``at`` in seconds since the epoch, and ``ticks`` on a clock that cannot
    be set. ``answered`` is how many requests of the last window are answered, those that were refused included; None
    where that is not known."""

    count: int
    answered: int | None
    at: float
    ticks: float


def record_refusal(folder: Path, name: str, terms: tuple[int, float], seen: SeenRefusals) -> None:
    """Adds what was refused. What cannot be written is left out: no command fails for it.

    Args:
        name: that of the request budget.
        terms: the limit that was kept and its window in seconds.
    """
    # Loaded here: most commands record nothing.
    from astica_sync.system.native_lock import lock_if_free

    file, at = folder / FILE_NAME, seen.at
    with contextlib.suppress(Exception), lock_if_free(file.with_name(f"{FILE_NAME}.lock"), wait_s=LOCK_SECONDS) as held:
        if not held:
            return
        entries = {key: entry for key, entry in _entries(folder).items() if at - entry[0].last < FORGET_SECONDS}
        known, times = entries.get(name, (None, []))
        recent = [*(one for one in times if seen.ticks - terms[1] < one <= seen.ticks), *[seen.ticks] * seen.count][
            -MOST_RECENT:
        ]
        passed = None if seen.answered is None else max(0, seen.answered - len(recent))
        if known is None or known.last + STRETCH_SECONDS < at or (known.limit, known.window) != terms:
            if not seen.count:
                return
            known = LimitRefusals(at, at, 0, *terms, passed)
        fewest = min((one for one in (known.passed, passed) if one is not None), default=None)
        known = replace(known, first=min(known.first, at), last=at, count=known.count + seen.count, passed=fewest)
        data = {key: {**asdict(entry), "recent": times} for key, (entry, times) in entries.items()}
        data[name] = {**asdict(known), "recent": recent}
        _write(file, data)


def last_refusals(folder: Path, names: Collection[str]) -> LimitRefusals | None:
    """The last ones of these request budgets, of any where none is named; None where none are recorded."""
    found = [entry for name, (entry, _) in _entries(folder).items() if not names or name in names]
    return max(found, key=lambda entry: entry.last, default=None)


def _entries(folder: Path) -> dict[str, tuple[LimitRefusals, list[float]]]:
    """What is recorded, by the name of the budget; what cannot be read is left out."""
    found: dict[str, tuple[LimitRefusals, list[float]]] = {}
    for name, value in _read(folder / FILE_NAME).items():
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            found[name] = _entry(value)
    return found


def _entry(value: Any) -> tuple[LimitRefusals, list[float]]:
    passed = value["passed"]
    entry = LimitRefusals(
        float(value["first"]),
        float(value["last"]),
        int(value["count"]),
        int(value["limit"]),
        float(value["window"]),
        None if passed is None else int(passed),
    )
    return entry, [float(one) for one in value["recent"]]


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """``at`` is when ``host`` last refused the key, in seconds since the epoch, and ``source`` where the command had it
    from: a variable, a file or the keyring."""

    at: float
    host: str
    source: str


def record_refused_key(folder: Path, name: str, refused: RefusedKey) -> None:
    """Adds one, and leaves out those that are old. What cannot be written is left out: no command fails for it."""
    known = {key: one for key, one in read_refused_keys(folder).items() if refused.at - one.at < FORGET_SECONDS}
    known.pop(name, None)
    _write_keys(folder, {**known, name: refused})


def forget_refused_key(folder: Path, name: str) -> None:
    """The service has accepted it since."""
    known = read_refused_keys(folder)
    if known.pop(name, None) is not None:
        _write_keys(folder, known)


def read_refused_keys(folder: Path) -> dict[str, RefusedKey]:
    """The keys by the name of their budget, the one that was refused last at the end; what cannot be read is left
    out."""
    found: dict[str, RefusedKey] = {}
    for name, value in _read(folder / KEYS_FILE).items():
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            found[name] = RefusedKey(float(value["at"]), str(value["host"]), str(value["source"]))
    return found


def _write_keys(folder: Path, known: dict[str, RefusedKey]) -> None:
    with contextlib.suppress(Exception):
        _write(folder / KEYS_FILE, {name: asdict(one) for name, one in [*known.items()][-MOST_KEYS:]})


def _read(file: Path) -> dict[str, Any]:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with open(os.open(file, flags), "rb") as opened:
            data = json.loads(opened.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _write(file: Path, data: dict[str, Any]) -> None:
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        with open(create_private(new), "w", encoding="utf-8") as opened:
            opened.write(json.dumps(data))
        new.replace(file)
    finally:
        # A full disk leaves an empty one.
        new.unlink(missing_ok=True)
    remove_left_over(file)
