"""What a command needs of the system around it is checked before anything is sent, and named in the message."""

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from astica_sync.config import user_config_file
from astica_sync.errors import ConfigError
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.system import user_folders
from astica_sync.system.start_checks import FEWEST_FILES, check_certificates, no_temporary_folder, odd_clock
from tests.harness.mount_namespace import Ground
from tests.harness.parameters import rest_long
from tests.harness.shell import Ran, Shell, draw, in_store, on_service


def run_in(shell: Shell, script: str, *arguments: str | Path, under: Sequence[str] = (), **changes: str | None) -> Ran:
    """Runs a shell script in which ``$@`` is the command. ``changes`` are those of the environment, None to unset."""
    environ = {**os.environ, **shell.environ, **changes}
    command = [*under, "sh", "-c", script, "sh", sys.executable, "-P", "-m", "astica_sync", *map(str, arguments)]
    done = subprocess.run(
        command,
        env={name: value for name, value in environ.items() if value is not None},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def refused(ran: Ran, box: RunningSandbox, *words: str) -> None:
    assert ran.code == 1, ran.err
    for word in words:
        assert word in ran.err, ran.err
    assert box.log == []


@pytest.mark.parametrize("command", [("pull-status",), ("init", "--model", "1"), ("push",), ("models",)])
def test_a_current_folder_that_was_deleted(shell: Shell, sandbox: RunningSandbox, command: tuple[str, ...]) -> None:
    gone = shell.home / "gone"
    ran = run_in(shell, f'mkdir {gone} && cd {gone} && rmdir {gone} && "$@"', *command)
    if command == ("models",):
        assert ran.code == 0, ran.err
    else:
        refused(ran, sandbox, "the current folder was deleted", "--store DIR")


@pytest.mark.long
def test_a_store_is_named_where_the_current_folder_was_deleted(
    shell: Shell, sandbox: RunningSandbox, store: Path
) -> None:
    gone = shell.home / "gone"
    ran = run_in(shell, f'mkdir {gone} && cd {gone} && rmdir {gone} && "$@"', "push", "--store", store)
    assert ran.code == 0, ran.err


@pytest.mark.long
@pytest.mark.parametrize(
    "closed",
    ["<&- >&- 2>&-", *(pytest.param(one, marks=pytest.mark.long) for one in ("<&-", ">&-", "2>&-", "<&- >&-"))],
)
def test_closed_standard_streams_change_no_file_and_no_outcome(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, closed: str
) -> None:
    ran = run_in(shell, f'"$@" {closed}', "push", "--store", store)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)
    assert shell("backup", "verify", "--store", store).code == 0


@pytest.mark.long
@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_question_is_answered_with_no_where_a_stream_is_closed(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, closed: str
) -> None:
    assert shell("push", "--store", store).code == 0
    (store / "Can").rename(store.parent / "Can")
    draw(store / "Bottle" / "new.png", 99)
    ran = run_in(shell, f'"$@" {closed}', "push", "--store", store)
    assert ran.code == 4, ran.err
    assert in_store(store) < on_service(sandbox, model_id), "the new image is uploaded, and nothing is removed"


@pytest.mark.long
def test_a_detection_of_a_named_image_needs_no_input(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    image = next((store / "Can").iterdir())
    ran = run_in(shell, '"$@" <&-', "detect", image, "--store", store)
    assert ran.code == run_in(shell, '"$@" </dev/null', "detect", image, "--store", store).code


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"XDG_STATE_HOME": "/dev/null/state"}, ("/dev/null/state", "(by XDG_STATE_HOME)", "a file and not a folder")),
        ({"XDG_STATE_HOME": "/proc/state"}, ("/proc/state", "cannot be written", "XDG_STATE_HOME to another")),
        ({"XDG_STATE_HOME": None, "HOME": "/dev/null"}, ("/dev/null/.local", "(by HOME)", "set XDG_STATE_HOME")),
        (
            {"XDG_STATE_HOME": None, "XDG_CONFIG_HOME": None, "HOME": "relative"},
            ("HOME is 'relative'", "set HOME to a folder"),
        ),
        ({"SSL_CERT_FILE": "/dev/null/ca.pem"}, ("SSL_CERT_FILE names /dev/null/ca.pem", "unset SSL_CERT_FILE")),
        ({"SSL_CERT_DIR": "/dev/null"}, ("SSL_CERT_DIR names /dev/null", "the folder of the certificates")),
        ({"ASTICA_TRAIN_URL": "https://a.invalid", "SSL_CERT_FILE": __file__}, ("has no certificate", "PEM")),
        ({"XDG_CONFIG_HOME": "/dev/null"}, ("cannot read the settings file /dev/null/astica-sync/config.toml",)),
    ],
    ids=str,
)
def test_folders_and_certificates_of_the_environment(
    shell: Shell, sandbox: RunningSandbox, changes: dict[str, str | None], words: tuple[str, ...]
) -> None:
    refused(run_in(shell, '"$@"', "models", **changes), sandbox, *words)


@pytest.mark.parametrize("name", rest_long(1, ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"]))
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ftp://proxy.invalid", "is no address"),
        ("http://[::1", "is no address"),
        ("http://", "names no host"),
        ("http://proxy.invalid:99999", "its port is not between 1 and 65535"),
        ("http://user:secret@proxy.invalid:x", "is no address"),
        ("socks5://proxy.invalid", "needs the package socksio"),
    ],
)
def test_a_proxy_that_is_none(shell: Shell, sandbox: RunningSandbox, name: str, value: str, words: str) -> None:
    ran = run_in(shell, '"$@"', "models", **{"ASTICA_TRAIN_URL": "https://a.invalid", name: value})
    refused(ran, sandbox, f"the proxy that {name} names cannot be used", words, f"unset {name}")
    assert "secret" not in ran.err


def test_a_proxy_that_does_not_answer_is_named(shell: Shell, sandbox: RunningSandbox) -> None:
    changes = {"ASTICA_TRAIN_URL": "https://a.invalid", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    refused(run_in(shell, '"$@"', "models", **changes), sandbox, "through the proxy that HTTPS_PROXY names", "NO_PROXY")


@pytest.mark.parametrize(
    "bypass",
    [
        "*",
        "a.invalid",
        ".invalid",
        "192.168.0.0/24,fe80::/10,::1,[::1],a.invalid",
        "localhost, A.INVALID ",
        "][,a.invalid",
        "a.invalid:443",
        "localhost *",
        "*.invalid",
    ],
)
def test_hosts_are_left_out_of_a_proxy_by_no_proxy(shell: Shell, sandbox: RunningSandbox, bypass: str) -> None:
    changes = {"ASTICA_TRAIN_URL": "https://a.invalid", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": bypass}
    ran = run_in(shell, '"$@"', "models", **changes)
    refused(ran, sandbox, "a.invalid cannot be reached")
    assert "proxy that" not in ran.err


@pytest.mark.long
def test_another_port_is_not_left_out_of_a_proxy(shell: Shell, sandbox: RunningSandbox) -> None:
    changes = {
        "ASTICA_TRAIN_URL": "https://a.invalid",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "a.invalid:8443",
    }
    refused(run_in(shell, '"$@"', "models", **changes), sandbox, "through the proxy that HTTPS_PROXY names")
    changes["ASTICA_TRAIN_URL"] = "https://a.invalid:8443"
    ran = run_in(shell, '"$@"', "models", **changes)
    refused(ran, sandbox, "a.invalid:8443 cannot be reached")
    assert "proxy that" not in ran.err


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"NO_PROXY": "fe80::/10,[::1]", "HTTP_PROXY": "127.0.0.1:9"},
        {"HTTPS_PROXY": "", "ALL_PROXY": " ", "FTP_PROXY": "%%%"},
        {"LC_ALL": "POSIX", "LANG": "xx_YY.none", "TZ": "Mars/Olympus"},
        {"PYTHONIOENCODING": "ascii", "COLUMNS": "x", "LINES": "-1", "TERM": ""},
        {"XDG_RUNTIME_DIR": "/nonexistent", "XDG_CACHE_HOME": "/dev/null", "TMPDIR": "/nonexistent"},
        {"XDG_STATE_HOME": "relative", "XDG_CONFIG_HOME": "relative"},
        {"HOME": None},
        {"SHELL": None, "USER": None, "LOGNAME": None, "PATH": "/usr/bin:/bin", "PWD": "/nonexistent"},
    ],
    ids=str,
)
def test_an_odd_environment_that_matters_to_no_request_changes_nothing(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, changes: dict[str, str | None]
) -> None:
    ran = run_in(shell, '"$@"', "push", "--store", store, **changes)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)


@pytest.mark.long
@pytest.mark.parametrize("files", [12, 20, 30])
def test_few_open_files_are_named_before_anything_is_sent(
    shell: Shell, sandbox: RunningSandbox, store: Path, files: int
) -> None:
    sandbox.clear_log()
    refused(run_in(shell, f'ulimit -n {files}; "$@"', "push", "--store", store), sandbox, f"may open {files} files")


@pytest.mark.long
def test_so_many_open_files_are_enough(shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int) -> None:
    ran = run_in(shell, f'ulimit -n {FEWEST_FILES}; "$@"', "push", "--store", store)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)


@pytest.mark.long
def test_a_soft_limit_of_open_files_is_raised(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    assert run_in(shell, 'ulimit -Sn 20; "$@"', "push", "--store", store).code == 0


@pytest.mark.long
def test_a_limit_of_the_file_size_is_named(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    """SQLite calls it a disk I/O error."""
    sandbox.clear_log()
    refused(run_in(shell, 'ulimit -f 8; "$@"', "push", "--store", store), sandbox, "File too large", "ulimit -f")


def test_no_home_and_no_entry_for_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(ConfigError, match="HOME is not set, and user id 4000000 has no entry in /etc/passwd") as caught:
        user_folders.user_state_folder()
    assert "XDG_STATE_HOME" in caught.value.hint


def test_a_state_folder_without_a_home_leaves_the_settings_without_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert user_folders.user_state_folder() == tmp_path / "astica-sync"
    with pytest.raises(ConfigError, match="no home folder") as caught:
        user_config_file()
    assert caught.value.hint.endswith("or set XDG_CONFIG_HOME, as XDG_STATE_HOME is set")
    page = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text("utf-8")
    (row,) = (line for line in page.splitlines() if "no home folder" in line)
    assert "`XDG_STATE_HOME` alone is not enough" in row and "`XDG_CONFIG_HOME`" in row
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert user_config_file() == tmp_path / "config" / "astica-sync" / "config.toml"


@pytest.mark.parametrize(("now", "year"), [(0.0, "1970"), (4_102_444_800.0, "2100"), (1e18, "0"), (-1e18, "0")])
def test_an_odd_clock_is_named(now: float, year: str) -> None:
    assert f"the year is {year}" in odd_clock(now)
    assert "timedatectl" in odd_clock(now)
    assert odd_clock(1_764_000_000.0) == ""


def test_no_folder_for_temporary_files(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/dev/null")
    error = no_temporary_folder(FileNotFoundError(2, "No usable temporary directory found"))
    assert "TMPDIR is /dev/null" in str(error)
    assert "set TMPDIR" in error.hint


def test_certificates_that_are_there_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    check_certificates({"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "SSL_CERT_DIR": str(tmp_path)})


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_cannot_be_read_for_another_reason_have_its_advice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(ConfigError, match="Too many open files") as failure:
        check_certificates({name: str(tmp_path)})
    assert "ulimit -n" in failure.value.hint
    assert f"unset {name}" in failure.value.hint


@pytest.mark.long
@pytest.mark.parametrize("mode", [0o444, 0o644, 0o666])
def test_a_secret_on_a_read_only_mount_is_accepted_whatever_its_mode(
    shell: Shell, sandbox: RunningSandbox, mode: int
) -> None:
    ground = Ground()
    try:
        secrets = shell.home / "secrets"
        secrets.mkdir()
        ground.run(["mount", "-t", "tmpfs", "tmpfs", secrets])
        key = ground.seen(secrets) / "key"
        key.write_text(f"{sandbox.key}\n")
        key.chmod(mode)
        changes = {"ASTICA_API_KEY": None, "ASTICA_API_KEY_FILE": str(secrets / "key")}
        refused(run_in(shell, '"$@"', "models", under=ground.under, **changes), sandbox, "by others", "chmod 600")
        ground.run(["mount", "-o", "remount,ro,bind", secrets])
        ran = run_in(shell, '"$@"', "models", under=ground.under, **changes)
        assert ran.code == 0, ran.err
    finally:
        ground.close()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "does not exist"), (b"\xc3\x28", "is not text in UTF-8"), (b"\n", "is empty")]
)
def test_a_key_file_without_a_key(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
        (tmp_path / "key").chmod(0o600)
    changes = {"ASTICA_API_KEY": None, "ASTICA_API_KEY_FILE": str(tmp_path / "key")}
    refused(run_in(shell, '"$@"', "models", **changes), sandbox, str(tmp_path / "key"), words)


def test_a_secret_behind_the_links_of_an_orchestrator_is_read(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """Kubernetes mounts the key as a link to "..data/key", and "..data" as a link to a folder with a date."""
    (tmp_path / "..2026_11_28").mkdir()
    key = tmp_path / "..2026_11_28" / "key"
    key.write_text(sandbox.key)
    key.chmod(0o400)
    (tmp_path / "..data").symlink_to("..2026_11_28")
    (tmp_path / "key").symlink_to("..data/key")
    changes = {"ASTICA_API_KEY": None, "ASTICA_API_KEY_FILE": str(tmp_path / "key")}
    ran = run_in(shell, '"$@"', "models", **changes)
    assert ran.code == 0, ran.err
