"""Whatever becomes of a Dask cluster, a run ends with its results or with what helps."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from astica_sync.errors import ConfigError, ExecutorFailed, Interrupted
from astica_sync.executor import dask_cluster
from astica_sync.executor.dask_cluster import NO_WORKER_SECONDS, SILENT_MINUTES, DaskCluster
from astica_sync.executor.file_work import Shard
from tests.harness.dask_clusters import (
    address_of,
    count_bytes,
    end_the_worker,
    fail,
    fail_oddly,
    released,
    running_cluster,
    wait_for_release,
)

SHARD: Shard = [("content", b"bytes")]


class Now:
    """A clock that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with running_cluster() as made:
        yield made


@pytest.fixture
def opened(cluster: Any) -> Iterator[DaskCluster]:
    with_client = DaskCluster(address_of(cluster))
    yield with_client
    with_client.close()


def answer_of(opened: DaskCluster, work: Callable[[Shard], Any]) -> Any:
    future = opened.submit(work, SHARD)
    while True:
        opened.count_slots()
        for ended, found in opened.wait({future: SHARD}):
            assert ended is future
            return found


def refused(address: str, *packages: str) -> str:
    with pytest.raises(ExecutorFailed) as raised:
        DaskCluster(address, packages)
    return f"{raised.value}\n{raised.value.hint}"


def test_a_shard_has_its_results(opened: DaskCluster) -> None:
    assert answer_of(opened, count_bytes) == {"content": 5}


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shown = refused(f"dask://127.0.0.1:{port}")
    assert f"nothing answers at 127.0.0.1:{port}" in shown and "refused" in shown
    assert f"dask scheduler --port {port}" in shown and "--executor local" in shown


@pytest.mark.parametrize("scheme", ["dask", "dask+tls"])
def test_something_else_listens(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    monkeypatch.setattr(dask_cluster, "GREETING_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shown = refused(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    assert "does not answer as a Dask scheduler" in shown
    assert ("DASK_DISTRIBUTED__COMM__TLS__CA_FILE" if scheme == "dask+tls" else "dask+tls://") in shown


def test_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ConfigError) as raised:
        DaskCluster(f"dask://127.0.0.1:{listener.getsockname()[1]}")
    assert raised.value.hint == "Run: pip install 'astica-sync[dask]'"


def test_a_cluster_has_no_workers() -> None:
    with running_cluster(workers=0) as empty:
        shown = refused(address_of(empty))
        assert "has no workers" in shown
        assert f"dask worker {empty.scheduler_address} --nworkers -1 --nthreads 1" in shown


def test_a_worker_has_another_version(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known = dask_cluster.version_of
    monkeypatch.setattr(dask_cluster, "version_of", lambda name: "9.9" if name == "pillow" else known(name))
    shown = refused(address_of(cluster))
    assert "the worker tcp://127.0.0.1:" in shown and "this machine has pillow 9.9" in shown
    assert "pip install 'pillow==9.9'" in shown


def test_the_scheduler_has_another_version(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known = dask_cluster.version_of
    monkeypatch.setattr(dask_cluster, "version_of", lambda name: "9.9" if name == "astica-sync" else known(name))
    assert "this machine has astica-sync 9.9" in refused(address_of(cluster))


@pytest.mark.parametrize(("here", "there"), [("1.0", "no such-package"), (None, "such-package 1.0")])
def test_one_side_has_no_such_package(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, here: str | None, there: str
) -> None:
    known = dask_cluster.version_of
    monkeypatch.setattr(dask_cluster, "version_of", lambda name: here if name == "such-package" else known(name))
    if here is None:
        from distributed import versions

        monkeypatch.setattr(versions, "_version_cached", lambda name: "1.0" if name == "such-package" else known(name))
    shown = refused(address_of(cluster), "such-package")
    assert there in shown and "pip install 'such-package==1.0'" in shown


def test_a_version_of_any_length_is_shown_by_its_beginning(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import versions

    known, there = dask_cluster.version_of, "1.0" + "x" * 100_000
    monkeypatch.setattr(dask_cluster, "version_of", lambda name: None if name == "such-package" else known(name))
    monkeypatch.setattr(versions, "_version_cached", lambda name: there if name == "such-package" else known(name))
    shown = refused(address_of(cluster), "such-package")
    assert "such-package 1.0xxx" in shown and len(shown) < 600


def test_a_worker_that_comes_later_is_checked(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = DaskCluster(address_of(cluster))
    try:
        assert opened.count_slots() == 1
        known = dask_cluster.version_of
        monkeypatch.setattr(dask_cluster, "version_of", lambda name: "9.9" if name == "numpy" else known(name))
        assert opened.count_slots() == 1
        cluster.scale(2)
        cluster.wait_for_workers(2, timeout=60)
        with pytest.raises(ExecutorFailed, match=r"numpy 9\.9"):
            opened.count_slots()
    finally:
        opened.close()
        cluster.scale(1)


@pytest.mark.parametrize(
    ("work", "said", "hint"),
    [
        (fail, "the process that opens images cannot be started", "install it again"),
        (fail_oddly, "ZeroDivisionError: odd", "--executor local"),
    ],
)
def test_a_worker_that_cannot_work_is_named(
    opened: DaskCluster, work: Callable[[Shard], Any], said: str, hint: str
) -> None:
    with pytest.raises(ExecutorFailed, match=said) as raised:
        answer_of(opened, work)
    assert "What was measured is kept" in raised.value.hint and hint in raised.value.hint


def test_a_cluster_that_gives_no_result_is_not_waited_for_without_end(cluster: Any) -> None:
    now = Now()
    opened = DaskCluster(address_of(cluster), now=now)
    released.clear()
    try:
        # The command did something else for long.
        now.seconds = 1_000 * SILENT_MINUTES
        opened.count_slots()
        flying = {opened.submit(wait_for_release, SHARD): SHARD}
        assert list(opened.wait(flying)) == []
        now.seconds += 60 * SILENT_MINUTES
        opened.count_slots()
        assert list(opened.wait(flying)) == []
        now.seconds += 1
        with pytest.raises(ExecutorFailed, match="no result for 10 minutes"):
            list(opened.wait(flying))
    finally:
        released.set()
        opened.close()


def test_ctrl_c_ends_a_wait(cluster: Any) -> None:
    def stop() -> None:
        raise Interrupted("stopped")

    opened = DaskCluster(address_of(cluster), pause=stop)
    with pytest.raises(Interrupted):
        list(opened.wait({}))
    opened.close()


@pytest.mark.long
def test_a_cluster_with_certificates() -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    pytest.importorskip("cryptography", reason="makes the certificates")
    import dask

    made = distributed.Security.temporary()
    names = {
        "distributed.comm.tls.ca-file": made.tls_ca_file,
        "distributed.comm.tls.client.cert": made.tls_client_cert,
        "distributed.comm.tls.client.key": made.tls_client_key,
    }
    with running_cluster(protocol="tls://", security=made) as cluster:
        address = address_of(cluster)
        assert address.startswith("dask+tls://")
        with dask.config.set(names):
            opened = DaskCluster(address)
            assert answer_of(opened, count_bytes) == {"content": 5}
            opened.close()
        assert "does not answer as a Dask scheduler" in refused(address), "without a certificate"
        assert "does not answer as a Dask scheduler" in refused(address.replace("+tls", "")), "without TLS"


@pytest.mark.long
def test_all_workers_are_gone() -> None:
    now = Now()
    with running_cluster() as cluster:
        opened = DaskCluster(address_of(cluster), now=now)
        cluster.scale(0)
        while opened.count_slots():
            pass
        assert list(opened.wait({})) == []
        now.seconds = NO_WORKER_SECONDS + 1
        with pytest.raises(ExecutorFailed, match="has no workers any more") as raised:
            list(opened.wait({}))
        assert "dask worker tcp://" in raised.value.hint
        opened.close()


@pytest.mark.long
def test_the_scheduler_goes_away() -> None:
    with running_cluster() as cluster:
        opened = DaskCluster(address_of(cluster))
        released.clear()
        flying = {opened.submit(wait_for_release, SHARD): SHARD}
        threading.Timer(0.2, released.set).start()
    with pytest.raises(ExecutorFailed, match="does not answer any more") as raised:
        while True:
            opened.count_slots()
            for future, _ in opened.wait(flying):
                flying.pop(future)
    assert "What was measured is kept" in raised.value.hint
    opened.close()


@pytest.mark.long
def test_a_shard_on_which_workers_end_is_given_up() -> None:
    with running_cluster(processes=True) as cluster:
        opened = DaskCluster(address_of(cluster))
        assert answer_of(opened, end_the_worker) is None
        assert answer_of(opened, count_bytes) == {"content": 5}, "the worker started again"
        opened.close()
