"""An evaluation as one HTML file that needs nothing else: no script, no font, no image from elsewhere."""

import base64
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from astica_sync.training.evaluate import Evaluation
from astica_sync.training.measure import Answer, Measured

MISTAKES_SHOWN = 60
THUMBNAIL = 96

_STYLE = """
:root { --ink: #1c2128; --faint: #6a737d; --line: #d8dee4; --paper: #fff; --good: 46, 125, 80; --bad: 197, 62, 48 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --faint: #98a1ab; --line: #3a424c; --paper: #14181d; --good: 80, 180, 120;
          --bad: 230, 100, 85 }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem;
       margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.2rem; margin-top: 2.5rem } h3 { font-size: 1rem }
.faint { color: var(--faint) }
table { border-collapse: collapse; margin: .75rem 0 } .wide { overflow-x: auto }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right }
th:first-child, td:first-child { text-align: left } th { font-weight: 600 }
.matrix td { border: 1px solid var(--paper); min-width: 2.2rem; text-align: center }
.matrix th { border: 0 } .matrix thead th { text-align: center }
.verdict { border-left: 4px solid rgb(var(--good)); padding: .4rem .9rem; margin: .75rem 0 }
.mistakes { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0 }
figure { margin: 0; width: 8.5rem; font-size: .85rem } figure img { width: 96px; height: 96px; object-fit: contain;
         background: rgba(128, 128, 128, .15); border-radius: 4px }
figcaption b { color: rgb(var(--bad)) } figcaption span { overflow-wrap: anywhere }
"""


def write_html(evaluation: Evaluation, now: float) -> str:
    """The whole report; ``now`` is in seconds since the epoch."""
    return "".join(_page(evaluation, now))


def _page(evaluation: Evaluation, now: float) -> Iterator[str]:
    when = datetime.fromtimestamp(now, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    name = escape(evaluation.folder.name or str(evaluation.folder))
    yield "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
    yield "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
    yield f"<title>Evaluation on {name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    yield f"<h1>Evaluation on {name}</h1>\n"
    yield f"<p class='faint'>{evaluation.measured[0].shown:,} held-out images, {when}</p>\n"
    yield from _overview(evaluation)
    for compared in evaluation.compared:
        yield f"<p class='verdict'>{escape(compared.sentence)}</p>\n"
    yield from _left_out(evaluation)
    for measured in evaluation.measured:
        yield f"<h2>Version {escape(measured.version)}</h2>\n"
        yield from _classes(measured)
        yield from _matrix(measured)
        yield from _mistakes(measured, evaluation)
    yield "</body>\n</html>\n"


def _overview(evaluation: Evaluation) -> Iterator[str]:
    yield "<table><thead><tr><th>version<th>right<th>accuracy<th>95 % interval</tr></thead><tbody>\n"
    for one in evaluation.measured:
        yield (
            f"<tr><td>{escape(one.version)}<td>{one.right:,} of {one.shown:,}<td>{one.accuracy:.1%}"
            f"<td>{one.low:.1%} to {one.high:.1%}</tr>\n"
        )
    yield "</tbody></table>\n"


def _left_out(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.leaks:
        word = "counted all the same" if evaluation.with_leaks else "left out"
        yield f"<h3>In the training data as well: {len(evaluation.leaks):,}, {word}</h3>\n<ul class='faint'>\n"
        for leak in evaluation.leaks:
            same = "the same bytes as" if leak.same_bytes else "nearly the same picture as"
            yield f"<li>{escape(leak.image.name)}: {same} {escape(leak.source)}</li>\n"
        yield "</ul>\n"
    for title, images in evaluation.unknown.items():
        yield f"<p class='faint'>Class {escape(title)} ({images:,} images) is known to no version and left out.</p>\n"
    for failed in evaluation.failed:
        yield f"<p class='faint'>{escape(failed.name)} could not be looked at: {escape(failed.error)}</p>\n"


def _classes(measured: Measured) -> Iterator[str]:
    yield "<table><thead><tr><th>class<th>images<th>precision<th>recall<th>F1</tr></thead><tbody>\n"
    for one in measured.classes:
        yield (
            f"<tr><td>{escape(one.title)}<td>{one.images:,}<td>{one.precision:.1%}<td>{one.recall:.1%}"
            f"<td>{one.f1:.1%}</tr>\n"
        )
    yield "</tbody></table>\n"


def _matrix(measured: Measured) -> Iterator[str]:
    yield "<h3>What was said of each class</h3>\n<div class='wide'><table class='matrix'><thead><tr><th>"
    yield "".join(f"<th>{escape(title)}" for title in measured.titles)
    yield "</tr></thead><tbody>\n"
    for place, (title, row) in enumerate(zip(measured.titles, measured.confusion, strict=True)):
        most = max(1, sum(row))
        yield f"<tr><th>{escape(title)}"
        for column, count in enumerate(row):
            colour = "good" if column == place else "bad"
            strength = round(count / most * 0.8, 2)
            yield f"<td style='background: rgba(var(--{colour}), {strength})'>{count or ''}"
        yield "</tr>\n"
    yield "</tbody></table></div>\n<p class='faint'>A row for each class as it is, a column for each answer.</p>\n"


def _mistakes(measured: Measured, evaluation: Evaluation) -> Iterator[str]:
    mistakes = measured.mistakes
    if not mistakes:
        yield "<p>No mistake.</p>\n"
        return
    shown = mistakes[:MISTAKES_SHOWN]
    rest = f", the {len(shown)} most confident of them" if len(mistakes) > len(shown) else ""
    yield f"<h3>Mistakes: {len(mistakes):,}{rest}</h3>\n<div class='mistakes'>\n"
    for answer in shown:
        yield _figure(answer, evaluation.paths[answer.name])
    yield "</div>\n"


def _figure(answer: Answer, path: Path) -> str:
    return (
        f"<figure><img alt='' src='{_thumbnail(path)}'><figcaption><b>{escape(answer.label)}</b> "
        f"{answer.confidence:.0f} %<br>is {escape(answer.truth)}<br>"
        f"<span class='faint'>{escape(answer.name)}</span></figcaption></figure>\n"
    )


def _thumbnail(path: Path) -> str:
    """A small JPEG as a data URI; a grey dot where the image cannot be decoded."""
    from PIL import Image

    small = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
            image.thumbnail((THUMBNAIL, THUMBNAIL))
            image.convert("RGB").save(small, "JPEG", quality=80)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        Image.new("RGB", (1, 1), "grey").save(small, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode()}"
