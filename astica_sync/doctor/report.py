"""The whole report: each section by its own check, in the order in which a command would meet the faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astica_sync.clock import Clock
from astica_sync.config import Settings
from astica_sync.core.watch.watch_status import WatchStatus
from astica_sync.doctor.check_budget import check_budget
from astica_sync.doctor.check_disk import check_disk
from astica_sync.doctor.check_machine import check_this_machine
from astica_sync.doctor.check_program import check_packages, check_program
from astica_sync.doctor.check_settings import check_settings
from astica_sync.doctor.check_store import check_store
from astica_sync.doctor.check_watcher import check_watcher
from astica_sync.doctor.probe.check_service_facts import check_service
from astica_sync.doctor.section import CheckFinding, Level, Section
from astica_sync.errors import AsticaSyncError, NoStore, StoreUnreadable
from astica_sync.local.layout import Layout
from astica_sync.open_session import find_unchecked, lost_store_at, settings_for


@dataclass(frozen=True, slots=True)
class Report:
    """``store`` is the folder of the store that was looked at, None where there is none."""

    store: Path | None
    sections: tuple[Section, ...]

    @property
    def findings(self) -> list[tuple[str, CheckFinding]]:
        """What is odd with the title of its section, problems first. What several sections meet is named by the first
        of them."""
        first: dict[CheckFinding, str] = {}
        for section in self.sections:
            for finding in section.findings:
                first.setdefault(finding, section.title)
        every = [(title, finding) for finding, title in first.items()]
        return sorted(every, key=lambda one: one[1].level is not Level.PROBLEM)

    @property
    def has_problem(self) -> bool:
        return any(finding.level is Level.PROBLEM for _, finding in self.findings)

    def as_data(self) -> dict[str, Any]:
        """The object of ``doctor --json``."""
        return {
            "findings": [
                {"section": title, "level": one.level, "text": one.text, "hint": one.hint}
                for title, one in self.findings
            ],
            **{section.title.replace(" ", "_"): section.facts for section in self.sections},
        }


def examine(
    store: Path | None,
    environ: Mapping[str, str],
    clock: Clock,
    watch: "tuple[WatchStatus | None, bool] | None",
) -> Report:
    """Looks at the program, this machine and the store; sends nothing. It writes temporary files into the store's
    hidden folder to see what the disk can do, and removes them.

    Args:
        store: its folder, None for the current folder or one above it.
        watch: the last status of the store's watcher, and whether it runs; None where there is no store.
    """
    place = Section("store")
    layout: Layout | None = None
    try:
        layout = find_unchecked(store)
    except NoStore as error:
        is_there = isinstance(error, StoreUnreadable) or lost_store_at(Path()) is not None
        if store is not None or is_there:
            place.problem_of(error)
        else:
            place.note("there is no store in this folder or above it", "name one: astica-sync doctor --store DIR")
    machine = check_this_machine(environ, clock, None if layout is None else layout.root)
    sections = [check_program(), check_packages(), machine, check_settings(layout, environ)]
    sections.append(check_service(_settings(layout)))
    if layout is None:
        return Report(None, (*sections, check_budget(None, environ, clock), place))
    sections += [check_budget(layout, environ, clock), check_store(layout, clock), check_disk(layout)]
    if watch is not None:
        sections.append(check_watcher(*watch))
    return Report(layout.root, tuple(sections))


def _settings(layout: Layout | None) -> Settings | None:
    """None where they cannot be read, which the section about them says."""
    try:
        return settings_for(layout, offline=True)
    except AsticaSyncError:
        return None
