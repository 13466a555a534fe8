"""A store, a sandbox and the commands on them; each fault begins from the same state, and is judged by what it left.

A fault is green when the command that met it ends without a traceback and with a documented exit code, with a message
that names something and a remedy where it failed; when no image of the store was lost, and no sample lost or doubled
on the service; and when the same command without the fault does the work, and a push ends in sync.
"""

import contextlib
import errno
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import xxhash

from astica_sync.cli.exit_codes import DONE, ERROR, EXIT_CODES, INTERRUPTED, PIPE_CLOSED, SOME_FAILED
from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.crash.loop import duplicated_uids
from tests.harness.digits import write_digits
from tests.harness.shell import Held, draw, in_store, on_service
from tests.syscalls.command_server import CommandServer
from tests.syscalls.faults import ERRORS, Fault, faults, record, sites
from tests.syscalls.saved_tree import put_back, save

COMMANDS = ("push", "restore", "init", "watch", "pull-status", "verify", "train", "evaluate")
PATIENCE = 60.0
NO_LIMIT = 10**9
HELD = "on the service for now"
"""What a push says of a sample that it leaves, since it could not look at its file."""
ASKED_AGAIN = "the service is asked again, and the training goes on there"
"""What a training says that cannot see whether it has ended."""
LOADED = ("astica_sync.cli.training.evaluate", "scipy.stats", "sklearn.metrics")
"""What the commands without a fault need not load each time."""


class Ground:
    """A trained store with a sandbox, and another folder that is no store yet."""

    def __init__(self, folder: Path) -> None:
        self.live = folder.resolve() / "live"
        self._saved = folder.resolve() / "saved"
        self._trace = folder / "trace"
        self._account = self.live / "account"
        home = self.live / "home"
        for place in (home, self._account, self._saved):
            place.mkdir(parents=True)
        self.store = write_digits(self.live / "store", 3)
        self.held_out = write_digits(self.live / "held", 2, start=3)
        self.fresh = write_digits(self.live / "fresh", 1, start=5)
        self.target = self.live / "target"
        self._open = contextlib.ExitStack()
        self._port = 0
        self.box = self._start_sandbox()
        self.model = self.box.add_model("Digits")
        self.other_model = self.box.add_model("Fresh")
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")} | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "ASTICA_TRAIN_URL": self.box.url,
            "ASTICA_DETECT_URL": self.box.url,
            "ASTICA_API_KEY": self.box.key,
            "ASTICA_QUARANTINE": "0.2",
            "ASTICA_LIMIT": str(NO_LIMIT),
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._commands = CommandServer(folder, environ)
        self._loaded = CommandServer(folder, environ, LOADED)
        for number in range(3):
            draw(self.store / "new" / f"{number}.png", 1000 + number)
        for arguments in (["init", self.store, "--model", self.model], self._push(self.store)):
            self._must_succeed(arguments)
        self._must_succeed(self._arguments("train"))
        self._save("trained")
        draw(self.store / "new" / "3.png", 1003)
        self._save("extended")
        self._must_succeed(self._push(self.store))
        self._save("untrained")
        self.reset("extended")
        (self.store / "new" / "0.png").unlink()
        (self.store / "zero" / "002.png").rename(self.store / "new" / "002.png")
        self._save("changed")

    def close(self) -> None:
        self._commands.close()
        self._loaded.close()
        self._open.close()

    def _start_sandbox(self) -> RunningSandbox:
        self._open.close()
        box = self._open.enter_context(running(self._account, port=self._port, limit=NO_LIMIT))
        self._port = int(box.url.rpartition(":")[2])
        return box

    def _save(self, state: str) -> None:
        self._open.close()
        save(self.live, self._saved / state)
        self.box = self._start_sandbox()

    def reset(self, state: str) -> None:
        self._open.close()
        put_back(self._saved / state, self.live)
        self.box = self._start_sandbox()

    def reset_for(self, name: str) -> None:
        """The state from which this command is played: with something to do."""
        states = {"push": "changed", "pull-status": "changed", "watch": "extended", "train": "untrained"}
        self.reset(states.get(name, "trained"))

    def run(self, name: str, tracer: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
        return self._commands.run(self._arguments(name), tracer, PATIENCE)

    def _arguments(self, name: str) -> list[str]:
        arguments = {
            "init": ["init", self.fresh, "--model", self.other_model],
            "push": self._push(self.store),
            "pull-status": ["pull-status", "--store", self.store],
            "watch": ["watch", "--once", self.store],
            "verify": ["backup", "verify", "--store", self.store],
            "restore": ["backup", "restore", "--store", self.store, "--to", self.target],
            "train": ["train", "--store", self.store],
            "evaluate": ["evaluate", self.held_out, "--store", self.store],
        }[name]
        return [str(argument) for argument in arguments]

    @staticmethod
    def _push(store: Path) -> list[str | int | Path]:
        return ["push", "--yes", "--store", store]

    def _run_plainly(self, arguments: Sequence[object]) -> "subprocess.CompletedProcess[str]":
        return self._loaded.run([str(argument) for argument in arguments], (), PATIENCE)

    def _must_succeed(self, arguments: Sequence[object]) -> None:
        done = self._run_plainly(arguments)
        assert done.returncode == DONE, done.stderr

    def faults(self, name: str) -> list[Fault]:
        """Every fault of a command."""
        self.reset_for(name)
        recorded = self.run(name, record(self._trace))
        assert recorded.returncode == DONE, recorded.stderr
        return faults(sites(self._trace, self.live))

    def play(self, name: str, fault: Fault) -> str:
        """Runs the command with the fault, and again without; returns what is wrong, "" where nothing is."""
        self.reset_for(name)
        store, model = self._subject(name)
        images, held = in_store(store), on_service(self.box, model)
        try:
            done = self.run(name, fault.tracer)
            output = f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
            wrong = unclear(done, fault) or self._lost_or_doubled(name, images, held)
            if not wrong and done.returncode == DONE and HELD not in done.stderr:
                wrong = self._undone(name)
            wrong = wrong or self._not_completed(name)
        except subprocess.TimeoutExpired as hanging:
            output = f"it waited, and was killed after {PATIENCE:.0f} s: {hanging.output}{hanging.stderr}"
            # A training takes as long as it takes, whether the service can be asked or not.
            if not (name == "train" and fault.always and ASKED_AGAIN in output):
                return f"it hangs: {output}"
            wrong = self._lost_or_doubled(name, images, held) or self._not_completed(name)
        return f"{wrong}\nthe command with the fault: {output}" if wrong else ""

    def _subject(self, name: str) -> tuple[Path, int]:
        return (self.fresh, self.other_model) if name == "init" else (self.store, self.model)

    def _lost_or_doubled(self, name: str, images: Held, before: Held) -> str:
        store, model = self._subject(name)
        if in_store(store) != images:
            return "the images of the store are others"
        held = on_service(self.box, model)
        if lost := before & images - held:
            return f"{sum(lost.values())} samples were lost on the service"
        if duplicates := duplicated_uids(self._account):
            return f"two copies existed at the same time: {duplicates}"
        objects = {path.stem: path for path in (store / ".astica-sync" / "backup" / "objects").glob("*/[0-9a-f]*")}
        for _, image in held:
            content = xxhash.xxh3_128_hexdigest(image)
            if content not in objects or objects[content].read_bytes() != image:
                return f"{content} is on the service and not in the backup"
        return ""

    def _undone(self, name: str) -> str:
        """What a command that says it is done has not done, "" where nothing is."""
        store, model = self._subject(name)
        if name in ("push", "watch") and on_service(self.box, model) != in_store(store):
            return "the service differs from the store"
        if name == "restore" and in_store(self.target) != in_store(store):
            return "the restored images are not those of the store"
        if name == "init" and not (store / ".astica-sync" / "store.json").is_file():
            return "there is no store"
        if name == "train" and (count := len(self.box.versions(model))) not in (2, 3):
            return f"there are {count} versions after one training or two"
        return ""

    def _not_completed(self, name: str) -> str:
        """What the same command without the fault, and a push after it, leave undone, "" where nothing is."""
        store, model = self._subject(name)
        again = self._run_plainly(self._arguments(name))
        if again.returncode != DONE:
            return f"the command without the fault ends with {again.returncode}: {again.stdout}{again.stderr}"
        if undone := self._undone(name):
            return f"after the command without the fault: {undone}"
        if name not in ("push", "watch"):
            push = self._run_plainly(self._push(store))
            if push.returncode != DONE:
                return f"the push after it ends with {push.returncode}: {push.stdout}{push.stderr}"
        if on_service(self.box, model) != in_store(store):
            return "the service differs from the store after a push"
        if duplicates := duplicated_uids(self._account):
            return f"two copies existed at the same time: {duplicates}"
        return ""


def unclear(done: "subprocess.CompletedProcess[str]", fault: Fault) -> str:
    """What is wrong with how a command with a fault ended, "" where nothing is."""
    for words in ("Traceback", "internal error", "Exception ignored", "Fatal Python error"):
        if words in done.stdout + done.stderr:
            return f"{words!r} is in its output"
    if done.returncode not in EXIT_CODES:
        return f"its exit code is {done.returncode}"
    # What was to be said could not be written.
    silenced = fault.site.call in ("write", "openat") and not done.stderr
    if done.returncode in (DONE, SOME_FAILED, INTERRUPTED, PIPE_CLOSED) or silenced:
        return ""
    if done.returncode == ERROR and _FAILED_PART.search(done.stdout + done.stderr):
        return ""
    message = _MESSAGE.search(done.stderr)
    if message is None:
        return "its message has no remedy"
    if message["what"].casefold() in _REASONS:
        return "its message names nothing"
    return ""


_MESSAGE = re.compile(r"^astica-sync: (?P<what>.+)\n  (?P<remedy>.+)$", re.MULTILINE)
_FAILED_PART = re.compile(r"^! .+\(.+; .+\)$|^damaged: .+\n  .+$", re.MULTILINE)
"""A file of several that all failed, each with its reason and a remedy."""
_REASONS = {os.strerror(getattr(errno, name)).casefold() for name in ERRORS}
"""A reason of the system alone says nothing about what it stopped."""


@contextlib.contextmanager
def ground_in(folder: Path) -> Iterator[Ground]:
    ground = Ground(folder)
    try:
        yield ground
    finally:
        ground.close()
