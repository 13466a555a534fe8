"""An inspection as one self-contained HTML file: no script, no font and no image is loaded from elsewhere."""

import base64
import contextlib
import io
import itertools
from collections.abc import Iterator
from html import escape
from pathlib import Path

from astica_sync.clock import local_time
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.core.hidden_characters import split_hidden
from astica_sync.core.recipe import Recipe
from astica_sync.inspect.findings import KINDS, SURE_KINDS, Finding
from astica_sync.inspect.inspect_store import Inspection
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.training.evaluation.html_style import REPORT_START

MOST_SHOWN = 100
"""So many findings of each kind are shown with their pictures."""
THUMBNAIL_SIDE = 128
_MOST_LETTERS = 300
_MOST_NAMES = 20
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
 padding: 0 1rem; overflow-wrap: anywhere } .faint { opacity: .7 } .all { display: flex; flex-wrap: wrap; gap: 1rem }
article { border: 1px solid rgba(128,128,128,.4); border-radius: 6px; padding: .6rem; width: 18rem }
img { width: 128px; height: 128px; object-fit: contain; background: rgba(128,128,128,.15) } code { font-size: .85em }
"""


def write_html(inspection: Inspection, now: float, store: Path, recipe: Recipe) -> str:
    """The report; ``now`` is in seconds since the epoch, and ``recipe`` says how images are converted. Its commands
    name the files of the store by their whole paths, since it is read anywhere."""
    with contextlib.closing(Rasterizer(recipe)) as rasterizer:
        return "".join(_page(inspection, now, store, rasterizer))


def _page(inspection: Inspection, now: float, store: Path, rasterizer: Rasterizer) -> Iterator[str]:
    yield REPORT_START
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield f"<title>Inspection</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>Inspection</h1>\n"
    images = "1 image" if inspection.images == 1 else f"{inspection.images:,} images"
    yield f"<p class='faint'>{images}, {local_time(now)}</p>\n"
    for kind, group in itertools.groupby(inspection.findings, key=lambda one: one.kind):
        findings = list(group)
        yield f"<h2>{KINDS[kind]} ({len(findings):,})</h2>\n<div class='all'>\n"
        for finding in findings[:MOST_SHOWN]:
            yield from _article(finding, inspection.files, store, rasterizer)
        yield "</div>\n"
        if len(findings) > MOST_SHOWN:
            yield f"<p class='faint'>and {len(findings) - MOST_SHOWN:,} more</p>\n"
    yield "</body>\n</html>\n"


def _article(finding: Finding, files: dict[str, Path], store: Path, rasterizer: Rasterizer) -> Iterator[str]:
    yield "<article>"
    for content in dict.fromkeys(image.content for image in finding.images[:2]):
        yield f"<img alt='' src='{_thumbnail(files[content], rasterizer)}'>"
    for path in finding.paths[:_MOST_NAMES]:
        yield f"<br><bdi>{_plain(path)}</bdi>"
    if len(finding.paths) > _MOST_NAMES:
        yield f"<br>and {len(finding.paths) - _MOST_NAMES:,} more"
    yield f"<br>{_plain(finding.text)}"
    if finding.kind not in SURE_KINDS:
        yield f" <span class='faint'>({percent(finding.certainty, digits=0)} certain)</span>"
    # A command that is cut would do something else.
    advice = finding.advice_from(str(store), _current_folder())
    yield f"<br><code>{_escaped(advice)}</code></article>\n"


def _current_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        # It was deleted, so what is held out was named by its whole path.
        return ""


def _plain(text: str) -> str:
    return _escaped(text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…")


def _escaped(text: str) -> str:
    return escape("".join("\N{REPLACEMENT CHARACTER}" if hidden else part for part, hidden in split_hidden(text)))


def _thumbnail(path: Path, rasterizer: Rasterizer) -> str:
    from PIL import Image

    raster = rasterizer.render_file(path, THUMBNAIL_SIDE)
    image = Image.new("RGB", (1, 1), "grey")
    if raster is not None:
        image = Image.frombytes("RGB", (raster.width, raster.height), raster.pixels)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
