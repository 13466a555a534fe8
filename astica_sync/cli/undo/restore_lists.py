"""What ``backup restore`` would do and leaves out, as lists for the terminal and as JSON."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.bucket.source_binding import source_of
from astica_sync.cli.path_from_here import quote_from_here
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import first, json_line, json_name, number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.shell_quote import quote_path

if TYPE_CHECKING:
    from astica_sync.cli.undo.set_aside import AsideFolder
    from astica_sync.core.find_moved_images import MovedImage, OtherPlace
    from astica_sync.core.model import Problem
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.backup.catalog import CatalogEntry
    from astica_sync.local.backup.removed_since import EarlierPlace
    from astica_sync.local.filesystem import FileSystem

_TAKEN = "another file exists at this path"
_MOST_OTHERS = 3
"""So many images in other places are listed without ``--verbose``."""


@dataclass(slots=True)
class LeftInBackup:
    """What ``--since`` finds and does not write: images that have ``moved`` to another class or are in ``others``
    places, ``earlier`` places of deleted images, ``taken`` paths at which another file is, how many images are
    ``held_out``, and how many ``deleted`` ones are not asked for. ``unread`` are the places of the store that cannot be
    read, where an image that seems deleted may be, and ``root`` is the store.

    ``overwritten`` are the images that came to their paths before what is there now, if anything is; ``set_aside``
    those that it does write, with ``--overwritten``: the files at their paths go to ``aside``.
    """

    root: Path
    moved: "Sequence[MovedImage]" = ()
    others: "Sequence[OtherPlace]" = ()
    earlier: "Sequence[EarlierPlace]" = ()
    taken: "list[CatalogEntry]" = field(default_factory=list)
    overwritten: "Collection[CatalogEntry]" = ()
    set_aside: "list[CatalogEntry]" = field(default_factory=list)
    aside: "AsideFolder | None" = None
    held_out: int = 0
    deleted: int = 0
    unread: "Sequence[Problem]" = ()


@dataclass(slots=True)
class RestorePreview:
    """``write`` is what would be written, ``taken`` what would not, since another file is at its path, ``missing`` what
    the backup has no good bytes of or cannot be compared with it, with the reason; ``already_there`` and ``older`` are
    counts."""

    write: "list[CatalogEntry]" = field(default_factory=list)
    taken: "list[CatalogEntry]" = field(default_factory=list)
    missing: "list[tuple[CatalogEntry, str]]" = field(default_factory=list)
    already_there: int = 0
    older: int = 0


def is_there(files: "FileSystem", path: Path) -> bool:
    """Whether something is at a path, also where that cannot be seen."""
    try:
        files.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        pass
    return True


def preview_restore(
    objects: "Backup",
    to: Path,
    entries: "Callable[[], Iterable[CatalogEntry]]",
    wanted: "Callable[[CatalogEntry], bool]",
    freed: frozenset[str],
    files: "FileSystem",
) -> RestorePreview:
    """What a restore would do. ``freed`` are paths whose files would be moved away before. Reads no object. (The six
    parameters are those of the restore.)"""
    preview = RestorePreview()
    last = {entry.path: entry.content for entry in entries() if wanted(entry)}
    done: set[str] = set()
    for entry in entries():
        if not wanted(entry) or entry.path in done:
            continue
        if last[entry.path] != entry.content:
            preview.older += 1
            continue
        done.add(entry.path)
        source = objects.find(entry.content)
        target = to / entry.path
        if source is None:
            preview.missing.append((entry, "missing in the backup"))
        elif "\0" in entry.path or entry.path in freed or not is_there(files, target):
            preview.write.append(entry)
        elif not (source_of(files) or target.is_file()):
            preview.taken.append(entry)
        else:
            try:
                same = objects.has_same_bytes(target, source)
            except OSError as error:
                preview.missing.append((entry, f"the file at its path cannot be read: {error.strerror}"))
                continue
            if same:
                preview.already_there += 1
            else:
                preview.taken.append(entry)
    return preview


def print_preview(
    preview: RestorePreview, left_out: LeftInBackup, to: Path, *, moves_back: bool, unplaced: int, as_json: bool
) -> None:
    """What a dry run has found, on standard output. ``unplaced`` is how many images no line of the catalog names."""
    moves = len(left_out.moved) if moves_back else 0
    if as_json:
        data = {
            "to": json_name(str(to)),
            "dry_run": True,
            "write": [entry_json(entry) for entry in preview.write],
            "already_there": preview.already_there,
            "moved_back": 0,
            "failed": [
                {"path": json_name(entry.path), "reason": reason}
                for entry, reason in [*((one, _TAKEN) for one in preview.taken), *preview.missing]
            ],
            "unplaced": unplaced,
            "older": preview.older,
        }
        click.echo(json_line(data | left_out_json(left_out)))
        return
    lines = _preview_lines(preview, left_out, moves_back=moves_back)
    if unplaced:
        lines += [f"{number(unplaced, 'image')} of the backup would not be restored: no line of the catalog names them"]
    if left_out.held_out:
        them = "it" if left_out.held_out == 1 else "them"
        lines += [f"{number(left_out.held_out, 'image')} would not be restored: split holds {them} out"]
    if left_out.deleted:
        lines += [
            f"{number(left_out.deleted, 'deleted image')} would not be restored: that is done without --move-back"
        ]
    if lines:
        lines.append("")
    back = f"{number(moves, 'file')} would be moved back, " if moves_back else ""
    also = "" if moves_back or not left_out.moved else f", {len(left_out.moved):,} to move back with --move-back"
    lines.append(
        f"{safe(str(to))}: {back}{number(len(preview.write), 'file')} would be written, {preview.already_there:,} "
        f"already there{also}; nothing was changed"
    )
    print_lines(lines)


def _preview_lines(preview: RestorePreview, left_out: LeftInBackup, *, moves_back: bool) -> list[str]:
    """The lists of a dry run, whole, each under a heading."""
    lines: list[str] = []

    def add(heading: str, listed: list[str]) -> None:
        if listed:
            lines.extend(([""] if lines else []) + [f"{heading} ({len(listed):,}):", *listed])

    moved = [f"  {safe(one.path)}  (now {safe(one.now)})" for one in left_out.moved]
    if moves_back:
        add("To move back", moved)
    lines += _unread_lines(left_out)
    add("To write", [f"  + {safe(entry.path)}" for entry in preview.write])
    if not moves_back:
        add("In another class now, to move back with --move-back", moved)
    add(
        f"To move to {safe(str(left_out.aside.path)) if left_out.aside else ''}, since an image comes back to the path",
        [f"  {safe(entry.path)}" for entry in left_out.set_aside],
    )
    others = len(lines)
    add("In another place now, not restored", list(map(_other_line, left_out.others)))
    if len(lines) > others:
        lines += _ways_back(left_out)
    add(
        "Not restored, another file is at the path now",
        [f"  {safe(entry.path)}" for entry in [*preview.taken, *left_out.taken]],
    )
    add(
        "Earlier places of deleted images, not restored",
        [f"  {safe(one.path)}  (later {safe(one.last)})" for one in left_out.earlier],
    )
    add("Not to be restored", [f"  ! {safe(entry.path)}  ({reason})" for entry, reason in preview.missing])
    return lines


def print_left_out(left_out: LeftInBackup, *, moves_back: bool) -> None:
    """What a restore leaves out, on standard error: counts, and with ``--verbose`` the places."""
    verbose = verbosity() is Verbosity.VERBOSE
    lines = _unread_lines(left_out)
    if left_out.held_out:
        them = "it" if left_out.held_out == 1 else "them"
        lines.append(f"{number(left_out.held_out, 'image')} not restored: split holds {them} out")
    moved = [] if moves_back else list(left_out.moved)
    if count := len(moved) + len(left_out.others):
        them = "it" if count == 1 else "them"
        listed = verbose or not (moved or len(left_out.others) > _MOST_OTHERS)
        how = "" if listed else "; for the places: --verbose"
        how += "; to move back what went to another class: --move-back" if moved else ""
        lines.append(f"{number(count, 'image')} not restored: the store has {them} in another place{how}")
    if verbose:
        places = [(one.path, f"  {safe(one.path)}  (now {safe(one.now)})") for one in moved]
        places += [(one.path, _other_line(one)) for one in left_out.others]
        lines += [line for _, line in sorted(places)]
    elif len(left_out.others) <= _MOST_OTHERS:
        lines += map(_other_line, left_out.others)
    lines += _ways_back(left_out)
    if left_out.taken:
        count = len(left_out.taken)
        at = "another file is at its path now" if count == 1 else "other files are at their paths now"
        is_offered = not (moves_back or left_out.set_aside) and any(
            entry in left_out.overwritten for entry in left_out.taken
        )
        how = "; to bring back what was overwritten: --overwritten" if is_offered else ""
        lines.append(f"{number(count, 'image')} not restored: {at}{how}")
        lines += first([f"  {safe(entry.path)}" for entry in left_out.taken], count)
    if left_out.aside is not None and (aside := left_out.aside.moved):
        were = "file that was" if len(aside) == 1 else "files that were"
        lines.append(f"{len(aside):,} {were} at such a path: now in {safe(str(left_out.aside.path))}")
    if left_out.deleted:
        them = "it" if left_out.deleted == 1 else "them"
        lines.append(
            f"{number(left_out.deleted, 'deleted image')} not restored; to restore {them} as well, run the same "
            "command without --move-back"
        )
    if left_out.earlier:
        count_text = number(len(left_out.earlier), "earlier place")
        lines.append(
            f"{count_text} of deleted images left out: another class had the image then"
            + ("; a place that is named comes back" if verbose else "; for the places: --verbose")
        )
        if verbose:
            lines += [f"  {safe(one.path)}  (later {safe(one.last)})" for one in left_out.earlier]
    if lines:
        print_lines(lines, err=True)


def _unread_lines(left_out: LeftInBackup) -> list[str]:
    """What cannot be read of the store, and what follows for a restore."""
    if not left_out.unread:
        return []
    lines = [f"  {safe(one.path)}  ({safe(one.reason)})" for one in left_out.unread]
    return [
        "This cannot be read, so what is at such a place stays, and what was moved to one may be written again:",
        *first(lines, len(lines)),
    ]


def left_out_json(left_out: LeftInBackup) -> dict[str, Any]:
    return {
        "moved": [{"path": json_name(one.path), "now": json_name(one.now)} for one in left_out.moved],
        "elsewhere": [
            {"path": json_name(one.path), "now": json_name(one.now), "first": json_name(one.first) or None}
            for one in left_out.others
        ],
        "taken": [entry_json(entry) for entry in left_out.taken],
        "earlier": [{"path": json_name(one.path), "last": json_name(one.last)} for one in left_out.earlier],
        "set_aside": [
            {"path": json_name(path), "now": json_name(str(now))}
            for path, now in (left_out.aside.moved if left_out.aside is not None else [])
        ],
        "held_out": left_out.held_out,
        "deleted": left_out.deleted,
        "unread": [{"path": json_name(one.path), "reason": one.reason} for one in left_out.unread],
    }


def entry_json(entry: "CatalogEntry") -> dict[str, str]:
    return {"class": entry.class_title, "path": json_name(entry.path), "content": entry.content}


def print_problems(problems: Sequence[tuple[str, str]]) -> None:
    """What failed, in red on standard error."""
    lines = [f"! {safe(path)}  ({safe(reason)})" for path, reason in problems]
    for line in first(lines, len(lines), 20):
        print_lines([click.style(line, fg="red")], err=True)


def _other_line(one: "OtherPlace") -> str:
    before = f", before in {safe(one.first)}" if one.first else ""
    return f"  {safe(one.path)}  (now {safe(one.now)}{before})"


def _ways_back(left_out: LeftInBackup) -> list[str]:
    """How to bring one of the others back. Those that will be in their first place come back with that one."""
    one = next((one for one in left_out.others if not one.first), None)
    if one is None:
        return []
    what = "it back" if len(left_out.others) == 1 else "one back, for example"
    root = left_out.root
    lines = [f"  To move {what}: mv {quote_from_here(root, one.now)} {quote_from_here(root, one.path)}"]
    if one.path.partition("/")[0] != one.now.partition("/")[0]:
        lines.append(f"  If it is a copy that is to stay there: astica-sync backup restore {quote_path(one.path)}")
    return lines
