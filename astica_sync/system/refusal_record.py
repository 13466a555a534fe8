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
MARGIN = 1.1
"""The service and this machine do not see a window begin at the same time, so that a few more or fewer fit into it."""
MOST_KEYS = 20


@dataclass(frozen=True, slots=True)
class LimitRefusals:
    """``count`` requests that were refused between ``first`` and ``last``, in seconds since the epoch, while at most
    ``limit`` were sent in ``window`` seconds.

    ``passed`` is how many were not refused in the window before the last refusal, over all programs that share the
    budget: the fewest where several in that window were counted; None where that is not known. ``later`` is the most
    that passed in one window since then.
    """

    first: float
    last: float
    count: int
    limit: int
    window: float
    passed: int | None
    later: int = 0

    @property
    def are_outdated(self) -> bool:
        """Whether clearly more has passed since: another program used the key then, or the service allows more now."""
        return self.passed is not None and self.later > self.passed * MARGIN + 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """``recent`` are the ticks of the refusals in the last window, ``counted`` those of the counts in it, each with how
    many had passed."""

    refusals: LimitRefusals
    recent: tuple[float, ...] = ()
    counted: tuple[tuple[float, int], ...] = ()


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
    file, at = folder / FILE_NAME, seen.at
    with contextlib.suppress(Exception), _lock(file) as held:
        if not held:
            return
        entries = {key: one for key, one in _entries(folder).items() if at - one.refusals.last < FORGET_SECONDS}
        entry = entries.get(name)
        since = seen.ticks - terms[1]
        recent = [one for one in (entry.recent if entry else ()) if since < one <= seen.ticks]
        recent = [*recent, *[seen.ticks] * seen.count][-MOST_RECENT:]
        counted = [one for one in (entry.counted if entry else ()) if since < one[0] <= seen.ticks]
        known = entry.refusals if entry else None
        if known is None or known.last + STRETCH_SECONDS < at or (known.limit, known.window) != terms:
            if not seen.count:
                return
            known, counted = LimitRefusals(at, at, 0, *terms, None), []
        if seen.answered is not None:
            counted = [*counted, (seen.ticks, max(0, seen.answered - len(recent)))][-MOST_RECENT:]
        passed = min((passed for _, passed in counted), default=known.passed)
        count = known.count + seen.count
        known = replace(known, first=min(known.first, at), last=at, count=count, passed=passed, later=0)
        entries[name] = _Entry(known, tuple(recent), tuple(counted))
        _write_entries(file, entries)


def record_passed(folder: Path, name: str, terms: tuple[int, float], count: int, since: float) -> None:
    """Records that ``count`` requests passed in one window, which began at ``since`` in seconds since the epoch, where
    that is after the last refusal. What cannot be written is left out."""
    file = folder / FILE_NAME
    if not file.exists():
        return
    with contextlib.suppress(Exception), _lock(file) as held:
        entries = _entries(folder) if held else {}
        entry = entries.get(name)
        if entry is None:
            return
        known = entry.refusals
        if (known.limit, known.window) == terms and since > known.last and count > known.later:
            entries[name] = replace(entry, refusals=replace(known, later=count))
            _write_entries(file, entries)


def _lock(file: Path) -> contextlib.AbstractContextManager[bool]:
    """Gives whether no other process writes the file now."""
    # Loaded here: most commands record nothing.
    from astica_sync.system.native_lock import lock_if_free

    return lock_if_free(file.with_name(f"{file.name}.lock"), wait_s=LOCK_SECONDS)


def last_refusals(folder: Path, names: Collection[str]) -> LimitRefusals | None:
    """The last ones of these request budgets, of any where none is named; None where none are recorded."""
    found = [entry.refusals for name, entry in _entries(folder).items() if not names or name in names]
    return max(found, key=lambda entry: entry.last, default=None)


def _entries(folder: Path) -> dict[str, _Entry]:
    """What is recorded, by the name of the budget; what cannot be read is left out."""
    found: dict[str, _Entry] = {}
    for name, value in _read(folder / FILE_NAME).items():
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            found[name] = _entry(value)
    return found


def _entry(value: Any) -> _Entry:
    passed = value["passed"]
    refusals = LimitRefusals(
        float(value["first"]),
        float(value["last"]),
        int(value["count"]),
        int(value["limit"]),
        float(value["window"]),
        None if passed is None else int(passed),
        int(value.get("later", 0)),
    )
    # Version 0.2.0 had no counts.
    counted = tuple((float(ticks), int(passed)) for ticks, passed in value.get("counted", ()))
    return _Entry(refusals, tuple(float(one) for one in value["recent"]), counted)


def _write_entries(file: Path, entries: dict[str, _Entry]) -> None:
    data = {
        name: {**asdict(entry.refusals), "recent": entry.recent, "counted": entry.counted}
        for name, entry in entries.items()
    }
    _write(file, data)


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
