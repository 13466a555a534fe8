"""What versions scored on held-out images: one line of JSON for each evaluation. Losing it loses nothing else."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from astica_sync.errors import StoreError
from astica_sync.local.backup.manifests import to_line
from astica_sync.local.filesystem import FileSystem


@dataclass(frozen=True, slots=True)
class Score:
    """How many of so many held-out images a version named rightly. ``images`` is a hash over what was shown to it, so
    that scores on other images are told apart; ``at`` is in seconds since the epoch."""

    version: str
    right: int
    shown: int
    folder: str
    images: str
    at: float

    @property
    def accuracy(self) -> float:
        return self.right / self.shown if self.shown else 0.0


def read_scores(path: Path) -> list[Score]:
    """Every score that can be read, the oldest first."""
    found = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            fields = json.loads(line)
            score = Score(**{name: fields[name] for name in Score.__dataclass_fields__})
        except (ValueError, TypeError, KeyError):
            continue
        found.append(score)
    return found


def add_score(path: Path, score: Score, fs: FileSystem) -> None:
    """Notes one evaluation.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        fs.append_synced(path, b"\n" + to_line(asdict(score)))
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", "free space or mend its rights") from error
