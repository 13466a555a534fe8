"""The clock, and what wakes a waiting thread."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from astica_sync.clock import Stop, SystemClock, Wake
from astica_sync.errors import Interrupted
from astica_sync.sync.apply.thread_pool import ThreadPool


def test_a_sleep_ends_when_a_stop_is_requested() -> None:
    clock = SystemClock()
    clock.sleep(0.0)
    clock.stopping.set()
    with pytest.raises(Interrupted):
        clock.sleep(3600)


def test_the_clock_never_goes_back() -> None:
    clock = SystemClock()
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "begin",
    [lambda: ThreadPool(1).next_done, lambda: Wake().wait, lambda: Stop().wait],
    ids=["work", "bell", "stop"],
)
@pytest.mark.long
def test_a_wait_ends_however_short_it_is(begin: Callable[[], Callable[[float], object]]) -> None:
    def wait_often() -> None:
        for _ in range(20_000):
            begin()(1e-6)

    thread = threading.Thread(target=wait_often, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


SIGNALLED = """
import random, signal
from astica_sync.clock import Stop, Wake

signal.signal(signal.SIGALRM, lambda *_: (stop.set(), wake.ring()))
for _ in range(4000):
    stop, wake = Stop(), Wake()
    signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-6, 1.5e-4))
    for _ in range(5):
        stop.wait(2e-5)
        wake.wait(2e-5)
    signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.long
def test_a_signal_at_any_time_of_a_wait_ends_it() -> None:
    subprocess.run([sys.executable, "-c", SIGNALLED], check=True, timeout=120)


def test_a_check_ends_a_sleep_that_has_begun() -> None:
    clock, checks = SystemClock(), []

    def check() -> None:
        checks.append(clock.ticks())
        if len(checks) == 3:
            raise Interrupted("paused")

    clock.check = check
    began = clock.ticks()
    with pytest.raises(Interrupted):
        clock.sleep(30)
    assert clock.ticks() < began + 5


def test_a_sleep_with_a_check_takes_its_time() -> None:
    clock = SystemClock()
    clock.check = lambda: None
    began = clock.ticks()
    clock.sleep(0.6)
    assert 0.6 <= clock.ticks() - began < 5
