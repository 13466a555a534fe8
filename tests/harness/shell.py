"""A user at a terminal: runs commands against one sandbox, in this process or in one of their own."""

import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from astica_sync.cli.main import run
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.short_pauses import shorten

Held = Counter[tuple[str, bytes]]
"""Class title and bytes of every sample of one side."""


@dataclass(frozen=True)
class Ran:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output; fails when there is anything else."""
        return json.loads(self.out)


class Shell:
    """Commands with a home of their own. ``environ`` is all they see of the environment besides the machine's;
    ``short_pauses`` cuts the pauses between tries."""

    def __init__(
        self, home: Path, url: str, key: str, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self._capsys = capsys
        self._patch = patch
        home.mkdir(exist_ok=True)
        self.home = home
        self.short_pauses = True
        self.environ = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "ASTICA_TRAIN_URL": url,
            "ASTICA_DETECT_URL": url,
            "ASTICA_API_KEY": key,
            "ASTICA_QUARANTINE": "0.4",
            "COLUMNS": "100",
        }

    def __call__(self, *arguments: str | Path) -> Ran:
        """One command, in this process."""
        with self._patch.context() as patch:
            for name in [name for name in os.environ if name.startswith("ASTICA_")]:
                patch.delenv(name)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            if self.short_pauses:
                shorten(patch.setattr)
            self._capsys.readouterr()
            code = run([str(argument) for argument in arguments])
            out, err = self._capsys.readouterr()
        return Ran(code, out, err)

    def start(
        self, *arguments: str | Path, under: Sequence[str] = (), program: Path | None = None, **options: Any
    ) -> "subprocess.Popen[str]":
        """One command, in a process of its own that has just begun, run by the program ``under`` where one is given.
        ``program`` is a file that is run in place of ``astica-sync``."""
        # Output is buffered as it is for a user.
        left_out = ("ASTICA_", "PYTHONUNBUF", "COLUMNS", "LINES")
        rest = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
        return subprocess.Popen(
            [*under, sys.executable, *([str(program)] if program else ["-m", self.program]), *map(str, arguments)],
            env={**rest, **self.environ},
            text=True,
            **options,
        )

    def start_shell(self, shell: str, script: str) -> "subprocess.Popen[str]":
        """A line as the user types it into a shell."""
        rest = {name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen([shell, "-c", script], env={**rest, **self.environ}, text=True, **pipes)

    @property
    def program(self) -> str:
        """The module that is run as ``astica-sync``."""
        return "tests.harness.short_pauses" if self.short_pauses else "astica_sync"

    def finish(self, process: "subprocess.Popen[str]") -> Ran:
        """Waits for a started command."""
        out, err = process.communicate(timeout=120)
        return Ran(process.returncode, out or "", err or "")


def draw(path: Path, number: int, kind: str = "") -> Path:
    """A small image, another one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (12, 10), (number * 37 % 256, number * 91 % 256, number // 256 * 53 % 256))
    image.putpixel((number % 12, number // 12 % 10), (255, 255 - number % 250, number % 250))
    image.save(path, kind or None)
    return path


def fill(store: Path, classes: dict[str, int], start: int = 0) -> Path:
    """Class folders with so many images each, all of them different."""
    number = start
    for title, count in classes.items():
        for place in range(count):
            draw(store / title / f"{place:03}.png", number)
            number += 1
    return store


def in_store(store: Path) -> Held:
    """What the service should hold: each image of each class folder once."""
    found = {
        (_title(path.relative_to(store).parts[0]), path.read_bytes())
        for path in store.glob("*/**/*")
        if path.is_file() and path.suffix in (".png", ".jpg", ".jpeg") and path.relative_to(store).parts[1] != "raw"
    }
    return Counter(entry for entry in found if not entry[0].startswith("."))


def on_service(box: RunningSandbox, model_id: int) -> Held:
    """What it does hold."""
    return Counter((_title(sample.class_title), sample.image) for sample in box.samples(model_id))


def _title(name: str) -> str:
    """Services differ in how they keep a title; what is compared is which class it is."""
    return unicodedata.normalize("NFC", name).strip().casefold()
