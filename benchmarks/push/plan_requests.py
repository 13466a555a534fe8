"""The number of requests of a plan, compared with the shortest sequence of calls, and with uploading everything again.

The optimum is found by a search over all sequences of documented calls, cheapest first, that end with the service in
sync with the store, never remove a sample that is in the store, and remove nothing before everything is uploaded. The
removal of a whole class counts two requests, since a view precedes it.
"""

import heapq
import itertools
import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from astica_sync.core.model import (
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    RemoteClass,
    RemoteSample,
    make_scope,
    make_uid,
)
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.plan import CLASS_REMOVE_COST
from astica_sync.core.plan.planner import make_plan
from astica_sync.sandbox.embedded import running
from benchmarks.harness.measure import ASTICA, Figure, value
from benchmarks.harness.store_trees import MODEL, bind
from benchmarks.push.budget_use import draw, environ

WORK = "requests of a plan"
TITLES = ("Can", "Cup")
IMAGES = "abcd"

Name = tuple[str, str]
State = tuple[frozenset[int], frozenset[Name], bool]


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    cases = longer = 0
    for local, shown in small_cases(full):
        cases += 1
        longer += planned(local, shown) > optimum(local, shown)
    optimal = value(WORK, f"plans of {cases:,} small cases longer than the optimum", longer, "plans", "<= 0")
    return [optimal, *real_edits()]


def small_cases(full: bool) -> Iterator[tuple[list[Name], list[Name]]]:
    """Every combination of a store and a service with two classes and three images, also with one duplicate sample.

    ``full`` adds 20,000 random combinations with four images.
    """
    yield from _cases(IMAGES[:3])
    if full:
        yield from random.Random(6).sample(list(_cases(IMAGES)), 20_000)


def _cases(images: str) -> Iterator[tuple[list[Name], list[Name]]]:
    names = list(itertools.product(TITLES, images))
    subsets = [list(itertools.compress(names, bits)) for bits in itertools.product((0, 1), repeat=len(names))]
    for local in subsets:
        for shown in subsets:
            yield local, shown
            if shown:
                yield local, [*shown, shown[0]]


def planned(local: list[Name], shown: list[Name]) -> int:
    def uid(name: Name) -> str:
        return make_uid(format(ord(name[1]), "x") * 16, make_scope(MODEL, name[0]))

    samples = sorted((LocalSample(uid(one), one[0], (f"{one[1]}.jpg",), 10) for one in local), key=lambda one: one.uid)
    marks = [Mark(uid(one), one[0], MarkState.AGREED, 0.0, "now", f"{one[1]}.jpg") for one in {*local, *shown}]
    marks = sorted((mark for mark in marks if mark.uid in {uid(one) for one in shown}), key=lambda mark: mark.uid)
    remote = [
        RemoteSample(uid(one), 100 + number, 1 + TITLES.index(one[0]), one[0]) for number, one in enumerate(shown)
    ]
    classes = tuple(
        RemoteClass(number, title, sum(one[0] == title for one in shown)) for number, title in enumerate(TITLES, 1)
    )
    remote.sort(key=lambda one: (one.uid, one.sample_id))
    observation = Observation(ModelInfo(MODEL, "A model"), 10_000.0, classes, tuple(remote))
    terms = PlanContext(run="now", run_started=0.0, quarantine=60.0, uids_proven=True)
    return make_plan(samples, marks, observation, terms).requests


def optimum(local: list[Name], shown: list[Name]) -> int:
    names = dict(enumerate(shown))
    order = itertools.count()
    queue: list[tuple[int, int, State]] = [(0, next(order), (frozenset(names), frozenset(), False))]
    seen = set()
    while queue:
        cost, _, state = heapq.heappop(queue)
        if state in seen:
            continue
        seen.add(state)
        there, uploaded, removing = state
        held = [names[one] for one in there] + list(uploaded)
        if len(held) == len(local) and set(held) == set(local):
            return cost
        if not removing:
            for name in set(local) - set(held):
                heapq.heappush(queue, (cost + 1, next(order), (there, uploaded | {name}, False)))
        spare = {one for one in there if names[one] not in local or held.count(names[one]) > 1}
        for one in spare:
            heapq.heappush(queue, (cost + 1, next(order), (there - {one}, uploaded, True)))
        for title in TITLES:
            whole = {one for one in there if names[one][0] == title}
            if whole and not any(name[0] == title for name in local):
                heapq.heappush(queue, (cost + CLASS_REMOVE_COST, next(order), (there - whole, uploaded, True)))
    raise AssertionError("no sequence of calls brings the service in sync")


def real_edits() -> list[Figure]:
    """Changes a store of 300 images in usual ways, and pushes after each change."""
    found = []
    with tempfile.TemporaryDirectory() as scratch, running(limit=10**9) as box:
        store, home = Path(scratch, "photos"), Path(scratch, "home")
        draw(store, 300)
        bind(store, box.url, box.add_model())
        settings = environ(home, box, 10**9, 60.0)

        def push() -> int:
            command = [*ASTICA, "push", "--json", "--yes", "--store", store]
            said = json.loads(subprocess.run(command, env=settings, capture_output=True, check=True).stdout)
            assert said["in_sync"], said
            return int(said["requests"])

        push()
        for name, edit in EDITS.items():
            edit(store)
            requests = push()
            images = sum(1 for _ in store.glob("class */*.png"))
            note = f"{requests} request{'s' * (requests > 1)}, the vendor's script uploads all {images} again"
            found.append(value(WORK, name, requests / images, "the vendor's script", note=note))
    return found


def _add(store: Path) -> None:
    draw(store.parent / "new", 10, first=1000)
    for path in sorted((store.parent / "new").glob("*/*.png")):
        path.rename(store / "class 0" / f"new {path.name}")


def _rename(store: Path) -> None:
    for path in sorted((store / "class 1").iterdir())[:20]:
        path.rename(path.with_name(f"renamed {path.name}"))


def _edit(store: Path) -> None:
    draw(store.parent / "edited", 5, first=2000)
    edited = sorted((store.parent / "edited").glob("*/*.png"))
    for path, new in zip(sorted((store / "class 2").iterdir()), edited, strict=False):
        new.replace(path)


def _move(store: Path) -> None:
    for path in sorted((store / "class 0").iterdir())[:10]:
        path.rename(store / "class 1" / path.name)


def _delete(store: Path) -> None:
    for path in sorted((store / "class 1").iterdir())[:10]:
        path.unlink()


def _remove_class(store: Path) -> None:
    shutil.rmtree(store / "class 2")


EDITS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda _: None,
    "10 images added": _add,
    "20 renamed in their class": _rename,
    "5 edited": _edit,
    "10 moved to another class": _move,
    "10 deleted": _delete,
    "a class deleted": _remove_class,
}
