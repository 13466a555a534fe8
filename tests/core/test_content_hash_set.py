"""A set of content hashes."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.observation.content_hash_set import ContentHashSet


@given(st.sets(st.integers(0, 2**128 - 1), max_size=50), st.integers(0, 2**128 - 1))
def test_contents_are_found_by_the_start_of_a_uid(shown: set[int], other: int) -> None:
    contents = ContentHashSet([*(f"{number:032x}-12345678" for number in shown), "not-ours", f"{'g' * 32}-00000000"])
    assert len(contents) == len(shown)
    assert all(f"{number:032x}" in contents for number in shown)
    assert (f"{other:032x}" in contents) == (other in shown)
