"""What the page works with while it runs: the store, the gallery as it is now, and the thumbnails."""

import asyncio
import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import xxhash

from astica_sync.clock import SystemClock
from astica_sync.core.gallery.image_state import LABELS, STATES, ImageState
from astica_sync.core.gallery.page_change import Line
from astica_sync.core.model import CONTENT_LENGTH, is_uid
from astica_sync.core.recipe import Recipe
from astica_sync.errors import AsticaSyncError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES, Preparer
from astica_sync.local.image.thumbnailer import Thumbnailer
from astica_sync.local.layout import Layout
from astica_sync.open_session import budget_use, open_session
from astica_sync.page.changes.change_maker import ChangeMaker
from astica_sync.page.changes.change_thread import KEPT, ChangeThread
from astica_sync.page.gallery.columns.columns_file import read_columns, write_columns
from astica_sync.page.gallery.first_images import FIRST, first_images
from astica_sync.page.gallery.gallery_view import RANKED, GalleryFilter, KnownRows, View, make_view
from astica_sync.page.gallery.held_out_folders import HeldOutFolders
from astica_sync.page.gallery.image_columns import image_id
from astica_sync.page.gallery.process_memory import keep_large_apart, return_memory
from astica_sync.page.gallery.refresh_gallery import BEFORE, MANY_ROWS, Gallery, unlooked_gallery
from astica_sync.page.live.event_hub import EventHub
from astica_sync.page.live.outside_changes import OutsideChanges
from astica_sync.page.live.push_runner import PushRunner
from astica_sync.page.live.training_runner import TrainingRunner
from astica_sync.page.predict.live_preview import LivePreview
from astica_sync.page.predict.rank_images import rank_by_confidence, rank_by_suspicion
from astica_sync.page.queues.queue_finder import QueueFinder
from astica_sync.page.service_thread import ServiceThread
from astica_sync.page.store_thread import OpenedStore, StoreKeeper
from astica_sync.page.thumbnails.shown_images import ShownImages
from astica_sync.page.thumbnails.thumbnail_cache import ThumbnailCache
from astica_sync.page.thumbnails.thumbnail_queue import NotShown, ThumbnailQueue
from astica_sync.page.versions.stored_answers import StoredAnswers
from astica_sync.page.versions.version_filter import VersionFilter
from astica_sync.sync.observe import observe
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.watch.change_queue import ChangeBatch
from astica_sync.training.version_history import VersionHistory

T = TypeVar("T")
MOST_VIEWS = 12
MANY = 20_000
"""Images from which on a look at the store takes noticeably long."""
PATIENCE = 0.6
"""Seconds that the first look at the store may take before something else is shown meanwhile."""
_LOOK_SECONDS = 2.0
_KEEPING_PAUSE = 0.05
"""Seconds between two pieces of what goes into the backup, in which another program may take the lock."""
_HELD_OUT_PATIENCE = 0.5
"""Seconds that a look at the store waits for that at the held-out folders."""
FOLDER = "page"
"""The page's own files, in the hidden folder of the store."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What does not change while the page runs. ``recipe`` is how images are converted before they are sent,
    ``held_out`` are folders of held-out images that the user named."""

    root: Path
    model_id: int
    service: str
    sandbox: bool
    recipe: Recipe
    held_out: Sequence[Path] = ()


class Page:
    """One open page. Its methods are for the thread of the event loop, apart from ``load_image``."""

    def __init__(
        self,
        layout: Layout,
        facts: StoreFacts,
        clock: SystemClock,
        cache_key: str,
        run: str,
        network: Path | None = None,
    ) -> None:
        """``run`` names this run of the program in what it gives out; ``network`` is an ONNX file for the preview."""
        self.held_out: HeldOutFolders = HeldOutFolders(
            layout.root, facts.model_id, facts.held_out, facts.recipe.formats
        )
        keeper = StoreKeeper(layout.root, self.held_out, self._note_found)
        self.layout: Layout = layout
        self.facts: StoreFacts = facts
        self.keeper: StoreKeeper = keeper
        self.run: str = run
        self.gallery: Gallery | None = None
        self.looking: int | None = None
        """How many files the look at the whole store has found, while there is one."""
        self.trouble: AsticaSyncError | None = None
        """Why the store cannot be looked at now."""
        self._views: OrderedDict[tuple[int, GalleryFilter], View] = OrderedDict()
        self._files, self._backup = FileSystem(layout.root), Backup(layout.backup, FileSystem(layout.root))
        self._kept_columns, self._cache_key = layout.state / FOLDER / "columns.cache", cache_key
        cache = ThumbnailCache(layout.state / FOLDER / "thumbnails", cache_key)
        self.decoder, self.preparer, self.thumbnailer = Decoder(), Preparer(facts.recipe), Thumbnailer()
        self.shown: ShownImages = ShownImages(self.load_image, self._backup.prepared, self.preparer)
        self.thumbnails: ThumbnailQueue = ThumbnailQueue(self.thumbnailer, cache, self.shown.load)
        self.preview: LivePreview = LivePreview(
            layout.state / FOLDER / "features.db", self.shown.find, network, facts.recipe
        )
        answers = StoredAnswers(layout.detections_db, facts.model_id)
        self.versions: VersionFilter = VersionFilter(self.version_history, answers, facts.model_id)
        kept = layout.state / FOLDER / "kept-groups.jsonl"
        self.queues: QueueFinder = QueueFinder(layout.root, layout.detections_db, kept, self.held_out, facts.recipe)
        self.service: ServiceThread = ServiceThread(layout.root)
        self.changes: ChangeThread = ChangeThread(layout, layout.state / FOLDER, clock.now)
        self.line: Line = Line()
        self._refreshed = asyncio.Event()
        self._changed: set[str] = set()
        self._whole = self._looks = False
        self._refreshing: asyncio.Task[None] | None = None
        self._changing: set[asyncio.Task[Any]] = set()
        """The requests that change files now."""
        self._tasks: list[asyncio.Task[None]] = []
        self._keeping: asyncio.Task[None] | None = None
        self._stop_keeping = False
        self._budget: dict[str, Any] | None = None
        self._loop = asyncio.get_running_loop()
        self.hub: EventHub = EventHub()
        self.push: PushRunner = PushRunner(layout.root, self._push_changed, self._push_ended)
        self.training: TrainingRunner = TrainingRunner(
            layout.root, lambda: self.hub.publish_soon("training", self.training.data), self._push_ended
        )
        self._events = OutsideChanges(layout, clock, self._files_changed)

    async def run_job(self, job: Callable[[OpenedStore], T]) -> T:
        """Runs a job in the store's thread."""
        return await asyncio.wrap_future(self.keeper.run(job))

    async def run_change(self, job: Callable[[ChangeMaker], T]) -> T:
        """Runs a job in the thread that changes files."""
        request = asyncio.current_task()
        if request is not None:
            self._changing.add(request)
            request.add_done_callback(self._changing.discard)
        result = await asyncio.wrap_future(self.changes.run(job))
        self.line = await asyncio.wrap_future(self.changes.run(lambda maker: maker.line()))
        return result

    def note_changed(self, folders: Collection[str], *, whole: bool = False) -> "asyncio.Task[None]":
        """Looks at these folders again, soon; the task ends once the gallery shows them as they are now. Changes that
        come while it is made are in the next one."""
        self._looks = True
        self._changed |= set(folders)
        self._whole = self._whole or whole or "" in self._changed
        before = self._refreshing

        async def refresh() -> None:
            if before is not None:
                await asyncio.wait([before])
            if not self._looks:
                return
            below = None if self._whole else frozenset(self._changed)
            self._changed, self._whole, self._looks = set(), False, False
            await self.refresh(below)

        self._refreshing = asyncio.ensure_future(refresh())
        return self._refreshing

    async def settle(self) -> None:
        """Waits until the changes under way are made and the gallery shows them."""
        if self._changing:
            # The requests for changes end once they have asked for a new gallery.
            await asyncio.wait(self._changing)
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    def is_there(self, row: int, gallery: Gallery) -> bool:
        """Whether the file of a row still has the size and the time that the gallery has."""
        try:
            status = os.lstat(self.layout.root / gallery.columns.path(row))
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (int(gallery.columns.sizes[row]), gallery.columns.mtimes[row])

    def keep_removed(self) -> None:
        """Begins to put what was removed into the backup."""
        if (self._keeping is None or self._keeping.done()) and not self.is_writing:
            self._keeping = asyncio.ensure_future(self.put_into_backup())

    @property
    def is_writing(self) -> bool:
        """Whether a push or a training of this page may hold the store's lock."""
        return self.push.is_active or self.training.is_active

    async def free_lock(self) -> None:
        """Waits until this page does not hold the store's lock itself, before a push or a training begins."""
        while self._keeping is not None and not self._keeping.done():
            self._stop_keeping = True
            await asyncio.wait([self._keeping])
        self._stop_keeping = False

    async def put_into_backup(self) -> None:
        """Puts what was removed into the backup, unless another process writes to it."""
        with contextlib.suppress(AsticaSyncError, OSError):
            while await asyncio.wrap_future(self.changes.run(lambda maker: maker.put_into_backup())):
                if self._stop_keeping:
                    return
                await asyncio.sleep(_KEEPING_PAUSE)

    async def refresh(self, below: Collection[str] | None = None) -> None:
        """Makes the gallery of the store as it is now. Where the store cannot be looked at, the last one stays."""
        is_new = False
        try:
            if self.gallery is None:
                await self._recall()
            if below is None:
                await self._look_at_held_out()
            looking = asyncio.ensure_future(self._make_gallery(below))
            if self.gallery is None:
                await asyncio.wait([looking], timeout=PATIENCE)
                if not looking.done():
                    await self._show_first()
            gallery = await looking
            for old in [one for one in self._views if one[0] != gallery.revision]:
                del self._views[old]
            is_new, self.gallery = gallery is not self.gallery, gallery
            self.trouble = None
        except AsticaSyncError as error:
            self.trouble = error
        except OSError as error:
            self.trouble = AsticaSyncError(f"the store cannot be read: {error.strerror or error}", "Check its disk.")
        self._refreshed.set()
        self.hub.publish("store", self.store_data)
        if is_new and self.gallery is not None and len(self.gallery.columns) > MANY_ROWS:
            # The gallery before is not used any more.
            await asyncio.to_thread(return_memory)

    async def _make_gallery(self, below: Collection[str] | None) -> Gallery:
        known = self.gallery
        kept = known.columns if known is not None and known.why_no_status == BEFORE else None
        return await self.run_job(lambda opened: opened.refresher.refresh(below, kept))

    async def _recall(self) -> None:
        """What is there before the store was looked at: the history, and the columns of a large store."""
        self.line = await asyncio.wrap_future(self.changes.run(lambda maker: maker.line()))
        kept = await asyncio.to_thread(read_columns, self._kept_columns, self._cache_key)
        if kept is not None:
            if len(kept) > MANY_ROWS:
                keep_large_apart()
            self.gallery = unlooked_gallery(kept, BEFORE, 1)
            self._refreshed.set()

    async def _show_first(self) -> None:
        """Shows some images of a store that takes long to look at."""
        columns = await asyncio.to_thread(first_images, self.layout, self.facts.model_id)
        if columns is not None and self.gallery is None:
            self.gallery = unlooked_gallery(columns, FIRST, 2, ImageState.WAITING)
            self._refreshed.set()
            self.hub.publish("store", self.store_data)

    def _note_found(self, files: int | None) -> None:
        """A look at the whole store goes on, in the store's thread."""
        if files != self.looking:
            self.looking = files
            with contextlib.suppress(RuntimeError):
                self.hub.publish_soon("looking", lambda: self.looking)

    def _keep_columns(self) -> None:
        """Keeps the columns of a large store for the next opening."""
        gallery = self.gallery
        if gallery is not None and len(gallery.columns) >= MANY and gallery.why_no_status not in (BEFORE, FIRST):
            with contextlib.suppress(OSError):
                write_columns(self._kept_columns, gallery.columns, self._cache_key)

    def start(self) -> None:
        """Begins to look at the store, and at what others do to it."""
        self._tasks = [
            asyncio.ensure_future(self._events.run()),
            asyncio.ensure_future(self._look_now_and_then()),
        ]
        self.note_changed((), whole=True)
        self.keep_removed()

    def _files_changed(self, batch: ChangeBatch) -> None:
        self.note_changed(batch.folders, whole=bool(batch.rescan))

    def _push_changed(self) -> None:
        self.hub.publish_soon("push", self.push_data)

    def _push_ended(self) -> None:
        """A push or a training has ended, in its thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.note_changed, ())

    async def _look_now_and_then(self) -> None:
        """Notices what other commands wrote into the journal, and shows the budget while it is used."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # A push that held the lock may have ended.
            self.keep_removed()
            if not self.hub.has_readers:
                continue
            with contextlib.suppress(AsticaSyncError, OSError):
                used, limit = await asyncio.to_thread(budget_use, self.layout)
                if self._budget != {"used": used, "limit": limit}:
                    self._budget = {"used": used, "limit": limit}
                    self.hub.publish("push", self.push_data)
            if self._refreshing is None or self._refreshing.done():
                await asyncio.to_thread(self.held_out.look)
                # A push of another process, or the end of a wait.
                await self.note_changed(())

    def push_data(self) -> dict[str, Any] | None:
        """The push that runs, or the last one."""
        return self.push.data(self._shown, self._budget)

    def _shown(self, samples: Sequence[tuple[str, str]]) -> list[list[str]]:
        """The images of some samples, each a uid and a path: id, content hash, name and class."""
        gallery = self.gallery
        if gallery is None:
            return []
        columns, shown = gallery.columns, []
        for uid, path in samples:
            rows: Iterable[int] = columns.with_content(uid[:CONTENT_LENGTH]) if is_uid(uid) else ()
            place = image_id(os.fsencode(path))
            found = next(
                (row for row in rows if columns.title(row) == path.partition("/")[0]), columns.find(f"{place:016x}")
            )
            if found is not None:
                image, name = f"{int(columns.ids[found]):016x}", text(columns.name(found))
                shown.append([image, columns.content(found), name, columns.title(found)])
        return shown

    async def observe(self) -> None:
        """Asks the service for one view of the model.

        Raises:
            AsticaSyncError: there is no observation.
        """

        def ask() -> None:
            with open_session(self.layout.root, ProgressListener(), clock=SystemClock(), doing="page") as opened:
                observe(opened.session.local, opened.session.remote, ProgressListener())

        await asyncio.to_thread(ask)
        await self.note_changed(())

    async def ready(self) -> Gallery:
        """The gallery, once there is one.

        Raises:
            AsticaSyncError: there is none, and why.
        """
        await self._refreshed.wait()
        if self.gallery is None:
            raise self.trouble or AsticaSyncError("the store cannot be read", "Run astica-sync status.")
        return self.gallery

    async def view(self, wanted: GalleryFilter) -> View:
        """The images that a filter lets through now."""
        gallery = await self.ready()
        if wanted.sort in RANKED:
            self.preview.follow(gallery)
            wanted = replace(wanted, ranked=(self.preview.ranking.revision, *self.versions.answers_seen()))
        key = gallery.revision, wanted
        if key not in self._views:
            revision = f"{self.run}-{gallery.revision}"
            known = await self.find_known(gallery, wanted)
            self._views[key] = await asyncio.to_thread(make_view, gallery.columns, wanted, revision, known)
            while len(self._views) > MOST_VIEWS:
                self._views.popitem(last=False)
        self._views.move_to_end(key)
        return self._views[key]

    async def _look_at_held_out(self) -> None:
        """Looks at the held-out folders again. What takes longer than a moment is shown later."""

        async def look() -> bool:
            places = await self.run_job(lambda opened: opened.session.local.journal.held_out())
            return await asyncio.to_thread(self.held_out.look, places.values(), again=True)

        def later(done: "asyncio.Task[bool]") -> None:
            if not done.cancelled() and done.exception() is None and done.result():
                self.note_changed(())

        looking = asyncio.ensure_future(look())
        await asyncio.wait([looking], timeout=_HELD_OUT_PATIENCE)
        if looking.done():
            looking.result()
        else:
            looking.add_done_callback(later)

    async def find_known(self, gallery: Gallery, wanted: GalleryFilter) -> KnownRows:
        """What versions know about the rows, as far as the filter asks for it.

        Raises:
            AsticaSyncError: there is no such version, or its data is not known.
        """
        version = said = ranks = None
        columns, ranking = gallery.columns, self.preview.ranking
        if wanted.sort == "suspicion":
            ranks = await asyncio.to_thread(rank_by_suspicion, columns, ranking)
        elif wanted.sort == "confidence":
            answers = await asyncio.to_thread(self.versions.all_answers, await self.service_addresses())
            ranks = await asyncio.to_thread(rank_by_confidence, columns, ranking, answers)
        if wanted.version:
            version = await asyncio.to_thread(self.versions.in_version, columns, wanted.version)
        if wanted.said:
            service = await self.service_addresses()
            said = await asyncio.to_thread(self.versions.said, columns, wanted.said, service)
        return KnownRows(version, said, ranks)

    async def service_addresses(self) -> str:
        """What the cache of detections calls this service by."""
        return await self.run_job(lambda opened: opened.session.remote.service.addresses)

    def find_view(self, name: str) -> View | None:
        """The view of this name, if it is still that of the store as it is now."""
        now = None if self.gallery is None else self.gallery.revision
        # A view that was made while the store was looked at may be of the gallery before.
        return next((view for (made, _), view in self._views.items() if view.name == name and made == now), None)

    def load_image(self, content: str) -> bytes:
        """The original bytes of an image, from the store or from the backup, verified by their hash. Those of an
        earlier version may be in the backup alone.

        Raises:
            NotShown: no image of the gallery has this content, or its bytes are gone.
        """
        gallery = self.gallery
        rows = list(gallery.columns.with_content(content)) if gallery is not None else []
        if gallery is None:
            raise NotShown("no image has this content now", found=False)
        for path in (self.layout.root / gallery.columns.path(row) for row in rows if row < gallery.columns.files):
            data = self._read(path, content)
            if data is not None:
                return data
        # One that was removed on the page goes from there into the backup, which may take as long as a push.
        data = self._read(self.layout.state / FOLDER / KEPT / content, content)
        if data is not None:
            return data
        held_out = self.held_out.load(content)
        if held_out is not None:
            return held_out
        try:
            return self._backup.read(content)
        except AsticaSyncError as error:
            raise NotShown("no file has this image any more, and the backup has no copy", found=False) from error

    def _read(self, path: Path, content: str) -> bytes | None:
        """The bytes of a file; None where they are not those of the content hash."""
        with contextlib.suppress(OSError):
            _, data, _ = self._files.read_small(path, MAX_SOURCE_BYTES)
            if data is not None and xxhash.xxh3_128_hexdigest(data) == content:
                return data
        return None

    def version_history(self) -> VersionHistory:
        """The records of the versions; reads files alone, from any thread."""
        return VersionHistory(self.layout, self._backup, self._files, self.facts.model_id)

    def store_data(self) -> dict[str, Any]:
        """The answer to ``/api/store``."""
        gallery, facts = self.gallery, self.facts
        data: dict[str, Any] = {
            "run": self.run,
            "store": {"name": text(facts.root.name), "path": text(str(facts.root))},
            "model": {"id": facts.model_id, "title": None},
            "service": {"address": facts.service, "sandbox": facts.sandbox},
            "revision": None,
            "classes": [],
            "states": [{"name": str(state), "label": LABELS[state]} for state in STATES],
            "totals": {"images": 0, "by_state": {}},
            "price": None,
            "observed_at": None,
            "looking": self.looking,
            "trouble": None if self.trouble is None else {"error": str(self.trouble), "hint": self.trouble.hint},
        }
        if gallery is None:
            return data
        data["revision"] = gallery.revision
        data |= gallery.summary
        if gallery.observed is not None:
            data["model"]["title"] = gallery.observed.model_title
            data["observed_at"] = gallery.observed.asked_at
        if gallery.price is not None:
            price = gallery.price
            data["price"] = {
                "requests": price.requests,
                "seconds": round(price.seconds, 1),
                "guard": price.guard or None,
            }
        data["push"] = self.push_data()
        data["training"] = self.training.data()
        data["undo"] = {"undo": self.line.undo, "redo": self.line.redo}
        data["unknown"] = gallery.why_no_status or None
        return data

    async def close(self) -> None:
        """Closes the store and ends the processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.push.close)
        await asyncio.to_thread(self.training.close)
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])
        if self._keeping is not None:
            await asyncio.wait([self._keeping])
        await self.put_into_backup()
        await asyncio.to_thread(self._keep_columns)
        await asyncio.to_thread(self.changes.close)
        await asyncio.to_thread(self.thumbnails.close)
        await asyncio.to_thread(self.decoder.close)
        await asyncio.to_thread(self.preparer.close)
        await asyncio.to_thread(self.preview.close)
        await asyncio.to_thread(self.queues.close)
        await asyncio.to_thread(self.service.close)
        await asyncio.to_thread(self.keeper.close)


def text(name: str) -> str:
    """A name as it can stand in JSON: what is not UTF-8 in it is replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
