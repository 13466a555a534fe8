"""What happens in one walk, drawn from a seed: the world it plays in, and its steps, as plain data.

Each step has a seed of its own for everything inside it, so that leaving a step out changes the others as little as
possible; that is what makes a failing walk shrink. Each walk uses a part of all faults and steps only (a swarm), since
some bugs show only where others stay silent.
"""

import random
from dataclasses import dataclass, field, replace

from astica_sync.core.model import UID_LENGTH
from tests.simulation.account import Terms
from tests.simulation.corners import CORNERS
from tests.simulation.network import CHANGE_FAULTS, OUTSIDE, VIEW_FAULTS, Faults
from tests.simulation.service import Switches
from tests.simulation.training import STEPS as TRAINING_STEPS
from tests.simulation.training import draw_terms
from tests.simulation.vocabulary import (
    DAMAGES,
    DIVIDED,
    DIVIDED_SALT,
    ERROR_TITLES,
    LATER,
    LATEST,
    NEW_SERVICES,
    OTHER_RECIPES,
    draw_words,
)
from tests.simulation.watch import Day

STEPS = {
    "add": 10, "edit": 5, "delete": 7, "move": 6, "rename": 3, "rename class": 3, "copy": 4, "delete class": 4,
    "unmount": 2, "lock folder": 2, "lock and forget": 2, "refill class": 3, "lock file": 2, "replace": 1, "repair": 4,
    "keep index": 2, "delete index": 2, "restore index": 2, "delete journal": 1, "lose state": 1, "put back": 3,
    "rot": 3, "drop object": 2,
    "web add": 3, "web remove": 3, "web class": 1, "web remove class": 1, "web twin": 2, "web misplace": 2,
    "kill": 4, "stop": 1, "cut power": 3, "jump": 5, "set clock": 2, "status": 3,
}  # fmt: skip
NEEDED = ("add", "delete", "repair", "jump")
CORNER_SHARE = 0.1
"""How many of all walks end with a corner."""
LOOKED_AT = 0.1
"""How many end with two status runs and a change between them."""
TITLES = ("Can", "Bottle", "B\u00fcchse", "Jar", "can")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. ``store`` is which of the walk's stores it is about; ``gap`` is the time before it in
    seconds; ``wait`` whether a push is waited for before the next step."""

    kind: str
    seed: int
    store: int = 0
    gap: float = 0.0
    wait: bool = True


@dataclass(slots=True)
class Script:
    """One walk. ``trouble`` is how often something happens at a random effect of a run: a crash, a fault of disk or
    database, a stall, a user."""

    seed: int
    switches: Switches
    faults: Faults
    limit: int
    window: float
    grain: int
    stores: int
    one_machine: bool
    titles: tuple[str, ...]
    class_remove: bool
    floor: int
    trouble: dict[str, float]
    steps: list[Step] = field(default_factory=list)
    terms: Terms | None = None
    """How the service trains; None where nothing is trained."""
    day: Day | None = None
    """How a watcher lives through days; None where none does."""
    owns: tuple[tuple[str, ...], ...] = ()
    """The classes that each store manages; none: all, as where it is empty."""
    words: frozenset[str] = frozenset()
    """What of ``vocabulary.WORDS`` it has."""


def write_script(seed: int) -> Script:
    """The walk of a seed."""
    draw = random.Random(seed)
    lag = draw.choice((0.0, 0.0, 5.0, 20.0))
    switches = Switches(
        errors_4xx=draw.random() < 0.3,
        limit_refusal=draw.choice(("429", "429 with time", "text")),
        repeated_uids=draw.choice(("allow", "allow", "allow", "replace", "refuse")),
        empty_class_stays=draw.random() < 0.5,
        titles_fold=draw.random() < 0.25,
        integers_as_strings=draw.random() < 0.2,
        uid_length=draw.choice((100, 100, 100, 40, 36, 32)),
        lag=lag,
        ids_reused=draw.random() < 0.3,
        newest_class=draw.random() < 0.3,
    )
    if switches.titles_fold:
        # A cut uid is completed by the title it lies under, so it must lie under ours.
        switches.uid_length = 100
    if switches.uid_length == 32:
        # Cut to the content alone, an image has one uid in all classes; a service that wants it once takes one sample.
        switches.repeated_uids = "allow"
    every = sorted({*CHANGE_FAULTS, *VIEW_FAULTS})
    kinds = frozenset(kind for kind in every if draw.random() < 0.5)
    if draw.random() < 0.05:
        kinds |= frozenset(OUTSIDE)
    faults = Faults(kinds, draw.choice((0.0, 0.05, 0.15, 0.4)), 55.0 - lag)
    limit = draw.choice((4, 6, 10, 90, 90))
    stores = 2 if draw.random() < 0.3 else 1
    script = Script(
        seed=seed,
        switches=switches,
        faults=faults,
        limit=limit,
        window=draw.choice((10.0, 20.0, 60.0)),
        grain=draw.choice((1, 1, 4_000_000, 1_000_000_000, 2_000_000_000)),
        stores=stores,
        one_machine=draw.random() < 0.5,
        titles=TITLES[: draw.choice((2, 2, 3, 4, 5))],
        class_remove=draw.random() < 0.9,
        floor=draw.choice((1, 2, 10, 10)),
        trouble={
            kind: draw.choice((0.0, 0.1, 0.3)) for kind in ("crash", "user", "user too", "disk", "database", "stall")
        },
    )
    weights = {kind: weight for kind, weight in STEPS.items() if kind in NEEDED or draw.random() < 0.5}
    names, numbers = list(weights), list(weights.values())
    for number in range(draw.randint(4, 10)):
        kind = draw.choices(names, numbers)[0] if number % 2 else "push"
        if kind == "push" and draw.random() < 0.15:
            kind = draw.choice(("push retry", "push consent"))
        gap = draw.choice((0.0, 0.0, draw.random() * 3, draw.random() * 100))
        script.steps.append(Step(kind, draw.getrandbits(48), draw.randrange(stores), gap, draw.random() < 0.75))
    # With dice of their own, so that the other walks stay what they are.
    corner = random.Random(seed ^ 0xC04E4)
    if corner.random() < CORNER_SHARE:
        script.steps.append(Step(corner.choice(list(CORNERS)), corner.getrandbits(48), corner.randrange(stores)))
    add_trainings(script)
    looks = random.Random(seed ^ 0x1007)
    if looks.random() < LOOKED_AT:
        # A status after a status and a change reads no more than what changed.
        whose = looks.randrange(stores)
        for kind in ("status", looks.choice(("add", "edit", "delete", "move", "copy")), "status"):
            script.steps.append(Step(kind, looks.getrandbits(48), whose))
    add_words(script)
    divide_classes(script)
    return script


def add_trainings(script: Script) -> None:
    """Puts trainings and what belongs to them between the other steps, by dice of their own."""
    script.terms = draw_terms(script.seed)
    if script.terms is None:
        return
    draw = random.Random(script.seed ^ 0x5EED5)
    kinds = ["train", *draw.choices(list(TRAINING_STEPS), list(TRAINING_STEPS.values()), k=draw.randint(1, 5))]
    if draw.random() < 0.3:
        # One training close behind the other, where answers that lag or cross each other may mislead.
        kinds = ["train", *draw.choices(("train", "versions", "add", "push", "push as"), (5, 4, 3, 3, 1), k=5)]
    place = draw.randint(1, 3)
    for kind in kinds:
        gap = draw.choice((0.0, 0.0, draw.random() * 3, draw.random() * 100, 700.0))
        store = draw.randrange(script.stores)
        script.steps.insert(place, Step(kind, draw.getrandbits(48), store, gap, draw.random() < 0.75))
        place = min(place + draw.randint(1, 3), len(script.steps))


def divide_classes(script: Script) -> None:
    """In some walks without trainings the stores divide the classes of the model, by dice of their own: two stores with
    no class in common, with one in common, or one beside a store of all classes; and what a store manages changes."""
    draw = random.Random(script.seed ^ DIVIDED_SALT)
    if draw.random() >= DIVIDED or script.terms is not None:
        return
    if draw.random() < 0.8:
        script.stores = 2
        script.steps = [replace(step, store=draw.randrange(2)) for step in script.steps]
    cut = draw.randint(1, len(script.titles) - 1)
    shared = draw.choice((0, 0, 1))
    script.owns = script.titles[: cut + shared], draw.choice((script.titles[cut:], script.titles[cut:], ()))
    for _ in range(draw.choice((0, 0, 1, 2))):
        step = Step("change owns", draw.getrandbits(48), draw.randrange(script.stores), draw.random() * 100)
        script.steps.insert(draw.randint(1, len(script.steps)), step)


def add_words(script: Script) -> None:
    """Puts the words of a walk between its other steps and into its settings, by dice of their own."""
    script.words = draw_words(script.seed)
    draw = random.Random(script.seed ^ 0x30BD5)
    if "titles like errors" in script.words:
        script.titles = (*draw.sample(ERROR_TITLES, 2), script.titles[0])
        script.faults.kinds = frozenset({"refusal", draw.choice(CHANGE_FAULTS)})
        script.faults.rate = max(script.faults.rate, 0.15)
    if "shared images" in script.words:
        script.stores = 2
        script.steps = [replace(step, store=draw.randrange(2)) for step in script.steps]
    if "counts ahead" in script.words:
        script.switches.lag = script.switches.lag or draw.choice((5.0, 20.0))
        script.faults.reach = 55.0 - script.switches.lag
    for word, kinds, most in (("damage", DAMAGES, 4), ("forged uids", ("web forge",), 2)):
        for kind in draw.choices(kinds, k=draw.randint(1, most)) if word in script.words else ():
            gap = draw.choice((0.0, draw.random() * 3, draw.random() * 100))
            step = Step(kind, draw.getrandbits(48), draw.randrange(script.stores), gap)
            script.steps.insert(draw.randint(1, len(script.steps)), step)
    if OTHER_RECIPES in script.words and script.switches.uid_length >= UID_LENGTH:
        # Where uids are cut, the program refuses other recipes.
        recipes = random.Random(script.seed ^ 0x4EC1E)
        for _ in range(recipes.randint(1, 3)):
            step = Step("change recipe", recipes.getrandbits(48), recipes.randrange(script.stores))
            script.steps.insert(recipes.randint(1, len(script.steps)), step)
    stories = [word for word in script.words if word.startswith("story") and word not in {*LATER, *LATEST}]
    for story in sorted([*stories, "story: ahead"] if "counts ahead" in script.words else stories):
        if script.terms is None or story not in NEW_SERVICES:
            script.steps.append(Step(story, draw.getrandbits(48), draw.randrange(script.stores)))
    later = random.Random(script.seed ^ 0x1A7E4)
    for story in (*LATER, *LATEST):
        if story in script.words:
            script.steps.append(Step(story, later.getrandbits(48), later.randrange(script.stores)))
