"""Text for the terminal: durations, counts, names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.cli.render.text import duration, first, json_name, number, safe


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "under a second"),
        (40, "40 s"),
        (99.7, "100 s"),
        (100, "2 min"),
        (3599, "60 min"),
        (11_100, "3 h 5 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_count_has_its_noun_and_separators() -> None:
    assert (number(1, "sample"), number(1200, "sample"), number(2, "class", "classes")) == (
        "1 sample",
        "1,200 samples",
        "2 classes",
    )


@given(st.text())
def test_a_displayed_name_is_printable(name: str) -> None:
    shown = safe(name)
    assert shown.isprintable()
    shown.encode("utf-8")


@given(st.binary(max_size=30))
def test_a_name_in_json_is_always_utf8(name: bytes) -> None:
    json_name(name.decode("utf-8", "surrogateescape")).encode("utf-8")


def test_a_long_list_is_shortened_and_says_by_how_many() -> None:
    lines = [str(place) for place in range(15)]
    assert first(lines, 15)[:-1] == lines[:10]
    assert "5 more" in first(lines, 15)[-1]
    assert first(lines[:10], 10) == lines[:10]
