"""Opens what carries out work on files, by the setting ``executor``."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from astica_sync.executor.file_work import FileExecutor
from astica_sync.executor.thread_executor import ThreadExecutor


@contextlib.contextmanager
def open_executor(
    address: str, threads: int, *, packages: Sequence[str] = (), pause: Callable[[], None] = lambda: None
) -> Iterator[FileExecutor]:
    """So many threads of this process where the address is "", else the Dask cluster there as well.

    Args:
        packages: those whose version matters to the results, besides the ones of every work on images.
        pause: called several times a second in each wait; an error that it raises ends the wait.

    Raises:
        ConfigError: the extra is not installed.
        ExecutorFailed: the cluster cannot be used.
    """
    local = ThreadExecutor(threads)
    if not address:
        yield local
        return
    # Loaded here: Dask takes a second to load.
    from astica_sync.executor.dask_cluster import DaskCluster
    from astica_sync.executor.dask_executor import DaskExecutor

    with contextlib.closing(DaskCluster(address, packages, pause=pause)) as cluster:
        yield DaskExecutor(cluster, local)
