"""What every source offers: the list of its files, and their bytes, with bounds on both."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from astica_sync.errors import AsticaSyncError

MOST_BYTES = 100_000_000
"""Of one image: it is held in memory. The service takes 20 MB."""
MOST_TABLE = 64_000_000
"""Of one file of labels, and of all that are kept in memory of an archive that is read from its beginning."""
MOST_RATIO = 200
"""An archive that unpacks an image to so many times its size is a bomb: images are compressed already."""
MOST_FILES = 5_000_000
CHUNK = 1 << 20


class NotRead(Exception):
    """One file cannot be read, and the others can; the message is the reason."""


class SourceLost(NotRead):
    """The bytes that all files come from are given no more; the message is the reason."""


class SourceFile(NamedTuple):
    """One file of the source. ``path`` is plain (see ``plain_path``); ``place`` is how the source finds it. ``fault``
    is why it is not read, "" where it is."""

    path: str
    size: int
    place: str | int = 0
    fault: str = ""


class Source(Protocol):
    """A source that is open; ``close`` it."""

    name: str
    ended_early: str
    """Why the list of files is not whole, "" where it is."""

    def entries(self) -> Sequence[SourceFile]:
        """Every file, in the order in which they are read fastest.

        Raises:
            AsticaSyncError: the source cannot be read at all.
        """

    def open(self, entry: SourceFile) -> BinaryIO:
        """A file that is no image: a table, a shard.

        Raises:
            NotRead: it cannot be read.
        """

    def stream(self, wanted: Callable[[SourceFile], bool]) -> Iterator[tuple[SourceFile, bytes | NotRead]]:
        """The bytes of each file that is wanted, or why they cannot be read, in the order of ``entries``."""

    def close(self) -> None: ...


def read_bounded(file: BinaryIO, most: int) -> bytes:
    """All bytes of a file that has at most so many.

    Raises:
        NotRead: it has more.
        OSError: it cannot be read.
    """
    pieces, total = [], 0
    while piece := file.read(min(CHUNK, most + 1 - total)):
        pieces.append(piece)
        total += len(piece)
        if total > most:
            raise too_large(total)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def too_large(size: int) -> NotRead:
    return NotRead(f"it has more than {MOST_BYTES // 1_000_000} MB ({size / 1e6:,.0f} MB), which is no image for this")


def lost_source(name: str, lost: SourceLost) -> AsticaSyncError:
    reason = str(lost).removeprefix("it cannot be read: ")
    return AsticaSyncError(f"{name} cannot be read: {reason}", "Run the command again once the bucket gives it.")


def table_of(source: Source, entry: SourceFile) -> bytes:
    """The bytes of a file of labels.

    Raises:
        NotRead: it cannot be read, or is too large.
        AsticaSyncError: no other file can be read either. Without its labels an image would get another class.
    """
    if entry.fault:
        raise NotRead(entry.fault)
    try:
        with source.open(entry) as file:
            return read_bounded(file, MOST_TABLE)
    except SourceLost as lost:
        raise lost_source(source.name, lost) from lost
    except OSError as error:
        raise NotRead(f"it cannot be read: {error.strerror or error}") from error
