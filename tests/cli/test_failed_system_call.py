"""Errors of the system that no part of the program expected: the message names what the call was about."""

import builtins
import errno
import importlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import filelock
import pytest

from astica_sync import store_trust
from astica_sync.cli.main import _as_error
from astica_sync.errors import AsticaSyncError
from tests.harness.shell import Shell


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def error_of(call: Callable[[], object]) -> AsticaSyncError:
    with pytest.raises(OSError, match="Input/output") as raised:
        call()
    return _as_error(raised.value)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fail)
    error = error_of(lambda: store_trust._write(tmp_path / "trusted.json", []))
    assert str(error) == f"{tmp_path / 'trusted.json'}: Input/output error"
    assert "dmesg" in error.hint


def test_random_numbers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", fail)
    error = error_of(lambda: store_trust._write(tmp_path / "trusted.json", []))
    assert str(error) == "the random numbers of the system: Input/output error"


@pytest.mark.parametrize(("err", "name"), [(False, "standard output"), (True, "standard error")])
def test_an_output_that_cannot_be_written_is_named(err: bool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr if err else sys.stdout, "write", fail)
    error = error_of(lambda: click.echo("text", err=err))
    assert str(error) == f"{name}: Input/output error"
    assert "free space there" in error.hint


def test_a_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    lock = filelock.FileLock(tmp_path / "lock")
    lock.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", fail)
        error = error_of(lock.release)
    assert str(error) == f"the lock {tmp_path / 'lock'}: Input/output error"


def test_a_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", fail)
            error = error_of(process.kill)
        process.kill()
    assert str(error) == "a process that this command started: Input/output error"


def test_the_current_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getcwd", fail)
    error = error_of(Path.cwd)
    assert str(error) == "the current folder: Input/output error"
    assert "cd ~" in error.hint


class Unreadable(io.BytesIO):
    read = fail


def test_a_module_that_opens_and_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loaded_late.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("_io.open_code", lambda _: Unreadable())
        error = error_of(lambda: importlib.import_module("loaded_late"))
    assert str(error) == f"{tmp_path / 'loaded_late.py'}: Input/output error"
    assert "dmesg" in error.hint


def test_an_error_that_names_its_file_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        (tmp_path / "gone").read_text()
    assert str(_as_error(raised.value)) == f"{tmp_path / 'gone'}: No such file or directory"


def test_an_error_about_nothing_that_is_known_has_its_reason_alone() -> None:
    assert str(_as_error(OSError(errno.EIO, "Input/output error"))) == "Input/output error"


def test_a_full_disk_under_the_output_is_said(shell: Shell, pushed: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        ran = shell.finish(shell.start("pull-status", "--store", pushed, stdout=full))
    assert ran.code == 1
    assert "astica-sync: standard output: No space left on device\n  where it is sent to cannot take it" in ran.err


@pytest.mark.long
@pytest.mark.parametrize("command", ["pull-status", "push"])
def test_a_store_that_may_not_be_listed_has_a_message_with_a_remedy(shell: Shell, pushed: Path, command: str) -> None:
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if without and shutil.which(without[0]) is None:
        pytest.skip("setpriv is missing")
    pushed.chmod(0o300)
    ran = shell.finish(shell.start(command, "--store", pushed, under=without))
    pushed.chmod(0o700)
    assert "Usage" not in ran.err
    assert str(pushed) in ran.out + ran.err
    assert "chmod u+rx" in ran.out + ran.err or f"chmod -R u+rX {pushed}" in ran.out + ran.err


def test_an_encoding_that_cannot_be_loaded_is_a_part_of_the_program() -> None:
    shown = _as_error(LookupError("unknown encoding: ascii"))
    assert str(shown) == "a part of the program cannot be loaded: unknown encoding: ascii"
    assert "internal error" in str(_as_error(LookupError("another")))


def test_an_error_is_shown_where_the_files_of_the_program_cannot_be_read_any_more(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that fails: what is loaded after the error would end it with a traceback."""
    for name in ("astica_sync.system.error_record", "linecache"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    original = builtins.__import__

    def unreadable(name: str, *rest: Any, **more: Any) -> Any:
        if name in ("astica_sync.system.error_record", "linecache"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", unreadable)
    monkeypatch.setattr(Path, "cwd", fail)
    ran = shell("pull-status", "--store", tmp_path)
    assert ran.code == 1
    assert ran.err.startswith("astica-sync: ")
