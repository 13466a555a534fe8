"""The options of a sandbox: its address, its limit, its switches and its faults."""

from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.sandbox.http.faults import Faults
from astica_sync.sandbox.switches import Switches, setting

LIMIT = 90
WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """The options with which a sandbox is started. Each endpoint has its own limit."""

    host: str = setting("loopback address to listen on", "127.0.0.1")
    port: int = setting("port to listen on (0: any free one)", 8777)
    data: Path | None = setting("folder for the account, kept between runs (none: a temporary one)", None)  # noqa: RUF009 - it returns a field
    key: str = setting("the API key that is accepted", "sandbox-key")
    limit: int = setting("requests allowed per window and endpoint", LIMIT)
    window: float = setting("seconds of the sliding window of the limit", WINDOW)
    switches: Switches = field(
        default_factory=Switches, metadata={"help": "behaviour that the documentation leaves open"}
    )
    faults: Faults = field(default_factory=Faults, metadata={"help": "faults to simulate"})

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window <= 0:
            raise ValueError("the limit must be at least one request, and the window longer than 0 seconds")
        if not self.key:
            raise ValueError("the API key is empty")
