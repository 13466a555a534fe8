"""Texts of an answer are bounded and stay different."""

from astica_sync.core.observation.value_bounds import LONGEST_TEXT, bounded_text


def test_a_short_text_stays_and_long_ones_are_cut_and_differ() -> None:
    assert bounded_text("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    one, two = bounded_text("x" * 100_000), bounded_text("x" * 99_999 + "y")
    assert one != two and max(len(one), len(two)) <= LONGEST_TEXT
    assert bounded_text(one) == one
