"""A Python that lacks a module of its own, or has a SQLite that is too old: one sentence, and nothing is changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from astica_sync.cli.main import _as_error
from astica_sync.errors import ConfigError
from astica_sync.local.db.index import SCHEMA
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sqlite import OLDEST_SQLITE, open_database
from tests.harness.shell import Ran, Shell

WITHOUT = """
import sys
from pathlib import Path
hidden = {!r}
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
for name in hidden:
    sys.modules.pop(name, None)
"""
WITH_SQLITE = "import sqlite3; sqlite3.sqlite_version_info = {!r}\n"
START = "from astica_sync.cli.main import main; main()"
WINDOWS = ("fcntl", "grp", "pwd", "resource", "termios")
OTHERS = ("pull-status", "init", "models", "demo", "page", "doctor", "sandbox")
OLD = (3, 35, 4)


def run_with(shell: Shell, change: str, *arguments: str) -> Ran:
    """The command in a Python that was changed first."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", change + START, *arguments],
        env={**os.environ, **shell.environ},
        cwd=shell.home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        (WINDOWS, ("no module fcntl, which is on Linux and macOS alone", "wsl --install")),
        (("_sqlite3",), ("this Python was built without SQLite", "apt install libsqlite3-dev")),
        (("_ssl",), ("this Python was built without OpenSSL", "apt install libssl-dev")),
    ],
    ids=["Windows", "SQLite", "OpenSSL"],
)
@pytest.mark.parametrize("command", ["push", *(pytest.param(one, marks=pytest.mark.long) for one in OTHERS)])
def test_a_module_that_python_lacks_is_not_called_a_broken_installation(
    shell: Shell, command: str, hidden: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ran = run_with(shell, WITHOUT.format(hidden), command)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 2
    for word in words:
        assert word in ran.err
    assert "pip install" not in ran.err


@pytest.mark.parametrize("hidden", [WINDOWS, ("_sqlite3", "_ssl")], ids=["Windows", "libraries"])
def test_the_version_is_shown_all_the_same(shell: Shell, hidden: tuple[str, ...]) -> None:
    ran = run_with(shell, WITHOUT.format(hidden), "--version")
    assert ran.code == 0, ran.err


def test_a_library_that_cannot_be_loaded_is_named_with_the_reason() -> None:
    shown = _as_error(ImportError("_sqlite3.so: undefined symbol: sqlite3_deserialize", name="_sqlite3"))
    assert "undefined symbol: sqlite3_deserialize" in str(shown)
    assert "another Python" in shown.hint
    shown = _as_error(ModuleNotFoundError("No module named 'venv'", name="venv"))
    assert "python3-full" in shown.hint
    assert "install it again" in _as_error(ModuleNotFoundError("No module named 'httpx'", name="httpx")).hint


@pytest.mark.parametrize("command", [("push",), ("init", "--create", "Cans", "--purpose", "sort cans"), ("models",)])
def test_a_sqlite_that_is_too_old_is_named_before_anything_is_changed(
    shell: Shell, sandbox: RunningSandbox, command: tuple[str, ...]
) -> None:
    before = sorted(shell.home.rglob("*"))
    ran = run_with(shell, WITH_SQLITE.format(OLD), *command)
    assert ran.code == 1
    assert "this Python uses SQLite 3.35.4, and astica-sync needs 3.35.5 or newer" in ran.err
    assert "uv tool install --python" in ran.err
    assert sandbox.log == []
    assert sorted(shell.home.rglob("*")) == before


def test_the_oldest_sqlite_is_not_refused(shell: Shell, sandbox: RunningSandbox) -> None:
    ran = run_with(shell, WITH_SQLITE.format(OLDEST_SQLITE), "models")
    assert ran.code == 0, ran.err


def test_the_doctor_names_a_sqlite_that_is_too_old(shell: Shell) -> None:
    ran = run_with(shell, WITH_SQLITE.format(OLD), "doctor", "--json")
    assert ran.code == 1
    found = [one for one in json.loads(ran.out)["findings"] if one["section"] == "program"]
    assert [(one["level"], "3.35.5 or newer" in one["text"]) for one in found] == [("problem", True)]


def test_no_database_is_opened_with_a_sqlite_that_is_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", OLD)
    with pytest.raises(ConfigError, match=r"needs 3\.35\.5 or newer"):
        open_database(tmp_path / "index.db", SCHEMA, busy_s=0, durable=False)
    assert list(tmp_path.iterdir()) == []
