"""Makes a folder a store by the command ``astica-sync init``, and runs a sandbox for it where that is wanted."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.config import KEY_FILE_VARIABLE, KEY_VARIABLE
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
    with _without_key(environ) as (child_environ, files):
        ended = subprocess.run(
            [*COMMAND, *arguments],
            env=child_environ,
            pass_fds=files,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    if ended.returncode != 0:
        said = ended.stderr
        for number in files:
            # The file has no name that helps the reader of the message.
            said = said.replace(f" in {_path_of(number)}", "").replace(_path_of(number), "the page")
        raise _error(said, "the store was not made")


@contextlib.contextmanager
def _without_key(environ: Mapping[str, str]) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The environment without the key, which other processes of this user can read there, and the open files that bring
    it: an unnamed one that only the command has."""
    kept = {name: value for name, value in environ.items() if name != KEY_VARIABLE}
    key = environ.get(KEY_VARIABLE, "")
    if not key:
        yield kept, ()
        return
    with tempfile.TemporaryFile() as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(key.encode())
        file.seek(0)
        yield {**kept, KEY_FILE_VARIABLE: _path_of(file.fileno())}, (file.fileno(),)


def _path_of(number: int) -> str:
    return f"/dev/fd/{number}"


def _error(said: str, usual: str) -> AsticaSyncError:
    """What a command wrote: its first line is the error, the others help."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    error = (lines[0] if lines else usual).removeprefix("astica-sync: ")
    return AsticaSyncError(error, " ".join(lines[1:]))
