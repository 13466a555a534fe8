"""What the C library (glibc) does with memory that is not used any more; with another one nothing changes."""

import contextlib
import ctypes

_MMAP_THRESHOLD = -3
"""Of mallopt(3): from how many bytes on memory is not a part of the heap."""
_LARGE = 1 << 20


def keep_large_apart() -> None:
    """From now on memory of a megabyte or more goes back to the system when it is freed. By itself glibc puts what is
    as large as anything that was freed before, up to 32 MB, into its heap, where small pieces hold it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


def return_memory() -> None:
    """Gives the system back what is not used any more."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
