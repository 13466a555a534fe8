"""Takes new images of an inbox into the class folders of a store: read → check → write → record.

Who can write to the inbox chooses class, content and time of an image, and nothing else: no path, no file that
exists, no removal. Nothing is written to the inbox.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import xxhash

from astica_sync.core.exchange.import_plan import ImportFolder, Placement, WriteDecision, decide_write
from astica_sync.core.exchange.label_map import make_label_table
from astica_sync.core.exchange.source_path import target_name
from astica_sync.core.inbox.object_name import ObjectName
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.errors import ImageRejected, Interrupted, MirrorFailed
from astica_sync.exchange.image_writer import ImageWriter
from astica_sync.exchange.known_contents import KnownContents, held_contents, known_in_store, list_titles
from astica_sync.exchange.sources.source import NotRead
from astica_sync.inbox.list_inbox import NewObject
from astica_sync.inbox.send_folder import MOST_BYTES
from astica_sync.inbox.taken_record import RefusedObject, TakenRecord
from astica_sync.local.filesystem import FileSystem, is_real_folder
from astica_sync.local.image.format import sniff
from astica_sync.local.image.prepare.image_as_sent import check_as_sent
from astica_sync.local.scan.file_hash import hash_file
from astica_sync.local.store_sentinel import check_root
from astica_sync.mirror.place import Place

if TYPE_CHECKING:
    from astica_sync.sync.session import LocalSide

_BATCH = 32
_BATCH_BYTES = 64_000_000
"""So much is written before it is recorded, one image aside."""
_MOST_FAILURES = 3
"""So many objects in a row that cannot be read mean that none can be."""
MOST_NEW_CLASSES = 500
"""More new classes at once are no work of cameras, and those that are more are not made."""


@dataclass(slots=True)
class TakenIn:
    """``taken`` counts by class what was written, ``there`` what the store had already. ``refused`` are objects that
    are left in the inbox and not read again before tomorrow, ``unread`` (name, reason) those that are tried again.
    ``questions`` are new classes that may be typing errors of others, ``held`` counts by class what waits for the
    answer."""

    taken: Counter[str] = field(default_factory=Counter)
    there: int = 0
    refused: list[RefusedObject] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    questions: list[NearTitle] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)


def take_in(
    place: Place,
    new: Sequence[NewObject],
    local: "LocalSide",
    record: TakenRecord,
    now: Callable[[], float],
    *,
    new_classes: int = MOST_NEW_CLASSES,
    report: Callable[[int], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> TakenIn:
    """Takes in what the store lacks. The index is to be up to date. Where the objects have more than ``new_classes``
    classes that the store lacks, none of these is made. ``report`` gets the number of objects that are done.

    Eight parameters: the two sides, the record between them, and what the caller decides.

    Raises:
        MirrorFailed: the inbox cannot be read.
        StoreError: the store cannot be written to, or is another folder by now.
        Interrupted: the user asked to stop; what was written is recorded.
    """
    run = _Run(place, local, record, now, new_classes)
    wanted = run.ask(new)
    done = 0
    while batch := list(_next_batch(wanted)):
        if stopping():
            raise Interrupted("stopped by the user", "the same command goes on where it was")
        run.take(batch)
        done += len(batch)
        report(done)
    return run.result


def _next_batch(wanted: Iterator[NewObject]) -> Iterator[NewObject]:
    total = 0
    for one in islice(wanted, _BATCH):
        yield one
        total += one.size
        if total >= _BATCH_BYTES:
            return


class _Run:
    def __init__(
        self,
        place: Place,
        local: "LocalSide",
        record: TakenRecord,
        now: Callable[[], float],
        new_classes: int,
    ) -> None:
        self._place, self._local, self._record, self._now = place, local, record, now
        self._new_classes = new_classes
        self._root = local.layout.root
        self._files = FileSystem(self._root)
        self._known: KnownContents = known_in_store(self._root, local.index)
        self._held_out = held_contents(local.journal)
        self._titles: dict[str, str] = {}
        self._failures = 0
        self.result = TakenIn()

    def ask(self, new: Sequence[NewObject]) -> Iterator[NewObject]:
        """Those whose class is known or certain; the others are counted in the result."""
        titles = {one.name.title for one in new}
        existing = self._titles = list_titles(self._root)
        if len(titles - existing.keys()) > self._new_classes:
            self._refuse_classes(new, existing)
            return (one for one in new if one.name.title in existing)
        table = make_label_table(titles, {}, existing.keys())
        questioned = {near.title for near in table.near}
        self.result.questions = list(table.near)
        self.result.held = Counter(one.name.title for one in new if one.name.title in questioned)
        return (one for one in new if one.name.title in table.titles and one.name.title not in questioned)

    def take(self, batch: Sequence[NewObject]) -> None:
        """One batch, written and then recorded."""
        taken: list[ObjectName] = []
        refused: list[RefusedObject] = []
        written: Counter[str] = Counter()
        with ImageWriter(self._root) as writer:
            # Once the folder is open: what is mounted in its place later gets nothing.
            check_root(self._local.layout, self._local.fs)
            for one in batch:
                outcome = self._take_one(one, writer, written)
                if isinstance(outcome, RefusedObject):
                    refused.append(outcome)
                elif outcome:
                    taken.append(one.name)
        self._record.add(taken, refused)
        self.result.taken += written
        self.result.there += len(taken) - written.total()
        self.result.refused += refused

    def _take_one(self, one: NewObject, writer: ImageWriter, written: Counter[str]) -> RefusedObject | bool:
        """Whether the store has the image now; False where it is to be tried again."""
        name = one.name
        here = self._known.classes(name.content, one.size)
        presence = decide_write(Placement(ImportFolder.STORE, name.title), here, ())
        if presence is WriteDecision.DUPLICATE:
            return True
        if presence is WriteDecision.OTHER_CLASS:
            return self._refuse(one, f"the same image is in {', '.join(sorted(here)[:3])} already")
        if name.content in self._held_out:
            return self._refuse(one, "the same image is held out from training")
        if fault := self._folder_fault(name.title):
            return self._refuse(one, fault)
        data = self._read(one)
        if data is None:
            return False
        if isinstance(data, str):
            return self._refuse(one, data)
        try:
            check_as_sent(self._local.decoder, self._local.preparer, data)
            file = target_name(name.file, sniff(data))
            if self._is_there(name, file):
                # Written by a run that ended before it was recorded, and not in the index yet.
                return True
            writer.write(name.title, (), file, data, name.content)
        except (ImageRejected, NotRead) as reason:
            return self._refuse(one, str(reason))
        self._known.add(name.content, name.title)
        written[name.title] += 1
        return True

    def _read(self, one: NewObject) -> bytes | str | None:
        """The bytes; a text is why they are refused, and None means that the object is tried again."""
        if one.size > MOST_BYTES:
            return _too_large(one.size)
        try:
            data = self._place.read_start(one.key, MOST_BYTES + 1)
        except MirrorFailed as error:
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                raise
            self.result.unread.append((one.key, str(error)))
            return None
        self._failures = 0
        if data is None:
            return None
        if len(data) > MOST_BYTES:
            return _too_large(len(data))
        if xxhash.xxh3_128_hexdigest(data) != one.name.content:
            return "its bytes are not those that its name stands for: it is damaged, or another program wrote it"
        return data

    def _folder_fault(self, title: str) -> str:
        """Why this class has no folder and cannot get one."""
        place = self._root / self._titles.get(title, title)
        if is_real_folder(place):
            return ""
        if os.path.lexists(place):
            return "the store has something else of the name of its class, which is no folder"
        longest = os.pathconf(self._root, "PC_NAME_MAX")
        return (
            f"its class has more than the {longest} bytes of a name there" if len(os.fsencode(title)) > longest else ""
        )

    def _is_there(self, name: ObjectName, file: str) -> bool:
        folder = self._titles.get(name.title, name.title)
        return hash_file(self._files, self._root / folder / file).content == name.content

    def _refuse(self, one: NewObject, reason: str) -> RefusedObject:
        return RefusedObject(one.key, one.version, reason, self._now())

    def _refuse_classes(self, new: Sequence[NewObject], existing: Collection[str]) -> None:
        reason = f"the inbox has more than {MOST_NEW_CLASSES} new classes, and none of them is made"
        refused = [self._refuse(one, reason) for one in new if one.name.title not in existing]
        self._record.add((), refused)
        self.result.refused += refused


def _too_large(size: int) -> str:
    return f"it has {size / 1e6:,.1f} MB, more than the {MOST_BYTES // 1_000_000} MB that are taken in"
