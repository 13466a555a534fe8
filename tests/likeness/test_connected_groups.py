"""Groups of what is joined by pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.likeness.connected_groups import connected_groups


@pytest.mark.parametrize(
    ("pairs", "groups"),
    [
        ([], [0, 1, 2, 3]),
        ([(3, 1)], [0, 1, 2, 1]),
        ([(3, 2), (1, 2), (1, 1)], [0, 1, 1, 1]),
        ([(0, 1), (2, 3), (3, 0)], [0, 0, 0, 0]),
    ],
)
def test_each_member_has_the_lowest_of_its_group(pairs: list[tuple[int, int]], groups: list[int]) -> None:
    assert connected_groups(4, pairs) == groups


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11))))
def test_the_order_of_the_pairs_changes_nothing(pairs: list[tuple[int, int]]) -> None:
    found = connected_groups(12, pairs)
    assert found == connected_groups(12, [(two, one) for one, two in reversed(pairs)])
    assert all(found[one] == found[two] for one, two in pairs)
