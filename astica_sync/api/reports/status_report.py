"""A status and its plan, as ``Store.status`` returns them."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Self

from astica_sync.api.reports.data_frame import data_frame
from astica_sync.api.reports.html_table import MOST_ROWS, html_table, notebook_html, paragraph
from astica_sync.core.plan.plan import Plan
from astica_sync.sync.plan.find_status import StoreStatus

if TYPE_CHECKING:
    import pandas as pd

CLASS_COLUMNS = ("class", "store", "service", "elsewhere", "to upload", "to remove", "waiting", "held")
ACTION_COLUMNS = ("action", "class", "path", "size", "sample_id", "uid", "reason")

ActionRow = tuple[str, str, str, int | None, int | None, str, str]


class PlanReport(Plan):
    """A plan. A notebook shows its actions, and ``to_pandas`` has a row for each."""

    __slots__ = ()

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """The same plan."""
        return cls(**{field.name: getattr(plan, field.name) for field in fields(plan)})

    def actions(self) -> Iterator[ActionRow]:
        """What a push does and what it waits for, in the order of ``ACTION_COLUMNS``."""
        for upload in self.uploads:
            why = "the service had it before" if upload.again else ""
            yield "upload", upload.class_title, upload.path, upload.size, None, upload.uid, why
        for removal in self.removed:
            why = str(removal.why)
            yield "remove", removal.class_title, removal.path, None, removal.sample_id, removal.uid, why
        for adopt in self.adopts:
            yield "adopt", adopt.class_title, adopt.path, None, adopt.sample_id, adopt.uid, ""
        for waiting in self.waiting:
            yield "wait", waiting.class_title, waiting.path, None, None, waiting.uid, waiting.reason
        for held in self.held:
            yield "hold", held.class_title, held.path, None, held.sample_id, held.uid, held.reason
        for upload in self.questioned:
            why = "its class is new and nearly another one"
            yield "ask", upload.class_title, upload.path, upload.size, None, upload.uid, why
        for upload in self.failed_before:
            yield "skip", upload.class_title, upload.path, upload.size, None, upload.uid, "it failed before"

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each action.

        Raises:
            ConfigError: pandas is not installed.
        """
        return data_frame(ACTION_COLUMNS, self.actions())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary()}>"

    def _repr_html_(self) -> str:
        total = sum(self._counts().values())
        if not total:
            return notebook_html(paragraph("Nothing to do."))
        rows = [row for row, _ in zip(self.actions(), range(MOST_ROWS), strict=False)]
        columns = ("action", "class", "path", "reason")
        shown = [(action, title, path, why) for action, title, path, _, _, _, why in rows]
        return notebook_html(html_table(columns, shown, self.summary(), total - len(shown)))

    def _counts(self) -> dict[str, int]:
        return {
            "to upload": len(self.uploads),
            "to remove": len(self.removals) + sum(len(entry.samples) for entry in self.class_removals),
            "to adopt": len(self.adopts),
            "waiting": len(self.waiting),
            "held": len(self.held),
            "to be confirmed": len(self.questioned),
            "failed before": len(self.failed_before),
        }

    def summary(self) -> str:
        counts = self._counts()
        named = [f"{count:,} {what}" for what, count in counts.items() if count or what in ("to upload", "to remove")]
        return ", ".join(named)


class StatusReport(StoreStatus):
    """A status. A notebook shows it by class, and ``to_pandas`` has a row for each class."""

    __slots__ = ()
    plan: PlanReport

    @classmethod
    def of(cls, status: StoreStatus) -> Self:
        """The same status."""
        values = {field.name: getattr(status, field.name) for field in fields(status)}
        return cls(**{**values, "plan": PlanReport.of(status.plan)})

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each class: what store and service have of it, and what a push would do.

        Raises:
            ConfigError: pandas is not installed.
        """
        return data_frame(CLASS_COLUMNS, self._class_rows())

    def _class_rows(self) -> list[tuple[str, int, int, int, int, int, int, int]]:
        return [
            (title, one.local, one.managed, one.unmanaged, one.upload, one.remove, one.wait, one.hold)
            for title, one in sorted(self.plan.classes.items())
        ]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary()}>"

    def _repr_html_(self) -> str:
        rows = self._class_rows()
        # Columns without a number in them say nothing.
        kept = [place for place in range(len(CLASS_COLUMNS)) if place < 3 or any(row[place] for row in rows)]
        shown = [[row[place] for place in kept] for row in rows[: 10 * MOST_ROWS]]
        parts = [html_table([CLASS_COLUMNS[place] for place in kept], shown, self.summary(), len(rows) - len(shown))]
        problems = [*self.problems, *self.rejected]
        if problems:
            listed = [(one.path, one.reason) for one in problems[:MOST_ROWS]]
            parts.append(html_table(("file", "problem"), listed, "Problems", len(problems) - len(listed)))
        parts += [paragraph(f"Refused: {refusal.reason}") for refusal in self.refusals]
        return notebook_html(*parts)

    def summary(self) -> str:
        parts = ["in sync" if self.in_sync else self.plan.summary()]
        if self.problems or self.rejected:
            count = len(self.problems) + len(self.rejected)
            parts.append("1 problem" if count == 1 else f"{count:,} problems")
        if self.refusals:
            parts.append("refused by the guard")
        return ", ".join(parts)
