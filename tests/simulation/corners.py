"""Short stories that chance alone hardly ever tells, each around one thing that must not go wrong.

A corner is one step of a walk, so it meets all faults and switches of that walk, and shrinks as one piece.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.world import Process

if TYPE_CHECKING:
    from tests.simulation.machine import Run, Store
    from tests.simulation.walk import Play

FIRST_IMAGE = 70
"""Images of corners are numbered from here on, so that nothing else in the walk holds their bytes."""


def forgotten(play: "Play", store: "Store", draw: random.Random) -> None:
    """A class of the service cannot be read, no index knows what was in it, and the user agrees to everything."""
    _fill(play, store, "Crate", 2)
    _push(play, store, draw)
    play.world.begin_change()
    store.databases.restore(store.index_name)
    crate = store.shown("Crate")
    if crate is not None:
        crate.locked = True
        crate.ctime = store.machine.volume.now()
    play.world.tell(f"{store.name}: the index is gone, and Crate cannot be read")
    _push(play, store, draw)


def crowded(play: "Play", store: "Store", draw: random.Random) -> None:
    """A whole class is removed, and another user adds to it after the view that the plan is made from."""
    _fill(play, store, "Crate", 4)
    _push(play, store, draw)
    _empty(play, store, "Crate")

    def add(process: Process, what: str) -> None:
        if what == "answered":
            process.every = None
            play.service.add("Crate", "mine", "web")
            play.world.tell(f"{store.name}: web add: Crate")

    _push(play, store, draw, lambda run: setattr(run, "every", add))


def asked_twice(play: "Play", store: "Store", draw: random.Random) -> None:
    """The user agrees to the removal of one class, and not to that of another one deleted before the next round."""
    for title in ("Crate", "Flask"):
        _fill(play, store, title, 2)
    _push(play, store, draw)
    _empty(play, store, "Crate")
    asked = 0

    def consent(_: object) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            _empty(play, store, "Flask")
        return asked == 1

    _push(play, store, draw, lambda run: run.answers.update({2: "lost after"}), consent)


CORNERS: dict[str, Callable[["Play", "Store", random.Random], None]] = {
    "corner: forgotten": forgotten,
    "corner: crowded": crowded,
    "corner: asked twice": asked_twice,
}


def _fill(play: "Play", store: "Store", title: str, count: int) -> None:
    play.world.run_while(lambda: any(not run.gone for run in store.live))
    play.users.act("repair", store, random.Random(0))
    first = FIRST_IMAGE + 10 * (title == "Flask")
    for number in range(first, first + count):
        play.users.write(store, f"{title}/{number}.png", number)
    play.world.tell(f"{store.name}: {count} images in {title}")


def _empty(play: "Play", store: "Store", title: str) -> None:
    play.world.begin_change()
    if store.shown(title) is not None:
        play.users.take(store, title)
    play.world.tell(f"{store.name}: {title} is deleted")


def _push(
    play: "Play",
    store: "Store",
    draw: random.Random,
    arm: Callable[["Run"], Any] = lambda _: None,
    consent: Callable[[object], bool] = lambda _: True,
) -> None:
    run = store.start(draw.getrandbits(48), consent=consent)
    play.runs.append(run)
    arm(run)
    play.wait_for(run)
