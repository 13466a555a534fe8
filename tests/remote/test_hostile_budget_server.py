"""A budget server that answers what no server does: each call ends in time, with one of the two errors of a budget."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from astica_sync.remote.shared_budget.budget_server import (
    BudgetServer,
    ServerAway,
    ServerUnusable,
    Terms,
    parse_reply,
    stopped_after,
)
from astica_sync.secret import Secret

Answers = Callable[[], Iterator[bytes]]
TERMS = Terms(4, 1.0, 0.001, 3.0, "nonce")
GOOD = ["1000.5", "epoch", "", "4", "1", "granted", "0"]
MOST_SENT = 400_000_000
"""Where a client reads on without end, so that the test ends all the same."""
ANSWER_SECONDS = 0.5


@contextlib.contextmanager
def serving(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on a port, which says to each client what ``speak`` says."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=talk, args=(client,), daemon=True).start()

        def talk(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError, ValueError, struct.error):
                speak(client)

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def send(client: socket.socket, pieces: Iterator[bytes]) -> None:
    sent = 0
    for piece in pieces:
        client.sendall(piece)
        sent += len(piece)
        if sent > MOST_SENT:
            return
    # Nothing more comes, and the connection stays open.
    client.recv(1)


def endlessly(piece: bytes, start: bytes = b"") -> Iterator[bytes]:
    yield start
    while True:
        yield piece * (65_536 // len(piece) + 1)


def as_redis(answer: Answers) -> Callable[[socket.socket], None]:
    def speak(client: socket.socket) -> None:
        with client.makefile("rb") as lines:
            while head := lines.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int(lines.readline()[1:])
                    words.append(lines.read(size + 2)[:-2].upper())
                if words[0] in (b"EVALSHA", b"EVAL"):
                    send(client, answer())
                    return
                client.sendall(b"+OK\r\n")

    return speak


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


READY = message(b"Z", b"I")
ROW = message(b"T", struct.pack("!H", 1) + b"a\0" + struct.pack("!IHIHIH", 0, 0, 25, 65535, 0xFFFFFFFF, 0))


def value(text: bytes) -> bytes:
    return message(b"D", struct.pack("!HI", 1, len(text)) + text)


def error(state: bytes) -> bytes:
    return message(b"E", b"SERROR\0VERROR\0C" + state + b"\0Mno\x1b[31m\0\0")


def as_postgres(answer: Answers, *, greeting: Answers | None = None) -> Callable[[socket.socket], None]:
    def speak(client: socket.socket) -> None:
        with client.makefile("rb") as data:
            while True:
                size, code = struct.unpack("!II", data.read(8))
                data.read(size - 8)
                if code not in (80877103, 80877104):
                    break
                client.sendall(b"N")
            if greeting is not None:
                send(client, greeting())
                return
            status = [message(b"S", f"{name}\0{one}\0".encode()) for name, one in PARAMETERS.items()]
            client.sendall(message(b"R", struct.pack("!I", 0)) + b"".join(status) + READY)
            while kind := data.read(1):
                data.read(struct.unpack("!I", data.read(4))[0] - 4)
                if kind in (b"S", b"Q"):
                    send(client, answer())
                    return

    return speak


PARAMETERS = {"client_encoding": "UTF8", "server_version": "16.0", "standard_conforming_strings": "on"}


def redis_at(port: int) -> BudgetServer:
    pytest.importorskip("redis")
    from astica_sync.remote.shared_budget.redis_server import RedisServer

    return RedisServer(Secret(f"redis://user:word@127.0.0.1:{port}/0"), answer_s=ANSWER_SECONDS)


def postgres_at(port: int) -> BudgetServer:
    pytest.importorskip("psycopg")
    from astica_sync.remote.shared_budget.postgres_server import PostgresServer

    address = f"postgresql://user:word@127.0.0.1:{port}/db?sslmode=disable&gssencmode=disable"
    return PostgresServer(Secret(address), answer_s=ANSWER_SECONDS)


def outcome(server: BudgetServer) -> tuple[str, str]:
    try:
        reply = server.call("k", TERMS, "take", ["member|1", "2", "who"])
    except (ServerAway, ServerUnusable) as error:
        return type(error).__name__, str(error)
    finally:
        server.close()
    return "answer", reply.status


def array(*words: str) -> bytes:
    return f"*{len(words)}\r\n".encode() + b"".join(f"${len(one)}\r\n{one}\r\n".encode() for one in words)


def replaced(place: int, word: str) -> list[str]:
    return [*GOOD[:place], word, *GOOD[place + 1 :]]


AWAY, UNUSABLE = "ServerAway", "ServerUnusable"
REDIS: dict[str, tuple[Answers, tuple[str, str]]] = {
    "good": (lambda: iter([array(*GOOD)]), ("answer", "granted")),
    "endless array": (
        lambda: endlessly(b"+" + b"x" * 9000 + b"\r\n", b"*100000000\r\n"),
        (UNUSABLE, "its answer is too long"),
    ),
    "endless line": (lambda: endlessly(b"x", b"+"), (UNUSABLE, "its answer is too long")),
    "endless text": (lambda: endlessly(b"x", b"$4000000000\r\n"), (UNUSABLE, "its answer is too long")),
    "huge text": (lambda: iter([b"$99999999999\r\nx"]), (AWAY, "no answer in time")),
    "nothing": (lambda: iter([]), (AWAY, "no answer in time")),
    "nested": (
        lambda: iter([b"*1\r\n" * 3000 + b":1\r\n"]),
        (UNUSABLE, "its answer is not one of Redis (RecursionError)"),
    ),
    "infinite": (lambda: iter([array(*replaced(3, "inf"))]), (UNUSABLE, "its answer is not the expected one")),
    "400 digits": (lambda: iter([array(*replaced(3, "9" * 400))]), (UNUSABLE, "its answer is not the expected one")),
    "lists in it": (lambda: iter([b"*2\r\n*0\r\n*0\r\n"]), (UNUSABLE, "its answer is not the expected one")),
    "a number": (lambda: iter([b":7\r\n"]), (UNUSABLE, "its answer is not the expected one")),
    "null": (lambda: iter([b"*-1\r\n"]), (UNUSABLE, "its answer is not the expected one")),
    "moved": (lambda: iter([b"-MOVED 1 127.0.0.1:1\r\n"]), (UNUSABLE, "it is a Redis Cluster, which is not supported")),
    "ask": (lambda: iter([b"-ASK 1 127.0.0.1:1\r\n"]), (UNUSABLE, "it is a Redis Cluster, which is not supported")),
    "odd code": (lambda: iter([b"-\x1b[31mEVIL x\r\n"]), (AWAY, "it answered with an unknown error")),
}
POSTGRES: dict[str, tuple[Answers, tuple[str, str]]] = {
    "good": (
        lambda: iter([ROW, value(b'{1000.5,epoch,"",4,1,granted,0}'), message(b"C", b"SELECT 1\0"), READY]),
        ("answer", "granted"),
    ),
    "endless rows": (lambda: endlessly(value(b"x"), ROW), (UNUSABLE, "its answer is too long")),
    "endless notices": (
        lambda: endlessly(message(b"N", b"SNOTICE\0C00000\0Mx\0\0")),
        (UNUSABLE, "its answer is too long"),
    ),
    "endless row": (
        lambda: endlessly(b"x", ROW + b"D" + struct.pack("!IHI", 1 << 29, 1, (1 << 29) - 10)),
        (UNUSABLE, "its answer is too long"),
    ),
    "nothing": (lambda: iter([]), (AWAY, "no answer in time")),
    "copy": (lambda: iter([message(b"H", b"\0\0\0")]), (UNUSABLE, "its answer is not the expected one")),
    "no text": (
        lambda: iter([ROW, value(b"\xff"), message(b"C", b"SELECT 1\0"), READY]),
        (UNUSABLE, "its answer is not the expected one"),
    ),
    "no row": (
        lambda: iter([ROW, message(b"C", b"SELECT 0\0"), READY]),
        (UNUSABLE, "its answer is not the expected one"),
    ),
    "infinite": (
        lambda: iter([ROW, value(b"{1,epoch,,inf,1,wait,1}"), message(b"C", b"SELECT 1\0"), READY]),
        (UNUSABLE, "its answer is not the expected one"),
    ),
    "odd state": (lambda: iter([error(b"\x1b\xff[31m"), READY]), (AWAY, "it answered with error unknown")),
    "unknown state": (lambda: iter([error(b"XX000"), READY]), (AWAY, "it answered with error XX000")),
    "closed": (lambda: iter([b"?"]), (AWAY, "no answer in time")),
}


@pytest.mark.parametrize("kind", REDIS)
def test_a_hostile_redis_ends_no_call_in_another_way(kind: str) -> None:
    answer, expected = REDIS[kind]
    with serving(as_redis(answer)) as port:
        found = outcome(redis_at(port))
    # On a slow machine the time is over before so much has arrived.
    assert found in (expected, (AWAY, "no answer in time")) if "endless" in kind else found == expected


@pytest.mark.parametrize("start", [b"$4000000000\r\n", b"+", b"*100000000\r\n+"])
def test_an_answer_of_redis_is_read_to_a_bound(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    redis_server = pytest.importorskip("astica_sync.remote.shared_budget.redis_server")
    monkeypatch.setattr(redis_server, "MOST_BYTES", 100_000)
    sent: list[int] = []

    def counted() -> Iterator[bytes]:
        for piece in endlessly(b"x", start):
            sent.append(len(piece))
            yield piece

    with serving(as_redis(counted)) as port:
        server = redis_server.RedisServer(Secret(f"redis://127.0.0.1:{port}/0"), answer_s=30.0)
        assert outcome(server) == (UNUSABLE, "its answer is too long")
    # What was sent and not read waits in the system, which takes a few megabytes.
    assert sum(sent) < 30_000_000


@pytest.mark.parametrize("kind", POSTGRES)
def test_a_hostile_postgres_ends_no_call_in_another_way(kind: str) -> None:
    answer, expected = POSTGRES[kind]
    with serving(as_postgres(answer)) as port:
        found = outcome(postgres_at(port))
    # On a slow machine the time is over before so much has arrived.
    assert found in (expected, (AWAY, "no answer in time")) if "endless" in kind else found == expected


@pytest.mark.parametrize("at", [redis_at, postgres_at])
def test_a_proxy_whose_server_is_gone_is_a_server_that_is_away(at: Callable[[int], BudgetServer]) -> None:
    """It takes the connection and closes it at once. Requests go on within a machine's part."""
    with serving(lambda _: None) as port:
        assert outcome(at(port))[0] == AWAY


@pytest.mark.long
@pytest.mark.parametrize(
    "greeting",
    [
        endlessly(message(b"N", b"SNOTICE\0C00000\0Mx\0\0")),
        endlessly(message(b"S", b"a\0b\0"), message(b"R", struct.pack("!I", 0))),
        endlessly(b"x"),
        iter([message(b"R", struct.pack("!I", 99))]),
        iter([b"R\xff\xff\xff\xff"]),
        iter([]),
    ],
    ids=["notices", "parameters", "garbage", "unknown request", "huge", "nothing"],
)
def test_a_hostile_postgres_ends_a_connection_attempt_as_well(greeting: Iterator[bytes]) -> None:
    with serving(as_postgres(lambda: iter([]), greeting=lambda: greeting)) as port:
        assert outcome(postgres_at(port))[0] in (AWAY, UNUSABLE)


@pytest.mark.parametrize("place", range(len(GOOD)))
@pytest.mark.parametrize("word", ["inf", "-inf", "nan", "1e999", "-1", "9" * 400, "x" * 5000, None, [], 1.5, b"x"])
def test_a_reply_has_finite_numbers_and_short_texts(place: int, word: Any) -> None:
    words: list[object] = [*GOOD[:place], word, *GOOD[place + 1 :]]
    if place in (1, 2, 5) and isinstance(word, str) and len(word) < 100:
        assert parse_reply(words) is not None
        return
    with pytest.raises(ValueError, match="not a"):
        parse_reply(words)


@pytest.mark.parametrize("details", [["x"], ["1", "done"], ["1", "done", "inf"], ["1", "done", "x"], ["nan"]])
def test_a_look_has_finite_numbers(details: list[str]) -> None:
    assert parse_reply([*GOOD, "0.5", "done", "-3.5", "open", "2"]).details[2] == "-3.5"
    with pytest.raises(ValueError, match=r"not the answer|could not convert"):
        parse_reply([*GOOD, *details])


def test_what_takes_too_long_is_stopped_until_it_ends() -> None:
    stopped = threading.Semaphore(0)

    def stop() -> None:
        stopped.release()
        raise AttributeError("in use")

    with stopped_after(0.0, stop) as late:
        for _ in range(3):
            assert stopped.acquire(timeout=30)
        assert late.is_set()
    with stopped_after(30.0, stop) as late:
        pass
    assert not late.is_set()
