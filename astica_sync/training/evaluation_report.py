"""An evaluation as one self-contained HTML file: no script, no font and no image is loaded from elsewhere."""

import base64
import contextlib
import io
import unicodedata
from collections.abc import Iterator
from html import escape
from pathlib import Path

from astica_sync.clock import local_time
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.training.evaluate import Evaluation
from astica_sync.training.metrics import Prediction, VersionMetrics

MAX_MISTAKES = 60
MAX_LISTED = 100
"""How many leaks, and how many failed images, are listed by name."""

MAX_MATRIX_CLASSES = 60
"""A confusion matrix of more classes shows those with the most mistakes."""

MAX_HORIZONTAL_LETTERS = 70
"""Column titles with more letters in total are written vertically."""

THUMBNAIL_SIZE = 96

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The content security policy: the browser loads nothing, even if a name in the page contained markup."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --faint: #5f6873; --line: #d8dee4; --cell: #f3f5f7; --paper: #fff;
        --good: 46, 125, 80; --bad: 197, 62, 48 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --faint: #98a1ab; --line: #3a424c; --cell: #1d232a; --paper: #14181d; --good: 80, 180, 120;
          --bad: 230, 100, 85 }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem;
       margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.2rem; margin-top: 2.5rem } h3 { font-size: 1rem }
.faint { color: var(--faint) } a { color: inherit; text-underline-offset: .2em }
table { border-collapse: collapse; margin: .75rem 0 } .wide { overflow-x: auto }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 6rem; max-width: 24rem }
th { font-weight: 600 }
.matrix td { background: var(--cell); border: 1px solid var(--paper); min-width: 1.8rem; text-align: center }
.matrix td, .matrix .vertical { padding: .2rem .3rem }
.matrix th { border: 0 } .matrix thead th { text-align: center; vertical-align: bottom }
.matrix th:first-child { position: sticky; left: 0; background: var(--paper); max-width: 11rem; overflow: hidden;
                         text-overflow: ellipsis; white-space: nowrap }
.matrix .vertical span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 10rem; overflow: hidden;
                        text-overflow: ellipsis; text-align: left; display: inline-block }
.verdict { border-left: 4px solid var(--line); padding: .4rem .9rem; margin: .75rem 0 }
.real { border-color: rgb(var(--bad)) }
.mistakes { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0 }
figure { margin: 0; width: 8.5rem; font-size: .85rem } figure img { width: 96px; height: 96px; object-fit: contain;
         background: rgba(128, 128, 128, .15); border-radius: 4px }
figcaption b { color: rgb(var(--bad)) }
"""


def write_html(evaluation: Evaluation, now: float) -> str:
    """The report as HTML; ``now`` is in seconds since the epoch."""
    with contextlib.closing(Rasterizer()) as rasterizer:
        return "".join(_page(evaluation, now, rasterizer))


def _page(evaluation: Evaluation, now: float, rasterizer: Rasterizer) -> Iterator[str]:
    folder = evaluation.folder.resolve().name or str(evaluation.folder)
    yield "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
    yield f"<title>Evaluation on {escape(_plain(folder))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    yield f"<h1>Evaluation on {_name(folder)}</h1>\n"
    yield f"<p class='faint'>{_images(evaluation.measured[0].total, 'held-out ')}, {local_time(now)}</p>\n"
    yield from _overview(evaluation)
    for comparison in evaluation.compared:
        kind = "verdict real" if comparison.significant else "verdict"
        yield f"<p class='{kind}'>{escape(_plain(comparison.sentence))}</p>\n"
    yield from _left_out(evaluation)
    for number, metrics in enumerate(evaluation.measured, 1):
        yield f"<h2 id='version-{number}'>Version {_name(metrics.version)}</h2>\n"
        yield from _classes(metrics)
        yield from _confusion_matrix(metrics)
        yield from _mistakes(metrics, evaluation, rasterizer)
    yield "</body>\n</html>\n"


def _name(text: str) -> str:
    """A name from a file or the service, escaped and isolated from the text around it."""
    return f"<bdi>{escape(_plain(text))}</bdi>" if text else "<i>(no name)</i>"


def _plain(text: str) -> str:
    """Replaces control characters, bytes that are not UTF-8, and characters that change the writing direction."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unsafe(char) else char for char in text)


def _is_unsafe(char: str) -> bool:
    changes_direction = unicodedata.bidirectional(char) in (
        "LRE",
        "LRO",
        "RLE",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    )
    return changes_direction or unicodedata.category(char) in ("Cc", "Cs")


def _images(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}image" if count == 1 else f"{count:,} {kind}images"


def _overview(evaluation: Evaluation) -> Iterator[str]:
    yield "<div class='wide'><table><thead><tr><th>version<th>correct<th>accuracy<th>95 % interval"
    yield "</tr></thead><tbody>\n"
    for number, metrics in enumerate(evaluation.measured, 1):
        yield (
            f"<tr><td><a href='#version-{number}'>{_name(metrics.version)}</a>"
            f"<td>{metrics.correct:,} of {metrics.total:,}"
            f"<td>{metrics.accuracy:.1%}<td>{metrics.low:.1%} to {metrics.high:.1%}</tr>\n"
        )
    yield "</tbody></table></div>\n"
    for metrics in evaluation.measured:
        if metrics.unanswered:
            yield f"<p class='faint'>Version {_name(metrics.version)} named no class for "
            yield f"{_images(metrics.unanswered)}; they count as wrong.</p>\n"
    if evaluation.failed:
        yield f"<p class='faint'>Not counted: {_images(len(evaluation.failed))} for which a request failed.</p>\n"
    if evaluation.mostly_left_out:
        yield "<p><b>Most images are left out</b>, since they are in the training data as well.</p>\n"


def _left_out(evaluation: Evaluation) -> Iterator[str]:
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
    ):
        if names:
            listed = ", ".join(map(_name, names[:MAX_LISTED]))
            yield f"<p class='faint'>{text} ({_images(len(names))}): {listed}</p>\n"
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
        yield (
            f"<tr><td>{_name(one.title)}<td>{one.images:,}<td>{one.precision:.1%}<td>{one.recall:.1%}"
            f"<td>{one.f1:.1%}</tr>\n"
        )
    yield "</tbody></table></div>\n"


def _confusion_matrix(metrics: VersionMetrics) -> Iterator[str]:
    indexes = metrics.most_confused(MAX_MATRIX_CLASSES)
    titles = [metrics.titles[index] for index in indexes]
    vertical = " class='vertical'" if sum(map(len, titles)) > MAX_HORIZONTAL_LETTERS else ""
    yield "<h3>Confusion matrix</h3>\n<div class='wide'><table class='matrix'><thead><tr><th>"
    yield "".join(f"<th{vertical} title='{escape(_plain(title))}'><span>{_name(title)}</span>" for title in titles)
    yield "</tr></thead><tbody>\n"
    for index, title in zip(indexes, titles, strict=True):
        row = metrics.confusion[index]
        row_total = max(1, sum(row))
        yield f"<tr><th title='{escape(_plain(title))}'>{_name(title)}"
        for column in indexes:
            count = row[column]
            colour = "good" if column == index else "bad"
            opacity = round(count / row_total * 0.8, 2)
            yield f"<td style='background: rgba(var(--{colour}), {opacity})'>{count:,}" if count else "<td>"
        yield "</tr>\n"
    yield "</tbody></table></div>\n<p class='faint'>Rows are true classes, columns are predicted classes"
    if len(indexes) < len(metrics.titles):
        yield f"; of {len(metrics.titles):,} classes, the {len(indexes)} with the most mistakes are shown"
    yield ".</p>\n"


def _mistakes(metrics: VersionMetrics, evaluation: Evaluation, rasterizer: Rasterizer) -> Iterator[str]:
    mistakes = metrics.mistakes
    if not mistakes:
        yield "<p>No mistakes.</p>\n"
        return
    listed = mistakes[:MAX_MISTAKES]
    selection = f"; the {len(listed)} most confident ones" if len(mistakes) > len(listed) else ""
    yield f"<h3>Mistakes: {len(mistakes):,}{selection}</h3>\n<div class='mistakes'>\n"
    for prediction in listed:
        yield _figure(prediction, _thumbnail(evaluation.paths[prediction.name], rasterizer))
    yield "</div>\n"


def _figure(prediction: Prediction, thumbnail: str) -> str:
    confidence = "" if prediction.confidence is None else f" {prediction.confidence:.0f} %"
    return (
        f"<figure><img alt='' src='{thumbnail}'><figcaption><b>{_name(prediction.label)}</b>"
        f"{confidence}<br>is {_name(prediction.truth)}<br>"
        f"<span class='faint'>{_name(prediction.name)}</span></figcaption></figure>\n"
    )


def _thumbnail(path: Path, rasterizer: Rasterizer) -> str:
    """A small JPEG as a data URI; a grey pixel if the image cannot be decoded."""
    from PIL import Image

    raster = rasterizer.render_file(path, THUMBNAIL_SIZE)
    if raster is None:
        image = Image.new("RGB", (1, 1), "grey")
    else:
        image = Image.frombytes("RGB", (raster.width, raster.height), raster.pixels)
    small = io.BytesIO()
    image.save(small, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode()}"
