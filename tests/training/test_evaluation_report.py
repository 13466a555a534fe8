"""The evaluation report is one self-contained HTML file, and escapes every name."""

import random
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from astica_sync.core.evaluation.confidence_sweep import Accepted, accepted_at
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.training.evaluation import html_confusion
from astica_sync.training.evaluation.comparison import compare_all
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.held_out_folder import HeldOutImage
from astica_sync.training.evaluation.html_confusion import MAX_CORRECT, MAX_LARGE, MAX_MATRIX_CLASSES, MAX_MISTAKES
from astica_sync.training.evaluation.html_curves import (
    MAX_CURVES,
    MOST_STEPS,
    curves,
    precision_steps,
    recall_steps,
)
from astica_sync.training.evaluation.html_report import MAX_LISTED, write_html
from astica_sync.training.evaluation.leaks import LeakedImage
from astica_sync.training.evaluation.metrics import Prediction, compute_metrics
from tests.harness.shell import draw

HOSTILE = (
    "<script>alert(1)</script>",
    "' onmouseover='alert(1)",
    '"><img src=http://example.org/x.png>',
    "\u202egnp.exe",
    "Can\x1b[31m\x00\udcff",
    "زجاجة",
    "&lt;b&gt; & co",
)


class Page(HTMLParser):
    """The parsed page: its tags, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def evaluation(titles: tuple[str, ...], folder: Path, *, wrong: int = 1) -> Evaluation:
    """Two versions; the second one classifies some images of each class as the next class."""
    image = draw(folder / "image.png", 1)

    def answers(mistakes: int) -> list[Prediction]:
        return [
            Prediction(
                f"{title}/{place}.png", str(place), title, titles[(number + (place < mistakes)) % len(titles)], 90.0
            )
            for number, title in enumerate(titles)
            for place in range(3)
        ]

    one, two = compute_metrics("1001_1", answers(0)), compute_metrics(titles[0], answers(wrong))
    paths = {answer.name: image for answer in one.predictions}
    leaks = tuple(LeakedImage(HeldOutImage(name, image, "", "", folder), titles[0], True) for name in paths)
    return Evaluation((folder,), (one, two), compare_all([one, two]), leaks, False, {titles[0]: 1}, (), "", paths)


def test_markup_in_names_is_escaped(tmp_path: Path) -> None:
    shown = write_html(evaluation(HOSTILE, tmp_path / "<held> out"), 0.0)
    page = Page(shown)
    usual = Page(write_html(evaluation(tuple("abcdefg"), tmp_path / "usual"), 0.0))
    assert Counter(page.tags) == Counter(usual.tags)
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    texts = [text.strip() for text in page.texts]
    for title in (HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[5], HOSTILE[6]):
        assert title in texts
    shown.encode("utf-8")
    assert not {"\x1b", "\x00", "\u202e"} & set(shown)


def test_the_report_loads_nothing(tmp_path: Path) -> None:
    page = Page(write_html(evaluation(HOSTILE, tmp_path), 0.0))
    assert {"script", "link", "iframe", "object", "form"}.isdisjoint(page.tags)
    for name, value in page.attributes:
        if name in ("src", "href", "action", "data"):
            assert value.startswith(("data:image/jpeg;base64,", "#")), value
    assert any("default-src 'none'" in value for name, value in page.attributes if name == "content")
    assert not any(word in text for word in ("url(", "@import") for text in page.texts)


@pytest.mark.long
def test_a_report_of_a_thousand_classes_stays_small(tmp_path: Path) -> None:
    titles = tuple(f"class {number:04}" for number in range(1000))
    shown = write_html(evaluation(titles, tmp_path), 0.0)
    assert len(shown) < 3_000_000
    assert f"Of 1,000 classes, the {MAX_MATRIX_CLASSES} with the most mistakes" in shown
    assert shown.count("<b><bdi>class") == MAX_MISTAKES + 2 * MAX_CORRECT
    assert shown.count("<image ") <= MAX_LARGE
    assert "more mistakes, of classes that are not in the matrix" in shown
    assert f"and {3000 - MAX_LISTED:,} more" in shown


def ids_and_links(page: Page) -> tuple[list[str], set[str]]:
    links = {value.removeprefix("#") for name, value in page.attributes if name == "href" and value.startswith("#")}
    return [value for name, value in page.attributes if name == "id"], links


def test_each_cell_opens_its_images_and_each_of_them_is_seen_large(tmp_path: Path) -> None:
    measured = evaluation(HOSTILE, tmp_path, wrong=2)
    shown = write_html(measured, 0.0)
    ids, links = ids_and_links(Page(shown))
    assert len(ids) == len(set(ids)) and links <= set(ids)
    for number, metrics in enumerate(measured.measured, 1):
        for row, counts in enumerate(metrics.confusion):
            for column, count in enumerate(counts):
                cell = f"cell-{number}-{row}-{column}"
                assert (cell in links) == (cell in ids) == bool(count) == (f"<a href='#{cell}'>{count}</a>" in shown)
                if count:
                    group = shown.partition(f"id='{cell}'")[2]
                    group = re.split("<div class='group|<h2|<section", group)[0]
                    assert group.count("<figure>") == count == len(set(re.findall("#image-[0-9]+-", group)))
    large = re.findall(r"<section class='large'.*?</section>", shown)
    assert len(large) == sum(one.total for one in measured.measured)
    assert shown.count("<image ") == len(measured.paths)
    assert all(one.count("<li>") == 2 and "1001_1" in one for one in large), "the answers of both versions"


def test_what_is_not_shown_as_a_picture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_confusion, "MAX_MISTAKES", 1)
    monkeypatch.setattr(html_confusion, "MAX_LARGE", 1)
    shown = write_html(evaluation(("Can", "Jar"), tmp_path, wrong=3), 0.0)
    assert shown.count("<image ") == 1
    assert re.search(r"not shown: <bdi>Can/\d.png</bdi>, <bdi>Can/\d.png</bdi></p>", shown)
    ids, links = ids_and_links(Page(shown))
    assert links <= set(ids)


def test_an_image_that_is_gone_or_damaged_is_a_grey_picture(tmp_path: Path) -> None:
    measured = evaluation(("Can", "Jar"), tmp_path)
    (tmp_path / "image.png").write_bytes(b"\x89PNG no more")
    shown = write_html(measured, 0.0)
    assert "class='large'" not in shown and "<figure><img alt='' src='data:image/jpeg" in shown


def test_the_differences_of_each_class_have_their_intervals(tmp_path: Path) -> None:
    measured = evaluation(("Can", "Jar"), tmp_path, wrong=2)
    shown = write_html(measured, 0.0)
    for title, difference in measured.compared[0].classes:
        (row,) = re.findall(rf"<tr><td><bdi>{title}</bdi><td>3<td>100.0 %.*?</tr>", shown.partition("<h2")[0])
        value, low, high = (percent(share, signed=True) for share in (difference.value, *difference.interval))
        assert f"<td>33.3 %<td>{value}<td>{low} to {high}<td" in row
        assert f"<td>{difference.corrected:.3f}" in row and "<circle cx='-" in row


def test_the_curves_are_those_of_the_figures() -> None:
    rng = random.Random(5)
    for _ in range(50):
        answers = [
            Prediction(str(n), "", rng.choice("ab"), rng.choice("ab"), float(rng.randint(0, 100)))
            for n in range(rng.randint(1, 80))
        ]
        metrics = compute_metrics("v", answers)
        for one in metrics.classes:
            points = metrics.sweep(one.title)
            if not points or not one.images:
                continue
            precision, recall = precision_steps(points), recall_steps(points, one.images)
            assert precision[0] == (0.0, points[-1].correct / points[-1].answers)
            for steps in (precision, recall):
                assert all(end[0] == start[0] for end, start in zip(steps[1::2], steps[2::2], strict=False))
            for threshold in range(101):
                accepted = accepted_at(points, threshold)
                assert value_at(recall, threshold) == accepted.correct / one.images
                assert value_at(precision, threshold) == accepted.precision


def value_at(corners: list[tuple[float, float]], threshold: float) -> float | None:
    """A step is valid from above its first corner up to its second one."""
    steps = zip(corners[::2], corners[1::2], strict=False)
    return next((end[1] for start, end in steps if threshold <= end[0] and start[1] == end[1]), None)


def test_each_class_has_its_curves_and_none_without_confidences(tmp_path: Path) -> None:
    shown = write_html(evaluation(HOSTILE, tmp_path), 0.0)
    assert shown.count("<path class='precision'") == shown.count("<path class='recall'") == 2 * len(HOSTILE)
    metrics = compute_metrics("v", [Prediction("a", "", "Can", "Can", None)])
    assert "no curves" in "".join(curves(metrics))
    many = compute_metrics("v", [Prediction(str(n), "", str(n), str(n), 50.0) for n in range(MAX_CURVES + 1)])
    assert f"Of {MAX_CURVES + 1} classes, {MAX_CURVES} are drawn" in "".join(curves(many))
    steps = [Accepted(100 - n / 100, n + 1, n) for n in range(9000)]
    assert len(precision_steps(steps)) == 2 * MOST_STEPS


def test_the_matrix_of_many_classes_has_those_with_the_most_mistakes() -> None:
    answers = [Prediction(f"{number}", "", f"{number:02}", f"{number:02}", 90.0) for number in range(20)]
    answers += [Prediction("x", "", "07", "13", 90.0), Prediction("y", "", "07", "02", 90.0)]
    measured = compute_metrics("v", answers)
    assert [measured.titles[place] for place in measured.most_confused(3)] == ["02", "07", "13"]
    assert measured.most_confused(100) == list(range(20))
