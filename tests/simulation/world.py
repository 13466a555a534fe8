"""Virtual time and simulated processes.

Every simulated process and every piece of work in it is a greenlet. Only one runs at a time, and it runs until it
waits: for time, for an answer, for its workers. What happens next is the earliest event of one queue, so that a seed
alone decides the order of everything.
"""

import heapq
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

MOST_TURNS = 100_000
Hook = Callable[["Process", str], None]


class Crash(BaseException):
    """A process dies at this instruction. What its clean-up code then tries has no effect any more."""


class Broken(Exception):
    """A promise of the design, section 3, does not hold; ``promise`` is its number."""

    def __init__(self, promise: int, what: str) -> None:
        super().__init__(f"promise {promise}: {what}")
        self.promise = promise


class World:
    """Time, the queue of events, and the story of what happened (kept only when it will be read)."""

    def __init__(self, tell: bool = False) -> None:
        self.time = 1_000_000.0
        self.epoch = 0
        """Counts the changes that users make, so that events at one instant have an order."""
        self.times: list[float] = [self.time]
        """When each of them was."""
        self.story: list[str] | None = [] if tell else None
        self.broken: Broken | None = None
        self.effects = 0
        self._hub = getcurrent()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._turns = 0

    def begin_change(self) -> None:
        self.epoch += 1
        self.times.append(self.time)

    def tell(self, line: Callable[[], str] | str) -> None:
        if self.story is not None:
            text = line if isinstance(line, str) else line()
            self.story.append(f"{self.time - 1_000_000.0:9.3f}  {text}")

    def violate(self, promise: int, what: str) -> None:
        """Notes a broken promise; the walk ends at the next turn of the hub, whatever the code under test catches."""
        if self.broken is None:
            self.broken = Broken(promise, what)
            self.tell(lambda: f"BROKEN  {self.broken}")

    def at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, self._order, event))
        self._order += 1

    def turn(self) -> bool:
        """Lets the next event happen; False when there is none."""
        if self.broken is not None:
            raise self.broken
        if not self._events:
            return False
        self._turns += 1
        if self._turns > MOST_TURNS:
            raise Broken(4, "it does not come to an end")
        when, _, event = heapq.heappop(self._events)
        self.time = max(self.time, when)
        event()
        if self.broken is not None:
            raise self.broken
        return True

    def run_while(self, condition: Callable[[], bool]) -> None:
        while condition() and self.turn():
            pass

    def run_until(self, when: float) -> None:
        while self._events and self._events[0][0] <= when:
            self.turn()
        self.time = max(self.time, when)

    def yield_to_hub(self) -> None:
        self._hub.switch()

    @property
    def hub(self) -> greenlet:
        return self._hub


class _Strand(greenlet):
    """One greenlet of a process."""

    process: "Process"


def current() -> "Process | None":
    """The process whose code is running, if any."""
    return getattr(getcurrent(), "process", None)


class Process:
    """One simulated process: its greenlets, and what happens to it at which of its effects.

    ``due`` says what happens at the nth effect: the hook may raise, kill, freeze or let a user do something.
    ``every`` is asked at each effect of its kind, for faults that stay.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.ended = False
        self.stopping = False
        self.count = 0
        self.due: dict[int, Hook] = {}
        self.every: Hook | None = None
        self.frozen_at = 0.0
        self.frozen_until = 0.0
        self.result: Any = None
        self.error: BaseException | None = None
        self.on_end: list[Callable[[], None]] = []
        self.failed: set[str] = set()
        """The kinds of effects that an accident let fail."""
        self.private = False
        """Whether it went on with an index of its own."""
        self.on_stop: list[Callable[[], None]] = []
        """What is woken when the user stops the run."""
        self._strands: list[_Strand] = []
        self._sleepers: list[Callable[[], None]] = []

    @property
    def gone(self) -> bool:
        """Nothing of it is left, no request under way either."""
        return not self._strands

    def start(self, work: Callable[[], Any]) -> None:
        """Runs the process's main work, from the next turn on."""

        def main() -> None:
            try:
                self.result = work()
            except Crash:
                self.dead = True
            except Exception as error:  # noqa: BLE001
                self.error = error
            finally:
                self.ended = True

        self.spawn(main)

    def spawn(self, work: Callable[[], None]) -> None:
        def body() -> None:
            try:
                work()
            except Crash:
                pass
            finally:
                self._strands.remove(strand)
                if not self._strands:
                    self._close()

        strand = _Strand(body, self.world.hub)
        strand.process = self
        self._strands.append(strand)
        self.world.at(self.world.time, lambda: self._begin(strand))

    def effect(self, what: str) -> None:
        """Called by every part of the seam, before what it does."""
        if self.dead:
            raise Crash
        self.count += 1
        self.world.effects += 1
        hook = self.due.pop(self.count, None)
        if hook is not None:
            hook(self, what)
        if self.every is not None:
            self.every(self, what)

    def waker(self) -> Callable[[], None]:
        """A function that lets the strand which is running now go on, once; to be had before ``pause``."""
        strand = getcurrent()
        assert isinstance(strand, _Strand)
        woken = False

        def wake() -> None:
            nonlocal woken
            if woken or self.dead or strand.dead:
                return
            if self.frozen_until > self.world.time:
                self.world.at(self.frozen_until, wake)
                return
            woken = True
            strand.switch()

        return wake

    def pause(self) -> None:
        """Lets others run until the strand is woken."""
        if self.dead:
            raise Crash
        self.world.yield_to_hub()

    def wait(self, until: float, interruptible: bool = False) -> None:
        """Lets time pass for the strand that calls; a stop wakes it early where it is ``interruptible``."""
        wake = self.waker()
        self.world.at(until, wake)
        if interruptible:
            self._sleepers.append(wake)
        self.pause()
        if interruptible and wake in self._sleepers:
            self._sleepers.remove(wake)

    def freeze(self, seconds: float) -> None:
        """Nothing of this process runs for so long (SIGSTOP, a machine under load); called from within it."""
        self.frozen_at = self.world.time
        self.frozen_until = max(self.frozen_until, self.world.time + seconds)
        self.wait(self.frozen_until)

    def ask_to_stop(self) -> None:
        """Ctrl-C, once."""
        if self.ended or self.dead:
            return
        self.stopping = True
        for wake in self._sleepers + self.on_stop:
            self.world.at(self.world.time, wake)
        self._sleepers = []

    def kill(self) -> None:
        """``kill -9``, from anywhere, itself included."""
        if self.dead or not self._strands:
            return
        self.world.tell(lambda: f"{self.name} is killed at its effect {self.count}")
        self.dead = True
        self.ended = True
        if getcurrent() in self._strands:
            # It may hold a lock that the others want while they fall.
            self.world.at(self.world.time, self._fell)
            raise Crash
        self._fell()

    def _fell(self) -> None:
        me = getcurrent()
        for strand in list(self._strands):
            if strand:
                strand.parent = me
                strand.throw(Crash)
            elif strand in self._strands:
                self._strands.remove(strand)
        self._close()

    def _begin(self, strand: _Strand) -> None:
        if self.dead:
            return
        if self.frozen_until > self.world.time:
            self.world.at(self.frozen_until, lambda: self._begin(strand))
            return
        strand.switch()

    def _close(self) -> None:
        on_end, self.on_end = self.on_end, []
        for action in on_end:
            action()
