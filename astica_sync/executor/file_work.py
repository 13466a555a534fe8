"""Work on files that are known by the hash of their content, and what carries it out."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

R = TypeVar("R")

Shard = Sequence[tuple[str, str | bytes]]
"""Content hashes, each with the path of its file or with its bytes."""


@dataclass(frozen=True, slots=True)
class FileWork(Generic[R]):
    """One kind of work, which has one result for each content.

    ``here`` does it on this machine; None where the caller itself does what no worker has done. ``on_worker`` does it
    for a shard. It is sent to workers, so it is a function at the top of a module, or a ``partial`` of one. It gives a
    result, None for a file that the worker cannot read, and nothing for what is left to this machine. ``read`` is for
    a worker that cannot read the file: its bytes, None where these are not that content or cannot be read.
    """

    on_worker: Callable[[Shard], Mapping[str, R | None]]
    read: Callable[[str, Path], bytes | None]
    here: Callable[[str, Path], R] | None = None


class FileExecutor(Protocol):
    """What carries out work on files. The results are the same wherever it is done."""

    has_workers: bool
    """Whether others than this process take part."""

    def run(self, work: FileWork[R], files: Mapping[str, Path]) -> Generator[tuple[str, R], None, None]:
        """The results by content hash, in any order, as they come. Where the iterator is closed, the rest is not begun.

        Raises:
            ExecutorFailed: the cluster cannot be used, or not any more.
            Whatever ``here`` raises.
        """
        ...
