"""The program in processes of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from astica_sync import __version__
from astica_sync.cli.exit_codes import EXIT_CODES
from astica_sync.cli.main import COMMANDS
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill, in_store, on_service


def test_init_push_and_status_in_separate_processes(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", {"Can": 2, "Bottle": 2})
    create = ("--create", "Cans", "--type", "image", "--purpose", "sort")
    made = shell.finish(shell.start("init", folder, *create))
    assert made.code == 0, made.err
    pushed = shell.finish(shell.start("push", "--store", folder))
    assert pushed.code == 0, pushed.err
    assert "Uploaded 4, removed 0, with 6 requests. The service is in sync with the store." in pushed.out
    assert "\x1b" not in pushed.out + pushed.err, "no colours and no bars without a terminal"
    status = shell.finish(shell.start("pull-status", "--json", "--exit-code", "--store", folder))
    assert status.code == 0 and json.loads(status.out)["in_sync"]
    [(model_id, _)] = sandbox.models()
    assert on_service(sandbox, model_id) == in_store(folder)


def test_the_key_is_not_in_the_list_of_processes(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    sandbox.set_faults("view:1=slow~2s")
    process = shell.start("pull-status", "--store", pushed)
    try:
        while not sandbox.requests_of("view"):
            assert process.poll() is None
        assert sandbox.key.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        process.kill()
        process.communicate()


def test_a_reader_that_closes_the_pipe_gets_no_traceback(shell: Shell, pushed: Path) -> None:
    process = shell.start("log", "--json", "--store", pushed)
    assert process.stdout is not None
    process.stdout.close()
    process.wait(10)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


@pytest.mark.long
def test_the_sandbox_command_serves_until_it_is_stopped_and_keeps_its_data(shell: Shell, tmp_path: Path) -> None:
    key = shell.environ.pop("ASTICA_API_KEY")
    for given in ("", key):
        if given:
            shell.environ["ASTICA_API_KEY"] = given
        process = shell.start("sandbox", "--port", "0", "--data", tmp_path / "data")
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3 if given else 4)]
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert "The sandbox runs at http://127.0.0.1:" in lines[0]
        assert "export ASTICA_TRAIN_URL=http://127.0.0.1:" in lines[2]
        assert key not in "".join(lines) + out + err
        assert bool(given) != any("export ASTICA_API_KEY=" in line for line in lines)


@pytest.mark.long
@pytest.mark.parametrize("ignored", [False, True])
def test_a_sandbox_whose_terminal_is_closed_removes_its_folder(shell: Shell, tmp_path: Path, ignored: bool) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    shell.environ["TMPDIR"] = str(folder)
    process = shell.start("sandbox", "--port", "0", under=["nohup"] if ignored else [])
    try:
        assert process.stdout is not None and "The sandbox runs at" in process.stdout.readline()
        assert len(list(folder.iterdir())) == 1
        # It stays ignored under nohup(1).
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        assert bool(int(status["SigIgn"], 16) >> (signal.SIGHUP - 1) & 1) is ignored
        process.send_signal(signal.SIGTERM if ignored else signal.SIGHUP)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_no_temporary_folder_is_made_in_a_store(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    before = sorted(store.rglob("*"))
    monkeypatch.setattr(tempfile, "tempdir", str(store / "Can"))
    ran = shell(command)
    assert ran.code == 1 and f"temporary files would be made in {store}/Can, which is in the store {store}" in ran.err
    assert "set TMPDIR to a folder outside of the store" in ran.err and ran.out == ""
    assert ("--data" in ran.err) is (command == "sandbox")
    assert sorted(store.rglob("*")) == before


@pytest.mark.long
def test_the_demo_runs_all_its_commands(shell: Shell) -> None:
    ran = shell.finish(shell.start("demo"))
    assert ran.code == 0, ran.err
    shown = [line[2:].split()[1] for line in ran.out.splitlines() if line.startswith("$ astica-sync")]
    assert shown[:3] == ["init", "status", "push"]
    assert {"train", "detect", "log"} < set(shown)
    assert "This is the end of the demo." in ran.out
    assert ran.out.rstrip().endswith("astica-sync demo --page")


@pytest.mark.long
def test_the_demo_ends_in_the_page_until_ctrl_c(shell: Shell) -> None:
    process = shell.start("demo", "--page", "--no-open", start_new_session=True)
    assert process.stdout is not None
    with process:
        line = next(line for line in process.stdout if line.startswith("The page is at "))
        address = line.split()[-1]
        with httpx.Client(base_url=address.partition("/?")[0], timeout=30) as client:
            assert client.get(address).status_code == 303
            shown = client.get("/api/store", headers={"Sec-Fetch-Site": "same-origin"}).json()
        os.killpg(process.pid, signal.SIGINT)
        ended = shell.finish(process)
    assert (ended.code, shown["store"]["name"], shown["service"]["sandbox"]) == (0, "digits", True), ended.err
    assert shown["totals"]["by_state"]["on-service"] == 49
    assert "Traceback" not in ended.err


def test_version_imports_nothing_heavy() -> None:
    heavy = ("httpx", "PIL", "rich", "sqlite_utils", "sklearn", "numpy", "starlette", "msgspec", "sqlite3")
    code = (
        "import sys; from astica_sync.cli.main import run; run(['--version']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"astica-sync, version {__version__}", "[]"]


@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS]])
def test_every_command_has_help_that_fits_the_terminal(shell: Shell, command: tuple[str, ...]) -> None:
    ran = shell(*command, "--help")
    assert ran.code == 0
    assert ran.out.startswith("Usage: astica-sync")
    assert max(map(len, ran.out.splitlines())) <= 100
    assert "\x08" not in ran.out


def test_the_help_lists_every_exit_code(shell: Shell) -> None:
    text = " ".join(shell("--help").out.split())
    assert all(f"{code} {meaning}" in text for code, meaning in EXIT_CODES.items())


def test_a_home_that_cannot_be_written_is_reported_in_two_lines(shell: Shell, pushed: Path) -> None:
    if os.geteuid() == 0:
        shell.environ |= {"HOME": "/proc", "XDG_STATE_HOME": "/proc/state", "XDG_CONFIG_HOME": "/proc/config"}
    else:
        shell.home.chmod(0o500)
        shell.environ["XDG_STATE_HOME"] = str(shell.home / "none")
    ran = shell("pull-status", "--store", pushed)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 2 and "XDG_STATE_HOME" in ran.err
