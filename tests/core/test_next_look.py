"""When an inbox is looked at again."""

import pytest

from astica_sync.core.inbox.next_look import LONGEST_S, RETRY_S, seconds_to_next_look


@pytest.mark.parametrize(
    ("took", "every", "failures", "seconds"),
    [
        (0.0, 1.0, 0, 1.0),
        (0.3, 1.0, 0, 6.0),
        (3600.0, 1.0, 0, LONGEST_S),
        (1.0, 900.0, 0, 900.0),
        (5.0, 1.0, 1, 2.0),
        (0.0, 1.0, 3, 8.0),
        (0.0, 1.0, 50, RETRY_S),
        (0.0, 900.0, 50, 900.0),
    ],
)
def test_looking_takes_a_small_part_of_the_time(took: float, every: float, failures: int, seconds: float) -> None:
    assert seconds_to_next_look(took, every, failures) == seconds
