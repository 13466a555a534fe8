"""When a watcher copies to the mirror."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.mirror.next_copy import RETRY_S, next_copy_at

HOUR = 3600.0
moments = st.none() | st.floats(0, 1e10)


def test_at_once_then_every_hour_and_a_quarter_after_a_failure() -> None:
    assert next_copy_at(1000.0, HOUR, None, None) == 1000.0
    assert next_copy_at(1000.0, HOUR, 500.0, None) == 500.0 + HOUR
    assert next_copy_at(9000.0, HOUR, 500.0, 9000.0) == 9000.0 + RETRY_S
    assert next_copy_at(9000.0, HOUR, None, 8500.0) == 8500.0 + RETRY_S


@given(st.floats(0, 1e10), st.floats(1, 1e6), moments, moments)
def test_it_is_never_put_off_for_longer_than_the_interval(
    now: float, every: float, done_at: float | None, failed_at: float | None
) -> None:
    assert next_copy_at(now, every, done_at, failed_at) <= now + every
