"""A budget server as a user meets it: in the settings, in ``doctor``, in messages, and with the password nowhere."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.config import load_settings
from astica_sync.errors import ConfigError
from astica_sync.local.layout import Layout
from astica_sync.open_session import budget_use, open_budgets
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.secret import Secret
from astica_sync.sync.progress import ProgressListener
from tests.harness.budget_servers import (
    PASSWORD,
    QUOTED_PASSWORD,
    BudgetServerProcess,
    free_port,
    postgres_server,
    redis_server,
)
from tests.harness.shell import Shell

MODULES = {"redis": "redis", "postgres": "psycopg"}


@pytest.fixture(scope="module", params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[BudgetServerProcess]:
    pytest.importorskip(MODULES[request.param])
    with redis_server() if request.param == "redis" else postgres_server() as server:
        yield server


@pytest.fixture
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without records rests for a second, and not for minutes."""
    monkeypatch.setattr("astica_sync.remote.shared_budget.shared_rate_limiter.UNDER_WAY_SECONDS", 0.1)


def test_commands_that_send_nothing_say_nothing_of_a_count_without_the_key(
    shell: Shell, server: BudgetServerProcess, sandbox: RunningSandbox, photos: Path, short_rests: None
) -> None:
    shell.environ |= {"ASTICA_BUDGET": server.address, "ASTICA_LIMIT_WINDOW": "0.5"}
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    assert shell("push", "--store", photos).code == 0
    ran = shell("status", "--offline", "--store", photos)
    assert (ran.code, ran.err) == (0, "") and "request budget" not in ran.out
    found = shell("fleet", "--store", photos)
    assert f"requests in 0.5 s, by this key at {sandbox.url.partition('//')[2]}" in found.out, found.out
    assert "records" not in found.out and "no store" not in found.out
    elsewhere = shell("fleet")
    assert "no store is in this folder; for the service of a store: astica-sync fleet --store DIR" in elsewhere.out
    del shell.environ["ASTICA_API_KEY"]
    report = shell("doctor", "--store", photos, "--json").json
    assert report["request_budget"]["answers"] is True and report["request_budget"]["used now"] is None
    assert not [one for one in report["findings"] if "records" in one["text"]]


@pytest.mark.long
def test_two_homes_count_on_one_server(
    shell: Shell, server: BudgetServerProcess, sandbox: RunningSandbox, photos: Path, short_rests: None
) -> None:
    shell.environ |= {"ASTICA_BUDGET": server.address, "ASTICA_LIMIT_WINDOW": "0.5"}
    ran = shell("init", photos, "--create", "Cans", "--purpose", "sort cans")
    assert ran.code == 0, ran.err
    assert "has no records yet" in ran.out + ran.err
    ran = shell("push", "--store", photos)
    assert ran.code == 0, ran.err
    shell.environ["ASTICA_LIMIT_WINDOW"] = "60"
    assert shell("status", "--store", photos).code == 0
    shell.environ["XDG_STATE_HOME"] = str(shell.home / "another")
    report = shell("doctor", "--store", photos, "--json").json["request_budget"]
    assert report["answers"] is True
    assert report["used now"] >= 1
    assert report["counted on"].endswith(f"@127.0.0.1:{server.port}/{server.address.rpartition('/')[2]}")
    assert not list(shell.home.rglob("budget.db")), "nothing is counted in a file"


def test_what_is_used_is_known_while_the_server_rests_or_keeps_a_lower_limit(
    shell: Shell, server: BudgetServerProcess, photos: Path, short_rests: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    shell.environ["ASTICA_BUDGET"] = server.address
    shell.environ["ASTICA_LIMIT"] = "30"
    assert shell("doctor", "--store", photos).code == 0
    for name, value in {**shell.environ, "ASTICA_LIMIT": "90"}.items():
        monkeypatch.setenv(name, value)
    assert budget_use(Layout(photos)) == (0, 90)


@pytest.mark.long
def test_doctor_says_how_long_all_machines_wait_after_a_refusal_of_the_service(
    shell: Shell, server: BudgetServerProcess, sandbox: RunningSandbox, store: Path, short_rests: None
) -> None:
    shell.environ |= {"ASTICA_BUDGET": server.address, "ASTICA_LIMIT_WINDOW": "0.5"}
    assert shell("status", "--store", store).code == 0
    assert shell("doctor", "--store", store, "--json").json["request_budget"]["refused by the service"] is False
    settings, clock = load_settings(shell.environ), SystemClock()
    key = Secret(shell.environ["ASTICA_API_KEY"])
    with open_budgets(settings, key, clock, ProgressListener()) as (train, _, _):
        assert train.back_off(700.0) == pytest.approx(700)
    shown = shell("doctor", "--store", store, "--json").json
    assert shown["request_budget"]["refused by the service"] is True
    found = [one for one in shown["findings"] if one["section"] == "request budget"]
    assert "the next one of all machines starts in 12 min" in found[0]["text"] and "ASTICA_LIMIT" in found[0]["hint"]


def test_doctor_says_what_is_wrong_and_no_password_is_shown(
    shell: Shell, server: BudgetServerProcess, tmp_path: Path
) -> None:
    for address, said in (
        (server.address.replace(QUOTED_PASSWORD, "other%2Fpassword"), "it refused the user or the password"),
        (server.address.replace(f":{server.port}", f":{free_port()}"), "does not answer"),
    ):
        shell.environ["ASTICA_BUDGET"] = address
        ran = shell("doctor", "--json")
        findings = [one["text"] for one in ran.json["findings"] if "request budget" in one["text"]]
        assert len(findings) == 1 and said in findings[0], findings
        for shown in (ran.out, ran.err, shell("doctor").out):
            assert not any(word in shown for word in (PASSWORD, QUOTED_PASSWORD, "other%2Fpassword", "other/password"))


def test_a_wrong_password_ends_a_command_before_anything_is_sent(
    shell: Shell, server: BudgetServerProcess, sandbox: RunningSandbox
) -> None:
    shell.environ["ASTICA_BUDGET"] = server.address.replace(QUOTED_PASSWORD, "wrong-word")
    ran = shell("models")
    assert ran.code == 1
    assert "it refused the user or the password" in ran.err
    assert "wrong-word" not in ran.out + ran.err


@pytest.mark.parametrize("line", ['budget = "redis://127.0.0.1:1"', 'budget_share = "10%"', 'budget_pool = "50%"'])
def test_a_stores_file_cannot_name_a_server_or_its_parts(tmp_path: Path, line: str) -> None:
    file = tmp_path / "astica-sync.toml"
    file.write_text(line)
    with pytest.raises(ConfigError, match="a store's file may not"):
        load_settings({"HOME": str(tmp_path)}, store_file=file)
    assert load_settings({}, user_file=file).sources[line.split()[0]] == str(file)


@pytest.mark.parametrize("line", ["limit = 1", "limit_window = 604799"])
def test_a_stores_file_does_not_set_the_limit_of_all_machines(tmp_path: Path, line: str) -> None:
    name, _, value = line.partition(" = ")
    file, own = tmp_path / "astica-sync.toml", tmp_path / "config.toml"
    file.write_text(line)
    assert load_settings({}, store_file=file).sources[name] == str(file), "alone it may tighten its own"
    own.write_text('budget = "redis://localhost"\n')
    with pytest.raises(ConfigError, match="every machine that shares the budget server"):
        load_settings({}, store_file=file, user_file=own)
    with pytest.raises(ConfigError, match="every machine that shares the budget server"):
        load_settings({"ASTICA_BUDGET": "redis://localhost"}, store_file=file)
    own.write_text(f'budget = "redis://localhost"\n{line}\n')
    assert load_settings({}, store_file=file, user_file=own).budget, "it says what the user says"
    variable = f"ASTICA_{name.upper()}"
    assert load_settings({"ASTICA_BUDGET": "redis://localhost", variable: value}, store_file=file).budget


@pytest.mark.parametrize("value", ["0.001", "4.9", "nan", "700000"])
def test_a_watcher_looks_at_most_every_few_seconds(tmp_path: Path, value: str) -> None:
    file = tmp_path / "astica-sync.toml"
    file.write_text(f"observe_every = {value}")
    with pytest.raises(ConfigError, match="observe_every"):
        load_settings({}, store_file=file)


@pytest.mark.parametrize(
    "address",
    [
        "localhost:6379",
        "http://user:secret-word@host",
        "redis:/user:secret-word@host",
        "redis://user:secret-word@host:port",
        "redis://",
        "host=h password=secret-word",
        "postgresql://",
        "redis://host /0",
        "redis://:secret-word@ho\nst",
        "7",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ConfigError, match="not an address that can be used") as error:
        load_settings({"ASTICA_BUDGET": address})
    assert "secret-word" not in f"{error.value} {error.value.hint}"


def test_the_settings_show_the_address_without_its_password() -> None:
    for address in ("redis://me:secret-word@host:1/0", "postgresql://host/db?password=secret-word"):
        settings = load_settings({"ASTICA_BUDGET": address})
        assert settings.budget and settings.budget.reveal() == address
        assert "secret-word" not in f"{settings} {settings.budget} {settings.budget!r}"


def test_parts_of_more_than_the_whole_are_refused(shell: Shell, server: BudgetServerProcess) -> None:
    shell.environ |= {"ASTICA_BUDGET": server.address, "ASTICA_BUDGET_SHARE": "10%"}
    ran = shell("models")
    assert ran.code == 1
    assert "more than the whole limit together" in ran.err


def test_parts_that_leave_no_request_are_refused(shell: Shell, server: BudgetServerProcess) -> None:
    shell.environ |= {"ASTICA_BUDGET": server.address, "ASTICA_BUDGET_POOL": "1%", "ASTICA_LIMIT": "90"}
    ran = shell("models")
    assert ran.code == 1
    assert "leave none" in ran.err


@pytest.mark.parametrize(("scheme", "extra"), [("redis", "redis"), ("rediss", "redis"), ("postgresql", "postgres")])
def test_without_the_extra_the_error_names_it(
    shell: Shell, scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULES[extra], None)
    for name in ("redis_server", "postgres_server"):
        monkeypatch.delitem(sys.modules, f"astica_sync.remote.shared_budget.{name}", raising=False)
    shell.environ["ASTICA_BUDGET"] = f"{scheme}://me:secret-word@127.0.0.1:1/0"
    ran = shell("models")
    assert ran.code == 1
    assert f"needs {MODULES[extra]}, which is not installed" in ran.err
    assert f"pip install 'astica-sync[{extra}]'" in ran.err
    assert "secret-word" not in ran.err


def test_nothing_of_it_is_loaded_without_the_setting(shell: Shell, sandbox: RunningSandbox) -> None:
    program = (
        "import sys; from astica_sync.cli.main import run; code = run(['models']);"
        " print(code, [name for name in sys.modules if name.partition('.')[0] in ('redis', 'psycopg')"
        " or 'shared_budget' in name])"
    )
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **shell.environ}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1] == "0 []", ran.stderr


def test_a_service_file_does_not_get_the_address(shell: Shell, photos: Path, sandbox: RunningSandbox) -> None:
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    shell.environ["ASTICA_BUDGET"] = "redis://me:secret-word@127.0.0.1:1/0"
    ran = shell("watch", "install", "--store", photos)
    assert ran.code == 1
    assert "no service gets it" in ran.err
    assert not any("secret-word" in file.read_text("utf-8", "replace") for file in shell.home.rglob("*.service"))


@contextlib.contextmanager
def speaking(answer: bytes) -> Iterator[int]:
    """A server that answers every connection with the same bytes, or with nothing and no end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        opened: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    opened.append(connection)
                    if answer:
                        connection.recv(1000)
                        connection.sendall(answer)
                        connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            for connection in opened:
                connection.close()
            thread.join(5)


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 40, b"-ERR unknown command\r\n" * 5]
)
def test_a_server_that_speaks_something_else_is_named(shell: Shell, scheme: str, answer: bytes) -> None:
    pytest.importorskip(MODULES["redis" if scheme == "redis" else "postgres"])
    with speaking(answer) as port:
        shell.environ["ASTICA_BUDGET"] = f"{scheme}://me:secret-word@127.0.0.1:{port}/0"
        ran = shell("doctor", "--json")
    [found] = [one["text"] for one in ran.json["findings"] if "request budget" in one["text"]]
    assert "cannot be used" in found or "does not answer" in found
    assert "secret-word" not in ran.out + ran.err


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_a_server_that_never_answers_is_given_up(shell: Shell, scheme: str) -> None:
    pytest.importorskip(MODULES["redis" if scheme == "redis" else "postgres"])
    with speaking(b"") as port:
        shell.environ["ASTICA_BUDGET"] = f"{scheme}://me:secret-word@127.0.0.1:{port}/0"
        ran = shell("doctor", "--json")
    [found] = [one["text"] for one in ran.json["findings"] if "request budget" in one["text"]]
    assert "does not answer (no answer in time)" in found or "does not answer (timeout expired)" in found
