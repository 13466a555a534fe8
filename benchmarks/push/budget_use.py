"""The share of the request limit that a push uses, by the arrival times at the sandbox.

    python -m benchmarks.push.budget_use SAMPLES LIMIT WINDOW LATENCY        one run, such as 300 90 6 0-20ms

An ideal client sends each request as soon as the sandbox's sliding window allows it: one window after the request that
is LIMIT requests earlier. The times from the first request to the last are compared.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from astica_sync.sandbox.embedded import RunningSandbox, running
from benchmarks.harness.measure import ASTICA, Command, Figure, environ_of, value
from benchmarks.harness.store_trees import bind


def draw(folder: Path, samples: int, first: int = 0) -> None:
    """Writes small, different images in three classes."""
    from PIL import Image

    for number in range(first, first + samples):
        place = folder / f"class {number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        colour = (number % 256, number // 256 % 256, 7)
        Image.new("RGB", (48, 48), colour).save(place / f"{number:05}.png")


def environ(home: Path, box: RunningSandbox, limit: int, window: float) -> dict[str, str]:
    settings = {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "ASTICA_TRAIN_URL": box.url,
        "ASTICA_DETECT_URL": box.url,
        "ASTICA_API_KEY": box.key,
        "ASTICA_LIMIT": str(limit),
        "ASTICA_LIMIT_WINDOW": str(window),
    }
    return environ_of(Command([], environ=settings))


def ideal_seconds(requests: int, limit: int, window: float) -> float:
    """Seconds from the first request to the last of an ideal client."""
    return (requests - 1) // limit * window


def measure(samples: int, limit: int, window: float, latency: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch, running(limit=limit, window=window) as box:
        store, home = Path(scratch, "photos"), Path(scratch, "home")
        draw(store, samples)
        bind(store, box.url, box.add_model())
        box.set_faults(latency=latency)
        began = time.monotonic()
        command = [*ASTICA, "push", "--json", "--store", store]
        pushed = subprocess.run(command, env=environ(home, box, limit, window), capture_output=True, check=False)
        took = time.monotonic() - began
        said = json.loads(pushed.stdout)
        assert said["uploaded"] == samples and said["in_sync"], (said, pushed.stderr)
        times = sorted(request.time for request in box.log)
        requests = len(times)
        refused = sum(request.outcome == "limited" for request in box.log)
        # The time between requests that are a whole number of limits apart: the rate without start and end.
        laps = (requests - 1) // limit
        lap = statistics.median(times[n] - times[n - laps * limit] for n in range(laps * limit, requests))
        ideal = ideal_seconds(requests, limit, window)
        return {
            "requests": requests,
            "refused": refused,
            "most_in_window": box.max_in_any_window(),
            "seconds": took,
            "share": ideal / (times[-1] - times[0]),
            "share_sustained": laps * window / lap,
            "load": os.getloadavg()[0],
        }


WORK = "budget use"


def figures(full: bool) -> list[Figure]:
    runs = [(900, 90, 60.0, "20-50ms", 99.5), (900, 90, 60.0, "0.2-2s", 97)] if full else []
    runs += [(300, 90, 6.0, "0-20ms", 98), *([] if full else [(180, 90, 30.0, "0.2-2s", 94)])]
    found = []
    for samples, limit, window, latency, target in runs:
        result = measure(samples, limit, window, latency)
        name = f"{samples} samples, {limit} per {window:g} s, latency {latency}"
        note = f"{100 * result['share']:.1f} % from first to last request; {result['requests']:.0f} requests"
        share = 100 * result["share_sustained"]
        found.append(value(WORK, name, share, "% of the ideal rate", f">= {target}", note))
        found.append(value(WORK, f"{name}: refused", result["refused"], "requests", "<= 0"))
    return found


def main() -> None:
    samples, limit, window, latency = sys.argv[1:]
    print(json.dumps(measure(int(samples), int(limit), float(window), latency)))


if __name__ == "__main__":
    main()
