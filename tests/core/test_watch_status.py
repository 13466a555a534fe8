"""The status of a watcher keeps the last errors and counts all."""

import json

import pytest

from astica_sync.core.watch.watch_status import MAX_ERRORS, MAX_WAITS, WatchState, WatchStatus


def test_the_last_errors_are_kept_and_all_are_counted_by_kind() -> None:
    status = WatchStatus("store", 1, 0.0)
    for number in (1, 1, *range(2, MAX_ERRORS + 3)):
        status.add_error(f"error {number}", "network")
    assert status.errors == [f"error {number}" for number in range(3, MAX_ERRORS + 3)]
    assert status.troubles == {"network": MAX_ERRORS + 3}


def test_a_long_list_of_waits_is_cut_in_the_data_alone() -> None:
    status = WatchStatus("store", 1, 0.0, waits=[str(number) for number in range(MAX_WAITS + 1)])
    assert len(status.as_data()["waits"]) == MAX_WAITS
    assert len(status.waits) == MAX_WAITS + 1


def test_a_status_is_read_as_it_was_written() -> None:
    status = WatchStatus(
        "store", 4711, 1.8e9, WatchState.WORKING, 1.8e9, "why", 1.8e9, None, "", 3, ["wait"], ["refusal"], 1, 2, 3, 4,
        {"rejected": 5}, {"network": 1}, 12.5, 0.25, ["error"],
    )  # fmt: skip
    assert WatchStatus.from_data(json.loads(json.dumps(status.as_data()))) == status
    assert WatchStatus.from_data(json.loads(json.dumps(WatchStatus("store", 1, 0.0).as_data()))).state == "starting"
    for name, value in {"pid": "1", "since": None, "waits": [1], "failures": {"a": "b"}, "state": "odd"}.items():
        with pytest.raises(ValueError):
            WatchStatus.from_data({**status.as_data(), name: value})
    for odd in ([], {"state": "idle"}, {**status.as_data(), "other": 1}):
        with pytest.raises(ValueError):
            WatchStatus.from_data(odd)
