"""An evaluation as JSON."""

from typing import Any

from astica_sync.cli.render.text import json_name
from astica_sync.core.evaluation.calibration import Calibration
from astica_sync.core.evaluation.confidence_sweep import Accepted, accepted_at, find_threshold
from astica_sync.core.model import ModelInfo
from astica_sync.training.evaluation.comparison import Difference
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.metrics import NO_ANSWER, ClassMetrics, VersionMetrics
from astica_sync.training.version_history import VersionSummary

THRESHOLDS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
"""The confidences, in percent, at which coverage and the curves of the classes are printed."""


def evaluation_data(evaluation: Evaluation, precision: float) -> dict[str, Any]:
    """The whole evaluation; ``precision`` is the one that a threshold is looked for."""
    return {
        "folder": json_name(str(evaluation.folders[0])),
        "folders": [json_name(str(folder)) for folder in evaluation.folders],
        "model": _model_data(evaluation.model),
        "images": evaluation.images_hash,
        "made_elsewhere": evaluation.made_elsewhere,
        "versions": [
            {**_version_data(one, precision), "data": _training_data(evaluation.data.get(one.version))}
            for one in evaluation.measured
        ],
        "baseline": evaluation.baseline,
        "comparisons": [
            {
                "before": one.before,
                "after": one.after,
                **_difference_data(one.overall),
                "classes": [{"class": title, **_difference_data(each)} for title, each in one.classes],
                "sentence": one.sentence,
            }
            for one in evaluation.compared
        ],
        "leaks": [
            {"path": json_name(leak.image.name), "source": json_name(leak.source), "same_bytes": leak.same_bytes}
            for leak in evaluation.leaks
        ],
        "leaks_left_out": not evaluation.with_leaks,
        "unknown_classes": dict(evaluation.unknown_classes),
        "failed": [{"path": json_name(one.name), "reason": one.error} for one in evaluation.failed],
        "refused": [{"version": one.version, "reason": one.reason} for one in evaluation.refused],
        "trained_on": [{"version": one.version, "images": one.images} for one in evaluation.trained_on],
        "unknown_data": list(evaluation.unknown_data),
        "unchecked": dict(evaluation.unchecked),
        "ignored": [json_name(name) for name in evaluation.ignored],
        "unsupported": [{"path": json_name(str(one.path)), "format": one.format} for one in evaluation.unsupported],
        "loose": [json_name(name) for name in evaluation.loose],
        "repeated": [json_name(name) for name in evaluation.repeated],
        "contradictory": [[json_name(name) for name in names] for names in evaluation.contradictory],
        "similar": [[json_name(name) for name in names] for names in evaluation.similar],
        "similar_across": [[json_name(name) for name in names] for names in evaluation.similar_across],
        "small_classes": dict(evaluation.small_classes),
    }


def _difference_data(difference: Difference) -> dict[str, Any]:
    return {
        "images": difference.counts.total,
        "only_before": difference.counts.only_before,
        "only_after": difference.counts.only_after,
        "difference": difference.value,
        "interval": list(difference.interval),
        "p": difference.p_value,
        "p_corrected": difference.corrected,
    }


def _model_data(model: ModelInfo | None) -> dict[str, Any] | None:
    if model is None:
        return None
    return {"model_id": model.model_id, "title": model.title, "classes": model.classes, "samples": model.samples}


def _training_data(summary: VersionSummary | None) -> dict[str, Any] | None:
    """What the version was trained on; null where nothing is known of the version."""
    if summary is None:
        return None
    version = summary.version
    return {
        "number": version.number,
        "trained_at": version.trained_at,
        "snapshot": version.snapshot,
        "samples": summary.samples,
        "classes": summary.classes,
        "unmanaged": summary.unmanaged,
    }


def _accepted_data(one: Accepted, images: int) -> dict[str, Any]:
    """What a threshold accepts; ``share`` is that of all images."""
    return {
        "threshold": one.threshold,
        "answers": one.answers,
        "right": one.correct,
        "precision": one.precision,
        "share": one.answers / images,
    }


def _curve_data(one: VersionMetrics, entry: ClassMetrics) -> list[dict[str, Any]]:
    """Precision and recall of a class at each threshold."""
    points = one.sweep(entry.title)
    accepted = [accepted_at(points, threshold) for threshold in THRESHOLDS]
    return [
        {
            "threshold": point.threshold,
            "precision": point.precision if entry.images else None,
            "recall": point.correct / entry.images if entry.images else None,
        }
        for point in accepted
    ]


def _calibration_data(calibration: Calibration | None) -> dict[str, Any] | None:
    if calibration is None:
        return None
    return {
        "error": calibration.error,
        "bins": [
            {
                "low": one.low,
                "high": one.high,
                "answers": one.answers,
                "confidence": one.confidence,
                "accuracy": one.accuracy,
            }
            for one in calibration.bins
        ],
    }


def _version_data(one: VersionMetrics, precision: float) -> dict[str, Any]:
    points = one.sweep()
    found = find_threshold(points, precision)
    return {
        "version": one.version,
        "right": one.correct,
        "shown": one.total,
        "no_answer": one.unanswered,
        "accuracy": one.accuracy,
        "interval": [one.low, one.high],
        "macro_f1": one.macro_f1,
        "weighted_f1": one.weighted_f1,
        "calibration": _calibration_data(one.calibration),
        "coverage": [_accepted_data(accepted_at(points, threshold), one.total) for threshold in THRESHOLDS],
        "wanted_precision": precision,
        "threshold": None if found is None else _accepted_data(found, one.total),
        "confused": [
            {
                "class": pair.truth,
                "output": None if pair.label == NO_ANSWER else pair.label,
                "images": pair.images,
                "share": pair.share,
            }
            for pair in one.confused_pairs()
        ],
        "classes": [
            {
                "class": entry.title,
                "images": entry.images,
                **dict(zip(("precision", "recall", "f1"), entry.scores, strict=True)),
                "curve": _curve_data(one, entry),
            }
            for entry in one.classes
        ],
        "confusion": {"titles": list(one.titles), "rows": [list(row) for row in one.confusion]},
        "mistakes": [
            {
                "path": json_name(answer.name),
                "class": answer.truth,
                "output": None if answer.label == NO_ANSWER else answer.label,
                "confidence": answer.confidence,
            }
            for answer in one.mistakes
        ],
    }
