"""Shares as text in percent, so that rounding makes none of them complete or empty."""

from itertools import count


def percent(share: float, *, digits: int = 1, signed: bool = False) -> str:
    """``97.5 %`` of 0.975. A share that would be rounded to 0 or 100 % has as many more digits as it needs, since 1,999
    right of 2,000 are not all of them. ``signed``: with its sign, as for a difference."""
    sign = "+" if signed else ""
    texts = (f"{100 * share:{sign}z.{more}f}" for more in count(digits))
    return f"{next(text for text in texts if not _hides(text, 100 * share))} %"


def _hides(text: str, shown: float) -> bool:
    # What is nearer than the error of a floating-point number is that number.
    return abs(float(text)) in (0.0, 100.0) and abs(shown - float(text)) >= 1e-9
