"""An evaluation as one HTML file that needs nothing else: no script, no font, no image from elsewhere."""

import base64
import io
import unicodedata
from collections.abc import Iterator
from html import escape
from pathlib import Path

from astica_sync.clock import local_time
from astica_sync.training.evaluate import Evaluation
from astica_sync.training.metrics import Answer, Measured

MISTAKES_SHOWN = 60
LEAKS_SHOWN = 100
MATRIX_CLASSES = 60
"""A matrix of more classes than these shows the most confused ones: nobody reads a million cells."""

UPRIGHT_LETTERS = 70
"""Titles of more letters together stand upright above their columns."""

THUMBNAIL = 96

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What the browser is told, so that not even a mistake of this page could ask for anything."""

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
.matrix td, .matrix .upright { padding: .2rem .3rem }
.matrix th { border: 0 } .matrix thead th { text-align: center; vertical-align: bottom }
.matrix th:first-child { position: sticky; left: 0; background: var(--paper); max-width: 11rem; overflow: hidden;
                         text-overflow: ellipsis; white-space: nowrap }
.matrix .upright span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 10rem; overflow: hidden;
                        text-overflow: ellipsis; text-align: left; display: inline-block }
.verdict { border-left: 4px solid var(--line); padding: .4rem .9rem; margin: .75rem 0 }
.real { border-color: rgb(var(--bad)) }
.mistakes { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0 }
figure { margin: 0; width: 8.5rem; font-size: .85rem } figure img { width: 96px; height: 96px; object-fit: contain;
         background: rgba(128, 128, 128, .15); border-radius: 4px }
figcaption b { color: rgb(var(--bad)) }
"""


def write_html(evaluation: Evaluation, now: float) -> str:
    """The whole report; ``now`` is in seconds since the epoch."""
    return "".join(_page(evaluation, now))


def _page(evaluation: Evaluation, now: float) -> Iterator[str]:
    when = local_time(now)
    folder = evaluation.folder.resolve().name or str(evaluation.folder)
    yield "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
    yield f"<title>Evaluation on {escape(_plain(folder))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    yield f"<h1>Evaluation on {_name(folder)}</h1>\n"
    yield f"<p class='faint'>{_images(evaluation.measured[0].shown, 'held-out ')}, {when}</p>\n"
    yield from _overview(evaluation)
    for compared in evaluation.compared:
        kind = "verdict real" if compared.real else "verdict"
        yield f"<p class='{kind}'>{escape(_plain(compared.sentence))}</p>\n"
    yield from _left_out(evaluation)
    for number, measured in enumerate(evaluation.measured, 1):
        yield f"<h2 id='version-{number}'>Version {_name(measured.version)}</h2>\n"
        yield from _classes(measured)
        yield from _matrix(measured)
        yield from _mistakes(measured, evaluation)
    yield "</body>\n</html>\n"


def _name(text: str) -> str:
    """A name from a file or the service: whatever it holds, the page around it stays as it is."""
    return f"<bdi>{escape(_plain(text))}</bdi>" if text else "<i>(nothing)</i>"


def _plain(text: str) -> str:
    """Without what no page may hold or what makes a name look like another: control characters, bytes that were no
    UTF-8, and orders to write the other way."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_odd(sign) else sign for sign in text)


def _is_odd(sign: str) -> bool:
    turns = unicodedata.bidirectional(sign) in ("LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return turns or unicodedata.category(sign) in ("Cc", "Cs")


def _images(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}image" if count == 1 else f"{count:,} {kind}images"


def _overview(evaluation: Evaluation) -> Iterator[str]:
    yield "<div class='wide'><table><thead><tr><th>version<th>right<th>accuracy<th>95 % interval</tr></thead><tbody>\n"
    for number, one in enumerate(evaluation.measured, 1):
        yield (
            f"<tr><td><a href='#version-{number}'>{_name(one.version)}</a><td>{one.right:,} of {one.shown:,}"
            f"<td>{one.accuracy:.1%}<td>{one.low:.1%} to {one.high:.1%}</tr>\n"
        )
    yield "</tbody></table></div>\n"


def _left_out(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.leaks:
        word = "counted all the same" if evaluation.with_leaks else "left out"
        yield f"<h3>In the training data as well: {_images(len(evaluation.leaks))}, {word}</h3>\n<ul class='faint'>\n"
        for leak in evaluation.leaks[:LEAKS_SHOWN]:
            same = "the same bytes as" if leak.same_bytes else "nearly the same picture as"
            yield f"<li>{_name(leak.image.name)}: {same} {_name(leak.source)}</li>\n"
        if len(evaluation.leaks) > LEAKS_SHOWN:
            yield f"<li>and {len(evaluation.leaks) - LEAKS_SHOWN:,} more</li>\n"
        yield "</ul>\n"
    for title, images in evaluation.unknown.items():
        yield f"<p class='faint'>Class {_name(title)} ({_images(images)}) is known to no version and left out.</p>\n"
    for failed in evaluation.failed[:LEAKS_SHOWN]:
        yield f"<p class='faint'>{_name(failed.name)} could not be looked at: {_name(failed.error)}</p>\n"
    if len(evaluation.failed) > LEAKS_SHOWN:
        yield f"<p class='faint'>{len(evaluation.failed) - LEAKS_SHOWN:,} more could not be looked at.</p>\n"


def _classes(measured: Measured) -> Iterator[str]:
    yield "<div class='wide'><table><thead><tr><th>class<th>images<th>precision<th>recall<th>F1</tr></thead><tbody>\n"
    for one in measured.classes:
        yield (
            f"<tr><td>{_name(one.title)}<td>{one.images:,}<td>{one.precision:.1%}<td>{one.recall:.1%}"
            f"<td>{one.f1:.1%}</tr>\n"
        )
    yield "</tbody></table></div>\n"


def _matrix(measured: Measured) -> Iterator[str]:
    places = measured.most_confused(MATRIX_CLASSES)
    titles = [measured.titles[place] for place in places]
    upright = " class='upright'" if sum(map(len, titles)) > UPRIGHT_LETTERS else ""
    yield "<h3>What was said of each class</h3>\n<div class='wide'><table class='matrix'><thead><tr><th>"
    yield "".join(f"<th{upright} title='{escape(_plain(title))}'><span>{_name(title)}</span>" for title in titles)
    yield "</tr></thead><tbody>\n"
    for place, title in zip(places, titles, strict=True):
        row = measured.confusion[place]
        most = max(1, sum(row))
        yield f"<tr><th title='{escape(_plain(title))}'>{_name(title)}"
        for column in places:
            count = row[column]
            colour = "good" if column == place else "bad"
            strength = round(count / most * 0.8, 2)
            yield f"<td style='background: rgba(var(--{colour}), {strength})'>{count:,}" if count else "<td>"
        yield "</tr>\n"
    yield "</tbody></table></div>\n<p class='faint'>A row for each class as it is, a column for each answer"
    if len(places) < len(measured.titles):
        yield f"; of {len(measured.titles):,} classes the {len(places)} with the most mistakes"
    yield ".</p>\n"


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
        f"<figure><img alt='' src='{_thumbnail(path)}'><figcaption><b>{_name(answer.label)}</b> "
        f"{answer.confidence:.0f} %<br>is {_name(answer.truth)}<br>"
        f"<span class='faint'>{_name(answer.name)}</span></figcaption></figure>\n"
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
