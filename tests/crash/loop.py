"""One store and one sandbox, on which commands are killed at random moments while answers are lost and requests fail.

What must hold after every cycle is checked then; at the end the faults stop, and one push must bring the service in
sync with the store, which the next push confirms with a single request.
"""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import xxhash

from astica_sync.sandbox.embedded import RunningSandbox, running

KEY = "the-key-of-the-crash-loop"
QUARANTINE = 1.5
LATE = 1.1
FAULTS = (f"upload@20%=late~0.3-{LATE}", "*@10%=lost-after", "*@5.6%=5xx")
"""10 % lost answers and, since the first matching rule decides, 5 % of all requests a 503; late work is done well
within the quarantine."""

LONGEST_PUSH = 60.0


class Broken(AssertionError):
    """A promise was broken; the text names it and the cycle."""


def duplicated_uids(data: Path) -> list[str]:
    """The uids that two samples of one class of the sandbox in this folder had at the same time, at any moment."""
    with contextlib.closing(sqlite3.connect(data / "sandbox.db")) as account:
        rows = account.execute(
            "SELECT DISTINCT one.uid FROM samples one JOIN samples other ON other.class_id = one.class_id"
            " AND other.uid = one.uid AND one.id < other.id"
            " WHERE one.uid != '' AND (one.removed IS NULL OR one.removed > other.created)"
        ).fetchall()
    return [row[0] for row in rows]


@dataclass
class CrashLoop:
    """One store and one sandbox through all cycles.

    ``foreign`` are the samples made elsewhere, ``ever`` every content that the service was observed to hold, ``aside``
    the images that were taken out of the store, ``kills`` how many kills there were of each kind, ``output`` what the
    last killed command had printed.
    """

    store: Path
    home: Path
    data: Path
    box: RunningSandbox
    model_id: int
    dice: random.Random
    foreign: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    ever: set[str] = field(default_factory=set)
    aside: list[Path] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    output: str = ""

    @property
    def environ(self) -> dict[str, str]:
        rest = {name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")}
        return rest | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "ASTICA_TRAIN_URL": self.box.url,
            "ASTICA_DETECT_URL": self.box.url,
            "ASTICA_API_KEY": KEY,
            "ASTICA_QUARANTINE": str(QUARANTINE),
            # What a killed request had under way counts for minutes; other tests are about the limit.
            "ASTICA_LIMIT": "1000000",
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "astica_sync", *arguments],
            cwd=self.store,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        out, _ = process.communicate(timeout=LONGEST_PUSH)
        return process.returncode, out

    def images(self) -> list[Path]:
        return sorted(path for path in self.store.glob("*/*") if not path.parent.name.startswith("."))

    def local(self) -> Counter[tuple[str, bytes]]:
        return Counter({(path.parent.name, path.read_bytes()) for path in self.images()})

    def remote(self) -> Counter[tuple[str, bytes]]:
        while True:
            # What a killed push had under way may be removed while it is read.
            with contextlib.suppress(FileNotFoundError):
                return Counter((sample.class_title, sample.image) for sample in self.box.samples(self.model_id))

    def change(self) -> None:
        """A few of the changes that users make to their folders."""
        for _ in range(self.dice.randint(3, 12)):
            images = self.images()
            image = self.dice.choice(images)
            match self.dice.choice(["move", "edit", "add", "delete", "back", "rename"]):
                case "move":
                    title = self.dice.choice([path.parent.name for path in images])
                    image.replace(self.store / title / image.name)
                case "edit":
                    # Bytes after the end of an image make another image of it, and a good one.
                    image.write_bytes(image.read_bytes() + self.dice.randbytes(4))
                case "add":
                    fresh = image.with_name(f"new-{self.dice.randbytes(6).hex()}{image.suffix}")
                    fresh.write_bytes(image.read_bytes() + self.dice.randbytes(4))
                case "delete" if len(images) > 6:
                    image.rename(self.home / image.name)
                    self.aside.append(self.home / image.name)
                case "back" if self.aside:
                    back = self.aside.pop(self.dice.randrange(len(self.aside)))
                    if back.exists():
                        back.replace(image.with_name(f"back-{back.name}"))
                case "rename":
                    image.replace(image.with_name(f"named-{self.dice.randbytes(3).hex()}{image.suffix}"))

    def kill_one(self, *arguments: str) -> bool:
        """Starts a command, a push unless another is named, and kills it after some time or some request; what it had
        printed by then is in ``output``. False when it had ended by then."""
        seen = len(self.box.log)
        process = self.start(*(arguments or ("push", "--yes")))
        try:
            if self.dice.random() < 0.4:
                moment = "time"
                self._wait(process, self.dice.uniform(0.1, 1.6), sys.maxsize)
            else:
                moment = "request"
                self._wait(process, 4.0, seen + self.dice.randint(1, 12))
                time.sleep(self.dice.choice([0.0, 0.001, 0.005, 0.02]))
            if self.dice.random() < 0.2:
                # It is stopped for longer than the quarantine, as on a closed laptop, then runs on for a moment.
                process.send_signal(signal.SIGSTOP)
                time.sleep(QUARANTINE + LATE)
                process.send_signal(signal.SIGCONT)
                self._wait(process, self.dice.uniform(0.0, 0.3), sys.maxsize)
                moment += " and a stop"
        finally:
            ended = process.poll() is not None
            process.send_signal(signal.SIGKILL)
            self.output, _ = process.communicate()
        self.kills["ended by itself" if ended else moment] += 1
        return not ended

    def _wait(self, process: "subprocess.Popen[str]", seconds: float, requests: int) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and len(self.box.log) < requests and process.poll() is None:
            time.sleep(0.002)

    def check(self, when: str) -> None:
        """What holds at any moment: backup first, at most one copy of each sample, samples made elsewhere untouched."""
        held = self.remote()
        mine = held - self.foreign
        if missing := self.foreign - held:
            raise Broken(f"{when}: {sum(missing.values())} samples made elsewhere are missing (promise 2)")
        if duplicates := duplicated_uids(self.data):
            raise Broken(f"{when}: two copies existed at the same time: {duplicates} (promise 5)")
        for _, image in mine:
            self.ever.add(xxhash.xxh3_128_hexdigest(image))
        kept = {path.name.partition(".")[0]: path for path in self.backup.glob("objects/*/*")}
        for content in self.ever:
            if content not in kept or xxhash.xxh3_128_hexdigest(kept[content].read_bytes()) != content:
                raise Broken(f"{when}: {content} was on the service and is not in the backup (promise 1)")

    @property
    def backup(self) -> Path:
        return self.store / ".astica-sync" / "backup"

    def finish(self) -> None:
        """Ends the faults. One push must bring the service in sync, and the next must find nothing to do."""
        self.box.set_faults()
        time.sleep(2 * LATE)
        code, out = self.run("push", "--yes")
        if code != 0:
            raise Broken(f"the last push ended with {code}:\n{out}")
        self.check("at the end")
        if self.remote() - self.foreign != self.local():
            raise Broken("the service does not hold exactly the folder (promise 4)")
        self.box.clear_log()
        code, out = self.run("push")
        calls = [request.call for request in self.box.log]
        if code != 0 or calls != ["view"]:
            raise Broken(f"the push after the last one sent {calls} and ended with {code} (promise 4)\n{out}")
        code, out = self.run("backup", "verify")
        if code != 0:
            raise Broken(f"the backup is not whole:\n{out}")


@contextlib.contextmanager
def crash_loop(photos: Path, seed: int) -> Iterator[CrashLoop]:
    """A copy of the photos as a store of a new model, which also has two samples made elsewhere."""
    with (
        tempfile.TemporaryDirectory(prefix="astica-sync-killing-") as folder,
        running(Path(folder, "sandbox"), key=KEY, limit=10**9) as box,
    ):
        store, home, data = Path(folder, "photos"), Path(folder, "home"), Path(folder, "sandbox")
        home.mkdir()
        store.mkdir()
        for source in sorted(photos.glob("*/*")):
            if source.suffix.lower() in (".jpg", ".jpeg", ".png"):
                (store / source.parent.name).mkdir(exist_ok=True)
                shutil.copyfile(source, store / source.parent.name / source.name)
        loop = CrashLoop(store, home, data, box, box.add_model("Photos"), random.Random(seed))
        first = loop.images()[0]
        loop.foreign[(first.parent.name, b"made elsewhere")] += 1
        loop.foreign[("Elsewhere", first.read_bytes())] += 1
        for title, image in loop.foreign:
            box.add_sample(loop.model_id, title, image)
        code, out = loop.run("init", "--model", str(loop.model_id))
        if code != 0:
            raise Broken(f"init ended with {code}:\n{out}")
        yield loop


class Work(Protocol):
    """What is killed in each cycle."""

    loop: CrashLoop

    def __init__(self, loop: CrashLoop) -> None: ...

    def play(self, cycle: int) -> None:
        """One cycle.

        Raises:
            Broken: a promise was broken.
        """

    def summary(self) -> str:
        """What happened in all cycles."""


def run_crashes(work_type: type[Work], photos: Path, cycles: int, seed: int) -> Work:
    """Runs all cycles.

    Raises:
        Broken: a promise was broken; the text names it, the cycle, and the command that repeats the run.
    """
    with crash_loop(photos, seed) as loop:
        work = work_type(loop)
        try:
            for cycle in range(1, cycles + 1):
                work.play(cycle)
            loop.finish()
        except Broken as broken:
            command = f"python -m tests.crash {work_type.__name__.lower()} --cycles {cycles} --seed {seed}"
            raise Broken(f"{broken}\nagain with: {command}") from None
        return work
