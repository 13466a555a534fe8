"""A process that lists folders and reads files for this one: one interpreter keeps one core busy, and a store of very
many files has work for all of them.

It decides nothing and opens no database. Whatever goes wrong with it costs time alone: what it did not answer is done
by the process that asked.
"""

import contextlib
import fcntl
import gc
import marshal
import os
import select
import struct
import sys
from collections import deque
from typing import IO, Any

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.directory_digest import directory_stamp, list_directory
from astica_sync.local.scan.file_hash import FileHash, HashOutcome, hash_file

_LENGTH = struct.Struct("<Q")
_PIPE_BYTES = 1 << 20
_ENDINGS = {str(ending): ending for ending in HashOutcome}

LOOK, READ = "look", "read"
"""The kinds of tasks: (LOOK, path, seals, seed) is answered by ``list_directory``, or None; (READ, paths) by what
``hash_file`` finds at each of them."""


class WorkerProcess:
    """One such process, for one thread.

    Raises from every method:
        OSError, EOFError, ValueError: it has not started, or is gone.
    """

    def __init__(self) -> None:
        # Loaded when it is used: most stores are small, and every status would wait for it.
        import subprocess

        self._process = subprocess.Popen(
            (sys.executable, "-P", "-m", __name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        self._answers: deque[Any] = deque()
        _widen(self._to)
        _widen(self._from)

    def ask(self, *task: Any) -> None:
        """Hands over one task. Takes in what is answered meanwhile, so that the two never wait for each other."""
        rest = memoryview(_packed(task))
        while rest:
            answered, ready, _ = select.select([self._from], [self._to], [])
            if answered:
                self._answers.append(_receive(self._from))
            if ready:
                rest = rest[os.write(self._to.fileno(), rest[: select.PIPE_BUF]) :]

    def has_answered(self) -> bool:
        return bool(self._answers) or bool(select.select([self._from], [], [], 0)[0])

    def answer(self) -> Any:
        """The answer to the oldest task that has none yet; waits for it."""
        return self._answers.popleft() if self._answers else _receive(self._from)

    def close(self) -> None:
        self._process.kill()
        with contextlib.suppress(OSError), self._process:
            pass


def as_readings(answer: list[tuple[Any, ...]]) -> list[FileHash]:
    """What was read, as the answer to a READ task says it."""
    return [FileHash(_ENDINGS[ending], signature, content, reason) for ending, signature, content, reason in answer]


def main() -> None:
    """Answers the tasks on standard input; ends with it."""
    gc.disable()
    fs = FileSystem()
    # Its own descriptors: nothing that is printed may get between the answers.
    source, target = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            kind, *task = _receive(source)
            _send(target, _look(fs, *task) if kind == LOOK else _read_files(fs, *task))


def _look(fs: FileSystem, path: str, seals: bytes | None, seed: int) -> tuple[Any, ...] | None:
    try:
        before = directory_stamp(fs, path)
        seen = list_directory(fs, path, seals, seed)
        if directory_stamp(fs, path) != before:
            return None
    except OSError:
        return None
    others = [(name, str(kind) if kind else None, device) for name, kind, device in seen.others]
    return seen.seals, seen.files, seen.broken, seen.changed, others, seen.nested


def _read_files(fs: FileSystem, paths: list[str]) -> list[tuple[Any, ...]]:
    found = (hash_file(fs, path) for path in paths)
    return [(str(each.ending), each.signature, each.content, each.reason) for each in found]


def _widen(pipe: IO[bytes]) -> None:
    """As much as the system gives, so that both have work while the other is busy."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _packed(message: Any) -> bytes:
    data = marshal.dumps(message)
    return _LENGTH.pack(len(data)) + data


def _send(pipe: IO[bytes], message: Any) -> None:
    rest = memoryview(_packed(message))
    while rest:
        rest = rest[pipe.write(rest) :]


def _receive(pipe: IO[bytes]) -> Any:
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
    return marshal.loads(_read(pipe, length))  # noqa: S302 - from a process of our own


def _read(pipe: IO[bytes], size: int) -> bytes:
    pieces = []
    while size:
        piece = pipe.read(size)
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


if __name__ == "__main__":
    main()
