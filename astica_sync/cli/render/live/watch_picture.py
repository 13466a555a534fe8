"""The picture of a watcher: a head, each store with its bar and what it waits for, the last events, the keys. It has
exactly the size of the terminal, whatever that is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from astica_sync.cli.render.live.progress_picture import fit_name, join_fitting, state_text, traffic
from astica_sync.cli.render.messages import continue_command, name_store, wrap
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.text import countdown, number, safe, shorten
from astica_sync.cli.render.watch_status_output import problem_text, state_word
from astica_sync.clock import local_time
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.shell_quote import quote

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

COLOURS = {
    WatchState.STARTING: "blue",
    WatchState.IDLE: "green",
    WatchState.WORKING: "cyan",
    WatchState.RESTING: "yellow",
    WatchState.HELD: "yellow",
    WatchState.HALTED: "bold red",
    WatchState.PAUSED: "magenta",
    WatchState.STOPPED: "dim",
}
EVENT_COLOURS = {"uploaded": "green", "removed": "red", "failed": "bold red", "refused": "bold yellow"}
MOST_WAITS = 3
SHORTEST_LOG = 2
SHORTEST_SENTENCE = 30
"""An event with fewer columns for its text stays in one row."""
IMPORTANT = 2
"""Rows of this rank and below have their place before the last events."""
KEYS = {"p": "pause", "r": "resume", "l": "look now", "q": "quit"}


@dataclass(slots=True)
class StoreView:
    """One store: its status, what it is doing, and how much of its backlog is done. ``uploaded`` counts until now, the
    status until the last turn; ``in_backlog`` uploads were made since the backlog began, of ``backlog`` in all;
    ``eta_at`` is when the rest is done, on the activity's clock; ``waiting`` is how many are not sent now, where that
    is newer than the status."""

    status: WatchStatus
    activity: Activity
    uploaded: int = 0
    backlog: int = 0
    in_backlog: int = 0
    eta_at: float = 0.0
    waiting: int | None = None


@dataclass(slots=True)
class WatchView:
    """What is drawn. ``log`` has the last events: time, name and text; ``notice`` is the answer to a key;
    ``is_stopping``: the user has asked the watcher to stop."""

    stores: list[StoreView] = field(default_factory=list)
    log: Sequence[tuple[str, str, str]] = ()
    notice: str = ""
    has_keys: bool = True
    is_stopping: bool = False
    now: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that is left out when there are too many; the lowest ``rank`` stays longest."""

    rank: int
    content: "RenderableType"


def watch_picture(view: WatchView, console: "Console") -> "RenderableType":
    """The rows of a screen, from the first to the last."""
    from rich.console import Group
    from rich.text import Text

    width, height = console.size
    rows: list[_Row] = []
    for store in view.stores:
        rows += _store_rows(store, console, width, has_keys=view.has_keys, turn=_turn_text(store, view.stores))
    notice = _stopping_text(view) if view.is_stopping else view.notice
    foot = Text(notice, style="yellow") if notice else _keys(view)
    foot.truncate(width, overflow="ellipsis")
    room = max(1, height - 2)
    important = sum(row.rank <= IMPORTANT for row in rows)
    written = [_event(event, width) for event in view.log]
    log = min(sum(map(len, written)), max(0, min(SHORTEST_LOG, room - important - 1), room - len(rows) - 1))
    rows = _most_important(rows, room - log - (1 if log else 0))
    events = _last_events(written, log)
    empty = room - len(rows) - len(events)
    gap = 1 if events and empty else 0
    lines = [*(row.content for row in rows), *[Text("")] * gap, *events, *[Text("")] * (empty - gap)]
    for line in lines:
        if isinstance(line, Text):
            line.no_wrap = True
            line.truncate(width, overflow="ellipsis")
    return Group(_head(view, width), *lines, foot)


def _stopping_text(view: WatchView) -> str:
    """That it stops, and what is waited for."""
    activities = [store.activity for store in view.stores]
    if any(activity.disk_wait() for activity in activities):
        return "stopping, once the disk answers"
    under_way = sum(activity.under_way for activity in activities)
    return f"stopping after the {number(under_way, 'request')} under way" if under_way else "stopping"


def _head(view: WatchView, width: int) -> "Text":
    from rich.text import Text

    pids = {store.status.pid for store in view.stores}
    left = join_fitting(["astica-sync watch", *(f"process {pid}" for pid in pids)], width - len(view.now) - 1)
    return Text(f"{left}{view.now:>{max(0, width - len(left))}}"[:width], style="reverse")


def _keys(view: WatchView) -> "Text":
    from rich.text import Text

    if not view.has_keys:
        return Text("Ctrl-C stops the watcher", style="dim")
    return Text("  ").join(Text.assemble((key, "bold reverse"), f" {meaning}") for key, meaning in KEYS.items())


def _last_events(written: Sequence[list["Text"]], room: int) -> list["Text"]:
    """The rows of the last events, as many as fit whole; of the last one as much as there is room for."""
    rows: list[Text] = []
    for event in reversed(written):
        if len(rows) + len(event) > room:
            return rows or event[:room]
        rows = event + rows
    return rows


def _event(event: tuple[str, str, str], width: int) -> list["Text"]:
    """A row; of a sentence as many as it needs, since what helps is at its end."""
    from rich.text import Text

    at, name, text = event
    line = Text(no_wrap=True)
    line.append(f"{at} ", "dim")
    line.append(f"{name:<8} ", EVENT_COLOURS.get(name, "yellow"))
    room = width - line.cell_len
    if name in ("uploaded", "removed") or room < SHORTEST_SENTENCE:
        # The end of a path tells more than its beginning.
        line.append(fit_name(text, room) if name in ("uploaded", "removed") else shorten(safe(text), room))
        line.truncate(width, overflow="ellipsis")
        return [line]
    first, *more = wrap(safe(text), room)
    line.append(shorten(first, room))
    # The other rows begin further left, and have more room than the first.
    more = wrap(" ".join(piece.strip() for piece in more), width - 2) if more else []
    rows = [part for piece in more for part in continue_command(piece.strip(), width - 2)]
    return [line, *(Text(shorten(f"  {row}", width), no_wrap=True) for row in rows)]


def _turn_text(store: StoreView, stores: Sequence[StoreView]) -> str:
    """What a store waits for that has something to do and does nothing: the stores are served one after another."""
    state = store.status.state
    if state not in (WatchState.STARTING, WatchState.WORKING) or store.activity.is_working():
        return ""
    for other in stores:
        waits = other.activity.is_working() and (state is WatchState.STARTING or other.activity.current_wait())
        if other is not store and waits:
            return f"its turn is after {safe(other.status.store)}: {state_text(other.activity)}"
    return ""


def _store_rows(store: StoreView, console: "Console", width: int, *, has_keys: bool, turn: str = "") -> list[_Row]:
    from rich.text import Text

    status, activity = store.status, store.activity
    slow = bool(activity.disk_wait())
    state = "waiting" if slow else state_word(status)
    colour = "yellow" if slow or state != status.state else COLOURS[status.state]
    name = fit_name(status.store, max(1, width - len(state) - 4))
    rows = [_Row(0, Text.assemble((f"{name}  ", "bold"), ("● ", colour), (state, colour)))]
    if status.why:
        why = "paused by the user; r resumes" if status.state is WatchState.PAUSED and has_keys else status.why
        rows += _wrapped(1, f"  {name_store(safe(why), status.store)}", COLOURS[status.state], console, width)
    if status.next_try_at is not None and status.next_try_at > activity.wall():
        left = countdown(status.next_try_at - activity.wall())
        at = local_time(status.next_try_at, seconds=True)[11:]
        rows += _wrapped(1, f"  next attempt in {left}, at {at}", "yellow", console, width)
    rows += _decisions(status, console, width)
    if store.backlog and status.state is not WatchState.IDLE:
        rows.append(_Row(2, _bar(store)))
    if slow or (activity.is_working() and status.state is not WatchState.PAUSED):
        style = "yellow" if slow or activity.current_wait() else ""
        rows += _wrapped(2, f"  {state_text(activity)}", style, console, width)
    if turn:
        rows += _wrapped(2, f"  {turn}", "yellow", console, width)
    counts = [
        f"uploaded {max(status.uploaded, store.uploaded):,}",
        f"removed {status.removed:,}",
        f"waiting {status.queue if store.waiting is None else store.waiting:,}",
    ]
    counts += [f"failed {status.failed:,}"] if status.failed else []
    rows.append(_Row(3, Text("  " + join_fitting([*counts, *traffic(activity)], width - 2))))
    if status.problems:
        rows += _wrapped(3, f"  {name_store(problem_text(status.problems), status.store)}", "yellow", console, width)
    agreed = local_time(status.agreed_at, seconds=True) if status.agreed_at else "not yet"
    rows.append(_Row(4, Text(join_fitting([f"  last in sync: {agreed}"], width), style="dim")))
    if status.polls:
        rows += _wrapped(5, f"  polling: {safe(status.polls)}", "dim", console, width)
    for text in status.waits[:MOST_WAITS]:
        rows += _wrapped(4, f"  waiting: {safe(text)}", "yellow", console, width)
    if len(status.waits) > MOST_WAITS:
        more = f"  waiting: {len(status.waits) - MOST_WAITS:,} more; for the reasons: astica-sync status"
        rows += _wrapped(4, name_store(more, status.store), "yellow", console, width)
    return rows


def _decisions(status: WatchStatus, console: "Console", width: int) -> list[_Row]:
    """What the user has to decide, and the commands that show and do it."""
    rows = []
    for text in status.refusals:
        named = name_store(safe(text), status.store)
        rows += _wrapped(1, f"  needs a decision: {named}", "bold yellow", console, width)
    # A question about a class has its command in its text.
    if any("astica-sync " not in text for text in status.refusals):
        place = f" --store {quote(status.store)}"
        for what, command in (("look", f"astica-sync status{place}"), ("allow", f"astica-sync push --yes{place}")):
            rows += _wrapped(1, f"    to {what}: {command}", "bold", console, width)
    return rows


def _bar(store: StoreView) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    left = store.eta_at - store.activity.ticks()
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(width=1)
    bar.add_column(ratio=1, min_width=4)
    bar.add_column(no_wrap=True, justify="right")
    bar.add_column(no_wrap=True, justify="right", style="cyan")
    bar.add_row(
        "",
        ProgressBar(total=store.backlog, completed=store.in_backlog),
        f"{store.in_backlog:,}/{store.backlog:,}",
        f"{countdown(left)} left" if left > 0 and store.status.state is not WatchState.PAUSED else "",
    )
    return bar


def _wrapped(rank: int, text: str, style: str, console: "Console", width: int) -> list[_Row]:
    """A text in rows, so that their number is known. A command is in one row, or continued with backslashes."""
    from rich.cells import cell_len
    from rich.text import Text

    rows: list[Text] = []
    for piece in wrap(text, width):
        if cell_len(piece) <= width:
            rows.append(Text(piece, style=style))
            continue
        parts = continue_command(piece.lstrip(), width)
        if len(parts) > 1:
            rows += [Text(part, style=style) for part in parts]
        else:
            rows += Text(piece, style=style).wrap(console, width, overflow="fold")
    return [_Row(rank, row) for row in rows or [Text("")]]


def _most_important(rows: list[_Row], room: int) -> list[_Row]:
    """As many rows as there is room for; of the least important ones the last is left out first."""
    rows = list(rows)
    while len(rows) > max(0, room):
        worst = max(row.rank for row in rows)
        del rows[max(place for place, row in enumerate(rows) if row.rank == worst)]
    return rows
