"""What the driver tells while it works. The command line shows it; nothing in the driver depends on it."""

from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan


class ProgressListener:
    """Hears everything and does nothing; commands override what they show."""

    def phase(self, text: str) -> None:
        """A step begins that may take a while."""

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        """What this round is going to do, and how many seconds its requests will take."""

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        """One upload was confirmed; ``eta`` seconds remain."""

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        """A removal was confirmed; ``samples`` is more than one for a whole class."""

    def failed(self, class_title: str, path: str, reason: str) -> None:
        """One sample could not be sent or removed; the others go on."""

    def waits(self, seconds: float, why: str) -> None:
        """Nothing is sent for this long."""

    def asks(self, text: str) -> None:
        """Something waits for a person's word."""

    def note(self, text: str) -> None:
        """Something a person should know."""
