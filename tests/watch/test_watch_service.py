"""The watcher as a service: readiness over a real socket, the unit file, the metrics."""

import importlib.util
import os
import plistlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from astica_sync.cli.render.watch_output import DesktopOutput, JsonWatchOutput
from astica_sync.cli.watch import watch_service
from astica_sync.cli.watch.sd_notify import SystemdNotifier
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import Start, wait_until


def listen(address: str) -> socket.socket:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(address)
    notify.settimeout(20)
    return notify


@pytest.mark.long
def test_systemd_is_notified_that_the_watcher_is_ready_alive_and_stopping(
    shell: Shell, watch: Start, store: Path, tmp_path: Path
) -> None:
    with listen(str(tmp_path / "notify")) as notify:
        shell.environ |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        watching = watch(store)
        received = notify.recv(1000).decode()
        while "READY=1" not in received:
            received += "\n" + notify.recv(1000).decode()
        assert "STATUS=" in received
        while "WATCHDOG=1" not in received:
            received += "\n" + notify.recv(1000).decode()
        watching.stop()
        while "STOPPING=1" not in received:
            received += "\n" + notify.recv(1000).decode()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract addresses")
def test_an_abstract_socket_address_works() -> None:
    name = f"astica-sync-test-{os.getpid()}-{time.monotonic_ns()}"
    with listen("\0" + name) as notify:
        ready = SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"})
        ready.alive("idle")
        assert notify.recv(1000) == b"READY=1\nSTATUS=idle"
        ready.alive("idle")
        ready.alive("working")
        assert notify.recv(1000) == b"STATUS=working"


def test_the_watchdog_of_another_process_is_ignored(tmp_path: Path) -> None:
    with listen(str(tmp_path / "notify")) as notify:
        SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
        notify.settimeout(0.2)
        with pytest.raises(TimeoutError):
            notify.recv(1000)


def test_without_a_socket_nothing_is_sent(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "none")}, {"WATCHDOG_USEC": "x"}):
        ready = SystemdNotifier(environ)
        ready.alive("idle")
        ready.stopping()


@pytest.fixture(autouse=True)
def key_file(shell: Shell) -> Path:
    """A file of the key, which a service can read."""
    file = shell.home / "the key"
    file.touch(0o600)
    file.write_text("key-of-the-service")
    shell.environ["ASTICA_API_KEY_FILE"] = str(file)
    return file


@pytest.fixture
def unit(shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unit file that was written for the store, as on a machine with systemd."""
    monkeypatch.setattr(watch_service, "SYSTEMD_RUNS", tmp_path)
    ran = shell("watch", "install", "--store", store)
    assert ran.code == 0, ran.err
    [file] = (shell.home / "config" / "systemd" / "user").glob("astica-sync-*.service")
    assert file.read_text() in ran.out
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"systemctl --user enable --now {file.name}" in ran.out
    return file


INSTALL = """\
from pathlib import Path

from astica_sync.cli.main import main
from astica_sync.cli.watch import watch_service

watch_service.SYSTEMD_RUNS = Path({folder!r})
main()
"""


def test_what_install_prints_is_wrapped_on_a_terminal_and_each_command_is_in_one_line(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    program = tmp_path / "install.py"
    program.write_text(INSTALL.format(folder=str(tmp_path)))
    with Terminal(shell, "watch", "install", "--store", store, columns=60, lines=60, program=program) as terminal:
        terminal.until(lambda seen: "loginctl" in seen or "launchctl" in seen)
        rows = terminal.rows
    # The path of the file is longer than a row.
    assert "  To start the service now and at every login:" in rows, rows
    assert any(row.strip().startswith(("loginctl enable-linger  # run", "launchctl load")) for row in rows), rows


linux = pytest.mark.skipif(sys.platform != "linux", reason="launchd has agents, not units")


@linux
def test_the_unit_starts_this_program_on_this_store_and_holds_no_key(unit: Path, shell: Shell, store: Path) -> None:
    text = unit.read_text()
    [command] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert shlex.split(command) == [sys.executable, "-P", "-m", "astica_sync", "watch", str(store)]
    assert f'Environment="ASTICA_API_KEY_FILE={shell.home / "the key"}"' in text
    assert shell.environ["ASTICA_API_KEY"] not in text
    assert "Type=notify" in text and "WatchdogSec=" in text and "NoNewPrivileges=yes" in text


@pytest.mark.parametrize("before", [True, False])
@linux
def test_the_service_gets_the_options_of_the_watcher(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    monkeypatch.setattr(watch_service, "SYSTEMD_RUNS", tmp_path)
    monkeypatch.chdir(tmp_path)
    options = ["--mirror", "nas/cans", "--mirror-every", "30", "--metrics-file", "watch.prom", "--notify"]
    ran = shell("watch", *(options if before else []), "install", "--store", store, *([] if before else options))
    assert ran.code == 0, ran.err
    [command] = re.findall(r"^ExecStart=(.*)$", ran.out, re.MULTILINE)
    words = shlex.split(command)
    assert words[:5] == [sys.executable, "-P", "-m", "astica_sync", "watch"]
    assert words[-1] == str(store)
    given = ["--mirror", f"{tmp_path}/nas/cans", "--mirror-every", "30"]
    given += ["--metrics-file", f"{tmp_path}/watch.prom", "--notify"]
    assert sorted(words[5:-1]) == sorted(given)
    assert words[words.index("--mirror") + 1] == f"{tmp_path}/nas/cans"
    assert words[words.index("--mirror-every") + 1] == "30"


@linux
def test_the_address_of_a_bucket_is_written_as_it_is(shell: Shell, store: Path) -> None:
    ran = shell("watch", "install", "--store", store, "--mirror", "s3://my-bucket/cans")
    assert '"--mirror" "s3://my-bucket/cans"' in ran.out
    assert "does not get the credentials of the bucket" in ran.err
    folder = shell("watch", "install", "--store", store, "--mirror", "/mnt/nas")
    assert '"--mirror" "/mnt/nas"' in folder.out and "credentials" not in folder.err


@pytest.mark.parametrize(
    ("options", "package"),
    [(["--metrics", "9155"], "prometheus_client"), (["--mirror", "s3://my-bucket/cans"], "obstore")],
)
def test_no_service_is_written_that_would_miss_a_package(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], package: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    ran = shell("watch", "install", "--store", store, *options)
    assert ran.code == 1 and package in ran.err and "pip install 'astica-sync[" in ran.err
    assert not list((shell.home / "config").rglob("astica-sync-*.service"))


def test_a_mirror_whose_folder_is_not_there_is_named(shell: Shell, store: Path, tmp_path: Path) -> None:
    ran = shell("watch", "install", "--store", store, "--mirror", tmp_path / "nas")
    assert ran.code == 0 and f"mkdir -p {tmp_path}/nas" in " ".join(ran.err.split())
    (tmp_path / "nas").mkdir()
    assert shell("watch", "install", "--store", store, "--mirror", tmp_path / "nas").err == ""


@pytest.mark.parametrize("key", ["variable", "none", "missing file"])
def test_no_service_is_written_that_would_find_no_key(shell: Shell, store: Path, key_file: Path, key: str) -> None:
    if key == "missing file":
        key_file.unlink()
    else:
        del shell.environ["ASTICA_API_KEY_FILE"]
    if key == "none":
        del shell.environ["ASTICA_API_KEY"]
    ran = shell("watch", "install", "--store", store)
    assert (ran.code, ran.out) == (1, ""), ran.out
    assert "ASTICA_API_KEY_FILE" in ran.err
    assert not [*shell.home.rglob("*.service"), *shell.home.rglob("*.plist")]


@pytest.mark.parametrize(
    ("minutes", "times", "often"),
    [
        (1, "*/1 * * * *", "every minute"),
        (30, "*/30 * * * *", "every 30 minutes"),
        (45, "*/30 * * * *", "every 30 minutes"),
        (59, "*/30 * * * *", "every 30 minutes"),
        (60, "17 * * * *", "every hour"),
        (120, "17 */2 * * *", "every 2 hours"),
        (420, "17 */6 * * *", "every 6 hours"),
        (1000, "17 */12 * * *", "every 12 hours"),
        (1439, "17 */12 * * *", "every 12 hours"),
        (1440, "17 3 * * *", "every day"),
        (10_079, "17 3 * * *", "every day"),
        (10_080, "17 3 * * 0", "every week"),
    ],
)
@linux
def test_cron_copies_to_the_mirror_as_often_as_the_watcher_would(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int, times: str, often: str
) -> None:
    monkeypatch.setattr(watch_service, "SYSTEMD_RUNS", tmp_path / "none")
    ran = shell("watch", "install", "--store", store, "--mirror", tmp_path, "--mirror-every", str(minutes))
    assert f"to the mirror {often}:\n  {times}  ASTICA" in ran.out, ran.out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--mirror", "x", "status"], "--mirror is an option of the watcher, and of no use to: watch status"),
        (["--once", "install"], "--once is an option of the watcher, and of no use to: watch install"),
        (["--json", "pause"], "--json is an option of the watcher, and of no use to: watch pause"),
    ],
)
def test_an_option_that_a_sub_command_would_not_use_is_refused(
    shell: Shell, store: Path, words: list[str], named: str
) -> None:
    ran = shell("watch", *words, "--store", store)
    assert (ran.code, named in ran.err) == (2, True), ran


def test_an_interval_with_a_unit_is_refused_with_the_unit_that_is_expected(shell: Shell, store: Path) -> None:
    ran = shell("watch", "install", "--store", store, "--mirror", "x", "--mirror-every", "5m")
    assert ran.code == 2 and "'5m' is not a valid number of minutes (digits alone)" in " ".join(ran.err.split())


@linux
def test_where_systemd_does_not_run_the_commands_have_the_options_too(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_service, "SYSTEMD_RUNS", tmp_path / "none")
    ran = shell("watch", "install", "--store", store, "--mirror", tmp_path / "my 50%", "--notify")
    [nohup] = re.findall(r"^  nohup (.*) >> \S+\.log 2>&1 &$", ran.out, re.MULTILINE)
    assert shlex.split(nohup)[-4:] == ["--notify", "--mirror", f"{tmp_path}/my 50%", str(store)]
    [cron] = re.findall(r"^  17 \* \* \* \*  (.*)$", ran.out, re.MULTILINE)
    assert "my 50\\%" in cron
    words = shlex.split(cron.replace("\\%", "%"))
    assert words[-7:] == ["backup", "mirror", f"{tmp_path}/my 50%", "--store", str(store), ">", "/dev/null"]
    [push] = re.findall(r"^  \*/5 \* \* \* \*  (.*)$", ran.out, re.MULTILINE)
    assert shlex.split(push)[-3:] == ["--once", "-q", str(store)]


@linux
def test_where_systemd_does_not_run_install_says_so_and_prints_what_works_there(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_service, "SYSTEMD_RUNS", tmp_path / "none")
    photos = store.rename(store.with_name("my 50% cans"))
    ran = shell("watch", "install", "--store", photos)
    assert ran.code == 0, ran.err
    [file] = (shell.home / "config" / "systemd" / "user").glob("*.service")
    assert f"Written to {file}, but systemd does not run on this machine, so nothing starts the watcher" in ran.out
    assert "systemctl" not in ran.out
    program = [sys.executable, "-P", "-m", "astica_sync", "watch"]
    [nohup] = re.findall(r"^  nohup (.*) >> \S+\.log 2>&1 &$", ran.out, re.MULTILINE)
    started = shlex.split(nohup)
    assert started[-6:] == [*program, str(photos)]
    assert started[0] == "env" and f"ASTICA_API_KEY_FILE={shell.home / 'the key'}" in started
    assert "astica-sync watch uninstall" in " ".join(ran.out.split())
    removed = shell("watch", "uninstall", "--store", photos)
    assert removed.out == f"Removed {file}\n" and not file.exists()
    [cron] = re.findall(r"^  \*/5 \* \* \* \*  (.*)$", ran.out, re.MULTILINE)
    assert "my 50\\% cans" in cron, "cron takes a per cent sign for the end of the command"
    words = shlex.split(cron.replace("\\%", "%"))
    assert words[-8:] == [*program, "--once", "-q", str(photos)]
    assert f"ASTICA_API_KEY_FILE={shell.home / 'the key'}" in words


@linux
def test_the_sentence_about_systemd_is_wrapped_and_the_commands_are_whole(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    program = tmp_path / "install.py"
    program.write_text(INSTALL.format(folder=str(tmp_path / "none")))
    with Terminal(shell, "watch", "install", "--store", store, columns=60, lines=60, program=program) as terminal:
        assert terminal.end() == 0
    lines = terminal.written.decode().replace("\r\n", "\n").splitlines()
    assert any(line.endswith(f"--once -q {store}") and line.startswith("  */5 ") for line in lines), lines
    assert any(line.endswith(".log 2>&1 &") and line.startswith("  nohup ") for line in lines), lines
    assert max(len(line) for line in lines if "systemd does" in line or "cron push" in line) <= 60, lines
    assert "systemd does not run on this machine" in " ".join(" ".join(lines).split())


@linux
def test_the_service_manager_accepts_the_unit(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert unit.name not in ran.stderr


@linux
def test_special_characters_of_a_name_are_quoted_in_the_unit(shell: Shell, store: Path) -> None:
    special = store.rename(store.with_name('my "50%" $HOME cans'))
    assert shell("watch", "install", "--store", special).code == 0
    [file] = (shell.home / "config" / "systemd" / "user").glob("*.service")
    [command] = re.findall(r"^ExecStart=(.*)$", file.read_text(), re.MULTILINE)
    word = shlex.split(command)[-1]
    assert word.replace("%%", "%").replace("$$", "$") == str(special)


@linux
def test_uninstall_removes_the_unit_once_it_is_disabled(unit: Path, shell: Shell, store: Path) -> None:
    enabled = unit.parent / "default.target.wants" / unit.name
    enabled.parent.mkdir()
    enabled.symlink_to(unit)
    refused = shell("watch", "uninstall", "--store", store)
    assert refused.code == 1 and f"systemctl --user disable --now {unit.name}" in refused.err
    assert unit.exists()
    enabled.unlink()
    ran = shell("watch", "uninstall", "--store", store)
    assert ran.code == 0 and f"systemctl --user stop {unit.name}" in ran.out
    assert not unit.exists()
    assert "No service is installed" in shell("watch", "uninstall", "--store", store).out


def test_on_macos_a_launchd_agent_is_written(shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert shell("watch", "install", "--store", store).code == 0
    [file] = (shell.home / "Library" / "LaunchAgents").glob("*.plist")
    agent = plistlib.loads(file.read_bytes())
    assert agent["ProgramArguments"] == [sys.executable, "-P", "-m", "astica_sync", "watch", str(store)]
    assert agent["EnvironmentVariables"]["ASTICA_TRAIN_URL"] == shell.environ["ASTICA_TRAIN_URL"]
    assert "ASTICA_API_KEY" not in agent["EnvironmentVariables"]


@pytest.mark.skipif(sys.platform != "linux", reason="notify-send is of Linux desktops")
def test_a_notification_is_neither_an_option_nor_markup_and_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/notify-send")
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command))
    output = DesktopOutput(JsonWatchOutput())
    for text in ("--icon=/etc/passwd", '<a href="http://192.0.2.1">click</a>', "\x1b[2J", "x" * 100_000):
        output.event("--store", "refused", text)
    assert [command[:4] for command in started] == [[*started[0][:2], "--", "astica-sync: action needed"]] * 4
    bodies = [command[4] for command in started]
    assert all(len(body) < 1000 and body.isprintable() for body in bodies)
    assert "<" not in bodies[1]


def test_metrics_are_written_to_a_file_for_the_node_exporter(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    from astica_sync.cli.watch.watch_metrics import WRITE_EVERY, WatchMetrics

    report = WatchStatus("here", 1, 0.0, WatchState.RESTING, uploaded=3, agreed_at=90.0)
    report.failures = {"image_rejected": 2, "outcome_unknown": 1}
    report.add_error("no network", "unreachable")
    now = [100.0]
    exporter = WatchMetrics(
        [report], port=None, file=tmp_path / "astica.prom", wall=lambda: now[0], budget=lambda store: (7, 90)
    )
    exporter.write()
    text = (tmp_path / "astica.prom").read_text()
    assert 'astica_sync_uploads_total{store="here"} 3.0' in text
    assert 'astica_sync_since_agreement_seconds{store="here"} 10.0' in text
    assert 'astica_sync_state{state="resting",store="here"} 1.0' in text
    assert 'astica_sync_failures_total{reason="image_rejected",store="here"} 2.0' in text
    assert 'astica_sync_failures_total{reason="outcome_unknown",store="here"} 1.0' in text
    assert 'astica_sync_troubles_total{reason="unreachable",store="here"} 1.0' in text
    assert 'astica_sync_budget_used{store="here"} 7.0' in text
    assert 'astica_sync_budget_limit{store="here"} 90.0' in text
    report.uploaded = 4
    exporter.write()
    assert (tmp_path / "astica.prom").read_text() == text
    now[0] += WRITE_EVERY
    exporter.write()
    assert 'astica_sync_uploads_total{store="here"} 4.0' in (tmp_path / "astica.prom").read_text()


def test_metrics_count_the_processes_that_share_a_budget_server(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    from astica_sync.cli.watch.watch_metrics import WatchMetrics

    report, asked = WatchStatus("here", 1, 0.0, WatchState.IDLE), []

    def written(budget: tuple[int, int] | None, fleet: tuple[int, int] | None) -> str:
        file = tmp_path / "astica.prom"
        WatchMetrics(
            [report],
            port=None,
            file=file,
            wall=lambda: 100.0,
            budget=lambda store: budget,
            fleet=lambda store: (asked.append(store), fleet)[1],
        ).write()
        return file.read_text()

    text = written((7, 90), (5, 3))
    assert 'astica_sync_fleet_processes{store="here"} 5.0' in text
    assert 'astica_sync_fleet_machines{store="here"} 3.0' in text
    assert "astica_sync_fleet_processes{" not in written((7, 90), None)
    asked.clear()
    assert "astica_sync_fleet_processes{" not in written(None, (5, 3))
    assert asked == [], "a server that is away is asked once"


@pytest.mark.long
def test_a_watcher_writes_its_metrics_file(watch: Start, store: Path, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    watch(store, flags=["--metrics-file", str(tmp_path / "metrics.prom")])
    wait_until((tmp_path / "metrics.prom").exists)


@pytest.mark.long
def test_metrics_count_failures_by_reason_and_requests_of_all_processes(
    watch: Start, store: Path, sandbox: RunningSandbox
) -> None:
    pytest.importorskip("prometheus_client")
    (store / "Can" / "half.png").write_bytes(draw(store / "Can" / "whole.png", 30).read_bytes()[:-30])
    sandbox.set_faults("upload:3=lost-after")
    watching = watch(store, flags=["--metrics", "0"])
    wait_until(lambda: any("port" in event for event in watching.events))
    [port] = [event["port"] for event in watching.events if "port" in event]

    def page() -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()

    wait_until(lambda: f'astica_sync_failures_total{{reason="image_rejected",store="{store}"}} 1.0' in page())
    wait_until(lambda: f'astica_sync_failures_total{{reason="outcome_unknown",store="{store}"}} 1.0' in page())
    wait_until(lambda: len(sandbox.samples(sandbox.models()[0][0])) == 6)
    wait_until(lambda: f'astica_sync_state{{state="idle",store="{store}"}} 1.0' in page())
    assert f'astica_sync_budget_used{{store="{store}"}} {float(len(sandbox.log))}' in page()
    assert f'astica_sync_budget_limit{{store="{store}"}} 100000.0' in page()
    sandbox.set_faults("upload=5xx", "view=5xx")
    draw(store / "Can" / "another.png", 31)
    wait_until(lambda: f'astica_sync_troubles_total{{reason="outcome_unknown",store="{store}"}}' in page())
