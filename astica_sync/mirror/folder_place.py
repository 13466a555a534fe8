"""A mirror in a folder: a mounted disk, a NAS, a share."""

import os
from collections.abc import Iterator
from pathlib import Path

from astica_sync.errors import MirrorFailed
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import has_store
from astica_sync.shell_quote import quote
from astica_sync.system.error_advice import reason_of, remedy

TEMPORARY = ".tmp-"


class FolderPlace:
    """Each file is written under another name first, so a killed run leaves no half file under a good name.

    Another user may be able to write in the folder, so no link in it is followed, and what is written there is for this
    user alone.
    """

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            MirrorFailed: the folder is not there. It is not made: the mirror of a disk that is not mounted would be
                on this one.
        """
        self.name: str = str(folder)
        if not folder.is_dir():
            raise MirrorFailed(
                f"the folder of the mirror {folder} is not there",
                f"mount its disk, or make the folder once: mkdir -p {quote(str(folder))}",
            )
        self._folder = folder.resolve()
        self._files = FileSystem(self._folder)
        for above in (self._folder, *self._folder.parents):
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

    def _failed(self, error: OSError, path: Path, verb: str) -> MirrorFailed:
        return MirrorFailed(f"{path} of the mirror cannot be {verb}: {reason_of(error)}", remedy(error, path))
