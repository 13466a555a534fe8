"""The scores of versions on held-out images: one line of JSON per evaluation. Its loss affects nothing else."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astica_sync.core.observation.value_bounds import bounded_date, bounded_text
from astica_sync.core.versions.version import Version
from astica_sync.errors import StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import append_jsonl, read_jsonl
from astica_sync.system.error_advice import remedy


@dataclass(frozen=True, slots=True)
class Score:
    """How many of the held-out images a version classified correctly.

    ``right`` of ``shown`` images; ``images`` is a hash of what was shown, which distinguishes it from scores on
    other images; ``at`` is in seconds since the epoch. ``service``, ``model_id`` and ``trained_at`` tell the version
    from others of that name, as in ``VersionKey``; they are missing in scores of earlier releases. ``leaked`` is how
    many of the images are in the version's data too, None in scores of earlier releases.
    """

    version: str
    right: int
    shown: int
    folder: str
    images: str
    at: float
    service: str = ""
    model_id: int = 0
    trained_at: float | None = None
    leaked: int | None = None

    @property
    def accuracy(self) -> float:
        return self.right / self.shown if self.shown else 0.0


def read_scores(path: Path, files: FileSystem) -> list[Score]:
    """Every valid score, the oldest first; none where the file cannot be read."""
    try:
        return [score for fields in read_jsonl(files, path) if (score := _parse(fields)) is not None]
    except OSError:
        return []


def _parse(fields: dict[str, Any]) -> Score | None:
    try:
        trained_at, leaked = fields.get("trained_at"), fields.get("leaked")
        score = Score(
            bounded_text(str(fields["version"])),
            int(fields["right"]),
            int(fields["shown"]),
            bounded_text(str(fields["folder"])),
            str(fields["images"]),
            bounded_date(float(fields["at"])) or 0.0,
            str(fields.get("service", "")),
            int(fields.get("model_id", 0)),
            None if trained_at is None else bounded_date(float(trained_at)),
            None if leaked is None else int(leaked),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return score if 0 <= score.right <= score.shown and 0 <= (score.leaked or 0) <= score.shown else None


def is_about(score: Score, version: Version, model_id: int, *, twins: bool) -> bool:
    """Whether the score is about this version. ``twins``: another version has the same name."""
    if score.version != version.name or score.model_id not in (0, model_id):
        return False
    if score.trained_at is not None:
        return score.trained_at == version.trained_at
    return not twins and score.at >= version.seen_at


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
            remedy(error, path),
        ) from error
