"""Sizes as a service shows them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.observation.shown_size import BYTES_PER_MEGABYTE, decimals_of_view, fits


@given(
    st.integers(1, 20_000_000),
    st.sampled_from(BYTES_PER_MEGABYTE),
    st.integers(1, 6),
    st.sampled_from(["round", "cut"]),
)
def test_an_image_fits_its_own_size_however_it_is_written(size: int, unit: int, decimals: int, way: str) -> None:
    step = 10**decimals
    shown = round(size / unit, decimals) if way == "round" else int(size / unit * step) / step
    assert fits(size, shown, decimals)


@given(st.integers(1, 20_000_000), st.integers(1, 20_000_000))
def test_images_of_sizes_that_differ_by_more_than_bytes_and_a_unit_do_not_fit(size: int, other: int) -> None:
    if all(abs(size / other - ratio) > 0.001 for ratio in (1.0, (1 << 20) / 1e6, 1e6 / (1 << 20))) and other > 5000:
        assert not fits(size, round(other / 1e6, 6), 6)


@pytest.mark.parametrize(("size", "megabytes", "decimals"), [(5, 0.0, 6), (5, 7.0, 0), (10**9, 0.0, 3)])
def test_a_size_that_is_not_shown_fits_every_image(size: int, megabytes: float, decimals: int) -> None:
    assert fits(size, megabytes, decimals)


def test_the_decimals_of_a_view_are_those_of_its_longest_figure_and_none_without_a_size() -> None:
    assert decimals_of_view([0.0, 0.25, 0.253747, 1.0]) == 6
    assert decimals_of_view([0.0, 12.0]) == 1
    assert decimals_of_view([]) == decimals_of_view([0.0, 0.0]) == 0
    assert decimals_of_view([0.25] * 100_000) == 2
