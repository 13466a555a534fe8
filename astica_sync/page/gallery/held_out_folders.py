"""The images of the held-out folders of a store, as rows of its gallery. They are looked at and never changed.

A folder is found by the list that ``astica-sync split`` has left in it, or named with ``--held-out``.
"""

import contextlib
import os
import threading
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from astica_sync.core.gallery.image_state import ImageState, Shown, WithoutFile
from astica_sync.core.model import make_scope, make_uid
from astica_sync.core.versions.label_spelling import LabelSpelling
from astica_sync.errors import AsticaSyncError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES
from astica_sync.training.find_images import hash_image, list_images
from astica_sync.training.move_held_out import SPLIT_FILE, read_split

_MOST_NEIGHBOURS = 500
"""So many folders beside the store are looked at for a list of held-out images."""
_DEEPEST = 6
_SHOWN = Shown(ImageState.HELD_OUT, "it is in the held-out folder: versions are evaluated on it, none is trained on it")


@dataclass(frozen=True, slots=True)
class HeldOutFile:
    """One image of a held-out folder. ``path`` is relative to the folder, ``title`` its class."""

    folder: Path
    path: str
    title: str
    content: str
    size: int
    mtime_ns: int


class HeldOutFolders:
    """The held-out folders of one store. ``look`` is for one thread at a time, all else for any."""

    def __init__(
        self, store: Path, model_id: int, named: Sequence[Path] = (), formats: Collection[str] | None = None
    ) -> None:
        """``formats`` as for ``list_images``."""
        self._formats = formats
        self._store, self._model_id = store, model_id
        self._named = [folder.absolute() for folder in named]
        self._looking = threading.Lock()
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._files: dict[tuple[str, str], HeldOutFile] = {}
        self._by_content: dict[str, HeldOutFile] = {}
        self._seen: object = None
        self.folders: tuple[Path, ...] = ()
        self.revision: int = 0
        """Another one once the images have changed."""

    def look(self, places: Iterable[str] = (), *, again: bool = False) -> bool:
        """Looks at the folders; whether something has changed. ``places`` are where the journal says that images were
        moved to. ``again``: also at those in which no file has come or gone."""
        with self._looking:
            self.folders = tuple(self._find_folders(places))
            seen = [_dates_of(folder) for folder in self.folders]
            if seen == self._seen and not again:
                return False
            files: dict[tuple[str, str], HeldOutFile] = {}
            for folder in self.folders:
                with contextlib.suppress(AsticaSyncError, OSError):
                    for file in self._list(folder):
                        # The same image counts once in a class, as in an evaluation.
                        files.setdefault((file.content, file.title), file)
            self._seen = seen
            if files == self._files:
                return False
            self._files, self._by_content = files, {file.content: file for file in files.values()}
            self.revision += 1
            return True

    def find(self, titles: Collection[str] = ()) -> Iterator[WithoutFile]:
        """The images as rows of the gallery, with their classes spelled as in ``titles``."""
        spelling = LabelSpelling(titles)
        for file in self._files.values():
            title = spelling.spell(file.title)
            uid = make_uid(file.content, make_scope(self._model_id, title))
            yield WithoutFile(uid, title, 0, file.path, _SHOWN, file.size, file.mtime_ns)

    def file_of(self, content: str) -> Path | None:
        """The file with a content hash."""
        file = self._by_content.get(content)
        return None if file is None else file.folder / file.path

    def load(self, content: str) -> bytes | None:
        """The bytes with a content hash; None where no file has them now."""
        file = self._by_content.get(content)
        if file is None:
            return None
        try:
            _, data, _ = FileSystem(file.folder).read_small(file.folder / file.path, MAX_SOURCE_BYTES)
        except OSError:
            return None
        return data if data is not None and xxhash.xxh3_128_hexdigest(data) == content else None

    def _find_folders(self, places: Iterable[str]) -> Iterator[Path]:
        maybe = {folder for place in places for folder in list(Path(place).parents)[1:_DEEPEST]}
        with contextlib.suppress(OSError), os.scandir(self._store.parent) as listing:
            for _, entry in zip(range(_MOST_NEIGHBOURS), listing, strict=False):
                if entry.is_dir(follow_symlinks=False):
                    maybe.add(Path(entry.path))
        found = [folder for folder in sorted(maybe) if (folder / SPLIT_FILE).is_file() and self._is_ours(folder)]
        # What lies in the store is in the store.
        whole = [folder for folder in self._named if not folder.resolve().is_relative_to(self._store)]
        yield from dict.fromkeys([*whole, *found])

    def _is_ours(self, folder: Path) -> bool:
        try:
            split = read_split(folder)
        except AsticaSyncError:
            return False
        return split is not None and split.store == self._store

    def _list(self, folder: Path) -> Iterator[HeldOutFile]:
        for path in list_images(folder, self._formats):
            below = path.relative_to(folder)
            if len(below.parts) == 1 or path.is_symlink():
                continue
            with contextlib.suppress(OSError):
                status = path.stat(follow_symlinks=False)
                key = str(path), status.st_size, status.st_mtime_ns
                content = self._hashes[key] = self._hashes.get(key) or hash_image(path, folder)
                title = unicodedata.normalize("NFC", below.parts[0])
                yield HeldOutFile(folder, below.as_posix(), title, content, status.st_size, status.st_mtime_ns)


def _dates_of(folder: Path) -> object:
    """The same as long as no file has come or gone in the class folders."""
    found = [(str(folder), _mtime(folder))]
    with contextlib.suppress(OSError), os.scandir(folder) as listing:
        found += [(entry.path, _mtime(entry.path)) for entry in listing if entry.is_dir(follow_symlinks=False)]
    return sorted(found)


def _mtime(path: Path | str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - paths as the listing has them
    except OSError:
        return 0
