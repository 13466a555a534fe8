"""An evaluation as one self-contained HTML file: no script, no font and no image is loaded from elsewhere."""

import contextlib
from collections.abc import Iterator
from html import escape

from astica_sync.clock import local_time
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.core.recipe import Recipe
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.html_class_differences import class_differences
from astica_sync.training.evaluation.html_confusion import Pictures
from astica_sync.training.evaluation.html_curves import curves
from astica_sync.training.evaluation.html_names import name_html as _name
from astica_sync.training.evaluation.html_names import plain_text as _plain
from astica_sync.training.evaluation.html_style import POLICY, REPORT_START, STYLE
from astica_sync.training.evaluation.metrics import VersionMetrics
from astica_sync.training.find_images import count_formats
from astica_sync.training.version_history import MADE_ELSEWHERE

MAX_LISTED = 100
"""How many leaks, and how many failed images, are listed by name."""


def write_html(evaluation: Evaluation, now: float, recipe: Recipe | None = None) -> str:
    """The report as HTML; ``now`` is in seconds since the epoch, and ``recipe`` says how images are converted."""
    with contextlib.closing(Rasterizer(recipe)) as rasterizer:
        return "".join(_page(evaluation, now, rasterizer))


def _page(evaluation: Evaluation, now: float, rasterizer: Rasterizer) -> Iterator[str]:
    folder = " + ".join(each.resolve().name or str(each) for each in evaluation.folders)
    yield REPORT_START
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    yield "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
    yield f"<title>Evaluation on {escape(_plain(folder))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    yield f"<h1>Evaluation on {_name(folder)}</h1>\n"
    yield f"<p class='faint'>{_images(evaluation.measured[0].total, 'held-out ')}, {local_time(now)}</p>\n"
    yield from _overview(evaluation)
    for comparison in evaluation.compared:
        kind = "verdict real" if comparison.significant else "verdict"
        yield f"<p class='{kind}'>{escape(_plain(comparison.sentence))}</p>\n"
        yield from class_differences(comparison)
    yield from _left_out(evaluation)
    pictures = Pictures(evaluation, rasterizer)
    for number, metrics in enumerate(evaluation.measured, 1):
        yield f"<h2 id='version-{number}'>Version {_name(metrics.version)}</h2>\n"
        yield from _classes(metrics)
        yield from curves(metrics)
        yield from pictures.version(number, metrics)
    yield from pictures.large()
    yield "</body>\n</html>\n"


def _images(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}image" if count == 1 else f"{count:,} {kind}images"


def _overview(evaluation: Evaluation) -> Iterator[str]:
    yield "<div class='wide'><table><thead><tr><th>version<th>correct<th>accuracy<th>95 % interval"
    yield "<th>macro F1<th>weighted F1<th>calibration error"
    yield "</tr></thead><tbody>\n"
    for number, metrics in enumerate(evaluation.measured, 1):
        yield (
            f"<tr><td><a href='#version-{number}'>{_name(metrics.version)}</a>"
            f"<td>{metrics.correct:,} of {metrics.total:,}"
            f"<td>{percent(metrics.accuracy)}<td>{percent(metrics.low)} to {percent(metrics.high)}"
            f"<td>{percent(metrics.macro_f1)}<td>{percent(metrics.weighted_f1)}<td>{_calibration_error(metrics)}</tr>\n"
        )
    yield "</tbody></table></div>\n"
    for metrics in evaluation.measured:
        if metrics.unanswered:
            yield f"<p class='faint'>Version {_name(metrics.version)} named no class for "
            yield f"{_images(metrics.unanswered)}; they count as wrong.</p>\n"
    if evaluation.failed:
        yield f"<p class='faint'>Not counted: {_images(len(evaluation.failed))} without an answer.</p>\n"
    if evaluation.mostly_left_out:
        yield "<p><b>Most images are left out</b>, since they are in the training data as well.</p>\n"


def _calibration_error(metrics: VersionMetrics) -> str:
    return "" if metrics.calibration is None else percent(metrics.calibration.error)


def _left_out(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.made_elsewhere:
        yield f"<p class='faint'>{MADE_ELSEWHERE.capitalize()}.</p>\n"
    if evaluation.leaks:
        treatment = "counted" if evaluation.with_leaks else "left out"
        yield f"<h3>Also in the training data: {_images(len(evaluation.leaks))}, {treatment}</h3>\n<ul class='faint'>\n"
        for leak in evaluation.leaks[:MAX_LISTED]:
            relation = "the same bytes as" if leak.same_bytes else "similar to"
            yield f"<li>{_name(leak.image.name)}: {relation} {_name(leak.source)}</li>\n"
        if len(evaluation.leaks) > MAX_LISTED:
            yield f"<li>and {len(evaluation.leaks) - MAX_LISTED:,} more</li>\n"
        yield "</ul>\n"
    for trained in evaluation.trained_on:
        yield f"<p class='faint'>Version {_name(trained.version)} was trained on "
        yield f"{_images(trained.images, 'held-out ')}; it is not scored.</p>\n"
    for name in evaluation.unknown_data:
        yield f"<p class='faint'>The data of version {_name(name)} is not known: it may have been trained on some of "
        yield "these images.</p>\n"
    for name, count in evaluation.unchecked.items():
        yield f"<p class='faint'>{_images(count, 'training ')} of version {_name(name)} cannot be compared with the "
        yield "held-out images: the bytes are not in the backup, or cannot be decoded.</p>\n"
    for text, names in (
        ("In no class folder, left out", evaluation.loose),
        ("The same bytes as another image of the class, counted once", evaluation.repeated),
        *(("The same image in several classes, wrong in one of them", names) for names in evaluation.contradictory),
        *(("Nearly the same picture in several classes", names) for names in evaluation.similar_across),
        *(("Nearly the same picture, each counted", names) for names in evaluation.similar),
        ("Classes with few images, whose figures say little", tuple(evaluation.small_classes)),
    ):
        if names:
            listed = ", ".join(map(_name, names[:MAX_LISTED]))
            yield f"<p class='faint'>{text} ({len(names):,}): {listed}</p>\n"
    if evaluation.unsupported:
        files = [str(one.path) for one in evaluation.unsupported]
        formats = escape(count_formats(evaluation.unsupported))
        yield f"<p class='faint'>Neither sent nor converted, left out ({formats}): "
        yield f"{', '.join(map(_name, files[:MAX_LISTED]))}</p>\n"
    for refused in evaluation.refused:
        yield f"<p class='faint'>{escape(_plain(refused.reason))}</p>\n"
    for title, images in evaluation.unknown_classes.items():
        yield f"<p class='faint'>Class {_name(title)} ({_images(images)}) is not known to any version; left out.</p>\n"
    for failed in evaluation.failed[:MAX_LISTED]:
        yield f"<p class='faint'>{_name(failed.name)} could not be evaluated: {_name(failed.error)}</p>\n"
    if len(evaluation.failed) > MAX_LISTED:
        yield f"<p class='faint'>{len(evaluation.failed) - MAX_LISTED:,} more could not be evaluated.</p>\n"


def _classes(metrics: VersionMetrics) -> Iterator[str]:
    yield "<div class='wide'><table><thead><tr><th>class<th>images<th>precision<th>recall<th>F1</tr></thead><tbody>\n"
    for one in metrics.classes:
        scores = ["-" if score is None else percent(score) for score in one.scores]
        yield f"<tr><td>{_name(one.title)}<td>{one.images:,}<td>{'<td>'.join(scores)}</tr>\n"
    yield "</tbody></table></div>\n"
