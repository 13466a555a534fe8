"""Failures of the machine, of the disk and of the service, with a real watcher process that continues afterwards."""

import contextlib
import json
import os
import resource
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from astica_sync.local.layout import Layout
from astica_sync.local.lock import is_watched
from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.mount_namespace import Ground
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import Start, WatchProcess, in_sync, wait_until

# Each of them takes seconds of real time: disks that fill up, services that are down, processes that are stopped.
pytestmark = pytest.mark.long

QUEUE_LIMIT = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def model_id(store: Path, sandbox: RunningSandbox) -> int:
    return sandbox.models()[0][0]


def report(store: Path) -> dict[str, object]:
    file = store / ".astica-sync" / "watch.json"
    return json.loads(file.read_bytes()) if file.exists() else {"state": None, "agreed_at": None}


def when_in_sync(watching: WatchProcess, sandbox: RunningSandbox, model_id: int, store: Path) -> WatchProcess:
    wait_until(lambda: in_sync(sandbox, model_id, store))
    wait_until(lambda: report(store)["agreed_at"] is not None)
    sandbox.clear_log()
    return watching


def must_have_removed_nothing(sandbox: RunningSandbox) -> None:
    assert not sandbox.requests_of("sample_remove") and not sandbox.requests_of("class_remove")


def test_an_overflow_of_the_event_queue_loses_no_file_and_is_reported_once(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    if not QUEUE_LIMIT.exists():
        pytest.skip("only Linux has such a queue")
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 86400\n")
    watching = when_in_sync(watch(store), sandbox, model_id, store)
    watching.process.send_signal(signal.SIGSTOP)
    # Two files in turn, since the system drops an event that repeats the last one.
    names = [store / "Can" / ".one", store / "Can" / ".two"]
    for number in range(int(QUEUE_LIMIT.read_text()) + 2000):
        os.close(os.open(names[number % 2], os.O_CREAT | os.O_WRONLY))
    draw(store / "Can" / "behind the queue.png", 2000)
    draw(store / "Steel" / "in a new folder.png", 2001)
    watching.process.send_signal(signal.SIGCONT)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    draw(store / "Steel" / "event received.png", 2002)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert report(store)["polls"] == ""
    wait_until(lambda: any("event queue was full" in event["text"] for event in watching.events))
    assert len([event for event in watching.events if "event queue was full" in event["text"]]) == 1


def test_a_file_whose_event_was_lost_in_a_full_queue_is_found(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    # Rounds are so rare that only the overflow can cause the scan.
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 3600\n")
    watching = watch(store)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    watching.process.send_signal(signal.SIGSTOP)
    litter = store / "Can" / "litter.txt"
    for _ in range(int(QUEUE_LIMIT.read_text()) + 1000 if QUEUE_LIMIT.exists() else 20_000):
        # Events of creating, closing and deleting the file.
        litter.touch()
        litter.unlink()
    draw(store / "Bottle" / "unheard.png", 90)
    watching.process.send_signal(signal.SIGCONT)
    wait_until(lambda: in_sync(sandbox, model_id, store))


def test_a_process_stopped_during_uploads_sends_nothing_twice(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults(latency="30-60ms")
    for number in range(60):
        draw(store / "Old" / f"{number}.png", 2100 + number)
    watching = watch(store)
    for done in (5, 25):
        wait_until(lambda done=done: len(sandbox.requests_of("upload")) >= done)
        watching.process.send_signal(signal.SIGSTOP)
        time.sleep(2 * float(shell.environ["ASTICA_QUARANTINE"]))
        watching.process.send_signal(signal.SIGCONT)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    times = Counter(request.sent["uid"] for request in sandbox.requests_of("upload") if request.done)
    assert len(times) == 65 and set(times.values()) == {1}


def test_on_a_full_disk_the_watcher_waits_and_uploads_nothing_without_a_backup(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, ground: Ground, tmp_path: Path
) -> None:
    inside = tmp_path / "small"
    inside.mkdir()
    ground.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", inside])
    small = ground.seen(inside)
    shutil.copytree(store, small, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".astica-sync"))
    ran = shell.finish(shell.start("init", inside, "--model", str(model_id), under=ground.under))
    assert ran.code == 0, ran.err
    watching = when_in_sync(watch(inside, prefix=ground.under), sandbox, model_id, small)
    with (small / ".ballast").open("wb", buffering=0) as ballast:
        with contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(resource.getpagesize()))
        # Space for the file itself, and for nothing else.
        ballast.truncate(ballast.tell() - resource.getpagesize())
    draw(small / "Can" / "new.png", 2200)
    wait_until(lambda: watching.reported("resting", "space"))
    assert not sandbox.requests_of("upload")
    (small / ".ballast").unlink()
    wait_until(lambda: in_sync(sandbox, model_id, small))
    must_have_removed_nothing(sandbox)


@pytest.mark.long
def test_two_hundred_statuses_beside_a_watcher_disturb_nothing(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    watching = when_in_sync(watch(store), sandbox, model_id, store)
    views = len(sandbox.requests_of("view"))
    for number in range(200):
        if number % 40 == 0:
            draw(store / "Can" / f"new{number}.png", 2300 + number)
        ran = shell("pull-status", "--offline", "--json", "--store", store)
        assert ran.code == 0, ran.err
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert watching.process.poll() is None
    uploads = Counter(request.sent["uid"] for request in sandbox.requests_of("upload") if request.done)
    assert set(uploads.values()) == {1}
    assert len(sandbox.requests_of("view")) - views < 20, "a status with --offline sends nothing"
    must_have_removed_nothing(sandbox)


READERS = [
    ("pull-status", "--offline"),
    ("pull-status",),
    ("push", "--dry-run"),
    ("log",),
    ("backup", "list"),
    ("backup", "verify"),
    ("snapshot", "list"),
    ("versions",),
    ("inspect",),
    ("doctor",),
    ("trust", "--list"),
]


@pytest.mark.parametrize("busy", ["push", "watch"])
def test_readers_of_every_kind_beside_a_writer_disturb_nothing(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, busy: str
) -> None:
    for number in range(40):
        draw(store / "Can" / f"new{number}.png", 2600 + number)
    # The writer alone is slow.
    shell.environ |= {"ASTICA_LIMIT": "2", "ASTICA_LIMIT_WINDOW": "1"}
    with contextlib.ExitStack() as stack:
        writer = shell.start(*(["push", "--store", store] if busy == "push" else ["watch", store]))
        stack.callback(writer.communicate)
        stack.callback(writer.kill)
        del shell.environ["ASTICA_LIMIT"], shell.environ["ASTICA_LIMIT_WINDOW"]
        wait_until(lambda: sandbox.requests_of("upload"))
        for command in READERS:
            place = {"doctor": [], "trust": [], "inspect": [store]}.get(command[0], ["--store", store])
            ran = shell(*command, *place)
            assert ran.code in (0, 1) if command == ("doctor",) else ran.code == 0, (command, ran.err)
            assert "Traceback" not in ran.err and "internal error" not in ran.err
            assert writer.poll() is None, "it had ended before the last reader"
        wait_until(lambda: in_sync(sandbox, model_id, store), seconds=90)
        if busy == "push":
            assert writer.wait(60) == 0
    uploads = Counter(request.sent["uid"] for request in sandbox.requests_of("upload") if request.done)
    assert set(uploads.values()) == {1}
    must_have_removed_nothing(sandbox)


def test_an_unmounted_disk_is_released_and_watched_again_when_it_is_back(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, ground: Ground, tmp_path: Path
) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    ground.run(["mount", "--bind", store, place])
    watching = when_in_sync(watch(place, prefix=ground.under), sandbox, model_id, store)
    ground.run(["umount", "--lazy", place])
    wait_until(lambda: watching.reported("held"))
    draw(store / "Can" / "meanwhile.png", 2300)
    assert list(place.iterdir()) == [], "nothing is created in the mount point"
    wait_until(lambda: not is_watched(Layout(store)))
    ground.run(["mount", "--bind", store, place])
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert is_watched(Layout(store))
    must_have_removed_nothing(sandbox)


# With a few more the program raises its limit again by itself.
@pytest.mark.parametrize("files", [3])
def test_without_free_file_descriptors_it_waits_and_removes_nothing(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, files: int
) -> None:
    watching = when_in_sync(watch(store), sandbox, model_id, store)
    before = resource.prlimit(watching.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(watching.process.pid, resource.RLIMIT_NOFILE, (files, before[1]))
    draw(store / "Can" / "new.png", 2400)
    (store / "Can" / "000.png").unlink()
    watching.process.send_signal(signal.SIGHUP)
    wait_until(lambda: watching.reported("resting") or watching.reported("held"))
    must_have_removed_nothing(sandbox)
    resource.prlimit(watching.process.pid, resource.RLIMIT_NOFILE, before)
    try:
        wait_until(lambda: in_sync(sandbox, model_id, store))
    except AssertionError:
        print(*watching.events[-20:], watching.err.read_text(), sep="\n")
        raise
    assert len(sandbox.requests_of("sample_remove")) == 1 and len(sandbox.requests_of("upload")) == 1


def test_it_continues_after_the_service_was_down(
    shell: Shell, watch: Start, store: Path, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    with running(tmp_path / "account", limit=100_000) as box:
        port = int(box.url.rpartition(":")[2])
        model_id = box.add_model("Others")
        shell.environ |= {"ASTICA_TRAIN_URL": box.url, "ASTICA_DETECT_URL": box.url, "ASTICA_API_KEY": box.key}
        assert shell("init", store, "--model", str(model_id), "--rebind").code == 0
        watching = watch(store)
        wait_until(lambda: in_sync(box, model_id, store))
    draw(store / "Can" / "new.png", 2500)
    wait_until(lambda: watching.reported("resting"))
    with running(tmp_path / "account", limit=100_000, port=port) as box:
        wait_until(lambda: in_sync(box, model_id, store))
        wait_until(lambda: watching.reported("idle", "running normally again"))


def test_a_key_revoked_during_uploads_stops_all_requests_until_it_is_replaced(
    shell: Shell, watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(sandbox.key)
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(key)
    watching = when_in_sync(watch(store), sandbox, model_id, store)
    sandbox.set_key("another-key")
    for number in range(40):
        draw(store / "Can" / f"new {number}.png", 2600 + number)
    wait_until(lambda: watching.reported("halted"))

    def refused() -> int:
        return sum("key" in request.outcome for request in sandbox.log)

    before = refused()
    # Another file causes no request.
    draw(store / "Bottle" / "later.png", 2650)
    key.write_text("another-key")
    wait_until(lambda: watching.reported("starting", "settings changed"))
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert 0 < before == refused()


def test_changed_settings_are_read_again(watch: Start, sandbox: RunningSandbox, store: Path, model_id: int) -> None:
    settings = store / "astica-sync.toml"
    settings.write_text("settle = 0.2\nobserve_every = 86400\n")
    watching = when_in_sync(watch(store), sandbox, model_id, store)
    settings.write_text("settle = no number\n")
    wait_until(lambda: watching.reported("halted", "astica-sync.toml"))
    settings.write_text("settle = 0.2\nobserve_every = 5\n")
    wait_until(lambda: watching.reported("idle", "running normally again"))
    sandbox.remove_sample(sandbox.samples(model_id)[0].sample_id)
    wait_until(lambda: in_sync(sandbox, model_id, store))


def test_a_log_file_can_be_rotated(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    log = tmp_path / "watch.log"
    with log.open("ab") as out:
        process = shell.start("watch", "--json", store, stdout=out)
    try:
        wait_until(lambda: in_sync(sandbox, model_id, store))
        # The service has a sample shortly before the log shows it.
        wait_until(lambda: log.read_text().count('"uploaded"') == len(sandbox.samples(model_id)))
        shutil.copy2(log, tmp_path / "watch.log.1")
        os.truncate(log, 0)
        draw(store / "Can" / "new.png", 2710)
        wait_until(lambda: '"Can/new.png"' in log.read_text())
        assert [json.loads(line)["path"] for line in log.read_text().splitlines()] == ["Can/new.png"]
    finally:
        process.terminate()
    assert shell.finish(process).code == 130


@pytest.mark.parametrize("where", ["full", "closed"])
def test_a_full_or_closed_output_stops_nothing(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, where: str
) -> None:
    if where == "full":
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, out = os.pipe()
        os.close(reader)
    process = shell.start("watch", "--json", store, stdout=out)
    os.close(out)
    try:
        wait_until(lambda: in_sync(sandbox, model_id, store))
        draw(store / "Can" / "new.png", 2700)
        wait_until(lambda: in_sync(sandbox, model_id, store))
    finally:
        process.terminate()
    ran = shell.finish(process)
    assert (ran.code, ran.err) == (130, "")
