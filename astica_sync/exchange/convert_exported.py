"""Converts the images that an export writes as they are sent (``export --converted``)."""

import unicodedata
from collections.abc import Container
from pathlib import Path

from astica_sync.errors import ImageRejected
from astica_sync.local.backup.prepared_images import PreparedImages
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import preparable, sniff
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.local.image.prepare.usable_formats import why_not_converted

_ENDINGS = {"png": ("png",), "jpeg": ("jpg", "jpeg", "jpe", "jfif")}
"""Those of each format that is sent, the one that a new name gets first."""


class ExportConverter:
    """What is sent in place of an image; for any number of threads. ``formats`` has the content hashes of the images of
    the store that are converted."""

    def __init__(self, formats: Container[str], prepared: PreparedImages, preparer: Preparer) -> None:
        self._formats, self._prepared, self._preparer = formats, prepared, preparer

    def find_sent(self, content: str) -> bytes | None:
        """What was sent in place of an image of the store by the recipe of now, from the backup; None where it is to be
        made, and for an image that is sent as it is.

        Raises:
            StoreError: the record of the backup cannot be read.
        """
        return self._prepared.read(content, self._preparer.recipe.identity) if content in self._formats else None

    def convert(self, content: str, data: bytes) -> bytes:
        """What is sent in place of this image: itself, where its format is not converted.

        Raises:
            ImageRejected: it can be neither sent nor converted; the text says what helps.
            Unworkable: no worker can be started.
            StoreError: the record of the backup cannot be read.
        """
        word = preparable(data)
        if self._preparer.recipe.converts(word):
            sent = self._prepared.read(content, self._preparer.recipe.identity)
            return self._preparer.convert(data) if sent is None else sent
        if word and sniff(data) is None:
            raise ImageRejected(why_not_converted(word))
        return data


class ConvertedNames:
    """The paths of converted images below a folder: with the ending of what they are now, and never that of another
    file."""

    def __init__(self, root: Path) -> None:
        self._root, self._files = root, FileSystem(root)
        self._shared: dict[str, frozenset[str]] = {}

    def path_of(self, path: str, content: str, data: bytes) -> str:
        """The new path of the file at ``path``. It is the same each time, so that ``--into`` finds it again."""
        folder, slash, name = path.rpartition("/")
        stem, ending = _split(name)
        endings = _ENDINGS[sniff(data) or "jpeg"]
        if ending.lower() in endings:
            return path
        if folder not in self._shared:
            self._shared[folder] = self._list_shared(folder)
        mark = f"-{content[:8]}" if _folded(stem) in self._shared[folder] else ""
        return f"{folder}{slash}{stem}{mark}.{endings[0]}"

    def _list_shared(self, folder: str) -> frozenset[str]:
        """The names, without their endings, that several files of a folder have."""
        seen: set[str] = set()
        shared: set[str] = set()
        try:
            for name, _, _ in self._files.name_folder(self._root / folder):
                stem = _folded(_split(name)[0])
                (shared if stem in seen else seen).add(stem)
        except OSError:
            # Then no file of it can be read either.
            pass
        return frozenset(shared)


def _split(name: str) -> tuple[str, str]:
    stem, _, ending = name.rpartition(".")
    return (stem, ending) if stem else (name, "")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
