"""A data set in a folder of this machine. Links are not followed."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from astica_sync.core.exchange.source_path import path_fault
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.source import MOST_BYTES, NotRead, SourceFile, read_bounded, too_large
from astica_sync.local.filesystem import FileSystem, Kind, kind_of
from astica_sync.local.layout import STATE_DIR
from astica_sync.system.error_advice import remedy


class FolderSource:
    """Reads below one folder."""

    def __init__(self, root: Path) -> None:
        self.name: str = str(root)
        self.ended_early: str = ""
        self._root = root.resolve()
        self._files = FileSystem(self._root)
        self._entries: list[SourceFile] | None = None

    def entries(self) -> Sequence[SourceFile]:
        if self._entries is None:
            self._entries = list(self._walk("", 0))
        return self._entries

    def open(self, entry: SourceFile) -> BinaryIO:
        try:
            return self._files.open_read(self._root / str(entry.place))
        except OSError as error:
            raise NotRead(f"it cannot be read: {error.strerror}") from error

    def stream(self, wanted: Callable[[SourceFile], bool]) -> Iterator[tuple[SourceFile, bytes | NotRead]]:
        for entry in self.entries():
            if wanted(entry):
                yield entry, self._read(entry)

    def close(self) -> None:
        pass

    def _read(self, entry: SourceFile) -> bytes | NotRead:
        if entry.size > MOST_BYTES:
            return too_large(entry.size)
        try:
            with self.open(entry) as file:
                data = read_bounded(file, MOST_BYTES)
                if len(data) != os.fstat(file.fileno()).st_size:
                    return NotRead("it changed while it was read; run the command again")
                return data
        except NotRead as reason:
            return reason
        except OSError as error:
            return NotRead(f"it cannot be read: {error.strerror}")

    def _walk(self, below: str, depth: int) -> Iterator[SourceFile]:
        place = self._root / below if below else self._root
        try:
            listed = sorted(self._files.scan_folder(place), key=lambda one: os.fsencode(one[0]))
        except OSError as error:
            if not below:
                raise AsticaSyncError(
                    f"{self._root} cannot be read: {error.strerror}", remedy(error, self._root, writing=False)
                ) from error
            yield SourceFile(below, 0, below, f"it cannot be read: {error.strerror}")
            return
        for name, status in listed:
            path = f"{below}/{name}" if below else name
            kind = None if status is None else kind_of(status)
            if name.startswith("."):
                if name == STATE_DIR and below:
                    yield SourceFile(below, 0, below, "it is a store of astica-sync: export it, and import that")
            elif kind is Kind.FOLDER:
                if depth > 60:
                    yield SourceFile(path, 0, path, "its folders are too deep")
                else:
                    yield from self._walk(path, depth + 1)
            elif kind is Kind.FILE and status is not None:
                yield SourceFile(path, status.st_size, path, path_fault(path))
            elif kind is Kind.SYMLINK:
                yield SourceFile(path, 0, path, "it is a symbolic link, which is not followed")
            else:
                yield SourceFile(path, 0, path, "it is not a regular file, or cannot be read")
