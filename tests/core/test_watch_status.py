"""The status of a watcher keeps the last errors and counts all."""

from astica_sync.core.watch.watch_status import MAX_ERRORS, MAX_WAITS, WatchStatus


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
