"""The scores of versions on held-out images: one line of JSON per evaluation. Its loss affects nothing else."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astica_sync.core.observation.bounds import bounded_date, bounded_text
from astica_sync.errors import StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import append_jsonl, read_jsonl


@dataclass(frozen=True, slots=True)
class Score:
    """How many of the held-out images a version classified correctly.

    ``right`` of ``shown`` images; ``images`` is a hash of what was shown, which distinguishes it from scores on
    other images; ``at`` is in seconds since the epoch.
    """

    version: str
    right: int
    shown: int
    folder: str
    images: str
    at: float

    @property
    def accuracy(self) -> float:
        return self.right / self.shown if self.shown else 0.0


def read_scores(path: Path, files: FileSystem) -> list[Score]:
    """Every valid score, the oldest first; none where the file cannot be read."""
    names = Score.__dataclass_fields__.keys()
    try:
        records = [fields for fields in read_jsonl(files, path) if names <= fields.keys()]
    except OSError:
        return []
    return [score for fields in records if (score := _from_fields(fields)) is not None]


def _from_fields(fields: dict[str, Any]) -> Score | None:
    try:
        score = Score(
            bounded_text(str(fields["version"])),
            int(fields["right"]),
            int(fields["shown"]),
            bounded_text(str(fields["folder"])),
            str(fields["images"]),
            bounded_date(float(fields["at"])) or 0.0,
        )
    except (TypeError, ValueError, OverflowError):
        return None
    return score if 0 <= score.right <= score.shown else None


def add_score(path: Path, score: Score, files: FileSystem) -> None:
    """Appends one evaluation.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        append_jsonl(files, path, [asdict(score)])
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}",
            f"free disk space, or fix the permissions: chmod u+rw {shlex.quote(str(path))}",
        ) from error
