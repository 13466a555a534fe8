"""The advice about errors of the system: one sentence for each kind, and none that serves for two."""

import errno
import os
import pwd
import re
import socket
import ssl
from pathlib import Path

import pytest

from astica_sync.shell_quote import quote
from astica_sync.system import error_advice
from astica_sync.system.error_advice import connection_remedy, lock_remedy, reading_remedy, remedy
from astica_sync.system.user_folders import user_state_folder

SAME_ADVICE = [
    {errno.EACCES, errno.EPERM},
    {errno.EOPNOTSUPP, errno.ENOTSUP},
    {errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.EHOSTUNREACH}
    | {errno.ETIMEDOUT, errno.ECONNABORTED},
]
"""Errors that are the same to a user."""
KINDS = (
    "ENOSPC EDQUOT EROFS EACCES EIO EMFILE ENFILE EAGAIN ENOMEM ENAMETOOLONG EFBIG ENOLCK ELOOP ENOTDIR EISDIR ENOENT"
)
KINDS += " EEXIST EBUSY ETXTBSY EMLINK EXDEV EILSEQ EINTR EINVAL ENOSYS EOPNOTSUPP ESTALE ENOTCONN ETIMEDOUT EPERM"


def advice(number: int, path: Path) -> str:
    return remedy(OSError(number, os.strerror(number)), path)


def test_no_sentence_serves_for_two_kinds_of_errors(tmp_path: Path) -> None:
    shown: dict[str, int] = {}
    for name in KINDS.split():
        number = getattr(errno, name)
        text = advice(number, tmp_path)
        other = shown.setdefault(text, number)
        assert other == number or any({other, number} <= same for same in SAME_ADVICE), (name, text)


def test_an_error_without_a_sentence_of_its_own_names_the_commands_that_show_more(tmp_path: Path) -> None:
    for error in (OSError(errno.EXFULL, "Exchange full"), OSError("no number")):
        assert re.search(r"ls -ld .* df -h .* dmesg", remedy(error, tmp_path))


def test_permissions_name_a_command_for_what_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_advice.os, "geteuid", lambda: tmp_path.stat().st_uid or 4711)
    missing = tmp_path / "new folder" / "file"
    text = advice(errno.EACCES, missing)
    if tmp_path.stat().st_uid:
        assert text == f"fix the permissions: chmod -R u+rwX {tmp_path}"
    else:
        assert "it belongs to root" in text
    monkeypatch.setattr(error_advice.os, "geteuid", lambda: 0)
    assert "the mount or a sandbox forbids it" in advice(errno.EACCES, missing)


def reading_advice(path: Path | str) -> str:
    return reading_remedy(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)))


def test_who_may_not_read_gets_a_command_that_works_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``chmod`` is the owner's alone, and root's."""
    file = tmp_path / "it's a photo.jpg"
    file.touch(0o600)
    owner = file.stat().st_uid
    name = pwd.getpwuid(owner).pw_name
    monkeypatch.setattr(error_advice.os, "geteuid", lambda: owner)
    assert "its permissions allow it" in reading_advice(file)
    file.chmod(0)
    assert reading_advice(file) == f"fix the permissions: chmod u+r {quote(str(file))}"
    monkeypatch.setattr(error_advice.os, "geteuid", lambda: 4711)
    assert reading_advice(file) == f"it belongs to {name}: sudo chmod a+r {quote(str(file))}, or ask {name} to do it"
    # Where the file cannot be looked at, it is its folder that refuses.
    assert f"sudo chmod a+rx {tmp_path}, or" in reading_advice(tmp_path / "none.jpg")
    for unknown in ("photo.jpg", tmp_path / "none" / "none" / "photo.jpg"):
        assert "chmod u+r on a file, chmod u+rx on a folder" in reading_advice(unknown)
    if owner == 0:
        os.chown(file, 4711, 4711)
        monkeypatch.setattr(error_advice.os, "geteuid", lambda: 0)
        assert "run the command as user id 4711, whose it is" in reading_advice(file)


@pytest.mark.parametrize(
    "error",
    [*(OSError(number, "") for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)), NotImplementedError()],
)
def test_a_file_system_without_locks_is_said_to_be_one(error: Exception, tmp_path: Path) -> None:
    assert "cannot lock files" in lock_remedy(error, tmp_path)
    assert "cannot lock files" not in lock_remedy(OSError(errno.EROFS, ""), tmp_path)


def test_a_state_folder_without_locks_can_be_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    error = OSError(errno.ENOLCK, "")
    assert "set XDG_STATE_HOME to a folder on a local disk" in lock_remedy(error, user_state_folder() / "budget.db")
    assert "XDG_STATE_HOME" not in lock_remedy(error, tmp_path / "store" / "lock")
    # Where no state folder can be named, the advice is the usual one.
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "here")
    assert "keep the folder on a local disk" in lock_remedy(error, tmp_path)


CATCH_ALL = re.compile(
    r"(free (disk )?space|permissions)[^\"']*,? or (fix|check|mend|free)|check the (disk|permissions)[\"'\w, ]* and",
    re.I,
)


def test_no_message_of_the_program_guesses_between_two_causes() -> None:
    package = Path(error_advice.__file__).parents[1]
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if CATCH_ALL.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EMFILE, "ulimit -n"), (errno.ENOBUFS, "memory"), (errno.EPERM, "firewall"), (errno.ENETUNREACH, "")],
)
def test_a_connection_that_this_machine_refuses_has_advice_about_it(number: int, words: str) -> None:
    try:
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            raise RuntimeError("cannot connect") from error
    except RuntimeError as error:
        advice = connection_remedy(error)
    assert words in advice
    assert bool(advice) == bool(words)


def test_the_numbers_of_tls_and_of_names_are_not_those_of_the_system() -> None:
    assert connection_remedy(ssl.SSLCertVerificationError(1, "self-signed")) == ""
    assert connection_remedy(socket.gaierror(errno.EMFILE, "unknown")) == ""


MB = 1 << 20


def test_a_thread_that_cannot_be_started_names_the_memory_limit_where_that_is_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system gives one error for too many threads and for too little memory."""
    refused = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    monkeypatch.setattr(error_advice, "_used_address_space", lambda: 90 * MB)
    monkeypatch.setattr(error_advice, "_address_space", lambda: 100 * MB)
    for text in (error_advice.thread_remedy(), error_advice.memory_limit(), error_advice.remedy(refused, "/x")):
        assert "ulimit -v is 102400" in text and "ulimit -u" not in text
    monkeypatch.setattr(error_advice, "_address_space", lambda: 4000 * MB)
    assert "ulimit -u" in error_advice.thread_remedy() and "ulimit -v is 4096000 now" in error_advice.thread_remedy()
    monkeypatch.setattr(error_advice, "_address_space", lambda: None)
    assert "ulimit -u" in error_advice.thread_remedy() and "ulimit -v" not in error_advice.thread_remedy()
    assert error_advice.memory_limit() == ""


def test_the_limits_of_this_process_are_read() -> None:
    assert error_advice._used_address_space() > MB
    assert error_advice._address_space() is None or error_advice._address_space() > MB  # type: ignore[operator]
