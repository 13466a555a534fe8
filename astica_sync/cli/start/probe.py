"""``astica-sync doctor --probe``: the question before it, and what it prints."""

import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

import astica_sync
from astica_sync.cli.key_refusals import key_refusals_recorded
from astica_sync.cli.open_store import clean_stop, closed_at_end, find
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm, print_lines, print_note
from astica_sync.cli.render.text import json_line, number, safe
from astica_sync.clock import SystemClock
from astica_sync.config import Settings, load_key, service_facts_file
from astica_sync.core.service_facts.fact import MEANINGS, SECONDS, Fact, not_asked
from astica_sync.errors import ConfigError, GuardRefused, NoStore, StoreUnreadable
from astica_sync.local.service_facts_file import ServiceFacts, read_service_facts, write_service_facts
from astica_sync.open_session import settings_for

if TYPE_CHECKING:
    from astica_sync.doctor.probe.probe_requests import ProbeOptions

MORE = TRAINING, LIMIT, LARGE = ("training", "limit", "large")
"""What a probe tries where it is asked for."""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What the user asked for: some of ``MORE``, a second file, no question, JSON."""

    more: tuple[str, ...]
    out: Path | None
    yes: bool
    as_json: bool


def run_probe_command(store: Path | None, asked: ProbeRequest) -> None:
    """Asks, tries the service, writes the files, and prints the facts."""
    from astica_sync.doctor.probe.probe_requests import ProbeOptions
    from astica_sync.doctor.probe.run_probe import run_probe

    settings = _settings(store)
    key = load_key(os.environ)
    if settings.budget and LIMIT in asked.more:
        raise ConfigError(
            "--with limit exceeds the limit of this machine's own budget, and the setting budget shares it with others",
            f"Leave the setting out for that run ({settings.sources['budget']}), while no other machine uses the key.",
        )
    options = ProbeOptions(training=TRAINING in asked.more, large=LARGE in asked.more)
    if asked.out is not None:
        _check_target(asked.out)
    file = service_facts_file(settings.train_url)
    _confirm(settings, options, asked, [file, *([asked.out] if asked.out else [])])
    clock, progress = SystemClock(), Progress()
    with clean_stop(clock), closed_at_end(progress, clock), key_refusals_recorded(settings, lambda: 0):
        result = run_probe(settings, key, clock, progress, options, over_limit=LIMIT in asked.more, note=print_note)
    known = ServiceFacts(
        settings.train_url,
        settings.detect_url,
        round(clock.now(), 3),
        astica_sync.__version__,
        result.requests,
        result.facts,
    )
    files = [file, *([asked.out] if asked.out else [])]
    for one in files:
        write_service_facts(one, known)
    if asked.as_json:
        click.echo(json_line({**known.as_data(), "files": [str(one) for one in files]}))
        return
    print_lines(
        [
            *facts_as_lines(known.facts),
            "",
            f"{number(result.requests, 'request')} sent; the probe's model is removed",
            *(f"written to {safe(str(one))}" for one in files),
        ]
    )


def facts_as_lines(facts: dict[str, Fact]) -> list[str]:
    """What each fact is about, its value, and what was seen. On a terminal, the second column is wrapped."""
    width = max(map(len, MEANINGS.values())) + 2
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines: list[str] = []
    for name, meaning in MEANINGS.items():
        if name in facts and not _is_not_asked(facts[name]):
            text = safe(shown_fact(name, facts[name]))
            parts = textwrap.wrap(text, max(columns - width, 30), break_long_words=False) if columns else [text]
            lines += [
                f"{start:<{width}}{part}" for start, part in zip([meaning, *[""] * len(parts)], parts, strict=False)
            ]
    for option in MORE:
        names = [MEANINGS[name] for name in facts if facts[name] == not_asked(option)]
        if names:
            lines += ["", f"Not tried without --with {option}: {', '.join(names)}"]
    return lines


def _is_not_asked(fact: Fact) -> bool:
    return fact in map(not_asked, MORE)


def shown_fact(name: str, fact: Fact) -> str:
    """The value of a fact with its note."""
    note = f" ({fact.note})" if fact.note else ""
    if fact.value is None:
        return f"not known{note}"
    if name in SECONDS:
        least = f"{fact.least:.2f} to " if fact.least else "at most "
        return f"{least}{fact.value:.2f} s{note}"
    if isinstance(fact.value, bool):
        return ("yes" if fact.value else "no") + note
    return f"{fact.value:,}{note}" if isinstance(fact.value, int) else f"{fact.value}{note}"


def _settings(store: Path | None) -> Settings:
    """Those of the store where the user names one or is in one."""
    try:
        return settings_for(find(store))
    except NoStore as error:
        if store is not None or isinstance(error, StoreUnreadable):
            raise
        return settings_for(None)


def _check_target(out: Path) -> None:
    """
    Raises:
        ConfigError: the file cannot be written, or is another file that would be lost.
    """
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(f"{out} cannot be written: its folder is missing or not yours", "Name another file.")
    if out.exists():
        try:
            read_service_facts(out)
        except ConfigError:
            raise ConfigError(f"{out} exists and is another file", "Name another file, or remove it.") from None


def _confirm(settings: Settings, options: "ProbeOptions", asked: ProbeRequest, files: list[Path]) -> None:
    """
    Raises:
        GuardRefused: the user says no, or cannot be asked.
    """
    from astica_sync.doctor.probe.probe_requests import OVER_LIMIT
    from astica_sync.doctor.probe.run_probe import price_of

    cost = price_of(options, settings.limit if LIMIT in asked.more else None)
    if asked.yes:
        return
    refused = GuardRefused(
        f"sending about {cost.usual} requests, {cost.most} at most, was not confirmed; none was sent", "Add --yes."
    )
    if asked.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise refused
    lines = [
        f"This tries what the service at {safe(settings.train_url)} does in cases that its documentation leaves open.",
        "It makes a model of its own, uploads small images that this program draws, and removes the model again.",
        "No other model is changed.",
    ]
    if options.training:
        lines.append("It trains that model once, which may cost what a training costs, and waits for the version.")
    if options.large:
        lines.append("It uploads one or two images of 20 MB.")
    if LIMIT in asked.more:
        lines.append(
            f"At its end it exceeds your limit of {settings.limit} requests on purpose, by up to {OVER_LIMIT}, until "
            "the service refuses one. A service may block your key for a while because of that."
        )
    lines.append(f"It sends about {cost.usual} requests, {cost.most} at most, and writes:")
    lines += [f"  {safe(str(file))}" for file in files]
    print_lines(lines, err=True)
    if not confirm("Start?"):
        raise refused
