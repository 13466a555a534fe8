"""When an inbox, or the folder of a camera, is looked at again."""

SHARE = 20
"""Looking takes at most one part in so many of the time."""
LONGEST_S = 300.0
RETRY_S = 60.0
"""The longest pause after a failure, in seconds."""


def seconds_to_next_look(took: float, every: float, failures: int = 0) -> float:
    """The seconds from the end of one look to the next one.

    Args:
        took: how long the last look took, in seconds.
        every: the shortest time between two of them, in seconds.
        failures: how many looks have failed since the last good one.
    """
    pause = min(max(every, took * SHARE), max(every, LONGEST_S))
    if not failures:
        return pause
    return max(every, min(RETRY_S, every * 2.0 ** min(failures, 16)))
