"""What is damaged in the backup besides its objects: the manifests of snapshots and the records.

An object that only a manifest names is safe as long as the manifest can be read, so ``backup prune`` asks here first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astica_sync.errors import BackupDamaged, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CATALOG, CONTENT, entry_of
from astica_sync.local.backup.manifests import Manifests
from astica_sync.local.backup.service_records import ADOPTED, VERSIONS, is_adopted_line, is_version_line
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import parse_line, read_lines
from astica_sync.system.error_advice import remedy


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """One file that cannot be used as it is. ``name`` is its path in the backup; ``hint`` what helps."""

    name: str
    reason: str
    hint: str


def find_damaged_files(
    backup: Backup, files: FileSystem, needed: Iterable[str] = (), *, catalog: bool = True
) -> Iterator[DamagedFile]:
    """Every manifest that is missing or changed, and every record with lines that cannot be read; of all models.

    ``needed`` are snapshots that something besides the records names, as a training does that has no version yet. The
    catalog is checked line by line only with ``catalog``, and a line that a crash cut is no damage there: the upload
    that it was for begins again with it.

    Raises:
        StoreError: the backup cannot be listed.
    """
    named = set(filter(CONTENT.fullmatch, needed))

    def is_sound_version(fields: dict[str, Any]) -> bool:
        snapshot = fields.get("snapshot")
        if isinstance(snapshot, str) and CONTENT.fullmatch(snapshot):
            named.add(snapshot)
        return is_version_line(fields)

    yield from _damaged_lines(backup.root / VERSIONS, files, is_sound_version)
    yield from _damaged_lines(backup.root / ADOPTED, files, is_adopted_line)
    if catalog:
        yield from _damaged_lines(backup.root / CATALOG, files, lambda fields: entry_of(fields) is not None)
    manifests = Manifests(backup, files)
    present = manifests.ids()
    for snapshot in (*present, *sorted(named.difference(present))):
        try:
            manifests.check(snapshot)
        except BackupDamaged as error:
            name = f"{manifests.folder.name}/{snapshot}.jsonl"
            lost = "move the file away" if snapshot in present else f"remove the line that names it from {VERSIONS}"
            hint = f"Restore {backup.root / name} from a copy of the backup; without a copy {lost}."
            yield DamagedFile(name, str(error), hint)


def refuse_damaged_files(backup: Backup, files: FileSystem, needed: Iterable[str] = ()) -> None:
    """Refuses to decide from the backup which objects are unused while a file that may name them is damaged.

    Raises:
        StoreError: with what is damaged, and the command that lists everything.
    """
    damaged = next(find_damaged_files(backup, files, needed, catalog=False), None)
    if damaged is not None:
        raise StoreError(
            f"{damaged.reason}, so it is unknown which images are still needed; nothing was removed",
            f"{damaged.hint} All damage: astica-sync backup verify",
        )


def _damaged_lines(path: Path, files: FileSystem, is_sound: Callable[[dict[str, Any]], bool]) -> Iterator[DamagedFile]:
    bad: list[int] = []
    try:
        for number, line in enumerate(read_lines(files, path), 1):
            fields = parse_line(line)
            if fields is None and path.name == CATALOG and line.startswith(b"{") and not line.endswith(b"}"):
                continue
            if fields is None or not is_sound(fields):
                bad.append(number)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
        yield DamagedFile(path.name, reason, remedy(error, path, writing=False))
        return
    if bad:
        lines = f"line {bad[0]}" if len(bad) == 1 else f"{len(bad):,} lines from line {bad[0]} on"
        yield DamagedFile(
            path.name,
            f"{lines} of {path} cannot be read",
            f"Restore {path} from a copy of the backup; without a copy remove what cannot be read.",
        )
