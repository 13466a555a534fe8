"""Moves images out of the store to hold them out."""

import contextlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from astica_sync.api.run_detection import VersionRunner, scan_images
from astica_sync.bucket.source_binding import refuse_in_bucket
from astica_sync.core.model import make_scope, make_uid
from astica_sync.core.versions.choose_held_out import GroupedFile, choose_held_out, choose_more
from astica_sync.core.versions.snapshot import ManagedSample
from astica_sync.errors import AsticaSyncError
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.local.layout import has_store
from astica_sync.local.store_sentinel import check_root
from astica_sync.system.optional_packages import require
from astica_sync.training.evaluation.held_out_folder import find_held_out
from astica_sync.training.move_held_out import Split, check_target, find_finished, find_kept_classes, make_split
from astica_sync.training.near_duplicates import Fingerprints, group_similar
from astica_sync.training.undo_split import plan_undo, undo_split

MOVE_THEM = (
    "Copy the images to be held out to a folder, with one folder for each class, then remove them from the bucket: "
    "astica-sync evaluate --held-out FOLDER scores on them."
)


@dataclass(frozen=True, slots=True)
class Splitting:
    """The methods of ``Store`` that hold images out; they are documented there."""

    runner: VersionRunner

    def plan_split(self, to: Path, *, share: float, seed: int) -> Split:
        require("numpy", "evaluate")
        session = self.runner.session
        refuse_in_bucket(session.local.layout, "a split moves files", MOVE_THEM)
        started = check_target(to, session.local.layout.root)
        _refuse_another_store(to)
        images = list(scan_images(session))
        if started is not None:
            return started
        files, _ = self._group(images, [])
        chosen = choose_held_out(files, share, seed)
        if not chosen:
            raise AsticaSyncError(
                "no image can be held out: every class consists of similar images only",
                "Add different images to at least one class.",
            )
        paths, kept = tuple(file.path for file in chosen), find_kept_classes(files, chosen)
        stayed = self._staying(files, paths)
        return Split(to, session.local.layout.root, paths, share, seed, kept=kept, stayed=stayed)

    def plan_top_up(self, to: Path) -> Split:
        require("numpy", "evaluate")
        session = self.runner.session
        refuse_in_bucket(session.local.layout, "a split moves files", MOVE_THEM)
        split = find_finished(to, session.local.layout.root)
        images = list(scan_images(session))
        if not split.done:
            return split
        trained = self._trained_contents()
        if split.stayed is None and not trained:
            raise AsticaSyncError(
                f"nothing tells which photos came after {to} was made: an earlier version of astica-sync made it, and "
                "no version with known data was trained since",
                "Train a version first, or move new photos to the held-out folder by hand.",
            )
        held, _ = find_held_out(to, session.local.preparer.recipe.formats)
        files, group_of = self._group(images, [(image.content, image.path) for image in held])
        names = {image.name: image.content for image in held}
        staying = set()
        for file in files:
            content = self._content_at(file.path)
            # A file cannot join the others where its name is taken by another image.
            if content in trained or content in (split.stayed or ()) or names.get(file.path, content) != content:
                staying.add(file.group)
        counts: dict[int, Counter[str]] = defaultdict(Counter)
        for image in held:
            counts[group_of[image.content]][image.title] += 1
        paths = tuple(file.path for file in choose_more(files, staying, counts, split.share, split.seed))
        before = tuple(path for path in dict.fromkeys((*split.before, *split.paths)) if path in names)
        stayed = self._staying(files, paths) | (split.stayed or frozenset())
        return replace(split, paths=paths, before=before, done=False, stayed=stayed)

    def plan_undo(self, to: Path) -> Split:
        return plan_undo(to, self.runner.session.local.layout.root)

    def undo(self, planned: Split) -> int:
        session = self.runner.session
        with session.local.lock(session.local.layout):
            check_root(session.local.layout, session.local.fs)
            back: list[tuple[str, str, str, str]] = []

            def moved(path: str, content: str) -> None:
                title = class_title_of(path.partition("/")[0])
                if title and path.isprintable():
                    back.append((self._uid_of(content, title), title, path, ""))

            try:
                return undo_split(planned, moved)
            finally:
                session.local.journal.hold_out(back, session.runtime.clock.now())

    def _group(
        self, images: Iterable[tuple[str, str, Path]], held: Iterable[tuple[str, Path]]
    ) -> tuple[list[GroupedFile], dict[str, int]]:
        """The files of the store with the group of each, and the group of each content; ``held`` are contents and files
        of held-out images."""
        session = self.runner.session
        recipe = session.local.preparer.recipe
        with (
            contextlib.closing(self.runner.open_cache()) as cache,
            contextlib.closing(Rasterizer(recipe)) as rasterizer,
        ):
            own = [(content, path) for content, _, path in images]
            prints = Fingerprints(cache, rasterizer).of_all([*own, *held])
        group_of = dict(zip(prints, group_similar(list(prints.values())), strict=True))
        files = [
            GroupedFile(path, sample.class_title, group_of[sample.content])
            for sample in session.local.index.local_samples(session.remote.model_id)
            if sample.content in group_of
            for path in sample.paths
        ]
        return files, group_of

    def _staying(self, files: Iterable[GroupedFile], paths: Iterable[str]) -> frozenset[str]:
        """The contents of the files that are not among ``paths``."""
        leaving = set(paths)
        contents = (self._content_at(file.path) for file in files if file.path not in leaving)
        return frozenset(content for content in contents if content)

    def _trained_contents(self) -> frozenset[str]:
        """The contents in the data of every version that is known."""
        history = self.runner.history
        snapshots = {version.snapshot for version in history.versions() if version.snapshot is not None}
        samples = itertools.chain.from_iterable(history.snapshots.read(snapshot) for snapshot in snapshots)
        return frozenset(sample.content for sample in samples if isinstance(sample, ManagedSample))

    def split(self, planned: Split) -> int:
        session = self.runner.session
        with session.local.lock(session.local.layout):
            check_root(session.local.layout, session.local.fs)
            moved: list[tuple[str, Path]] = []
            try:
                return make_split(
                    planned, session.local.fs, self._content_at, lambda path, place: moved.append((path, place))
                )
            finally:
                # The user has confirmed that these leave the store, so the guard need not ask once more.
                session.local.journal.hold_out(self._hold_outs(moved), session.runtime.clock.now())

    def _hold_outs(self, moved: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, str, str, str]]:
        for path, place in moved:
            content, title = self._content_at(path), class_title_of(path.partition("/")[0])
            # A name that is not UTF-8 cannot be in the history; the guard asks about such a file.
            if content and title and str(place).isprintable():
                yield (
                    self._uid_of(content, title),
                    title,
                    path,
                    str(place),
                )

    def _uid_of(self, content: str, title: str) -> str:
        session = self.runner.session
        return make_uid(content, make_scope(session.remote.model_id, title, session.local.index.recipe_of(content)))

    def _content_at(self, path: str) -> str | None:
        found = self.runner.session.local.index.file_at(path)
        return None if found is None else found[0]


def _refuse_another_store(to: Path) -> None:
    """Refuses a folder in another store, which would be trained on what is held out.

    Raises:
        AsticaSyncError: it is there.
    """
    real = to.resolve()
    for folder in (real, *real.parents):
        if has_store(folder):
            raise AsticaSyncError(
                f"{to} is inside the store {folder}, whose model would be trained on the held-out images",
                "Name a folder outside of all stores.",
            )
