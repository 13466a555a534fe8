"""Kills real trainings, makings of models and pushes to a version at random moments, while the sandbox loses answers.

``python tests/faults/killing_training.py --cycles 60 --photos FOLDER`` runs it by hand. Each cycle wants one thing: a
version, a model, or the data of an old version on the service. The command that asks for it is killed once or more;
then the faults stop, and the same command must bring it about: never a second model, never a second training, and no
sample twice or gone.
"""

import argparse
import contextlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from killing import FAULTS, LATE, Broken, Loop, scene

from astica_sync.local.db.journal import Journal
from astica_sync.training.train import PENDING, UNTOLD

LOST = (
    f"model_train@20%=late~0.3-{LATE}",
    "model_train@20%=lost-after",
    "model_train@15%=lost-before",
    f"create@20%=late~0.3-{LATE}",
    "create@25%=lost-after",
    "create@15%=lost-before",
    "*@10%=lost-after",
    "*@5.6%=5xx",
)
MOST_KILLS = 3
HOUR = 3600.0


@dataclass
class Story:
    """One store through all cycles; ``ends`` counts how each thing that was wanted came about."""

    loop: Loop
    cycle: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def play(self) -> None:
        """One cycle.

        Raises:
            Broken: a promise was broken.
        """
        kinds: list[Callable[[], None]] = [self.train, self.make_model, self.go_back, self.make_store]
        # The first of each kind once, so that a short run tries all of them.
        chosen = kinds[self.cycle] if self.cycle < len(kinds) else self.loop.dice.choice(kinds)
        self.cycle += 1
        chosen()

    def train(self) -> None:
        """A version of the data that is there now."""
        self.loop.change()
        self.run("push", "--yes")
        held, before = self.managed(), self.trainings()
        if (untold := self.meta(UNTOLD)) is not None:
            # The last cycle read it off what the killed command had said.
            self.set_meta(UNTOLD, None)
            self.ends["training: said, and killed before it was noted"] += bool(untold)
        for _ in range(self.kills_wanted()):
            self.kill("train")
            self.expect(self.trainings() <= before + 1, "a second training")
            if self.said_one_of(self.loop.box.versions(self.loop.model_id)[before:]):
                self.ends["training: said before it was killed"] += 1
                break
        else:
            self.calm()
            self.pick_up_training(before)
        self.loop.box.wait_for_training()
        self.expect(self.trainings() == before + 1, f"{self.trainings() - before} trainings where one was asked for")
        newest = json.loads(self.run("versions", "--json"))["versions"][-1]
        self.expect(newest["name"] == self.loop.box.versions(self.loop.model_id)[-1], "the version is not listed")
        self.expect(newest["made_here"], "the version counts as made elsewhere")
        self.expect(self.data_of(newest["name"]) == held, "the snapshot is not what the service held")
        self.expect(self.managed() == held, "a training changed what the service holds")

    def pick_up_training(self, before: int) -> None:
        self.loop.box.wait_for_training()
        arrived, pending = self.trainings() > before, self.meta(PENDING)
        if arrived or pending is None:
            out = self.run("train")
            self.ends["training: picked up" if arrived else "training: killed before it was asked for"] += 1
        else:
            # Nobody can know that the request was lost, so the time that a training takes has to pass.
            self.set_meta(PENDING, {**pending, "asked_at": pending["asked_at"] - HOUR})
            code, out = self.loop.run("train")
            self.expect(code == 1 and "no version has appeared" in out, f"an overdue training: {code}\n{out}")
            self.expect(self.trainings() == before, "asked again without a word from a person")
            out = self.run("train", "--again")
            self.ends["training: the request was lost"] += 1
        self.expect(out.splitlines()[-1] in self.loop.box.versions(self.loop.model_id)[before:], f"it said:\n{out}")

    def make_model(self) -> None:
        """A model, by ``models create``."""
        title = f"Model of cycle {self.cycle}"
        command = ("models", "create", "--title", title, "--type", "image", "--purpose", "crash")
        for _ in range(self.kills_wanted()):
            self.kill(*command)
            self.expect(len(self.models(title)) <= 1, "a second model")
            if self.said_one_of(map(str, self.models(title))) and not self.attempts():
                self.ends["model: said before it was killed"] += 1
                break
        else:
            self.calm()
            self.ends["model: picked up" if self.models(title) else "model: killed before it was asked for"] += 1
            out = self.run(*command)
            self.expect([int(out.splitlines()[-1])] == self.models(title), f"it said:\n{out}")
        self.expect(len(self.models(title)) == 1, f"{len(self.models(title))} models where one was asked for")
        self.expect(not self.attempts(), "an attempt is still open")

    def make_store(self) -> None:
        """A model with a store, by ``init --create``."""
        title = f"Store of cycle {self.cycle}"
        folder = self.loop.home / title
        folder.mkdir()
        sentinel, attempt = folder / ".astica-sync" / "store.json", folder / ".astica-sync" / "creating.json"
        command = ("init", str(folder), "--create", title, "--type", "image", "--purpose", "crash")
        for _ in range(self.kills_wanted()):
            self.kill(*command)
            self.expect(len(self.models(title)) <= 1, "a second model")
            if sentinel.exists() and not attempt.exists():
                self.ends["store: bound before it was killed"] += 1
                break
        else:
            self.calm()
            self.ends["store: picked up" if self.models(title) else "store: killed before it was asked for"] += 1
            self.run(*command)
        self.expect(len(self.models(title)) == 1, f"{len(self.models(title))} models where one was asked for")
        self.expect([json.loads(sentinel.read_bytes())["model_id"]] == self.models(title), "bound to another model")

    def go_back(self) -> None:
        """The data of an old version on the service, by ``push --as``; and mostly forward again."""
        known = [one for one in json.loads(self.run("versions", "--json"))["versions"] if one["made_here"]]
        version = self.loop.dice.choice(known)["name"]
        wanted, folder = self.data_of(version), self.loop.local()
        for _ in range(self.kills_wanted()):
            self.kill("push", "--as", version, "--yes", faults=FAULTS)
            self.loop.check(f"cycle {self.cycle}")
        self.calm()
        self.ends["back: was there already" if self.managed() == wanted else "back: went on"] += 1
        self.run("push", "--as", version, "--yes")
        self.loop.check(f"cycle {self.cycle}")
        self.expect(self.managed() == wanted, f"the service does not hold the data of {version}")
        self.expect(self.loop.local() == folder, "the folder was touched")
        self.loop.box.forget_log()
        self.run("push", "--as", version, "--yes")
        self.expect([request.call for request in self.loop.box.log] == ["view"], "the second push found something")
        follows = json.loads(self.run("pull-status", "--json"))["follows"]
        self.expect(follows == version, f"it follows {follows}")
        if self.loop.dice.random() < 0.7:
            self.run("push", "--yes")
            self.expect(self.managed() == folder, "a plain push does not bring the store forward")

    def kill(self, *command: str, faults: tuple[str, ...] = LOST) -> None:
        self.loop.box.set_faults(*faults, seed=self.loop.dice.randrange(2**32))
        self.loop.kill_one(*command)

    def calm(self) -> None:
        """The faults stop, and what the service was still at is done."""
        self.loop.box.set_faults()
        time.sleep(2 * LATE)

    def run(self, *command: str) -> str:
        """One command without faults, which has to end well; what it said."""
        self.loop.box.set_faults()
        code, out = self.loop.run(*command)
        self.expect(code == 0, f"{' '.join(command)} ended with {code}:\n{out}")
        return out

    def expect(self, held: bool, what: str) -> None:
        if not held:
            raise Broken(f"cycle {self.cycle}: {what}")

    def kills_wanted(self) -> int:
        return self.loop.dice.randint(1, MOST_KILLS)

    def said_one_of(self, lines: Any) -> bool:
        return bool(set(self.loop.said.splitlines()) & set(lines))

    def trainings(self) -> int:
        """How many trainings the service has begun, those that failed included."""
        return len(self.rows("SELECT id FROM versions WHERE model_id = ?", self.loop.model_id))

    def models(self, title: str) -> list[int]:
        return [row[0] for row in self.rows("SELECT id FROM models WHERE title = ?", title)]

    def rows(self, query: str, value: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.loop.data / "sandbox.db")) as account:
            return account.execute(query, (value,)).fetchall()

    def attempts(self) -> list[Path]:
        return list((self.loop.home / "state").rglob("creating*.json"))

    def managed(self) -> Counter[tuple[str, bytes]]:
        return self.loop.remote() - self.loop.foreign

    def data_of(self, version: str) -> Counter[tuple[str, bytes]]:
        """What the backup says that a version was made of."""
        found: Counter[tuple[str, bytes]] = Counter()
        for line in self.run("snapshot", "show", version, "--json").splitlines():
            sample = json.loads(line)
            if "content" in sample:
                content = sample["content"]
                (kept,) = self.loop.backup.glob(f"objects/{content[:2]}/{content}.*")
                found[(sample["class"], kept.read_bytes())] += 1
        return found

    def meta(self, name: str) -> Any:
        with contextlib.closing(self.journal()) as journal:
            return journal.get_meta(name)

    def set_meta(self, name: str, value: Any) -> None:
        with contextlib.closing(self.journal()) as journal:
            journal.set_meta(name, value)

    def journal(self) -> Journal:
        return Journal(self.loop.store / ".astica-sync" / "journal.db")


def kill_trainings(photos: Path, cycles: int, seed: int) -> Story:
    """Plays all cycles.

    Raises:
        Broken: a promise was broken; the text names it, the cycle and the seed.
    """
    with scene(photos, seed) as loop:
        story = Story(loop)
        try:
            for _ in range(cycles):
                story.play()
            loop.settle()
        except Broken as broken:
            raise Broken(f"{broken}\nagain with: python {Path(__file__).name} --seed {seed}") from None
        return story


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=60)
    parser.add_argument("--photos", type=Path, default=Path("fixtures/store"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    began = time.monotonic()
    story = kill_trainings(given.photos, given.cycles, given.seed)
    took = time.monotonic() - began
    print(f"{given.cycles} cycles in {took:.0f} s with seed {given.seed}: no second model, no second training")
    print(f"killed by {dict(story.loop.kills)}")
    print("\n".join(f"{count:>5}  {end}" for end, count in sorted(story.ends.items())))


if __name__ == "__main__":
    main()
