"""What a command needs of the system around it, each by the check that commands make at their start."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from astica_sync.clock import Clock
from astica_sync.doctor.section import Section
from astica_sync.service_address import shown_address
from astica_sync.system.start_checks import (
    check_certificates,
    check_open_files,
    no_temporary_folder,
    odd_clock,
    writable_state_folder,
)

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CONTAINER_MARKS = ("/run/.containerenv", "/.dockerenv")


def check_this_machine(environ: Mapping[str, str], clock: Clock) -> Section:
    """State folder, certificates, limits, clock, proxies."""
    section = Section("machine")
    facts = section.facts
    facts["processors"] = os.cpu_count()
    facts["in a container"] = is_container()
    facts["user id"] = os.geteuid()
    with section.findings_of():
        facts["state folder"] = str(writable_state_folder(environ))
    with section.findings_of():
        check_certificates(environ)
    with section.findings_of():
        check_open_files()
    try:
        facts["temporary folder"] = tempfile.gettempdir()
    except OSError as error:
        failure = no_temporary_folder(error)
        section.problem(str(failure), failure.hint)
    if odd := odd_clock(clock.now()):
        section.note(odd)
    for name in PROXIES:
        for spelled in (name, name.lower()):
            if environ.get(spelled):
                facts[spelled] = shown_address(environ[spelled])
    return section


def is_container() -> bool:
    """Whether one of the usual marks of a container is there; without one it may be in one all the same."""
    # systemd sets this one, in lower case.
    return any(Path(mark).exists() for mark in CONTAINER_MARKS) or "container" in os.environ
