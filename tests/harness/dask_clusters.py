"""Dask clusters on this machine for tests, and work for their workers."""

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync.errors import Unworkable
from astica_sync.executor.file_work import Shard


@contextlib.contextmanager
def running_cluster(workers: int = 1, *, processes: bool = False, **options: Any) -> Iterator[Any]:
    """A cluster with so many workers of one thread each, in this process or in their own."""
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    import dask

    # A busy machine takes long to start a killed worker again.
    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "300s"})
    with patient, warnings.catch_warnings():
        # About sockets and memory of its own.
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=processes,
            protocol=options.pop("protocol", "tcp://"),
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            **options,
        )
        try:
            yield cluster
        finally:
            cluster.close(timeout=20)


def address_of(cluster: Any) -> str:
    """Its address as a user gives it."""
    return str(cluster.scheduler_address).replace("tcp://", "dask://").replace("tls://", "dask+tls://")


def count_bytes(shard: Shard) -> dict[str, int | None]:
    """Work: the length of each file."""
    return {
        content: len(source if isinstance(source, bytes) else Path(source).read_bytes()) for content, source in shard
    }


def fail(shard: Shard) -> dict[str, int | None]:
    """Work that is not done for a reason that has a name."""
    raise Unworkable("the process that opens images cannot be started", "install it again")


def fail_oddly(shard: Shard) -> dict[str, int | None]:
    """Work that is not done for any reason."""
    raise ZeroDivisionError("odd")


released = threading.Event()


def wait_for_release(shard: Shard) -> dict[str, int | None]:
    """Work that ends when ``released`` is set, on a worker in this process."""
    released.wait(60)
    return {}


def end_the_worker(shard: Shard) -> dict[str, int | None]:
    """Work on which a worker ends."""
    os._exit(1)
