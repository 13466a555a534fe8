"""The ``watch`` command and its sub-commands, with a real watcher process."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.cli.watch.run_watch import _fingerprint
from astica_sync.local.layout import Layout
from astica_sync.open_session import trust_file
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.system.processes.suspended_process import PROC, is_suspended
from tests.harness.shell import Shell, draw, fill, in_store
from tests.harness.watch_process import Start, WatchProcess, in_sync, wait_until

# Seconds of real processes or trainings for each test.
pytestmark = pytest.mark.long


@pytest.fixture
def model_id(store: Path, sandbox: RunningSandbox) -> int:
    return sandbox.models()[0][0]


@pytest.fixture
def running(watch: Start, sandbox: RunningSandbox, store: Path, model_id: int) -> WatchProcess:
    """A watcher whose service is in sync with the store; the sandbox's log is empty."""
    watching = watch(store)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    wait_until(lambda: state(store)["agreed_at"] is not None)
    sandbox.clear_log()
    return watching


def holds(sandbox: RunningSandbox, model_id: int, image: bytes) -> bool:
    return any(sample.image == image for sample in sandbox.samples(model_id))


def state(store: Path) -> dict[str, object]:
    file = store / ".astica-sync" / "watch.json"
    return json.loads(file.read_bytes()) if file.exists() else {"state": None, "agreed_at": None, "refusals": []}


def test_a_new_file_costs_one_request_a_rename_or_a_deleted_new_file_none(
    running: WatchProcess, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    draw(store / "Can" / "new.png", 500)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert [request.call for request in sandbox.log] == ["upload"]
    (store / "Can" / "new.png").rename(store / "Can" / "other name.png")
    draw(store / "Can" / "came.png", 501).unlink()
    draw(store / "Can" / "last.png", 502)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert [request.call for request in sandbox.log] == ["upload", "upload"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell that a file is closed")
def test_an_open_file_is_not_uploaded_even_if_it_is_a_whole_image(
    running: WatchProcess, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    image = draw(tmp_path / "aside.png", 510).read_bytes()
    with (store / "Can" / "open.png").open("wb") as file:
        file.write(image)
        file.flush()
        # Each of these causes a scan of the folder after the open file was written.
        for number in range(4):
            other = draw(store / "Can" / f"other {number}.png", 520 + number).read_bytes()
            wait_until(partial(holds, sandbox, model_id, other))
        file.write(b"and something behind the picture")
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert len(sandbox.requests_of("upload")) == 5
    assert not sandbox.requests_of("sample_remove")


@pytest.mark.long
def test_a_push_during_a_backlog_sends_nothing_twice(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    fill(store, {"Old": 150}, start=100)
    sandbox.set_limit(20, 1.0)
    shell.environ |= {"ASTICA_LIMIT": "20", "ASTICA_LIMIT_WINDOW": "1"}
    watch(store)
    wait_until(lambda: len(sandbox.requests_of("upload")) >= 10)
    ran = shell("push", "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["uploaded"] > 0, "the push ran between two batches"
    draw(store / "Can" / "new.png", 900)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    times = Counter(request.sent["uid"] for request in sandbox.requests_of("upload") if request.done)
    assert len(times) == 156 and set(times.values()) == {1}


def test_a_watcher_that_waits_for_the_request_limit_lets_a_push_go_first(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    fill(store, {"Old": 20}, start=100)
    shell.environ |= {"ASTICA_LIMIT": "5", "ASTICA_LIMIT_WINDOW": "3600"}
    watching = watch(store)
    wait_until(lambda: len(sandbox.log) >= 5)
    shell.environ |= {"ASTICA_LIMIT": "100000"}
    ran = shell("push", "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["in_sync"] is True
    wait_until(lambda: watching.reported("working", "another command waits"))
    assert not any("interrupted" in event["text"] for event in watching.events)
    assert watching.stop() == 130


def test_a_change_made_elsewhere_is_found_by_the_next_round(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    (store / "astica-sync.toml").write_text("observe_every = 5\n")
    watch(store)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    sandbox.remove_sample(sandbox.samples(model_id)[0].sample_id)
    wait_until(lambda: in_sync(sandbox, model_id, store))


@pytest.mark.long
def test_a_long_backlog_does_not_delay_a_new_file(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    fill(store, {"Old": 120}, start=100)
    sandbox.set_limit(20, 1.0)
    shell.environ |= {"ASTICA_LIMIT": "20", "ASTICA_LIMIT_WINDOW": "1"}
    watch(store)
    wait_until(lambda: len(sandbox.requests_of("upload")) >= 10)
    new = draw(store / "Can" / "new.png", 900).read_bytes()
    wait_until(lambda: any(sample.image == new for sample in sandbox.samples(model_id)), every=0.1)
    assert len(sandbox.samples(model_id)) < 125
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert sandbox.max_in_any_window() <= 20


@pytest.mark.long
def test_the_guard_stops_removals_only_until_a_push_confirms_them(
    running: WatchProcess, shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    shutil.rmtree(store / "Can")
    draw(store / "Bottle" / "new.png", 600)
    wait_until(lambda: running.reported("refused", "is missing or empty in the store"))
    wait_until(lambda: len(sandbox.samples(model_id)) == 6)
    assert not sandbox.requests_of("sample_remove") and not sandbox.requests_of("class_remove")
    wait_until(lambda: state(store)["refusals"])
    assert shell("push", "--yes", "--store", store).code == 0
    assert in_sync(sandbox, model_id, store)
    draw(store / "Bottle" / "newer.png", 601)
    wait_until(lambda: in_sync(sandbox, model_id, store))


@pytest.mark.parametrize("change", ["a new image", "a deleted image"])
def test_a_change_that_another_command_has_scanned_first_is_seen_at_once(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, change: str
) -> None:
    """The watcher's own scan finds nothing new in the index then."""
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 3600\n")
    running = watch(store)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    wait_until(lambda: state(store)["agreed_at"] is not None)
    running.process.send_signal(signal.SIGSTOP)
    if change == "a new image":
        draw(store / "Can" / "new.png", 500)
    else:
        (store / "Can" / "000.png").unlink()
    assert shell("status", "--store", store).code == 0
    assert not in_sync(sandbox, model_id, store)
    running.process.send_signal(signal.SIGCONT)
    wait_until(lambda: in_sync(sandbox, model_id, store))


def test_a_status_beside_the_watcher_costs_it_no_request(
    shell: Shell, running: WatchProcess, sandbox: RunningSandbox, store: Path
) -> None:
    running.process.send_signal(signal.SIGSTOP)
    os.utime(store / "Can" / "000.png", ns=(10**18, 10**18))
    assert shell("status", "--store", store).code == 0
    sandbox.clear_log()
    running.process.send_signal(signal.SIGCONT)
    assert shell("status", "--store", store).code == 0
    # The watcher has answered the second one.
    assert len(sandbox.log) == 1


@pytest.mark.long
def test_a_restore_that_moves_images_back_ends_the_question_about_them(shell: Shell, watch: Start, store: Path) -> None:
    """The restore scans the store, so the watcher may find nothing new in the index."""
    for number in range(11):
        draw(store / "Can" / f"more-{number}.png", 610 + number)
    assert shell("push", "--store", store).code == 0
    running = watch(store)
    wait_until(lambda: running.reported("watching"))
    for file in sorted((store / "Can").glob("more-*.png")):
        file.rename(store / "Bottle" / file.name)
    wait_until(lambda: any("'Can'" in str(refusal) for refusal in state(store)["refusals"]))
    wait_until(lambda: sum("Bottle/more-" in one["text"] for one in running.events) == 11)
    moved = shell("backup", "restore", "--since", "1h", "--move-back", "--store", store)
    assert "11 files moved back" in moved.out, moved
    # Much sooner than the next observation, which would end it as well.
    wait_until(lambda: not any("'Can'" in str(refusal) for refusal in state(store)["refusals"]), seconds=15)


@pytest.mark.long
def test_it_rests_while_the_service_fails_and_continues_by_itself(
    running: WatchProcess, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("upload=5xx", "view=5xx")
    draw(store / "Can" / "new.png", 700)
    wait_until(lambda: running.reported("resting"))
    wait_until(lambda: state(store)["next_try_at"] is not None)
    sandbox.set_faults()
    wait_until(lambda: in_sync(sandbox, model_id, store))


def test_a_revoked_key_stops_all_requests_until_the_key_changes(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("not-the-key")
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(key)
    watching = watch(store)
    wait_until(lambda: watching.reported("halted", f"Check the key in {key};"))
    wait_until(lambda: f"Check the key in {key};" in state(store)["why"])
    asked = len(sandbox.log)
    found = shell("doctor", "--store", store, "--json").json["findings"]
    assert [one for one in found if f"refused the API key from the file {key}, " in one["text"]], found
    draw(store / "Can" / "new.png", 800)
    key.write_text(sandbox.key)
    wait_until(lambda: watching.reported("starting", "settings changed"))
    assert len(sandbox.log) <= asked + 1
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert "not-the-key" not in watching.out.read_text() + watching.err.read_text()


def test_a_key_file_that_is_made_private_ends_the_halt(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(sandbox.key)
    key.chmod(0o644)
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(key)
    watching = watch(store)
    wait_until(lambda: watching.reported("halted", f"Run: chmod 600 {key}"))
    key.chmod(0o600)
    wait_until(lambda: in_sync(sandbox, model_id, store))


def test_the_watcher_sees_each_change_of_who_may_use_what_it_needs(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the mode alone, which changes neither the content of a file nor its time."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, shell.environ[name])
    key = tmp_path / "keys" / "key"
    key.parent.mkdir()
    key.write_text("k")
    monkeypatch.setenv("ASTICA_API_KEY_FILE", str(key))
    settings = store / "astica-sync.toml"
    settings.write_text("settle = 1\n")
    user = shell.home / "config" / "astica-sync"
    user.mkdir(parents=True, exist_ok=True)
    (user / "config.toml").write_text("settle = 1\n")
    places = [key, key.parent, settings, user / "config.toml", user, store, store / ".astica-sync"]
    fingerprint = _fingerprint(Layout(store))
    for place in [*places, shell.home / "state" / "astica-sync"]:
        before, mode = fingerprint(), place.stat().st_mode
        assert before == fingerprint()
        place.chmod(mode ^ 0o040)
        changed = fingerprint()
        assert changed != before, place
        place.chmod(mode)
        assert fingerprint() != changed, place


@pytest.mark.long
def test_a_missing_store_is_held_and_watched_again_when_it_is_back(
    running: WatchProcess, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    away = store.with_name("away")
    store.rename(away)
    wait_until(lambda: running.reported("held"))
    draw(away / "Can" / "meanwhile.png", 810)
    away.rename(store)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert not sandbox.requests_of("sample_remove")
    assert not away.exists()


def test_a_pause_lasts_until_resume_and_status_shows_it(
    running: WatchProcess, shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("watch", "pause", "--store", store).code == 0
    wait_until(lambda: running.reported("paused"))
    draw(store / "Can" / "new.png", 820)
    ran = shell("watch", "status", "--json", "--store", store)
    assert ran.json["alive"] is True and ran.json["paused"] is True and ran.json["state"] == "paused"
    assert f"process {running.process.pid}" in shell("watch", "status", "--store", store).out
    assert sandbox.log == []
    assert shell("watch", "resume", "--store", store).code == 0
    wait_until(lambda: in_sync(sandbox, model_id, store))


def test_a_store_has_one_watcher_and_a_killed_one_leaves_nothing_to_repair(
    running: WatchProcess, shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    second = watch(store)
    assert second.process.wait(20) == 1
    assert "is being watched by another process" in second.err.read_text()
    running.kill()
    ran = shell("watch", "status", "--store", store)
    assert "no watcher is running" in ran.out and "ended unexpectedly" in ran.out
    third = watch(store)
    draw(store / "Can" / "new.png", 830)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert third.stop(signal.SIGINT) == 130
    assert shell("watch", "status", "--json", "--store", store).json["alive"] is False


@pytest.mark.long
def test_a_stop_does_not_wait_for_a_request_that_takes_minutes(
    running: WatchProcess, sandbox: RunningSandbox, store: Path, model_id: int, watch: Start
) -> None:
    sandbox.set_faults("upload=slow~60s")
    draw(store / "Can" / "new.png", 840)
    wait_until(lambda: bool(sandbox.requests_of("upload")))
    began = time.monotonic()
    assert running.stop() == 130
    assert time.monotonic() - began < 15
    sandbox.set_faults()
    watch(store)
    wait_until(lambda: in_sync(sandbox, model_id, store))


def test_sighup_reads_the_settings_again(running: WatchProcess, sandbox: RunningSandbox, store: Path) -> None:
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: running.reported("starting", "SIGHUP received"))
    wait_until(lambda: bool(sandbox.requests_of("view")))


def test_several_stores_are_watched_by_one_process(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    other = fill(tmp_path / "other", {"Red": 3}, start=300)
    other_id = sandbox.add_model("Others")
    assert shell("init", other, "--model", str(other_id)).code == 0
    watching = watch(store, other, flags=["--metrics", "0"])
    wait_until(lambda: in_sync(sandbox, model_id, store) and in_sync(sandbox, other_id, other))
    draw(other / "Red" / "new.png", 850)
    wait_until(lambda: in_sync(sandbox, other_id, other))
    [port] = [event["port"] for event in watching.events if "port" in event]

    def page() -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()

    wait_until(lambda: f'astica_sync_uploads_total{{store="{other}"}} 4.0' in page())
    wait_until(lambda: f'astica_sync_state{{state="idle",store="{store}"}} 1.0' in page())


@pytest.mark.long
def test_a_long_backlog_of_one_store_does_not_delay_another(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    sandbox.set_limit(20, 1.0)
    shell.environ |= {"ASTICA_LIMIT": "20", "ASTICA_LIMIT_WINDOW": "1"}
    fill(store, {"Old": 400}, start=1000)
    other = fill(tmp_path / "other", {"Red": 100}, start=2000)
    other_id = sandbox.add_model("Others")
    assert shell("init", other, "--model", str(other_id)).code == 0
    watch(store, other)
    wait_until(lambda: len(sandbox.samples(other_id)) == 100, 120)
    of_first = len(sandbox.samples(model_id))
    assert 80 <= of_first <= 280, "the two took turns"
    assert sandbox.max_in_any_window() <= 20


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="notify-send is of Linux desktops")
def test_a_desktop_notification_is_shown_when_a_decision_is_needed(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    shown = tmp_path / "shown"
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {shown}\n')
    program.chmod(0o755)
    shell.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    watching = watch(store, flags=["--notify"])
    wait_until(lambda: in_sync(sandbox, model_id, store))
    draw(store / "can" / "a slip.png", 880)
    wait_until(lambda: shown.exists() and "'can' is similar to 'Can'" in shown.read_text())
    shutil.rmtree(store / "Bottle")
    wait_until(lambda: "nothing is removed" in shown.read_text())
    sandbox.remove_model(model_id)
    draw(store / "Can" / "new.png", 881)
    wait_until(lambda: watching.reported("halted"))
    wait_until(lambda: len(shown.read_text().splitlines()) == 3)


def test_once_waits_until_no_file_is_written_and_ends_like_a_push(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    shell.environ["ASTICA_LIMIT"] = "100000"
    ran = shell("watch", "--once", "--json", str(store))
    assert ran.code == 0, ran.err
    assert ran.json["in_sync"] is True and ran.json["uploaded"] == 5
    image = draw(store / "slow.png", 860).read_bytes()
    (store / "slow.png").unlink()
    program = (
        "import sys, time; f = open(sys.argv[1], 'wb')\n"
        "for byte in bytes.fromhex(sys.argv[2]): f.write(bytes([byte])); f.flush(); time.sleep(0.01)"
    )
    with subprocess.Popen(["python3", "-c", program, str(store / "Can" / "slow.png"), image.hex()]) as writer:
        wait_until((store / "Can" / "slow.png").exists, every=0.005)
        ran = shell("watch", "--once", "--json", str(store))
        assert writer.wait(20) == 0
    assert ran.code == 0, ran.out
    assert in_store(store) and in_sync(sandbox, model_id, store)


def test_once_prints_nothing_with_quiet_where_nothing_failed(shell: Shell, store: Path, model_id: int) -> None:
    shell.environ["ASTICA_LIMIT"] = "100000"
    ran = shell("watch", "--once", "-q", str(store))
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert shell("watch", "pause", str(store)).code == 0
    ran = shell("watch", "--once", "-q", str(store))
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert "not pushed, paused" in shell("watch", "--once", str(store)).out
    assert shell("watch", "resume", str(store)).code == 0
    shutil.rmtree(store / "Can")
    shutil.rmtree(store / "Bottle")
    ran = shell("watch", "--once", "-q", str(store))
    assert ran.code == 4 and "Nothing was removed" in ran.out + ran.err


def test_an_image_that_is_held_out_as_well_is_reported_once(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    fill(store, {"Can": 6}, 300)
    ran = shell("split", "--to", tmp_path / "held-out", "--share", "30%", "--yes", "--store", store)
    assert ran.code == 0, ran.err
    held = next((tmp_path / "held-out" / "Can").iterdir())
    watching = watch(store)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    shutil.copy(held, store / "Can" / "again.png")
    wait_until(lambda: watching.reported("problem", "Can/again.png is held out as well"))
    wait_until(lambda: state(store)["held_out"] == 1)
    assert "1 image of the store is held out as well" in shell("watch", "status", str(store)).out
    draw(store / "Can" / "another.png", 801)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert watching.out.read_text().count("is held out as well") == 1
    (store / "Can" / "again.png").unlink()
    wait_until(lambda: state(store)["held_out"] == 0)


def test_a_store_that_follows_a_version_is_held(running: WatchProcess, store: Path, sandbox: RunningSandbox) -> None:
    from astica_sync.local.db.journal import Journal

    with Journal(store / ".astica-sync" / "journal.db", "another") as journal:
        journal.set_meta("follows", ["1001_20001", "0" * 32])
    draw(store / "Can" / "new.png", 870)
    wait_until(lambda: running.reported("held", "version 1001_20001"))
    assert not sandbox.requests_of("upload")


def test_the_help_of_watch_names_its_commands(shell: Shell) -> None:
    ran = shell("watch", "--help")
    assert ran.code == 0
    for word in ("status", "pause", "resume", "install", "uninstall", "--once", "[STORES]"):
        assert word in ran.out
    assert shell("watch", "--no-such").code == 2


def test_a_watcher_goes_by_a_changed_recipe_at_once(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    Image.new("RGB", (90, 60), (9, 99, 199)).save(store / "Can" / "scan.tiff")

    def sides() -> set[tuple[int, int]]:
        return {Image.open(io.BytesIO(sample.image)).size for sample in sandbox.samples(model_id)}

    watch(store)
    wait_until(lambda: (90, 60) in sides())
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 20\nmax_side = 45\n")
    wait_until(lambda: (45, 30) in sides() and (90, 60) not in sides())
    Image.new("RGB", (60, 90), (9, 199, 99)).save(store / "Can" / "new.tiff")
    wait_until(lambda: (30, 45) in sides())
    assert (60, 90) not in sides()


def test_the_store_of_pause_resume_and_status_is_named_as_for_watch(shell: Shell, store: Path) -> None:
    assert shell("watch", "pause", store).code == 0
    assert "paused" in shell("watch", "status", store).out
    assert shell("watch", "status", store, "--json").json["paused"] is True
    assert shell("watch", "resume", store).code == 0
    assert shell("watch", "status", "--json", "--store", store).json["paused"] is False
    twice = shell("watch", "pause", store, "--store", store)
    assert twice.code == 2 and "Name the store once" in twice.err


def test_another_store_that_is_made_is_no_change_for_the_watcher(
    shell: Shell, store: Path, sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, shell.environ[name])
    fingerprint = _fingerprint(Layout(store))
    before, trusted = fingerprint(), trust_file()
    draw(tmp_path / "other" / "Can" / "1.png", 1)
    written = trusted.stat().st_mtime_ns
    assert shell("init", tmp_path / "other", "--model", str(sandbox.add_model("Other"))).code == 0
    assert trusted.stat().st_mtime_ns != written, "it has the record of the other store as well"
    assert fingerprint() == before
    assert shell("trust", "--revoke", "--store", store).code == 0
    assert fingerprint() != before


@pytest.mark.skipif(not PROC.is_dir(), reason="/proc says that a process is stopped")
def test_a_watcher_that_a_signal_has_stopped_is_shown_as_such(running: WatchProcess, shell: Shell, store: Path) -> None:
    pid = running.process.pid
    wait_until(lambda: state(store)["state"] == "idle")
    assert shell("watch", "status", "--exit-code", "--store", store).code == 0
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_suspended(pid, Layout(store).watch_lock))
    ran = shell("watch", "status", "--exit-code", "--store", store)
    shown = " ".join(ran.out.split())
    assert ran.code == 1
    assert "does not answer: a signal has stopped it (SIGSTOP or Ctrl-Z)" in shown and f"kill -CONT {pid}" in shown
    assert "before it was stopped: idle since " in shown
    assert shell("watch", "status", "--json", "--store", store).json["suspended"] is True
    assert f"kill -CONT {pid}" in " ".join(shell("status", "--offline", "--store", store).out.split())
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not is_suspended(pid, Layout(store).watch_lock))
    assert shell("watch", "status", "--json", "--store", store).json["suspended"] is False
    assert not is_suspended(os.getpid(), Layout(store).watch_lock), "it has not opened the lock"
