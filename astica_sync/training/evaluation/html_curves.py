"""Precision and recall of each class by the confidence from which an answer is accepted, drawn as SVG."""

from collections.abc import Iterator, Sequence
from html import escape

from astica_sync.core.evaluation.confidence_sweep import Accepted
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.training.evaluation.html_names import name_html, plain_text
from astica_sync.training.evaluation.metrics import ClassMetrics, VersionMetrics

MAX_CURVES = 24
"""Of more classes, those with the most mistakes are drawn."""

WIDTH, HEIGHT = 220, 130
_LEFT, _RIGHT, _TOP, _BOTTOM = 26, 8, 8, 18
"""The room around the plot, for its figures."""
MOST_STEPS = 200
"""A curve of more steps is drawn with so many of them, which are closer than the dots of a screen."""


def curves(metrics: VersionMetrics) -> Iterator[str]:
    """The section of one version."""
    shown = {metrics.titles[index] for index in metrics.most_confused(MAX_CURVES)}
    drawn = [
        (one, points)
        for one in metrics.classes
        if one.title in shown and one.images and (points := metrics.sweep(one.title))
    ]
    yield "<h3>Precision and recall by confidence</h3>\n"
    if not drawn:
        yield "<p class='faint'>No answer has a confidence in percent, so there are no curves.</p>\n"
        return
    yield "<p class='key faint'>Only answers with at least this confidence, in percent, are accepted:"
    for name in ("precision", "recall"):
        yield f"<svg viewBox='0 0 32 8' aria-hidden='true'><line class='{name}' x1='0' x2='32' y1='4' y2='4'/></svg>"
        yield name
    yield "</p>\n<div class='curves'>\n"
    for one, points in drawn:
        yield from _figure(one, points)
    yield "</div>\n"
    measured = sum(1 for one in metrics.classes if one.images)
    if measured > len(drawn):
        yield f"<p class='faint'>Of {measured:,} classes, {len(drawn)} are drawn: those with the most mistakes of the "
        yield "classes that were answered with a confidence.</p>\n"


def _figure(one: ClassMetrics, points: Sequence[Accepted]) -> Iterator[str]:
    label = f"Precision and recall of {plain_text(one.title)} by confidence"
    yield f"<figure><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escape(label)}'>"
    for share in (0, 50, 100):
        y, x = _y(share / 100), _x(share)
        yield f"<line class='grid' x1='{_LEFT}' x2='{WIDTH - _RIGHT}' y1='{y}' y2='{y}'/>"
        yield f"<text x='{_LEFT - 4}' y='{y + 3}' text-anchor='end'>{share}</text>"
        yield f"<text x='{x}' y='{HEIGHT - 5}' text-anchor='middle'>{share}</text>"
    yield f"<path class='recall' d='{_path(recall_steps(points, one.images))}'/>"
    yield f"<path class='precision' d='{_path(precision_steps(points))}'/>"
    yield f"</svg><figcaption>{name_html(one.title)}<br><span class='faint'>all answers: precision "
    yield f"{percent(one.precision)}, recall {percent(one.recall)}</span></figcaption></figure>\n"


def precision_steps(points: Sequence[Accepted]) -> list[tuple[float, float]]:
    """The corners of the curve from threshold 0 on, up to the highest confidence: no answer is accepted above it."""
    return _steps([(point.threshold, point.correct / point.answers) for point in points])


def recall_steps(points: Sequence[Accepted], images: int) -> list[tuple[float, float]]:
    """As ``precision_steps``; above the highest confidence, recall is 0."""
    steps = _steps([(point.threshold, point.correct / images) for point in points])
    return [*steps, (steps[-1][0], 0.0), (100.0, 0.0)]


def _steps(values: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """``values`` are those at each threshold, the highest first; each is valid from above the next lower threshold."""
    rising = list(reversed(values))
    if len(rising) > MOST_STEPS:
        rising = [rising[place * (len(rising) - 1) // (MOST_STEPS - 1)] for place in range(MOST_STEPS)]
    corners: list[tuple[float, float]] = []
    start = 0.0
    for threshold, value in rising:
        corners += [(start, value), (threshold, value)]
        start = threshold
    return corners


def _path(corners: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_x(threshold):g} {_y(share):g}" for threshold, share in corners)


def _x(threshold: float) -> float:
    return round(_LEFT + threshold / 100 * (WIDTH - _LEFT - _RIGHT), 1)


def _y(share: float) -> float:
    return round(_TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM), 1)
