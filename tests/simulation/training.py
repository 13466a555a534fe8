"""The commands of a walk that are about versions and models, and what people do with them.

Each runs the code of production on the parts of a simulated process, as ``astica-sync train``, ``versions``,
``push --as`` and ``models create`` do.
"""

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astica_sync.api import Store as ApiStore
from astica_sync.clock import local_time
from astica_sync.errors import RemoteError
from astica_sync.open_session import OpenStore
from astica_sync.sync.admin.create_model import CreationAttempt, ModelRequest, create_model
from astica_sync.sync.session import Session
from astica_sync.training.find_images import ImageInput
from tests.simulation.account import Terms
from tests.simulation.oracle import PNG
from tests.simulation.oracle_versions import intent_file

if TYPE_CHECKING:
    from tests.simulation.machine import Run, Store
    from tests.simulation.script import Step
    from tests.simulation.walk import Play

COMMANDS = ("train", "versions", "push as", "create", "detect")
STEPS = {"train": 8, "versions": 3, "push as": 5, "create": 2, "web train": 1}
TITLES = ("new", "other")
AS_PUSHES = 6


def draw_terms(seed: int) -> Terms | None:
    """How the service trains in the walk of a seed; None where nothing is trained in it."""
    draw = random.Random(seed ^ 0x7EA1)
    if draw.random() < 0.55:
        return None
    listed = draw.random() < 0.8
    return Terms(
        seed=draw.getrandbits(32),
        shows=draw.choice(("both", "both", "name", "date")),
        takes=draw.choice(((0.0, 2.0), (1.0, 60.0), (20.0, 120.0), (100.0, 350.0))),
        lag=draw.choice((0.0, 0.0, 5.0, 20.0)),
        listed=listed,
        list_tells=draw.random() < 0.8,
    )


def run_command(command: str, run: "Run", session: Session, seed: int) -> Any:
    """What one of ``COMMANDS`` does, with the options that the user chose."""
    draw = random.Random(seed ^ 0xC0DE)
    if command == "create":
        return _create(run, session, draw)
    store = ApiStore.over(OpenStore(session, None, session.local.layout))  # type: ignore[arg-type]
    if command == "train":
        again = draw.random() < 0.4

        def once_more(_: object) -> bool:
            if again:
                run.store.oracle.versions.again(run)
            return again

        return store.train(anyway=draw.random() < 0.8, again=once_more, wait=draw.random() < 0.5)
    if command == "versions":
        listed = store.versions()
        for each in listed:
            # As the command prints it.
            local_time(each.version.trained_at or each.version.seen_at)
        return listed
    if command == "detect":
        return list(store.detect_inputs([ImageInput("image.png", PNG + b"to be sorted")]))
    return None


def waits_for_version(seed: int) -> bool:
    """Whether the training of a run with this seed waits for its version."""
    draw = random.Random(seed ^ 0xC0DE)
    return [draw.random() for _ in range(3)][2] < 0.5


def push_as(run: "Run", session: Session, seed: int, **options: Any) -> Any:
    """``push --as`` one of the versions whose data is known; nothing where there is none."""
    draw = random.Random(seed ^ 0xC0DE)
    store = ApiStore.over(OpenStore(session, None, session.local.layout))  # type: ignore[arg-type]
    known = [version for version in store.history.versions() if version.snapshot is not None]
    if not known:
        return None
    version = draw.choice(known)
    assert version.snapshot is not None
    run.store.oracle.versions.wants(run, version.snapshot)
    run.world.tell(lambda: f"{run.name}: as version {version.name or version.number}, data {version.snapshot:.6}")
    return store.push(as_version=f"@{version.number}", **options)


def _create(run: "Run", session: Session, draw: random.Random) -> int | None:
    machine = run.store.machine
    attempt = CreationAttempt(Path(intent_file(machine)), session.local.fs)
    begun = machine.volume.get(str(attempt.path))
    # The user repeats the command.
    title = json.loads(begun.data)["title"] if begun else draw.choice(TITLES)
    model = create_model(
        session.remote.service,
        ModelRequest(title, "image", "to be sorted"),
        attempt,
        clock=session.runtime.clock,
        quarantine=session.policy.quarantine,
        note=lambda text: run.world.tell(lambda: f"{run.name}: {text}"),
    )
    run.store.oracle.versions.created(run, model.model_id, title)
    attempt.forget()
    if machine.name in run.store.oracle.versions.create_attempts:
        run.store.oracle.versions.create_attempts[machine.name].done = True
    return model.model_id


def step(play: "Play", step: "Step", store: "Store", draw: random.Random) -> None:
    """One of ``STEPS``."""
    if step.kind == "web train":
        assert play.service.account is not None
        play.world.begin_change()
        play.service.account.train(None, extra=True)
        play.world.tell("another user trains the model on the vendor's page")
    elif step.kind != "create" or _may_create(play, store):
        play.run(store, step, draw)


def _may_create(play: "Play", store: "Store") -> bool:
    """One person makes one model at a time; where several turn up, the person chooses and ends the attempt."""
    runs = [run for run in play.runs if run.command == "create" and run.store.machine is store.machine]
    if any(not run.gone for run in runs):
        return False
    last = runs[-1] if runs else None
    if last and isinstance(last.error, RemoteError) and "more than one" in str(last.error):
        machine = store.machine
        if machine.volume.get(intent_file(machine)):
            machine.volume.delete(intent_file(machine))
        play.oracle.versions.create_attempts.pop(machine.name, None)
    return True


def bring_in(play: "Play") -> None:
    """After all trouble has ended: every training has shown its version, every model that was begun is made."""
    account = play.service.account
    assert account is not None
    world = play.world
    ends = max((training.finished for training in account.trainings), default=world.time)
    world.run_until(max(world.time, ends) + account.terms.lag + 1.0)
    for store in play.stores:
        _must(play, store, "versions")
        play.oracle.versions.check_end(store)
        if store.machine.volume.get(intent_file(store.machine)) and _may_create(play, store):
            _may_fail(play, store, "create")


def go_back(play: "Play") -> None:
    """Sometimes, at the end: the store changes, then the service is made as a version was, which the last pushes
    bring forward again."""
    draw = random.Random(play.script.seed ^ 0xBAC4)
    store = play.stores[0]
    if draw.random() < 0.5:
        return
    _may_fail(play, store, "push")
    _may_fail(play, store, "train")
    assert play.service.account is not None
    for kind in draw.choices(("add", "edit", "delete", "move", "delete class"), k=3):
        play.users.act(kind, store, draw)
    _may_fail(play, store, "push")
    bring_in(play)
    if not any(snapshot for *_, snapshot in play.oracle.versions.records(store)):
        return
    seed = draw.getrandbits(48)
    for _ in range(AS_PUSHES):
        run = _may_fail(play, store, "push as", seed)
        if getattr(run.result, "in_sync", False):
            return
        play.world.run_until(play.world.time + 61.0)
    if not (play.oracle.book(store).damaged or play.oracle.lies):
        play.world.violate(4, f"{store.name} cannot be made as a version was")


def _must(play: "Play", store: "Store", command: str) -> None:
    for _ in range(3):
        if _may_fail(play, store, command).error is None:
            return
        if play.service.counts_ahead:
            play.world.run_until(play.world.time + play.service.switches.lag + 1.0)
    play.world.violate(12, f"{command} does not come to an end")


def _may_fail(play: "Play", store: "Store", command: str, seed: int | None = None) -> "Run":
    number = len(play.runs) if seed is None else seed
    run = store.start(number, command, consent=lambda _: True, retry=True)
    play.runs.append(run)
    play.wait_for(run)
    return run
