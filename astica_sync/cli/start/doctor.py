"""``astica-sync doctor``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import DONE, ERROR
from astica_sync.cli.open_store import read_watch_status, store_option
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import json_line, number, safe
from astica_sync.cli.start.probe import MORE, ProbeRequest, run_probe_command
from astica_sync.clock import SystemClock
from astica_sync.doctor.section import FactValue
from astica_sync.errors import ConfigError, NoStore
from astica_sync.file_owner import create_private
from astica_sync.open_session import find_unchecked
from astica_sync.system.error_advice import reason_of, remedy

if TYPE_CHECKING:
    from astica_sync.doctor.report import Report

PACKAGES = "packages"
IDS = ("model", "user id")
"""Facts that are numbers and no counts."""


@click.command("doctor")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a zip for a bug report: no key, path, title, address or image is in it.",
)
@click.option("--probe", is_flag=True, help="Try what the service does, on a model of its own.")
@click.option(
    "--with",
    "more",
    multiple=True,
    type=click.Choice(MORE),
    help="With --probe: also train once, exceed the limit on purpose, or upload 20 MB.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --probe: write the facts to this file too.",
)
@click.option("--yes", is_flag=True, help="With --probe: start without asking.")
def doctor(
    store: Path | None,
    as_json: bool,
    bundle: Path | None,
    probe: bool,
    more: tuple[str, ...],
    out: Path | None,
    yes: bool,
) -> int:
    """Show what this program finds on this machine, what is odd, and the command that helps.

    Looks at the program, the settings and where each comes from, the key's source, the request budget, the store and
    what its disk can do, and the watcher. Sends nothing, and changes nothing. Exits with 1 where there is a problem.

    With --probe: finds out what the service does in cases that its documentation leaves open. It asks first, makes a
    model of its own, uploads a few small images, and removes the model. The page "What the service
    really does" of the manual lists what it tries.

    \b
    astica-sync doctor
    astica-sync doctor --json | jq .findings
    astica-sync doctor --bundle ~/report.zip
    astica-sync doctor --probe --out service.json
    """
    if probe:
        if bundle is not None:
            raise click.UsageError("--bundle is about this machine; give it without --probe")
        run_probe_command(store, ProbeRequest(more, out, yes, as_json))
        return DONE
    if more or out is not None or yes:
        raise click.UsageError("--with, --out and --yes belong to --probe")
    from astica_sync.doctor.report import examine

    try:
        watch = read_watch_status(find_unchecked(store))
    except NoStore:
        watch = None
    report = examine(store, os.environ, SystemClock(), watch)
    if bundle is not None:
        from astica_sync.doctor.bundle import make_bundle

        if report.store is not None and bundle.resolve().is_relative_to(report.store.resolve()):
            raise ConfigError(
                f"{bundle} would be a file of the store", "Write it elsewhere: astica-sync doctor --bundle ~/report.zip"
            )
        _write(bundle, make_bundle(report, None if watch is None else watch[0], os.environ))
    if as_json:
        click.echo(json_line(report.as_data()))
    else:
        print_lines(_lines(report))
        if bundle is not None:
            sent = "read it before you send it. Send the file and not this screen, which has paths in it"
            print_lines(["", f"{safe(str(bundle))} is ready; {sent}"])
    return ERROR if report.has_problem else DONE


def _write(file: Path, data: bytes) -> None:
    """
    Raises:
        ConfigError: there is a file of that name, or it cannot be made.
    """
    try:
        with open(create_private(file), "wb") as made:
            made.write(data)
    except FileExistsError:
        raise ConfigError(f"{file} exists", "name another file, or remove it") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {reason_of(error)}", remedy(error, file)) from None


def _lines(report: "Report") -> list[str]:
    lines: list[str] = []
    for section in report.sections:
        if section.title == PACKAGES:
            # Their versions are many, and looked at when something is odd.
            versions = [f"{name} {fact}" for name, fact in section.facts.items() if not name.startswith("extra ")]
            extras = {name: fact for name, fact in section.facts.items() if name.startswith("extra ")}
            lines += [section.title, f"  {', '.join(versions)}", *_table(extras), ""]
            continue
        lines += [section.title, *_table(section.facts), ""]
    findings = report.findings
    lines.append(f"{number(len(findings), 'finding')}" if findings else "nothing is odd")
    for title, finding in findings:
        lines.append(f"  {finding.level}: {title}: {safe(finding.text)}")
        if finding.hint:
            lines.append(f"    {safe(finding.hint)}")
    return lines


def _table(facts: Mapping[str, FactValue]) -> list[str]:
    width = max(map(len, facts), default=0)
    return [f"  {name:<{width}}  {_shown(name, fact)}" for name, fact in facts.items()]


def _shown(name: str, fact: FactValue) -> str:
    match fact:
        case None:
            return "unknown"
        case bool():
            return "yes" if fact else "no"
        case int() if name in IDS:
            return str(fact)
        case int():
            return f"{fact:,}"
        case _:
            return safe(str(fact))
