"""The images that were sent in place of others: what an image that the service does not take was converted to.

``prepared.jsonl`` has one line for each such image: the content hash of the original, which is an object of the backup,
and that of what was sent, which is in ``prepared/``. The last line about an original counts.
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
    ``sent``."""

    content: str
    format: str
    sent: str
    size: int


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
        self._records: dict[str, PreparedImage] = {}

    def records(self) -> dict[str, PreparedImage]:
        """Every record by the content hash of its original; read again where the file has changed.

        Raises:
            StoreError: the file exists and cannot be read.
        """
        with self._lock:
            return self._load()

    def read(self, content: str) -> bytes | None:
        """What was sent in place of this image, verified by its hash; None where it has to be converted (again).

        Raises:
            StoreError: the record cannot be read.
        """
        record = self.records().get(content)
        if record is None:
            return None
        try:
            return self._objects.read(record.sent)
        except BackupDamaged:
            return None

    def secure(self, content: str) -> bool:
        """Whether there is a prepared image of it, whose name is durable then; only ``read`` verifies its bytes.

        Raises:
            StoreError: the record cannot be read, or the folder not be synced.
        """
        record = self.records().get(content)
        return record is not None and self._objects.secure(record.sent)

    def add(self, content: str, image_format: str, data: bytes) -> None:
        """Stores what is sent in place of an image, and records it, durably.

        Raises:
            StorageFull, StoreError: it cannot be written.
        """
        sent = self._objects.put_bytes(data).content
        record = PreparedImage(content, image_format, sent, len(data))
        with self._lock:
            if self._load().get(content) != record:
                self._append(record)

    def damaged(self, part: tuple[int, int] = (1, 1)) -> Iterator[PreparedImage]:
        """The records of a part (see ``Backup.verify``) whose prepared image is missing or has other bytes.

        Raises:
            StoreError: the record cannot be read.
        """
        number, parts = part
        for record in list(self.records().values()):
            if int(record.content[:8], 16) % parts == number - 1 and self._objects.check(record.sent) is not None:
                yield record

    def drop(self, contents: Collection[str]) -> int:
        """Removes what was sent in place of these images, and its records, for good; returns how many bytes are freed.

        Raises:
            StorageFull, StoreError: the backup cannot be written.
        """
        with self._lock:
            records = self._load()
            gone = [records[content] for content in contents if content in records]
            if not gone:
                return 0
            still = {record.sent for record in records.values() if record.content not in contents}
            kept = (line + b"\n" for line in read_lines(self._files, self._path) if not _is_about(line, contents))
            try:
                self._files.write_synced(self._path, kept)
            except OSError as error:
                self._objects.fail(error)
            self._read_as = None
        return sum(self._objects.discard(sent) for sent in {record.sent for record in gone} - still)

    def _load(self) -> dict[str, PreparedImage]:
        try:
            found = signature(self._files.lstat(self._path))
            if found != self._read_as:
                records = {}
                for fields in read_jsonl(self._files, self._path):
                    record = _record_of(fields)
                    if record is not None:
                        records[record.content] = record
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
        fields = {
            "content": record.content,
            "format": record.format,
            "sent": record.sent,
            "size": record.size,
        }
        try:
            append_jsonl(self._files, self._path, [fields])
            # A killed process may have created the file and not yet synced its folder.
            self._files.sync_folder(self._path.parent)
        except OSError as error:
            self._objects.fail(error)


def _record_of(fields: dict[str, Any]) -> PreparedImage | None:
    """The record of one line; None where this program never writes such a line."""
    try:
        record = PreparedImage(fields["content"], fields["format"], fields["sent"], fields["size"])
        # Both hashes become parts of paths.
        sound = CONTENT.fullmatch(record.content) and CONTENT.fullmatch(record.sent) and isinstance(record.format, str)
        return record if sound and type(record.size) is int and 0 <= record.size <= MAX_INT64 else None
    except (KeyError, TypeError):
        return None


def _is_about(line: bytes, contents: Collection[str]) -> bool:
    fields = parse_line(line)
    record = None if fields is None else _record_of(fields)
    return record is not None and record.content in contents
