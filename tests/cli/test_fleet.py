"""``astica-sync fleet``: processes that share a budget server see each other, whatever is written there."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync import __version__
from astica_sync.cli.service.fleet_output import FleetView, fleet_data, fleet_lines
from astica_sync.cli.watch.run_watch import _fleet
from astica_sync.config import Settings, load_settings
from astica_sync.core.fleet.announcement import Announcement, LimitSetting, ProcessTask
from astica_sync.core.fleet.fleet import fleet_of
from astica_sync.core.fleet.store_claim import StoreClaim
from astica_sync.open_session import ServerState
from astica_sync.remote.fleet.fleet_board import text_of
from astica_sync.remote.fleet.open_board import open_board
from astica_sync.remote.rate_limiter import limiter_name
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.secret import Secret
from tests.harness.budget_servers import (
    PASSWORD,
    QUOTED_PASSWORD,
    BudgetServerProcess,
    free_port,
    postgres_server,
    redis_server,
)
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, fill

MODULES = {"redis": "redis", "postgres": "psycopg"}
SIZES = (60, 80, 200)
HOSTILE = "\x1b[2Jcam\n\u202ea\u0301\u0301\u0301\u0301\u200b" + "x" * 60


@pytest.fixture(scope="module", params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[BudgetServerProcess]:
    pytest.importorskip(MODULES[request.param])
    with redis_server() if request.param == "redis" else postgres_server() as server:
        yield server


@pytest.fixture
def shared(shell: Shell, server: BudgetServerProcess, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell whose budget is on the server, which rests for a moment only."""
    monkeypatch.setattr("astica_sync.remote.shared_budget.shared_rate_limiter.UNDER_WAY_SECONDS", 0.1)
    shell.environ |= {"ASTICA_BUDGET": server.address, "ASTICA_LIMIT_WINDOW": "0.5"}
    return shell


def write(shell: Shell, who: str, text: str) -> None:
    """Writes what another machine may write for this key."""
    settings, name = where(shell)
    assert settings.budget
    with contextlib.closing(open_board(settings.budget, 5.0)) as board:
        board.write(name, who, text)


def where(shell: Shell) -> tuple[Settings, str]:
    """The shell's settings, and the name of its budget."""
    settings = load_settings(shell.environ)
    return settings, limiter_name(Secret(shell.environ["ASTICA_API_KEY"]), f"train {settings.train_url}")


def process(machine: str, doing: str = "watch", **changes: Any) -> Announcement:
    usual: dict[str, Any] = {
        "machine": machine,
        "pid": 7,
        "version": "0.2.0",
        "task": ProcessTask(doing, "bottles of the second line", 1495),
        "running": 7000.0,
        "seen": 0.0,
        "requests": 12,
        "waits": 0.0,
        "setting": LimitSetting(90, 0.5),
        "ended": False,
    }
    return Announcement(**{**usual, **changes})


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
def test_two_watchers_are_seen_while_they_run_and_after_one_has_ended(
    shared: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.environ["ASTICA_LIMIT_WINDOW"] = "60"
    other = fill(tmp_path / "deep" / "in" / "Glass", {"Jar": 1}, start=40)
    assert shared("init", other, "--create", "Jars", "--purpose", "sort").code == 0
    watchers = [shared.start("watch", folder) for folder in (pushed, other)]
    try:
        until(lambda: len(shared("fleet", "--json").json["processes"]) == 2)
        found = shared("fleet", "--json")
        assert found.err == ""
        by_store = {one["store"]: one for one in found.json["processes"]}
        assert set(by_store) == {"store", "Glass"}
        assert {one["pid"] for one in by_store.values()} == {one.pid for one in watchers}
        for one in by_store.values():
            assert (one["doing"], one["machine"], one["version"]) == ("watch", os.uname().nodename, __version__)
            assert (one["limit"], one["window"], one["own_part"]) == (90, 60.0, 0.0)
        last = {one["doing"] for one in found.json["last_seen"] if one["ended"]}
        assert {"push", "init"} <= last
        assert shared("status", "--store", other).code == 0
        for name, value in shared.environ.items():
            monkeypatch.setenv(name, value)
        assert _fleet(str(other)) == (2, 1)
        watchers[0].send_signal(signal.SIGINT)
        watchers[0].communicate(timeout=60)
        ran = shared("fleet")
        assert ran.code == 0, ran.err
        assert "1 process on 1 machine:" in ran.out
        assert re.search(r"store +watch +ended (under a second|\d+ s) ago", ran.out)
        assert re.search(r"Glass +status +ended", ran.out)
        for hidden in (shared.environ["ASTICA_API_KEY"], PASSWORD, QUOTED_PASSWORD, str(tmp_path)):
            assert hidden not in ran.out + found.out
            assert not any(hidden in text for text in records(shared))
    finally:
        for one in watchers:
            if one.poll() is None:
                one.send_signal(signal.SIGINT)
            one.communicate(timeout=60)


def records(shell: Shell) -> list[str]:
    settings, name = where(shell)
    assert settings.budget
    with contextlib.closing(open_board(settings.budget, 5.0)) as board:
        return [str(one.text) for one in board.read(name)]


def test_machines_their_limits_and_parts_are_shown(shared: Shell) -> None:
    write(shared, "a", text_of(process("line-1", "push", waits=40.0)))
    write(shared, "b", text_of(process("line-2", setting=LimitSetting(60, 0.5, 0.3))))
    write(shared, "c", text_of(process("cron", "status", ended=True)))
    ran = shared("fleet")
    assert ran.code == 0, ran.err
    assert "used: 0 in 0.5 s, by this key at " in ran.out and "this machine is set to 90 requests, others" in ran.out
    assert "2 processes on 2 machines:" in ran.out
    assert re.search(r"line-1 .* 1495 +push, waits (39|40) s +117 min|1 h 57 min", ran.out)
    assert "line-2 is set to 60 in 0.5 s, this machine to 90 in 0.5 s: the lower limit" in ran.out
    assert "the machines' own parts and budget_pool are 130% together" in ran.out
    assert re.search(r"Last seen:\n  cron .* status +ended", ran.out)
    data = shared("fleet", "--json").json
    assert data["other_limits"] == ["line-2"]
    assert [one["machine"] for one in data["processes"]] == ["line-1", "line-2"]
    assert [one["machine"] for one in data["last_seen"]] == ["cron"]
    assert data["budget"]["limit"] == 90 and data["budget"]["rest"] == 0


@pytest.mark.long
@pytest.mark.parametrize("columns", SIZES)
def test_no_line_is_wider_than_the_terminal(shared: Shell, columns: int) -> None:
    for number in range(3):
        write(shared, f"a{number}", text_of(process(f"bottling-line-{number}", "push", waits=40.0)))
    write(shared, "wide", text_of(process("\u6a5f" * 40, setting=LimitSetting(90, 0.5, 0.1))))
    write(shared, "gone", text_of(process("a-machine-of-the-last-week", "removed-sample", ended=True)))
    with Terminal(shared, "fleet", columns=columns, lines=60) as terminal:
        assert terminal.end() == 0
        rows = terminal.rows
    start = rows.index("4 processes on 4 machines:") + 1
    table = rows[start : start + 5]
    assert rows[start + 5] == "", "no line is broken"
    assert [row.split()[0] for row in table[:4]] == ["machine", *(f"bottling-line-{number}" for number in range(3))]
    assert ("version" in table[0]) is (columns == 200)
    assert all("push" in row and "12" in row for row in table[1:4])


def test_what_another_machine_writes_reaches_the_terminal_as_text(shared: Shell) -> None:
    good = json.loads(text_of(process("line-1")))
    hostile: list[object] = [
        {**good, "machine": HOSTILE, "doing": HOSTILE, "store": HOSTILE, "version": HOSTILE[:60]},
        {**good, "machine": "numbers", "running": 1e308, "requests": -5, "waits": "x", "limit": 10**400, "window": 0},
        {**good, "machine": "more", "model": True, "pid": [1], "share": 7, "running": None},
        {"machine": 7},
        [[[]]],
        None,
    ]
    for number, one in enumerate(hostile):
        write(shared, f"h{number}", json.dumps(one))
    for ran in (shared("fleet"), shared("fleet", "--json")):
        assert ran.code == 0, ran.err
        assert all(line.isprintable() for line in ran.out.splitlines()), ran.out
        assert len(ran.out) < 6000
    found = {one["machine"]: one for one in ran.json["processes"]}
    assert len(found) == 3
    assert (found["numbers"]["requests"], found["numbers"]["limit"]) == (0, None)
    assert (found["more"]["model"], found["more"]["pid"], found["more"]["own_part"]) == (None, None, 0.0)


def test_a_server_that_is_away_is_named_without_its_password(shared: Shell, server: BudgetServerProcess) -> None:
    shared.environ["ASTICA_BUDGET"] = server.address.replace(f":{server.port}", f":{free_port()}")
    for arguments in (["fleet"], ["fleet", "--json"]):
        ran = shared(*arguments)
        assert ran.code == 1
        assert "does not answer" in ran.err and ran.out == ""
        assert PASSWORD not in ran.err and QUOTED_PASSWORD not in ran.err
    shared.environ["ASTICA_BUDGET"] = server.address.replace(QUOTED_PASSWORD, "wrong-word")
    ran = shared("fleet")
    assert ran.code == 1
    assert "it refused the user or the password" in ran.err and "wrong-word" not in ran.err


def test_the_screen_in_the_manual_is_what_is_printed() -> None:
    def on(machine: str, task: ProcessTask, **changes: Any) -> Announcement:
        usual = {"task": task, "seen": 4.0, "setting": LimitSetting(90, 60.0)}
        return process(machine, **{**usual, **changes})

    watching = ProcessTask("watch", "Bottles", 1495)
    fleet = fleet_of(
        [
            on("lab-desk", ProcessTask("push", "Cans", 1502), running=40.0, requests=31),
            on("line-1", watching),
            on("line-2", watching, waits=60.0, setting=LimitSetting(60, 60.0)),
            on("line-3", watching, seen=90_000.0),
            on("cron", ProcessTask("status", "Bottles", 1495), seen=600.0, ended=True),
        ]
    )
    budget = ServerState("redis://…@budget.example:6379/0", 56, 90)
    printed = fleet_lines(FleetView(fleet, budget, LimitSetting(90, 60.0), 1.0, "train.example"), None)
    page = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text("utf-8")
    [shown] = re.findall(r"```text\n(request budget on .*?)\n```", page, re.DOTALL)
    assert shown.splitlines() == printed


def test_a_rest_of_all_machines_has_its_end() -> None:
    budget = ServerState("redis://budget.example", 90, 90, rest=200.0)
    printed = fleet_lines(FleetView(fleet_of([]), budget, LimitSetting(90, 60.0), 1.0, "train.example"), 80)
    assert re.fullmatch(r"rests until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: the service has refused .*", printed[2])


def test_without_a_budget_server_one_sentence_says_so(shell: Shell) -> None:
    ran = shell("fleet")
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.splitlines() == [
        "astica-sync: no budget server is set, so this machine counts its requests alone and sees no other",
        '  The page "One limit for several machines" of the manual has the setting.',
    ]


@pytest.mark.long
def test_nothing_of_it_is_loaded_without_a_budget_server(shell: Shell) -> None:
    program = (
        "import sys; from astica_sync.cli.main import run; code = run(['models']);"
        " print(code, [name for name in sys.modules if 'fleet' in name])"
    )
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **shell.environ}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1] == "0 []", ran.stderr


@pytest.mark.long
def test_a_push_goes_on_with_its_own_part_where_the_server_is_away(
    shell: Shell, store: Path, sandbox: RunningSandbox
) -> None:
    pytest.importorskip("redis")
    shell.environ |= {
        "ASTICA_BUDGET": f"redis://:{QUOTED_PASSWORD}@127.0.0.1:{free_port()}/0",
        "ASTICA_BUDGET_SHARE": "50%",
        "ASTICA_BUDGET_POOL": "50%",
    }
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert "Uploaded 5" in ran.out
    assert PASSWORD not in ran.err and QUOTED_PASSWORD not in ran.err


@pytest.mark.long
def test_a_push_ends_as_before_where_nothing_can_be_announced(
    shared: Shell, store: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("no board")

    monkeypatch.setattr("astica_sync.remote.fleet.announce_requests.open_board", fail)
    ran = shared("push", "--store", store)
    assert ran.code == 0, ran.err
    assert "no board" not in ran.err


def test_any_number_of_stores_and_contradictions_is_shown_in_a_few_lines() -> None:
    # What anyone may write who can write to the server, as many records as it keeps.
    titles = tuple(f"class {number}" for number in range(100))
    claims = [StoreClaim(f"id{number:03}", "cam", f"store {number:03}", 7, titles, 9) for number in range(200)]
    view = FleetView(
        fleet_of([], claims), ServerState("budget.example", 0, 90), LimitSetting(90, 60.0), 1.0, "localhost"
    )
    lines = fleet_lines(view, 80)
    assert len(lines) < 80 and max(map(len, lines)) < 400
    assert "… and 150 more (--json lists all)" in lines
    assert "… and 19,890 more (--json lists the first 100)" in lines
    assert any("and 95 more and 9 more classes, not compared" in line for line in fleet_lines(view, None))
    data = fleet_data(view)
    assert (len(data["stores"]), len(data["contradictions"]), data["more_contradictions"]) == (200, 100, 19_800)
