"""Where a mirror lies: files by name, in a bucket or in a folder."""

from collections.abc import Iterator
from typing import Protocol


class Place(Protocol):
    """Files by names with slashes. Any thread may use it.

    Raises from every method:
        MirrorFailed: the place cannot be used; the message says why.
    """

    name: str
    """As the user named it, without a password."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Every file with its size in bytes."""
        ...

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Writes a file as a whole, in place of an earlier one."""
        ...
