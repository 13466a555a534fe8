"""A deadline for the whole exchange: sockets that never wait longer than what is left of it.

The timeout of a socket alone starts again with every byte that arrives, so a slow answer would never end.
Loaded with the first request.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore

_SLICE = 64 * 1024
"""Bytes given to the system at a time, before the deadline is checked again: one piece of an encoded image."""


_DISCARD = struct.pack("ii", 1, 0)
"""socket(7), SO_LINGER: on, for no time. Closing throws away what was not sent yet."""
_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
"""tcp(7), Linux alone."""


class ThreadDeadline:
    """The end of the exchange that each thread is doing; a thread does one at a time."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._of_thread = threading.local()

    def start(self, seconds: float) -> None:
        """The exchange that this thread begins now ends within so many seconds."""
        self._of_thread.end = self._ticks() + seconds

    def remaining(self, timeout: float | None, error: type[Exception]) -> float:
        """The seconds an operation of this thread may take: its own ``timeout``, or less where the deadline is near.

        Raises:
            Exception: ``error``, when the deadline has passed.
        """
        left: float = self._of_thread.end - self._ticks()
        if left <= 0:
            raise error("the deadline of the whole exchange has passed")
        return left if timeout is None else min(left, timeout)


class DeadlineBackend(httpcore.NetworkBackend):
    """httpcore's own sockets, each operation limited by the deadline of its thread."""

    def __init__(self, deadline: ThreadDeadline) -> None:
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.remaining(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        _end_sending_after(stream, left)
        return _DeadlineStream(stream, self._deadline)


def _end_sending_after(stream: httpcore.NetworkStream, seconds: float) -> None:
    """Lets the system give up what the other side does not take for so long, also when this process is killed: a
    request that arrives later would be counted by the service when its place in the limit is free again."""
    opened = stream.get_extra_info("socket")
    if opened is not None and _USER_TIMEOUT is not None:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, max(1, int(seconds * 1000)))


class _DeadlineStream(httpcore.NetworkStream):
    """A connection on which an operation has failed is given up: what the system has not sent yet is not sent."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: ThreadDeadline) -> None:
        self._inner = inner
        self._deadline = deadline
        self._has_failed = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._noting_failure():
            return self._inner.read(max_bytes, self._deadline.remaining(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._noting_failure():
            if len(buffer) <= _SLICE:
                self._inner.write(buffer, self._deadline.remaining(timeout, httpcore.WriteTimeout))
                return
            view = memoryview(buffer)
            for start in range(0, len(view), _SLICE):
                left = self._deadline.remaining(timeout, httpcore.WriteTimeout)
                self._inner.write(bytes(view[start : start + _SLICE]), left)

    def close(self) -> None:
        opened = self._inner.get_extra_info("socket") if self._has_failed else None
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
        self._inner.close()

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._has_failed = True
            raise

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.remaining(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
