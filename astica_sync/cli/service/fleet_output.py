"""What ``astica-sync fleet`` prints. What machines wrote of themselves was cleaned when it was read."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from astica_sync.cli.render.several_stores.announced_stores import (
    MOST_CONTRADICTIONS,
    contradiction_data,
    contradiction_text,
    first_contradictions,
    managed_classes,
    store_data,
)
from astica_sync.cli.render.text import LINES, SHORTEST_CUT, display_width, first, number, safe, shorten, table
from astica_sync.clock import duration, local_time
from astica_sync.core.fleet.announcement import Announcement, LimitSetting
from astica_sync.core.fleet.fleet import Fleet
from astica_sync.open_session import ServerState


@dataclass(frozen=True, slots=True)
class FleetView:
    """The processes, the budget that they share, and what this machine is set to; ``pool`` is the server's part, and
    ``host`` that of the service whose requests count. ``in_store``: a store has named it."""

    fleet: Fleet
    budget: ServerState
    own: LimitSetting
    pool: float
    host: str
    in_store: bool = True


_Cell = Callable[[Announcement], str]
_COLUMNS: dict[str, _Cell] = {
    "machine": lambda one: safe(one.machine),
    "store": lambda one: safe(one.task.store) or "-",
    "model": lambda one: "-" if one.task.model is None else str(one.task.model),
    "doing": lambda one: _doing(one),
    "since": lambda one: duration(one.running + one.seen),
    "seen": lambda one: f"{duration(one.seen)} ago",
    "requests": lambda one: f"{one.requests:,}",
    "own part": lambda one: _own_part(one.setting),
    "version": lambda one: safe(one.version) or "-",
}
_LEFT_OUT_FIRST = ("version", "seen", "model", "own part", "since")
"""Where the terminal has no room for all columns."""
INDENT = 2
MOST_STORES = 50
"""So many stores are listed. Anyone who can write to the server may announce as many as it keeps."""
USUAL_NAME = 20
"""Where the table is too wide, longer names are cut before columns are left out."""
_RIGHT = ("model", "requests", "own part")


def fleet_lines(view: FleetView, room: int | None) -> list[str]:
    """The lines of the command, for a terminal of so many columns; None where there is none."""
    here, gone = view.fleet.here, view.fleet.gone
    lines = _budget_lines(view)
    if here:
        processes = (
            f"{number(view.fleet.processes, 'process', 'processes')} on {number(view.fleet.machines, 'machine')}"
        )
        lines += ["", f"{processes}:", *_table(here, room)]
    else:
        lines += ["", "No process that uses the budget now is known."]
    lines += _notes(view) + _store_lines(view.fleet, room)
    if gone:
        rows = [[safe(one.machine), safe(one.task.store) or "-", _doing(one), _last_seen(one)] for one in gone]
        lines += ["", "Last seen:", *first(_indented(rows, room), len(rows))]
    return lines


def _budget_lines(view: FleetView) -> list[str]:
    budget = view.budget
    used = "an unknown number" if budget.used is None else f"{budget.used:,}"
    by_key = f"in {view.own.window:g} s, by this key at {safe(view.host)}"
    total = f"used: {used} of {number(budget.limit, 'request')} {by_key}"
    if view.fleet.other_limits(view.own):
        # Which limit holds is the server's to say; what other machines announce of theirs is shown below.
        total = (
            f"used: {used} {by_key}; this machine is set to {number(budget.limit, 'request')}, others to other limits"
        )
    lines = [f"request budget on {safe(budget.place)}", total]
    if not view.in_store:
        lines.append("no store is in this folder; for the service of a store: astica-sync fleet --store DIR")
    if budget.rest > 0:
        until = local_time(time.time() + budget.rest, seconds=True)
        lines.append(f"rests until {until}: the service has refused a request for its limit, so no machine sends")
    if budget.note:
        lines.append(safe(budget.note))
    return lines


def _table(processes: tuple[Announcement, ...], room: int | None) -> list[str]:
    left_out = set() if any(one.setting and one.setting.share for one in processes) else {"own part"}
    longest = None
    for name in ("", "", *_LEFT_OUT_FIRST):
        left_out.add(name)
        names = [one for one in _COLUMNS if one not in left_out]
        rows = [names, *([_cell(name, one, longest) for name in names] for one in processes)]
        longest = USUAL_NAME
        right = [names.index(one) for one in _RIGHT if one in names]
        if room is None or max(map(display_width, table(rows, right))) + INDENT <= room:
            break
    return _indented(rows, room, right)


def _cell(column: str, one: Announcement, longest: int | None) -> str:
    text = _COLUMNS[column](one)
    return text if longest is None or column not in ("machine", "store") else shorten(text, longest)


def _indented(rows: list[list[str]], room: int | None, right: Collection[int] = ()) -> list[str]:
    """The table. Where it is too wide, the names of stores are cut, and then those of machines."""
    lines = table(rows, right)
    for column in (1, 0):
        excess = 0 if room is None else max(map(display_width, lines)) + INDENT - room
        if excess > 0:
            width = max(SHORTEST_CUT, max(display_width(row[column]) for row in rows) - excess)
            rows = [[*row[:column], shorten(row[column], width), *row[column + 1 :]] for row in rows]
            lines = table(rows, right)
    return [" " * INDENT + line for line in lines]


def _store_lines(fleet: Fleet, room: int | None) -> list[str]:
    """The stores that have announced themselves, and which of them claim the same classes."""
    if not fleet.stores:
        return []
    rows = [
        [
            safe(one.machine),
            safe(one.store) or "-",
            str(one.model),
            managed_classes(one),
            duration(one.since_now),
            "not yet" if one.agreed_ago is None else f"{duration(one.agreed_ago)} ago",
        ]
        for one in fleet.stores[: MOST_STORES + 1]
    ]
    head = ["machine", "store", "model", "manages", "for", "in sync"]
    names, *lines = _indented([head, *rows], room, [2])
    shown = [names, *first(lines, len(fleet.stores), MOST_STORES)]
    found, more = first_contradictions(fleet.stores, LINES + 1)
    texts = [f"model {one.one.model}: {contradiction_text(one)}" for one in found]
    both = first(texts, len(found) + more, where_all=f"--json lists the first {MOST_CONTRADICTIONS}")
    return ["", f"{number(len(fleet.stores), 'store')}:", *shown, *(["", *both] if both else [])]


def _doing(one: Announcement) -> str:
    what = safe(one.task.doing) or "unknown"
    return f"{what}, waits {duration(one.waits_now)}" if one.waits_now >= 1 else what


def _last_seen(one: Announcement) -> str:
    return f"{'ended' if one.ended else 'last seen'} {duration(one.seen)} ago"


def _own_part(setting: LimitSetting | None) -> str:
    """A machine's own part of the limit."""
    return "-" if setting is None or not setting.share else f"{setting.share:.0%}"


def _notes(view: FleetView) -> list[str]:
    own = view.own
    notes = [
        f"{safe(one.machine)} is set to {one.setting.limit:,} in {one.setting.window:g} s, this machine to"
        f" {own.limit:,} in {own.window:g} s: the lower limit and the longer window hold for all"
        for one in view.fleet.other_limits(own)
        if one.setting is not None
    ]
    parts = view.pool + sum(_shares(view).values())
    if parts > 1 + 1e-9 and any(_shares(view).values()):
        notes.append(
            f"the machines' own parts and budget_pool are {parts:.0%} together, more than the whole limit: set"
            " budget_pool on every machine to what is left"
        )
    return ["", *notes] if notes else []


def _shares(view: FleetView) -> dict[str, float]:
    """The own part of each machine that is here. Users of one machine may each have one, so there may be more."""
    shares: dict[str, float] = {}
    for one in view.fleet.here:
        shares[one.machine] = max(shares.get(one.machine, 0.0), one.setting.share if one.setting else 0.0)
    return shares


def fleet_data(view: FleetView) -> dict[str, Any]:
    """The same as JSON."""
    budget = view.budget
    found, more = first_contradictions(view.fleet.stores, MOST_CONTRADICTIONS)
    return {
        "budget": {
            "place": budget.place,
            "service": view.host,
            "used": budget.used,
            "limit": budget.limit,
            "window": view.own.window,
            "rest": round(budget.rest, 1),
            "note": budget.note,
        },
        "processes": [_data(one) for one in view.fleet.here],
        "other_limits": [one.machine for one in view.fleet.other_limits(view.own)],
        "last_seen": [_data(one) for one in view.fleet.gone],
        "stores": [store_data(one) for one in view.fleet.stores],
        "contradictions": [contradiction_data(one) for one in found],
        "more_contradictions": more,
    }


def _data(one: Announcement) -> dict[str, Any]:
    return {
        "machine": one.machine,
        "pid": one.pid,
        "version": one.version,
        "doing": one.task.doing,
        "store": one.task.store,
        "model": one.task.model,
        "running_seconds": round(one.running + (one.seen if one.is_here else 0.0), 1),
        "seen_seconds_ago": round(one.seen, 1),
        "requests": one.requests,
        "waits_seconds": round(one.waits_now, 1),
        "limit": one.setting.limit if one.setting else None,
        "window": one.setting.window if one.setting else None,
        "own_part": one.setting.share if one.setting else None,
        "ended": one.ended,
    }
