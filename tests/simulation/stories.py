"""Stories of hours: each one step of a walk, like a corner, around one of the words of ``vocabulary``."""

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from astica_sync.core.model import UID_LENGTH
from astica_sync.errors import NotAnObservation
from tests.simulation.account import Account, Terms, Training
from tests.simulation.network import Faults
from tests.simulation.oracle import QUARANTINE
from tests.simulation.service import Sample
from tests.simulation.training import waits_for_version
from tests.simulation.world import Process

if TYPE_CHECKING:
    from tests.simulation.machine import Run, Store
    from tests.simulation.walk import Play

ODD_DATES = (1e300, -1e300, 2**63, 10**30, -1, "1e300", "2023-07-10", "nan", True, 1e15)
YEAR_3000 = 32_503_680_000
FIRST_IMAGE = 100
"""Images of stories are numbered from here on, so that nothing else in the walk holds their bytes."""
FIRST_CONVERTED = FIRST_IMAGE + 203
"""From here on, every fifth is of a format that is converted."""


def drained(play: "Play", store: "Store", draw: random.Random) -> None:
    """A cloud client empties a folder, one or two files an hour, and a user pushes after each."""
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


def outlived(play: "Play", store: "Store", draw: random.Random) -> None:
    """A service that begins again gives the same name to another version, which sees other things."""
    _calm(play, store)
    for label in ("Can", "Bottle"):
        play.service.label = label
        with _account(play, draw.getrandbits(32)) as account:
            account.train(None, extra=True)
            play.world.tell(f"a service that is new has the version {account.trainings[-1].name}, which sees {label}")
            play.world.run_until(play.world.time + draw.choice((5.0, 90.0)))
            run = _run(play, store, draw, "detect")
        for found in run.result or ():
            if not found.error and found.label != label:
                play.world.violate(14, f"{run.name} says that the version sees {found.label}, and it sees {label}")


def poisoned(play: "Play", store: "Store", draw: random.Random) -> None:
    """A version is shown once with a date that is none; later all is well."""
    _calm(play, store)
    with _account(play, draw.getrandbits(32)) as account:
        account.train(None, extra=True)
        play.world.run_until(play.world.time + 5.0)
        account.odd_date = draw.choice(ODD_DATES)
        _run(play, store, draw, "versions")
        account.odd_date = None
        store.faults, faults = Faults(), store.faults
        run = _run(play, store, draw, "versions")
        store.faults = faults
        if run.error is not None:
            play.world.violate(9, f"{run.name} cannot list the versions any more: {run.error}")
        for listed in run.result or ():
            if listed.version.trained_at is not None and not 0 < listed.version.trained_at < YEAR_3000:
                play.world.violate(9, f"{run.name} lists a version of the date {listed.version.trained_at:g}")


def ahead(play: "Play", store: "Store", draw: random.Random) -> None:
    """One push after the other, where the counts of a view include what its lists do not show yet."""
    for each in play.stores:
        _calm(play, each)
    # What others have changed shortly before explains nothing, nor does what was carried out very late.
    pause = play.service.switches.lag + 61.0
    play.world.run_until(play.world.time + pause)
    while play.world.time - play.service.last_change < pause:
        play.world.run_until(play.world.time + pause)
    store.faults, faults = Faults(), store.faults
    for number in range(FIRST_IMAGE + 50, FIRST_IMAGE + 52):
        play.users.write(store, f"Crate/{number}.png", number)
        run = _run(play, store, draw, "push", consent=True)
        error = run.error or getattr(run.result, "error", None)
        if isinstance(error, NotAnObservation):
            play.world.violate(14, f"{run.name} gives up over a view that its own writes explain: {error}")
    store.faults = faults


def emptied(play: "Play", store: "Store", draw: random.Random) -> None:
    """A user removes everything on the vendor's page, and a push is not asked whether to send it all again."""
    _calm(play, store)
    for number in range(FIRST_IMAGE + 20, FIRST_IMAGE + 21 + store.allowance.floor):
        play.users.write(store, f"Crate/{number}.png", number)
    _run(play, store, draw, "push", consent=True)
    play.world.begin_change()
    for entry in list(play.service.classes):
        play.service.remove_class(entry.class_id)
    play.world.tell("everything is removed on the vendor's page")
    play.world.run_until(play.world.time + 100.0)
    _run(play, store, draw, "push")


def hurried(play: "Play", store: "Store", draw: random.Random) -> None:
    """What was sent is removed elsewhere; the next view is asked for within the quarantine and comes after it."""
    _calm(play, store)
    path = f"Crate/{FIRST_IMAGE + 30}.png"
    play.users.write(store, path, FIRST_IMAGE + 30)
    store.faults, faults = Faults(), store.faults
    _run(play, store, draw, "push", consent=True)
    node = store.shown(path)
    sent = play.world.time
    play.world.begin_change()
    for _, sample in play.service.samples():
        if node is not None and sample.uid.startswith(node.content()):
            play.service.remove(sample.sample_id)
            play.world.tell(f"sample {sample.sample_id} is removed on the vendor's page")
    play.world.run_until(sent + draw.choice((45.0, 55.0, 58.0)))
    run = store.start(draw.getrandbits(48))
    run.answers.update({1: "slow"})
    play.runs.append(run)
    play.wait_for(run)
    store.faults = faults


def second_client(play: "Play", store: "Store", draw: random.Random) -> None:
    """While the first upload of all is checked, another client adds a sample without a uid to its class."""
    _calm(play, store)
    play.users.act("delete journal", store, draw)
    play.world.begin_change()
    for entry in list(play.service.classes):
        play.service.remove_class(entry.class_id)
    for number in range(FIRST_IMAGE + 40, FIRST_IMAGE + 42):
        play.users.write(store, f"Crate/{number}.png", number)
    play.service.switches.lag, lag = 20.0, play.service.switches.lag
    play.world.run_until(play.world.time + 61.0)
    run = store.start(draw.getrandbits(48), consent=lambda _: True)
    run.answers.update({2: "slow"})

    def add(process: Process, what: str) -> None:
        if what == "send" and run.connection is not None and run.connection.posts == 1:
            process.every = None
            for title in [title for title in store.tree.entries if not title.startswith(".")]:
                play.service.add(title, "", "web")
            play.world.tell("another client adds a sample without a uid to each class")

    run.every = add
    play.runs.append(run)
    play.wait_for(run)
    play.service.switches.lag = lag


def overtaken(play: "Play", store: "Store", draw: random.Random) -> None:
    """Before anybody looks at a training, another user adds a sample and trains as well."""
    account = play.service.account
    if account is None:
        return
    for each in play.stores:
        _calm(play, each)
    for number, title in enumerate(("Crate", "Flask")):
        play.users.write(store, f"{title}/{FIRST_IMAGE + 60}.png", FIRST_IMAGE + 60 + number)
    store.faults, faults = Faults(), store.faults
    _run(play, store, draw, "push", consent=True)
    begun = len(account.trainings)
    seed = next(seed for seed in iter(lambda: draw.getrandbits(48), None) if not waits_for_version(seed))
    run = store.start(seed, "train")
    play.runs.append(run)
    play.wait_for(run)
    if len(account.trainings) == begun + 1:
        play.service.add("Crate", "", "web", size=0.25)
        theirs = account.train(None, extra=True)
        play.world.tell("another user adds a sample and trains on the vendor's page")
        play.world.run_until(theirs.finished + account.terms.lag + play.service.switches.lag + 1.0)
        run = _run(play, store, draw, "versions")
        for name, date, snapshot in play.oracle.versions.records(store):
            if (name, date) == theirs.key(account.terms.shows) and snapshot is not None:
                play.world.violate(2, f"{run.name} takes the version {theirs.name} of another user for its own")
    store.faults = faults


def swapped(play: "Play", store: "Store", draw: random.Random) -> None:
    """A whole class is removed. After the view that the plan is made from, one of its samples is removed elsewhere, and
    its id is given to a sample of another user."""
    _calm(play, store)
    numbers = range(FIRST_IMAGE + 70, FIRST_IMAGE + 73)
    for number in numbers:
        play.users.write(store, f"Crate/{number}.png", number)
    store.faults, faults = Faults(), store.faults
    _run(play, store, draw, "push", consent=True)
    own = {node.content() for node in (store.shown(f"Crate/{number}.png") for number in numbers) if node is not None}
    play.world.begin_change()
    if store.shown("Crate") is not None:
        play.users.take(store, "Crate")
    play.world.tell(f"{store.name}: Crate is deleted")
    switches = play.service.switches
    switches.ids_reused, reused = True, switches.ids_reused

    def swap(process: Process, what: str) -> None:
        if what == "answered":
            process.every = None
            there = [sample for _, sample in play.service.samples() if sample.uid[:32] in own]
            if there:
                play.service.remove(there[-1].sample_id)
                play.service.add("Crate", "mine", "web")
                play.world.tell("a sample of Crate is removed on the vendor's page, and its id is given to another one")

    run = store.start(draw.getrandbits(48), consent=lambda _: True)
    run.every = swap
    play.runs.append(run)
    play.wait_for(run)
    switches.ids_reused, store.faults = reused, faults


def between(play: "Play", store: "Store", draw: random.Random) -> None:
    """Between the view that a training is prepared with and its request, a sample is removed elsewhere; it may be put
    back later, unless it gets the id that it had: then nothing shows that it was gone."""
    account = play.service.account
    if account is None:
        return
    for each in play.stores:
        _calm(play, each)
    numbers = range(FIRST_IMAGE + 80, FIRST_IMAGE + 82)
    for number, title in zip(numbers, ("Crate", "Flask"), strict=True):
        play.users.write(store, f"{title}/{number}.png", number)
    store.faults, faults = Faults(), store.faults
    _run(play, store, draw, "push", consent=True)
    own = {node.content() for node in (store.shown(f"Crate/{number}.png") for number in numbers) if node is not None}
    answers, taken = draw.randint(1, 4), ""

    def take(process: Process, what: str) -> None:
        nonlocal answers, taken
        answers -= what == "answered"
        if answers == 0:
            process.every = None
            there = [sample for _, sample in play.service.samples() if sample.uid[:32] in own]
            if there:
                taken = there[0].uid
                play.service.remove(there[0].sample_id)
                play.world.tell("a sample of Crate is removed on the vendor's page")

    run = store.start(draw.getrandbits(48), "train")
    run.every = take
    play.runs.append(run)
    play.wait_for(run)
    if taken and draw.random() < 0.5 and not play.service.switches.ids_reused:
        play.service.add("Crate", taken, "web")
        play.world.tell("it is put back on the vendor's page")
    last = max((training.finished for training in account.trainings), default=play.world.time)
    play.world.run_until(max(play.world.time, last) + account.terms.lag + play.service.switches.lag + 1.0)
    _run(play, store, draw, "versions")
    store.faults = faults


def late_copy(play: "Play", store: "Store", draw: random.Random) -> None:
    """An upload is carried out twice, and its run is killed before the answer. Its file is deleted, and a push removes
    the first sample; then the second one is made. There are three ends."""
    switches = play.service.switches
    if switches.uid_length < UID_LENGTH or switches.repeated_uids != "allow" or switches.ids_reused:
        return
    account = play.service.account
    end = draw.choice(
        (_second_is_removed, _other_client_keeps_it, *((_version_keeps_its_data,) * 2 if account else ()))
    )
    for each in play.stores:
        _calm(play, each)
    store.faults, faults = Faults(), store.faults
    switches.lag, lag = 0.0, switches.lag
    play.world.run_until(play.world.time + 61.0)
    play.users.write(store, f"Crate/{FIRST_IMAGE + 90}.png", FIRST_IMAGE + 90)
    _run(play, store, draw, "push", consent=True)
    training = _train(play, store, draw) if account and end is _version_keeps_its_data else None
    path = f"Crate/{FIRST_IMAGE + 91}.png"
    play.users.write(store, path, FIRST_IMAGE + 91)
    node = store.shown(path)
    uid = play.oracle.uid_of("Crate", node.content() if node else "", store.recipe)
    store.faults = Faults(reach=50.0)
    run = store.start(draw.getrandbits(48), consent=lambda _: True)
    run.answers.update({2: "twice late"})

    def kill(process: Process, what: str) -> None:
        if what == "answered" and run.connection is not None and run.connection.posts == 2:
            run.kill()

    run.every = kill
    play.runs.append(run)
    play.wait_for(run)
    store.faults = Faults()
    book = play.oracle.book(store)
    if uid in book.sendings:
        sent = book.sendings[uid][-1].at
        play.world.begin_change()
        play.users.take(store, path)
        play.world.tell(f"{store.name}: {path} is deleted")
        play.world.run_until(max(play.world.time, sent + 1.0))
        _run(play, store, draw, "push", consent=True)
        if uid in book.removals:
            end(play, store, draw, Doubt(uid, sent, training))
    store.faults, switches.lag = faults, lag


@dataclass(frozen=True, slots=True)
class Doubt:
    """A sample that was removed while its upload may still be carried out again: its uid, and when it was sent.
    ``training`` was under way then."""

    uid: str
    sent: float
    training: Training | None

    def samples(self, play: "Play") -> list[Sample]:
        return [sample for _, sample in play.service.samples() if sample.uid == self.uid]


def _second_is_removed(play: "Play", store: "Store", draw: random.Random, doubt: Doubt) -> None:
    """Within the quarantine the second sample is ours, and goes as well."""
    play.world.run_until(max(play.world.time, doubt.sent + 58.0))
    run = _run(play, store, draw, "push", consent=True)
    view = run.oracle_notes.view
    if view is not None and view.asked < doubt.sent + QUARANTINE:
        for sample in doubt.samples(play):
            play.world.violate(
                4, f"{run.name} leaves sample {sample.sample_id} of an upload that was carried out twice"
            )


def _other_client_keeps_it(play: "Play", store: "Store", draw: random.Random, doubt: Doubt) -> None:
    """After the quarantine nothing of that upload can come any more: what has its uid is another client's."""
    play.world.run_until(doubt.sent + 200.0)
    for sample in doubt.samples(play):
        play.service.remove(sample.sample_id)
    size = next(sample.size for sample in reversed(play.service.ever) if sample.uid == doubt.uid)
    play.service.add("Crate", doubt.uid, "web", size=size)
    play.world.tell(f"another client makes {doubt.uid[:6]} again")
    run = _run(play, store, draw, "push", consent=True)
    if not doubt.samples(play):
        play.world.violate(2, f"{run.name} removes {doubt.uid[:6]}, which another client made after the quarantine")


def _version_keeps_its_data(play: "Play", store: "Store", draw: random.Random, doubt: Doubt) -> None:
    """The second sample was sent by this store: it says nothing against the data of the version that was made."""
    account, training = play.service.account, doubt.training
    if account is None or training is None:
        return
    play.world.run_until(max(play.world.time, doubt.sent + 58.0, training.finished + account.terms.lag + 1.0))
    if training.asking is not None and any(
        sample.late and sample.uid != doubt.uid and sample.made >= training.asking.looked
        for sample in play.service.ever
    ):
        # An upload of long ago was carried out meanwhile, which is taken for another client's.
        return
    run = _run(play, store, draw, "versions")
    if account.trainings[-1] is training:
        for name, date, snapshot in play.oracle.versions.records(store):
            if (name, date) == training.key(account.terms.shows) and snapshot is None:
                play.world.violate(
                    2, f"{run.name} does not know the data of {training.name}, which is this store's own"
                )


def _train(play: "Play", store: "Store", draw: random.Random) -> Training | None:
    """A training that is not waited for, with no other one beside it; None if there is none."""
    account = play.service.account
    assert account is not None
    last = max((training.finished for training in account.trainings), default=play.world.time)
    play.world.run_until(max(play.world.time, last) + account.terms.lag + 61.0)
    begun = len(account.trainings)
    seed = next(seed for seed in iter(lambda: draw.getrandbits(48), None) if not waits_for_version(seed))
    run = store.start(seed, "train")
    play.runs.append(run)
    play.wait_for(run)
    return account.trainings[-1] if len(account.trainings) == begun + 1 else None


def put_back(play: "Play", store: "Store", draw: random.Random) -> None:
    """The file of a sample is deleted, and a push is killed while it removes the sample, which is carried out later. By
    then the file is there again, and another push has run."""
    switches = play.service.switches
    if switches.uid_length < UID_LENGTH:
        return
    for each in play.stores:
        _calm(play, each)
    store.faults, faults = Faults(), store.faults
    switches.lag, lag = 0.0, switches.lag
    play.world.run_until(play.world.time + 61.0)
    path, number = f"Crate/{FIRST_IMAGE + 95}.png", FIRST_IMAGE + 95
    play.users.write(store, path, number)
    _run(play, store, draw, "push", consent=True)
    node = store.shown(path)
    uid = play.oracle.uid_of("Crate", node.content() if node else "", store.recipe)
    if any(sample.uid == uid for _, sample in play.service.samples()):
        play.users.take(store, path)
        play.world.tell(f"{store.name}: {path} is deleted")
        store.faults = Faults(reach=50.0)
        run = store.start(draw.getrandbits(48), consent=lambda _: True)
        run.answers.update({2: "late"})

        def kill(process: Process, what: str) -> None:
            if what == "send" and run.connection is not None and run.connection.posts == 1:
                process.every = None
                play.world.at(play.world.time + 0.9, process.kill)

        run.every = kill
        play.runs.append(run)
        play.wait_for(run)
        store.faults = Faults()
        play.users.write(store, path, number)
        play.world.tell(f"{store.name}: {path} is put back")
        run = _run(play, store, draw, "push", consent=True)
        play.world.run_until(play.world.time + 61.0)
        there = any(sample.uid == uid for _, sample in play.service.samples())
        if getattr(run.result, "in_sync", False) and not there:
            play.world.violate(4, f"{run.name} says all is equal, and {uid[:6]} goes after it")
    store.faults, switches.lag = faults, lag


def reconverted(play: "Play", store: "Store", draw: random.Random) -> None:
    """The recipe changes after more images were converted than may be replaced unasked."""
    if play.service.switches.uid_length < UID_LENGTH:
        # Where uids are cut, the program refuses other recipes.
        return
    _calm(play, store)
    store.faults, faults = Faults(), store.faults
    for number in range(store.allowance.floor + 1):
        play.users.write(store, f"Crate/{FIRST_CONVERTED + 5 * number}.tif", FIRST_CONVERTED + 5 * number)
    _run(play, store, draw, "push", consent=True)
    play.users.act("change recipe", store, draw)
    _run(play, store, draw, "push")
    store.faults = faults


@contextlib.contextmanager
def _account(play: "Play", seed: int) -> Iterator[Account]:
    """The service trains as long as this lasts."""
    account = Account(play.world, Terms(seed, takes=(0.0, 1.0)))
    play.service.account = play.oracle.versions.account = account
    try:
        yield account
    finally:
        play.service.account = play.oracle.versions.account = None


STORIES: dict[str, Callable[["Play", "Store", random.Random], None]] = {
    "story: drained": drained,
    "story: outlived": outlived,
    "story: poisoned": poisoned,
    "story: ahead": ahead,
    "story: emptied": emptied,
    "story: second client": second_client,
    "story: overtaken": overtaken,
    "story: hurried": hurried,
    "story: swapped": swapped,
    "story: between": between,
    "story: late copy": late_copy,
    "story: reconverted": reconverted,
    "story: put back": put_back,
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
