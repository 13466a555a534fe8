"""The versions, as ``Store.versions`` returns them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from astica_sync.api.reports.data_frame import data_frame
from astica_sync.api.reports.html_table import Cell, html_table, notebook_html, paragraph
from astica_sync.clock import local_time
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.training.version_history import MADE_ELSEWHERE, VersionSummary

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "number",
    "name",
    "trained_at",
    "samples",
    "classes",
    "made elsewhere",
    "added",
    "removed",
    "moved",
    "accuracy",
    "scored on",
    "leaked",
    "snapshot",
    "note",
)
MOST_VERSIONS = 50
"""Of more versions, the newest are shown."""


class VersionList(list[VersionSummary]):
    """Versions, the first one first. A notebook shows them as a table, and ``to_pandas`` has a row for each.

    ``made_elsewhere``: this user has not made the store, so that its records of versions and scores may say anything.
    """

    def __init__(self, versions: Iterable[VersionSummary] = (), *, made_elsewhere: bool = False) -> None:
        super().__init__(versions)
        self.made_elsewhere: bool = made_elsewhere

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each version; times are in UTC.

        Raises:
            ConfigError: pandas is not installed.
        """
        return data_frame(COLUMNS, map(_row, self))

    def __repr__(self) -> str:
        names = [one.version.name or f"@{one.version.number}" for one in self[-3:]]
        before = "…, " if len(self) > 3 else ""
        return f"<VersionList: {len(self):,}{': ' if self else ''}{before}{', '.join(map(repr, names))}>"

    def _repr_html_(self) -> str:
        if not self:
            return notebook_html(paragraph("No versions yet."))
        columns = ("", "version", "trained", "samples", "classes", "added", "removed", "moved", "accuracy", "note")
        rows = []
        for one in self[-MOST_VERSIONS:]:
            number, name, _, samples, classes, _, added, removed, moved, accuracy, folder, leaked, _, note = _row(one)
            score = f"{percent(accuracy)} on {folder}" if isinstance(accuracy, float) else None
            if score and leaked:
                score = f"{score}, {leaked:,} of the images also in its data"
            when = local_time(one.version.trained_at or one.version.seen_at)
            rows.append([f"@{number}", name, when, samples, classes, added, removed, moved, score, note])
        table = html_table(columns, rows, more=len(self) - len(rows))
        if self.made_elsewhere:
            return notebook_html(paragraph(f"{MADE_ELSEWHERE.capitalize()}."), table)
        return notebook_html(table)


def _row(one: VersionSummary) -> tuple[Cell, ...]:
    version, changes = one.version, one.changes
    score = one.scores[-1] if one.scores else None
    note = one.damage or version.unknown_because
    if one.same_data:
        note = f"the same data as {', '.join(f'@{same.number}' for same in one.same_data)}"
    if not note and version.snapshot is None:
        note = "trained elsewhere, its data is not known"
    return (
        version.number,
        version.name,
        version.trained_at,
        one.samples,
        one.classes,
        one.unmanaged,
        None if changes is None else len(changes.added),
        None if changes is None else len(changes.removed),
        None if changes is None else len(changes.moved),
        None if score is None else score.accuracy,
        None if score is None else score.folder,
        None if score is None else score.leaked,
        version.snapshot,
        note,
    )
