"""Pushes that are killed, on a store that changes."""

from tests.crash.loop import FAULTS, CrashLoop


class Pushes:
    """Each cycle kills one push, and mostly changes the store afterwards."""

    def __init__(self, loop: CrashLoop) -> None:
        self.loop = loop

    def play(self, cycle: int) -> None:
        loop = self.loop
        loop.box.set_faults(*FAULTS, seed=loop.dice.randrange(2**32))
        killed = loop.kill_one()
        loop.check(f"cycle {cycle}")
        # A user often repeats a killed command immediately, with the same work to do.
        if not killed or loop.dice.random() < 0.4:
            loop.change()

    def summary(self) -> str:
        return f"{len(self.loop.ever)} contents were on the service, all of them are in the backup"
