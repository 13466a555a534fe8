"""Why a folder has no watch, and what is said where a disk below the store comes or goes."""

import errno
import shutil
import sys
from pathlib import Path

import pytest

from astica_sync.local.layout import Layout
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sync.watch import fs_events
from astica_sync.sync.watch.change_queue import ChangeQueue
from astica_sync.sync.watch.fs_events import FsEvents
from tests.harness.mount_namespace import Ground
from tests.harness.watch_process import Start, in_sync, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify and mounts are of Linux")


@pytest.fixture
def events(tmp_path: Path) -> FsEvents:
    for name in ("Can", "Bottle"):
        (tmp_path / name).mkdir()
    return FsEvents(Layout(tmp_path), ChangeQueue(lambda: None), lambda: 0.0)


def test_a_folder_that_can_be_watched_has_lost_its_watch(events: FsEvents) -> None:
    assert events._why_unwatched(["Can"]).startswith("Can has lost its watch, as where a disk was mounted")
    assert events._why_unwatched(["Can", "Bottle"]).startswith("Can and 1 more have lost their watches")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_the_limit_is_named_where_the_system_names_it(
    events: FsEvents, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fs_events, "_watch_error", lambda folder: number)
    assert events._why_unwatched(["Can"]).startswith(
        "the system's limit of inotify watches is reached; folders without a watch: 1;"
    )


def test_another_error_is_named(events: FsEvents) -> None:
    assert events._why_unwatched(["gone"]) == "gone cannot be watched: No such file or directory"


@pytest.mark.long
def test_a_class_that_is_unmounted_is_said_and_its_limit_is_not(
    watch: Start, sandbox: RunningSandbox, store: Path, model_id: int, ground: Ground, tmp_path: Path
) -> None:
    shutil.copytree(store / "Can", tmp_path / "disk")
    ground.run(["mount", "--bind", tmp_path / "disk", store / "Can"])
    watching = watch(store, prefix=ground.under)
    wait_until(lambda: in_sync(sandbox, model_id, store))
    wait_until(lambda: watching.reported("watching"))
    sandbox.clear_log()
    # The mounts are known from the first check of the open store on.
    wait_until(lambda: (store / ".astica-sync" / "watch.json").exists())
    wait_until(lambda: '"agreed_at": 1' in (store / ".astica-sync" / "watch.json").read_text())
    ground.run(["umount", "--lazy", store / "Can"])
    wait_until(lambda: any("Can was unmounted: nothing of it is removed" in event["text"] for event in watching.events))
    ground.run(["mount", "--bind", tmp_path / "disk", store / "Can"])
    wait_until(lambda: any("a disk was mounted at Can" in event["text"] for event in watching.events))
    assert not sandbox.requests_of("sample_remove") and not sandbox.requests_of("class_remove")
    assert not any("inotify" in event["text"] for event in watching.events)
