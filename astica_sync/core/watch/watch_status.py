"""What a watcher says about itself, as plain data: the words for its states, and what another terminal may read."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

FORMAT = 1
ERRORS_KEPT = 5


class State(StrEnum):
    """*idle*: nothing to do; *working*: something goes up or is looked at; *resting*: it failed and is tried again;
    *held*: the store is not there, or must not be touched now; *halted*: it needs a person and asks for nothing until
    the settings change; *paused*: a person said so."""

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
    """One store's watcher at one moment; all times are seconds since the epoch.

    ``since`` is when the process began to watch, ``state_since`` when the state began and ``why`` the reason for it,
    ``agreed_at`` when service and store were last known to be equal, ``polls`` why changes are looked for instead of
    heard, ``waits`` and ``refusals`` what is not done and why. ``failures`` counts samples that could not be sent or
    removed and answers that were lost, ``troubles`` what made it rest, hold or halt, both by the kind of error. ``eta``
    are the seconds that the queue will take.
    """

    store: str
    pid: int
    since: float
    state: State = State.STARTING
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

    def remember(self, error: str, kind: str) -> None:
        """Keeps the last few errors, and counts them by kind."""
        self.troubles[kind] = self.troubles.get(kind, 0) + 1
        if error not in self.errors[-1:]:
            self.errors = [*self.errors, error][-ERRORS_KEPT:]

    def as_data(self) -> dict[str, Any]:
        """The object that is written and printed; long lists are cut."""
        data = asdict(self)
        data["waits"] = self.waits[:50]
        return {"format": FORMAT, **data}
