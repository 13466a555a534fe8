"""The backup: the objects, and the catalog that says which of them was which file.

The order is always: object, then its line in the catalog, then, by the caller, the mark, and only then the request.
"""

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from astica_sync.errors import SourceChanged, StoreError
from astica_sync.local.backup.catalog import CONTENT, Catalog, Entry
from astica_sync.local.backup.object_store import Hasher, ObjectStore
from astica_sync.local.filesystem import FileSystem, Kind, kind_of


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of re-hashing one object: None, or why it cannot be relied on."""

    content: str
    reason: str | None


class Backup(ObjectStore):
    """The backup in the folder ``root``.

    Reading may happen from any thread and process; ``put``, ``repair`` and ``add_samples`` belong to the holder of the
    writer lock, in any of its threads.
    """

    def __init__(self, root: Path, fs: FileSystem, hasher: Callable[[], Hasher] = xxhash.xxh3_128) -> None:
        super().__init__(root, fs, hasher)
        self._catalog = Catalog(root / "catalog.jsonl", fs)

    def add_samples(self, samples: Sequence[tuple[str, str, str]], at: float) -> None:
        """Writes (class title, path, content) into the catalog, durably, with one sync for all.

        ``at`` is seconds since the epoch.

        Raises:
            BackupDamaged: the object of one is missing; it comes first.
            StorageFull, StoreError: the catalog cannot be written.
        """
        entries = []
        for class_title, path, content in samples:
            object_path, size = self.located(content)
            entries.append(Entry(class_title, path, content, object_path.suffix[1:], size, at))
        try:
            self._catalog.add(entries)
        except OSError as error:
            self._fail(error)

    def samples(self) -> Iterator[Entry]:
        """Every line of the catalog in the order it was written; some repeat others.

        Raises:
            StoreError: the catalog is there and cannot be read.
        """
        try:
            yield from self._catalog
        except OSError as error:
            raise StoreError(
                f"the catalog of the backup cannot be read: {error.strerror}",
                f"look at the owner, mode and disk of {self.root}",
            ) from error

    def names_of(self, contents: Collection[str]) -> dict[str, list[Entry]]:
        """What the catalog says these objects were; one that it does not know is left out."""
        names: dict[str, list[Entry]] = {}
        for entry in self.samples():
            if entry.content in contents and entry not in names.setdefault(entry.content, []):
                names[entry.content].append(entry)
        return names

    def pinned(self) -> set[str]:
        """Every content hash that is written in the backup outside of the catalog: snapshots name what they need so.

        Raises:
            StoreError: a file of the backup cannot be read.
        """
        pinned: set[str] = set()
        for path in self._other_files(self.root):
            try:
                with self._fs.open_read(path) as file:
                    rest = ""
                    for chunk in self._fs.chunks(file):
                        text = rest + chunk.decode("latin-1")
                        pinned.update(CONTENT.findall(text))
                        rest = text[-31:]
            except OSError as error:
                raise StoreError(f"{path} of the backup cannot be read: {error.strerror}", "mend its rights") from error
        return pinned

    def _other_files(self, folder: Path) -> Iterator[Path]:
        for name in self._names(folder):
            path = folder / name
            if folder == self.root and name in ("objects", "catalog.jsonl"):
                continue
            if kind_of(self._fs.lstat(path)) is Kind.FOLDER:
                yield from self._other_files(path)
            else:
                yield path

    def verify(self, part: tuple[int, int] = (1, 1), expected: Iterable[str] = ()) -> Iterator[Checked]:
        """Re-hashes every object, and looks for each one that the catalog names or that is ``expected``.

        ``part`` is (n, t): the n-th of t parts, which together are everything and stay the same as objects come.

        Raises:
            StoreError: the backup cannot be listed.
        """
        number, parts = part
        seen: set[bytes] = set()
        for content in self.objects():
            if int(content[:8], 16) % parts == number - 1:
                seen.add(bytes.fromhex(content))
                yield Checked(content, self.check(content))
        for content in itertools.chain((entry.content for entry in self.samples()), expected):
            key = bytes.fromhex(content)
            if key not in seen and int(content[:8], 16) % parts == number - 1:
                seen.add(key)
                yield Checked(content, self.check(content))

    def repair(self, content: str, sources: Iterable[Path]) -> bool:
        """Writes a broken or missing object again from the first source whose bytes have its hash.

        Returns whether the object is good now.

        Raises:
            StorageFull, StoreError: the backup cannot be written.
        """
        if self.check(content) is None:
            return True
        for source in sources:
            with contextlib.suppress(SourceChanged):
                self.put(source, content)
                return True
        return False

    def prune(self, contents: Collection[str]) -> int:
        """Removes these objects and their lines in the catalog for good; returns the bytes that came free.

        The lines go first, so that after a crash objects are left that no line names, and never a line without its
        object.

        Raises:
            StorageFull, StoreError: the backup cannot be written; what is gone is gone from both.
        """
        try:
            self._catalog.drop(contents)
        except OSError as error:
            self._fail(error)
        return sum(self.discard(content) for content in contents)
