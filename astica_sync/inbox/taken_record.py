"""What a store has taken in from inboxes, and what it has refused: a file of JSON lines in the hidden folder.

Each image is taken in once. One that is deleted or moved here afterwards does not come back.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from astica_sync.core.inbox.object_name import ObjectName
from astica_sync.core.observation.value_bounds import bounded_date
from astica_sync.errors import StoreError
from astica_sync.local.filesystem import FileSystem, Signature, signature
from astica_sync.local.jsonl import append_jsonl, format_line, read_jsonl
from astica_sync.local.layout import Layout
from astica_sync.system.error_advice import reason_of, remedy

REFUSED_FOR_S = 86_400.0
"""An object that was refused is read again after so many seconds, or once it changes."""
MOST_REFUSED = 10_000
"""So many refusals are kept; what is refused beyond them is read again each time."""
_CONTENT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class RefusedObject:
    """An object that was not taken in. ``version`` is that of the place, ``at`` in seconds since the epoch."""

    name: str
    version: str
    reason: str
    at: float


class TakenRecord:
    """For one thread. What cannot be read of a line is left out."""

    def __init__(self, layout: Layout) -> None:
        """
        Raises:
            StoreError: the file cannot be read.
        """
        self._path = layout.state / "inbox.jsonl"
        self._files = FileSystem()
        self._taken: set[tuple[str, bytes]] = set()
        self._titles: dict[str, str] = {}
        self._refused: dict[str, RefusedObject] = {}
        self._lines = 0
        try:
            for fields in read_jsonl(self._files, self._path):
                self._lines += 1
                self._take(fields)
        except OSError as error:
            raise self._failed(error, "read") from error
        self._seen = self._signature()

    @property
    def is_stale(self) -> bool:
        """Whether another process has written to the file."""
        return self._signature() != self._seen

    def has(self, name: ObjectName) -> bool:
        """Whether this image was taken in under this class."""
        return (name.title, bytes.fromhex(name.content)) in self._taken

    def was_refused(self, name: str, version: str, now: float) -> bool:
        """Whether this object was refused lately, and has not changed since."""
        refused = self._refused.get(name)
        return refused is not None and refused.version == version and 0 <= now - refused.at < REFUSED_FOR_S

    def add(self, taken: Iterable[ObjectName], refused: Iterable[RefusedObject] = ()) -> None:
        """Durable at the return.

        Raises:
            StoreError: it cannot be written.
        """
        names = list(taken)
        refusals = [one for one in refused if self._keeps(one)]
        for name in names:
            self._note(name.title, name.content)
        self._refused.update((one.name, one) for one in refusals)
        lines = [_taken_line(name.title, name.content) for name in names] + [_refused_line(one) for one in refusals]
        self._lines += len(lines)
        try:
            if self._lines > len(self._taken) + 2 * MOST_REFUSED:
                # Refusals that were repeated day after day.
                self._files.write_synced(self._path, map(format_line, self._all()))
                self._lines = len(self._taken) + len(self._refused)
            else:
                append_jsonl(self._files, self._path, lines)
        except OSError as error:
            raise self._failed(error, "written") from error
        self._seen = self._signature()

    def _signature(self) -> Signature | None:
        try:
            return signature(self._files.lstat(self._path))
        except OSError:
            return None

    def _keeps(self, refused: RefusedObject) -> bool:
        return refused.name in self._refused or len(self._refused) < MOST_REFUSED

    def _all(self) -> Iterator[dict[str, object]]:
        for title, content in self._taken:
            yield _taken_line(title, content.hex())
        yield from map(_refused_line, self._refused.values())

    def _note(self, title: str, content: str) -> None:
        # One title for all images of a class.
        self._taken.add((self._titles.setdefault(title, title), bytes.fromhex(content)))

    def _take(self, fields: dict[str, object]) -> None:
        title, content = fields.get("class"), fields.get("content")
        if isinstance(title, str) and isinstance(content, str) and _CONTENT.fullmatch(content):
            self._note(title, content)
        name, version, at = fields.get("refused"), fields.get("version"), bounded_date(fields.get("at"))
        if isinstance(name, str) and isinstance(version, str) and at is not None:
            refused = RefusedObject(name, version, str(fields.get("reason", "")), at)
            if self._keeps(refused):
                self._refused[name] = refused

    def _failed(self, error: OSError, verb: str) -> StoreError:
        return StoreError(f"{self._path} cannot be {verb}: {reason_of(error)}", remedy(error, self._path))


def _taken_line(title: str, content: str) -> dict[str, object]:
    return {"class": title, "content": content}


def _refused_line(one: RefusedObject) -> dict[str, object]:
    return {"refused": one.name, "version": one.version, "reason": one.reason, "at": one.at}
