"""Budget servers that are stopped, hang, lose their data, are full or refuse: nothing is sent, or this machine's share.

Each test starts a server of its own and waits for real, with a window of less than a second.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import DatabaseError
from astica_sync.remote.rate_limiter import Permit, Wait
from astica_sync.remote.shared_budget import shared_rate_limiter
from astica_sync.remote.shared_budget.budget_server import BudgetServer, Reply, ServerAway, Terms
from astica_sync.remote.shared_budget.open_budget import BudgetAddress, ClockWithSleep, open_shared_limiter
from astica_sync.remote.shared_budget.shared_rate_limiter import ServerPermit, SharedRateLimiter
from astica_sync.secret import SecretAddress
from tests.harness.budget_servers import (
    PASSWORD,
    QUOTED_PASSWORD,
    UNPRIVILEGED,
    BudgetServerProcess,
    free_port,
    postgres_server,
    redis_server,
)

pytestmark = pytest.mark.long

WINDOW = 0.4
MODULES = {"redis": "redis", "postgres": "psycopg"}
SERVERS: dict[str, Callable[..., contextlib.AbstractContextManager[BudgetServerProcess]]] = {
    "redis": redis_server,
    "postgres": postgres_server,
}


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[BudgetServerProcess]:
    pytest.importorskip(MODULES[request.param])
    with SERVERS[request.param]() as server:
        yield server


@dataclass
class Machine:
    """A rate limiter of 4 requests, with a state folder of its own, and what it has said."""

    address: str
    folder: Path
    limit: int = 4
    share: float = 0.0
    pool: float = 1.0
    window: float = WINDOW
    said: list[str] = field(default_factory=list)
    limiter: SharedRateLimiter = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.limiter = open_shared_limiter(
            BudgetAddress(SecretAddress(self.address, "redis://…@server"), self.share, self.pool, answer_s=1.0),
            self.folder,
            name="k",
            limit=self.limit,
            window=self.window,
            clock=ClockWithSleep(SystemClock()),
            on_note=self.said.append,
        )

    def permits(self) -> list[Permit]:
        """All that are there now."""
        found = []
        while isinstance(permit := self.limiter.try_acquire(Lane.BACKLOG, 0.2), Permit):
            found.append(permit)
        return found

    def wait(self, seconds: float = 20.0) -> Permit:
        """The next permit."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.limiter.try_acquire(Lane.BACKLOG, 0.2)
            if isinstance(found, Permit):
                return found
            time.sleep(min(found.seconds, 0.1))
        raise AssertionError(f"no permit: {self.said}")

    def wait_for_a_place(self) -> None:
        """Waits for a permit and gives it back unused."""
        self.limiter.release(self.wait(), sent=False)


@pytest.fixture
def join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Machine]]:
    """Adds a machine."""
    monkeypatch.setattr(shared_rate_limiter, "UNDER_WAY_SECONDS", 0.2)
    monkeypatch.setattr(shared_rate_limiter, "FIRST_RETRY", 0.1)
    monkeypatch.setattr(shared_rate_limiter, "LONGEST_RETRY", 0.3)
    machines: list[Machine] = []

    def join(address: str, **options: float) -> Machine:
        machines.append(Machine(address, tmp_path / f"machine{len(machines)}", **options))  # type: ignore[arg-type]
        return machines[-1]

    yield join
    for machine in machines:
        machine.limiter.close()


Join = Callable[..., Machine]


class NoNetwork:
    """A way to a server on which nothing arrives."""

    def call(self, *arguments: object) -> Reply:
        raise ServerAway("no network")

    def close(self) -> None: ...


class NoAnswer:
    """A way to a server on which calls arrive, and no answer."""

    def __init__(self, server: BudgetServer) -> None:
        self._server = server

    def call(self, name: str, terms: Terms, operation: str, arguments: list[str]) -> Reply:
        self._server.call(name, terms, operation, arguments)
        raise ServerAway("no answer in time")

    def close(self) -> None: ...


def works(machine: Machine) -> None:
    """It has permits, and has measured a whole window."""
    machine.wait_for_a_place()
    time.sleep(WINDOW)
    machine.wait_for_a_place()
    machine.said.clear()


def test_a_server_that_hangs_stops_requests_until_it_answers(
    server: BudgetServerProcess, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_rate_limiter, "FIRST_RETRY", 2.0)
    machine = join(server.address)
    works(machine)
    server.pause()
    began = time.monotonic()
    assert machine.permits() == []
    assert time.monotonic() - began < 3
    assert "does not answer (no answer in time): nothing is sent until it does" in machine.said[0]
    began = time.monotonic()
    assert isinstance(machine.limiter.try_acquire(Lane.BACKLOG), Wait)
    assert time.monotonic() - began < 0.9, "it was asked again, and that takes a second"
    server.resume()
    machine.wait()
    assert machine.said[-1].endswith("works")


@pytest.mark.long
def test_a_restarted_server_rests_and_old_permits_are_void(server: BudgetServerProcess, join: Join) -> None:
    machine = join(server.address, window=1.5)
    works(machine)
    permits = machine.permits()
    assert len(permits) == 4
    server.stop()
    assert isinstance(machine.limiter.try_acquire(Lane.BACKLOG), Wait)
    server.start()
    stopped = time.monotonic()
    assert machine.limiter.extend(permits[0], permits[0].timeout_at + 10) is None
    time.sleep(0.4)
    assert machine.permits() == []
    machine.wait()
    # The rest is at least two windows, and the requests under way have left the window by then.
    assert time.monotonic() - stopped >= 2.5
    assert any("was restarted" in text or "has no records" in text for text in machine.said), machine.said


def test_a_server_that_was_killed_rests(server: BudgetServerProcess, join: Join) -> None:
    machine, other = join(server.address), join(server.address)
    works(machine)
    works(other)
    assert len(machine.permits()) == 4
    server.stop(signal.SIGKILL)
    server.start()
    time.sleep(0.2)
    assert machine.permits() == other.permits() == []
    machine.wait()


def test_a_flushed_server_rests(server: BudgetServerProcess, join: Join) -> None:
    machine = join(server.address)
    works(machine)
    assert len(machine.permits()) == 4
    if server.address.startswith("redis"):
        import redis

        with redis.Redis.from_url(server.address) as client:
            client.flushall()
    else:
        import psycopg

        with psycopg.connect(server.address) as connection:
            connection.execute("DROP SCHEMA astica_sync CASCADE")
    assert machine.permits() == []
    assert "has no records yet, or has lost them" in machine.said[0]
    machine.wait()


@pytest.mark.long
def test_with_a_share_a_machine_goes_on_and_no_more(server: BudgetServerProcess, join: Join) -> None:
    machines = [join(server.address, limit=10, share=0.2, pool=0.6, window=3.0) for _ in range(2)]
    for machine in machines:
        machine.wait_for_a_place()
    server.pause()
    found = [permit for machine in machines for permit in machine.permits()]
    assert len(found) == 4
    assert not any(isinstance(permit, ServerPermit) for permit in found)
    assert "this machine goes on with its own share, 2 in 3 s" in machines[0].said[-1]
    server.resume()


@pytest.mark.long
def test_all_parts_together_are_the_limit(server: BudgetServerProcess, join: Join) -> None:
    machines = [join(server.address, limit=10, share=0.2, pool=0.6, window=2.0) for _ in range(2)]
    time.sleep(0.1)
    for machine in machines:
        machine.permits()
    time.sleep(4.2)
    end = time.monotonic() + 1.2
    found: list[Permit] = []
    while time.monotonic() < end:
        found += [permit for machine in machines for permit in machine.permits()]
        time.sleep(0.05)
    assert len(found) == 10
    assert sum(isinstance(permit, ServerPermit) for permit in found) == 6


def release_on(way: BudgetServer, machine: Machine) -> None:
    """Takes a permit, and releases it on a way to the server that is broken."""
    works(machine)
    permit = machine.limiter.try_acquire(Lane.BACKLOG, 60.0)
    assert isinstance(permit, Permit)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(machine.limiter, "_server", way)
        machine.limiter.release(permit, served=True)


def test_a_release_that_did_not_reach_the_server_is_repeated(server: BudgetServerProcess, join: Join) -> None:
    machine = join(server.address)
    release_on(NoNetwork(), machine)
    machine.wait_for_a_place()
    time.sleep(WINDOW + 0.2)
    assert len(machine.permits()) == 4


def test_a_release_that_arrives_twice_counts_once(server: BudgetServerProcess, join: Join) -> None:
    machine = join(server.address)
    release_on(NoAnswer(machine.limiter._server), machine)
    # Another one, which is never released.
    machine.wait()
    time.sleep(2 * WINDOW + 0.6)
    machine.wait_for_a_place()
    assert len(machine.permits()) == 4
    assert not any("lost records" in text for text in machine.said), machine.said


def test_an_answer_that_was_lost_costs_no_place(server: BudgetServerProcess, join: Join) -> None:
    machine = join(server.address)
    works(machine)
    server.pause()
    assert isinstance(machine.limiter.try_acquire(Lane.BACKLOG, 60.0), Wait)
    # Now it carries out what it was asked for while it hung.
    server.resume()
    time.sleep(0.3)
    machine.wait_for_a_place()
    time.sleep(WINDOW)
    assert len(machine.permits()) == 4


def test_a_receiver_of_a_message_may_use_the_limiter(join: Join, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    machine = join(f"redis://127.0.0.1:{free_port()}/0")
    waited: list[bool] = []

    def use(text: str) -> None:
        thread = threading.Thread(target=machine.limiter.forecast, args=(1,))
        thread.start()
        thread.join(5)
        waited.append(thread.is_alive())

    machine.limiter._on_note = use
    assert machine.permits() == []
    assert waited == [False]


def test_a_wait_for_a_server_that_is_away_is_reported_once_in_a_while(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redis")
    machine = join(f"redis://127.0.0.1:{free_port()}/0")
    reported: list[float] = []

    class Full(Exception): ...

    def on_sleep(clock: object, seconds: float) -> None:
        time.sleep(seconds)
        if len(slept) > 12:
            raise Full
        slept.append(seconds)

    slept: list[float] = []
    monkeypatch.setattr(shared_rate_limiter, "sleep", on_sleep)
    with pytest.raises(Full):
        machine.limiter.acquire(Lane.BACKLOG, on_wait=lambda seconds, why: reported.append(seconds))
    assert len(reported) < 5


def test_a_server_that_is_away_at_the_start_is_waited_for(server: BudgetServerProcess, join: Join) -> None:
    server.stop()
    machine = join(server.address)
    assert machine.permits() == []
    assert "does not answer (connection refused)" in machine.said[0]
    server.start()
    machine.wait()


def test_two_limits_the_lower_one_holds_for_both(server: BudgetServerProcess, join: Join) -> None:
    careful, other = join(server.address, limit=2), join(server.address, limit=9)
    works(careful)
    other.wait_for_a_place()
    assert len(other.permits()) == 2
    assert "with 2 requests in 0.4 s, and this one with 9 in 0.4 s: the lower limit holds for both" in other.said[-1]


def test_the_parts_are_those_of_the_lower_limit(join: Join) -> None:
    pytest.importorskip("redis")
    with redis_server() as server:
        careful = join(server.address, limit=10, share=0.2, pool=0.6)
        other = join(server.address, limit=100, share=0.2, pool=0.6)
        careful.limiter.used()
        other.limiter.used()
        time.sleep(1)
        other.limiter.used()
        server.pause()
        assert len(other.permits()) == 2


def test_a_wrong_password_and_a_wrong_place_are_errors(server: BudgetServerProcess, join: Join) -> None:
    machine = join(server.address.replace(QUOTED_PASSWORD, "other-word"))
    with pytest.raises(DatabaseError, match="it refused the user or the password") as error:
        machine.limiter.try_acquire(Lane.BACKLOG)
    assert not any(word in f"{error.value} {error.value.hint}" for word in ("other-word", PASSWORD, QUOTED_PASSWORD))
    if server.address.startswith("postgresql"):
        machine = join(server.address.replace("/postgres", "/elsewhere"))
        with pytest.raises(DatabaseError, match="it has no such database"):
            machine.limiter.try_acquire(Lane.BACKLOG)


def test_a_password_that_was_changed_stops_requests_with_the_reason(join: Join) -> None:
    redis = pytest.importorskip("redis")
    with redis_server() as server:
        machine = join(server.address)
        works(machine)
        with redis.Redis.from_url(server.address) as client:
            client.config_set("requirepass", "another")
            client.client_kill_filter(_type="normal", skipme=True)
        assert machine.permits() == []
        assert "refused the user or the password" in machine.said[-1] or "connection closed" in machine.said[-1]
        time.sleep(0.3)
        assert machine.permits() == []
        assert "refused the user or the password" in machine.said[-1]


def test_a_redis_whose_memory_is_full(join: Join) -> None:
    redis = pytest.importorskip("redis")
    with redis_server() as server:
        machine = join(server.address)
        works(machine)
        permits = machine.permits()
        assert len(permits) == 4
        with redis.Redis.from_url(server.address) as client:
            client.config_set("maxmemory", "1mb")
            machine.limiter.release(permits[0], served=True)
            assert machine.permits() == []
            assert "its memory is full (maxmemory)" in machine.said[-1]
            client.config_set("maxmemory", "0")
        machine.wait()
        assert not any("lost" in text for text in machine.said)


def test_records_of_another_version_are_left_alone(join: Join) -> None:
    redis = pytest.importorskip("redis")
    with redis_server() as server:
        works(join(server.address))
        with redis.Redis.from_url(server.address) as client:
            client.hset("astica-sync:{k}:state", "form", "2")
        with pytest.raises(DatabaseError, match="another version of astica-sync"):
            join(server.address).limiter.try_acquire(Lane.BACKLOG)


def test_an_eviction_is_noticed(join: Join) -> None:
    redis = pytest.importorskip("redis")
    with redis_server() as server:
        machine = join(server.address)
        works(machine)
        assert len(machine.permits()) == 4
        with redis.Redis.from_url(server.address) as client:
            assert client.delete("astica-sync:{k}:open") == 1
        assert machine.permits() == []
        assert "has lost records" in machine.said[-1]


@pytest.mark.long
def test_a_replica_is_not_written_and_after_its_promotion_it_rests(join: Join) -> None:
    redis = pytest.importorskip("redis")
    with redis_server() as primary, redis_server("--masterauth", PASSWORD) as replica:
        machine = join(primary.address)
        works(machine)
        assert len(machine.permits()) == 4
        with redis.Redis.from_url(replica.address) as client:
            client.replicaof("127.0.0.1", primary.port)
            moved = join(replica.address)
            assert moved.permits() == []
            assert "it is a replica" in moved.said[-1] or "loading" in moved.said[-1]
            end = time.monotonic() + 20
            while not client.exists("astica-sync:{k}:state") and time.monotonic() < end:
                time.sleep(0.05)
            primary.stop(signal.SIGKILL)
            client.replicaof("NO", "ONE")
        time.sleep(0.3)
        assert moved.permits() == []
        assert "was restarted" in moved.said[-1]
        moved.wait()


def test_a_redis_user_without_permission(join: Join) -> None:
    redis = pytest.importorskip("redis")
    with redis_server() as server:
        with redis.Redis.from_url(server.address) as client:
            client.acl_setuser("weak", enabled=True, passwords=["+word"], commands=["+get", "+info"], keys=["*"])
            client.acl_setuser(
                "enough",
                enabled=True,
                passwords=["+word"],
                commands=["+eval", "+evalsha", "+info", "+time", "+del"],
                categories=["+@hash", "+@sortedset"],
                keys=["astica-sync:*"],
            )
        address = f"redis://{{}}:word@127.0.0.1:{server.port}/0"
        with pytest.raises(DatabaseError, match="may not run what the budget needs"):
            join(address.format("weak")).limiter.try_acquire(Lane.BACKLOG)
        join(address.format("enough")).wait()


def test_a_postgres_user_without_permission(join: Join) -> None:
    psycopg = pytest.importorskip("psycopg")
    with postgres_server() as server:
        with psycopg.connect(server.address, autocommit=True) as connection:
            connection.execute("CREATE ROLE weak LOGIN PASSWORD 'word'")
        address = f"postgresql://weak:word@127.0.0.1:{server.port}/postgres"
        with pytest.raises(DatabaseError, match="may not use the schema astica_sync"):
            join(address).limiter.try_acquire(Lane.BACKLOG)
        works(join(server.address))
        with pytest.raises(DatabaseError, match="may not use the schema astica_sync"):
            join(address).limiter.try_acquire(Lane.BACKLOG)
        with psycopg.connect(server.address, autocommit=True) as connection:
            connection.execute("GRANT USAGE ON SCHEMA astica_sync TO weak")
            connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA astica_sync TO weak")
        join(address).wait()


@pytest.mark.long
def test_a_new_process_takes_over_what_the_machine_knew(server: BudgetServerProcess, join: Join) -> None:
    first = join(server.address, window=3.0, limit=2)
    first.wait()
    time.sleep(0.1)
    first.limiter.close()
    # Two requests fill the budget; a process that knows nothing would wait for a whole window of its own.
    second = Machine(server.address, first.folder, limit=2, window=3.0)
    second.permits()
    time.sleep(3.4)
    third = Machine(server.address, first.folder, limit=2, window=3.0)
    unrelated = join(server.address, window=3.0, limit=2)
    assert unrelated.permits() == []
    assert len(third.permits()) == 2
    for machine in (second, third):
        machine.limiter.close()


def test_a_port_without_a_server_is_not_waited_for_long(join: Join) -> None:
    for scheme, module in (("redis", "redis"), ("postgresql", "psycopg")):
        pytest.importorskip(module)
        machine = join(f"{scheme}://127.0.0.1:{free_port()}/0")
        began = time.monotonic()
        assert machine.permits() == []
        assert time.monotonic() - began < 2
        assert "does not answer (connection refused)" in machine.said[0]


@pytest.mark.parametrize(("share", "then"), [(0.0, "nothing is sent."), (0.2, "at most, 2 in 60 s.")])
def test_the_advice_says_what_is_sent_without_the_server(join: Join, share: float, then: str) -> None:
    pytest.importorskip("redis")
    machine = join(f"redis://127.0.0.1:{free_port()}/0", limit=10, window=60.0, share=share, pool=1 - share)
    with pytest.raises(DatabaseError) as caught:
        machine.limiter.used()
    assert caught.value.hint.endswith(then), caught.value.hint


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that no authority has signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    certificate, key = folder / "server.crt", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_redis_with_tls(join: Join, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with redis_server(*options, "--tls-auth-clients", "no"):
        address = f"rediss://:{QUOTED_PASSWORD}@127.0.0.1:{port}/0"
        join(f"{address}?ssl_ca_certs={certificate}").wait()
        unknown = join(address)
        assert unknown.permits() == []
        assert "does not answer" in unknown.said[0] and "certificate" in unknown.said[0].lower()


def test_postgres_with_tls(join: Join, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    certificate, key = make_certificate(tmp_path)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        for file in (certificate, key):
            shutil.copy(file, folder)
            if os.geteuid() == 0:
                shutil.chown(folder / file.name, UNPRIVILEGED)
            (folder / file.name).chmod(0o600)
        options = ["ssl=on", f"ssl_cert_file={folder / certificate.name}", f"ssl_key_file={folder / key.name}"]
        server = stack.enter_context(postgres_server(*options))
        join(f"{server.address}?sslmode=verify-full&sslrootcert={certificate}").wait()
        (tmp_path / "other").mkdir()
        other, _ = make_certificate(tmp_path / "other")
        with pytest.raises(DatabaseError, match="does not accept this connection"):
            join(f"{server.address}?sslmode=verify-full&sslrootcert={other}").permits()


SENDER = """
import sys, time
from pathlib import Path
from astica_sync.clock import SystemClock
from astica_sync.core.rate_limit import Lane
from astica_sync.remote.shared_budget import shared_rate_limiter
from astica_sync.remote.shared_budget.open_budget import BudgetAddress, ClockWithSleep, open_shared_limiter
from astica_sync.secret import SecretAddress

address, folder, log, limit, window = sys.argv[1:]
shared_rate_limiter.UNDER_WAY_SECONDS = 0.2
limiter = open_shared_limiter(
    BudgetAddress(SecretAddress(address, "server")),
    Path(folder),
    name="k",
    limit=int(limit),
    window=float(window),
    clock=ClockWithSleep(SystemClock()),
)
with open(log, "a", buffering=1) as file:
    for number in range(1000):
        permit = limiter.acquire(Lane(number % 3), 0.3)
        time.sleep(0.002 * (number % 4))
        file.write(f"{time.monotonic()!r}\\n")
        time.sleep(0.002 * (number % 3))
        limiter.release(permit, served=True)
"""


def test_busy_processes_stay_under_the_limit_while_others_are_killed(
    server: BudgetServerProcess, tmp_path: Path
) -> None:
    limit, window = 10, 0.5
    log = tmp_path / "log"
    command = [sys.executable, "-c", SENDER, server.address, str(tmp_path), str(log), str(limit), str(window)]
    running = [subprocess.Popen(command) for _ in range(4)]
    try:
        end = time.monotonic() + 60
        while not log.exists() or len(log.read_text().splitlines()) < 60:
            assert time.monotonic() < end
            time.sleep(1.5)
            running[0].kill()
            running[0].wait()
            running.append(subprocess.Popen(command))
            del running[0]
    finally:
        for process in running:
            process.kill()
            process.wait()
    times = sorted(float(line) for line in log.read_text().splitlines())
    assert max(sum(start <= one < start + window for one in times) for start in times) <= limit
