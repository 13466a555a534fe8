"""A mirror or an inbox in a folder: a mounted disk, a NAS, a share."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from astica_sync.errors import MirrorFailed
from astica_sync.local.filesystem import FileSystem, temp_name
from astica_sync.local.layout import has_store
from astica_sync.mirror.place import Added, PlaceEntry
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import reason_of, remedy

TEMPORARY = ".tmp-"


class FolderPlace:
    """Each file is written under another name first, so a killed run leaves no half file under a good name.

    Another user may be able to write in the folder, so no link in it is followed, and what is written there is for this
    user alone.
    """

    def __init__(self, folder: Path, what: str = "mirror", *, shared: bool = False) -> None:
        """``what`` is what messages call the place; ``shared``: others write to it, and may put anything there.

        Raises:
            MirrorFailed: the folder is not there. It is not made: the mirror of a disk that is not mounted would be
                on this one.
        """
        # Recorded in the store, where a later command reads it from another folder.
        folder = folder.absolute()
        self.name: str = str(folder)
        self._what = what
        if not folder.is_dir():
            raise MirrorFailed(
                f"the folder of the {what} {folder} is not there",
                f"mount its disk, or make the folder once: mkdir -p {quote_path(str(folder))}",
            )
        self._folder = folder.resolve()
        self._files = FileSystem(self._folder)
        for above in self._folder.parents if shared else (self._folder, *self._folder.parents):
            if has_store(above):
                raise MirrorFailed(
                    f"{folder} is inside the store {above}, and would be lost with it", "name a folder on another disk"
                )

    def sizes(self) -> Iterator[tuple[str, int]]:
        waiting = [self._folder]
        while waiting:
            here = waiting.pop()
            try:
                with os.scandir(here) as listing:
                    for entry in listing:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(Path(entry.path))
                        elif entry.is_file(follow_symlinks=False) and not entry.name.startswith(TEMPORARY):
                            path = Path(entry.path).relative_to(self._folder)
                            yield path.as_posix(), entry.stat(follow_symlinks=False).st_size
            except OSError as error:
                raise self._failed(error, here, "listed") from error

    def read(self, name: str) -> bytes | None:
        try:
            with self._files.open_read(self._folder / name) as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error, self._folder / name, "read") from error

    def write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        try:
            with self._files.hold_folder(self._folder, Path(name).parts[:-1], 0o700) as held:
                self._files.write_synced(held / path.name, [data], 0o600)
        except OSError as error:
            raise self._failed(error, path, "written") from error

    def entries(self, below: str = "") -> Iterator[PlaceEntry]:
        waiting = [below]
        while waiting:
            here = waiting.pop()
            try:
                for name, status in self._files.scan_folder(self._folder / here if here else self._folder):
                    path = f"{here}/{name}" if here else name
                    if status is None or name.startswith(TEMPORARY):
                        continue
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(path)
                    elif stat.S_ISREG(status.st_mode):
                        yield PlaceEntry(path, status.st_size, str(status.st_mtime_ns))
            except OSError as error:
                if not here:
                    raise self._failed(error, self._folder, "listed") from error
                if not isinstance(error, FileNotFoundError):
                    yield PlaceEntry(here, 0, fault=f"the folder cannot be listed: {reason_of(error)}")

    def read_start(self, name: str, most: int) -> bytes | None:
        try:
            with self._files.open_read(self._folder / name) as file:
                pieces, left = [], most
                while left and (piece := file.read(min(left, 1 << 20))):
                    pieces.append(piece)
                    left -= len(piece)
                return b"".join(pieces)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error, self._folder / name, "read") from error

    def add(self, name: str, data: bytes) -> Added:
        """The file can be read by whom the folder allows it, since another user may take it in."""
        path = self._folder / name
        try:
            mode = self._folder.stat().st_mode
            with self._files.hold_folder(self._folder, Path(name).parts[:-1], mode & 0o777 | 0o700) as held:
                target = held / path.name
                if (there := self._size_of(target)) is None:
                    temporary = temp_name(target)
                    self._files.write_synced(temporary, [data], mode & 0o666 | 0o600)
                    try:
                        self._files.publish_new(temporary, target)
                    except FileExistsError:
                        there = self._size_of(target)
                    else:
                        return Added.WRITTEN
        except OSError as error:
            raise self._failed(error, path, "written") from error
        return Added.THERE if there == len(data) else Added.OTHER

    def _size_of(self, path: Path) -> int | None:
        """The size of a regular file, -1 of anything else, and None where there is nothing."""
        try:
            status = self._files.lstat(path)
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else -1

    def _failed(self, error: OSError, path: Path, verb: str) -> MirrorFailed:
        return MirrorFailed(f"{path} of the {self._what} cannot be {verb}: {reason_of(error)}", remedy(error, path))
