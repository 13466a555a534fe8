"""A push that is killed or stopped at any point continues with the next one."""

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill, in_store, on_service


@pytest.fixture
def many(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store whose push takes seconds: 24 samples at six requests a second."""
    folder = fill(tmp_path / "many", {"Bottle": 12, "Can": 12})
    assert shell("init", folder, "--model", str(sandbox.add_model())).code == 0
    return folder


def wait_until(process: "subprocess.Popen[str]", true: Callable[[], bool]) -> None:
    """Waits while the process runs; on failure the error shows its output."""
    give_up = time.monotonic() + 20
    while not true():
        if process.poll() is not None or time.monotonic() > give_up:
            process.kill()
            pytest.fail(f"ended with {process.poll()}: {process.communicate()}")
        time.sleep(0.005)


@contextlib.contextmanager
def ended(process: "subprocess.Popen[str]"):
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "requests", [3, *(pytest.param(requests, marks=pytest.mark.long) for requests in (1, 2, 9, 20))]
)
def test_a_killed_push_is_resumed_by_the_next_and_nothing_is_lost_or_doubled(
    shell: Shell, sandbox: RunningSandbox, many: Path, requests: int
) -> None:
    [(model_id, _)] = sandbox.models()
    sandbox.set_faults("upload@10%=lost-after", "upload@5%=5xx", seed=requests, latency="5-30ms")
    sandbox.clear_log()
    with ended(shell.start("push", "--store", many)) as process:
        wait_until(process, lambda: len(sandbox.log) >= requests)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    sandbox.set_faults()
    resumed = shell("push", "--store", many)
    assert resumed.code == 0, resumed.err
    assert on_service(sandbox, model_id) == in_store(many)
    sandbox.clear_log()
    assert shell("push", "--json", "--store", many).json["in_sync"] is True
    assert len(sandbox.log) == 1
    assert shell("backup", "verify", "--store", many).code == 0


@pytest.mark.long
def test_a_request_that_is_carried_out_after_the_kill_makes_no_second_copy(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    [(model_id, _)] = sandbox.models()
    shell.environ["ASTICA_QUARANTINE"] = "1.6"
    sandbox.set_faults("upload:5=late~1s")
    with ended(shell.start("push", "--store", many)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 5)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert shell("push", "--store", many).code == 0
    assert sandbox.run_late() == 0
    assert on_service(sandbox, model_id) == in_store(many)
    assert len(sandbox.samples(model_id)) == 24


@pytest.mark.long
@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(number, marks=pytest.mark.long) for number in (signal.SIGTERM, signal.SIGHUP))],
)
def test_a_stopped_push_reports_what_is_left_and_the_next_push_continues(
    shell: Shell, sandbox: RunningSandbox, many: Path, number: signal.Signals
) -> None:
    [(model_id, _)] = sandbox.models()
    shell.environ |= {"ASTICA_LIMIT": "6", "ASTICA_LIMIT_WINDOW": "1"}
    sandbox.set_faults(latency="20-60ms")
    with ended(shell.start("push", "--store", many)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 3)
        process.send_signal(number)
        ran = shell.finish(process)
    assert ran.code == 130, ran.err
    assert "stopping after the requests under way" in ran.err
    sent = len(sandbox.requests_of("upload"))
    assert f"Uploaded {sent}, removed 0" in ran.out, "requests under way are finished first"
    assert f"{24 - sent} samples left to do: run the same command again" in ran.out
    assert "Traceback" not in ran.err
    del shell.environ["ASTICA_LIMIT"], shell.environ["ASTICA_LIMIT_WINDOW"]
    shell.environ["ASTICA_QUARANTINE"] = "60"
    resumed = shell("push", "--json", "--store", many)
    assert resumed.json["uploaded"] == 24 - sent, "every outcome was known"
    assert on_service(sandbox, model_id) == in_store(many)


@pytest.mark.long
def test_a_push_whose_terminal_is_closed_ends_as_after_sigterm(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    [(model_id, _)] = sandbox.models()
    shell.environ |= {"ASTICA_LIMIT": "6", "ASTICA_LIMIT_WINDOW": "1"}
    sandbox.set_faults(latency="20-60ms")
    leader, follower = pty.openpty()
    process = shell.start(
        "push",
        "--store",
        many,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    with ended(process):
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 3)
        os.close(leader)
        assert process.wait(20) == 130
    sent = len(sandbox.requests_of("upload"))
    assert sent < 24
    assert len(sandbox.samples(model_id)) == sent, "requests under way are finished first"
    assert not (many / ".astica-sync" / "lock-holder.json").exists()
    del shell.environ["ASTICA_LIMIT"], shell.environ["ASTICA_LIMIT_WINDOW"]
    shell.environ["ASTICA_QUARANTINE"] = "60"
    assert shell("push", "--json", "--store", many).json["uploaded"] == 24 - sent, "every outcome was known"


@pytest.mark.long
@pytest.mark.parametrize("signals", [2, 3])
def test_a_hang_up_that_comes_again_ends_the_push_and_the_next_one_completes_it(
    shell: Shell, sandbox: RunningSandbox, many: Path, signals: int
) -> None:
    """A shell and the terminal may each report that the terminal is gone."""
    [(model_id, _)] = sandbox.models()
    shell.environ |= {"ASTICA_LIMIT": "6", "ASTICA_LIMIT_WINDOW": "1"}
    sandbox.set_faults(latency="20-60ms")
    with ended(shell.start("push", "--store", many)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 3)
        for _ in range(signals):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.02)
        ran = shell.finish(process)
    # The second one stops at once, and the last may come when all is done.
    assert ran.code in (130, -signal.SIGHUP), ran.err
    assert "interrupted" in ran.err and "Traceback" not in ran.err
    del shell.environ["ASTICA_LIMIT"], shell.environ["ASTICA_LIMIT_WINDOW"]
    assert shell("push", "--store", many).code == 0
    assert on_service(sandbox, model_id) == in_store(many)


@pytest.mark.long
def test_a_hang_up_while_a_training_is_waited_for_leaves_its_version_to_the_next_command(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    [(model_id, _)] = sandbox.models()
    assert shell("push", "--store", many).code == 0
    sandbox.set_switches(training_time=4.0)
    with ended(shell.start("train", "--store", many)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("model_train")) == 1)
        time.sleep(0.5)
        process.send_signal(signal.SIGHUP)
        ran = shell.finish(process)
    assert ran.code == 130, ran.err
    assert ran.err.strip() and "Traceback" not in ran.err
    sandbox.wait_for_training()
    ran = shell("train", "--store", many)
    assert ran.code == 0, ran.err
    assert sandbox.versions(model_id) == [ran.out.strip()]
    assert len(sandbox.requests_of("model_train")) == 1, "the training was asked for once"


@pytest.mark.long
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_hang_up_whose_message_cannot_be_written_ends_the_push_all_the_same(
    shell: Shell, sandbox: RunningSandbox, many: Path, closed: str
) -> None:
    """As with "push | tee log" over ssh: the reader of the pipe ends with the connection."""
    [(model_id, _)] = sandbox.models()
    shell.environ |= {"ASTICA_LIMIT": "6", "ASTICA_LIMIT_WINDOW": "1"}
    sandbox.set_faults(latency="20-60ms")
    read, write = os.pipe()
    process = shell.start("push", "--store", many, **{closed: write})
    os.close(write)
    with ended(process):
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 3)
        os.close(read)
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) in (130, 141)
    sent = len(sandbox.requests_of("upload"))
    assert sent < 24
    assert len(sandbox.samples(model_id)) == sent, "requests under way are finished first"
    del shell.environ["ASTICA_LIMIT"], shell.environ["ASTICA_LIMIT_WINDOW"]
    shell.environ["ASTICA_QUARANTINE"] = "60"
    assert shell("push", "--json", "--store", many).json["uploaded"] == 24 - sent, "every outcome was known"


@pytest.mark.long
def test_under_nohup_a_push_goes_on_after_a_hang_up(shell: Shell, sandbox: RunningSandbox, many: Path) -> None:
    [(model_id, _)] = sandbox.models()
    sandbox.set_faults(latency="5-20ms")
    with ended(
        shell.start("push", "--store", many, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    ) as process:
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 3)
        process.send_signal(signal.SIGHUP)
        ran = shell.finish(process)
    assert ran.code == 0, ran.err
    assert len(sandbox.samples(model_id)) == 24


@pytest.mark.long
def test_a_request_refused_for_the_limit_has_a_known_outcome_when_the_push_is_stopped(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    [(model_id, _)] = sandbox.models()
    shell.environ["ASTICA_QUARANTINE"] = "60"
    sandbox.set_limit(8, 600.0)
    with ended(shell.start("push", "--store", many)) as process:
        wait_until(process, lambda: sum(request.outcome == "limited" for request in sandbox.log) >= 3)
        process.send_signal(signal.SIGINT)
        ran = shell.finish(process)
    assert ran.code == 130, ran.err
    done = len(sandbox.samples(model_id))
    sandbox.set_limit(90, 60)
    shell.environ["XDG_STATE_HOME"] += "-another"
    assert shell("pull-status", "--json", "--store", many).json["waiting"] == []
    resumed = shell("push", "--json", "--store", many)
    assert resumed.json["uploaded"] == 24 - done
    assert on_service(sandbox, model_id) == in_store(many)


@pytest.mark.long
def test_a_push_that_waits_for_its_quarantine_can_be_stopped(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "60"
    sandbox.set_faults("upload:3=lost-after")
    with ended(shell.start("push", "--store", store)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("upload")) == 5)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        ran = shell.finish(process)
    assert ran.code == 130, ran.err
    shell.environ["ASTICA_QUARANTINE"] = "0.4"
    assert shell("push", "--json", "--store", store).json["in_sync"] is True
    assert on_service(sandbox, model_id) == in_store(store)


@pytest.mark.long
def test_a_second_ctrl_c_stops_immediately_and_the_next_push_resolves_the_outcome(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("upload:2=slow~20s")
    with ended(shell.start("push", "--store", store)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        ran = shell.finish(process)
    assert ran.code == 130, ran.err
    assert "Traceback" not in ran.err
    assert time.monotonic() - started < 5
    sandbox.set_faults()
    assert shell("push", "--json", "--store", store).json["in_sync"] is True
    assert on_service(sandbox, model_id) == in_store(store)


def test_a_status_that_waits_for_the_service_can_be_stopped(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    sandbox.set_faults("view=5xx")
    with ended(shell.start("pull-status", "--store", pushed)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("view")) == 2)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        ran = shell.finish(process)
    assert ran.code == 130
    assert ran.out == ""


@pytest.mark.long
def test_a_second_push_of_the_same_store_is_refused_and_status_works(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "8", "ASTICA_LIMIT_WINDOW": "1"}
    with ended(shell.start("push", "--store", many)) as process:
        wait_until(process, lambda: len(sandbox.requests_of("upload")) >= 1)
        ran = shell("push", "--store", many)
        assert ran.code == 1
        assert f"process {process.pid}" in ran.err and "wait for it to end" in ran.err
        assert shell("pull-status", "--store", many).code == 0
        assert process.poll() is None
