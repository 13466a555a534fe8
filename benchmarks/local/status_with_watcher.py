"""The status of an unchanged store while a watcher is running, compared with git, which has no watcher here."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astica_sync.sandbox.embedded import RunningSandbox, running
from benchmarks.harness.measure import ASTICA, Command, Figure, compare, skipped, start
from benchmarks.harness.store_trees import MODEL, URL, bind
from benchmarks.local import store_status

START_SECONDS = 900


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    files = 1_000_000 if full else 100_000
    store = store_status.make(scratch, files)
    work = f"no-change status while a watcher runs, {files:,} files"
    git = store_status.git(store, files)
    commands = {store_status.OURS: store_status.status(store)}
    if not isinstance(git, str):
        commands["git status"] = git
    with served(store) as box, watcher(store, box):
        store_status.in_sync(store)
        found = compare(work, commands, times, {(store_status.OURS, "git status"): "<= 0.2"})
    return [*found, *([skipped(work, "git status", git)] if isinstance(git, str) else [])]


@contextmanager
def served(store: Path) -> Iterator[RunningSandbox]:
    """A sandbox without a request limit that has every sample of the last observation; binds the store to it."""
    with running(limit=10**9) as box:
        assert box.add_model("A model") == MODEL
        kept = (store / ".astica-sync" / "last-view.json").read_bytes()
        dataset = json.loads(kept[kept.index(b"\n") + 1 :])["dataset"]
        image = next((store / "class 000").iterdir()).read_bytes()
        for entry in dataset["class_list"]:
            box.add_many(MODEL, entry["title"], [sample["uid"] for sample in entry["samples"]], image)
        bind(store, box.url)
        try:
            yield box
        finally:
            bind(store, URL)


def online(store: Path, box: RunningSandbox, *arguments: str) -> Command:
    home = store_status.home_of(store)
    settings = {
        "ASTICA_API_KEY": box.key,
        "ASTICA_TRAIN_URL": box.url,
        "ASTICA_DETECT_URL": box.url,
        "ASTICA_LIMIT": "1000000000",
    }
    return Command([*ASTICA, *arguments], store, home | settings)


@contextmanager
def watcher(store: Path, box: RunningSandbox) -> Iterator[None]:
    """A watcher that has scanned the store and is idle."""
    state = store / ".astica-sync" / "watch.json"
    state.unlink(missing_ok=True)
    command = online(store, box, "watch", "--json")
    with start(command) as process:
        try:
            give_up = time.monotonic() + START_SECONDS
            while not (state.exists() and '"state": "idle"' in state.read_text()):
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"the watcher does not become idle (exit code {process.poll()})")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
