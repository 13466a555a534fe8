"""A Dask cluster as a client sees it. Every call to it has an end, and every failure says what helps."""

import contextlib
import itertools
import logging
import queue
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from astica_sync.errors import AsticaSyncError, ExecutorFailed
from astica_sync.executor.file_work import Shard
from astica_sync.system.error_advice import reason_of
from astica_sync.system.optional_packages import require, version_of

T = TypeVar("T")

CONNECT_SECONDS = 5.0
"""A machine that is there accepts a connection within this time."""
GREETING_SECONDS = 15.0
"""A Dask scheduler has introduced itself by then."""
ANSWER_SECONDS = 60.0
"""What a scheduler is asked has an answer within this time."""
NO_WORKER_SECONDS = 60.0
"""So long a run waits for a worker, as where the only one starts again."""
SILENT_MINUTES = 10
"""So long a run waits for the next shard."""
STEP_SECONDS = 0.5
SAME_EVERYWHERE = ("astica-sync", "distributed", "numpy", "pillow", "simplejpeg", "pi-heif")
"""The packages that have to be of one version on all machines: by others the results might differ, or do not arrive."""
_ALSO_ON_THE_SCHEDULER = ("astica-sync", "distributed")
RETRIES = 1
"""So many times a shard that failed on one worker is given to another."""
_MOST_LETTERS = 300
_MOST_VERSION = 40
_NOT_YET = object()
_HERE = "To read the images on this machine alone: --executor local"
_KEPT = "What was measured is kept; the same command goes on with the rest. "


class DaskCluster:
    """A connection to the scheduler at an address such as ``dask://host:8786``, for one thread."""

    def __init__(
        self,
        address: str,
        packages: Sequence[str] = (),
        *,
        pause: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``packages`` have to be the same on all machines as well. ``pause`` is called several times a second in each
        wait; an error that it raises ends the wait.

        Raises:
            ExecutorFailed: nothing listens there, or no Dask scheduler, or the cluster has no workers, or others of the
                packages.
        """
        self._shown = address.partition("://")[2]
        self._scheme = "tls" if address.startswith("dask+tls:") else "tcp"
        self._packages = tuple(dict.fromkeys((*SAME_EVERYWHERE, *packages)))
        self._pause, self._now = pause, now
        self._ended = queue.SimpleQueue[Any]()
        self._names = itertools.count()
        self._checked: set[str] = set()
        _look_for_listener(self._shown)
        self._client = self._connect()
        try:
            self._last_worker = self._last_result = now()
            if not self.count_slots():
                raise ExecutorFailed(f"the Dask cluster at {self._shown} has no workers", self._how_to_start_workers())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leaves the cluster; shards that it still works on are cancelled."""
        with contextlib.suppress(Exception):
            _within(GREETING_SECONDS, lambda: self._client.close(timeout=CONNECT_SECONDS))

    def count_slots(self) -> int:
        """The threads of all workers. New workers are checked.

        Raises:
            ExecutorFailed: as for ``DaskCluster``.
        """
        threads: dict[str, int] = self._ask(self._client.nthreads)
        if threads.keys() - self._checked:
            self._checked |= self._check_versions()
        if threads:
            self._last_worker = self._now()
        return sum(threads.values())

    def submit(self, work: Callable[[Shard], Any], shard: Shard) -> Any:
        """Sends a shard to a worker; the answer is known by what is returned.

        Raises:
            ExecutorFailed: the cluster is gone.
        """
        name = f"astica-sync-{next(self._names)}-{self._client.id}"
        future = self._ask(lambda: self._client.submit(work, shard, key=name, pure=False, retries=RETRIES))
        future.add_done_callback(self._ended.put)
        self._last_result = self._now()
        return future

    def wait(self, flying: Mapping[Any, Shard]) -> Iterator[tuple[Any, Any]]:
        """The results of those that have ended, after half a second at most; None in place of a result where every
        worker that had this shard ended before it did.

        Raises:
            ExecutorFailed: the cluster is gone, has no workers, gives no results any more, or a worker cannot work.
        """
        self._pause()
        future = None
        with contextlib.suppress(queue.Empty):
            future = self._ended.get(timeout=STEP_SECONDS)
        if future in flying:
            results = self._result_of(future)
            if results is not _NOT_YET:
                self._last_result = self._now()
                yield future, results
                return
        self._check_patience()

    def cancel(self, flying: Mapping[Any, Shard]) -> None:
        """Takes back what has not ended."""
        if flying and self._client.status == "running":
            with contextlib.suppress(ExecutorFailed):
                self._ask(lambda: self._client.cancel(list(flying)))

    def _result_of(self, future: Any) -> Any:
        if future.status == "cancelled":
            raise self._gone()
        if future.status == "error":
            return self._result_of_failed(self._ask(lambda: future.exception(timeout=CONNECT_SECONDS)))
        try:
            return _within(ANSWER_SECONDS, lambda: future.result(timeout=STEP_SECONDS))
        except TimeoutError:
            # Its worker has ended since, so another one does it again.
            self._ended.put(future)
            return _NOT_YET
        except Exception as error:
            raise self._gone() from error

    def _result_of_failed(self, error: BaseException) -> None:
        """None where the shard ended its workers.

        Raises:
            ExecutorFailed: for another reason.
        """
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return
        self._check_versions()
        what, hint = f"{type(error).__name__}: {error}"[:_MOST_LETTERS], f"Its output may have more. {_HERE}"
        if isinstance(error, AsticaSyncError):
            what, hint = str(error), error.hint
        raise ExecutorFailed(
            f"a worker of the Dask cluster at {self._shown} failed: {what}",
            f"What was measured is kept; the same command goes on with the rest. {hint}",
        ) from error

    def _check_patience(self) -> None:
        now = self._now()
        if now - self._last_worker > NO_WORKER_SECONDS:
            raise ExecutorFailed(
                f"the Dask cluster at {self._shown} has no workers any more",
                f"What was measured is kept; the same command goes on with the rest. {self._how_to_start_workers()}",
            )
        if now - self._last_result > 60 * SILENT_MINUTES:
            raise ExecutorFailed(
                f"the Dask cluster at {self._shown} has given no result for {SILENT_MINUTES} minutes",
                f"{_KEPT}The output of its workers may show why. {_HERE}",
            )

    def _connect(self) -> Any:
        distributed = _load_distributed()

        def connect() -> Any:
            with warnings.catch_warnings():
                # Of other versions, which are named below.
                warnings.simplefilter("ignore")
                return distributed.Client(
                    f"{self._scheme}://{self._shown}", timeout=GREETING_SECONDS, set_as_default=False
                )

        try:
            return _within(GREETING_SECONDS, connect)
        except Exception as error:
            help_with_tls = (
                "Dask's own settings name the files for TLS (DASK_DISTRIBUTED__COMM__TLS__CA_FILE and others)"
                if self._scheme == "tls"
                else "of a scheduler with TLS it begins with dask+tls://"
            )
            raise ExecutorFailed(
                f"what listens at {self._shown} does not answer as a Dask scheduler",
                f"Check the address, which the scheduler prints when it starts; {help_with_tls}. {_HERE}",
            ) from error

    def _check_versions(self) -> set[str]:
        """The workers that were checked.

        Raises:
            ExecutorFailed: the scheduler or a worker lacks a package, or has another version of it.
        """
        found = self._ask(lambda: self._client.get_versions(packages=self._packages))
        for package in self._packages:
            here = version_of(package)
            machines = {f"the worker {name}": known for name, known in sorted(found["workers"].items())}
            if package in _ALSO_ON_THE_SCHEDULER:
                machines["the scheduler"] = found["scheduler"]
            for machine, known in machines.items():
                there = known["packages"].get(package)
                if there != here:
                    # Another machine may send anything.
                    shown = str(there)[:_MOST_VERSION] if there else None
                    raise ExecutorFailed(
                        f"{machine[:_MOST_LETTERS]} of the Dask cluster has {_with_version(package, shown)}, and this "
                        f"machine has {_with_version(package, here)}",
                        f"Install the same on both, then start it again: pip install '{package}=={here or shown}'",
                    )
        return set(found["workers"])

    def _how_to_start_workers(self) -> str:
        return (
            "Start some on each machine, where the same astica-sync is installed: "
            f"dask worker {self._scheme}://{self._shown} --nworkers -1 --nthreads 1"
        )

    def _gone(self) -> ExecutorFailed:
        return ExecutorFailed(
            f"the Dask cluster at {self._shown} does not answer any more", f"{_KEPT}Start it again first. {_HERE}"
        )

    def _ask(self, call: Callable[[], T]) -> T:
        """The answer of the cluster.

        Raises:
            ExecutorFailed: there is none.
        """
        if self._client.status != "running":
            raise self._gone()
        try:
            return _within(ANSWER_SECONDS, call)
        except Exception as error:
            raise self._gone() from error


def _look_for_listener(shown: str) -> None:
    """
    Raises:
        ExecutorFailed: nothing listens there.
    """
    parts = urlsplit(f"//{shown}")
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ExecutorFailed(
            f"nothing answers at {shown}, where a Dask scheduler should listen: {reason_of(error)}",
            f"Start one there: dask scheduler --port {parts.port}. {_HERE}",
        ) from error


def _load_distributed() -> Any:
    """
    Raises:
        ConfigError: it is not installed.
        ExecutorFailed: Dask's own settings cannot be read.
    """
    require("distributed", "dask")
    try:
        import dask
        import distributed
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:_MOST_LETTERS]
        raise ExecutorFailed(
            f"Dask cannot be loaded: {reason}",
            "Correct its settings (~/.config/dask), or install it again: pip install --force-reinstall distributed",
        ) from error
    # Files that workers cannot read are sent with their shards.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
    # What the library would say on standard error is said by errors.
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).disabled = True
    return distributed


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What ``call`` returns or raises. The library waits for some answers without end.

    Raises:
        TimeoutError: it took longer.
    """
    answers = queue.SimpleQueue[Callable[[], T]]()

    def run() -> None:
        try:
            found = call()
        except BaseException as error:  # noqa: BLE001 - raised by the thread that asked
            answers.put(partial(_raise, error))
        else:
            answers.put(lambda: found)

    threading.Thread(target=run, name="dask", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    return answer()


def _raise(error: BaseException) -> NoReturn:
    raise error


def _with_version(package: str, found: str | None) -> str:
    return f"{package} {found}" if found else f"no {package}"
