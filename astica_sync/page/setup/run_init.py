"""Makes a folder a store by the command ``astica-sync init``, and runs a sandbox for it where that is wanted."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.config import KEY_VARIABLE
from astica_sync.errors import AsticaSyncError
from astica_sync.open_session import find
from astica_sync.page.setup.own_sandbox import COMMAND, OwnSandbox

_PATIENCE = 600


@dataclass(frozen=True, slots=True)
class WantedStore:
    """A store as the user asks for it: of the model with the id ``model``, or of a new one called ``title``. ``key`` is
    "" where the usual one serves; ``sandbox``: the model is one of a sandbox on this machine. ``anyway``: what ``init``
    asks about is agreed to."""

    folder: Path
    title: str = ""
    purpose: str = ""
    model: int | None = None
    key: str = ""
    sandbox: bool = False
    anyway: bool = False


class StoreMaker:
    """Makes stores; what it sets in the environment holds for this process. Not for several threads at once."""

    def __init__(self, sandbox: OwnSandbox) -> None:
        self._sandbox = sandbox

    def make(self, wanted: WantedStore) -> None:
        """Makes the folder a store, unless it is one.

        Raises:
            AsticaSyncError: it cannot be one; with the words of the command.
        """
        if wanted.sandbox:
            os.environ.update(self._sandbox.start())
        elif wanted.key:
            os.environ[KEY_VARIABLE] = wanted.key
        with contextlib.suppress(AsticaSyncError):
            if find(wanted.folder).root == wanted.folder.resolve():
                return
        arguments = [f"--model={wanted.model}"] if wanted.model is not None else [f"--create={wanted.title}"]
        if wanted.model is None:
            arguments.append(f"--purpose={wanted.purpose}")
        if wanted.anyway:
            arguments.append("--yes")
        _run(["init", *arguments, "--", str(wanted.folder)], os.environ)


def _run(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    ended = subprocess.run(
        [*COMMAND, *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PATIENCE,
        check=False,
    )
    if ended.returncode != 0:
        raise _error(ended.stderr, "the store was not made")


def _error(said: str, usual: str) -> AsticaSyncError:
    """What a command wrote: its first line is the error, the others help."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    error = (lines[0] if lines else usual).removeprefix("astica-sync: ")
    return AsticaSyncError(error, " ".join(lines[1:]))
