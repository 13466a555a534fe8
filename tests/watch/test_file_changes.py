"""A real watcher process, real files, a real sandbox: after any change of files the service holds what the folder
holds, byte for byte, and each sample was uploaded exactly once."""

import contextlib
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.mount_namespace import Ground
from tests.harness.shell import Shell, draw, in_store, on_service
from tests.harness.watch_process import Start, WatchProcess, in_sync, wait_until


class FileChanges:
    """Changes that users and programs make to the files of a store; every image it makes is another one."""

    def __init__(self, store: Path, outside: Path) -> None:
        self.store = store
        self.outside = outside
        outside.mkdir()
        self._number = 1000

    def image(self) -> bytes:
        self._number += 1
        return draw(self.outside / "image.png", self._number).read_bytes()

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.image())
        return path

    def in_every_way(self) -> None:
        """Every way in which a file is created, changed, moved or deleted."""
        store, can = self.store, self.store / "Can"
        image = self.image()
        with (can / "slow.png").open("wb") as file:
            for start in range(0, len(image), 20):
                file.write(image[start : start + 20])
                file.flush()
                time.sleep(0.05)
        held = (can / "held-open.png").open("wb")
        half = self.image()
        held.write(half[:30])
        held.flush()
        whole = (can / "held-whole.png").open("wb")
        whole.write(self.image())
        whole.flush()
        self.write(can / "plain.png")
        temp = can / ".upload.tmp"
        temp.write_bytes(self.image())
        temp.replace(can / "atomic.png")
        temp.write_bytes(self.image())
        temp.replace(can / "plain.png")
        self.write(self.outside / "from-outside.png").rename(store / "Bottle" / "from-outside.png")
        self.write(can / "renamed.png").rename(can / "new name.png")
        self.write(can / "moves.png").rename(store / "Bottle" / "moved.png")
        (can / "000.png").rename(store / "Bottle" / "moved too.png")
        self.write(can / "never mind.png").unlink()
        (can / "001.png").rename(self.outside / "moved-out.png")
        for name in ("a", "b"):
            self.write(self.outside / "Glass" / "deep" / f"{name}.png")
        self.write(self.outside / "Glass" / "c.png")
        (self.outside / "Glass").rename(store / "Glass")
        shutil.copytree(store / "Glass", store / "Paper" / "copied", copy_function=_as_another)
        self.write(store / "Paper" / "box" / "in a folder.png")
        (store / "Paper" / "box").rename(store / "Glass" / "box")
        for number in range(20):
            self.write(can / "brief" / f"{number}.png")
        shutil.rmtree(can / "brief")
        self.write(store / "Tin" / "a.png")
        (store / "Tin").rename(store / "Steel")
        shutil.copy2(self.write(self.outside / "old.png"), can / "with its old times.png")
        os.link(self.write(self.outside / "linked.png"), can / "linked.png")
        self.write(can / "away and back.png").rename(self.outside / "away.png")
        (self.outside / "away.png").rename(can / "away and back.png")
        self.write(can / "2026" / "10" / "deep.png")
        (store / "Bottle" / "000.png").write_bytes(self.image())
        held.write(half[30:])
        held.close()
        # Until now it was a whole image, but not the final content.
        whole.write(b"and something behind it")
        whole.close()

    def move_in(self, count: int) -> None:
        """A folder with very many files, moved in as a whole."""
        for number in range(count):
            self.write(self.outside / "moved in" / f"{number}.png")
        (self.outside / "moved in").rename(self.store / "Moved in")

    def flood(self, count: int) -> None:
        """Very many files in a short time, some of them moved in between."""
        for number in range(count):
            path = self.write(self.store / ("Can", "Bottle", "Flood")[number % 3] / f"flood {self._number}.png")
            if number % 50 == 7:
                path.rename(path.with_name(f"moved {self._number}.png"))


def _as_another(source: str, target: str) -> str:
    data = Path(source).read_bytes()
    # Bytes after the end of a PNG are not part of the image, but make another file.
    Path(target).write_bytes(data + b"another")
    return target


@pytest.fixture
def changes(store: Path, tmp_path: Path) -> FileChanges:
    return FileChanges(store, tmp_path / "outside")


@pytest.fixture
def model_id(store: Path, sandbox: RunningSandbox) -> int:
    return sandbox.models()[0][0]


def must_become_in_sync(sandbox: RunningSandbox, store: Path, model_id: int, watching: WatchProcess) -> None:
    try:
        wait_until(lambda: in_sync(sandbox, model_id, store), 240, every=0.5)
    except AssertionError:
        missing = in_store(store) - on_service(sandbox, model_id)
        extra = on_service(sandbox, model_id) - in_store(store)
        raise AssertionError(f"{len(missing)} missing, {len(extra)} extra\n{watching.err.read_text()}") from None


def must_have_been_uploaded_once(sandbox: RunningSandbox) -> None:
    # Of a request whose sender was killed, only the beginning may have arrived.
    whole = [request for request in sandbox.requests_of("upload") if "uid" in request.sent or request.done]
    done = Counter({request.sent["uid"]: 0 for request in whole})
    for request in whole:
        done[request.sent["uid"]] += request.done
    assert {uid: times for uid, times in done.items() if times != 1} == {}


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        pytest.param([], 350, id="events", marks=pytest.mark.long),
        pytest.param(["--poll"], 90, id="polling", marks=pytest.mark.long),
    ],
)
def test_after_any_change_of_files_the_service_is_in_sync_and_each_sample_was_uploaded_once(
    watch: Start,
    sandbox: RunningSandbox,
    store: Path,
    model_id: int,
    changes: FileChanges,
    flags: list[str],
    count: int,
) -> None:
    watching = watch(store, flags=flags)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    changes.in_every_way()
    changes.flood(count)
    changes.move_in(count)
    must_become_in_sync(sandbox, store, model_id, watching)
    must_have_been_uploaded_once(sandbox)
    assert watching.stop() == 130, watching.err.read_text()
    assert watching.err.read_text() == ""


@pytest.mark.long
@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_with_a_low_limit_of_inotify_it_polls_reports_that_once_and_misses_nothing(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, changes: FileChanges, limit: str
) -> None:
    low = 0 if limit == "max_inotify_instances" else 2
    prefix = ["unshare", "-Ur", "sh", "-c", f'echo {low} > /proc/sys/user/{limit} && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("needs a user name space of its own")
    watching = watch(store, prefix=prefix)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    changes.in_every_way()
    changes.flood(60)
    must_become_in_sync(sandbox, store, model_id, watching)
    must_have_been_uploaded_once(sandbox)
    notices = [event for event in watching.events if "polling for changes" in event["text"]]
    assert len(notices) == 1
    assert "fs.inotify.max_user_watches" in notices[0]["text"]


@pytest.mark.long
def test_when_new_folders_exceed_the_inotify_limit_it_polls_and_misses_nothing(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, changes: FileChanges, ground: Ground
) -> None:
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 86400\n")
    # Enough watches for the existing folders and a few more.
    folders = sum(path.is_dir() for path in store.rglob("*")) + 4
    ground.run(["sh", "-c", f"echo {folders} > /proc/sys/user/max_inotify_watches"])
    watching = watch(store, prefix=ground.under)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    assert not [event for event in watching.events if "polling for changes" in event["text"]]
    for number in range(10):
        changes.write(store / f"New {number}" / "deep" / "a.png")
    must_become_in_sync(sandbox, store, model_id, watching)
    wait_until(
        lambda: any("the system's limit of inotify watches is reached" in event["text"] for event in watching.events)
    )
    for number in range(10):
        changes.write(store / f"New {number}" / "deep" / "b.png")
    must_become_in_sync(sandbox, store, model_id, watching)
    must_have_been_uploaded_once(sandbox)
    assert len([event for event in watching.events if "polling for changes" in event["text"]]) == 1


@pytest.mark.long
def test_on_a_fuse_mount_it_finds_changes_made_below_the_mount(
    shell: Shell,
    watch: Start,
    sandbox: RunningSandbox,
    store: Path,
    model_id: int,
    changes: FileChanges,
    ground: Ground,
    tmp_path: Path,
) -> None:
    if shutil.which("bindfs") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs bindfs and /dev/fuse")
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 86400\n")
    place = tmp_path / "mounted"
    place.mkdir()
    ground.run(["bindfs", store, place])
    # A folder of another path is a copy until it is said that it is the one that counts.
    ran = shell.finish(shell.start("init", place, under=ground.under))
    assert ran.code == 0, ran.err
    watching = watch(place, prefix=ground.under)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    changes.in_every_way()
    changes.flood(60)
    changes.move_in(60)
    must_become_in_sync(sandbox, store, model_id, watching)
    must_have_been_uploaded_once(sandbox)
    notices = [event["text"] for event in watching.events if "polling for changes" in event["text"]]
    assert len(notices) == 1 and "fuse" in notices[0]
    # The FUSE program dies, and is started again.
    ground.run(["umount", "--lazy", place])
    wait_until(lambda: watching.reported("held"))
    changes.write(store / "Can" / "meanwhile.png")
    ground.run(["bindfs", store, place])
    must_become_in_sync(sandbox, store, model_id, watching)
    must_have_been_uploaded_once(sandbox)
    # Unmounting ends the FUSE program, which would outlive the test.
    watching.close()
    ground.run(["umount", place])


@contextlib.contextmanager
def killed_at_random_moments(watch: Start, store: Path, dice: random.Random) -> Iterator[list[WatchProcess]]:
    """A watcher that is killed at random moments and started again, until the block ends."""
    lives = [watch(store)]
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(dice.uniform(0.3, 2.0)):
            lives[-1].kill()
            lives.append(watch(store))

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield lives
    finally:
        ended.set()
        thread.join()


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_a_watcher_killed_at_random_moments_ends_in_sync(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, changes: FileChanges, seed: int
) -> None:
    sandbox.set_faults(latency="5-20ms")
    with killed_at_random_moments(watch, store, random.Random(seed)) as lives:
        for _ in range(5):
            changes.flood(30)
            time.sleep(0.4)
        changes.in_every_way()
        changes.move_in(60)
        wait_until(lambda: len(lives) >= 4)
    must_become_in_sync(sandbox, store, model_id, lives[-1])
    must_have_been_uploaded_once(sandbox)
    assert len(lives) >= 4
