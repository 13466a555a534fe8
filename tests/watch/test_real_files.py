"""A real watcher process, real files, a real sandbox: whatever happens to the files, in the end the service holds what
the folder holds, byte for byte, and each sample went up exactly once."""

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
from tests.harness.watch_process import Start, Watching, equal, wait_until


class Hands:
    """What people and programs do to the files of a store; every image it makes is another one."""

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

    def settle_differently(self) -> None:
        """Every way in which a file comes, changes its place or goes."""
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
        # Until here it was an image, and not yet what it was to be.
        whole.write(b"and something behind it")
        whole.close()

    def pour(self, count: int) -> None:
        """A folder with very many files, moved in as one."""
        for number in range(count):
            self.write(self.outside / "poured" / f"{number}.png")
        (self.outside / "poured").rename(self.store / "Poured")

    def flood(self, count: int) -> None:
        """Very many files at once, some of them moved while they come."""
        for number in range(count):
            path = self.write(self.store / ("Can", "Bottle", "Flood")[number % 3] / f"flood {self._number}.png")
            if number % 50 == 7:
                path.rename(path.with_name(f"moved {self._number}.png"))


def _as_another(source: str, target: str) -> str:
    data = Path(source).read_bytes()
    # What comes behind the end of a PNG belongs to no image, and makes it another file.
    Path(target).write_bytes(data + b"another")
    return target


@pytest.fixture
def hands(store: Path, tmp_path: Path) -> Hands:
    return Hands(store, tmp_path / "outside")


@pytest.fixture
def model_id(store: Path, sandbox: RunningSandbox) -> int:
    return sandbox.models()[0][0]


def must_become_equal(sandbox: RunningSandbox, store: Path, model_id: int, watching: Watching) -> None:
    try:
        wait_until(lambda: equal(sandbox, model_id, store), 240, every=0.5)
    except AssertionError:
        missing = in_store(store) - on_service(sandbox, model_id)
        extra = on_service(sandbox, model_id) - in_store(store)
        raise AssertionError(f"{len(missing)} missing, {len(extra)} extra\n{watching.err.read_text()}") from None


def must_have_gone_up_once(sandbox: RunningSandbox) -> None:
    # Of one whose sender was killed amid the sending nothing may have come but its beginning.
    whole = [request for request in sandbox.requests_of("upload") if "uid" in request.sent or request.done]
    done = Counter({request.sent["uid"]: 0 for request in whole})
    for request in whole:
        done[request.sent["uid"]] += request.done
    assert {uid: times for uid, times in done.items() if times != 1} == {}


@pytest.mark.parametrize(
    ("flags", "count"),
    [pytest.param([], 350, id="events", marks=pytest.mark.long), pytest.param(["--poll"], 90, id="polling")],
)
def test_whatever_happens_to_files_the_service_ends_up_equal_and_each_sample_went_up_once(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, hands: Hands, flags: list[str], count: int
) -> None:
    watching = watch(store, flags=flags)
    wait_until(lambda: equal(sandbox, model_id, store))
    hands.settle_differently()
    hands.flood(count)
    hands.pour(count)
    must_become_equal(sandbox, store, model_id, watching)
    must_have_gone_up_once(sandbox)
    assert watching.stop() == 130, watching.err.read_text()
    assert watching.err.read_text() == ""


@pytest.mark.long
@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_with_a_low_limit_of_watches_it_looks_for_changes_says_so_once_and_misses_nothing(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, hands: Hands, limit: str
) -> None:
    low = 0 if limit == "max_inotify_instances" else 2
    prefix = ["unshare", "-Ur", "sh", "-c", f'echo {low} > /proc/sys/user/{limit} && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("needs a user name space of its own")
    watching = watch(store, prefix=prefix)
    wait_until(lambda: equal(sandbox, model_id, store))
    hands.settle_differently()
    hands.flood(60)
    must_become_equal(sandbox, store, model_id, watching)
    must_have_gone_up_once(sandbox)
    said = [event for event in watching.events if "polling for changes" in event["text"]]
    assert len(said) == 1
    assert "fs.inotify.max_user_watches" in said[0]["text"]


@pytest.mark.long
def test_when_new_folders_exceed_the_limit_of_watches_it_looks_for_changes_and_misses_nothing(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, hands: Hands, ground: Ground
) -> None:
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 86400\n")
    # Room for what is there, and for a few more.
    folders = sum(path.is_dir() for path in store.rglob("*")) + 4
    ground.run(["sh", "-c", f"echo {folders} > /proc/sys/user/max_inotify_watches"])
    watching = watch(store, prefix=ground.under)
    wait_until(lambda: equal(sandbox, model_id, store))
    assert not [event for event in watching.events if "polling for changes" in event["text"]]
    for number in range(10):
        hands.write(store / f"New {number}" / "deep" / "a.png")
    must_become_equal(sandbox, store, model_id, watching)
    wait_until(
        lambda: any("the system's limit of inotify watches is reached" in event["text"] for event in watching.events)
    )
    for number in range(10):
        hands.write(store / f"New {number}" / "deep" / "b.png")
    must_become_equal(sandbox, store, model_id, watching)
    must_have_gone_up_once(sandbox)
    assert len([event for event in watching.events if "polling for changes" in event["text"]]) == 1


def test_on_a_fuse_mount_it_sees_what_was_done_behind_it(
    shell: Shell,
    watch: Start,
    sandbox: RunningSandbox,
    store: Path,
    model_id: int,
    hands: Hands,
    ground: Ground,
    tmp_path: Path,
) -> None:
    if shutil.which("bindfs") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs bindfs and /dev/fuse")
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 86400\n")
    place = tmp_path / "mounted"
    place.mkdir()
    ground.run(["bindfs", store, place])
    watching = watch(place, prefix=ground.under)
    wait_until(lambda: equal(sandbox, model_id, store))
    hands.settle_differently()
    hands.flood(60)
    hands.pour(60)
    must_become_equal(sandbox, store, model_id, watching)
    must_have_gone_up_once(sandbox)
    said = [event["text"] for event in watching.events if "polling for changes" in event["text"]]
    assert len(said) == 1 and "fuse" in said[0]
    # The program behind the mount dies, and is started again.
    ground.run(["umount", "--lazy", place])
    wait_until(lambda: watching.heard("held"))
    hands.write(store / "Can" / "meanwhile.png")
    ground.run(["bindfs", store, place])
    must_become_equal(sandbox, store, model_id, watching)
    must_have_gone_up_once(sandbox)
    # With the mount its program ends, which otherwise outlives the test.
    watching.close()
    ground.run(["umount", place])


@contextlib.contextmanager
def killed_now_and_then(watch: Start, store: Path, dice: random.Random) -> Iterator[list[Watching]]:
    """A watcher that dies at random moments and is started again, until the block ends."""
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
def test_a_watcher_killed_at_random_moments_ends_with_the_same_outcome(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, hands: Hands, seed: int
) -> None:
    sandbox.set_faults(latency="5-20ms")
    with killed_now_and_then(watch, store, random.Random(seed)) as lives:
        for _ in range(5):
            hands.flood(30)
            time.sleep(0.4)
        hands.settle_differently()
        hands.pour(60)
        wait_until(lambda: len(lives) >= 4)
    must_become_equal(sandbox, store, model_id, lives[-1])
    must_have_gone_up_once(sandbox)
    assert len(lives) >= 4
