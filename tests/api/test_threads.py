"""Stores in threads and in asynchronous programs."""

import asyncio
import functools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from astica_sync import Store
from astica_sync.errors import AsticaSyncError, Interrupted
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sync.push.push import PushResult
from tests.harness.shell import Shell, fill


def _push(path: Path) -> PushResult:
    with Store(path) as store:
        return store.push()


def _other_stores(shell: Shell, sandbox: RunningSandbox, folder: Path, count: int) -> list[Path]:
    stores = []
    for number in range(count):
        store = fill(folder / f"store {number}", {"Can": 3, "Jar": 4})
        assert shell("init", store, "--model", str(sandbox.add_model(f"Model {number}"))).code == 0
        stores.append(store)
    return stores


def test_an_asynchronous_program_pushes_and_goes_on_meanwhile(shell: Shell, store: Path) -> None:
    async def program() -> tuple[PushResult, int]:
        turns = 0
        pushing = asyncio.create_task(asyncio.to_thread(_push, store))
        while not pushing.done():
            turns += 1
            await asyncio.sleep(0.005)
        return await pushing, turns

    pushed, turns = asyncio.run(program())
    assert pushed.in_sync and pushed.uploaded == 5 and turns > 1


def test_several_stores_are_pushed_in_as_many_threads(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    stores = _other_stores(shell, sandbox, tmp_path, 3)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(_push, stores))
    assert [(one.in_sync, one.uploaded) for one in results] == [(True, 7)] * 3


def test_two_pushes_of_one_store_at_once_send_each_sample_once(
    shell: Shell, store: Path, sandbox: RunningSandbox
) -> None:
    fill(store, {"More": 30})
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(_push, store) for _ in range(2)]
    errors = [future.exception() for future in futures]
    assert None in errors
    assert all(error is None or isinstance(error, AsticaSyncError) for error in errors)
    assert len(sandbox.samples(sandbox.models()[0][0])) == 35


def test_another_thread_stops_a_push_that_waits(
    shell: Shell, store: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTICA_LIMIT", "3")
    waits = threading.Event()
    ended: list[PushResult] = []
    opened: list[Store] = []

    def note(line: str) -> None:
        if line.startswith("waiting"):
            waits.set()

    def work() -> None:
        with Store(store, progress=note) as own:
            opened.append(own)
            ended.append(own.push())
            with pytest.raises(Interrupted):
                own.status()

    thread = threading.Thread(target=work)
    thread.start()
    assert waits.wait(20)
    opened[0].stop()
    began = time.monotonic()
    thread.join(20)
    assert not thread.is_alive() and time.monotonic() - began < 10
    assert isinstance(ended[0].error, Interrupted) and not ended[0].in_sync
    monkeypatch.setenv("ASTICA_LIMIT", "1000")
    assert 0 < ended[0].uploaded < 5


def test_an_interrupted_cell_leaves_a_store_that_goes_on(
    shell: Shell,
    store: Path,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    fill(store, {"More": 40})
    monkeypatch.setenv("ASTICA_LIMIT", "12")
    # What a notebook has; where the tests were started in the background, the signal is ignored.
    request.addfinalizer(functools.partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(line: str) -> None:
        if line.startswith("waiting"):
            os.kill(os.getpid(), signal.SIGINT)

    with Store(store, progress=interrupt) as opened:
        with pytest.raises(KeyboardInterrupt):
            opened.push()
        sent = len(sandbox.samples(opened.model_id))
        assert 0 < sent < 45
        assert opened.status(offline=True).plan.requests > 0
    monkeypatch.setenv("ASTICA_LIMIT", "1000")
    monkeypatch.setenv("ASTICA_LIMIT_WINDOW", "1")
    monkeypatch.setenv("ASTICA_QUARANTINE", "1")
    with Store(store) as opened:
        assert opened.push().in_sync
    assert len(sandbox.samples(sandbox.models()[0][0])) == 45
