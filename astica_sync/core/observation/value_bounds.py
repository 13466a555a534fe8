"""The bounds of what a service may say: texts that are not too long, dates that exist, numbers that are finite.

Each answer is bounded where it enters, and again what an earlier version of the program has stored.
"""

import hashlib
import math

LONGEST_TEXT = 1000
"""Characters of a title, a uid, a version name or another text of the service that are kept whole."""

LATEST = 32_503_680_000.0
"""A date is between 1 January 1970 and 1 January 3000, in seconds since the epoch."""

LARGEST_SIZE = 1e12
"""A size in megabytes is at most this."""

_KEPT = 200


def bounded_text(text: str) -> str:
    """The text; of a longer one its beginning, its length and a hash of it, so that no two become equal."""
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{text[:_KEPT]}… (cut, {len(text):,} characters, {digest})"


def bounded_date(value: object) -> float | None:
    """Seconds since the epoch; None where it is no date, such as 0, which some services show for "never"."""
    return _within(value, LATEST) or None


def bounded_size(value: object) -> float | None:
    """A size in megabytes; None where it cannot be one."""
    return _within(value, LARGEST_SIZE)


def _within(value: object, largest: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before it is converted: an integer may be too large for a float.
    return float(value) if 0 <= value <= largest and not math.isnan(value) else None
