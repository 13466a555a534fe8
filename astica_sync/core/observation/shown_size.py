"""Compares the size of an image with the size that the service shows for a sample, in megabytes."""

from collections.abc import Iterable, Sequence
from itertools import islice

BYTES_PER_MEGABYTE = (1_000_000, 1 << 20)
"""The two meanings of a megabyte; the documentation does not say which one applies."""

MAX_DECIMALS = 6
FEW_BYTES = 3.0
"""What a service may be wrong by that computes a size from the length of the base64 text."""
_LOOKED_AT = 1000


def count_decimals(megabytes: Iterable[float]) -> int:
    """How many decimals the service shows: those of the longest figure, at least one."""
    longest = max((len(f"{value:.{MAX_DECIMALS}f}".rstrip("0").partition(".")[2]) for value in megabytes), default=0)
    return max(1, longest)


def decimals_of_view(megabytes: Sequence[float]) -> int:
    """As ``count_decimals``, from some of the sizes of a view; 0 where none of them is known."""
    every = max(1, len(megabytes) // _LOOKED_AT)
    known = [size for size in islice(megabytes, 0, None, every) if size]
    return count_decimals(known) if known else 0


def fits(size: int, megabytes: float, decimals: int) -> bool:
    """Whether an image of ``size`` bytes can be shown with so many megabytes, rounded or cut to so many decimals. A
    size that is not shown fits every image."""
    if not megabytes or not decimals:
        return True
    steps = [unit / 10**decimals for unit in BYTES_PER_MEGABYTE]
    return any(
        megabytes * unit - max(FEW_BYTES, step / 2) <= size <= megabytes * unit + max(FEW_BYTES, step)
        for unit, step in zip(BYTES_PER_MEGABYTE, steps, strict=True)
    )
