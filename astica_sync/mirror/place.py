"""Where a mirror or an inbox lies: files by name, in a bucket or in a folder."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol


class PlaceEntry(NamedTuple):
    """One file as it was listed. ``version`` changes with its bytes, "" where the place does not tell. ``fault`` is why
    this file, or those of its folder, cannot be listed; "" where they are."""

    name: str
    size: int
    version: str = ""
    fault: str = ""


class Added(StrEnum):
    """What became of a file that was to be added."""

    WRITTEN = "written"
    THERE = "there"
    """A file of this name and size is there."""
    OTHER = "other"
    """A file of this name and another size is there, and stays."""


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

    def entries(self, below: str = "") -> Iterator[PlaceEntry]:
        """As ``sizes``, of one folder where ``below`` names it; what cannot be listed is an entry with that fault."""
        ...

    def read_start(self, name: str, most: int) -> bytes | None:
        """The bytes of a file, at most so many; None where there is none."""
        ...

    def add(self, name: str, data: bytes) -> Added:
        """Writes a file as a whole if there is none of this name; one that is there stays as it is."""
        ...
