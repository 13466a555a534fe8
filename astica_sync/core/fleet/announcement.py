"""The record that a process which shares a request budget writes of itself, and the checks of those of others.

What can write to the budget server can write anything, so every text and number is checked here before it is shown.
"""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

HERE_SECONDS = 90.0
"""A process that wrote nothing for longer is shown as last seen: it was killed, or its machine is off."""
KEPT_SECONDS = 7 * 86_400.0
"""For so long the server keeps what a process wrote last."""
MOST_KEPT = 200
"""So many processes of one key are kept and shown, those seen last."""
MOST_CHARACTERS = 2400
"""Of the record of one process; a longer one is not read."""

MOST_NAME, MOST_WORD = 48, 24
MOST_MARKS = 2
MOST_COUNT = 10**9
LONGEST_SECONDS = 100 * 365 * 86_400.0
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class ProcessTask:
    """What a process does: its command, the name of its store's folder without the folders above, and its model."""

    doing: str
    store: str = ""
    model: int | None = None


class LimitSetting(NamedTuple):
    """The limit that a machine is set to, and the part of it that is its own."""

    limit: int
    window: float
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Announcement:
    """One process, or of a watcher of several stores what it does for one of them.

    Args:
        running: for how many seconds it had run when it wrote this.
        seen: how many seconds ago that was, on the server's clock.
        requests: how many it had sent in the last window.
        waits: for how many seconds more it was to wait for the budget.
        setting: None where what it wrote is no limit.
    """

    machine: str
    pid: int | None
    version: str
    task: ProcessTask
    running: float
    seen: float
    requests: int
    waits: float
    setting: LimitSetting | None
    ended: bool

    @property
    def is_here(self) -> bool:
        return not self.ended and self.seen <= HERE_SECONDS

    @property
    def waits_now(self) -> float:
        """For how many seconds more it waits, as far as it has written."""
        return max(0.0, self.waits - self.seen) if self.is_here else 0.0


def as_data(announcement: Announcement) -> dict[str, object]:
    """What is written to the server, texts cut to what is read of them. The server adds the time."""
    task, setting = announcement.task, announcement.setting
    data: dict[str, object] = {
        "machine": announcement.machine[:MOST_NAME],
        "pid": announcement.pid,
        "version": announcement.version[:MOST_WORD],
        "doing": task.doing[:MOST_WORD],
        "store": task.store[:MOST_NAME],
        "model": task.model,
        "running": round(announcement.running, 1),
        "requests": announcement.requests,
        "waits": round(announcement.waits, 1),
        "ended": announcement.ended,
    }
    if setting is not None:
        data |= {"limit": setting.limit, "window": setting.window, "share": setting.share}
    return data


def announcement_of(data: object, seen: object) -> Announcement | None:
    """What another process wrote, cleaned; None where it names no machine, or the time when it was seen is none."""
    if not isinstance(data, Mapping):
        return None
    machine, age = clean_text(data.get("machine"), MOST_NAME), clean_number(seen, LONGEST_SECONDS)
    if not machine or age is None:
        return None
    limit, window = clean_whole(data.get("limit")), clean_number(data.get("window"), LONGEST_SECONDS)
    setting = LimitSetting(limit, window, clean_number(data.get("share"), 1.0) or 0.0) if limit and window else None
    return Announcement(
        machine,
        clean_whole(data.get("pid")),
        clean_text(data.get("version"), MOST_WORD),
        ProcessTask(
            clean_text(data.get("doing"), MOST_WORD),
            clean_text(data.get("store"), MOST_NAME),
            clean_whole(data.get("model")),
        ),
        clean_number(data.get("running"), LONGEST_SECONDS) or 0.0,
        age,
        clean_whole(data.get("requests")) or 0,
        clean_number(data.get("waits"), LONGEST_SECONDS) or 0.0,
        setting,
        data.get("ended") is True,
    )


def clean_text(value: object, most: int) -> str:
    """The beginning of a text, in one line; "" for what is no text. What is no visible character is replaced."""
    if not isinstance(value, str):
        return ""
    shown, marks = "", 0
    for char in unicodedata.normalize("NFC", value[:most]):
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        # Any number of marks may stand on one letter, and would be drawn over other lines.
        shown += char if _is_visible(char) and marks <= MOST_MARKS else _REPLACEMENT
    return shown.strip()


def _is_visible(char: str) -> bool:
    """Whether it is no control, direction, half, private or unassigned character, and no separator but the space."""
    return char == " " or unicodedata.category(char)[0] not in "CZ"


def clean_number(value: object, most: float) -> float | None:
    """A number from 0 to ``most``; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= most and math.isfinite(value) else None


def clean_whole(value: object) -> int | None:
    """A whole number from 0 to ``MOST_COUNT``; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNT else None
