"""The request budget: where it is counted, how much is used, and who does not share it."""

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from astica_sync.clock import Clock, duration, local_time
from astica_sync.config import Settings, machine_state_folder
from astica_sync.core.rate_limit import Lane
from astica_sync.doctor.check_machine import is_container
from astica_sync.doctor.read_database import read_database
from astica_sync.doctor.section import Section
from astica_sync.errors import ConfigError
from astica_sync.local.layout import Layout
from astica_sync.open_session import budget_server, budget_use, name_in_budget, settings_for
from astica_sync.system.refusal_record import LimitRefusals, last_refusals
from astica_sync.system.user_folders import STATE_VARIABLE

LANES = {Lane.INTERACTIVE: "a view or another single request", Lane.REMOVAL: "removals"}
"""What waits ahead of the backlog of uploads, which is not recorded there."""
MOST_SHOWN = 10
LAST_REFUSED = "last refused by the service"
PASSED_SINCE = "most that passed in one window since"
DAY = 86_400.0
NOTHING_AHEAD = "nothing ahead of uploads"


ANOTHER_PROGRAM = (
    "Where another program uses this key, the service counts its requests too: lower ASTICA_LIMIT by what it sends."
)

_AFTER_ANOTHER = "where another program used the key then, more may pass after its end"


@dataclass(frozen=True, slots=True)
class ServicePause:
    """The service has refused requests for its limit, ``refusals`` times in a row; the next one starts in
    ``seconds``."""

    refusals: int
    seconds: float

    @property
    def text(self) -> str:
        often = "once" if self.refusals == 1 else f"{self.refusals:,} times in a row"
        return (
            f"the service has refused requests {often} because of its rate limit; the next one starts in "
            f"{duration(self.seconds)}"
        )


def find_service_pause(layout: Layout | None, clock: Clock) -> ServicePause | None:
    """Whether all programs of this machine wait, because the service has refused a request of the store's key; where
    the key is not in the environment, a request of any key."""
    file, now = machine_state_folder() / "budget.db", clock.ticks()
    query = "SELECT refusals, since + seconds - ? FROM rest WHERE refusals > 0 AND since <= ? AND since + seconds > ?"
    try:
        settings = settings_for(layout, offline=True)
        if settings.budget or not file.exists():
            return None
        name = name_in_budget(settings)
        query += " AND budget = ?" if name else ""
        with read_database(file) as opened:
            values = (now, now, now, *([name] if name else []))
            row = opened.execute(f"{query} ORDER BY 2 DESC LIMIT 1", values).fetchone()
        return None if row is None else ServicePause(int(row[0]), float(row[1]))
    except (ConfigError, sqlite3.Error, OSError, TypeError, ValueError):
        # What cannot be read is shown by the command that uses it, and by doctor.
        return None


def find_last_refusals(settings: Settings) -> LimitRefusals | None:
    """What the service last refused for its limit to the key of the environment; where there is none, to any key."""
    names = {name_in_budget(settings, endpoint) for endpoint in ("train", "detect")} - {""}
    return last_refusals(machine_state_folder(), names)


def number_to_set(refusals: LimitRefusals | None) -> str:
    """The value for ASTICA_LIMIT that what went through speaks for, as two lines; "" where nothing does."""
    command = _limit_that_passed(refusals)
    return f"{command}\n{_AFTER_ANOTHER.capitalize()}." if command else ""


def _limit_that_passed(refusals: LimitRefusals | None) -> str:
    if refusals is None or refusals.are_outdated or refusals.passed is None or not 0 < refusals.passed < refusals.limit:
        return ""
    return (
        f"In the {refusals.window:g} s before the last refusal {refusals.passed:,} of this machine's requests went "
        f"through: export ASTICA_LIMIT={refusals.passed}"
    )


def _check_last_refusals(section: Section, settings: Settings, now: float) -> None:
    """What was refused and is over; a note where that was in the last day, and neither has the limit been lowered nor
    has more passed since."""
    refusals = find_last_refusals(settings)
    if refusals is None:
        section.facts[LAST_REFUSED] = "no refusal is recorded"
        return
    requests = "1 request" if refusals.count == 1 else f"{refusals.count:,} requests"
    section.facts[LAST_REFUSED] = f"{requests} from {local_time(refusals.first)} to {local_time(refusals.last)}"
    lowered = settings.limit / settings.limit_window < refusals.limit / refusals.window
    if refusals.are_outdated:
        section.facts[PASSED_SINCE] = refusals.later
    elif now - refusals.last < DAY and not lowered:
        section.note(
            f"the service refused {requests} because of its rate limit, the last one at {local_time(refusals.last)}",
            # The hint of a finding is one line.
            f"{command} ({_AFTER_ANOTHER})" if (command := _limit_that_passed(refusals)) else ANOTHER_PROGRAM,
        )


def check_budget(layout: Layout | None, environ: Mapping[str, str], clock: Clock) -> Section:
    """Who uses another state folder counts for itself, although the service counts all requests of the key."""
    section = Section("request budget")
    with section.findings_of():
        _check_last_refusals(section, settings_for(layout, offline=True), clock.now())
        server = budget_server(layout)
        if server is not None:
            section.facts["counted on"] = server.place
            section.facts["answers"] = not server.problem
            if server.problem:
                section.problem(server.problem, server.hint)
            if server.note:
                section.note(server.note)
            section.facts["used now"], section.facts["limit"] = server.used, server.limit
            section.facts["refused by the service"] = server.rest > 0
            if server.rest > 0:
                section.note(
                    "the service has refused a request because of its rate limit; the next one of all machines starts "
                    f"in {duration(server.rest)}",
                    ANOTHER_PROGRAM,
                )
            return section
        file = machine_state_folder() / "budget.db"
        section.facts["counted in"] = str(file)
        if layout is not None and environ.get("ASTICA_API_KEY", "") + environ.get("ASTICA_API_KEY_FILE", ""):
            used, limit = budget_use(layout)
            section.facts["used now"] = used
            section.facts["limit"] = limit
        pause = find_service_pause(layout, clock)
        section.facts["refused by the service"] = pause is not None
        if pause is not None:
            section.note(pause.text, ANOTHER_PROGRAM)
        section.facts["waiting"] = _waiting(section, file, clock.ticks())
        apart = _apart(environ)
        section.facts["shared with all programs of this user"] = not apart
        given = environ.get(STATE_VARIABLE, "").strip()
        # A user who has set this folder has done what the note asks for.
        if apart and not (given and Path(given) == file.parent.parent):
            section.note(
                f"requests are counted in {file.parent}, {apart}: programs with another state folder spend the same "
                "limit without knowing of these",
                f"give all of them the same folder: {STATE_VARIABLE}={file.parent.parent}",
            )
    return section


def _waiting(section: Section, file: Path, now: float) -> str:
    """The processes that wait for a request ahead of the backlog of uploads, by the table ``waiting``."""
    if not file.exists():
        return NOTHING_AHEAD
    query = "SELECT who, lane, min(since) FROM waiting WHERE until > ? GROUP BY who, lane ORDER BY lane, since LIMIT ?"
    try:
        with read_database(file) as opened:
            rows = opened.execute(query, (now, MOST_SHOWN)).fetchall()
        shown = [
            f"process {who.partition('.')[0]} for {duration(now - since)}, {LANES.get(lane, 'uploads')}"
            for who, lane, since in rows
        ]
    except (sqlite3.Error, OSError, AttributeError, TypeError) as error:
        section.problem(f"{file} cannot be read: {error}", "the next command sets it aside and makes a new one")
        return NOTHING_AHEAD
    return "; ".join(shown) or NOTHING_AHEAD


def _apart(environ: Mapping[str, str]) -> str:
    """Why other programs of the same person count elsewhere; "" where nothing says so."""
    if is_container():
        return "inside this container"
    if os.geteuid() == 0 and environ.get("SUDO_USER"):
        return f"the folder of root, and not that of {environ['SUDO_USER']}"
    if environ.get(STATE_VARIABLE, "").strip():
        return f"which {STATE_VARIABLE} names"
    return ""
