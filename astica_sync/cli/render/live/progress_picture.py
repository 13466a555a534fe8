"""The picture of an activity: a bar and two lines on a terminal, one line elsewhere. Never wider than the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astica_sync.cli.render.progress_state import REFUSED_FOR_LIMIT, Activity, since
from astica_sync.cli.render.text import countdown, display_width, number, safe, signs
from astica_sync.clock import local_time

if TYPE_CHECKING:
    from rich.console import RenderableType

SEPARATOR = " · "
SHORTEST_NAME = 8
CHECKING = "checking the images and copying them to the backup"


def fit_name(name: str, width: int) -> str:
    """A name of at most ``width`` columns. The end stays, since most paths begin with the same folders."""
    name = safe(name)
    if _width(name) <= width:
        return name
    kept = ""
    for sign in reversed(signs(name)):
        if _width(sign + kept) > width - 1:
            break
        kept = sign + kept
    return f"…{kept}" if width > 0 else ""


def _width(text: str) -> int:
    """At most so many columns, by this terminal and by the library that draws."""
    from rich.cells import cell_len

    return max(cell_len(text), display_width(text))


def bytes_text(count: int) -> str:
    """``12.4 MB``."""
    from rich.filesize import decimal

    return decimal(count) if count >= 1000 else number(count, "byte")


def explain_wait(why: str) -> str:
    """The reason of a wait; where the service has refused a request for its limit, also what that may come from."""
    return f"{why}; if another program uses this key, lower ASTICA_LIMIT" if why.endswith(REFUSED_FOR_LIMIT) else why


def state_text(activity: Activity) -> str:
    """What is waited for, until when and for how long; or what is done now."""
    now = activity.ticks()
    if slow := activity.disk_wait():
        # Before all else: what was reported last is stuck. A second Ctrl-C does not end it either.
        return f"stopping, once the disk answers: {safe(slow)}" if activity.stopping() else safe(slow)
    if activity.stopping():
        rest = f" after the {number(activity.under_way, 'request')} under way" if activity.under_way else ""
        return f"stopping{rest}; Ctrl-C again stops immediately"
    wait = activity.current_wait()
    if wait is not None:
        seconds = max(0.0, wait.until - now)
        until = local_time(wait.until_time, seconds=True)[11:]
        if wait is activity.wait:
            return f"waiting {countdown(seconds)}, until {until}: {safe(explain_wait(wait.why))}{_further(activity)}"
        return f"next request in {countdown(seconds)}, at {until}: {safe(explain_wait(wait.why))}"
    if activity.step is not None:
        return safe(activity.step(now - activity.step_since))
    if activity.answers is not None:
        return "{:,} of {:,} answers".format(*activity.answers)
    if activity.under_way:
        text = number(activity.under_way, "request") + " under way"
        return text if activity.total else f"waiting for the service to answer{since(now - activity.asked_at)}"
    return CHECKING if activity.done < activity.total else "finishing"


def _further(activity: Activity) -> str:
    """The second reason, where there are two: the one that ends first does not end the wait."""
    other = activity.further_wait()
    if other is None:
        return ""
    until = local_time(other.until_time, seconds=True)[11:]
    return f"; also until {until}: {safe(explain_wait(other.why))}"


def left_text(activity: Activity) -> str:
    """How long the rest of the plan takes; "" where the forecast is over and something is left."""
    if activity.done >= activity.total:
        return ""
    wait = activity.current_wait()
    # A wait for the service's limit may be longer than the last forecast.
    end = max(activity.eta_at, activity.end_by_answers(), activity.end_by_work())
    end = end if wait is None else max(end, wait.until)
    other = activity.further_wait()
    end = end if other is None else max(end, other.until)
    if activity.was_refused:
        # The end of the wait is not the end of the push, and the forecast counts on a limit that the service does not
        # allow.
        begins = activity.ticks() if wait is None else max(activity.ticks(), wait.until)
        end = max(end, activity.end_by_pace(begins))
    rest = end - activity.ticks()
    # The forecast counts the request limit alone: 0 s would not be true while something is left.
    return f"{countdown(rest)} left" if rest > 0 else ""


def plain_line(activity: Activity) -> str:
    """All of it in one line, for an output that is no terminal."""
    parts = [state_text(activity)]
    if activity.total:
        parts.insert(
            0, f"{activity.done:,} of {number(activity.total, 'sample')} done, {left_text(activity)}".rstrip(", ")
        )
    if activity.bytes_sent:
        parts += traffic(activity)
    return "; ".join(parts)


def picture(activity: Activity, width: int) -> "RenderableType":
    """What is drawn on a terminal of so many columns."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    lines: list[RenderableType] = []
    if activity.total:
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1, min_width=4)
        bar.add_column(no_wrap=True, justify="right")
        bar.add_column(no_wrap=True, justify="right", style="cyan")
        progress = ProgressBar(total=activity.total, completed=activity.done)
        bar.add_row(progress, f"{activity.done:,}/{activity.total:,}", left_text(activity))
        lines.append(bar)
    waits = activity.current_wait() is not None or bool(activity.disk_wait())
    lines.append(Text(state_text(activity), style="yellow" if waits else "", overflow="fold"))
    if activity.total and (details := _details(activity, width)):
        lines.append(Text(details, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _details(activity: Activity, width: int) -> str:
    """The rate, the bytes and the last name: as much as fits."""
    from rich.cells import cell_len

    text = join_fitting(traffic(activity), width)
    left = width - cell_len(text) - (len(SEPARATOR) if text else 0)
    if activity.name and left >= SHORTEST_NAME:
        return f"{text}{SEPARATOR if text else ''}{fit_name(activity.name, left)}"
    return text


def join_fitting(parts: Sequence[str], width: int) -> str:
    """The first parts, as many as fit into so many columns."""
    from rich.cells import cell_len

    text = ""
    for part in parts:
        longer = f"{text}{SEPARATOR}{part}" if text else part
        if cell_len(longer) > width:
            break
        text = longer
    return text


def traffic(activity: Activity) -> list[str]:
    """The rate and the bytes, where there are any."""
    rate = activity.rate()
    parts = [f"{number(rate, 'request')} in the last minute"] if rate else []
    return [*parts, f"{bytes_text(activity.bytes_sent)} sent"] if activity.bytes_sent else parts
