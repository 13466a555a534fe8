"""Stories of hours: each one step of a walk, like a corner, around one of the words of ``vocabulary``."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.machine import Run, Store
    from tests.simulation.walk import Play

FIRST_IMAGE = 100
"""Images of stories are numbered from here on, so that nothing else in the walk holds their bytes."""


def drained(play: "Play", store: "Store", draw: random.Random) -> None:
    """A cloud client empties a folder, one or two files an hour, and somebody pushes after each."""
    count = max(14, store.allowance.floor + 4)
    _calm(play, store)
    for number in range(FIRST_IMAGE, FIRST_IMAGE + count):
        play.users.write(store, f"Crate/{number}.png", number)
    play.world.tell(f"{store.name}: {count} images in Crate")
    _run(play, store, draw, "push", consent=True)
    left = list(range(FIRST_IMAGE, FIRST_IMAGE + count))
    while len(left) > 1:
        play.world.begin_change()
        for number in left[: draw.choice((1, 1, 2))]:
            if store.shown(f"Crate/{number}.png") is not None:
                play.users.take(store, f"Crate/{number}.png")
            left.remove(number)
        play.world.tell(f"{store.name}: Crate has {len(left)} images left")
        play.world.run_until(play.world.time + draw.choice((70.0, 1800.0, 5000.0)))
        _run(play, store, draw, "push")


STORIES: dict[str, Callable[["Play", "Store", random.Random], None]] = {
    "story: drained": drained,
}


def _calm(play: "Play", store: "Store") -> None:
    """Nothing of this store runs any more, and all of it can be read."""
    play.world.run_while(lambda: any(not run.gone for run in store.live))
    play.users.act("repair", store, random.Random(0))


def _run(play: "Play", store: "Store", draw: random.Random, command: str, consent: bool = False) -> "Run":
    run = store.start(draw.getrandbits(48), command, consent=lambda _: consent)
    play.runs.append(run)
    play.wait_for(run)
    return run
