"""What lists a bucket: the objects and the folders directly below a prefix, page by page."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

MOST_NAME_BYTES = 255
"""The longest name of a file on most file systems, to which a restore writes."""


class ListedObject(NamedTuple):
    """One object: its name below the listed prefix, its size in bytes, when it was changed in whole seconds since the
    epoch, and its ETag and version, "" where it has none."""

    name: str
    size: int
    modified: int
    tag: str


class ListedPage(NamedTuple):
    """A part of a list. ``odd`` are the names of keys that are no paths of files, each once. ``has_mark``: the listed
    prefix itself is a key, as consoles make it for an empty folder."""

    objects: list[ListedObject]
    folders: list[str]
    odd: list[str]
    has_mark: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.objects or self.folders or self.odd)


class Lister(Protocol):
    """Lists a bucket."""

    def pages(self, prefix: str) -> Iterator[ListedPage]:
        """The pages below a folder of the source ("" for all of it, else with a slash at the end).

        Raises:
            BucketError: the list is not whole; what was given before proves no absence.
        """
        ...

    def has_any(self, prefix: str) -> bool:
        """Whether a key begins with a prefix of the source.

        Raises:
            BucketError: it is not known.
        """
        ...

    def expect(self, prefixes: Iterable[str]) -> None:
        """These folders will be listed next, in this order, so their lists may be asked for already."""
        ...


def is_usable(name: str) -> bool:
    """Whether a name of one part can be that of a file or a folder."""
    if name.isascii() and name.isprintable() and name not in ("", ".", "..") and len(name) <= MOST_NAME_BYTES:
        return True
    return (
        name not in ("", ".", "..")
        and not any(char < " " or char == "\x7f" for char in name)
        and len(name.encode("utf-8", "replace")) <= MOST_NAME_BYTES
    )
