"""Work on many files is cut into shards of hundreds, with several for each thread that works on them."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.shards import (
    LEAST_IN_SHARD,
    MOST_BYTES,
    MOST_IN_SHARD,
    files_in_shard,
    fits,
    most_in_flight,
)


@given(files=st.integers(0, 10**7), slots=st.integers(0, 5_000))
def test_a_shard_is_neither_tiny_nor_large(files: int, slots: int) -> None:
    size = files_in_shard(files, slots)
    assert LEAST_IN_SHARD <= size <= MOST_IN_SHARD
    # Where there is work for all, each thread gets several shards, so that none waits long for the last one.
    if LEAST_IN_SHARD < size < MOST_IN_SHARD:
        assert size - 1 < files / (4 * max(slots, 1)) <= size


def test_few_files_are_shared_and_many_are_not_cut_small() -> None:
    assert files_in_shard(800, 4) == 50
    assert files_in_shard(1_000_000, 4) == MOST_IN_SHARD
    assert files_in_shard(40, 64) == LEAST_IN_SHARD


def test_little_is_in_flight() -> None:
    assert [most_in_flight(slots) for slots in (0, 1, 8)] == [0, 2, 16]


def test_a_large_file_is_a_shard_by_itself() -> None:
    assert fits(0, 0, 10 * MOST_BYTES)
    assert not fits(1, 10, MOST_BYTES)
    assert fits(1, MOST_BYTES - 10, 10)
