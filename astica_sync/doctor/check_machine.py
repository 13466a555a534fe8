"""What a command needs of the system around it, each by the check that commands make at their start."""

import contextlib
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
USUAL_TEMPORARY = ("tmp", "var/tmp", "usr/tmp")
"""Where Python looks below the root folder, before it takes the current folder."""
CONTAINER_MARKS = ("/run/.containerenv", "/.dockerenv")


def check_this_machine(environ: Mapping[str, str], clock: Clock, store: Path | None = None) -> Section:
    """State folder, certificates, limits, folder for temporary files, clock, proxies. ``store`` is the folder of the
    store, None where there is none."""
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
        facts["temporary folder"] = folder = tempfile.gettempdir()
    except OSError as error:
        failure = no_temporary_folder(error)
        section.problem(str(failure), failure.hint)
    else:
        if odd := _odd_temporary_folder(Path(folder), environ, store):
            section.note(odd, "set TMPDIR to a folder outside of the store that you can write")
    if odd := odd_clock(clock.now()):
        section.note(odd)
    for name in PROXIES:
        for spelled in (name, name.lower()):
            if environ.get(spelled):
                facts[spelled] = shown_address(environ[spelled])
    return section


def _odd_temporary_folder(folder: Path, environ: Mapping[str, str], store: Path | None) -> str:
    """Why temporary files should not be in this folder; "" where they may be."""
    if store is not None and folder.resolve().is_relative_to(store.resolve()):
        return f"temporary files are made in {folder}, which is in the store: a folder among them counts as a class"
    named = {Path(environ[name]) for name in ("TMPDIR", "TEMP", "TMP") if environ.get(name)}
    usual = {Path(os.sep, name) for name in USUAL_TEMPORARY}
    with contextlib.suppress(FileNotFoundError):  # the current folder may be gone
        if folder == Path.cwd() and folder not in named | usual:
            return f"no folder for temporary files can be written, so they are made in the current one, {folder}"
    return ""


def is_container() -> bool:
    """Whether one of the usual marks of a container is there; without one it may be in one all the same."""
    # systemd sets this one, in lower case.
    return any(Path(mark).exists() for mark in CONTAINER_MARKS) or "container" in os.environ
