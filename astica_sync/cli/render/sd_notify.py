"""Tells systemd that the watcher is ready, that it lives, and what it does: sd_notify(3), over the socket it names."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Mapping

PATIENCE = 1800.0
"""A turn that takes longer than this many seconds is stuck: no single request and no scan is allowed to."""


class Ready:
    """Says nothing where nobody listens. ``beat`` is called after every turn; a thread of its own passes on that all is
    well, so that a long scan or a slow answer is not taken for a hang."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every = _watchdog_seconds(environ)
        self._ready = False
        self._beaten = time.monotonic()
        self._ended = threading.Event()
        self._status = ""
        if self._address and self._every:
            threading.Thread(target=self._ping, name="astica-sync-alive", daemon=True).start()

    def beat(self, status: str) -> None:
        """A turn has ended; the first one means that the watcher is ready."""
        self._beaten = time.monotonic()
        words = [] if self._ready else ["READY=1"]
        self._ready = True
        if status != self._status:
            self._status = status
            words.append(f"STATUS={status}")
        self._send(words)

    def stop(self) -> None:
        self._ended.set()
        self._send(["STOPPING=1"])

    def _ping(self) -> None:
        assert self._every is not None
        while not self._ended.wait(self._every / 2):
            if time.monotonic() - self._beaten < PATIENCE:
                self._send(["WATCHDOG=1"])

    def _send(self, words: list[str]) -> None:
        if not (self._address and words):
            return
        # An address that begins with @ is in the abstract name space.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(address)
            notify.sendall("\n".join(words).encode("utf-8", "replace"))


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(environ["WATCHDOG_USEC"]) / 1e6 or None
    except (KeyError, ValueError):
        return None
