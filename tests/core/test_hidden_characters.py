"""A joined emoji is one sign in names and commands; what hides anywhere else is escaped."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.cli.render.text import display_width, safe, shorten, signs
from astica_sync.core.hidden_characters import split_hidden
from astica_sync.inspect.html_report import _plain as in_a_report
from astica_sync.shell_quote import quote

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
RAINBOW = "\U0001f3f3\ufe0f\u200d\U0001f308"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
JOINED = [
    FAMILY,
    RAINBOW,
    SCOTLAND,
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "\U0001f3f4\u200d\u2620\ufe0f",
    "\U0001f469\U0001f3fd\u200d\U0001f52c",
    "\U0001f9d1\u200d\U0001f91d\u200d\U0001f9d1",
    "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f468",
    "\U0001f3c3\U0001f3fb\u200d\u2640\ufe0f\u200d\u27a1\ufe0f",
    "\U0001f575\ufe0f\u200d\u2642\ufe0f",
    "\u2764\ufe0f\u200d\U0001f525",
    "\u2764\ufe0f",
    "1\ufe0f\u20e3",
]
HIDING = [
    # Joiners that join nothing, or too much.
    *("a\u200db", "\u200d", f"\u200d{FAMILY}", f"{FAMILY}\u200d", f"{FAMILY}\u200d\U0001f466"),
    *("\U0001f352\u200d\U0001f352", "\U0001f3f3\u200d\U0001f308", "\U0001f468\u200d\u200d\U0001f469"),
    # Selectors that select nothing.
    *("Can\ufe0f", "\U0001f352\ufe0f", "\u2764\ufe0f\ufe0f", "1\ufe0f", "\u2764\ufe0e"),
    # Tags of no flag, and those that hold a text.
    *("a\U000e0062", f"{SCOTLAND}\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e007f"),
    *("\U0001f3f4\U000e0072\U000e006d\U000e007f", f"\u202e{FAMILY}", f"{RAINBOW}\u200b"),
]
INVISIBLE = "\u200b\u200c\u200d\u200e\u202e\u2060\ufe0e\ufe0f\ufeff\U000e0062\U000e007f"


def without_emoji(text: str) -> str:
    return "".join(part for part, _ in split_hidden(text) if len(part) == 1)


@pytest.mark.parametrize("name", JOINED)
def test_a_joined_emoji_is_printed_and_quoted_as_it_is(name: str) -> None:
    for text in (name, f"Can {name}{name} 1.jpg", f"{name}a"):
        assert safe(text) == text
        assert name in quote(text) and not quote(text).startswith("$")
        assert in_a_report(text) == text
    assert signs(name) == [name]
    assert shorten(f"{name}{name}ab", display_width(name) + 1) == f"{name}\u2026"


@pytest.mark.parametrize("name", HIDING)
def test_what_hides_is_escaped(name: str) -> None:
    for shown in (safe(name), quote(name), in_a_report(name)):
        assert not set(INVISIBLE) & set(without_emoji(shown))
    assert "\\" in safe(name) and quote(name).startswith("$'")
    bash = shutil.which("bash")
    if bash is not None:
        read = subprocess.run([bash, "-c", os.fsencode(f"printf %s {quote(name)}")], capture_output=True, check=True)
        assert read.stdout == os.fsencode(name)


@given(st.text(st.sampled_from([*INVISIBLE, *"".join(JOINED), "a", "\u6f22"]), max_size=12), st.data())
def test_a_name_with_one_invisible_character_more_is_shown_as_another(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name)))
    other = name[:place] + data.draw(st.sampled_from(INVISIBLE)) + name[place:]
    assert safe(other) != safe(name) and quote(other) != quote(name)
    assert not set(INVISIBLE) & set(without_emoji(safe(other)))
    assert "".join(part for part, _ in split_hidden(other)) == other
