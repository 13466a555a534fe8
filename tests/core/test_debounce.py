"""When a written file is complete; time is an argument."""

import pytest

from astica_sync.core.watch import debounce
from astica_sync.core.watch.debounce import OPEN_TIMEOUT, Debouncer


def test_a_closed_file_is_complete_immediately() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("a", 10.0)
    assert debouncer.quiet_at("a", 1, age=5.0, now=10.5) == 10.0 + OPEN_TIMEOUT
    debouncer.closed("a", 11.0)
    assert debouncer.quiet_at("a", 1, age=0.0, now=11.0) == 11.0
    assert len(debouncer) == 0


def test_a_file_that_stays_open_is_complete_after_ten_minutes_without_a_write() -> None:
    debouncer = Debouncer(1.0)
    for now in range(0, 7200, 60):
        debouncer.written("a", float(now))
        assert debouncer.quiet_at("a", now, age=3600.0, now=now + 59.0) > now + 59.0
    assert debouncer.quiet_at("a", 0, age=0.0, now=7140.0 + OPEN_TIMEOUT) <= 7140.0 + OPEN_TIMEOUT


def test_a_file_is_open_until_it_is_closed_or_was_not_written_to_for_ten_minutes() -> None:
    debouncer = Debouncer(1.0)
    assert not debouncer.is_open("a", 0.0)
    debouncer.written("a", 10.0)
    assert debouncer.is_open("a", 11.0) and not debouncer.is_open("a", 10.0 + OPEN_TIMEOUT)
    debouncer.closed("a", 12.0)
    assert not debouncer.is_open("a", 12.0)


def test_a_file_without_events_is_complete_when_its_signature_did_not_change() -> None:
    debouncer = Debouncer(1.0)
    assert debouncer.quiet_at("old", "x", age=3600.0, now=0.0) == 0.0
    assert debouncer.quiet_at("a", "x", age=0.1, now=0.0) == 1.0
    assert debouncer.quiet_at("a", "y", age=0.1, now=0.9) == 1.9
    assert debouncer.quiet_at("a", "y", age=0.1, now=1.9) == 1.9
    assert len(debouncer) == 0


def test_a_file_time_in_the_future_only_costs_a_second_check() -> None:
    debouncer = Debouncer(1.0)
    assert debouncer.quiet_at("a", "x", age=-500.0, now=0.0) == 1.0
    assert debouncer.quiet_at("a", "x", age=-499.0, now=1.0) == 1.0


def test_a_renamed_file_is_still_being_written() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("temp", 0.0)
    debouncer.moved("temp", "a", 1.0)
    assert debouncer.quiet_at("a", "x", age=9.0, now=2.0) > 2.0
    debouncer.closed("temp2", 0.0)
    debouncer.moved("temp2", "b", 1.0)
    assert debouncer.quiet_at("b", "x", age=0.0, now=1.0) == 1.0


def test_old_events_and_signatures_are_forgotten() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("a", 0.0)
    debouncer.quiet_at("b", "x", age=0.0, now=0.0)
    debouncer.forget_before(0.5)
    assert len(debouncer) == 0


def test_files_beyond_the_limit_of_events_are_complete_when_they_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debounce, "MAX_FILES", 2)
    debouncer = Debouncer(quiet_seconds=1.0)
    debouncer.written("a", 0.0)
    debouncer.closed("b", 0.0)
    debouncer.written("c", 0.0)
    debouncer.closed("d", 0.0)
    assert debouncer.quiet_at("b", "face", 0.0, 0.0) == 0.0
    # Their events were not kept, so they must not change for the usual second.
    assert debouncer.quiet_at("c", "face", 0.0, 0.0) == 1.0
    assert debouncer.quiet_at("d", "face", 0.0, 0.0) == 1.0


def test_a_removed_file_is_forgotten() -> None:
    debouncer = Debouncer(1.0)
    debouncer.written("a", 10.0)
    debouncer.removed("a")
    assert len(debouncer) == 0
