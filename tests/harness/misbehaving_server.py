"""Servers that answer anything but what one hopes for, on raw sockets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Talk = Callable[[socket.socket], None]


@dataclass
class Strange:
    """A listening server: its address and the requests it has read so far, as they came."""

    url: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


def read_request(connection: socket.socket) -> bytes:
    """One whole request, or what came before the other side hung up."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(65536)):
            return received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        if not (piece := connection.recv(65536)):
            break
        body += piece
    return head + b"\r\n\r\n" + body


def http(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """The bytes of an answer; ``length`` lies about its size."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def saying(*answers: bytes) -> Talk:
    """Answers each request of a connection with the next of these, then hangs up."""

    def talk(connection: socket.socket) -> None:
        for answer in answers:
            if not read_request(connection):
                return
            connection.sendall(answer)

    return talk


@contextlib.contextmanager
def strange(talk: Talk) -> Iterator[Strange]:
    """Runs ``talk`` for each connection, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Strange(f"http://127.0.0.1:{listener.getsockname()[1]}")
        ended = threading.Event()
        current: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if ended.is_set():
                    connection.close()
                    return
                server.connections += 1
                current[:] = [connection]
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(10)
                    talk(_Recorder(connection, server.requests))  # type: ignore[arg-type]

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            for connection in current:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), timeout=1).close()
            thread.join(10)


class _Recorder:
    """A socket that notes each new request that is read from it."""

    def __init__(self, connection: socket.socket, requests: list[bytes]) -> None:
        self._connection = connection
        self._requests = requests
        self._reading = False

    def recv(self, size: int) -> bytes:
        piece = self._connection.recv(size)
        if piece:
            if not self._reading:
                self._requests.append(b"")
                self._reading = True
            self._requests[-1] += piece
        return piece

    def sendall(self, data: bytes) -> None:
        self._reading = False
        self._connection.sendall(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)
