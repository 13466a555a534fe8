"""The backup: the objects, and the catalog that records which file each of them was.

The order is always: object, its line in the catalog, the mark (by the caller), and only then the request.
"""

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from astica_sync.errors import SourceChanged, StoreError
from astica_sync.local.backup.catalog import CATALOG, CONTENT, Catalog, CatalogEntry
from astica_sync.local.backup.object_store import Hasher, ObjectStore
from astica_sync.local.backup.prepared_images import FOLDER as PREPARED_FOLDER
from astica_sync.local.backup.prepared_images import RECORD as PREPARED_RECORD
from astica_sync.local.backup.prepared_images import PreparedImages
from astica_sync.local.filesystem import FileSystem, Kind, kind_of
from astica_sync.system.error_advice import remedy

LINKED = "one file with another one (a hard link), which may change it"


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The result of hashing one object: ``reason`` is None, or why it cannot be used."""

    content: str
    reason: str | None


class Backup(ObjectStore):
    """The object store in the folder ``root`` with its catalog.

    Any thread and process may read; only the holder of the writer lock may write, in any of its threads.
    """

    def __init__(self, root: Path, files: FileSystem, hasher: Callable[[], Hasher] = xxhash.xxh3_128) -> None:
        super().__init__(root, files, hasher)
        self._catalog = Catalog(root / CATALOG, files)
        self.prepared = PreparedImages(root, files, hasher)

    def add_samples(self, samples: Sequence[tuple[str, str, str]], at: float) -> None:
        """Adds (class title, path, content) to the catalog, durably, with one sync for all.

        ``at`` is in seconds since the epoch.

        Raises:
            BackupDamaged: an object is missing; objects are put first.
            StorageFull, StoreError: the catalog cannot be written.
        """
        entries = []
        for class_title, path, content in samples:
            object_path, size = self.located(content)
            entries.append(CatalogEntry(class_title, path, content, object_path.suffix[1:], size, at))
        try:
            self._catalog.add(entries)
        except OSError as error:
            self.fail(error)

    def samples(self) -> Iterator[CatalogEntry]:
        """Every entry of the catalog in the order of writing; some repeat others.

        Raises:
            StoreError: the catalog exists and cannot be read.
        """
        try:
            yield from self._catalog
        except OSError as error:
            raise StoreError(
                f"the catalog of the backup cannot be read: {error.strerror}",
                remedy(error, self.root, writing=False),
            ) from error

    def entries_of(self, contents: Collection[str]) -> dict[str, list[CatalogEntry]]:
        """The catalog's entries for these objects; an object without any is left out."""
        entries: dict[str, list[CatalogEntry]] = {}
        for entry in self.samples():
            if entry.content in contents and entry not in entries.setdefault(entry.content, []):
                entries[entry.content].append(entry)
        return entries

    def referenced_contents(self) -> set[str]:
        """Every content hash that occurs in the backup outside of the catalog, as those of samples in snapshots do.

        Raises:
            StoreError: a file of the backup cannot be read.
        """
        contents: set[str] = set()
        for path in self._other_files(self.root):
            try:
                with self._files.open_read(path) as file:
                    rest = ""
                    for chunk in self._files.chunks(file):
                        text = rest + chunk.decode("latin-1")
                        contents.update(CONTENT.findall(text))
                        rest = text[-31:]
            except OSError as error:
                raise StoreError(
                    f"{path} of the backup cannot be read: {error.strerror}",
                    remedy(error, path, writing=False),
                ) from error
        return contents

    def _other_files(self, folder: Path) -> Iterator[Path]:
        for name in self._names(folder):
            path = folder / name
            if folder == self.root and name in ("objects", CATALOG, PREPARED_FOLDER, PREPARED_RECORD):
                continue
            if kind_of(self._files.lstat(path)) is Kind.FOLDER:
                yield from self._other_files(path)
            else:
                yield path

    def verify(self, part: tuple[int, int] = (1, 1), expected: Iterable[str] = ()) -> Iterator[VerifyResult]:
        """Hashes every object, and checks that it has one name, and that each one in the catalog or in ``expected``
        exists.

        ``part`` is (n, t): the n-th of t parts. Together they are everything; new objects do not change the parts.

        Raises:
            StoreError: the backup cannot be listed.
        """
        number, parts = part
        seen: set[bytes] = set()
        for content in self.objects():
            if int(content[:8], 16) % parts == number - 1:
                seen.add(bytes.fromhex(content))
                yield VerifyResult(content, self.check(content) or (LINKED if self.is_linked(content) else None))
        for content in itertools.chain((entry.content for entry in self.samples()), expected):
            key = bytes.fromhex(content)
            if key not in seen and int(content[:8], 16) % parts == number - 1:
                seen.add(key)
                yield VerifyResult(content, self.check(content))

    def unnamed(self, part: tuple[int, int] = (1, 1)) -> list[str]:
        """The objects of a part (see ``verify``) that no line of the catalog names, sorted. After a crash there may be
        some; a lost or damaged catalog leaves many, and ``restore`` cannot place them.

        Raises:
            StoreError: the backup cannot be listed, or the catalog exists and cannot be read.
        """
        # The catalog is read last, since another process may add to both.
        number, parts = part
        objects = {bytes.fromhex(content) for content in self.objects() if int(content[:8], 16) % parts == number - 1}
        for entry in self.samples() if objects else ():
            objects.discard(bytes.fromhex(entry.content))
        return sorted(content.hex() for content in objects)

    def repair(self, content: str, sources: Iterable[Path]) -> bool:
        """Writes a damaged, linked or missing object again from the first source whose bytes have its hash.

        Returns whether the object is good now.

        Raises:
            StorageFull, StoreError: the backup cannot be written.
        """
        own = self.find(content) if self.check(content) is None else None
        if own is not None and not self.is_linked(content):
            return True
        for source in [own] if own else sources:
            with contextlib.suppress(SourceChanged):
                self.put(source, content)
                return True
        return False

    def prune(self, contents: Collection[str]) -> int:
        """Removes these objects and their lines in the catalog for good; returns the number of bytes freed.

        The lines are removed first: after a crash there may be objects without a line, and never a line without its
        object.

        Raises:
            StorageFull, StoreError: the backup cannot be written.
        """
        try:
            self._catalog.drop(contents)
        except OSError as error:
            self.fail(error)
        freed = self.prepared.drop(contents)
        return freed + sum(self.discard(content) for content in contents)
