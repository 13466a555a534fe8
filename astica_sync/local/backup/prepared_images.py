"""The images that were sent in place of others: what an image that the service does not take was converted to.

``prepared.jsonl`` has one line for each such image and each recipe that it was converted by: the content hash of the
original, which is an object of the backup, and that of what was sent, which is in ``prepared/``. The last line about an
original and a recipe counts.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from astica_sync.errors import BackupDamaged, StoreError
from astica_sync.local.backup.catalog import CONTENT
from astica_sync.local.backup.object_store import Hasher, ObjectStore
from astica_sync.local.filesystem import MAX_INT64, FileSystem, Signature, signature
from astica_sync.local.jsonl import append_jsonl, parse_line, read_jsonl, read_lines
from astica_sync.system.error_advice import remedy

FOLDER = "prepared"
RECORD = "prepared.jsonl"


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """The image of the content hash ``content``, of the format ``format``, was converted to ``size`` bytes of the hash
    ``sent``, by the recipe of the identity ``recipe``."""

    content: str
    format: str
    sent: str
    size: int
    recipe: str = ""


ByRecipe = dict[str, PreparedImage]
"""What was sent of one image, by the identity of the recipe."""


class PreparedImages:
    """The prepared images of the backup in ``root``.

    Any thread and process may read; only the holder of the writer lock may write, in any of its threads.
    """

    def __init__(self, root: Path, files: FileSystem, hasher: Callable[[], Hasher] = xxhash.xxh3_128) -> None:
        self._path = root / RECORD
        self._files = files
        self._objects = ObjectStore(root, files, hasher, FOLDER)
        self._lock = threading.Lock()
        self._read_as: Signature | None = None
        self._records: dict[str, ByRecipe] = {}

    def records(self) -> dict[str, ByRecipe]:
        """Every record by the content hash of its original and its recipe; read again where the file has changed.

        Raises:
            StoreError: the file exists and cannot be read.
        """
        with self._lock:
            return self._load()

    def recipes(self) -> list[str]:
        """The identities of all recipes that images were converted by, the default one first.

        Raises:
            StoreError: the record cannot be read.
        """
        return sorted({""}.union(*self.records().values()))

    def read(self, content: str, recipe: str = "") -> bytes | None:
        """What is sent in place of this image by a recipe, verified by its hash; None where it has to be converted
        (again).

        Raises:
            StoreError: the record cannot be read.
        """
        record = self.records().get(content, {}).get(recipe)
        if record is None:
            return None
        try:
            return self._objects.read(record.sent)
        except BackupDamaged:
            return None

    def secure(self, content: str, recipe: str = "") -> bool:
        """Whether there is a prepared image of it, whose name is durable then; only ``read`` verifies its bytes.

        Raises:
            StoreError: the record cannot be read, or the folder not be synced.
        """
        record = self.records().get(content, {}).get(recipe)
        return record is not None and self._objects.secure(record.sent)

    def add(self, content: str, image_format: str, data: bytes, recipe: str = "") -> None:
        """Stores what is sent in place of an image by a recipe, and records it, durably.

        Raises:
            StorageFull, StoreError: it cannot be written.
        """
        sent = self._objects.put_bytes(data).content
        record = PreparedImage(content, image_format, sent, len(data), recipe)
        with self._lock:
            if self._load().get(content, {}).get(recipe) != record:
                self._append(record)

    def damaged(self, part: tuple[int, int] = (1, 1)) -> Iterator[PreparedImage]:
        """The records of a part (see ``Backup.verify``) whose prepared image is missing or has other bytes.

        Raises:
            StoreError: the record cannot be read.
        """
        number, parts = part
        for record in [one for by_recipe in self.records().values() for one in by_recipe.values()]:
            if int(record.content[:8], 16) % parts == number - 1 and self._objects.check(record.sent) is not None:
                yield record

    def drop(self, contents: Collection[str]) -> int:
        """Removes what was sent in place of these images, and its records, for good; returns how many bytes are freed.

        Raises:
            StorageFull, StoreError: the backup cannot be written.
        """
        with self._lock:
            if not any(content in self._load() for content in contents):
                return 0
            unneeded = self._needed_by_none_but(contents)
            kept = (line + b"\n" for line in read_lines(self._files, self._path) if not _is_about(line, contents))
            try:
                self._files.write_synced(self._path, kept)
            except OSError as error:
                self._objects.fail(error)
            self._read_as = None
        return sum(map(self._objects.discard, unneeded))

    def droppable_size(self, contents: Collection[str]) -> int:
        """The bytes that ``drop`` would free, as they are recorded.

        Raises:
            StoreError: the record cannot be read.
        """
        with self._lock:
            return sum(self._needed_by_none_but(contents).values())

    def _needed_by_none_but(self, contents: Collection[str]) -> dict[str, int]:
        """What was sent in place of these images and of no others: its content hash and its size in bytes."""
        records = self._load()
        sizes = {one.sent: one.size for content in contents for one in records.get(content, {}).values()}
        still = {one.sent for content, made in records.items() if content not in contents for one in made.values()}
        return {sent: size for sent, size in sizes.items() if sent not in still}

    def _load(self) -> dict[str, ByRecipe]:
        try:
            found = signature(self._files.lstat(self._path))
            if found != self._read_as:
                records: dict[str, ByRecipe] = {}
                for fields in read_jsonl(self._files, self._path):
                    record = _record_of(fields)
                    if record is not None:
                        records.setdefault(record.content, {})[record.recipe] = record
                self._records, self._read_as = records, found
        except FileNotFoundError:
            self._records, self._read_as = {}, None
        except OSError as error:
            raise StoreError(
                f"{self._path} of the backup cannot be read: {error.strerror}",
                remedy(error, self._path, writing=False),
            ) from error
        return self._records

    def _append(self, record: PreparedImage) -> None:
        fields: dict[str, Any] = {
            "content": record.content,
            "format": record.format,
            "sent": record.sent,
            "size": record.size,
        }
        if record.recipe:
            fields["recipe"] = record.recipe
        try:
            append_jsonl(self._files, self._path, [fields])
            # A killed process may have created the file and not yet synced its folder.
            self._files.sync_folder(self._path.parent)
        except OSError as error:
            self._objects.fail(error)


def _record_of(fields: dict[str, Any]) -> PreparedImage | None:
    """The record of one line; None where this program never writes such a line."""
    try:
        recipe = fields.get("recipe", "")
        record = PreparedImage(fields["content"], fields["format"], fields["sent"], fields["size"], recipe)
        # Both hashes become parts of paths.
        sound = CONTENT.fullmatch(record.content) and CONTENT.fullmatch(record.sent) and isinstance(record.format, str)
        sound = sound and isinstance(recipe, str)
        return record if sound and type(record.size) is int and 0 <= record.size <= MAX_INT64 else None
    except (KeyError, TypeError):
        return None


def _is_about(line: bytes, contents: Collection[str]) -> bool:
    fields = parse_line(line)
    record = None if fields is None else _record_of(fields)
    return record is not None and record.content in contents
