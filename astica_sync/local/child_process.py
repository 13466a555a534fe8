"""Messages between this program and processes that it starts: the framing, and the life of such a process.

A message is its length in eight bytes, little-endian, and so many bytes. The child reads messages from its standard
input, answers each with one message on its standard output, in order, and ends when its input does. It gets no API key
and no signal of the terminal; what it writes to standard error is discarded.
"""

import contextlib
import fcntl
import os
import select
import struct
from collections import deque
from collections.abc import Sequence
from typing import IO

_LENGTH = struct.Struct("<Q")
_PIPE_BYTES = 1 << 20
_MOST_AT_ONCE = 1 << 26


class ChildProcess:
    """One such process, for one thread at a time; ``kill`` may be called from any thread.

    Raises from every method but ``kill`` and ``close``:
        OSError, EOFError: the process could not be started, or has ended.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # Imported here: most commands start no process.
        import subprocess

        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment_without_key(),
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._pending = 0
        self._answers: deque[bytes] = deque()
        _enlarge(self._input)
        _enlarge(self._output)

    @property
    def exit_code(self) -> int | None:
        """As ``subprocess.Popen.returncode``, once ``close`` was called."""
        return self._process.returncode

    def send(self, *parts: bytes) -> None:
        """Sends one message, which may be in parts: a large image is not copied to have a few bytes before it. Earlier
        messages may still be without answer: answers are received while the message is written, so that the two
        processes never wait for each other."""
        parts = _LENGTH.pack(sum(map(len, parts))), *parts
        for part in parts if sum(map(len, parts)) > _PIPE_BYTES else [b"".join(parts)]:
            rest = memoryview(part)
            while rest and self._pending:
                readable, writable, _ = select.select([self._output], [self._input], [])
                if readable:
                    self._answers.append(self._read_answer())
                if writable:
                    rest = rest[os.write(self._input.fileno(), rest[: select.PIPE_BUF]) :]
            while rest:
                rest = rest[os.write(self._input.fileno(), rest) :]
        self._pending += 1

    def has_answer(self) -> bool:
        """Whether ``receive`` will find the beginning of an answer without a wait."""
        return bool(self._answers) or bool(select.select([self._output], [], [], 0)[0])

    def receive(self) -> bytes:
        """The answer to the oldest message whose answer was not received yet; waits for it."""
        return self._answers.popleft() if self._answers else self._read_answer()

    def receive_greeting(self) -> bytes:
        """The message that a child sends by itself when it is ready."""
        return read_message(self._output)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Kills the process and waits for its end. An error of either is none of the work that is done by then."""
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(OSError), self._process:
            pass

    def _read_answer(self) -> bytes:
        message = read_message(self._output)
        self._pending -= 1
        return message


def environment_without_key() -> dict[str, str]:
    """The environment for a program that is not to see the API key (promise 10): without our own variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")}


def read_message(stream: IO[bytes]) -> bytes:
    """The next message.

    Raises:
        EOFError: the stream ended before or in it.
    """
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    return _read_exactly(stream, length)


def write_message(stream: IO[bytes], message: bytes) -> None:
    """Writes one message and flushes it."""
    rest = memoryview(_LENGTH.pack(len(message)) + message)
    while rest:
        rest = rest[stream.write(rest) :]
    stream.flush()


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    pieces = []
    while size:
        # In pieces: what a broken child sends as a length may be any number. A whole image is one of them.
        piece = stream.read(min(size, _MOST_AT_ONCE))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _enlarge(pipe: IO[bytes]) -> None:
    """As large as the system allows, so that each process has work while the other is busy."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
