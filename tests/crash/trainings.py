"""Trainings, makings of models and pushes to a version that are killed.

Each cycle has one goal: a version, a model, or the data of an old version on the service. The command for it is killed
once or more; then the faults stop, and the same command must reach the goal: never a second model, never a second
training, and no sample duplicated or missing.
"""

import contextlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astica_sync.local.db.journal import Journal
from astica_sync.training.train import PENDING, UNREPORTED
from tests.crash.loop import FAULTS, LATE, Broken, CrashLoop

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


class Trainings:
    """Each cycle kills the command for one goal; ``ends`` counts how each goal was reached."""

    def __init__(self, loop: CrashLoop) -> None:
        self.loop = loop
        self.cycle = 0
        self.ends: Counter[str] = Counter()

    def play(self, cycle: int) -> None:
        kinds: list[Callable[[], None]] = [self.train, self.make_model, self.go_back, self.make_store]
        # The first of each kind once, so that a short run tries all of them.
        chosen = kinds[cycle - 1] if cycle <= len(kinds) else self.loop.dice.choice(kinds)
        self.cycle = cycle
        chosen()

    def summary(self) -> str:
        return "\n".join(f"{count:>5}  {end}" for end, count in sorted(self.ends.items()))

    def train(self) -> None:
        """A version of the data that is there now."""
        self.loop.change()
        self.run("push", "--yes")
        held, before = self.managed(), self.trainings()
        if (unreported := self.meta(UNREPORTED)) is not None:
            # The last cycle read it from what the killed command had printed.
            self.set_meta(UNREPORTED, None)
            self.ends["training: printed, and killed before it was noted"] += bool(unreported)
        for _ in range(self.kills_wanted()):
            self.kill("train")
            self.expect(self.trainings() <= before + 1, "a second training")
            if self.printed_one_of(self.loop.box.versions(self.loop.model_id)[before:]):
                self.ends["training: printed before it was killed"] += 1
                break
        else:
            self.calm()
            self.pick_up_training(before)
        self.loop.box.wait_for_training()
        self.expect(self.trainings() == before + 1, f"{self.trainings() - before} trainings where one was requested")
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
            self.ends["training: picked up" if arrived else "training: killed before the request"] += 1
        else:
            # Only the time that a training takes shows that the request was lost.
            self.set_meta(PENDING, {**pending, "asked_at": pending["asked_at"] - HOUR})
            code, out = self.loop.run("train")
            self.expect(code == 1 and "no version has appeared" in out, f"an overdue training: {code}\n{out}")
            self.expect(self.trainings() == before, "asked again without --again")
            out = self.run("train", "--again")
            self.ends["training: the request was lost"] += 1
        self.expect(out.splitlines()[-1] in self.loop.box.versions(self.loop.model_id)[before:], f"it printed:\n{out}")

    def make_model(self) -> None:
        """A model, by ``models create``."""
        title = f"Model of cycle {self.cycle}"
        command = ("models", "create", "--title", title, "--type", "image", "--purpose", "crash")
        for _ in range(self.kills_wanted()):
            self.kill(*command)
            self.expect(len(self.models(title)) <= 1, "a second model")
            if self.printed_one_of(map(str, self.models(title))) and not self.attempts():
                self.ends["model: printed before it was killed"] += 1
                break
        else:
            self.calm()
            self.ends["model: picked up" if self.models(title) else "model: killed before the request"] += 1
            out = self.run(*command)
            self.expect([int(out.splitlines()[-1])] == self.models(title), f"it printed:\n{out}")
        self.expect(len(self.models(title)) == 1, f"{len(self.models(title))} models where one was requested")
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
            self.ends["store: picked up" if self.models(title) else "store: killed before the request"] += 1
            self.run(*command)
        self.expect(len(self.models(title)) == 1, f"{len(self.models(title))} models where one was requested")
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
        self.loop.box.clear_log()
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
        """Ends the faults, and waits until the service has done what was under way."""
        self.loop.box.set_faults()
        time.sleep(2 * LATE)

    def run(self, *command: str) -> str:
        """One command without faults, which must succeed; its output."""
        self.loop.box.set_faults()
        code, out = self.loop.run(*command)
        self.expect(code == 0, f"{' '.join(command)} ended with {code}:\n{out}")
        return out

    def expect(self, held: bool, what: str) -> None:
        if not held:
            raise Broken(f"cycle {self.cycle}: {what}")

    def kills_wanted(self) -> int:
        return self.loop.dice.randint(1, MOST_KILLS)

    def printed_one_of(self, lines: Any) -> bool:
        return bool(set(self.loop.output.splitlines()) & set(lines))

    def trainings(self) -> int:
        """How many trainings the service has started, failed ones included."""
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
