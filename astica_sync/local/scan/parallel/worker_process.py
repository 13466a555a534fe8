"""A process that lists folders and hashes files for the process that scans: one interpreter keeps one core busy.

It decides nothing and opens no database. Its failure costs only time: what it did not answer is done by the process
that scans.
"""

import contextlib
import gc
import marshal
import os
import sys
from typing import Any

from astica_sync.local.child_process import ChildProcess, read_message, write_message
from astica_sync.local.filesystem import FileSystem, Kind
from astica_sync.local.scan.directory_digest import DirectoryListing, directory_stamp, list_directory
from astica_sync.local.scan.file_hash import FileHash, HashOutcome, hash_file

_OUTCOMES = {str(outcome): outcome for outcome in HashOutcome}
_LIST, _HASH = "list", "hash"

FAILURES = (OSError, EOFError, ValueError)
"""What the methods of ``WorkerProcess`` raise when the process could not be started, or has ended."""


class WorkerProcess:
    """One such process, for one thread. Tasks are answered in the order in which they were submitted.

    Raises from every method:
        FAILURES: it could not be started, or has ended.
    """

    def __init__(self, root: str | None = None) -> None:
        """``root`` as for ``FileSystem``."""
        self._process = ChildProcess((sys.executable, "-P", "-m", __name__, *([] if root is None else [root])))

    def submit_listing(self, path: str, digests: bytes | None, seed: int) -> None:
        """The arguments are those of ``list_directory``."""
        self._process.send(marshal.dumps((_LIST, path, digests, seed)))

    def submit_hashing(self, paths: list[str]) -> None:
        self._process.send(marshal.dumps((_HASH, paths)))

    def has_result(self) -> bool:
        return self._process.has_answer()

    def listing(self) -> DirectoryListing | None:
        """The result of a listing; None where the folder could not be listed, or changed meanwhile."""
        result = self._result()
        if result is None:
            return None
        digests, files, changed_buckets, changed, others, has_store, linked = result
        kinds = [(name, Kind(kind) if kind else None, device) for name, kind, device in others]
        return DirectoryListing(digests, files, changed_buckets, changed, kinds, has_store, linked)

    def hashes(self) -> list[FileHash]:
        """The result of a hashing, in the order of its paths."""
        return [
            FileHash(_OUTCOMES[outcome], signature, content, reason, linked, converted)
            for outcome, signature, content, reason, linked, converted in self._result()
        ]

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.close()

    def _result(self) -> Any:
        return marshal.loads(self._process.receive())  # noqa: S302 - from a process of our own


def main() -> None:
    """Answers the tasks on standard input; ends with it."""
    gc.disable()
    files = FileSystem(*sys.argv[1:])
    # Descriptors of its own, so that nothing that is printed gets between the answers.
    source, target = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            kind, *task = marshal.loads(read_message(source))  # noqa: S302 - from the process that started this one
            result = _list(files, *task) if kind == _LIST else _hash(files, *task)
            write_message(target, marshal.dumps(result))


def _list(files: FileSystem, path: str, digests: bytes | None, seed: int) -> tuple[Any, ...] | None:
    try:
        before = directory_stamp(files, path)
        listing = list_directory(files, path, digests, seed)
        if directory_stamp(files, path) != before:
            return None
    except OSError:
        return None
    others = [(name, str(kind) if kind else None, device) for name, kind, device in listing.others]
    head = listing.digests, listing.files, listing.changed_buckets, listing.changed
    return *head, others, listing.has_store, listing.linked


def _hash(files: FileSystem, paths: list[str]) -> list[tuple[Any, ...]]:
    hashes = (hash_file(files, path) for path in paths)
    return [(str(each.outcome), each.signature, each.content, each.reason, each.linked, each.format) for each in hashes]


if __name__ == "__main__":
    main()
