"""A process that lists folders beside this one, for stores of very many files: one interpreter keeps one core busy.

It decides nothing and opens no database. Whatever goes wrong with it costs time alone: what it did not answer is
listed by the process that asked.
"""

import contextlib
import gc
import marshal
import os
import select
import struct
import subprocess
import sys
from collections import deque
from typing import IO, Any

from astica_sync.store.disk import Disk, Kind
from astica_sync.store.glance import Glance, glance, moment_of

# Always one in hand while another is being listed; more would keep the last ones from whoever is free first.
_AT_ONCE = 2
_LENGTH = struct.Struct("<Q")

Task = tuple[str, bytes | None, int]
"""What ``glance`` is to be given: the path of a folder, its earlier seals, and the seed."""


class Beside:
    """One such process. It takes folders from the front of ``ahead``, while the one that scans takes them from the
    back."""

    def __init__(self) -> None:
        self.ahead: deque[Task] = deque()
        self._asked: deque[str] = deque()
        self._seen: dict[str, Glance] = {}
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                (sys.executable, "-P", "-m", __name__),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, *exc: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process:
                pass

    def take(self, path: str) -> Glance | None:
        """What the other process saw of the folder, waited for where it is at it; None where it did not begin (and
        will not), or the folder changed under its eyes."""
        if self.ahead and self.ahead[-1][0] == path:
            self.ahead.pop()
        self.feed()
        while path in self._asked:
            self._receive()
            self.feed()
        return self._seen.pop(path, None)

    def feed(self) -> None:
        """Takes what is answered and hands out what is next; never waits."""
        process = self._process
        while process is not None and process.stdout is not None and self._asked:
            if not select.select([process.stdout], [], [], 0)[0]:
                break
            self._receive()
        while self._process is not None and self.ahead and len(self._asked) < _AT_ONCE:
            task = self.ahead.popleft()
            try:
                _send(self._process.stdin, task)
            except OSError:
                self._give_up()
            else:
                self._asked.append(task[0])

    def _receive(self) -> None:
        try:
            assert self._process is not None
            answer = _receive(self._process.stdout)
        except (OSError, EOFError, ValueError):
            self._give_up()
            return
        path = self._asked.popleft()
        if answer is not None:
            seals, files, broken, changed, others, nested = answer
            kinds = [(name, Kind(kind) if kind else None, device) for name, kind, device in others]
            self._seen[path] = Glance(seals, files, broken, changed, kinds, nested)

    def _give_up(self) -> None:
        self.ahead.clear()
        self._asked.clear()
        self.__exit__()


def main() -> None:
    """Answers each task on standard input with what ``glance`` sees, or None; ends with its input."""
    gc.disable()
    disk = Disk()
    # Its own descriptors: nothing that is printed may get between the answers.
    source, target = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    while True:
        try:
            path, seals, seed = _receive(source)
        except (EOFError, KeyboardInterrupt):
            return
        try:
            before = moment_of(disk, path)
            seen = glance(disk, path, seals, seed)
            still = moment_of(disk, path) == before
        except OSError:
            still = False
        if not still:
            _send(target, None)
            continue
        others = [(name, str(kind) if kind else None, device) for name, kind, device in seen.others]
        _send(target, (seen.seals, seen.files, seen.broken, seen.changed, others, seen.nested))


def _send(pipe: IO[bytes] | None, message: Any) -> None:
    assert pipe is not None
    data = marshal.dumps(message)
    rest = memoryview(_LENGTH.pack(len(data)) + data)
    while rest:
        rest = rest[pipe.write(rest) :]


def _receive(pipe: IO[bytes] | None) -> Any:
    """
    Raises:
        EOFError: the other side is gone.
    """
    assert pipe is not None
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
