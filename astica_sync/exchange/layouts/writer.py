"""What all writers of layouts have in common: the sample that they get, and the place that they write to."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, Protocol

from astica_sync.core.exchange.dataset_row import Part

_IN_MEMORY = 4_000_000


@dataclass(frozen=True, slots=True)
class ExportSample:
    """One sample. ``path`` begins with its class; ``is_split``: there are held-out samples as well."""

    path: str
    title: str
    content: str
    part: Part
    is_split: bool


class Target(Protocol):
    """A folder or an archive that is written to; nothing in it is overwritten."""

    def add(self, path: str, data: bytes) -> None:
        """
        Raises:
            AsticaSyncError: it cannot be written, or another file has that path.
        """

    def add_file(self, path: str, file: BinaryIO, size: int) -> None:
        """As ``add``, of a file that is open at its beginning."""


class Writer(Protocol):
    def add(self, sample: ExportSample, data: bytes) -> None: ...

    def finish(self) -> None: ...


class TextFile:
    """A table of which the lines come one by one, put into the target at the end."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by put_into
        self.count: int = 0

    def write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "backslashreplace"))

    def line(self, value: object) -> None:
        """One more JSON value, on a line of its own."""
        self.write(json.dumps(value, ensure_ascii=False) + "\n")
        self.count += 1

    def item(self, value: object) -> None:
        """One more item of a JSON list."""
        self.write((",\n" if self.count else "") + json.dumps(value, ensure_ascii=False))
        self.count += 1

    def put_into(self, target: Target, path: str) -> None:
        with contextlib.closing(self._file):
            size = self._file.tell()
            self._file.seek(0)
            target.add_file(path, self._file, size)  # type: ignore[arg-type]

    def pieces(self) -> Iterator[str]:
        """The whole text; the file is closed then."""
        with contextlib.closing(self._file):
            self._file.seek(0)
            while piece := self._file.read(1 << 20):
                yield piece.decode("utf-8")


def part_folder(sample: ExportSample) -> str:
    """The folder of the part, with a slash; "" where nothing is held out."""
    return f"{sample.part}/" if sample.is_split else ""
