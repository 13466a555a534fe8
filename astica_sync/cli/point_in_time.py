"""A point in time on the command line: ``yesterday``, ``3d``, ``2026-11-27``."""

import re
import time
from datetime import datetime

import click

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


class PointInTime(click.ParamType[float]):
    """Seconds since the epoch, from ``today`` or ``yesterday`` (their beginning), an age such as ``12h``, ``3d`` or
    ``2w``, or a date, with a time or without, in this machine's time zone."""

    name = "WHEN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip().lower()
        at = parse_time(text, time.time())
        if at is None:
            self.fail(f"{value!r} is not a time such as yesterday, 12h, 3d, 2026-11-27 or 2026-11-27T14:30", param, ctx)
        return at


def parse_time(text: str, now: float) -> float | None:
    """Seconds since the epoch; None where the text is not a time."""
    if text in ("today", "yesterday"):
        year, month, day, *_ = time.localtime(now)
        return time.mktime((year, month, day - (text == "yesterday"), 0, 0, 0, 0, 0, -1))
    if match := re.fullmatch(r"([0-9]{1,5})([mhdw])", text):
        return now - int(match[1]) * _UNITS[match[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
