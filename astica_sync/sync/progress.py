"""What a run reports while it works: facts. A command displays them; nothing in the run depends on it."""

from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan


class ProgressListener:
    """Ignores every report; a command overrides the methods for what it displays. Any thread may report."""

    def phase(self, text: str) -> None:
        """A step begins that may take a while; it ends with ``phase_ended``, or with the next one."""

    def phase_ended(self) -> None:
        """The step has ended."""

    def scanned(self, compared: int, read: int) -> None:
        """A scan has compared so many files, and read so many of them."""

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        """What this round is going to do, and how many seconds its requests will take."""

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        """One upload was confirmed; ``eta`` seconds remain."""

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        """A removal was confirmed; ``samples`` is more than one for a whole class."""

    def failed(self, class_title: str, path: str, reason: str) -> None:
        """One sample could not be sent or removed; the others continue."""

    def waits(self, seconds: float, why: str) -> None:
        """Nothing is sent for so many seconds. The next report of a step or a request ends the wait early."""

    def next_request(self, seconds: float, why: str) -> None:
        """Requests are ready, and the next one leaves in so many seconds at the earliest."""

    def request_sent(self, size: int) -> None:
        """A request leaves; ``size`` is that of its image in bytes."""

    def request_ended(self, size: int, *, answered: bool) -> None:
        """A request that was sent has ended."""

    def asks(self, text: str) -> None:
        """Something waits for the user's confirmation."""

    def note(self, text: str) -> None:
        """Something the user should know."""
