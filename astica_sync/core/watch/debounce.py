"""When a file counts: closed after writing where the system tells, else unchanged for a moment.

Times are seconds on one clock that never goes back; a *face* is whatever changes with every write (size and times).
"""

from collections.abc import Hashable
from dataclasses import dataclass

OPEN_PATIENCE = 600.0
"""A file that was written and never heard to be closed counts after so many seconds without a change: the word that it
was closed may have been lost."""
MOST = 100_000
"""More files than this are not followed one by one; the others count when they are unchanged for a moment."""


@dataclass(slots=True)
class _Told:
    """The last word of the system about a file."""

    at: float
    open: bool


class Debouncer:
    """Follows the files that may still be written; forgets each once it has settled."""

    def __init__(self, settle: float) -> None:
        """``settle``: the seconds without a change after which a file counts that nothing was said about."""
        self._settle = settle
        self._told: dict[str, _Told] = {}
        self._faces: dict[str, tuple[Hashable, float]] = {}

    def written(self, path: str, now: float) -> None:
        """The file is open and being written."""
        if path in self._told or len(self._told) < MOST:
            self._told[path] = _Told(now, open=True)

    def closed(self, path: str, now: float) -> None:
        """The file was closed after writing, or came into its place as a whole."""
        if path in self._told or len(self._told) < MOST:
            self._told[path] = _Told(now, open=False)

    def moved(self, source: str, target: str, now: float) -> None:
        """A file has another name now; whoever writes it goes on."""
        told = self._told.pop(source, None)
        if told is not None and told.open:
            self.written(target, now)
        else:
            self.closed(target, now)

    def gone(self, path: str) -> None:
        """The file is not there any more."""
        self._told.pop(path, None)
        self._faces.pop(path, None)

    def ready_at(self, path: str, face: Hashable, age: float, now: float) -> float:
        """From when the file counts; not after ``now`` means that it does, and it is forgotten here.

        Args:
            face: what it looks like now.
            age: seconds since its last change by its own times; they may be wrong, so a small or negative age only
                asks for a second look.
        """
        told = self._told.get(path)
        if told is not None and told.open:
            at = told.at + OPEN_PATIENCE
        elif told is not None or age >= self._settle:
            at = now
        else:
            known = self._faces.get(path)
            since = known[1] if known is not None and known[0] == face else now
            self._faces[path] = (face, since)
            at = since + self._settle
        if at <= now:
            self.gone(path)
        return at

    def forget_before(self, moment: float) -> None:
        """Drops what was not asked for in a long time, so that years of it need no memory."""
        self._told = {path: told for path, told in self._told.items() if told.at >= moment}
        self._faces = {path: face for path, face in self._faces.items() if face[1] >= moment}

    def __len__(self) -> int:
        return len(self._told) + len(self._faces)
