"""Carries out changes of the store's files, one step after the other, and undoes and repeats them.

No step overwrites anything, and each one checks that the file is still the one that the page showed. What is no longer
so is skipped with the reason, and the rest is done.
"""

import contextlib
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from astica_sync.core.gallery.page_change import ChangeOutcome, ChangeStep, Line, StepKind, undo_steps
from astica_sync.core.gallery.safe_names import free_names, is_sample_path, title_fault
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.class_folders.folder_handles import HeldFolders, NotDone, hash_at, move_same
from astica_sync.local.filesystem import FileSystem, Signature, signature
from astica_sync.local.layout import Layout
from astica_sync.local.scan.ignore import Ignore, is_hidden
from astica_sync.local.store_sentinel import check_root
from astica_sync.page.changes.change_log import ChangeLog
from astica_sync.page.changes.kept_files import KeptFiles
from astica_sync.page.gallery.index_reader import IndexReader
from astica_sync.page.request_response import BadRequest
from astica_sync.system.error_advice import remedy
from astica_sync.system.exclusive_rename import rename_new

_TRIES = 10_000
_MOST_VERIFIED = 20_000
_RACY_NS = 2_000_000_000
"""A file that was changed so shortly ago is read, whatever its times are."""
CHANGED = "it has changed since the page showed it"


class ChangeMaker:
    """For one thread. ``progress`` of nothing is reported: a thousand moves take a fraction of a second."""

    def __init__(
        self, layout: Layout, index: IndexReader, log: ChangeLog, kept: KeptFiles, now: Callable[[], float]
    ) -> None:
        self._layout, self._index, self._log, self._kept, self._now = layout, index, log, kept, now
        self._files = FileSystem(layout.root)
        self._verified: dict[str, tuple[str, Signature]] = {}
        """What this run has moved, by path: the hash, and the signature right after."""

    def make(
        self, label: Callable[[Sequence[ChangeStep]], str], steps: Sequence[ChangeStep], batch: str = ""
    ) -> tuple[int | None, ChangeOutcome]:
        """Makes a change; its number, None where nothing could be done. ``label`` gets what is to be done, and then
        what was done."""
        check_root(self._layout, self._files)
        earlier = self._log.find_batch(batch) if batch else None
        number = self._log.begin(label(steps), steps, self._now(), batch) if earlier is None else earlier.number
        outcome = self._run(steps)
        done = [*(earlier.steps if earlier else ()), *outcome.done]
        self._log.finish(number, done, label(done))
        return (number if done else None), outcome

    def undo(self) -> tuple[str, ChangeOutcome] | None:
        """Undoes the last change; its label, None where there is none."""
        check_root(self._layout, self._files)
        change = self._log.last()
        if change is None:
            return None
        outcome = self._run(undo_steps(change.steps))
        self._log.finish(change.number, undo_steps(outcome.done), change.label, undone=True)
        return change.label, outcome

    def redo(self) -> tuple[str, ChangeOutcome] | None:
        """Makes the change again that was undone last; its label, None where there is none."""
        check_root(self._layout, self._files)
        change = self._log.next()
        if change is None:
            return None
        outcome = self._run(change.steps)
        self._log.finish(change.number, outcome.done, change.label)
        return change.label, outcome

    def offer(self, content: str, data: bytes) -> None:
        """The bytes of a file that the next step adds."""
        self._kept.offer(content, data)

    def line(self) -> Line:
        return self._log.line()

    def image_fault(self, content: str) -> str:
        """As ``KeptFiles.image_fault``."""
        return self._kept.image_fault(content)

    def put_into_backup(self) -> bool:
        """As ``KeptFiles.put_into_backup``."""
        return self._kept.put_into_backup(self._log.removed_path)

    def places_of(self, title: str) -> list[str]:
        """The folders of a class: one as a rule, several where names differ in their Unicode form."""
        ignore = Ignore.load(self._layout.root)
        with contextlib.suppress(OSError):
            return sorted(
                name
                for name, status in self._files.scan_folder(self._layout.root)
                if status is not None
                and stat.S_ISDIR(status.st_mode)
                and class_title_of(name) == title
                and not (is_hidden(name) or ignore.skips(name, folder=True))
            )
        return []

    def place_for(self, title: str) -> str:
        """The folder of a class, which may have to be made.

        Raises:
            BadRequest: no class can have this title.
        """
        if places := self.places_of(title):
            return places[0]
        fault = title_fault(title) or ("" if class_title_of(title) == title else "a title is in Unicode form NFC")
        fault = fault or Ignore.load(self._layout.root).reason(title, folder=True) or ""
        if fault:
            raise BadRequest(f"{title[:100]!r} cannot be a class: {fault}", "Choose another title.")
        return title

    def folders_in(self, place: str) -> list[str]:
        """A class folder and all folders in it, the innermost first."""
        root = self._layout.root
        return [Path(above).relative_to(root).as_posix() for above, _, _ in os.walk(root / place, topdown=False)]

    def _run(self, steps: Iterable[ChangeStep]) -> ChangeOutcome:
        outcome = ChangeOutcome()
        ignore = Ignore.load(self._layout.root)
        with HeldFolders(self._layout.root) as folders:
            for step in steps:
                try:
                    outcome.done += self._do(step, folders, ignore)
                except NotDone as reason:
                    outcome.skipped.append((step.before or step.after, str(reason)))
                except OSError as error:
                    reason_text = f"{error.strerror}; {remedy(error, self._layout.root / (step.after or step.before))}"
                    outcome.skipped.append((step.before or step.after, reason_text))
                folders.trim()
            folders.sync()
        return outcome

    def _do(self, step: ChangeStep, folders: HeldFolders, ignore: Ignore) -> list[ChangeStep]:
        """Carries out one step; returns what was done, with the names that were used."""
        match step.kind:
            case StepKind.MOVE:
                return self._move(step, folders, ignore)
            case StepKind.REMOVE:
                folder, name = folders.place(step.before)
                content, status = self._expect(folder, name, step)
                self._kept.keep(folder, name, content, status)
                folders.note_changed(_above(step.before))
                return [ChangeStep(StepKind.REMOVE, step.before, "", content)]
            case StepKind.ADD:
                return self._add(step, folders, ignore)
            case StepKind.MAKE_FOLDER:
                _require_folder(step.after)
                return [ChangeStep(StepKind.MAKE_FOLDER, "", made) for made in folders.make(step.after)]
            case StepKind.DROP_FOLDER:
                _require_folder(step.before)
                return [step] if folders.drop(step.before) else []
            case StepKind.RENAME_FOLDER:
                return self._rename_folder(step, folders)

    def _move(self, step: ChangeStep, folders: HeldFolders, ignore: Ignore) -> list[ChangeStep]:
        folder, name = folders.place(step.before)
        content, status = self._expect(folder, name, step)
        _require_sample(step.after, ignore)
        made = folders.make(_above(step.after))
        target, wanted = folders.place(step.after)
        moved = status

        def move(new: str) -> None:
            nonlocal moved
            moved = move_same((folder, name), (target, new), status)

        new = _with_free_name(wanted, move)
        folders.note_changed(_above(step.before))
        folders.note_changed(_above(step.after))
        path = f"{_above(step.after)}/{new}"
        if len(self._verified) > _MOST_VERIFIED:
            self._verified.clear()
        self._verified[path] = content, signature(moved)
        return [
            *(ChangeStep(StepKind.MAKE_FOLDER, "", one) for one in made),
            ChangeStep(StepKind.MOVE, step.before, path, content),
        ]

    def _add(self, step: ChangeStep, folders: HeldFolders, ignore: Ignore) -> list[ChangeStep]:
        _require_sample(step.after, ignore)
        made = folders.make(_above(step.after))
        folder, wanted = folders.place(step.after)
        new = _with_free_name(wanted, lambda name: self._kept.give_back(step.content, folder, name))
        folders.note_changed(_above(step.after))
        path = f"{_above(step.after)}/{new}"
        return [
            *(ChangeStep(StepKind.MAKE_FOLDER, "", one) for one in made),
            ChangeStep(StepKind.ADD, "", path, step.content),
        ]

    def _rename_folder(self, step: ChangeStep, folders: HeldFolders) -> list[ChangeStep]:
        _require_folder(step.before)
        _require_folder(step.after)
        if "/" in step.before or "/" in step.after:
            raise NotDone("only class folders are renamed")
        root = folders.folder("")
        try:
            status = os.stat(step.before, dir_fd=root, follow_symlinks=False)
        except FileNotFoundError:
            raise NotDone("the class folder is gone") from None
        if not stat.S_ISDIR(status.st_mode):
            raise NotDone("it is no folder")
        try:
            rename_new(step.before, root, step.after, root, is_folder=True)
        except FileExistsError:
            raise NotDone("a class, or a file, of that name exists") from None
        folders.forget(step.before)
        folders.note_changed("")
        return [step]

    def _expect(self, folder: int, name: str, step: ChangeStep) -> tuple[str, os.stat_result]:
        """The hash and the status of the file, if it is the one that the step names.

        The index vouches for a file that has not changed since the scan; another one is read.
        """
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise NotDone("it is gone") from None
        indexed = self._index.indexed(step.before)
        recent = time.time_ns() - status.st_ctime_ns < _RACY_NS
        if step.content and self._verified.get(step.before) == (step.content, signature(status)):
            return step.content, status
        known = step.content and indexed is not None and indexed.content == step.content and indexed[:4]
        if known == signature(status) and not recent:
            return step.content, status
        content, status = hash_at(folder, name)
        if step.content and content != step.content:
            raise NotDone(CHANGED)
        return content, status


def _with_free_name(wanted: str, use: Callable[[str], None]) -> str:
    """The first free name, after ``use`` has taken it."""
    for name in itertools.islice(free_names(wanted), _TRIES):
        with contextlib.suppress(FileExistsError):
            use(name)
            return name
    raise NotDone("too many files have that name")


def _require_sample(path: str, ignore: Ignore) -> None:
    if not is_sample_path(path):
        raise NotDone("it is not the path of an image")
    if ignore.skips_below(path):
        raise NotDone("the ignore file, or its name, leaves that place out, so it would not be an image there")


def _require_folder(path: str) -> None:
    if not path or not is_sample_path(f"{path}/x"):
        raise NotDone("it is not the path of a class folder")


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def count_files(steps: Iterable[ChangeStep]) -> int:
    """How many files the steps are about."""
    return sum(step.kind in (StepKind.MOVE, StepKind.REMOVE, StepKind.ADD) for step in steps)


def folders_of(steps: Iterable[ChangeStep]) -> set[str]:
    """The folders that have to be scanned after these steps; "" is the whole store."""
    return set(_touched(steps))


def _touched(steps: Iterable[ChangeStep]) -> Iterator[str]:
    for step in steps:
        is_file = step.kind in (StepKind.MOVE, StepKind.REMOVE, StepKind.ADD)
        for path in filter(None, (step.before, step.after)):
            yield _above(path) if is_file else (path if step.kind is StepKind.MAKE_FOLDER else _above(path))
