"""The program itself: its version, Python, SQLite; and the packages it needs."""

import platform
import re
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, requires

from astica_sync.doctor.section import Section
from astica_sync.local.db.wal_safety import WAL_FIXED
from astica_sync.sqlite import refuse_old_sqlite
from astica_sync.system.optional_packages import version_of

NAME = "astica-sync"
EXTRAS = {
    "page": "for astica-sync page",
    "sandbox": "for astica-sync demo and sandbox",
    "evaluate": "for evaluate, split and inspect",
    "features": "for better features of the page's preview",
    "parquet": "for parquet files in import, export and evaluate",
    "buckets": "for import from a bucket and a mirror in one",
    "heic": "for the conversion of HEIC images",
    "keyring": "for a key in the system keyring",
    "metrics": "for metrics of a watcher",
    "pandas": "for data frames in Python",
    "redis": "for a budget server on Redis",
    "postgres": "for a budget server on PostgreSQL",
    "dask": "for inspect on a Dask cluster",
}
"""For each extra what it is for."""
_REQUIREMENT = re.compile(
    r"^(?P<name>[\w.-]+)\s*(?:>=(?P<least>[\w.]+))?[^;]*(?:;\s*extra\s*==\s*['\"](?P<extra>\w+)['\"])?"
)


def check_program() -> Section:
    """The versions of what the program runs on."""
    section = Section("program")
    facts = section.facts
    facts["astica-sync"] = version_of(NAME)
    facts["Python"] = f"{platform.python_version()} ({platform.python_implementation()})"
    facts["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    facts["C library"] = " ".join(platform.libc_ver()).strip() or None
    facts["SQLite"] = sqlite3.sqlite_version
    fixed = ".".join(map(str, WAL_FIXED))
    is_fixed = sqlite3.sqlite_version_info >= WAL_FIXED
    facts["write-ahead log"] = "used on local disks" if is_fixed else f"not used, since SQLite is older than {fixed}"
    with section.findings_of():
        refuse_old_sqlite()
    facts["file names"] = sys.getfilesystemencoding()
    return section


def check_packages() -> Section:
    """A package that is missing or too old is a problem; one of an extra is a fact."""
    section = Section("packages")
    missing: set[str] = set()
    for name, least, extra in _requirements():
        found = version_of(name)
        is_old = found is not None and least is not None and _numbers(found) < _numbers(least)
        if found is not None:
            section.facts[name] = found
        if extra and (found is None or is_old):
            missing.add(extra)
        elif found is None or is_old:
            section.problem(
                f"the package {name} is {f'{found}, older than {least}' if is_old else 'missing'}",
                "install the program again: pip install --force-reinstall astica-sync",
            )
    for extra, what in EXTRAS.items():
        lacks = f"not installed ({what}): pip install 'astica-sync[{extra}]'"
        section.facts[f"extra {extra}"] = lacks if extra in missing else "installed"
    return section


def _requirements() -> list[tuple[str, str | None, str | None]]:
    """Each package that the program declares, with its lowest version and its extra."""
    try:
        lines = requires(NAME) or []
    except PackageNotFoundError:
        return []
    found = [_REQUIREMENT.match(line) for line in lines]
    return [(one["name"], one["least"], one["extra"]) for one in found if one is not None]


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()
