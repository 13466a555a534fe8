"""Eight processes on one budget server, some of them killed with a request under way; and how many permits it gives.

    python -m benchmarks.push.shared_budget redis|postgres|file [SECONDS]

The servers are started here. The first part runs against a sandbox, whose log tells how many requests it got in each
window. Each killed process has sent its request and never reads the answer; another one takes its place.
"""

import http.client
import json
import os
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from astica_sync.clock import SystemClock
from astica_sync.core.rate_limit import Lane
from astica_sync.remote.limiter import Limiter
from astica_sync.remote.rate_limiter import Permit, RateLimiter
from astica_sync.remote.shared_budget import shared_rate_limiter
from astica_sync.remote.shared_budget.open_budget import BudgetAddress, ClockWithSleep, open_shared_limiter
from astica_sync.sandbox.embedded import running
from astica_sync.secret import SecretAddress
from benchmarks.harness.measure import Figure, skipped, value
from tests.harness.budget_servers import POSTGRES_PROGRAMS, postgres_server, redis_server

WORK = "shared budget"
LIMIT, WINDOW, TIMEOUT = 90, 6.0, 0.5
PROCESSES, KILLED = 8, 0.03
PERMITS_LIMIT, PERMITS_WINDOW = 1_000_000, 5.0
SERVERS = {"redis": redis_server, "postgres": postgres_server}
FILE = "file"
"""In place of an address: the rate limiter of one machine, for comparison."""


def open_limiter(address: str, folder: Path, name: str, limit: int, window: float) -> Limiter:
    shared_rate_limiter.UNDER_WAY_SECONDS = TIMEOUT
    if address == FILE:
        return RateLimiter(folder / "budget.db", name=name, limit=limit, window=window, clock=SystemClock())
    place = BudgetAddress(SecretAddress(address, "the server"))
    clock = ClockWithSleep(SystemClock())
    return open_shared_limiter(place, folder, name=name, limit=limit, window=window, clock=clock)


def send(address: str, name: str, url: str, key: str, seconds: float, folder: Path) -> None:
    """Sends as fast as the budget allows, and may end in the middle of a request."""
    limiter = open_limiter(address, folder, name, LIMIT, WINDOW)
    dice = random.Random()
    host = urlsplit(url).netloc
    body = json.dumps({"tkn": key})
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    connection.connect()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        permit = limiter.acquire(Lane.BACKLOG, TIMEOUT)
        connection.request("POST", "/model/list", body, {"Content-Type": "application/json"})
        if dice.random() < KILLED:
            os._exit(9)
        connection.getresponse().read()
        limiter.release(permit, served=True)
    limiter.close()


def take(address: str, name: str, seconds: float, folder: Path) -> None:
    """Takes permits and gives them back, and prints how many."""
    limiter = open_limiter(address, folder, name, PERMITS_LIMIT, PERMITS_WINDOW)
    permit = limiter.acquire(Lane.BACKLOG)
    limiter.release(permit)
    print("ready", flush=True)
    sys.stdin.readline()
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        found = limiter.try_acquire(Lane.BACKLOG)
        assert isinstance(found, Permit), found
        limiter.release(found, served=True)
        count += 1
    print(count, flush=True)
    limiter.close()


def measure_sending(address: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, running(limit=LIMIT, window=WINDOW) as box:
        box.set_faults(latency="0-20ms")
        name = secrets.token_hex(8)
        command = [sys.executable, "-m", "benchmarks.push.shared_budget", "send", address, name, box.url, box.key]
        end = time.monotonic() + seconds + 3 * WINDOW
        alive: list[subprocess.Popen[bytes]] = []
        kills = 0
        while (left := end - time.monotonic()) > 0:
            kills += sum(one.poll() == 9 for one in alive)
            alive = [one for one in alive if one.poll() is None]
            while len(alive) < PROCESSES:
                alive.append(subprocess.Popen([*command, str(left), folder]))
            time.sleep(0.02)
        for one in alive:
            one.wait()
        times = sorted(request.time for request in box.log)
        laps = (len(times) - 1) // LIMIT
        lap = statistics.median(times[n] - times[n - laps * LIMIT] for n in range(laps * LIMIT, len(times)))
        return {
            "requests": len(times),
            "killed": kills,
            "refused": sum(request.outcome == "limited" for request in box.log),
            "most_in_window": box.max_in_any_window(),
            "seconds": times[-1] - times[0],
            "share": 100 * laps * WINDOW / lap,
            # The rate of each minute, to see whether it was one stop or all of the time.
            "minutes": [
                sum(start <= one - times[0] < start + 60 for one in times)
                for start in range(0, int(times[-1] - times[0]) - 59, 60)
            ],
            "load": os.getloadavg()[0],
        }


def measure_permits(address: str, processes: int = 4, seconds: float = 5.0) -> float:
    """Permits a second, each taken and given back."""
    with tempfile.TemporaryDirectory() as folder:
        name = secrets.token_hex(8)
        command = [sys.executable, "-m", "benchmarks.push.shared_budget", "take", address, name, str(seconds), folder]
        started = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for one in started:
            assert one.stdout is not None and one.stdout.readline() == "ready\n"
        for one in started:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        counts = [int(one.communicate()[0]) for one in started]
    return sum(counts) / seconds


def figures(full: bool) -> list[Figure]:
    found = []
    for kind, least in (("redis", 3000), ("postgres", 500)):
        if not (shutil.which("redis-server") if kind == "redis" else POSTGRES_PROGRAMS):
            found.append(skipped(WORK, kind, "the server is not installed"))
            continue
        with SERVERS[kind]() as server:
            result = measure_sending(server.address, 600.0 if full else 60.0)
            note = f"{result['requests']:.0f} requests, {result['killed']:.0f} processes killed"
            name = f"{kind}: {PROCESSES} processes, {LIMIT} per {WINDOW:g} s"
            found.append(value(WORK, name, result["share"], "% of the ideal rate", ">= 98.5", note))
            found.append(value(WORK, f"{name}: most", result["most_in_window"], "in a window", f"<= {LIMIT}"))
            permits = measure_permits(server.address)
            found.append(value(WORK, f"{kind}: permits", permits, "a second", f">= {least}"))
    return found


def main() -> None:
    kind, *words = sys.argv[1:]
    if kind == "send":
        address, name, url, key, seconds, folder = words
        send(address, name, url, key, float(seconds), Path(folder))
    elif kind == "take":
        address, name, seconds, folder = words
        take(address, name, float(seconds), Path(folder))
    elif kind == FILE:
        print(json.dumps(measure_sending(FILE, float(words[0]) if words else 60.0)))
    else:
        with SERVERS[kind]() as server:
            print(json.dumps(measure_sending(server.address, float(words[0]) if words else 60.0)), flush=True)
            print(json.dumps({"permits": measure_permits(server.address), "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
