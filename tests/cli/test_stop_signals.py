"""A signal to stop is seen by the thread that draws while the main thread is stuck in a system call."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from astica_sync.cli.open_store import clean_stop, closed_at_end
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.stop_signals import stop_signal_arrived, stop_signals_watched
from astica_sync.clock import SystemClock


def in_thread(call: Callable[[], bool]) -> bool:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    thread.join(20)
    return answers == [True]


def test_a_signal_is_seen_until_the_watching_ends() -> None:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        with stop_signals_watched([signal.SIGUSR1]):
            assert not stop_signal_arrived() and not in_thread(stop_signal_arrived)
            os.kill(os.getpid(), signal.SIGUSR1)
            assert stop_signal_arrived() and in_thread(stop_signal_arrived)
        assert not stop_signal_arrived()
        assert signal.set_wakeup_fd(-1) == -1, "nothing is left of it"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_progress_of_a_command_knows_it() -> None:
    clock, progress = SystemClock(), Progress()
    with pytest.raises(KeyboardInterrupt), clean_stop(clock), closed_at_end(progress, clock):
        assert not progress.stopping()
        os.kill(os.getpid(), signal.SIGTERM)
        assert progress.stopping() and clock.stopping.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


STUCK = """
import os, signal, threading, time
from astica_sync.cli.stop_signals import stop_signal_arrived, stop_signals_watched

def look():
    assert not stop_signal_arrived()
    os.kill(os.getpid(), signal.SIGINT)
    print(stop_signal_arrived(), ran, flush=True)

ran = []
signal.signal(signal.SIGINT, lambda number, frame: ran.append(number))
thread = threading.Thread(target=look)
with stop_signals_watched([signal.SIGINT]):
    # As in a system call at a disk that does not answer: the main thread takes no signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    thread.start()
    thread.join()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    print(ran == [signal.SIGINT])
"""


def test_a_signal_that_the_main_thread_cannot_take_is_seen_and_is_handled_later() -> None:
    ran = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.splitlines() == ["True []", "True"], ran
