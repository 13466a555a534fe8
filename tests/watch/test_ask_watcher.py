"""A status does not look through a store whose watcher has just done so, and says the same."""

import json
import time
from pathlib import Path

import pytest

from astica_sync.local.layout import ASKS, Layout
from astica_sync.local.scan import scanner as scan_module
from astica_sync.sync.plan import status as status_module
from astica_sync.sync.watch.change_queue import ChangeQueue
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import Start, wait_until


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each time this process looks through a store by itself."""
    looks: list[str] = []
    scan = scan_module.scan_store

    def noted(*args: object, **options: object) -> object:
        looks.append("look")
        return scan(*args, **options)

    monkeypatch.setattr(status_module, "scan_store", noted)
    return looks


def status(shell: Shell, store: Path) -> dict:
    return json.loads(shell("pull-status", "--json", "--offline", "--store", str(store)).out)


def idle(shell: Shell, store: Path) -> bool:
    ran = shell("watch", "status", "--json", "--store", store)
    return ran.code == 0 and ran.json["state"] == "idle"


@pytest.mark.long
def test_a_watched_store_is_not_looked_through_and_every_change_is_seen(
    shell: Shell, store: Path, watch: Start, looks: list[str]
) -> None:
    watching = watch(store)
    wait_until(lambda: idle(shell, store))
    wait_until(lambda: status(shell, store)["in_sync"])
    looks.clear()
    wait_until(lambda: status(shell, store)["local"]["samples"] == 5 and not looks)
    for number in range(8):
        # Seen in the same moment, whether it went up already or not.
        draw(store / "Can" / f"new {number}.png", 500 + number)
        assert status(shell, store)["local"]["samples"] == 6 + number
    watching.kill()
    looks.clear()
    assert status(shell, store)["local"]["samples"] == 13
    assert looks == ["look"]
    assert not list(Layout(store).state.glob(f"{ASKS}*"))


def test_a_watcher_that_looks_for_changes_or_could_not_see_everything_is_not_asked(
    shell: Shell, store: Path, watch: Start, looks: list[str]
) -> None:
    watching = watch(store, flags=["--poll"])
    wait_until(lambda: idle(shell, store))
    status(shell, store)
    assert looks
    watching.stop()
    (store / "Can" / "link").symlink_to("nowhere")
    watch(store)
    wait_until(lambda: idle(shell, store))
    looks.clear()
    assert status(shell, store)["local"]["samples"] == 5
    assert looks


def test_who_asks_is_heard_behind_what_was_told_before() -> None:
    rung: list[float] = []
    changes = ChangeQueue(lambda: rung.append(time.monotonic()))
    changes.add_folder("Can")
    changes.add_status_request("watch-asks-1")
    assert changes.has_status_requests
    batch = changes.take()
    assert (batch.folders, batch.status_requests) == ({"Can"}, ["watch-asks-1"])
    assert not changes.has_status_requests
    assert len(rung) == 2
