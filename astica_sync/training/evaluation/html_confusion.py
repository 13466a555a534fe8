"""The confusion matrix of a version, the images behind each of its cells, and each of these images large.

Without a script: a cell is a link to its images, an image is a link to its large picture, which is shown while it is
the target of the page's address.
"""

import base64
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING

from astica_sync.core.evaluation.percent_text import percent
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.html_names import name_html, plain_text
from astica_sync.training.evaluation.metrics import Prediction, VersionMetrics

if TYPE_CHECKING:
    from PIL import Image

MAX_MATRIX_CLASSES = 60
"""A confusion matrix of more classes shows those with the most mistakes."""
MAX_HORIZONTAL_LETTERS = 70
"""Column titles with more letters in total are written vertically."""

MAX_MISTAKES = 60
"""So many mistakes of a version are shown as pictures: of each cell the most confident one first, then further ones."""
MAX_CORRECT = 60
MAX_CORRECT_OF_CLASS = 3
"""So many correct answers, the least confident ones of each class."""
MAX_NAMES = 20
"""How many further images of a cell are named."""

SMALL_SIDE = 96
LARGE_SIDE = 320
MAX_LARGE = 240
"""How many images of the whole report can be seen large."""

_Cells = dict[tuple[str, str], list[Prediction]]


@dataclass(frozen=True, slots=True)
class _Large:
    number: int
    width: int
    height: int
    uri: str


class Pictures:
    """The pictures of one report. Each image has a number; its large picture is in the page once, and is referred to
    wherever the image is seen large."""

    def __init__(self, evaluation: Evaluation, rasterizer: Rasterizer) -> None:
        self._evaluation = evaluation
        self._rasterizer = rasterizer
        self._small: dict[str, str] = {}
        self._large: dict[str, _Large] = {}
        self._opened: list[tuple[str, str]] = []
        """The groups in which an image is shown, each with the name of the image."""

    def version(self, number: int, metrics: VersionMetrics) -> Iterator[str]:
        """The matrix of a version, which is the one of this number, and the images of its cells."""
        place = {title: index for index, title in enumerate(metrics.titles)}
        indexes = metrics.most_confused(MAX_MATRIX_CLASSES)
        in_matrix = {metrics.titles[index] for index in indexes}
        wrong, right = _by_cell(metrics.mistakes), _correct_cells(metrics, in_matrix)
        shown = {one.name for one in [*_take_turns(wrong, MAX_MISTAKES), *_take_turns(right, MAX_CORRECT)]}
        listed = {
            cell: predictions
            for cell, predictions in {**wrong, **right}.items()
            if in_matrix.issuperset(cell) or any(one.name in shown for one in predictions)
        }
        ids = {cell: f"cell-{number}-{place[cell[0]]}-{place[cell[1]]}" for cell in listed}
        yield from _matrix(metrics, indexes, ids)
        if wrong:
            count = sum(map(len, wrong.values()))
            yield f"<h3>Mistakes: {count:,}</h3>\n"
        else:
            yield "<p>No mistakes.</p>\n"
        for cell, predictions in listed.items():
            yield from self._group(ids[cell], cell, predictions, shown)
        hidden = sum(len(wrong[cell]) for cell in wrong if cell not in listed)
        if hidden:
            yield f"<p class='faint'>{hidden:,} more mistakes, of classes that are not in the matrix.</p>\n"

    def large(self) -> Iterator[str]:
        """Each image that was shown, large, with the answers of all versions; nothing of it is seen at first."""
        answers: dict[str, list[tuple[str, Prediction]]] = defaultdict(list)
        for metrics in self._evaluation.measured:
            for prediction in metrics.predictions:
                if prediction.name in self._large:
                    answers[prediction.name].append((metrics.version, prediction))
        yield "<svg class='store' aria-hidden='true'><defs>\n"
        for one in self._large.values():
            yield f"<image id='picture-{one.number}' width='{one.width}' height='{one.height}' href='{one.uri}'/>\n"
        yield "</defs></svg>\n"
        for group, name in self._opened:
            one = self._large[name]
            yield f"<section class='large' id='{_opened_id(one, group)}'>"
            yield f"<a class='around' href='#{group}' aria-label='close'></a><figure>"
            yield f"<svg viewBox='0 0 {one.width} {one.height}' aria-hidden='true'>"
            yield f"<use href='#picture-{one.number}'/></svg>"
            yield f"<figcaption>{name_html(name)}<br>is {name_html(answers[name][0][1].truth)}<ul>"
            for version, answer in answers[name]:
                verdict = "right" if answer.correct else "wrong"
                yield f"<li>{name_html(version)}: {name_html(answer.label)}{_confidence(answer)}, {verdict}</li>"
            yield f"</ul><a href='#{group}'>close</a></figcaption></figure></section>\n"

    def _group(
        self, own_id: str, cell: tuple[str, str], predictions: Sequence[Prediction], shown: set[str]
    ) -> Iterator[str]:
        truth, label = cell
        kind = "group right" if truth == label else "group"
        yield f"<div class='{kind}' id='{own_id}'><h4>is {name_html(truth)}, answered {name_html(label)}: "
        yield f"{len(predictions):,}</h4>\n<div class='mistakes'>\n"
        for one in predictions:
            if one.name in shown:
                yield self._figure(one, own_id)
        yield "</div>\n"
        rest = [one.name for one in predictions if one.name not in shown]
        if rest:
            names = ", ".join(map(name_html, rest[:MAX_NAMES]))
            more = f" and {len(rest) - MAX_NAMES:,} more" if len(rest) > MAX_NAMES else ""
            yield f"<p class='faint'>not shown: {names}{more}</p>\n"
        yield "</div>\n"

    def _figure(self, prediction: Prediction, group: str) -> str:
        name = prediction.name
        image = f"<img alt='' src='{self._picture(name)}'>"
        if name in self._large:
            self._opened.append((group, name))
            image = f"<a href='#{_opened_id(self._large[name], group)}' aria-label='show it large'>{image}</a>"
        return (
            f"<figure>{image}<figcaption><b>{name_html(prediction.label)}</b>{_confidence(prediction)}<br>"
            f"is {name_html(prediction.truth)}<br><span class='faint'>{name_html(name)}</span></figcaption></figure>\n"
        )

    def _picture(self, name: str) -> str:
        """The small picture of an image as a data URI; a grey pixel if it cannot be decoded."""
        from PIL import Image

        if name in self._small:
            return self._small[name]
        raster = self._rasterizer.render_file(self._evaluation.paths[name], LARGE_SIDE)
        if raster is None:
            self._small[name] = _as_uri(Image.new("RGB", (1, 1), "grey"))
            return self._small[name]
        image = Image.frombytes("RGB", (raster.width, raster.height), raster.pixels)
        if len(self._large) < MAX_LARGE:
            self._large[name] = _Large(len(self._large) + 1, *image.size, _as_uri(image))
        image.thumbnail((SMALL_SIDE, SMALL_SIDE))
        self._small[name] = _as_uri(image)
        return self._small[name]


def _opened_id(large: _Large, group: str) -> str:
    return f"image-{large.number}-{group}"


def _by_cell(predictions: Sequence[Prediction]) -> _Cells:
    """By class and answer, the cell with the most images first."""
    cells: _Cells = defaultdict(list)
    for one in predictions:
        cells[one.truth, one.label].append(one)
    return dict(sorted(cells.items(), key=lambda cell: (-len(cell[1]), cell[0])))


def _correct_cells(metrics: VersionMetrics, titles: set[str]) -> _Cells:
    correct = [one for one in metrics.predictions if one.correct and one.truth in titles]
    return _by_cell(sorted(correct, key=lambda one: (one.confidence or 0.0, one.name)))


def _take_turns(cells: _Cells, most: int) -> list[Prediction]:
    """The first of each cell, then the second of each, and so on, so that no cell takes all the room."""
    of_each = [own[:MAX_CORRECT_OF_CLASS] if truth == label else own for (truth, label), own in cells.items()]
    return [one for row in zip_longest(*of_each) for one in row if one is not None][:most]


def _matrix(metrics: VersionMetrics, indexes: Sequence[int], ids: dict[tuple[str, str], str]) -> Iterator[str]:
    titles = [metrics.titles[index] for index in indexes]
    vertical = " class='vertical'" if sum(map(len, titles)) > MAX_HORIZONTAL_LETTERS else ""
    yield "<h3>Confusion matrix</h3>\n<div class='wide'><table class='matrix'><thead><tr><th>"
    yield "".join(
        f"<th{vertical} title='{escape(plain_text(title))}'><span>{name_html(title)}</span>" for title in titles
    )
    yield "</tr></thead><tbody>\n"
    for index, title in zip(indexes, titles, strict=True):
        row = metrics.confusion[index]
        row_total = max(1, sum(row))
        yield f"<tr><th title='{escape(plain_text(title))}'>{name_html(title)}"
        for column in indexes:
            count = row[column]
            colour = "good" if column == index else "bad"
            opacity = round(count / row_total * 0.8, 2)
            link = f"<a href='#{ids[title, metrics.titles[column]]}'>{count:,}</a>" if count else ""
            yield f"<td style='background: rgba(var(--{colour}), {opacity})'>{link}" if count else "<td>"
        yield "</tr>\n"
    yield "</tbody></table></div>\n<p class='faint'>Rows are true classes, columns are predicted classes; a figure "
    yield "opens its images"
    if len(indexes) < len(metrics.titles):
        yield f". Of {len(metrics.titles):,} classes, the {len(indexes)} with the most mistakes are shown"
    yield ".</p>\n"


def _confidence(prediction: Prediction) -> str:
    return "" if prediction.confidence is None else f" {percent(prediction.confidence / 100)}"


def _as_uri(image: "Image.Image") -> str:
    small = io.BytesIO()
    image.save(small, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode()}"
