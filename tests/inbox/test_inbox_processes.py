"""A camera and a watcher as processes of their own that are killed in between: each image arrives once."""

import itertools
import shutil
from functools import partial
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store
from tests.harness.watch_process import WatchProcess, in_sync, wait_until

pytestmark = pytest.mark.long


def start(shell: Shell, folder: Path, *arguments: str) -> WatchProcess:
    *flags, last = arguments
    return WatchProcess(shell, folder, [Path(last)], flags, [])


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*/*") if len(path.stem) >= 32)


def has(folder: Path, count: int) -> bool:
    return len(names(folder)) >= count


def test_each_image_arrives_once_whatever_is_killed(
    shell: Shell, camera: Shell, inbox: Path, store: Path, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    sandbox.set_limit(100_000, 60.0)
    shell.environ["ASTICA_LIMIT"] = "100000"
    taken = tmp_path / "line"
    (taken / "Can").mkdir(parents=True)
    numbers = itertools.count(1000)
    total = 0
    for turn in range(4):
        sending = start(camera, tmp_path, "--to", str(inbox), str(taken))
        watching = start(shell, tmp_path, "--from", str(inbox), str(store))
        try:
            for _ in range(12):
                draw(taken / "Can" / f"{next(numbers)}.png", next(numbers))
                total += 1
            # Killed at another point in each turn: while it sends, and once some have arrived.
            wait_until(partial(has, inbox, total - 12 + 3 * turn))
            sending.kill()
            wait_until(partial(has, store, min(turn, 1)))
            watching.kill()
        finally:
            sending.close()
            watching.close()
    sending = start(camera, tmp_path, "--to", str(inbox), str(taken))
    watching = start(shell, tmp_path, "--from", str(inbox), str(store))
    try:
        wait_until(lambda: len(names(store)) >= total)
        wait_until(lambda: in_sync(sandbox, sandbox.models()[0][0], store))
        assert sending.stop() == 130 and watching.stop() == 130
    finally:
        sending.close()
        watching.close()
    assert len(names(inbox)) == len(set(names(inbox))) == total
    # No second file of one image, and none of an image that is not there.
    assert names(store) == names(inbox)
    assert {data for _, data in in_store(store)} >= {path.read_bytes() for path in taken.glob("*/*.png")}


def test_a_folder_that_is_unplugged_and_plugged_in_again_is_gone_on_with(
    camera: Shell, inbox: Path, tmp_path: Path
) -> None:
    taken = fill(tmp_path / "card", {"Can": 2}, start=600)
    sending = start(camera, tmp_path, "--to", str(inbox), str(taken))
    try:
        wait_until(lambda: len(names(inbox)) == 2)
        inbox.rename(tmp_path / "unplugged")
        draw(taken / "Can" / "late.png", 650)
        wait_until(lambda: sending.reported("failed", "cannot be written"))
        assert not inbox.exists()
        (tmp_path / "unplugged").rename(inbox)
        wait_until(lambda: len(names(inbox)) == 3)
        taken.rename(tmp_path / "away")
        wait_until(lambda: sending.reported("failed", "cannot be read"))
        (tmp_path / "away").rename(taken)
        draw(taken / "Can" / "later.png", 651)
        wait_until(lambda: len(names(inbox)) == 4)
        assert sending.reported("note", "normally again")
        assert sending.stop() == 130
    finally:
        sending.close()


def test_a_half_written_image_is_sent_once_it_is_whole(camera: Shell, inbox: Path, tmp_path: Path) -> None:
    taken = tmp_path / "card"
    (taken / "Can").mkdir(parents=True)
    whole = draw(tmp_path / "whole.png", 7).read_bytes()
    sending = start(camera, tmp_path, "--to", str(inbox), str(taken))
    try:
        wait_until(lambda: sending.reported("watching"))
        with (taken / "Can" / "a.png").open("wb") as file:
            file.write(whole[:40])
            file.flush()
            wait_until(lambda: sending.reported("problem", "a.png"))
            file.write(whole[40:])
        wait_until(lambda: sending.reported("sent", "a.png"))
        assert [path.read_bytes() for path in inbox.glob("*/*")] == [whole]
        events = [event["event"] for event in sending.events]
        assert (events.count("problem"), events.count("sent")) == (1, 1)
    finally:
        sending.close()


def test_a_watcher_names_what_it_does_not_take_in_once_and_goes_on(
    shell: Shell, inbox: Path, store: Path, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    (inbox / "Can").mkdir()
    (inbox / "Can" / f"{'0' * 32}.png").write_bytes(b"bad")
    watching = start(shell, tmp_path, "--from", str(inbox), str(store))
    try:
        wait_until(lambda: watching.reported("problem", "are not those that its name stands for"))
        inbox.rename(tmp_path / "unplugged")
        wait_until(lambda: watching.reported("failed", "inbox: "))
        draw(store / "Can" / "own.png", 42)
        wait_until(lambda: watching.reported("uploaded", "own.png"))
        (tmp_path / "unplugged").rename(inbox)
        wait_until(lambda: watching.reported("note", "the inbox works normally again"))
        assert len([event for event in watching.events if event["event"] == "problem"]) == 1
        assert watching.stop() == 130
    finally:
        watching.close()


def test_a_second_process_for_one_folder_ends_and_says_why(
    camera: Shell, inbox: Path, taken: Path, tmp_path: Path
) -> None:
    sending = start(camera, tmp_path, "--to", str(inbox), str(taken))
    try:
        wait_until(lambda: len(names(inbox)) == 4)
        ran = camera("watch", "--to", inbox, "--once", taken)
        assert ran.code == 1 and "another process sends" in ran.err
    finally:
        sending.close()
    shutil.rmtree(taken)
