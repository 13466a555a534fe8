"""A pause holds for ``watch --once`` as well, and each status shows it."""

import json
import os
import re
from pathlib import Path

import pytest

from astica_sync.cli.render.messages import name_store, set_named_store
from astica_sync.cli.render.watch_output import JsonWatchOutput, WatchOutput
from astica_sync.cli.watch import pause_file
from astica_sync.local.layout import Layout
from astica_sync.sandbox.embedded import RunningSandbox
from tests.fixtures_cli import push
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import wait_until

DATE = r"\d{4}-\d\d-\d\d \d\d:\d\d"


@pytest.fixture
def paused(shell: Shell, sandbox: RunningSandbox, store: Path) -> Path:
    """A store that was pushed and then paused; of one image the file was removed since."""
    push(shell, store, sandbox)
    assert shell("watch", "pause", "--store", store).code == 0
    next((store / "Can").iterdir()).unlink()
    shell.environ["COLUMNS"] = "300"
    return store


def test_once_sends_nothing_while_the_store_is_paused(shell: Shell, sandbox: RunningSandbox, paused: Path) -> None:
    ran = shell("watch", "--once", paused)
    assert ran.code == 0, ran.err
    resume = f"astica-sync watch resume --store {re.escape(str(paused))}"
    assert re.search(rf"not pushed, paused by the user since {DATE}; to resume: {resume}$", ran.out, re.M), ran.out
    assert sandbox.log == []
    as_json = shell("watch", "--once", "--json", paused).json
    assert as_json.keys() == {"store", "paused_at"} and as_json["paused_at"] > 1e9
    assert sandbox.log == []
    assert shell("watch", "resume", "--store", paused).code == 0
    assert shell("watch", "--once", "--json", paused).json["removed"] == 1


@pytest.mark.long
def test_once_pushes_the_stores_that_are_not_paused(
    shell: Shell, sandbox: RunningSandbox, paused: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    draw(other / "Red" / "1.png", 300)
    assert shell("init", other, "--model", str(sandbox.add_model("Others"))).code == 0
    ran = shell("watch", "--once", "--json", paused, other)
    assert ran.code == 0, ran.err
    first, second = map(json.loads, ran.out.splitlines())
    assert "uploaded" not in first and second["uploaded"] == 1


def test_a_paused_store_is_not_opened(shell: Shell, paused: Path) -> None:
    del shell.environ["ASTICA_API_KEY"]
    assert shell("watch", "--once", paused).code == 0


@pytest.mark.parametrize(("checks", "code"), [(1, 0), (2, 130)])
def test_a_pause_that_comes_before_the_first_request_is_honoured(
    shell: Shell, sandbox: RunningSandbox, paused: Path, monkeypatch: pytest.MonkeyPatch, checks: int, code: int
) -> None:
    """It comes after so many checks for it."""
    pause_file.resume_store(Layout(paused))
    real, done = os.path.lexists, []

    def pauses_later(path: str) -> bool:
        if Path(path).name == "watch-paused":
            done.append(path)
            if len(done) > checks:
                Path(path).touch()
        return real(path)

    monkeypatch.setattr(pause_file.os.path, "lexists", pauses_later)
    ran = shell("watch", "--once", paused)
    assert ran.code == code and "not pushed, paused by the user" in ran.out
    assert not sandbox.requests_of("sample_remove")


def test_a_pause_ends_the_wait_of_once_for_the_request_limit(
    shell: Shell, sandbox: RunningSandbox, paused: Path
) -> None:
    pause_file.resume_store(Layout(paused))
    shell.environ |= {"ASTICA_LIMIT": "1", "ASTICA_LIMIT_WINDOW": "3600", "XDG_STATE_HOME": f"{shell.home}/another"}
    with shell.start("watch", "--once", paused) as once:
        wait_until(lambda: len(sandbox.log) == 1)
        pause_file.pause_store(Layout(paused))
        out, _ = once.communicate(timeout=30)
    assert once.returncode == 130 and "not pushed, paused by the user" in out
    assert len(sandbox.log) == 1


@pytest.mark.parametrize("has_run", [False, True])
def test_each_status_shows_a_pause_and_since_when(shell: Shell, paused: Path, has_run: bool) -> None:
    if has_run:
        (paused / ".astica-sync" / "watch.json").write_text("{}")
    os.utime(paused / ".astica-sync" / "watch-paused", (1_700_000_000, 1_700_000_000))
    since = re.escape(pause_file.pause_text(1_700_000_000))
    assert re.search(rf"^Watcher  not running; {since}", shell("status", "--offline", "--store", paused).out, re.M)
    shown = shell("watch", "status", "--store", paused)
    assert re.search(rf"^  {since}", shown.out, re.M), shown.out
    data = shell("watch", "status", "--json", "--store", paused).json
    assert data["paused"] is True and data["paused_at"] == 1_700_000_000
    # Another order to pause changes nothing.
    assert shell("watch", "pause", "--store", paused).code == 0
    assert shell("watch", "status", "--json", "--store", paused).json["paused_at"] == 1_700_000_000
    assert shell("watch", "resume", "--store", paused).code == 0
    assert shell("watch", "status", "--json", "--store", paused).json["paused_at"] is None
    assert "paused" not in shell("status", "--offline", "--store", paused).out


def test_the_commands_of_once_find_the_store(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    shell.environ["COLUMNS"] = "300"
    (store / "Can" / "new.psd").write_bytes(b"8BPS" + bytes(64))
    ran = shell("watch", "--once", store)
    assert f"for the reason: astica-sync status --store {store}" in ran.out
    (store / "Can").rename(store.with_name("away"))
    ran = shell("watch", "--once", store)
    assert ran.code == 4 and f"astica-sync push --yes --store {store}" in ran.out


def test_the_commands_of_events_find_their_store(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "paused by the user; to resume: astica-sync watch resume"
    set_named_store(None)
    for output in (WatchOutput(), JsonWatchOutput()):
        monkeypatch.chdir("/")
        output.event(str(tmp_path), "paused", text)
        assert f"astica-sync watch resume --store {tmp_path}" in capsys.readouterr().out.replace("\n", " ")
        monkeypatch.chdir(tmp_path)
        output.event(str(tmp_path), "paused", text)
        assert "--store" not in capsys.readouterr().out


def test_the_watcher_takes_its_store_as_an_argument() -> None:
    assert name_store("not running: astica-sync watch", "/a") == "not running: astica-sync watch /a"
    assert name_store("astica-sync watch --once", "/a") == "astica-sync watch --once /a"
    assert name_store("astica-sync watch status", "/a") == "astica-sync watch status --store /a"
