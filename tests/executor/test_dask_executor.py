"""Every file has the result that it has on one machine, whatever becomes of the shards."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from astica_sync.core.shards import LARGEST_SENT, LEAST_IN_SHARD
from astica_sync.executor.dask_executor import DaskExecutor
from astica_sync.executor.file_work import FileWork, Shard
from astica_sync.executor.thread_executor import ThreadExecutor

Answer = Callable[[Callable[[Shard], Any], Shard], Any]


def done(work: Callable[[Shard], Any], shard: Shard) -> Any:
    return work(shard)


class FakeCluster:
    """Answers shards in the order in which they were sent, by a function for each of the first ones."""

    def __init__(self, *answers: Answer, slots: int = 1) -> None:
        self._answers = iter(answers)
        self._slots = slots
        self.sent: list[Shard] = []
        self.most = 0
        self.cancelled: list[int] = []

    def count_slots(self) -> int:
        return self._slots

    def submit(self, work: Callable[[Shard], Any], shard: Shard) -> int:
        self._work = work
        self.sent.append(shard)
        return len(self.sent) - 1

    def wait(self, flying: Mapping[int, Shard]) -> Iterator[tuple[int, Any]]:
        self.most = max(self.most, len(flying))
        first = min(flying)
        yield first, next(self._answers, done)(self._work, flying[first])

    def cancel(self, flying: Mapping[int, Shard]) -> None:
        self.cancelled += flying


def size_of(shard: Shard) -> dict[str, int | None]:
    """The work of these tests, on a worker that shares no folder: the length of each file."""
    return {content: len(source) if isinstance(source, bytes) else None for content, source in shard}


def size_of_shared(shard: Shard) -> dict[str, int | None]:
    """The same on a worker that has the folder."""
    return {
        content: len(source if isinstance(source, bytes) else Path(source).read_bytes()) for content, source in shard
    }


def read(content: str, path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def measure(content: str, path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for number in range(5 * LEAST_IN_SHARD):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"x" * number)
        made[f"content {number}"] = path
    return made


def run(cluster: FakeCluster, on_worker: Callable[[Shard], Any], files: dict[str, Path]) -> dict[str, int]:
    executor = DaskExecutor(cluster, ThreadExecutor(2))  # type: ignore[arg-type]
    results = list(executor.run(FileWork(on_worker, read, measure), files))
    assert len(results) == len(files), "each file has one result"
    assert dict(results) == {content: measure(content, path) for content, path in files.items()}
    return dict(results)


def test_workers_that_see_the_folder_get_paths(files: dict[str, Path]) -> None:
    cluster = FakeCluster(slots=2)
    run(cluster, size_of_shared, files)
    assert all(isinstance(source, str) for shard in cluster.sent for _, source in shard)
    assert cluster.most == 4, "two shards for each thread at the most"


def test_workers_that_do_not_see_it_get_the_bytes(files: dict[str, Path]) -> None:
    cluster = FakeCluster()
    run(cluster, size_of, files)
    by_path = [shard for shard in cluster.sent if isinstance(shard[0][1], str)]
    assert len(by_path) <= 3, "once it is known, no path is sent"


def test_one_file_that_is_gone_does_not_send_all_others(files: dict[str, Path]) -> None:
    files["content 3"].unlink()

    def on_worker(shard: Shard) -> dict[str, int | None]:
        return {
            content: found
            for content, source in shard
            for found in [Path(source).stat().st_size if Path(str(source)).exists() else None]  # type: ignore[arg-type]
        }

    cluster = FakeCluster()
    results = run(cluster, on_worker, files)
    assert results["content 3"] == -1
    assert all(isinstance(source, str) for shard in cluster.sent for _, source in shard)


def test_a_shard_that_ends_its_workers_is_done_here(files: dict[str, Path]) -> None:
    cluster = FakeCluster(lambda work, shard: None)
    run(cluster, size_of_shared, files)
    assert sum(len(shard) for shard in cluster.sent) == len(files), "it is not sent again"


def test_what_a_worker_leaves_out_is_done_here(files: dict[str, Path]) -> None:
    run(FakeCluster(lambda work, shard: {}), size_of_shared, files)


def test_a_worker_that_reads_no_bytes_either_ends_nothing(files: dict[str, Path]) -> None:
    cluster = FakeCluster()
    run(cluster, lambda shard: dict.fromkeys(content for content, _ in shard), files)
    assert sum(len(shard) for shard in cluster.sent) <= 2 * len(files)


def test_shards_of_bytes_are_bounded(tmp_path: Path) -> None:
    files = {}
    for number, size in enumerate((1_500_000, 1_500_000, 1_500_000, 9_000_000, 10, LARGEST_SENT + 1)):
        files[f"content {number}"] = tmp_path / str(number)
        files[f"content {number}"].write_bytes(bytes(size))
    cluster = FakeCluster()
    run(cluster, size_of, files)
    sizes = [[len(source) for _, source in shard] for shard in cluster.sent[1:]]
    assert sizes == [[1_500_000, 1_500_000], [1_500_000], [9_000_000], [10]]


def test_a_run_that_is_closed_takes_back_what_was_sent(files: dict[str, Path]) -> None:
    cluster = FakeCluster()
    executor = DaskExecutor(cluster, ThreadExecutor(2))  # type: ignore[arg-type]
    results = executor.run(FileWork(size_of_shared, read, measure), files)
    next(results)
    results.close()
    assert cluster.cancelled == [1]


def test_the_threads_of_this_machine_keep_the_order_and_end_with_the_iterator(files: dict[str, Path]) -> None:
    seen: list[str] = []
    closed = threading.Event()
    closed.set()

    def here(content: str, path: Path) -> int:
        seen.append(content)
        # The first result is there at once, so that the run can be closed during the second.
        assert len(seen) == 1 or closed.wait(60)
        return measure(content, path)

    work = FileWork(size_of_shared, read, here)
    assert [content for content, _ in ThreadExecutor(2).run(work, files)] == list(files)
    seen.clear()
    closed.clear()
    results = ThreadExecutor(1).run(work, files)
    next(results)
    results.close()
    closed.set()
    assert len(seen) <= 2
    assert list(ThreadExecutor(1).run(FileWork(size_of_shared, read), files)) == []
