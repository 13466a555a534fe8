"""A sandbox in a thread of the same process, for tests, benchmarks and the demo."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from astica_sync.sandbox.http.app import Sandbox
from astica_sync.sandbox.http.faults import Faults, FaultSchedule
from astica_sync.sandbox.http.limiter import SlidingWindow
from astica_sync.sandbox.http.request_log import TRAIN, RequestRecord, most_in_any_window
from astica_sync.sandbox.options import Options
from astica_sync.sandbox.server import folder_for, listen, make_config, steady_now, url_of
from astica_sync.sandbox.switches import Switches


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One sample of the account."""

    class_title: str
    uid: str
    sample_id: int
    image: bytes


class _Server(uvicorn.Server):
    """Stops immediately. uvicorn checks only ten times a second whether to stop, and waits for open connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        await self._stop.wait()

    async def shutdown(self, sockets: Any = None) -> None:
        for listener in [*self.servers, *(sockets or ())]:
            listener.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)


class RunningSandbox:
    """A running sandbox: its address, its contents, its requests, and changes to the account from elsewhere.

    A change from elsewhere bypasses the limit, the log and the faults, as one on the vendor's web page would.
    """

    def __init__(self, url: str, sandbox: Sandbox) -> None:
        self.url = url
        self._sandbox = sandbox
        self._account = sandbox.account

    @property
    def key(self) -> str:
        """The API key that is accepted."""
        return self._sandbox.calls.key

    def set_key(self, key: str) -> None:
        """Revokes the key and accepts another one."""
        self._sandbox.calls.key = key

    @property
    def log(self) -> list[RequestRecord]:
        """Every request so far, in the order of arrival."""
        return list(self._sandbox.log)

    def requests_of(self, call: str) -> list[RequestRecord]:
        """The requests of one call, such as ``upload`` or ``sample_remove``."""
        return [request for request in self.log if request.call == call]

    def clear_log(self) -> None:
        self._sandbox.log.clear()

    def max_in_any_window(self, endpoint: str = TRAIN, window: float | None = None) -> int:
        """The largest number of requests, including refused ones, that arrived within one window."""
        times = [request.time for request in self.log if request.endpoint == endpoint]
        return most_in_any_window(times, window or self._sandbox.limiters[endpoint].window)

    def models(self) -> list[tuple[int, str]]:
        """Id and title of each model."""
        return [(row[0], row[1]) for row in self._account.rows("SELECT id, title FROM models WHERE removed IS NULL")]

    def classes(self, model_id: int) -> list[tuple[int, str]]:
        """Id and title of each class, including empty ones."""
        rows = self._account.rows(
            "SELECT id, title FROM classes WHERE model_id = ? AND removed IS NULL ORDER BY id", model_id
        )
        return [(row[0], row[1]) for row in rows]

    def samples(self, model_id: int) -> list[StoredSample]:
        """Each sample with its bytes, by sample id."""
        found = []
        for title, uid, sample_id, path in self._account.images_of(model_id):
            # A request that is under way may remove it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                found.append(StoredSample(title, uid, sample_id, path.read_bytes()))
        return found

    def versions(self, model_id: int) -> list[str]:
        """The names of all versions that can be run, the oldest first."""
        rows = self._account.rows(
            "SELECT name FROM versions WHERE model_id = ? AND state = 'ready' ORDER BY id", model_id
        )
        return [row[0] for row in rows]

    def wait_for_training(self, timeout: float = 60) -> None:
        """Raises:
        TimeoutError: still training after that many seconds.
        """
        if not self._sandbox.trainer.wait(timeout):
            raise TimeoutError("the sandbox is still training")

    def add_model(self, title: str = "A model", kind: str = "vision", purpose: str = "test", tags: str = "") -> int:
        """Adds a model from elsewhere; returns its id."""
        return self._account.add_model(title, kind, purpose, tags)

    def add_class(self, model_id: int, title: str) -> int:
        """Adds a class from elsewhere, even where one of that title exists; returns its id."""
        return self._account.add_class(model_id, title)

    def add_sample(self, model_id: int, class_title: str, image: bytes, uid: str = "") -> int:
        """Adds a sample from elsewhere without checking its bytes; returns its id."""
        return self._account.add_sample(model_id, class_title, uid, image, self.switches)

    def add_many(self, model_id: int, class_title: str, uids: Iterable[str], image: bytes) -> None:
        """Adds one sample for each uid, all with the same image; 100,000 take about a second."""
        self._account.add_many(model_id, class_title, uids, image)

    def remove_sample(self, sample_id: int) -> None:
        self._account.remove_samples([sample_id], self.switches)

    def remove_class(self, class_id: int) -> None:
        self._account.remove_class(class_id)

    def remove_model(self, model_id: int) -> None:
        self._account.remove_model(model_id)

    @property
    def switches(self) -> Switches:
        return self._sandbox.switches

    def set_switches(self, **changes: Any) -> None:
        """Changes some of the switches."""
        self._sandbox.calls.switches = replace(self.switches, **changes)

    def set_faults(self, *rules: str, seed: int = 0, latency: str = "0") -> None:
        """Replaces all faults; requests are numbered from 1 again. For the rules see ``faults.FaultRule.parse``."""
        self._sandbox.fault_schedule = FaultSchedule(Faults.parse(*rules, seed=seed, latency=latency))

    def set_limit(self, limit: int, window: float, endpoint: str = TRAIN) -> None:
        """Sets a new limit; the requests so far do not count."""
        self._sandbox.limiters[endpoint] = SlidingWindow(limit, window)

    def run_late(self) -> int:
        """Carries out now the requests with the fault ``late`` (``late~inf`` waits for this); returns their number."""
        return self._sandbox.run_late()


@contextlib.contextmanager
def running(
    data: Path | None = None, *, now: Callable[[], float] | None = None, port: int = 0, **options: Any
) -> Iterator[RunningSandbox]:
    """A sandbox in a thread of this process, on a free port unless one is given.

    ``options`` are fields of ``Options``; ``now`` replaces the clock of the limit, the lags and all dates. At the end
    it stops immediately, as in a crash: requests under way are cut off, and what was answered is in ``data``.
    """
    settings = Options(port=port, data=data, **options)
    with (
        contextlib.closing(listen(settings.host, settings.port)) as listener,
        folder_for(data) as folder,
        contextlib.closing(Sandbox(settings, folder, now or steady_now())) as sandbox,
    ):
        server = _Server(make_config(sandbox))
        url = url_of(listener)
        thread = threading.Thread(target=server.run, args=([listener],), name=f"sandbox {url}", daemon=True)
        thread.start()
        try:
            if not server.ready.wait(60):
                raise TimeoutError("the sandbox did not start")
            yield RunningSandbox(url, sandbox)
        finally:
            server.stop()
            thread.join(60)
