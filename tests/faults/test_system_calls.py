"""System calls that fail: strace answers some of those that a command makes with errors of its own.

Which calls a command makes is recorded once. Then the same command runs with one of them failing, once or from there
on, in any way a file system, a sandbox or a limit may fail it: there is never a traceback, the next plain push ends in
sync, and each image is on the service once. More are played by ``python -m tests.faults.test_system_calls COUNT SEED``.
"""

import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness import system_calls
from tests.harness.digits import write_digits
from tests.harness.shell import draw, in_store, on_service
from tests.harness.system_calls import Fault

pytestmark = pytest.mark.long

COMMANDS = ("init", "push", "pull-status", "watch", "verify", "restore", "train", "evaluate")
PAIRS = 8
"""How many faults of each command the test plays."""
SEED = 1
PATIENCE = 120.0
KNOWN_CODES = {0, 1, 2, 3, 4, 5, 130, 141}


class Ground:
    """A trained store with a sandbox, and the commands on it."""

    def __init__(self, folder: Path, box: RunningSandbox) -> None:
        self.box = box
        self.folder = folder
        home = folder / "home"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")} | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "ASTICA_TRAIN_URL": box.url,
            "ASTICA_DETECT_URL": box.url,
            "ASTICA_API_KEY": box.key,
            "ASTICA_QUARANTINE": "0.2",
            "ASTICA_LIMIT": "1000000",
        }
        self.store = write_digits(folder / "store", 4)
        self.held_out = write_digits(folder / "held", 2, start=4)
        self.model = box.add_model("Digits")
        self.number = 0
        for name in ("init", "push", "train"):
            done = self.run(name)
            assert done.returncode == 0, done.stderr

    def change(self) -> None:
        """Gives the next push work: a new image, and from the fourth on one to remove."""
        self.number += 1
        draw(self.store / "new" / f"{self.number:04}.png", 1000 + self.number)
        for old in sorted((self.store / "new").iterdir())[:-3]:
            old.unlink()

    def run(self, name: str, under: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        arguments = {
            "init": ["init", self.store, "--model", self.model],
            "push": ["push", "--yes", "--store", self.store],
            "pull-status": ["pull-status", "--store", self.store],
            "watch": ["watch", "--once", self.store],
            "verify": ["backup", "verify", "--store", self.store],
            "restore": ["backup", "restore", "--store", self.store, "--to", self.folder / f"target{self.number}"],
            "train": ["train", "--again", "--store", self.store],
            "evaluate": ["evaluate", self.held_out, "--store", self.store],
        }[name]
        command = [*under, sys.executable, "-m", "tests.harness.short_pauses", *map(str, arguments)]
        return subprocess.run(
            command,
            env=self.environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )

    def prepare(self, name: str) -> None:
        self.change()
        if name == "train":
            assert self.run("push").returncode == 0

    def faults(self, name: str, dice: random.Random) -> Iterator[Fault]:
        """The faults of a command. Those that leave the service waiting for the rest of a request end at its deadline
        alone, and are left out."""
        self.prepare(name)
        trace = self.folder / f"trace-{name}"
        recorded = self.run(name, tuple(system_calls.record(trace)))
        assert recorded.returncode == 0, recorded.stderr
        assert self.run("push").returncode == 0
        every = system_calls.faults(system_calls.sites(trace))
        drawn = system_calls.drawn(every, dice)
        return (fault for fault in drawn if fault.site.call not in ("sendto", "recvfrom", "poll", "ppoll", "select"))

    def play(self, name: str, fault: Fault) -> str:
        """Runs the command with the fault, then a plain push; returns what is wrong, "" where nothing is."""
        self.prepare(name)
        done = self.run(name, tuple(fault.under))
        text = done.stdout + done.stderr
        if any(words in text for words in ("Traceback", "internal error", "Exception ignored")):
            return f"a traceback: {text}"
        if done.returncode not in KNOWN_CODES:
            return f"exit code {done.returncode}: {text}"
        after = self.run("push")
        if after.returncode != 0:
            return f"the push after it fails: {after.stderr}; before: {text}"
        if on_service(self.box, self.model) != in_store(self.store):
            return f"the service differs after a push: {text}"
        return ""


@contextmanager
def ground_in(folder: Path) -> Iterator[Ground]:
    with running(limit=10**9) as box:
        yield Ground(folder, box)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if not system_calls.can_inject():
        pytest.skip("strace cannot make system calls fail here")
    with ground_in(tmp_path_factory.mktemp("ground")) as ground:
        yield ground


@pytest.mark.parametrize("name", COMMANDS)
def test_a_call_that_fails_ends_in_a_message_and_the_next_push_in_sync(ground: Ground, name: str) -> None:
    faults = ground.faults(name, random.Random(SEED))
    wrong = [f"{fault}: {reason}" for fault in islice(faults, PAIRS) if (reason := ground.play(name, fault))]
    assert wrong == []


OPTIONAL = {
    "fsync": ("EINVAL", "ENOSYS", "EOPNOTSUPP"),
    "copy_file_range": ("EIO", "EINVAL", "EPERM", "EOVERFLOW", "EBADF"),
    "linkat": ("EPERM", "EOPNOTSUPP", "EMLINK", "EXDEV"),
    "fchmod": ("EPERM",),
    "chmod": ("EPERM", "EOPNOTSUPP"),
    "statfs": ("ENOSYS",),
    "prlimit64": ("EPERM",),
    "setpriority": ("EPERM",),
    "sched_getaffinity": ("ENOSYS",),
    "inotify_init": ("EMFILE",),
    "inotify_add_watch": ("ENOSPC",),
}
"""Calls that a push does without, from the first one on."""
PAIRS_OF_OPTIONAL = [(call, error) for call, errors in OPTIONAL.items() for error in errors]


@pytest.mark.parametrize(("call", "error"), PAIRS_OF_OPTIONAL, ids=str)
def test_an_optional_call_that_never_works_does_not_stop_a_push(ground: Ground, call: str, error: str) -> None:
    ground.change()
    done = ground.run("push", tuple(Fault(system_calls.Site(call, "", 1), error, always=True).under))
    assert done.returncode == 0, done.stderr
    assert on_service(ground.box, ground.model) == in_store(ground.store)


@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP", "EIO"])
def test_without_locks_nothing_is_sent_and_the_message_says_so(ground: Ground, error: str) -> None:
    ground.change()
    before = on_service(ground.box, ground.model)
    done = ground.run("push", tuple(Fault(system_calls.Site("flock", "", 1), error, always=True).under))
    assert done.returncode == 1
    assert ("cannot lock files" in done.stderr) == (error != "EIO"), done.stderr
    assert on_service(ground.box, ground.model) == before
    assert ground.run("push").returncode == 0


def play_many(names: list[str], count: int, seed: int) -> None:
    """Plays so many faults of each command and prints what is wrong, and how many pairs of a call and an error that
    were."""
    with tempfile.TemporaryDirectory() as folder, ground_in(Path(folder)) as ground:
        for name in names:
            played: Counter[str] = Counter()
            pairs: set[tuple[str, str]] = set()
            for fault in islice(ground.faults(name, random.Random(seed)), count):
                try:
                    reason = ground.play(name, fault)
                except subprocess.TimeoutExpired:
                    reason = "it hangs"
                played["bad" if reason else "good"] += 1
                pairs.add((fault.site.call, fault.error))
                if reason:
                    sys.stdout.write(f"{name}: {fault}: {reason}\n")
            calls = {call for call, _ in pairs}
            sys.stdout.write(f"{name}: {dict(played)}, {len(pairs)} pairs of {len(calls)} calls and an error\n")
            sys.stdout.flush()


if __name__ == "__main__":
    play_many(sys.argv[3].split(",") if len(sys.argv) > 3 else list(COMMANDS), int(sys.argv[1]), int(sys.argv[2]))
