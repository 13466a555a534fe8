"""``pull-status`` does not scan a watched store itself, and shows the same."""

import contextlib
import json
import time
from pathlib import Path

import pytest

from astica_sync.local.db.index import Index
from astica_sync.local.layout import ASKS, Layout
from astica_sync.local.scan import scanner as scan_module
from astica_sync.sync.plan import find_status as status_module
from astica_sync.sync.watch.change_queue import ChangeQueue
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import Start, wait_until


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each scan by this process."""
    scans: list[str] = []
    scan = scan_module.scan_store

    def noted(*args: object, **options: object) -> object:
        scans.append("scan")
        return scan(*args, **options)

    monkeypatch.setattr(status_module, "scan_store", noted)
    return scans


def status(shell: Shell, store: Path) -> dict:
    return json.loads(shell("pull-status", "--json", "--offline", "--store", str(store)).out)


def idle(shell: Shell, store: Path) -> bool:
    ran = shell("watch", "status", "--json", "--store", store)
    return ran.code == 0 and ran.json["state"] == "idle"


@pytest.mark.long
def test_status_of_a_watched_store_scans_nothing_and_shows_every_change(
    shell: Shell, store: Path, watch: Start, scans: list[str]
) -> None:
    watching = watch(store)
    wait_until(lambda: idle(shell, store))
    wait_until(lambda: status(shell, store)["in_sync"])
    scans.clear()
    wait_until(lambda: status(shell, store)["local"]["samples"] == 5 and not scans)
    for number in range(8):
        # The status shows it, uploaded or not.
        draw(store / "Can" / f"new {number}.png", 500 + number)
        assert status(shell, store)["local"]["samples"] == 6 + number
    watching.kill()
    scans.clear()
    assert status(shell, store)["local"]["samples"] == 13
    assert scans == ["scan"]
    assert not list(Layout(store).state.glob(f"{ASKS}*"))


@pytest.mark.long
def test_a_polling_watcher_and_one_with_an_unreadable_file_are_not_asked(
    shell: Shell, store: Path, watch: Start, scans: list[str]
) -> None:
    watching = watch(store, flags=["--poll"])
    wait_until(lambda: idle(shell, store))
    status(shell, store)
    assert scans
    watching.stop()
    (store / "Can" / "link").symlink_to("nowhere")
    watch(store)
    wait_until(lambda: idle(shell, store))
    scans.clear()
    assert status(shell, store)["local"]["samples"] == 5
    assert scans


def test_a_status_request_is_queued_behind_earlier_changes() -> None:
    rung: list[float] = []
    changes = ChangeQueue(lambda: rung.append(time.monotonic()))
    changes.add_folder("Can")
    changes.add_status_request("watch-asks-1")
    assert changes.has_status_requests
    batch = changes.take()
    assert (batch.folders, batch.status_requests) == ({"Can"}, ["watch-asks-1"])
    assert not changes.has_status_requests
    assert len(rung) == 2


@pytest.mark.long
@pytest.mark.parametrize("made", ["before", "meanwhile"])
def test_a_file_that_is_edited_by_a_second_name_is_seen_beside_a_watcher(
    made: str, shell: Shell, store: Path, watch: Start, scans: list[str], tmp_path: Path
) -> None:
    file = next((store / "Can").glob("*.png"))
    outside = tmp_path / "outside.png"
    if made == "before":
        outside.hardlink_to(file)
    watch(store)
    wait_until(lambda: idle(shell, store))
    wait_until(lambda: status(shell, store)["in_sync"])
    if made == "meanwhile":
        outside.hardlink_to(file)
        # The watcher is notified of the link, and reads the file again.
        wait_until(lambda: not reads_of_watcher_are_enough(store))
    draw(tmp_path / "other.png", 900)
    with outside.open("r+b") as opened:
        opened.truncate()
        opened.write((tmp_path / "other.png").read_bytes())
    scans.clear()
    assert not status(shell, store)["in_sync"]
    assert scans


def reads_of_watcher_are_enough(store: Path) -> bool:
    with contextlib.closing(Index(Layout(store).index_db)) as index:
        return index.get_meta(scan_module.HARD_LINKS) == "0"
