"""Sends the new images of a folder of class folders to an inbox: find → wait until complete → check → send → record.

The folder is only read. It needs no store, no key and no model.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import xxhash

from astica_sync.core.gallery.safe_names import title_fault
from astica_sync.core.inbox.object_name import ObjectName, name_object
from astica_sync.core.watch.debounce import Debouncer
from astica_sync.errors import ImageRejected, MirrorFailed, StoreError
from astica_sync.inbox.sent_record import SentRecord
from astica_sync.local.class_folders.class_title import class_title_of, why_no_title
from astica_sync.local.filesystem import FileSystem, Kind, Signature, kind_of, signature
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import HEAD_BYTES, describe, is_image, preparable, sniff
from astica_sync.local.image.prepare.image_as_sent import check_as_sent
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.local.image.prepare.usable_formats import png_or_jpeg_beside, why_converted_already
from astica_sync.local.scan.changed_files import REASONS
from astica_sync.local.scan.file_hash import unreadable_reason
from astica_sync.local.scan.ignore import Ignore, is_hidden
from astica_sync.mirror.place import Added, Place
from astica_sync.system.error_advice import reason_of, remedy

MOST_BYTES = 100_000_000
"""Of one image, which is held in memory."""
_MOST_FAILURES = 3
"""So many images in a row that the inbox does not take mean that it takes none."""
_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """What answers whether bytes are an image that a push would send."""

    decoder: Decoder
    preparer: Preparer


@dataclass(slots=True)
class SendResult:
    """What one look at the folder did.

    ``sent`` are the paths of the images that were written to the inbox, ``there`` how many it had already,
    ``unchanged`` how many files were sent by an earlier look, ``waiting`` those that may still be written and
    ``quiet_in`` after how many seconds the first of them is complete, ``failed`` (path, reason) those that the inbox
    did not take, and ``problems`` (path, reason) what is no image; ``new_problems`` are those that no look of this
    process has found before.
    """

    sent: list[str] = field(default_factory=list)
    there: int = 0
    unchanged: int = 0
    waiting: list[str] = field(default_factory=list)
    quiet_in: float = 0.0
    failed: list[tuple[str, str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    new_problems: list[tuple[str, str]] = field(default_factory=list)

    def wait(self, path: str, seconds: float) -> None:
        self.waiting.append(path)
        self.quiet_in = min(seconds, self.quiet_in or seconds)


class _Found(NamedTuple):
    """An entry of the folder: a file with its status, or why it is no image."""

    path: str
    title: str
    status: os.stat_result | None
    reason: str = ""


class FolderSender:
    """For one thread. Each ``look`` goes over the whole folder."""

    def __init__(
        self, folder: Path, record: SentRecord, check: ImageCheck, quiet_seconds: float, wall: Callable[[], float]
    ) -> None:
        """``quiet_seconds`` is how long a file must not change before it is complete, ``wall`` the clock of its
        times."""
        self._root = folder
        self._record, self._check, self._wall = record, check, wall
        self._quiet_seconds = quiet_seconds
        self._debouncer = Debouncer(quiet_seconds)
        self._files = FileSystem(folder)
        self._known: dict[str, tuple[Signature | None, str]] = {}

    def look(
        self,
        place: Place,
        now: float,
        *,
        on_sent: Callable[[str, ObjectName], None] = lambda _path, _name: None,
        on_failed: Callable[[str, MirrorFailed], None] = lambda _path, _error: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> SendResult:
        """Sends what is complete and was not sent. ``now`` is in seconds of a monotonic clock; ``on_sent`` is called
        after each image that was written, ``on_failed`` after each that was not, which may have taken minutes.

        Raises:
            MirrorFailed: the inbox cannot be used; what was sent is recorded.
            StoreError: the folder, the record or the check of images cannot be used.
        """
        done = SendResult()
        problems: dict[str, tuple[Signature | None, str]] = {}
        present: set[str] = set()
        failures = 0
        for found in self._walk():
            if stopping():
                return done
            if found.status is None:
                problems[found.path] = (None, found.reason)
                continue
            present.add(found.path)
            seen = signature(found.status)
            if self._record.is_unchanged(found.path, seen):
                done.unchanged += 1
            elif (known := self._known.get(found.path)) is not None and known[0] == seen:
                problems[found.path] = known
            elif (seconds := self._seconds_until_quiet(found, now)) > 0:
                done.wait(found.path, seconds)
            else:
                try:
                    if reason := self._send(place, found, seen, done, on_sent):
                        problems[found.path] = (seen, reason)
                    failures = 0
                except MirrorFailed as error:
                    failures += 1
                    done.failed.append((found.path, error.text_with_hint))
                    on_failed(found.path, error)
                    if failures == _MOST_FAILURES:
                        raise
        done.problems = [(path, reason) for path, (_, reason) in problems.items()]
        done.new_problems = [(path, known[1]) for path, known in problems.items() if self._known.get(path) != known]
        self._known = problems
        self._record.shrink(present)
        return done

    def _seconds_until_quiet(self, found: _Found, now: float) -> float:
        assert found.status is not None
        age = self._wall() - max(found.status.st_ctime, found.status.st_mtime)
        return self._debouncer.quiet_at(found.path, signature(found.status), age, now) - now

    def _send(
        self, place: Place, found: _Found, seen: Signature, done: SendResult, on_sent: Callable[[str, ObjectName], None]
    ) -> str:
        """Why the file is no image; "" where it was sent, was there, or waits."""
        try:
            data = self._read(found.path, seen)
            if data is None:
                done.wait(found.path, self._quiet_seconds)
                return ""
            if isinstance(data, str):
                return data
            if reason := self._why_no_image(found.path, data):
                return reason
        except FileNotFoundError:
            return ""
        except OSError as error:
            return unreadable_reason(error)
        name = name_object(found.title, xxhash.xxh3_128_hexdigest(data), sniff(data) or preparable(data) or "")
        added = Added.THERE if self._record.has(name) else place.add(name.text, data)
        if added is Added.OTHER:
            return f"the inbox has another object of its name, {name.text}, which stays: remove that object there"
        self._record.add(found.path, seen, name)
        if added is Added.THERE:
            # Sent before: by another machine, from another file, or by a run that ended before it was recorded.
            done.there += 1
        else:
            done.sent.append(found.path)
            on_sent(found.path, name)
        return ""

    def _read(self, path: str, seen: Signature) -> bytes | str | None:
        """The bytes; a text is why they are no image, and None means that the file changes."""
        if seen[0] > MOST_BYTES:
            return f"{seen[0] / 1e6:,.1f} MB, more than the {MOST_BYTES // 1_000_000} MB that are sent: save it smaller"
        before, data, after = self._files.read_small(self._root / path, MOST_BYTES)
        if data is None or not signature(before) == signature(after) == seen or len(data) != seen[0]:
            return None
        return data

    def _why_no_image(self, path: str, data: bytes) -> str:
        """As a push decides it; see ``Scanner`` for the file that was converted by hand."""
        if not is_image(data):
            return describe(data[:HEAD_BYTES], len(data))
        word = preparable(data)
        if word is not None and sniff(data) is None and png_or_jpeg_beside(self._files, str(self._root / path)):
            return why_converted_already(word)
        try:
            check_as_sent(self._check.decoder, self._check.preparer, data)
        except ImageRejected as reason:
            return str(reason)
        return ""

    def _walk(self) -> Iterator[_Found]:
        ignore = Ignore.load(self._root)
        try:
            listed = sorted(self._files.scan_folder(self._root), key=lambda one: os.fsencode(one[0]))
        except OSError as error:
            raise StoreError(
                f"{self._root} cannot be read: {reason_of(error)}", remedy(error, self._root, writing=False)
            ) from error
        for name, status in listed:
            kind = None if status is None else kind_of(status)
            if is_hidden(name) or ignore.skips(name, folder=kind is Kind.FOLDER):
                continue
            if kind is not Kind.FOLDER:
                yield _Found(name, "", None, REASONS[kind])
                continue
            title = class_title_of(name)
            fault = why_no_title(name) if title is None else title_fault(title)
            if title is None or fault:
                yield _Found(name, "", None, fault)
            else:
                yield from self._walk_below(name, title, ignore, 1)

    def _walk_below(self, folder: str, title: str, ignore: Ignore, depth: int) -> Iterator[_Found]:
        try:
            listed = sorted(self._files.scan_folder(self._root / folder), key=lambda one: os.fsencode(one[0]))
        except FileNotFoundError:
            return
        except OSError as error:
            yield _Found(folder, title, None, unreadable_reason(error))
            return
        for name, status in listed:
            path = f"{folder}/{name}"
            kind = None if status is None else kind_of(status)
            if is_hidden(name) or ignore.skips(path, folder=kind is Kind.FOLDER):
                continue
            if kind is Kind.FILE:
                yield _Found(path, title, status)
            elif kind is not Kind.FOLDER:
                yield _Found(path, title, None, REASONS[kind])
            elif depth == _DEEPEST:
                yield _Found(path, title, None, "its folders are too deep; move it up")
            else:
                yield from self._walk_below(path, title, ignore, depth + 1)
