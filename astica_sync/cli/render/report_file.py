"""Writes a report of one file, over an earlier report and nothing else."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from astica_sync.cli.render.messages import print_note
from astica_sync.cli.render.text import safe
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import IGNORE_FILE, STATE_DIR
from astica_sync.shell_quote import quote_path

_HEAD_BYTES = 1_000


def check_report_file(file: Path, option: str, is_report: Callable[[Path], bool] | None = None) -> None:
    """Whether a report may be written there: where nothing is, over an empty file or an earlier report, by default one
    of HTML. A link is replaced, so what it leads to is not looked at.

    Raises:
        AsticaSyncError: another file is there, it cannot be read, or it would be one of a store's own records.
    """
    if any(part.casefold() == STATE_DIR for part in (*file.parent.resolve().parts, file.name)):
        raise AsticaSyncError(
            f"{file} would be among the store's own records in {STATE_DIR}",
            f"Write the report to a file outside of it: {option} FILE",
        )
    try:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode) or not status.st_size or (is_report or _is_html_report)(file):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_write(file, option, error) from error
    raise AsticaSyncError(
        f"{file} exists and is no earlier report, so it was not replaced",
        f"Write the report to another file ({option} FILE), or move that file away first.",
    )


def write_report(file: Path, html: str) -> None:
    """Writes the report for its user alone.

    Raises:
        AsticaSyncError: it cannot be written, or as ``check_report_file``.
    """
    from astica_sync.local.target_folder import write_user_file

    check_report_file(file, "--html")
    try:
        write_user_file(file, html.encode("utf-8", "backslashreplace"), 0o600)
    except OSError as error:
        raise _cannot_write(file, "--html", error) from error


def note_in_store(file: Path, root: Path) -> None:
    """Notes that the file which was written is in the store, and how to leave it out there; nothing where it is
    elsewhere, or left out already."""
    from astica_sync.local.scan.ignore import Ignore

    try:
        path = (file.parent.resolve() / file.name).relative_to(root.resolve()).as_posix()
        if Ignore.load(root).skips_below(path):
            return
    except (OSError, ValueError, AsticaSyncError):
        return
    place = quote_path(str(root / IGNORE_FILE))
    print_note(
        f"{safe(file.name)} is in the store and no image, so astica-sync status lists it as a problem. Write it to "
        f"another folder, or leave it out: echo {quote_path(_as_rule(path))} >> {place}"
    )


def _as_rule(path: str) -> str:
    """The line of an ignore file that is about this path alone."""
    return "/" + re.sub(r"([\\*?\[\] ])", r"\\\1", path)


def read_head(file: Path, count: int = _HEAD_BYTES) -> bytes:
    """The first bytes of a file; a link is not followed."""
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        return opened.read(count)


def _is_html_report(file: Path) -> bool:
    from astica_sync.training.evaluation.html_style import EARLIER_START, REPORT_START

    return read_head(file).startswith((REPORT_START.encode(), EARLIER_START.encode()))


def _cannot_write(file: Path, option: str, error: OSError) -> AsticaSyncError:
    return AsticaSyncError(f"cannot write {file}: {error.strerror}", f"Write the report to another file: {option} FILE")
