"""The watcher's lines: what waits for its upload, for its file to settle, for its moment."""

import pytest

from astica_sync.core.plan.plan import Upload
from astica_sync.core.watch import debounce
from astica_sync.core.watch.debounce import Debouncer
from astica_sync.core.watch.scheduler import Scheduler
from astica_sync.core.watch.upload_queue import UploadQueue


def upload(name: str) -> Upload:
    return Upload(name, "Can", f"Can/{name}.jpg", 1)


def test_a_new_plan_replaces_the_whole_backlog() -> None:
    backlog = UploadQueue()
    backlog.add([upload("a"), upload("b")])
    backlog.replace([upload("b"), upload("c")])
    assert len(backlog) == 2
    assert "a" not in backlog
    assert {entry.uid for entry in backlog.take(9)} == {"b", "c"}


def test_the_next_look_is_the_earliest_one_asked_for() -> None:
    schedule = Scheduler(observe_every=900.0)
    schedule.request_scan(50.0)
    schedule.request_scan(70.0)
    assert schedule.scan_at == 50.0
    schedule.request_scan(40.0)
    assert schedule.scan_at == 40.0


def test_what_is_not_remembered_of_a_flood_of_events_settles_by_its_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debounce, "MAX_FILES", 2)
    debouncer = Debouncer(quiet_seconds=1.0)
    debouncer.written("a", 0.0)
    debouncer.closed("b", 0.0)
    debouncer.written("c", 0.0)
    debouncer.closed("d", 0.0)
    assert debouncer.quiet_at("b", "face", 0.0, 0.0) == 0.0
    # Nothing is known of these, so they must lie unchanged for the usual second.
    assert debouncer.quiet_at("c", "face", 0.0, 0.0) == 1.0
    assert debouncer.quiet_at("d", "face", 0.0, 0.0) == 1.0
