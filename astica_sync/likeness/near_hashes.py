"""Finds hashes of 64 bits that differ in few bits, among a million of them.

Each hash is cut into four bands of 16 bits. Two hashes are compared where one of their bands is equal, so a pair that
differs in three bits or fewer is always found, and one that differs in more bits mostly.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

BANDS = 4
MAX_DISTANCE = 10
"""How many of the 64 bits of candidates may differ."""
MOST_NEIGHBOURS = 64
"""Where more hashes than this have the same band, each is compared with so many of its neighbours in the order of the
whole hashes, so that a million equal ones take no longer than a million different ones."""

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.integer[Any]]
_AT_ONCE = 1 << 16
"""So many queries are compared at once: what is computed about them stays in the processor's caches."""


class HashIndex:
    """Hashes in the order of each of their bands, made once for any number of queries.

    For each band the hashes are rotated so that the band comes first. Those with an equal band are then side by side,
    and the number of bits in which two of them differ is the same.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._orders: list[npt.NDArray[np.int32]] = []
        self._sorted: list[Hashes] = []
        self._starts: list[npt.NDArray[np.int64]] = []
        for band in range(BANDS):
            rotated = _rotate(hashes, band)
            order = np.argsort(rotated)
            self._orders.append(order.astype(np.int32))
            self._sorted.append(rotated[order])
            self._starts.append(np.searchsorted(self._sorted[-1] >> np.uint64(48), np.arange(0x10001, dtype=np.uint64)))

    def find_near(self, queries: Hashes, *, most: int = MAX_DISTANCE) -> "tuple[Places, Places, Places]":
        """The pairs (index of a query, index of a hash, number of bits that differ), each pair once."""
        found = [
            self._in_band(band, queries[start : start + _AT_ONCE], start, most)
            for start in range(0, len(queries), _AT_ONCE)
            for band in range(BANDS)
        ]
        rows, columns, distances = np.concatenate([np.empty((3, 0), np.int64), *found], axis=1)
        return rows, columns, distances

    def _in_band(self, band: int, queries: Hashes, start: int, most: int) -> npt.NDArray[np.int64]:
        """The pairs whose band is equal and no band before it is: those were found there."""
        order, hashes, starts = self._orders[band], self._sorted[band], self._starts[band]
        asked = _rotate(queries, band)
        wanted = (asked >> np.uint64(48)).astype(np.int64)
        first, last = starts[wanted], starts[wanted + 1]
        crowded = np.flatnonzero(last - first > MOST_NEIGHBOURS)
        if len(crowded):
            middle = np.searchsorted(hashes, asked[crowded]) - MOST_NEIGHBOURS // 2
            first[crowded] = np.clip(middle, first[crowded], last[crowded] - MOST_NEIGHBOURS)
            last[crowded] = first[crowded] + MOST_NEIGHBOURS
        # Those with the most neighbours come first, so that the ones which have another neighbour are a slice.
        counts = last - first
        by_count = np.argsort(-counts, kind="stable")
        asked, first, counts = asked[by_count], first[by_count], counts[by_count]
        found = []
        for step in range(int(counts[0]) if len(counts) else 0):
            having = int(np.searchsorted(-counts, -step))
            differing = hashes[first[:having] + step] ^ asked[:having]
            near = np.flatnonzero(np.bitwise_count(differing) <= most)
            if len(near):
                differing = differing[near]
                is_new = np.ones(len(near), np.bool_)
                for before in range(1, band + 1):
                    # The band so many places before this one has been rotated to the end.
                    is_new &= (differing >> np.uint64(16 * (before - 1))) & np.uint64(0xFFFF) != 0
                near, differing = near[is_new], differing[is_new]
                columns = order[first[near] + step]
                found.append(np.stack((by_count[near] + start, columns, np.bitwise_count(differing))).astype(np.int64))
        return np.concatenate([np.empty((3, 0), np.int64), *found], axis=1)


def find_near(queries: Hashes, hashes: Hashes, *, most: int = MAX_DISTANCE) -> "tuple[Places, Places, Places]":
    """The pairs (index of a query, index of a hash, number of bits that differ), each pair once."""
    return HashIndex(hashes).find_near(queries, most=most)


def _rotate(hashes: Hashes, band: int) -> Hashes:
    """The hashes with this band as their highest bits. Band 0 is the highest one."""
    if not band:
        return hashes
    return (hashes << np.uint64(16 * band)) | (hashes >> np.uint64(64 - 16 * band))
