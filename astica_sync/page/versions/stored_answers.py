"""What versions have answered for images, from the cache of detections. Sends no request."""

import contextlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.versions.confidence_unit import Confidence, ConfidenceRange, Unit
from astica_sync.core.versions.label_spelling import LabelSpelling
from astica_sync.core.versions.version import Version
from astica_sync.errors import DatabaseError
from astica_sync.local.db.detections import SCHEMA, Detections
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.sqlite import ErrorTranslation

_MOST_READ = 12


class StoredAnswer(NamedTuple):
    """``label`` is "" where the version named no class; ``percent`` is None where the confidence or its unit is not
    known."""

    label: str
    percent: float | None


class _AllDetections(Detections):
    """Reads the answers of one version at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def of_version(self, service: str, model_id: int, version: Version) -> dict[str, StoredAnswer]:
        """By content hash."""
        query = (
            "SELECT * FROM detection"
            " WHERE service = ? AND model_id = ? AND version = ? AND trained = ? ORDER BY model_created"
        )
        values = (service, model_id, version.name, version.trained_at)
        stated: dict[str, tuple[str, Confidence | None]] = {}
        confidences = ConfidenceRange()
        for row in self._rows(query, values):
            if not self._is_own(row):
                continue
            name, label, value, sign = row[5:9]
            # After a space, the recipe that has converted the image, see ``Detector``.
            content = name.partition(" ")[0]
            confidence = Confidence(value, bool(sign)) if isinstance(value, float) else None
            confidences.add(confidence)
            stated[content] = label, confidence
        unit: Unit = confidences.unit
        return {
            content: StoredAnswer(label, None if confidence is None else confidence.to_percent(unit))
            for content, (label, confidence) in stated.items()
        }

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        # As for one answer: a cache that cannot be read has none.
        with contextlib.suppress(DatabaseError), ErrorTranslation(self._path, SCHEMA):
            return self._connection.execute(query, values).fetchall()
        return []


class StoredAnswers:
    """The answers of each version, read again once the cache has changed. For any thread."""

    def __init__(self, path: Path, model_id: int) -> None:
        self._path, self._model_id = path, model_id
        self._read: OrderedDict[tuple[int, str], tuple[object, dict[str, StoredAnswer]]] = OrderedDict()

    def seen(self) -> tuple[int, ...]:
        """The same as long as the cache is."""
        seen: list[int] = []
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            with contextlib.suppress(OSError):
                status = path.stat()
                seen += status.st_mtime_ns, status.st_size
        return tuple(seen)

    def of(self, version: Version, versions: Sequence[Version], service: str) -> dict[str, StoredAnswer]:
        """By content hash; none where nothing distinguishes the version from another one."""
        twins = sum(one.name == version.name for one in versions)
        if twins != 1 or version.trained_at is None or not self._path.exists():
            return {}
        seen, key = (service, self.seen()), (version.number, version.name)
        if key not in self._read or self._read[key][0] != seen:
            with contextlib.closing(_AllDetections(self._path)) as cache:
                self._read[key] = seen, cache.of_version(service, self._model_id, version)
            while len(self._read) > _MOST_READ:
                self._read.popitem(last=False)
        return self._read.get(key, (None, {}))[1]


class Confusion(NamedTuple):
    """How often images of each class (the rows) were given each label (the columns). ``titles`` are those of the
    classes, ``labels`` those of the answers, "" for an image of which the version named no class."""

    titles: tuple[str, ...]
    labels: tuple[str, ...]
    counts: list[list[int]]


def make_confusion(
    columns: Columns, rows: NDArray[np.bool_], answers: dict[str, StoredAnswer], classes: Iterable[str]
) -> Confusion:
    """The table of some rows of the gallery. The same image counts once in a class. ``classes`` are those of the
    version's data."""
    spelling, pairs = LabelSpelling(columns.titles, classes), Counter[tuple[str, str]]()
    for content, answer in answers.items():
        of_image = {columns.title(row) for row in columns.with_content(content) if rows[row]}
        pairs.update((title, spelling.spell(answer.label)) for title in of_image)
    titles = tuple(sorted({truth for truth, _ in pairs}))
    given = {label for _, label in pairs}
    labels = (*titles, *sorted(given - {*titles, ""}), *([""] if "" in given else []))
    return Confusion(titles, labels, [[pairs[truth, label] for label in labels] for truth in titles])
