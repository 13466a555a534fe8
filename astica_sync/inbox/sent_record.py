"""What a folder has sent to an inbox: one file of JSON lines in the user's state folder.

It may be lost. Then the folder is read again, and what the inbox has is not written a second time.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.inbox.object_name import ObjectName, parse_name
from astica_sync.errors import StoreError
from astica_sync.file_owner import make_private_folder
from astica_sync.local.filesystem import FileSystem, Signature
from astica_sync.local.jsonl import append_jsonl, format_line, read_jsonl
from astica_sync.system.error_advice import reason_of, remedy
from astica_sync.system.user_folders import user_state_folder

_MOST_STALE = 1000
"""So many lines are out of date before the file is written again."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of the folder, as it was when its image was sent."""

    signature: Signature
    name: ObjectName


class SentRecord:
    """For one folder and one inbox; for one process, which holds the lock of ``lock_file``."""

    def __init__(self, file: Path) -> None:
        """
        Raises:
            StoreError: the file cannot be read.
        """
        self._path = file
        self._files = FileSystem()
        self._sent: dict[str, SentFile] = {}
        self._names: set[tuple[str, str]] = set()
        self._lines = 0
        try:
            for fields in read_jsonl(self._files, file):
                self._lines += 1
                self._take(fields)
        except OSError as error:
            raise self._failed(error, "read") from error

    @property
    def lock_file(self) -> Path:
        return self._path.with_suffix(".lock")

    def __len__(self) -> int:
        return len(self._sent)

    def is_unchanged(self, path: str, signature: Signature) -> bool:
        """Whether the image of this file was sent, and the file is the same."""
        sent = self._sent.get(path)
        return sent is not None and sent.signature == signature

    def has(self, name: ObjectName) -> bool:
        """Whether an image of this content was sent under this class, from whatever file."""
        return (name.title, name.content) in self._names

    def add(self, path: str, signature: Signature, name: ObjectName) -> None:
        """Durable at the return.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            append_jsonl(self._files, self._path, [_fields(path, SentFile(signature, name))])
        except OSError as error:
            raise self._failed(error, "written") from error
        self._lines += 1
        self._sent[path] = SentFile(signature, name)
        self._names.add((name.title, name.content))

    def shrink(self, present: set[str]) -> None:
        """Drops the files that are not in the folder any more, once the file has many lines that are out of date.

        Raises:
            StoreError: it cannot be written.
        """
        kept = {path: sent for path, sent in self._sent.items() if path in present}
        if self._lines - len(kept) <= max(_MOST_STALE, len(kept)):
            return
        try:
            self._files.write_synced(self._path, (format_line(_fields(*one)) for one in kept.items()), 0o600)
        except OSError as error:
            raise self._failed(error, "written") from error
        self._sent, self._lines = kept, len(kept)
        self._names = {(sent.name.title, sent.name.content) for sent in kept.values()}

    def _take(self, fields: dict[str, object]) -> None:
        path, signature, text = fields.get("path"), fields.get("file"), fields.get("object")
        if not (isinstance(path, str) and isinstance(text, str) and isinstance(signature, list)):
            return
        name = parse_name(text)
        if isinstance(name, str) or len(signature) != 4 or not all(type(one) is int for one in signature):
            return
        size, changed, touched, inode = signature
        self._sent[path] = SentFile((size, changed, touched, inode), name)
        self._names.add((name.title, name.content))

    def _failed(self, error: OSError, verb: str) -> StoreError:
        return StoreError(f"{self._path} cannot be {verb}: {reason_of(error)}", remedy(error, self._path))


def sent_record_file(folder: Path, place: str) -> Path:
    """The file for this folder and this inbox; its folder is made.

    Raises:
        ConfigError: there is no home folder, or the state folder is another user's.
        StoreError: the folder cannot be made.
    """
    state = user_state_folder()
    key = os.fsencode(folder) + b"\0" + place.encode("utf-8", "surrogateescape")
    try:
        make_private_folder(state)
        make_private_folder(state / "sent")
    except OSError as error:
        raise StoreError(f"{state} cannot be made: {reason_of(error)}", remedy(error, state)) from error
    return state / "sent" / f"{hashlib.blake2s(key, digest_size=16).hexdigest()}.jsonl"


def _fields(path: str, sent: SentFile) -> dict[str, object]:
    return {"path": path, "file": list(sent.signature), "object": sent.name.text}
