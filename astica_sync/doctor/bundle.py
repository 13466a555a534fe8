"""A zip for a bug report, with nothing private in it: no image, no key, no path, no title.

What is in it is chosen field by field. A fact that is a text is in it where ``PUBLIC`` names it; of any other only the
word that ``redaction`` puts in place of a name. Of the texts of findings only the program's own words are in it, and
numbers of requests, images, seconds and such.
"""

import contextlib
import io
import json
import os
import re
import sqlite3
import zipfile
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from astica_sync.config import AS_TRAIN_URL, KEY_VARIABLE, KEYRING, SETTINGS, find_key
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.watch.watch_status import WatchStatus
from astica_sync.doctor.check_budget import LAST_REFUSED
from astica_sync.doctor.check_settings import ALL_CLASSES, LAST_REFUSED_KEY
from astica_sync.doctor.check_store import WRITER
from astica_sync.doctor.read_database import read_database
from astica_sync.doctor.redaction import Redactor
from astica_sync.doctor.report import Report
from astica_sync.doctor.section import FactValue
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import SETTINGS_FILE, STATE_DIR, Layout
from astica_sync.system.error_record import read_errors
from astica_sync.system.redact_message import keep_known, program_phrases
from astica_sync.system.user_folders import user_state_folder

MOST_TITLES = 100_000
SHORTEST_VALUE = 6
README = """\
What `astica-sync doctor --bundle` found on one machine, for a bug report.

doctor.json   what `astica-sync doctor --json` says; in place of a text that may name a path, a title, a user, a host or
              an address is a word; of findings only the words of the program, and numbers of requests, images or
              seconds
errors.json   the errors that ended the last commands of this user, and where in the program; of a message only the
              words of the program, with <...> for everything that was put in
events.json   the last changes: when, which kind, which outcome; classes are numbered, file names are left out
watcher.json  the last status of the watcher: its state and counts

There is no image in it, no file name, no class title, no address but the usual ones, and no key. The id of the model
is in it, which is of no use without your key. Read it before you send it. Attach it to a report in the issue tracker
of the repository that your copy of astica-sync comes from, or send it to those who gave it to you.
"""
ALL_PUBLIC = frozenset(["program", "packages"])
"""Sections with nothing but names and versions of programs."""
SETTINGS_SECTION = "settings"
PUBLIC: Mapping[str, frozenset[str]] = {
    SETTINGS_SECTION: frozenset(["key file changed", "a key was last refused"]),
    "service": frozenset(["probed"]),
    "request budget": frozenset(["waiting", LAST_REFUSED]),
    "store": frozenset(["made", "last view", "last status of a watcher", "last whole copy", "index.db", "journal.db"]),
    "disk": frozenset(["file system"]),
    "watcher": frozenset(["state", "since", "last in sync"]),
}
"""For each section the facts whose text has no name in it: times, states and formats."""
PUBLIC_VALUES = frozenset(
    {
        *("limit", "limit_window", "budget_share", "budget_pool", "quarantine", "settle", "observe_every"),
        *("max_remove", "max_remove_class", "min_remove", "class_remove"),
        *("convert", "max_side", "quality", "background", "frame", "metadata"),
    }
)
"""Settings whose values are numbers and words of the program. The others are addresses and class titles."""
PUBLIC_SOURCES = frozenset(
    ["default", "the command line", AS_TRAIN_URL, *(one.variable for one in SETTINGS if one.variable)]
)
KEY_SOURCES = frozenset([f"from {KEY_VARIABLE}", f"from {KEYRING}"])
STORE_SOURCE, USER_SOURCE = f"<store>/{SETTINGS_FILE}", "the settings file of the user"
_ONLY_WORD = re.compile(r"<[\w ]+>(/\.\.\.)?", re.ASCII)
_KINDS = frozenset(RemovalReason)
_FRAME = re.compile(r"[\w/]{1,200}\.py:\d{1,6} [\w<>]{1,100}", re.ASCII)
_NUMBER = re.compile(r"\s*[\d.]{1,10}%?\s*", re.ASCII)
_UNITS = "requests?|samples?|images?|objects?|files?|class|classes|versions?|times|of this machine's|MB|s|min|h"
_COUNT = re.compile(
    # A long number may be that of a telephone, or a key.
    rf"(?<!\S)(?P<number>\d{{1,3}}(?:,\d{{3}}){{1,2}}|\d{{1,5}}) (?:{_UNITS})(?![^\s,;:.)])"
    r"|(?<=ASTICA_LIMIT=)(?P<limit>\d{1,5})(?!\S)",
    re.ASCII,
)
_WORD = re.compile(r"[\w.+-]{1,60}", re.ASCII)


def make_bundle(report: Report, watch: WatchStatus | None, environ: Mapping[str, str]) -> bytes:
    """The zip. The same report gives the same bytes."""
    layout = None if report.store is None else Layout(report.store)
    titles = [] if layout is None else sorted(_titles(layout))[:MOST_TITLES]
    numbers = {title: f"class-{number}" for number, title in enumerate(titles, 1)}
    names = {**numbers, **_private_names(report, environ)}
    parts = {
        "README.txt": README,
        "doctor.json": _json(_public_report(report, names)),
        "errors.json": _json(list(_errors())),
        "events.json": _json([] if layout is None else list(_events(layout, numbers))),
        "watcher.json": _json(None if watch is None else _counts(watch)),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in parts.items():
            opened.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _public_report(report: Report, names: Mapping[str, str]) -> dict[str, Any]:
    """The object of ``doctor --json`` without anything that names a place, a user or a machine; ``names`` are the words
    for the names that are known."""
    known, redactor = program_phrases(), Redactor(names, _usual_addresses())
    data: dict[str, Any] = {
        "findings": [
            {
                "section": title,
                "level": one.level,
                "text": keep_known(one.text, known, _find_counts(one.text, names)),
                "hint": keep_known(one.hint, known, _find_counts(one.hint, names)),
            }
            for title, one in report.findings
        ]
    }
    for section in report.sections:
        facts = {name: _public_fact(section.title, name, fact, redactor) for name, fact in section.facts.items()}
        data[section.title.replace(" ", "_")] = facts
    return data


def _find_counts(text: str, names: Container[str]) -> Iterator[tuple[int, int]]:
    """Where there is a number of requests, images or seconds, or that of a limit; none that is a name as well."""
    return (found.span() for found in _COUNT.finditer(text) if (found["number"] or found["limit"]) not in names)


def _public_fact(section: str, name: str, fact: FactValue, redactor: Redactor) -> FactValue:
    if not isinstance(fact, str) or not fact or section in ALL_PUBLIC:
        return fact
    if name == WRITER:
        # The rest is the command line of the process, which has names of files in it.
        return fact.partition(" (")[0]
    if name in PUBLIC.get(section, ()):
        return fact
    if section == SETTINGS_SECTION:
        return _public_setting(name, fact, redactor)
    return _public_word(fact, redactor)


def _public_setting(name: str, fact: str, redactor: Redactor) -> str:
    """``VALUE (SOURCE)``, or ``from SOURCE`` of the key."""
    if name in ("key", LAST_REFUSED_KEY):
        return fact if fact in KEY_SOURCES else "from a file"
    # No public value has a parenthesis in it, and a path, which comes last, may have any number.
    value, found, source = fact.partition(" (")
    value, source = (value, source.removesuffix(")")) if found else ("", fact)
    if source not in PUBLIC_SOURCES:
        source = STORE_SOURCE if Path(source).name == SETTINGS_FILE else USER_SOURCE
    is_public = name in PUBLIC_VALUES or value in ("", ALL_CLASSES)
    return f"{value if is_public else _public_word(value, redactor)} ({source})"


def _public_word(text: str, redactor: Redactor) -> str:
    """The word of its kind for a path or an address: a name that no pattern knows must not stay beside it."""
    redacted = redactor.text(text)
    return redacted if redacted in redactor.addresses or _ONLY_WORD.fullmatch(redacted) else "<left out>"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def _private_names(report: Report, environ: Mapping[str, str]) -> dict[str, str]:
    names = {os.uname().nodename: "<host>"}
    for variable in ("USER", "LOGNAME", "SUDO_USER"):
        names[environ.get(variable, "")] = "<user>"
    for variable, value in environ.items():
        # A key or a password in the wrong one. A number is no secret, and is in many texts.
        if variable.startswith("ASTICA_") and len(value.strip()) >= SHORTEST_VALUE and not _NUMBER.fullmatch(value):
            names[value.strip()] = f"<{variable}>"
    with contextlib.suppress(KeyError, ImportError):
        import pwd

        names[pwd.getpwuid(os.getuid()).pw_name] = "<user>"
    for variable in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "TMPDIR"):
        names[environ.get(variable, "").rstrip("/")] = f"<{variable}>"
    with contextlib.suppress(AsticaSyncError):
        names[str(user_state_folder())] = "<state folder>"
    with contextlib.suppress(AsticaSyncError):
        key, _ = find_key(environ)
        names[key.reveal()] = "<key>"
    if report.store is not None:
        names[str(report.store)] = "<store>"
        names[report.store.name] = "<store>"
    # root is in messages about rights, and is the name of no person; the usual addresses are no secret.
    return {name: word for name, word in names.items() if name and name not in ("root", *_usual_addresses())}


def _usual_addresses() -> list[str]:
    return [str(one.default) for one in SETTINGS if one.name.endswith("_url")]


def _titles(layout: Layout) -> set[str]:
    """Every class that the folder, the index or the history knows."""
    found: set[str] = set()
    with contextlib.suppress(OSError), os.scandir(layout.root) as listing:
        found.update(entry.name for entry in listing if entry.name != STATE_DIR)
    for name, query in (
        ("index.db", "SELECT DISTINCT class FROM folder WHERE class IS NOT NULL"),
        ("journal.db", "SELECT class FROM mark UNION SELECT class FROM history WHERE class <> ''"),
    ):
        found.update(str(row[0]) for row in _rows(layout.state / name, query))
    return found


def _events(layout: Layout, numbers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    query = "SELECT at, action, class, outcome, reason FROM history ORDER BY id DESC LIMIT 500"
    for at, action, title, outcome, reason in _rows(layout.journal_db, query):
        reason = str(reason or "")
        yield {
            "at": at if isinstance(at, int | float) else None,
            "action": _word(action),
            "class": numbers.get(str(title), ""),
            "outcome": _word(outcome),
            "reason": reason if reason in _KINDS or not reason else f"<a text of {len(reason)} characters>",
        }


def _errors() -> Iterator[dict[str, Any]]:
    """The last errors of commands: their kind, their place, and the program's own words of the message."""
    with contextlib.suppress(AsticaSyncError):
        for error in read_errors(user_state_folder()):
            where = error.get("where")
            yield {
                "at": error["at"] if isinstance(error.get("at"), int | float) else None,
                **{name: _word(error.get(name)) for name in ("version", "command", "error")},
                # The record has no other text; that of another program is none of ours.
                "text": str(error.get("template", "")),
                "where": [one for one in map(str, where) if _FRAME.fullmatch(one)] if isinstance(where, list) else [],
            }


def _word(value: object) -> str:
    """A word that this program writes; "" for anything else."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _rows(file: Path, query: str) -> Iterable[tuple[Any, ...]]:
    if not file.exists():
        return []
    try:
        with read_database(file) as opened:
            return opened.execute(query).fetchall()
    except sqlite3.Error:
        return []


def _counts(watch: WatchStatus) -> dict[str, object]:
    """The state and the numbers of a watcher; of its texts only how many there are."""
    found: dict[str, object] = {}
    for one in fields(watch):
        value = getattr(watch, one.name)
        if one.name == "state":
            found[one.name] = watch.state.value
        elif isinstance(value, list):
            found[one.name] = len(value)
        elif isinstance(value, dict):
            # By kind of error.
            found[one.name] = {_word(name): count for name, count in value.items() if isinstance(count, int)}
        elif not isinstance(value, str):
            found[one.name] = value
    return found
