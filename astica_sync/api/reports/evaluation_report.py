"""An evaluation, as ``Store.evaluate`` returns it."""

from dataclasses import fields
from typing import TYPE_CHECKING, Self

from astica_sync.api.reports.data_frame import data_frame
from astica_sync.api.reports.html_table import Cell, html_table, notebook_html, paragraph
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.metrics import VersionMetrics
from astica_sync.training.version_history import MADE_ELSEWHERE

if TYPE_CHECKING:
    import pandas as pd

VERSION_COLUMNS = (
    "version",
    "images",
    "correct",
    "accuracy",
    "low",
    "high",
    "macro_f1",
    "weighted_f1",
    "calibration_error",
    "unanswered",
)
CLASS_COLUMNS = ("version", "class", "images", "precision", "recall", "f1")
PREDICTION_COLUMNS = ("version", "image", "class", "answer", "confidence", "correct")


class EvaluationReport(Evaluation):
    """An evaluation. A notebook shows its versions, and ``to_pandas`` has a row for each."""

    __slots__ = ()

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """The same evaluation."""
        return cls(**{field.name: getattr(evaluation, field.name) for field in fields(evaluation)})

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each version; ``low`` and ``high`` are the 95 % confidence interval of the accuracy.

        Raises:
            ConfigError: pandas is not installed.
        """
        return data_frame(VERSION_COLUMNS, map(_row, self.measured))

    def classes_to_pandas(self) -> "pd.DataFrame":
        """A row for each version and class; the scores of a class without held-out images are missing.

        Raises:
            ConfigError: pandas is not installed.
        """
        rows = (
            (metrics.version, one.title, one.images, *one.scores)
            for metrics in self.measured
            for one in metrics.classes
        )
        return data_frame(CLASS_COLUMNS, rows)

    def predictions_to_pandas(self) -> "pd.DataFrame":
        """A row for each answer of each version; ``confidence`` is in percent.

        Raises:
            ConfigError: pandas is not installed.
        """
        rows = (
            (metrics.version, one.name, one.truth, one.label, one.confidence, one.correct)
            for metrics in self.measured
            for one in metrics.predictions
        )
        return data_frame(PREDICTION_COLUMNS, rows)

    def __repr__(self) -> str:
        scores = ", ".join(f"{one.version!r} {percent(one.accuracy)}" for one in self.measured[-3:])
        before = "…, " if len(self.measured) > 3 else ""
        return f"<EvaluationReport: {before}{scores}>"

    def _repr_html_(self) -> str:
        columns = ("version", "accuracy", "95 % interval", "correct", "images", "macro F1", "weighted F1")
        rows: list[list[Cell]] = [
            [
                one.version,
                percent(one.accuracy),
                f"{percent(one.low)} to {percent(one.high)}",
                one.correct,
                one.total,
                percent(one.macro_f1),
                percent(one.weighted_f1),
            ]
            for one in self.measured
        ]
        title = f"Evaluation on {' and '.join(folder.name for folder in self.folders)}"
        parts = [html_table(columns, rows, title)]
        parts += [paragraph(one.sentence) for one in self.compared]
        if self.leaks:
            count = len(self.leaks)
            images, they = ("image", "it is") if count == 1 else ("images", "they are")
            what = f"counted although {they}" if self.with_leaks else f"left out, as {they}"
            parts.append(paragraph(f"{count:,} {images} {what} in the training data too."))
        if self.made_elsewhere:
            parts.append(paragraph(f"{MADE_ELSEWHERE.capitalize()}."))
        parts += [paragraph(f"{one.version} is not run: {one.reason}") for one in self.refused]
        return notebook_html(*parts)


def _row(one: VersionMetrics) -> tuple[Cell, ...]:
    calibration = one.calibration
    return (
        one.version,
        one.total,
        one.correct,
        one.accuracy,
        one.low,
        one.high,
        one.macro_f1,
        one.weighted_f1,
        None if calibration is None else calibration.error,
        one.unanswered,
    )
