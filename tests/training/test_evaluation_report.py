"""The evaluation report is one self-contained HTML file, and escapes every name."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from astica_sync.training.evaluate import Evaluation, HeldOutImage, LeakedImage
from astica_sync.training.evaluation_report import MAX_LISTED, MAX_MATRIX_CLASSES, MAX_MISTAKES, write_html
from astica_sync.training.metrics import Prediction, compare_versions, compute_metrics
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
    leaks = tuple(LeakedImage(HeldOutImage(name, image, "", ""), titles[0], True) for name in paths)
    return Evaluation(folder, (one, two), (compare_versions(one, two),), leaks, False, {titles[0]: 1}, (), "", paths)


def test_markup_in_names_is_escaped(tmp_path: Path) -> None:
    shown = write_html(evaluation(HOSTILE, tmp_path / "<held> out"), 0.0)
    page = Page(shown)
    usual = Page(write_html(evaluation(tuple("abcdefg"), tmp_path / "usual"), 0.0))
    assert page.tags == usual.tags
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
    assert f"of 1,000 classes, the {MAX_MATRIX_CLASSES} with the most mistakes" in shown
    assert shown.count("<figure>") == MAX_MISTAKES
    assert f"and {3000 - MAX_LISTED:,} more" in shown


def test_the_matrix_of_many_classes_has_those_with_the_most_mistakes() -> None:
    answers = [Prediction(f"{number}", "", f"{number:02}", f"{number:02}", 90.0) for number in range(20)]
    answers += [Prediction("x", "", "07", "13", 90.0), Prediction("y", "", "07", "02", 90.0)]
    measured = compute_metrics("v", answers)
    assert [measured.titles[place] for place in measured.most_confused(3)] == ["02", "07", "13"]
    assert measured.most_confused(100) == list(range(20))
