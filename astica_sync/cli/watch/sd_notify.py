"""The sd_notify(3) protocol: reports to systemd that the watcher is ready, alive and what it does."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Mapping

STUCK_AFTER = 1800.0
"""A turn of more seconds is stuck: no request and no scan takes so long. systemd then restarts the watcher."""


class SystemdNotifier:
    """Does nothing where systemd did not start this process. ``alive`` is called after every turn; a separate thread
    sends the watchdog's messages, so that a long scan or a slow answer does not look like a hang."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every = _watchdog_seconds(environ)
        self._ready_sent = False
        self._last_turn = time.monotonic()
        self._ended = threading.Event()
        self._status = ""
        if self._address and self._every:
            threading.Thread(target=self._ping, name="astica-sync-alive", daemon=True).start()

    def alive(self, status: str) -> None:
        """A turn has ended; after the first one the watcher is ready."""
        self._last_turn = time.monotonic()
        fields = [] if self._ready_sent else ["READY=1"]
        self._ready_sent = True
        if status != self._status:
            self._status = status
            fields.append(f"STATUS={status}")
        self._send(fields)

    def stopping(self) -> None:
        self._ended.set()
        self._send(["STOPPING=1"])

    def _ping(self) -> None:
        assert self._every is not None
        while not self._ended.wait(self._every / 2):
            if time.monotonic() - self._last_turn < STUCK_AFTER:
                self._send(["WATCHDOG=1"])

    def _send(self, fields: list[str]) -> None:
        if not (self._address and fields):
            return
        # An address that begins with @ is in the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(address)
            notify.sendall("\n".join(fields).encode("utf-8", "replace"))


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(environ["WATCHDOG_USEC"]) / 1e6 or None
    except (KeyError, ValueError):
        return None
