"""Text for the terminal: durations, counts, names."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.cli.render.live.progress_picture import fit_name
from astica_sync.cli.render.text import (
    csv_line,
    display_width,
    duration,
    first,
    json_line,
    json_name,
    number,
    safe,
    shorten,
    signs,
    table,
)


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


def test_a_table_that_is_too_wide_has_its_classes_cut_and_no_figure() -> None:
    rows = [("class", "images", "F1"), ("Japanese cherry \u685c in the garden", "1,200", "99.0%"), ("Can", "3", "1.0%")]
    assert table(rows, right=(1, 2), room=30) == [
        "class            images     F1",
        "Japanese cherr\u2026   1,200  99.0%",
        "Can                   3   1.0%",
    ]
    # A wide letter that does not fit is left out.
    assert table(rows, right=(1, 2), room=33)[1].startswith("Japanese cherry \u2026  ")
    assert table(rows, right=(1, 2), room=200) == table(rows, right=(1, 2))
    assert table(rows, right=(1, 2), room=5)[2] == "Can          3   1.0%"


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


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_json_has_the_same_value_and_nothing_that_a_terminal_obeys(value: dict[str, object]) -> None:
    line = json_line(value)
    assert line.isprintable()
    assert json.loads(line) == value
    line.encode("utf-8")


@pytest.mark.parametrize("name", ["\x1b[2J", "\x7f", "\x9b31m", "\u202e", "\u2028", "\U000e0041", "a\nb"])
def test_control_and_direction_characters_are_escaped_in_every_kind_of_output(name: str) -> None:
    for shown in (safe(name), json_line({"path": name}), csv_line(name)):
        assert shown.isprintable()
    assert json.loads(json_line({"path": name})) == {"path": name}


@pytest.mark.parametrize(
    "cell",
    [
        "=cmd|'/C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\uff1d1",
        "\uff20SUM(1)",
        "\xa0=1",
        "\ufeff=1",
        "\u3000=1",
        "\u200b=1",
        '"=1',
        " \xa0\ufeff-1",
    ],
)
def test_no_text_in_comma_separated_values_is_a_formula(cell: str) -> None:
    (row,) = csv.reader([csv_line(cell, "plain", 12.5, None)])
    assert row[0].startswith("'") and row[0].isprintable()
    assert row[1:] == ["plain", "12.5", ""]


@pytest.mark.parametrize("formula", ["=1+1", " =1", "\xa0@SUM(1)", "\ufeff-1", "\uff1d1"])
@pytest.mark.parametrize("before", ["", "a", "a;b", ";"])
def test_nor_is_a_text_with_a_semicolon_which_separates_cells_in_many_locales(before: str, formula: str) -> None:
    (row,) = csv.reader([csv_line(f"{before};{formula}", "plain")], delimiter=";")
    assert len(row) > 1
    assert row[-1].startswith("'"), row


@given(st.lists(st.text(), min_size=1))
def test_comma_separated_values_are_one_line_with_every_cell(cells: list[str]) -> None:
    line = csv_line(*cells)
    assert line.isprintable()
    (row,) = csv.reader([line])
    assert len(row) == len(cells)
    assert not [cell for cell in row if cell[:1] in set("=+-@\t\r")]


FLAG, THUMB, FAMILY = "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SIGNS = [
    FLAG,
    FLAG,
    THUMB,
    FAMILY,
    "e\u0301",
    "\u2764\ufe0f",
    # Hangul and Devanagari in their parts, Thai with a tone and a vowel.
    "\u1112\u1161\u11ab",
    "\u0928\u094d\u0926\u093f",
    "\u0e17\u0e49\u0e33",
    "\\u200d",
    "\\x80",
    "\u6f22",
    "a",
]


@pytest.fixture(params=[{}, {"TERM": "xterm-kitty"}, {"WT_SESSION": "1"}, {"TERM": "xterm-kitty", "TMUX": "1"}])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables by which terminals are known."""
    for name in ("TERM", "TERM_PROGRAM", "WT_SESSION", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    variables: dict[str, str] = request.param
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_what_is_seen_as_one_sign_is_one_part() -> None:
    assert signs("".join(SIGNS)) == SIGNS
    assert signs("ab") == ["a", "b"]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("width", range(1, 40))
def test_no_sign_is_cut_apart(width: int) -> None:
    starts = ["".join(SIGNS[:count]) for count in range(len(SIGNS))]
    text = "".join(SIGNS)
    shown = shorten(text, width)
    assert display_width(shown) <= width
    assert shown == text or shown.removesuffix("\u2026") in starts
    ends = [safe("".join(SIGNS[count:])) for count in range(len(SIGNS) + 1)]
    name = fit_name(text.replace(FAMILY, ""), width)
    assert display_width(name) <= width
    assert name.removeprefix("\u2026") in [end.replace(safe(FAMILY), "") for end in ends]


def test_columns_are_those_that_the_terminal_gives_a_sign(terminal: dict[str, str]) -> None:
    joins = bool(terminal) and "TMUX" not in terminal
    assert display_width(THUMB) == (2 if joins else 4)
    assert display_width("\u2764\ufe0f") == (2 if joins else 1)
    assert (display_width(FLAG), display_width("e\u0301"), display_width("\u1112\u1161\u11ab")) == (2, 1, 2)
    rows = table([["class", "store"], [f"{THUMB} ok", "12"], [FLAG, "3"], ["Can", "4"]], right=(1,))
    assert {display_width(row) for row in rows} == {display_width(f"{THUMB} ok") + 2 + len("store")}
