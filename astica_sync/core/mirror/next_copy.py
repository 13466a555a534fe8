"""When a watcher copies the backup to its mirror next."""

RETRY_S = 900.0
"""So long after a failure it is tried again, in seconds."""


def next_copy_at(now: float, every: float, done_at: float | None, failed_at: float | None) -> float:
    """The moment of the next copy, in seconds since the epoch; at most ``every`` seconds from now, whatever the clock
    said when the earlier ones were recorded.

    Args:
        every: seconds between two copies.
        done_at: when the last whole copy ended; None where there was none.
        failed_at: when a later copy failed; None where none did.
    """
    due = now if done_at is None else done_at + every
    if failed_at is not None:
        due = max(due, failed_at + min(RETRY_S, every))
    return min(due, now + every)
