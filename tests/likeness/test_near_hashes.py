"""Hashes that differ in few bits are found, as by comparing all with all; many equal ones take no longer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.likeness.near_hashes import MOST_NEIGHBOURS, HashIndex, find_near


def planted(seed: int, count: int, flips: int) -> np.ndarray:
    dice = np.random.default_rng(seed)
    hashes = dice.integers(0, 1 << 63, count, np.uint64)
    copies = hashes[: count // 2].copy()
    for _ in range(flips):
        copies ^= np.uint64(1) << dice.integers(0, 64, len(copies), np.uint64)
    return np.concatenate((hashes, copies))


@given(st.integers(0, 1000), st.integers(0, 3))
def test_all_that_differ_in_three_bits_are_found(seed: int, flips: int) -> None:
    hashes = planted(seed, 60, flips)
    rows, columns, distance = find_near(hashes, hashes, most=3)
    found = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(found) == len(rows), "each once"
    every = np.bitwise_count(hashes[:, None] ^ hashes[None])
    assert found == set(zip(*(places.tolist() for places in np.nonzero(every <= 3)), strict=True))
    assert all(every[row, column] == bits for row, column, bits in zip(rows, columns, distance, strict=True))


@given(st.integers(0, 1000), st.integers(0, 8), st.integers(0, 10))
def test_those_with_an_equal_band_are_found_by_how_many_bits_differ(seed: int, flips: int, most: int) -> None:
    hashes, queries = planted(seed, 60, flips), planted(seed, 40, flips + 1)
    rows, columns, distance = HashIndex(hashes).find_near(queries, most=most)
    differing = queries[:, None] ^ hashes[None]
    bands = (differing[..., None] >> (np.uint64(16) * np.arange(4, dtype=np.uint64))) & np.uint64(0xFFFF)
    wanted = (np.bitwise_count(differing) <= most) & (bands == 0).any(-1)
    assert sorted(map(list, zip(rows.tolist(), columns.tolist(), strict=True))) == np.argwhere(wanted).tolist()
    assert distance.tolist() == np.bitwise_count(differing)[rows, columns].tolist()


def test_more_queries_than_are_compared_at_once() -> None:
    hashes = planted(1, 70_000, 2)
    rows, columns, distance = find_near(hashes, hashes, most=2)
    found = set(zip(rows.tolist(), columns.tolist(), strict=True))
    count = len(hashes) // 3 * 2
    copies = {(place, place + count) for place in range(count // 2)}
    assert (
        copies | {(copy, place) for place, copy in copies} <= found and len(found) == len(rows) and distance.max() == 2
    )


@pytest.mark.long
def test_among_many_equal_hashes_each_is_compared_with_its_neighbours() -> None:
    hashes = np.full(20_000, 7, np.uint64)
    rows, columns, _ = find_near(hashes, hashes)
    assert len(rows) == len(hashes) * MOST_NEIGHBOURS
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)


def test_no_hashes_are_near_none() -> None:
    empty = np.empty(0, np.uint64)
    assert [len(each) for each in find_near(empty, empty)] == [0, 0, 0]
