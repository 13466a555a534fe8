"""The sandbox of this user, which a page runs for the stores that were made with it. Its key, its address and its data
are in the state folder, so it is the same one every time. Several pages share one."""

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from astica_sync.config import KEY_VARIABLE, machine_state_folder
from astica_sync.errors import AsticaSyncError
from astica_sync.file_owner import make_private_folder
from astica_sync.local.filesystem import FileSystem, write_new
from astica_sync.system.native_lock import native_lock

SANDBOX_PORT = 8777
COMMAND = (sys.executable, "-P", "-m", "astica_sync")
_RUNS_AT = re.compile(r"runs at (\S+) ")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d{1,5}")


class OwnSandbox:
    """Not for several threads at once."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._folder = machine_state_folder()
        self._lock = native_lock(self._folder / "sandbox.lock", any_thread=True)

    def is_at(self, url: str) -> bool:
        """Whether the sandbox has this address when it runs."""
        return url == self._known_url()

    def start(self, *, patient: bool = True) -> Mapping[str, str]:
        """The variables by which commands find it. Unless ``patient``, its address is known, and it may need a moment
        until it answers.

        Raises:
            AsticaSyncError: it cannot start.
        """
        make_private_folder(self._folder)
        key, url = self._key(), self._known_url()
        if not self._is_running() and self._take_lock():
            try:
                if patient:
                    url = self._run_patiently(key, url)
                else:
                    self._run(key, url)
            except AsticaSyncError:
                self._lock.release()
                raise
        if not url:
            raise AsticaSyncError("another page is starting the sandbox", "Try again in a moment.")
        return {KEY_VARIABLE: key, "ASTICA_TRAIN_URL": url, "ASTICA_DETECT_URL": url}

    def close(self) -> None:
        """Ends the sandbox, if this page runs it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
        self._lock.release()

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _take_lock(self) -> bool:
        """Whether it is this page that runs the sandbox, and not another one."""
        try:
            self._lock.acquire(blocking=False)
        except TimeoutError:
            return False
        except (OSError, NotImplementedError):
            # A file system without locks: two pages cannot share one there.
            return True
        return True

    def _run_patiently(self, key: str, url: str) -> str:
        """Starts it; its address once it answers."""
        said = ""
        # Where its usual port is taken, it gets another one, which it keeps.
        for address in [url] if url else [f"http://127.0.0.1:{SANDBOX_PORT}", "http://127.0.0.1:0"]:
            process = self._run(key, address)
            assert process.stdout is not None
            said = process.stdout.readline()
            if found := _RUNS_AT.search(said):
                if not url:
                    FileSystem().write_synced(self._folder / "sandbox.url", [found[1].encode()])
                return found[1]
            said += process.communicate()[0]
        self._process = None
        error, *lines = [line.strip() for line in said.splitlines() if line.strip()] or ["the sandbox cannot start"]
        hint = f"It needs {url} again: end the program that uses that port." if url else " ".join(lines)
        raise AsticaSyncError(error.removeprefix("astica-sync: "), hint)

    def _run(self, key: str, url: str) -> "subprocess.Popen[str]":
        command = [*COMMAND, "sandbox", "--port", str(urlsplit(url).port), "--data", str(self._folder / "sandbox")]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, KEY_VARIABLE: key},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self._process

    def _known_url(self) -> str:
        return _read(self._folder / "sandbox.url", _ADDRESS)

    def _key(self) -> str:
        file = self._folder / "sandbox.key"
        key = _read(file, re.compile(r"[\w-]{20,100}"))
        if not key:
            key = secrets.token_urlsafe(24)
            write_new(file, key.encode())
        return key


def _read(file: Path, form: re.Pattern[str]) -> str:
    with contextlib.suppress(OSError), FileSystem().open_read(file) as opened:
        text = opened.read(200).decode("ascii", "replace").strip()
        if form.fullmatch(text):
            return text
    return ""
