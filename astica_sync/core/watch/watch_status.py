"""The status of a watcher as plain data: its states, and what ``watch status`` prints in another terminal."""

import math
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

FORMAT = 1
MAX_ERRORS = 5
MAX_WAITS = 50
MAX_NUMBER = 2**53


class WatchState(StrEnum):
    """*idle*: nothing to do; *working*: it uploads or compares; *resting*: it failed and tries again; *held*: the
    store is missing, or must not be synced now; *halted*: it sends nothing until the settings or the key change;
    *paused*: paused by the user."""

    STARTING = "starting"
    IDLE = "idle"
    WORKING = "working"
    RESTING = "resting"
    HELD = "held"
    HALTED = "halted"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(slots=True)
class WatchStatus:
    """The status of one store's watcher; all times are seconds since the epoch. The field names are those of
    ``watch status --json``.

    ``since`` is when the process began to watch, ``state_since`` when the state began and ``why`` its reason,
    ``agreed_at`` when service and store were last known to be in sync, ``polls`` why the watcher polls instead of
    receiving events, ``waits`` and ``refusals`` what is not done and why; ``undecided`` is how many of
    the queue wait for the user. ``failures`` counts samples that could not be
    uploaded or removed and answers that were lost, ``troubles`` what made the watcher rest, hold or halt, both by the
    kind of error. ``eta`` is how many seconds the queue takes. ``held_out`` counts images of the store that are held
    out as well.
    """

    store: str
    pid: int
    since: float
    state: WatchState = WatchState.STARTING
    state_since: float = 0.0
    why: str = ""
    next_try_at: float | None = None
    agreed_at: float | None = None
    polls: str = ""
    queue: int = 0
    waits: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    problems: int = 0
    failed: int = 0
    uploaded: int = 0
    removed: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    eta: float = 0.0
    scan_seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    undecided: int = 0
    held_out: int = 0

    def add_error(self, error: str, kind: str) -> None:
        """Keeps the last few errors, and counts all by kind."""
        self.troubles[kind] = self.troubles.get(kind, 0) + 1
        if error not in self.errors[-1:]:
            self.errors = [*self.errors, error][-MAX_ERRORS:]

    @classmethod
    def from_data(cls, data: object) -> "WatchStatus":
        """The status in what a file contains, which another program may have written.

        Raises:
            ValueError: a field is missing, unknown or of another type.
        """
        if not isinstance(data, dict):
            raise ValueError("not an object")
        values = {name: value for name, value in data.items() if name != "format"}
        try:
            values["state"] = WatchState(values["state"])
            status = cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"a field is missing or unknown: {error}") from None
        wrong = [one.name for one in fields(cls) if not _is_a(getattr(status, one.name), _kind_of(one.type))]
        if wrong:
            raise ValueError(f"of another type: {', '.join(wrong)}")
        return status

    def as_data(self) -> dict[str, Any]:
        """The object that is written and printed; long lists are cut."""
        data = asdict(self)
        data["waits"] = self.waits[:MAX_WAITS]
        return {"format": FORMAT, **data}


def _kind_of(annotation: object) -> str:
    return annotation.__name__ if annotation in (int, float, str, WatchState) else str(annotation)


def _is_a(value: object, kind: str) -> bool:
    """Whether a value from JSON is of the type of a field. Numbers are those that can be a time or a count."""
    kind, _, optional = kind.partition(" | ")
    if value is None:
        return optional == "None"
    if kind == "list[str]":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind == "dict[str, int]":
        return isinstance(value, dict) and all(_is_a(one, "int") for one in value.values())
    if kind in ("int", "float"):
        wanted = int if kind == "int" else (int, float)
        return isinstance(value, wanted) and not isinstance(value, bool) and math.fabs(value) < MAX_NUMBER
    return isinstance(value, str)
