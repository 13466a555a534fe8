"""Long days: a watcher through nights, outages, sleeps and people, in virtual time, and what must be so at the end.

A day is a script like that of a walk, with other steps. Its seed decides everything.
"""

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.filesystem import Node
from tests.simulation.machine import Run, Store
from tests.simulation.network import CHANGE_FAULTS, VIEW_FAULTS, Faults
from tests.simulation.script import Script, Step, write_script
from tests.simulation.users import USER_ACTIONS
from tests.simulation.vocabulary import DAMAGES, DAY_WORDS
from tests.simulation.watch import Day
from tests.simulation.world import Hook, Process

if TYPE_CHECKING:
    from tests.simulation.walk import Play

HOURS = 72.0
STEPS = {
    "add": 10, "edit": 4, "delete": 5, "move": 4, "rename": 2, "rename class": 1, "copy": 3, "delete class": 1,
    "put back": 3, "unmount": 2, "replace": 1, "lock folder": 1, "lock file": 1, "repair": 5, "rot": 1,
    "web add": 1, "web remove": 2, "web twin": 1,
    "burst": 3, "outage": 4, "asleep": 3, "key refused": 2, "settings": 3, "full": 2,
    "watch": 4, "kill watcher": 3, "stop watcher": 1, "push": 2, "push consent": 2, "pause": 1, "resume": 2,
    "accident": 6, "cut power": 1, "set clock": 1,
}  # fmt: skip
# A refused sample waits for the user, and so does a refused key, which has a step of its own.
_NEEDS_THE_USER = ("refusal", "bad key")
LONGEST_REST = 300.0
SOON = 150.0
CALM = Faults()


def write_day(seed: int) -> Script:
    """The long day of a seed."""
    script = write_script(seed)
    draw = random.Random(seed ^ 0xDA1)
    every = sorted({*CHANGE_FAULTS, *VIEW_FAULTS} - {*_NEEDS_THE_USER})
    kinds = frozenset(kind for kind in every if draw.random() < 0.5)
    script.faults = Faults(kinds, draw.choice((0.0, 0.05, 0.2)), 55.0 - script.switches.lag)
    script.stores, script.terms, script.trouble = 1, None, dict.fromkeys(script.trouble, 0.0)
    # A class title that is similar to another one waits for the user, too.
    script.titles = script.titles[:3]
    event_quality = draw.choice(("well", "well", "badly", "badly", "nothing"))
    script.day = Day(
        seed=draw.getrandbits(32),
        event_quality=event_quality,
        observe_every=draw.choice((900.0, 3600.0, 14_400.0)),
        heartbeat=draw.choice((120.0, 600.0)),
        scan=draw.choice((6.0, 12.0)) if event_quality != "well" else 0.0,
    )
    weights = {
        kind: weight for kind, weight in STEPS.items() if draw.random() < 0.6 or kind in ("add", "repair", "watch")
    }
    script.steps = [Step("watch", draw.getrandbits(48))]
    time = 0.0
    while time < HOURS * 3600:
        gap = draw.random() * draw.choice((0.1, 5.0, 60.0, 1800.0, 10_800.0, 36_000.0))
        time += gap
        kind = draw.choices(list(weights), list(weights.values()))[0]
        script.steps.append(Step(kind, draw.getrandbits(48), 0, gap, False))
    add_day_words(script)
    return script


def add_day_words(script: Script) -> None:
    """Puts the words of a day between its other steps, by dice of their own."""
    draw = random.Random(script.seed ^ 0x30BDA)
    words = [word for word in DAY_WORDS if draw.random() < DAY_WORDS[word]]
    kinds = draw.choices(DAMAGES, k=draw.randint(2, 8)) if "damage" in words else []
    for word in words:
        kinds += [word] * draw.randint(1, 3) if word in _DEEDS else []
    for kind in kinds:
        script.steps.insert(draw.randint(1, len(script.steps)), Step(kind, draw.getrandbits(48), 0, 5.0, False))


def play_day(play: "Play") -> None:
    """Plays a long day, and checks at its end that everything recovered without the user."""
    draw = random.Random(play.script.seed ^ 0x5EED)
    for _ in range(draw.randint(1, 6)):
        play.users.act("add", play.stores[0], draw)
    for step in play.script.steps:
        day_step(play, step)
        play.check()
    _end_trouble(play)
    _converge(play)


def day_step(play: "Play", step: Step) -> None:
    world, draw, store = play.world, random.Random(step.seed), play.stores[0]
    world.run_until(world.time + step.gap)
    if step.kind in USER_ACTIONS:
        play.users.act(step.kind, store, draw)
    elif step.kind in _DEEDS:
        world.begin_change()
        _DEEDS[step.kind](play, store, step, draw)
    elif step.kind.startswith("push"):
        if not any(run.command == "push" and not run.gone for run in store.live):
            play.run(store, step, draw)
    else:
        play.step(replace(step, gap=0.0))
        if step.kind == "set clock":
            _forgive(store)


def _watch(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    if store.watcher is None:
        play.runs.append(store.start(step.seed, "watch", day=play.script.day))


def _kill_watcher(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    if store.watcher is not None:
        store.watcher.kill()
    if draw.random() < 0.7:
        # Its service manager starts it again.
        _watch(play, store, step, draw)


def _stop_watcher(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    if store.watcher is not None:
        play.world.tell(f"{store.watcher.name} is asked to stop")
        store.watcher.ask_to_stop()


def _burst(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    for _ in range(draw.randint(3, 9)):
        play.users.act("add", store, draw)


def _drain(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    """A cloud client begins to empty the store, file by file, for hours."""
    for _ in range(draw.randint(6, 14)):
        play.users.act("add", store, draw)
    play.world.tell("files begin to go, one after the other")
    when = play.world.time
    for _ in range(draw.randint(8, 20)):
        when += draw.random() * draw.choice((60.0, 3000.0))
        play.world.at(when, lambda: play.users.act("delete", store, draw))


def _killed_push(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    """A push by hand is killed with an upload under way, which the service carries out later."""
    run = _push_beside(play, store, step, draw, {2: "late"})

    def kill(process: Process, what: str) -> None:
        if what == "send" and run is not None and run.connection is not None and run.connection.posts == 1:
            process.every = None
            play.world.at(play.world.time + 0.9, process.kill)

    if run is not None:
        run.every = kill


def _beside(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    """A push by hand is slow to begin, and sends what the watcher has just seen."""
    _push_beside(play, store, step, draw, {1: "slow"})


def _push_beside(play: "Play", store: Store, step: Step, draw: random.Random, answers: dict[int, str]) -> Run | None:
    if any(run.command == "push" and not run.gone for run in store.live) or store.watcher is None:
        return None
    play.users.act("repair", store, draw)
    play.users.write_seen(store, f"{play.script.titles[0]}/beside{step.seed % 1000}.png", step.seed % 40 + 40)
    run = store.start(step.seed, faults=CALM)
    run.answers.update(answers)
    play.runs.append(run)
    return run


def _trouble(play: "Play", what: str, seconds: float) -> None:
    play.world.tell(f"every request meets {what!r}, for {seconds:.0f} s")
    play.service.trouble = what

    def end() -> None:
        if play.service.trouble == what:
            play.service.trouble = ""

    play.world.at(play.world.time + seconds, end)


def _outage(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    _trouble(play, draw.choice(("unreachable", "5xx before", "lost after")), draw.choice((60.0, 1800.0, 20_000.0)))


def _key_refused(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    play.world.tell("the key is refused")
    play.service.trouble = "bad key"


def _settings(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    """The user has replaced the key."""
    if play.service.trouble == "bad key":
        play.service.trouble = ""
    store.settings += 1
    play.world.tell("the settings change")
    _forgive(store)


def _full(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    store.machine.full_until = play.world.time + draw.choice((10.0, 600.0, 7200.0))
    play.world.tell("the disk is full")


def _asleep(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    """The machine sleeps: nothing runs, its ticks stand still, its wall clock does not."""
    seconds = draw.choice((30.0, 3600.0, 30_000.0))
    play.world.tell(f"{store.machine.name} sleeps for {seconds:.0f} s")
    for run in store.live:
        run.frozen_at = play.world.time
        run.frozen_until = play.world.time + seconds
    booted, since = store.machine.booted_at, play.world.time
    # Just before anything goes on: a reader of the clock must not see the ticks of the sleep, nor ever fewer.
    play.world.run_until(since + seconds - 0.001)
    store.machine.booted_at = booted + play.world.time - since
    _forgive(store)


def _forgive(store: Store) -> None:
    """After a sleep, a set clock or a pause everything is read again, the key as well."""
    if store.watcher is not None:
        store.watcher.refused = None
        # It notices at its next heartbeat, and may ask once more by then.
        store.watcher.forgiven_until = store.world.time + 1300.0


def _pause(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    play.world.tell("pause")
    state = store.tree.entries[".astica-sync"]
    node = Node(store.machine.volume, b"")
    node.synced = b""
    store.machine.volume.place(state, "watch-paused", node)


def _resume(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    state = store.tree.entries[".astica-sync"]
    if state.entries.pop("watch-paused", None) is not None:
        state.durable.pop("watch-paused", None)
        play.world.tell("resume")
        _forgive(store)


def _accident(play: "Play", store: Store, step: Step, draw: random.Random) -> None:
    """Something happens at one of the watcher's next effects."""
    run = store.watcher
    if run is None:
        return
    hooks: tuple[Hook, ...] = (
        lambda process, _: process.kill(),
        play.user_at(store, draw),
        play.disk_fault(draw),
        play.database_fault(draw),
        play.stall(draw),
    )
    run.due.setdefault(run.count + draw.randint(1, 150), draw.choice(hooks))


def _end_trouble(play: "Play") -> None:
    world, store = play.world, play.stores[0]
    world.tell("all trouble ends")
    refused = play.service.trouble == "bad key"
    play.service.trouble = ""
    store.machine.full_until = 0.0
    play.script.faults.rate = 0.0
    for run in play.runs:
        run.due.clear()
        run.every = None
    draw = random.Random(0)
    step = Step("settings", play.script.seed)
    _resume(play, store, step, draw)
    play.users.act("repair", store, draw)
    report = store.watcher.report if store.watcher else None
    if refused or (report is not None and str(report.state) == "halted"):
        # Only then: a restart scans everything, and would hide what was missed.
        _settings(play, store, step, draw)
    world.run_until(world.time + 700.0)
    _watch(play, store, step, draw)


def _converge(play: "Play") -> None:
    """The watcher brings everything right by itself, what the guard refuses aside; then it only observes."""
    world, store, day = play.world, play.stores[0], play.script.day
    assert day is not None
    pause = 2 * day.observe_every + 2 * LONGEST_REST + 2 * day.heartbeat
    world.run_until(world.time + pause)
    watcher = _living(play, store)
    if watcher.report is not None and (watcher.report.refusals or watcher.report.failed):
        # What needs the user's confirmation.
        world.tell(lambda: f"the user looks: {watcher.report}")
        run = store.start(play.script.seed, consent=lambda _: True, retry=True)
        play.runs.append(run)
        world.run_while(lambda: not run.ended)
        world.run_until(world.time + pause)
        watcher = _living(play, store)
    play.check()
    play.oracle.check_end(store)
    assert watcher.connection is not None
    changes, posts = watcher.oracle_notes.sent, watcher.posts
    world.run_until(world.time + 2 * day.observe_every)
    if watcher.oracle_notes.sent != changes:
        world.violate(4, f"{watcher.name} goes on changing what is right")
    asked = watcher.posts - posts
    if asked > 3:
        world.violate(13, f"{watcher.name} sends {asked} requests in two intervals with nothing to do")
    report = watcher.report
    if report is not None and str(report.state) != "idle":
        world.violate(12, f"{watcher.name} is {report.state}: {report.why}")
    if day.event_quality == "well":
        _see_at_once(play, store, watcher)
        _see_what_another_has_scanned(play, store, watcher)
    if world.broken:
        raise world.broken


def _see_at_once(play: "Play", store: Store, watcher: Run) -> None:
    """A file that is still being written when the system reports it is uploaded soon after."""
    sent = watcher.oracle_notes.sent
    play.users.write_seen(store, f"{play.script.titles[0]}/seen.png", 39)
    play.world.run_until(play.world.time + SOON)
    if watcher.oracle_notes.sent == sent:
        play.world.violate(4, f"{watcher.name} does not see a new file within {SOON:.0f} s")


def _see_what_another_has_scanned(play: "Play", store: Store, watcher: Run) -> None:
    """A status scans a new file while the watcher is held up, whose own scan finds nothing new then."""
    world = play.world
    sent = watcher.oracle_notes.sent
    watcher.frozen_at, watcher.frozen_until = world.time, world.time + 30.0
    play.users.write_seen(store, f"{play.script.titles[0]}/scanned.png", 38)
    run = store.start(play.script.seed ^ 0x5CA9, "status", faults=CALM)
    play.runs.append(run)
    world.run_while(lambda: not run.ended)
    world.run_until(world.time + SOON)
    if watcher.oracle_notes.sent == sent:
        world.violate(4, f"{watcher.name} does not see what {run.name} has scanned within {SOON:.0f} s")


def _living(play: "Play", store: Store) -> Run:
    watcher = store.watcher
    if watcher is None:
        play.world.violate(12, "the watcher has ended by itself")
        assert play.world.broken is not None
        raise play.world.broken
    return watcher


_DEEDS = {
    "watch": _watch, "kill watcher": _kill_watcher, "stop watcher": _stop_watcher, "burst": _burst, "outage": _outage,
    "key refused": _key_refused, "settings": _settings, "full": _full, "asleep": _asleep, "pause": _pause,
    "resume": _resume, "accident": _accident, "drain": _drain,
    "killed push": _killed_push, "beside": _beside,
}  # fmt: skip
