"""The page's command and a real browser beside it, and what both use."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.measure import ASTICA, Command, environ_of
from benchmarks.local.store_status import home_of

SIZE = {"width": 1280, "height": 800}
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
SECONDS = 600
PICTURES = ".cell:not([hidden]).has-image"
"""Images that are there with their picture."""


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Served:
    """The page's command: its address, which is good for one browser, and its process."""

    address: str
    process: "subprocess.Popen[str]"

    def memory_mb(self, field: str = "Pss") -> float:
        """Memory of the command and of its child processes."""
        return sum(memory_of(pid, field) for pid in tree_of(self.process.pid))

    def peak_mb(self) -> float:
        """The most that the command itself had at one time."""
        return _kb(Path(f"/proc/{self.process.pid}/status"), "VmHWM") / 1000

    def wait_until_quiet(self, most: float = SECONDS) -> None:
        """Waits until the command has used nearly no processor time for two seconds, or for ``most`` seconds."""
        calm, last, end = 0, self._ticks(), time.monotonic() + most
        while calm < 4 and time.monotonic() < end:
            time.sleep(0.5)
            now = self._ticks()
            calm, last = (calm + 1 if now - last <= 5 else 0), now

    def _ticks(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@contextmanager
def served(store: Path) -> Iterator[Served]:
    """The page of a store, from the moment at which it prints its address."""
    command = Command([*ASTICA, "page", "--port", "0", "--no-open"], store, home_of(store))
    environ = environ_of(command) | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command.arguments, cwd=store, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = next((m for line in process.stdout if (m := re.match(r"The page is at (\S+)", line))), None)
            if found is None:
                raise RuntimeError("the page does not start")
            yield Served(found[1], process)
        finally:
            process.terminate()


@contextmanager
def browser(more: Sequence[str] = ()) -> Iterator[Any]:
    """Chromium, with ``more`` arguments.

    Raises:
        RuntimeError: it is not installed.
    """
    from playwright.sync_api import sync_playwright

    program = chromium()
    if program is None:
        raise RuntimeError("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *more])
        try:
            yield started
        finally:
            started.close()


Debugged = Callable[[], AbstractContextManager[Any]]
"""Opens the debugger's connection to the one tab of a browser, which goes on when it is closed."""

AWAY = 3
"""Seconds after which the debugger has left the browser."""


@contextmanager
def undisturbed_browser(more: Sequence[str] = ()) -> Iterator[Debugged]:
    """Chromium, which is measured while no debugger is connected: Playwright gets a report of each request, with what
    it sends, in a process of its own.

    Raises:
        RuntimeError: it is not installed.
    """
    from playwright.sync_api import sync_playwright

    program = chromium()
    if program is None:
        raise RuntimeError("Chromium is not installed: apt-get install chromium")

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        place = Path(profile, "DevToolsActivePort")

        @contextmanager
        def debugged() -> Iterator[Any]:
            with sync_playwright() as playwright:
                port = place.read_text().split()[0]
                connected = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
                page = connected.contexts[0].pages[0]
                page.set_default_timeout(SECONDS * 1000)
                try:
                    yield page
                finally:
                    connected.close()

        size = f"--window-size={SIZE['width']},{SIZE['height']}"
        own = ["--headless=new", "--no-first-run", "--remote-debugging-port=0", f"--user-data-dir={profile}", size]
        with subprocess.Popen([program, *ARGUMENTS, *own, *more, "about:blank"], stderr=subprocess.DEVNULL) as process:
            try:
                while not (place.exists() and place.read_text()):
                    time.sleep(0.1)
                yield debugged
            finally:
                process.terminate()


def begin_undisturbed(page: Any, script: str, given: object) -> None:
    """Runs a script in the page with one argument, once the debugger has left. ``end_undisturbed`` has its answer."""
    page.evaluate(
        f"(given) => void setTimeout(async () => (window.measured = await ({script})(given)), {AWAY * 1000})", given
    )


def end_undisturbed(page: Any) -> Any:
    """The answer of the script."""
    until(page, "window.measured !== undefined")
    return page.evaluate("window.measured")


@contextmanager
def tab(started: Any) -> Iterator[Any]:
    """An empty tab of a browser that has seen nothing."""
    context = started.new_context(viewport=SIZE)
    context.set_default_timeout(SECONDS * 1000)
    try:
        yield context.new_page()
    finally:
        context.close()


def until(page: Any, condition: str, seconds: float = SECONDS, *, first: str = "") -> float:
    """Waits in the page for a script's condition, frame by frame; returns the milliseconds. ``first`` is run before.
    (The page's policy allows no ``eval``, so Playwright's own way to wait does not work.)"""
    script = f"""async (limit) => {{
      const start = performance.now();
      {first};
      while (!({condition})) {{
        if (performance.now() - start > limit) return -1;
        await new Promise(requestAnimationFrame);
      }}
      return performance.now() - start;
    }}"""
    took = float(page.evaluate(script, seconds * 1000))
    if took < 0:
        raise RuntimeError(f"never: {condition}")
    return took


def all_pictures_there(least: int = 12) -> str:
    """The condition that every image in sight has its picture."""
    return f"""(() => {{
      const edge = document.querySelector('.grid')?.getBoundingClientRect();
      if (!edge) return false;
      const seen = [...document.querySelectorAll('.cell:not([hidden])')].filter((cell) => {{
        const box = cell.getBoundingClientRect();
        return box.bottom > edge.top && box.top < edge.bottom;
      }});
      return seen.length >= {least} && seen.every((cell) => cell.classList.contains('has-image'));
    }})()"""


def tree_of(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def browser_mb() -> float:
    """Memory of all processes of the browser that this one has started; shared pages count once. About 190 MB of it
    are those of an empty browser."""
    return sum(memory_of(pid) for pid in _browser_processes())


def tab_mb() -> float:
    """Memory of the largest process that shows a page."""
    return max((memory_of(pid) for pid in _browser_processes() if "--type=renderer" in _command_of(pid)), default=0.0)


def _browser_processes() -> list[int]:
    return [pid for pid in tree_of(os.getpid()) if "chrom" in _name_of(pid)]


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def memory_of(pid: int, field: str = "Pss") -> float:
    return _kb(Path(f"/proc/{pid}/smaps_rollup"), field) / 1000


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _kb(path: Path, field: str) -> float:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0.0
    return float(next((line.split()[1] for line in lines if line.startswith(f"{field}:")), 0))


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def clear_page_files(store: Path) -> None:
    """Removes what the page keeps for the next opening: its columns and thumbnails."""
    shutil.rmtree(store / ".astica-sync" / "page", ignore_errors=True)
