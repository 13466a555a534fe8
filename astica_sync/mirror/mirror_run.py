"""Copies what its mirror lacks of a backup: list both sides → plan → copy → read back a share."""

import contextlib
import json
import os
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from astica_sync.clock import Clock, local_time
from astica_sync.core.mirror.plan_copies import content_of, is_checked_now, is_of_mirror, plan_copies
from astica_sync.errors import MirrorFailed, StoreError
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.store_sentinel import read_sentinel
from astica_sync.mirror.find_lost import MISSING, OBJECTS, LostObjects, find_lost
from astica_sync.mirror.in_parallel import THREADS, in_parallel
from astica_sync.mirror.mirror_status import MirrorRecord, read_record, write_record
from astica_sync.mirror.place import Place
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import reason_of, remedy

TURNS = 100
"""Each run reads back one of so many parts of the mirror."""
DAY = 86_400.0
STORE_FILE, FILES_FILE = "store.json", "files.jsonl"


@dataclass(slots=True)
class Mirrored:
    """What a run did. ``objects`` is how many the backup has; ``copied`` and ``kept`` are counts of them, ``bytes``
    those that were written, ``checked`` how many objects were read back, ``repaired`` those of the mirror that were
    damaged and were written again, ``problems`` (name, reason) what is not in the mirror now: also what was uploaded
    and is missing in both. ``outside`` is how many files of the store are not in the backup and not in the mirror,
    since they were never uploaded."""

    objects: int = 0
    copied: int = 0
    kept: int = 0
    bytes: int = 0
    checked: int = 0
    repaired: int = 0
    outside: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def whole(self) -> int:
        """How many objects are in the mirror now, as far as it was read back."""
        return self.objects - len(self.problems)


def mirror_backup(
    layout: Layout,
    place: Place,
    clock: Clock,
    *,
    verify_all: bool = False,
    new: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Mirrored:
    """Copies the objects that the mirror lacks, then what names them, and reads a share of the objects back; nothing is
    removed from the mirror. A later run goes on where one was interrupted. The store's record says how it ended, of a
    place without a copy only where no other one has one.

    Args:
        verify_all: read every object back.
        new: make a new copy where the last one is gone.
        on_progress: called with how many objects of how many are done.

    Seven parameters: what is copied, where to and when, how much of it, and what the caller shows and asks.

    Raises:
        MirrorFailed: the mirror cannot be used, or the last copy is gone from it.
        StoreError: the backup cannot be read.
        Interrupted: the user asked to stop.
    """
    before = read_record(layout)
    tried_at = clock.now()
    last = before.done_at if before is not None and before.place == place.name else None
    try:
        done = _Run(layout, place, on_progress, stopping).run(last, verify_all, new, tried_at)
    except StoreError as error:
        # A place that never had a copy, as one that was mistyped, does not take the place of one that has.
        if before is None or before.place == place.name or before.done_at is None:
            with contextlib.suppress(OSError):
                write_record(layout, MirrorRecord(place.name, tried_at, last, error=str(error)))
        raise
    record = MirrorRecord(place.name, tried_at, clock.now(), done.copied + done.kept, len(done.problems))
    with contextlib.suppress(OSError):
        write_record(layout, record)
    return done


class _Run:
    def __init__(
        self, layout: Layout, place: Place, on_progress: Callable[[int, int], None], stopping: Callable[[], bool]
    ) -> None:
        self._layout, self._place = layout, place
        self._on_progress, self._stopping = on_progress, stopping
        self._files = FileSystem()
        self._done = Mirrored()
        self._lost = LostObjects()

    def run(self, last: float | None, verify_all: bool, new: bool, tried_at: float) -> Mirrored:
        """``last`` is when the last whole copy to this mirror ended, ``tried_at`` when this one began: its day says
        which part is read back."""
        # The clock was wrong then: what has changed since is not known.
        here, changed = self._list_backup(None if last is not None and last > tried_at else last)
        there = {name: size for name, size in self._place.sizes() if is_of_mirror(name)}
        if last is not None and here and not there and not new:
            # The folder that a disk is mounted at is there without the disk as well, and so is another, empty bucket.
            raise MirrorFailed(
                f"the copy of {local_time(last)} is gone from {self._place.name}, which is empty",
                "Mount its disk and try again. If that copy is lost, this makes a new one: "
                f"astica-sync backup mirror {quote_path(self._place.name)} --new",
            )
        plan = plan_copies(here, there, changed)
        total = len(plan.objects)
        self._done.kept, self._done.objects = plan.kept, plan.kept + total
        for number, (name, problem) in enumerate(in_parallel(self._copy_object, plan.objects, self._stopping), 1):
            if problem:
                self._done.problems.append((name, problem))
            else:
                self._done.copied += 1
                self._done.bytes += here[name]
            self._on_progress(number, total)
        for name in plan.others:
            with contextlib.suppress(FileNotFoundError):
                self._place.write(name, self._read(name))
        self._place.write(STORE_FILE, self._describe_store(tried_at))
        self._lost = find_lost(self._layout, here, there, self._files)
        self._done.objects += len(self._lost.nowhere)
        self._done.problems += [(path, MISSING) for path in self._lost.nowhere.values()]
        contents = {content_of(name) for name in (*here, *there) if name.startswith(OBJECTS)}
        self._place.write(FILES_FILE, b"".join(self._list_files(contents)))
        self._check([*here, *self._lost.in_mirror], plan.objects, verify_all, int(tried_at / DAY))
        return self._done

    def _list_backup(self, last: float | None) -> tuple[dict[str, int], set[str]]:
        """The size of each file of the backup, and the files that changed since the last copy."""
        sizes: dict[str, int] = {}
        changed: set[str] = set()
        waiting = [self._layout.backup]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as listing:
                    for entry in listing:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(Path(entry.path))
                            continue
                        name = f"backup/{Path(entry.path).relative_to(self._layout.backup).as_posix()}"
                        if entry.is_file(follow_symlinks=False) and is_of_mirror(name):
                            status = entry.stat(follow_symlinks=False)
                            sizes[name] = status.st_size
                            # A clock that was set back, and times of two seconds on some disks.
                            if last is None or status.st_mtime > last - 60.0:
                                changed.add(name)
            except OSError as error:
                raise StoreError(
                    f"{folder} of the backup cannot be listed: {reason_of(error)}",
                    remedy(error, folder, writing=False),
                ) from error
        return sizes, changed

    def _copy_object(self, name: str) -> str:
        """Copies one object whose bytes are good; returns why it was not copied."""
        try:
            data = self._read(name)
        except FileNotFoundError:
            return MISSING if name in self._lost.in_mirror else "it was pruned meanwhile"
        except OSError as error:
            return reason_of(error)
        if xxhash.xxh3_128_hexdigest(data) != content_of(name):
            return "it is damaged in the backup itself; to repair it: astica-sync backup verify"
        self._place.write(name, data)
        return ""

    def _read(self, name: str) -> bytes:
        with self._files.open_read(self._layout.state / name) as file:
            return file.read()

    def _describe_store(self, at: float) -> bytes:
        sentinel = read_sentinel(self._layout)
        about = {"format": 1, "model_id": sentinel.model_id, "train_url": sentinel.train_url, "copied_at": int(at)}
        return json.dumps(about, indent=2).encode() + b"\n"

    def _list_files(self, contents: Container[str | None]) -> Iterator[bytes]:
        """The files that the store had at its last scan and whose images are in the mirror, a line of JSON each; counts
        the others, but those that were uploaded and are lost."""
        with contextlib.closing(Index(self._layout.index_db)) as index:
            self._done.outside = sum(1 for _ in index.problems())
            for sample in index.local_samples(read_sentinel(self._layout).model_id):
                if sample.content not in contents:
                    self._done.outside += 0 if sample.content in self._lost.nowhere else len(sample.paths)
                else:
                    for path in sample.paths:
                        line = {"class": sample.class_title, "path": path, "content": sample.content}
                        yield json.dumps(line).encode() + b"\n"

    def _check(self, names: Iterable[str], copied: Iterable[str], verify_all: bool, turn: int) -> None:
        """Reads objects back: a part of all in its turn, the first of those that were copied, or every one."""
        bad = {name for name, _ in self._done.problems}
        first = {name for name, _ in zip(copied, range(THREADS), strict=False)}
        wanted = [
            name
            for name in sorted(names)
            if (content := content_of(name)) is not None
            and name not in bad
            and (verify_all or name in first or is_checked_now(content, turn, TURNS))
        ]
        for name, problem in in_parallel(self._check_object, wanted, self._stopping):
            self._done.checked += 1
            if problem:
                self._done.problems.append((name, problem))

    def _check_object(self, name: str) -> str:
        """Compares one object of the mirror with its name, and writes it again where it is another one."""
        if self._has_good(name):
            return ""
        if problem := self._copy_object(name):
            return f"damaged in the mirror, and {problem}"
        if not self._has_good(name):
            return "the mirror does not give back what was written to it"
        self._done.repaired += 1
        return ""

    def _has_good(self, name: str) -> bool:
        data = self._place.read(name)
        return data is not None and xxhash.xxh3_128_hexdigest(data) == content_of(name)
