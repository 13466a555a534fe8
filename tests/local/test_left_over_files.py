"""A full disk leaves nothing behind in the user's state folder, and what an earlier process left there goes."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from astica_sync import file_owner
from astica_sync.errors import ConfigError
from astica_sync.file_owner import LEFT_OVER_SECONDS, remove_left_over
from astica_sync.local import known_stores
from astica_sync.system import error_record
from astica_sync.system.user_folders import STATE_VARIABLE, user_state_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    folder = user_state_folder()
    folder.mkdir(mode=0o700, parents=True)
    return folder


def full(descriptor: int, *arguments: Any, **options: Any) -> Any:
    os.close(descriptor)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_error_that_cannot_be_recorded_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(error_record, "open", full, raising=False)
        error_record.record_error(ConfigError("no", "yes"), "push", 0.0, "1")
    assert list(folder.iterdir()) == []
    error_record.record_error(ConfigError("no", "yes"), "push", 0.0, "1")
    assert [path.name for path in folder.iterdir()] == [error_record.FILE_NAME]


def test_a_known_store_that_cannot_be_recorded_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(known_stores, "open", full, raising=False)
        with pytest.raises(OSError, match="space"):
            known_stores._write_temp(folder / "stores" / "ab.json", b"x")
    assert list((folder / "stores").iterdir()) == []


def test_only_what_is_old_and_was_a_temporary_file_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [".tmp-0123456789abcdef", "errors.jsonl.17.new", "identity", "errors.jsonl", "notes.new", ".tmp-other"]
    for name in names:
        (folder / name).touch()
    remove_left_over(folder / "identity")
    assert len(list(folder.iterdir())) == len(names), "another process may be writing them now"
    now = file_owner.time.time()
    monkeypatch.setattr(file_owner.time, "time", lambda: now + LEFT_OVER_SECONDS + 60)
    remove_left_over(folder / "identity")
    assert sorted(path.name for path in folder.iterdir()) == sorted(names[2:])
