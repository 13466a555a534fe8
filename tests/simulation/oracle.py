"""Knows the truth, and checks every promise that can be checked, at every request and at every end.

It looks at the disks, the databases and the service directly, and at what each run was shown. It shares no decision
with the code under test: the rules stand here a second time, in other words.
"""

import base64
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xxhash

from astica_sync.core.model import complete_uid, fold_title, make_scope, make_uid
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.guard import Allowance, Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.recipe import Recipe
from astica_sync.errors import BadKey, RemoteError
from tests.simulation.filesystem import Node
from tests.simulation.oracle_plans import PlansOracle
from tests.simulation.oracle_versions import VersionsOracle
from tests.simulation.service import MODEL, Seen, Service
from tests.simulation.vocabulary import IDENTITIES, RECIPES
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.machine import Run, Store
    from tests.simulation.network import Reply

QUARANTINE = 60.0
DAY = 24 * 3600.0
CUT_UIDS = "the service keeps only"
CONTENT = 32
"""How many characters of a uid tell samples apart."""
MOST_TAKEN = 2
"""How often a store may remove what another one sends again: once by what it knew, once by a view that was late."""
REFUSAL = b"This image cannot be used"
"""How the service begins to say that a sample is refused for its own sake."""
PNG = b"\x89PNG\r\n\x1a\n"
TIFF = b"II*\0"
"""An image that is converted before it is sent."""
CONVERTED = PNG + b"converted from "
"""What a converted image begins with; the original follows."""


def converted_by(recipe: Recipe, original: bytes) -> bytes:
    """What a recipe makes of an image: another size for each."""
    return CONVERTED + (f"{recipe.identity}|".encode() if recipe.identity else b"") + original


def original_of(data: bytes) -> tuple[bytes, str]:
    """The image that was converted, and the recipe; the image itself and "" where it was not."""
    rest = data.removeprefix(CONVERTED)
    if rest is data or rest.startswith(TIFF):
        return rest, ""
    identity, _, original = rest.partition(b"|")
    return original, identity.decode()


@dataclass(slots=True)
class View:
    """One whole view that a run was given: when it was asked for, and what it shows, with whole uids."""

    asked: float
    by_id: dict[int, Seen]

    def copies(self, uid: str, title: str) -> list[int]:
        """The ids of a sample in its place, lowest first."""
        folded = fold_title(title)
        return sorted(
            seen.sample_id for seen in self.by_id.values() if seen.uid == uid and fold_title(seen.title) == folded
        )


@dataclass(slots=True)
class Notes:
    """What the oracle knows of one run."""

    started: float
    retry: bool
    views: list[View] = field(default_factory=list)
    plan_view: View | None = None
    """The view that its plan was made from."""
    views_since_plan: int = 0
    planned_at: float = 0.0
    managed: int = 0
    scan_epoch: int = -1
    removed: set[int] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    consented: set[int | str] = field(default_factory=set)
    forbidden: set[int] = field(default_factory=set)
    lost: dict[int, tuple[str, str]] = field(default_factory=dict)
    """The samples of the plan whose image is nowhere in the store, by id, and their class titles."""
    repeats: set[str] = field(default_factory=set)
    """What the user must agree to before it is sent again."""
    refused: set[str] = field(default_factory=set)
    """The samples that were refused for their own sake, in the run of that name."""
    key_refused: bool = False
    ahead: int = 0
    """How many views were given whose counts were ahead of their lists."""
    changes: int = 0
    sent: int = 0
    last_change: float = 0.0
    wanted: frozenset[tuple[str, str]] | None = None
    """Class titles and contents of the snapshot that stands in for the store."""
    lists: list[tuple[float, set[int]]] = field(default_factory=list)
    """The lists of models that were given: when each was asked for, and the ids in it."""

    @property
    def view(self) -> View | None:
        return self.views[-1] if self.views else None


@dataclass(slots=True)
class Sending:
    """One upload that left: when, in which run, on a clock how wrong, what is proven about it, and whether
    an observation a whole quarantine later did not show it, and it was forgotten then; ``adopted`` that a sample
    was taken for it."""

    at: float
    run: str
    wall_offset: float
    before: list["Sending"]
    proof: str = "unknown"
    gone: bool = False
    forgotten: bool = False
    adopted: bool = False
    removal: "Removal | None" = None
    """What was removed before it."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A sample that was removed since its image was gone, and the user did not agree; ``at`` by the machine's clock.
    ``sample`` is its uid and id: one that came back under both, as by ``push --as`` where ids are reused, is one."""

    at: float
    class_title: str
    sample: tuple[str, int]
    run: "Run"


@dataclass(slots=True)
class Removal:
    """The removals of one sample that the service confirmed since it was last sent or adopted: which ids, when the last
    of them, on a clock how wrong, and when the plan was made that named them. ``is_whole``: these were all that a view
    had shown."""

    ids: set[int] = field(default_factory=set)
    at: float = 0.0
    wall_offset: float = 0.0
    planned: float = 0.0
    is_whole: bool = False


@dataclass(slots=True)
class Ledger:
    """What the oracle knows of one store: what was sent, what was removed for sure, which objects were damaged when,
    what no promise covers, and what was lost."""

    sendings: dict[str, list[Sending]] = field(default_factory=dict)
    removals: dict[str, Removal] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    damaged: dict[str, float] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)
    last_requests: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When the last request about each sample left, and on a clock how wrong."""
    met: set[str] = field(default_factory=set)
    """The samples that were refused while the same one of another store was there."""
    taken: dict[str, set[tuple[int, float]]] = field(default_factory=dict)
    """The samples that another store had sent and this one removed since the image was last in it, by uid: their ids
    and when they were made. A removal that has to be requested again is of the same sample."""


class Oracle:
    """One for each walk. ``enabled`` promises are checked; tests of the oracle itself switch some off."""

    def __init__(self, world: World, service: Service) -> None:
        self.world = world
        self.service = service
        self.books: dict[str, Ledger] = defaultdict(Ledger)
        self.lies = False
        self.stores: list[Store] = []
        self.converted: set[str] = set()
        """The content hashes of all images that are converted before they are sent."""
        self.plans = PlansOracle(world, self)
        self.versions = VersionsOracle(world, self, service.account)

    def book(self, store: "Store") -> Ledger:
        return self.books[store.name]

    # What a run does.

    def begin(self, run: "Run", retry: bool) -> Notes:
        return Notes(self.world.time, retry)

    def scanning(self, run: "Run") -> None:
        run.oracle_notes.scan_epoch = self.world.epoch

    def planned(self, run: "Run", plan: Plan, refusals: list[Refusal]) -> None:
        notes: Notes = run.oracle_notes
        notes.views_since_plan = 0
        notes.planned_at = self.world.time
        self.plans.planned(run, plan)
        for title, content in self.local(run.store) if self.book(run.store).taken else ():
            self.book(run.store).taken.pop(self.uid_of(title, content, run.recipe), None)
        notes.lost = self._lost(run, plan)
        notes.forbidden = _massacred(plan, run.store.allowance, self._recent_losses(run) if notes.lost else Counter())
        for uid in plan.forgets:
            for sending in self.book(run.store).sendings.get(uid, ()):
                sending.forgotten = sending.gone
        notes.repeats = self._doubted(run, plan) | _remade(plan, run.store.allowance)
        for uid in plan.forgets:
            self._forgotten(run, uid)
        # What is given up stays, also where its class is managed again later.
        self.book(run.store).excused |= {one.uid for one in plan.given_up}
        samples = self.service.samples() if plan.adopts else ()
        made = {
            (sample.sample_id, complete_uid(sample.uid, MODEL, entry.title)): sample.made for entry, sample in samples
        }
        for adopt in plan.adopts:
            for sending in self.book(run.store).sendings.get(adopt.uid, ()):
                # Where uids are cut, a copy of the same content in a class of almost the same name may be taken for it,
                # and this too soon. Then a view a quarantine after the sending decides, whichever run asked for it.
                sending.adopted = True
            removal = self.book(run.store).removals.get(adopt.uid)
            if not run.owned.covers(adopt.class_title):
                self.world.violate(
                    4, f"{run.name} adopts {adopt.uid[:6]} of {adopt.class_title!r}, which is not its own"
                )
            if removal is not None and made.get((adopt.sample_id, adopt.uid), 0.0) > removal.at:
                # It is this store's again, in any case; a view that lags may still show what was removed.
                del self.book(run.store).removals[adopt.uid]
        self.world.tell(lambda: f"{run.name}: plans {_plan_text(plan)}{' REFUSED' if refusals else ''}")

    def _lost(self, run: "Run", plan: Plan) -> dict[int, tuple[str, str]]:
        """What the plan removes since its image is nowhere in the store, whatever it says itself: class title and uid
        by sample id. Where another copy of the sample stays on the service, nothing is lost."""
        if not plan.removed or run.oracle_notes.wanted is not None:
            return {}
        contents = {content for _, content in self.local(run.store)}
        changed = self.world.epoch != run.oracle_notes.scan_epoch
        removed = {removal.sample_id for removal in plan.removed}
        view = run.oracle_notes.view
        stay = {seen.uid for seen in view.by_id.values() if seen.sample_id not in removed} if view else set()
        return {
            removal.sample_id: (removal.class_title, removal.uid)
            for removal in plan.removed
            if removal.why is RemovalReason.ABSENT
            or not (
                changed
                or removal.uid in stay
                or removal.uid[:32] in contents
                or _has_image(run.store, removal.path)
                or _is_at(run.store, removal.path, removal.replaced_by[:32])
            )
        }

    def _recent_losses(self, run: "Run") -> Counter[str]:
        """How many samples of each class were lost in the last 24 hours, by the clock of the run; those of runs whose
        journal failed may not have been noted."""
        since = run.store.machine.wall() - DAY + 300
        lost = {
            (loss.class_title, loss.sample)
            for loss in self.book(run.store).losses
            if loss.at >= since and not any(what.startswith("commit") for what in loss.run.failed)
        }
        return Counter(title for title, _ in lost)

    def _doubted(self, run: "Run", plan: Plan) -> set[str]:
        """The samples of a plan that the service has confirmed or shown before, where it shows fewer of ours."""
        marks = {upload.uid: self._mark(run.store, upload.uid) for upload in plan.uploads}
        again = {uid for uid, mark in marks.items() if mark is not None and mark[0] == "agreed"}
        if plan.classes:
            run.oracle_notes.managed = sum(count.managed for count in plan.classes.values())
        # A piece of a watcher's backlog says nothing of the rest.
        managed = run.oracle_notes.managed
        return again if len(again) > max(run.store.allowance.floor, managed) else set()

    def _forgotten(self, run: "Run", uid: str) -> None:
        """A mark that goes since the clock was set forward after the upload was confirmed, so that it looks old enough:
        only the wall clock tells one run about another, and the view still lags."""
        book = self.book(run.store)
        for sending in book.sendings.get(uid, ()):
            if sending.proof == "done" and sending.wall_offset < run.wall_offset:
                book.excused.add(uid)

    def consented(self, run: "Run", refusals: list[Refusal], agreed: bool) -> None:
        if agreed:
            run.oracle_notes.consented |= {sample.sample_id for refusal in refusals for sample in refusal.samples}
            run.oracle_notes.consented |= {upload.uid for refusal in refusals for upload in refusal.uploads}

    def sending(self, run: "Run", path: str, fields: dict[str, Any]) -> None:
        fields.pop("tkn")
        self._respects_refusal(run)
        if self.versions.sending(run, path, fields):
            return
        notes: Notes = run.oracle_notes
        for other in run.store.live:
            if other is not run and not other.ended and not other.dead and other.oracle_notes.changes:
                self.world.violate(8, f"{run.name} and {other.name} change the service from one store at once")
        notes.changes += 1
        notes.sent += 1
        if path == "/model/upload":
            self._upload_leaves(run, notes, fields)
        elif path == "/model/sample_remove":
            if fields["sample_uid"] != "" or not isinstance(fields["sample_id"], int):
                self.world.violate(2, f"a removal that is not by id alone: {fields}")
            self._removal_leaves(run, notes, fields["sample_id"])
        else:
            self._class_removal_leaves(run, notes, fields["class_id"])
        notes.last_change = self.world.time

    def delivered(self, run: "Run", path: str, fields: dict[str, Any], reply: "Reply") -> None:
        notes: Notes = run.oracle_notes
        if b"Invalid API key" in getattr(reply.outcome, "body", b""):
            notes.key_refused = True
            if run.report is not None:
                run.refused = self.world.time, run.asked_with
        if self.versions.delivered(run, path, fields, reply):
            return
        if path == "/model/view":
            if reply.view is not None:
                # What has our uid and other bytes is another client's.
                whole = {
                    seen.sample_id: Seen(
                        seen.sample_id, complete_uid(seen.uid, MODEL, seen.title), seen.class_id, seen.title
                    )
                    for seen in reply.view
                    if not seen.forged
                }
                notes.views.append(View(reply.asked, whole))
                notes.views_since_plan += 1
                self._settle_by_view(run, notes.views[-1])
                notes.removed.clear()
            return
        not_done = reply.proof in ("not done", "refused")
        if path == "/model/upload" and REFUSAL in getattr(reply.outcome, "body", b""):
            notes.refused.add(f"{run.run_id} {fields['uid']}")
        if path == "/model/upload":
            ids = {seen.sample_id for seen in self._there().get(fields["uid"], ())}
            origins = {sample.origin for _, sample in self.service.samples() if sample.sample_id in ids}
            if reply.proof == "refused" and origins - {run.store.name}:
                self.book(run.store).met.add(fields["uid"])
            sendings = self.book(run.store).sendings[fields["uid"]]
            mine = next(sending for sending in reversed(sendings) if sending.run == run.run_id)
            if not_done:
                sendings[:] = mine.before
                if mine.removal is not None:
                    self.book(run.store).removals.setdefault(fields["uid"], mine.removal)
            elif mine.proof != "done":
                # Else a view has shown it before the wait for the answer ended.
                mine.proof = reply.proof
            if reply.proof == "done":
                notes.confirmed.add(fields["uid"])
        elif path == "/model/sample_remove" and not_done:
            notes.removed.discard(fields["sample_id"])
        elif path in ("/model/sample_remove", "/model/class_remove") and reply.proof == "done" and not run.ended:
            # A run that an error has ended notes no answers: to the store, what was under way is in doubt.
            inside = notes.view.by_id.values() if notes.view else ()
            gone = {seen.sample_id for seen in inside if seen.class_id == fields.get("class_id")}
            self._note_losses(run, notes, gone | {fields.get("sample_id")})
            if notes.view is not None:
                self._note_removals(run, notes.view, gone | {fields.get("sample_id")})

    def _note_losses(self, run: "Run", notes: Notes, sample_ids: set[Any]) -> None:
        for sample_id in sample_ids & notes.lost.keys() - notes.consented:
            title, uid = notes.lost[sample_id]
            self.book(run.store).losses.append(Loss(run.store.machine.wall(), title, (uid, sample_id), run))

    def _note_removals(self, run: "Run", view: View, ids: set[Any]) -> None:
        """From now on what appears under these uids was made by another client."""
        for sample_id in ids & view.by_id.keys():
            removal = self.book(run.store).removals.setdefault(view.by_id[sample_id].uid, Removal())
            removal.ids.add(sample_id)
            removal.at = self.world.time
            removal.wall_offset = run.wall_offset
            removal.planned = run.oracle_notes.planned_at
            uid = view.by_id[sample_id].uid
            removal.is_whole = removal.ids.issuperset(one.sample_id for one in view.by_id.values() if one.uid == uid)

    def _respects_refusal(self, run: "Run") -> None:
        """A watcher whose key was refused requests nothing until the user changes something."""
        run.asked_with = run.store.settings
        if run.refused is not None and run.refused[1] == run.store.settings:
            since = self.world.time - run.refused[0]
            if since > 30.0 and self.world.time > run.forgiven_until:
                self.world.violate(9, f"{run.name} goes on asking {since:.0f} s after its key was refused")

    def _settle_by_view(self, run: "Run", view: View) -> None:
        """What a view shows was done, whatever became of the answer; what it lacks late enough is gone."""
        shown = {seen.uid for seen in view.by_id.values()}
        for uid, sendings in self.book(run.store).sendings.items():
            for sending in sendings:
                if uid in shown:
                    sending.proof = "done"
                since = sending.at if sending.run == run.run_id else max(sending.at, run.oracle_notes.started)
                sending.gone = uid not in shown and (sending.gone or view.asked >= since + QUARANTINE - 1e-6)

    def gives_up(self, run: "Run", error: BaseException | None) -> None:
        """What ends a run must have happened."""
        if isinstance(error, BadKey) and not run.oracle_notes.key_refused:
            self.world.violate(9, f"{run.name} ends since its key was refused, which it was not: {error}")
        if isinstance(error, RemoteError) and CUT_UIDS in str(error) and self.service.switches.uid_length >= CONTENT:
            mine = [uid for uid, sent in self.book(run.store).sendings.items() if sent[-1].run == run.run_id]
            if any(self._there().get(uid) for uid in mine):
                self.world.violate(9, f"{run.name} ends since uids are cut, which they are not: {error}")

    def ended(self, run: "Run") -> None:
        """What a push claims when it ends must be so."""
        result = run.result
        if run.dead or not getattr(result, "in_sync", False) or self.lies or self.service.switches.lag:
            return
        notes: Notes = run.oracle_notes
        # A second scan may come after the view: what was changed in between was shown to no run.
        if self.world.epoch != notes.scan_epoch or (notes.view and self.world.times[-1] > notes.view.asked):
            return
        # A run speaks of the time of its view and of its own changes; another run may have removed samples since.
        since = notes.view.asked if notes.view else float("inf")
        own = {run.store.name} if notes.sent else set()
        if any(at >= since and origin not in own for at, origin in self.service.taken):
            return
        there = self._there()
        local = self.local(run.store, readable=True, owned=run.owned)
        for title, content in local if notes.wanted is None else sorted(notes.wanted):
            uid = self.uid_of(title, content, run.recipe)
            if not (there.get(uid) or self._in_any_spelling(title, content) or self._stands_forged(run.store, uid)):
                self.world.violate(4, f"{run.name} says all is equal, and {uid[:6]} of {title!r} is not there")
        if notes.wanted is not None:
            self.versions.check_equal(run, there)

    def tells_no_class(self) -> bool:
        """Whether uids are cut so far that one image has the same in each class."""
        return self.service.switches.uid_length <= 33

    def _in_any_spelling(self, title: str, content: str) -> int:
        """How many samples of an image are there under titles that differ in their spelling alone, where nothing else
        tells these apart."""
        if not self.tells_no_class():
            return 0
        folded = fold_title(title)
        return sum(
            sample.uid[:32] == content and fold_title(entry.title) == folded for entry, sample in self.service.samples()
        )

    # The rules.

    def _upload_leaves(self, run: "Run", notes: Notes, fields: dict[str, Any]) -> None:
        world, store, uid, title = self.world, run.store, fields["uid"], fields["model_class"]
        book = self.book(store)
        if not run.owned.covers(title):
            world.violate(4, f"{run.name} sends {uid[:6]} to {title!r}, which is not its own")
        data = base64.b64decode(fields["input"])
        content = uid[:32]
        original, recipe = original_of(data)
        if original.startswith(TIFF):
            self.converted.add(content)
        if xxhash.xxh3_128_hexdigest(original) != content or uid != self.uid_of(title, content, run.recipe):
            world.violate(1, f"{run.name} sends bytes that are not what {uid[:6]} says")
        if original.startswith(TIFF) != (original is not data):
            world.violate(17, f"{run.name} sends {uid[:6]} converted or not as it should be")
        if original is not data and recipe != run.recipe.identity:
            world.violate(17, f"{run.name} sends {uid[:6]} as {recipe!r} converts it, and not {run.recipe.identity!r}")
        if _durable_object(store, content) != original and book.damaged.get(content, -1.0) < notes.planned_at:
            world.violate(1, f"{run.name} sends {uid[:6]} before its bytes are safe in the backup")
        if original is not data and store.durable(_object(xxhash.xxh3_128_hexdigest(data), "prepared")) != data:
            world.violate(1, f"{run.name} sends what {uid[:6]} was converted to before that is safe in the backup")
        if notes.wanted is not None and (title, content) not in notes.wanted:
            world.violate(4, f"{run.name} sends {uid[:6]}, which is not in the version it is to bring back")
        book.sent.add(content)
        mark = self._mark(store, uid)
        if mark is None or mark[0] != "attempted" or mark[1] != run.run_id:
            world.violate(5, f"{run.name} sends {uid[:6]} without a mark of its own: {mark}")
        if not notes.retry and self._is_bad(store, uid):
            world.violate(9, f"{run.name} sends {uid[:6]} again, which was refused for its own sake")
        if f"{run.run_id} {uid}" in notes.refused:
            world.violate(9, f"{run.name} sends {uid[:6]} again, which it has seen refused for its own sake")
        if uid in notes.repeats - notes.consented:
            world.violate(
                7, f"{run.name} sends {uid[:6]} again, with most of what the service had, and the user did not agree"
            )
        for before in book.sendings.get(uid, ()):
            since = before.at
            if before.proof == "unknown" and before.run != run.run_id and not before.adopted:
                since = max(since, notes.started)
            if before.proof == "done" and before.wall_offset < run.wall_offset:
                continue
            if before.forgotten:
                # It had gone from both places, which an earlier run has seen in time; this is another file.
                continue
            if self._is_removed_since(book, notes, uid, before):
                continue
            need = since + QUARANTINE - 1e-6
            if not any(view.asked >= need and not view.copies(uid, title) for view in notes.views):
                world.violate(
                    5, f"{run.name} sends {uid[:6]} again, {world.time - before.at:.1f} s after {before.run} did"
                )
        self.plans.upload_leaves(run, uid, title)
        self.plans.requested(run, uid)
        # What was sent before is settled: a view of the right moment lacks it.
        sending = Sending(world.time, run.run_id, run.wall_offset, book.sendings.get(uid, []))
        sending.removal = book.removals.pop(uid, None)
        book.sendings[uid] = [sending]

    def _is_removed_since(self, book: Ledger, notes: Notes, uid: str, before: Sending) -> bool:
        """Whether the sample that was sent was shown, removed for sure, and a view since then shows that."""
        removal = book.removals.get(uid)
        if removal is None or before.proof != "done" or before.at > removal.at:
            return False
        # An id that was given again may be another sample's.
        return any(
            view.asked >= removal.at
            and not any(seen.uid == uid for seen in view.by_id.values() if seen.sample_id in removal.ids)
            for view in notes.views
        )

    def _removal_leaves(self, run: "Run", notes: Notes, sample_id: int) -> None:
        view = notes.view
        seen = view.by_id.get(sample_id) if view else None
        if view is None or seen is None:
            self.world.violate(2, f"{run.name} removes {sample_id}, which its last observation does not show")
            return
        if sample_id in notes.removed:
            self.world.violate(5, f"{run.name} removes {sample_id} again without a fresh observation")
        self._may_go(run, notes, view, seen)
        self.plans.requested(run, seen.uid)
        notes.removed.add(sample_id)

    def _class_removal_leaves(self, run: "Run", notes: Notes, class_id: int) -> None:
        view = notes.view
        inside = [seen for seen in view.by_id.values() if seen.class_id == class_id] if view else []
        if view is None or not inside or notes.views_since_plan == 0 or view.asked < notes.last_change:
            self.world.violate(2, f"{run.name} removes class {class_id} without a view of this moment")
            return
        for seen in inside:
            self._may_go(run, notes, view, seen)
        self.plans.requested(run, *(seen.uid for seen in inside))
        for entry in self.service.classes:
            titles = {fold_title(entry.title)}
            if entry.class_id == class_id:
                busy = {title for title, _ in self._stable(run) if fold_title(title) in titles}
                if any(fold_title(title) in titles and self._confirmed_in(notes, title) for title in busy):
                    self.world.violate(2, f"{run.name} removes class {class_id}, into which it has just sent")

    def _confirmed_in(self, notes: Notes, title: str) -> bool:
        scopes = {make_scope(MODEL, title, recipe) for recipe in IDENTITIES}
        return any(uid[33:] in scopes for uid in notes.confirmed)

    def _may_go(self, run: "Run", notes: Notes, view: View, seen: Seen) -> None:
        world, store = self.world, run.store
        mark = self._mark(store, seen.uid)
        if mark is None or mark[0] != "attempted":
            # Where nothing tells two classes apart, it may count as the sample of the other one.
            mark = self._mark_of_similar_title(store, seen) or mark
        name = f"sample {seen.sample_id} ({seen.uid[:6]} in {seen.title!r})"
        if not run.owned.covers(seen.title):
            world.violate(2, f"{run.name} removes {name}, the class of which is not its own")
        if mark is None:
            world.violate(2, f"{run.name} removes {name}, which is not managed")
            return
        if mark[0] != "attempted":
            world.violate(5, f"{run.name} removes {name} without marking it attempted again")
        if notes.forbidden - notes.consented:
            world.violate(7, f"{run.name} removes {name}, which the guard must refuse")
        content, title = seen.uid[:32], mark[2]
        book = self.book(store)
        if seen.uid in book.removals:
            self._is_ours(run, seen, book.removals[seen.uid], name)
        path = _object(content)
        if store.shown(path) is None:
            path = _object(content, extension="bin")
        durable, shown = store.durable(path), store.shown(path)
        kept = durable is not None and xxhash.xxh3_128_hexdigest(durable) == content
        kept = kept and shown is not None and shown.content() == content
        if not kept and book.damaged.get(content, -1.0) < notes.planned_at:
            world.violate(2, f"{run.name} removes {name}, which the backup cannot give back")
        of_other_recipe = seen.uid in {self.uid_of(title, content, one) for one in RECIPES if one != run.recipe}
        of_other_recipe = of_other_recipe and seen.uid != self.uid_of(title, content, run.recipe)
        if view.copies(seen.uid, title) == [seen.sample_id] and notes.wanted is None and not of_other_recipe:
            self._look_again(run, mark, content, name)
        stable = self._stable(run)
        self._takes(run, view, seen, name)
        others = set(view.copies(seen.uid, title)) - notes.removed - {seen.sample_id}
        # Of a sample that is there more than once, a copy may go while another one stays.
        if notes.wanted is None and (title, content) not in stable and not others:
            file = self.file_without_image(store, os.fsdecode(mark[3]))
            if file is not None and file.epoch <= notes.scan_epoch:
                path = os.fsdecode(mark[3])
                world.violate(3, f"{run.name} removes {name}, although {path} is there without a good image")
        if (title, content) in stable and of_other_recipe:
            now = self.uid_of(title, content, run.recipe)
            if self._is_read(run, title, content) and not self._is_sure(store, notes, view, now, title):
                world.violate(4, f"{run.name} removes {name} before what it is converted to now is sure")
        elif (title, content) in stable:
            self._is_extra(run, notes, view, seen, title, name)
        elif not others and not (seen.uid in notes.confirmed and seen.sample_id not in view.copies(seen.uid, title)):
            # A misplaced copy needs no other place once this run has sent the sample to its own.
            for other, held in stable:
                if (
                    held == content
                    and (notes.wanted is not None or self._is_read(run, other, content))
                    and not self._is_sure(store, notes, view, self.uid_of(other, content, run.recipe), other)
                ):
                    world.violate(4, f"{run.name} removes {name} before its new place in {other!r} is sure")

    def _takes(self, run: "Run", view: View, seen: Seen, name: str) -> None:
        """What another store has sent again since this one removed it is that store's."""
        store, book = run.store, self.book(run.store)
        found = next((each for _, each in self.service.samples() if each.sample_id == seen.sample_id), None)
        if found is None or found.late or found.origin == store.name or found.origin not in self.books:
            return
        taken = book.taken.setdefault(seen.uid, set())
        taken.add((found.sample_id, found.made))
        if len(taken) > MOST_TAKEN:
            self.world.violate(4, f"{run.name} removes {name} again and again, which {found.origin} has sent")

    def _is_ours(self, run: "Run", seen: Seen, removal: Removal, name: str) -> None:
        """After a confirmed removal the client that makes the sample again keeps it. Where the service refused our own
        upload of it, that stays open for a quarantine, and so may the removal; ``_takes`` says how often."""
        if seen.uid in self.book(run.store).met or not removal.is_whole:
            return
        for _, sample in self.service.samples():
            others = sample.origin != run.store.name and not sample.late
            if sample.sample_id == seen.sample_id and others and sample.made > removal.at:
                self.world.violate(2, f"{run.name} removes {name}, which {sample.origin} made after its own removal")

    def _look_again(self, run: "Run", mark: tuple[str, str, str, bytes], content: str, name: str) -> None:
        """The second look: what stood again where it used to be, at any moment before this one, is seen."""
        store, path = run.store, os.fsdecode(mark[3])
        node = store.shown(path)
        if node is None or node.content() != content or not path.startswith(f"{mark[2]}/"):
            return
        above = [store.shown(path.rsplit("/", depth)[0]) for depth in range(1, path.count("/") + 1)]
        latest = max(each.epoch for each in (node, *above) if each is not None)
        looked = run.frozen_at if run.frozen_until >= self.world.time - 0.001 else self.world.time
        if store.mounted and self.world.times[latest] < looked:
            self.world.violate(3, f"{run.name} removes {name}, although {path} is there again")

    def _is_extra(self, run: "Run", notes: Notes, view: View, seen: Seen, title: str, name: str) -> None:
        copies = view.copies(seen.uid, title)
        if seen.sample_id in copies:
            if seen.sample_id == copies[0]:
                self.world.violate(3, f"{run.name} removes {name}, although its file is there")
        elif not copies and seen.uid not in notes.confirmed:
            self.world.violate(3, f"{run.name} removes the misplaced {name}, the only copy of a file that is there")

    def _is_sure(self, store: "Store", notes: Notes, view: View, uid: str, title: str) -> bool:
        if uid in notes.confirmed or view.copies(uid, title):
            return True
        if any(earlier.copies(uid, title) for earlier in notes.views):
            return True
        mark = self._mark(store, uid)
        return mark is not None and mark[0] == "agreed"

    def _stable(self, run: "Run") -> set[tuple[str, str]]:
        """What is in the store and has not been touched since the scan of this round began."""
        if run.oracle_notes.wanted is not None:
            return set(run.oracle_notes.wanted)
        epoch = run.oracle_notes.scan_epoch
        return {key for key, touched in self.local(run.store, owned=run.owned).items() if touched <= epoch}

    # The truth.

    def uid_of(self, title: str, content: str, recipe: Recipe) -> str:
        """The uid of an image in a class, as a recipe converts it."""
        identity = recipe.identity if content in self.converted else ""
        return make_uid(content, make_scope(MODEL, title, identity))

    def local(
        self, store: "Store", readable: bool = False, owned: OwnedClasses = ALL_CLASSES
    ) -> dict[tuple[str, str], int]:
        """Every sample of the store in these classes, mounted and readable or not, with the epoch of the last change to
        it."""
        found: dict[tuple[str, str], int] = {}
        for title, node in store.tree.entries.items():
            is_class = node.is_folder and not title.startswith(".") and owned.covers(title)
            if is_class and not (readable and node.locked):
                for file, touched in _files(node, node.epoch):
                    if _is_image(file) and not (readable and file.locked):
                        key = title, file.content()
                        if file.data.startswith(TIFF):
                            self.converted.add(key[1])
                        found[key] = min(touched, found.get(key, touched))
        return found

    def check_backup(self, store: "Store") -> None:
        """Every object is what its name says, and what was ever sent is there (promises 1 and 2)."""
        book = self.book(store)
        objects = store.shown(".astica-sync/backup/objects")
        kept: set[str] = set()
        for folder in objects.entries.values() if objects else ():
            for name, node in folder.entries.items():
                content = name.partition(".")[0]
                if len(content) != 32 or content in book.damaged:
                    continue
                if node.content() != content:
                    self.world.violate(1, f"the object {content[:6]} is torn")
                kept.add(content)
        rows = store.databases.keeper(store.journal_name).execute("SELECT uid FROM mark WHERE state = 'agreed'")
        for (uid,) in rows.fetchall():
            if uid[:32] not in kept and uid[:32] not in book.damaged:
                self.world.violate(2, f"{uid[:6]} is managed, and the backup cannot give it back")
        for content in book.sent - kept - book.damaged.keys():
            self.world.violate(2, f"the object {content[:6]} was sent and is not in the backup")
        self.versions.check(store, kept, book.damaged)

    def check_end(self, store: "Store") -> None:
        """The outcome of the decision table, after all faults have ended and pushes went silent."""
        book = self.book(store)
        there = self._there()
        expected = set()
        local = self.local(store, owned=store.owned)
        for title, content in local:
            uid = self.uid_of(title, content, store.recipe)
            expected.add(uid)
            # In a class of another store it is not touched.
            found = [one for one in there.get(uid, []) if store.owned.covers(one.title)]
            spellings = sum((fold_title(other), content) == (fold_title(title), held) for other, held in local)
            if not found and (self._stands_forged(store, uid) or (uid in book.met and self._is_blocked(store, uid))):
                continue
            if len(found) != 1 and self._in_any_spelling(title, content) != spellings:
                self.world.violate(4, f"{uid[:6]} of {title!r} is on the service {len(found)} times")
            elif found and fold_title(found[0].title) != fold_title(title):
                self.world.violate(4, f"{uid[:6]} of {title!r} is in {found[0].title!r}")
        if self.lies:
            return
        for entry, sample in self.service.samples():
            uid = complete_uid(sample.uid, MODEL, entry.title)
            similar = {(fold_title(title), content) for title, content in local} if self.tells_no_class() else set()
            if (fold_title(entry.title), sample.uid[:32]) in similar:
                continue
            if sample.origin != store.name or uid in expected or sample.late or uid in book.excused:
                continue
            if not store.owned.covers(entry.title):
                continue
            if any(uid in self._expected(other) for other in self.stores if other is not store):
                continue
            if uid in book.removals and sample.made > book.removals[uid].planned - self.service.switches.lag - 1.0:
                # A second execution of an upload whose sample was shown and has been removed for sure, at a moment when
                # no view had shown the second one.
                continue
            same_fold = {
                each.title for each in self.service.classes if fold_title(each.title) == fold_title(entry.title)
            }
            if self.tells_no_class() and len(same_fold) > 1:
                # It was taken for one of the class in the other spelling before the service showed both.
                continue
            mark = self._mark(store, uid) or self._mark_of_similar_title(
                store, Seen(sample.sample_id, uid, 0, entry.title)
            )
            if mark is not None and self.file_without_image(store, os.fsdecode(mark[3])) is not None:
                # Held until a good image is there, or nothing.
                continue
            data = _durable_object(store, uid[:32])
            if data is not None and xxhash.xxh3_128_hexdigest(data) == uid[:32]:
                self.world.violate(4, f"sample {sample.sample_id} ({uid[:6]} in {entry.title!r}) is left behind")

    def _is_blocked(self, store: "Store", uid: str) -> bool:
        """Whether the store has shown its user that the sample failed, and waits until it is to be tried again."""
        rows = store.databases.keeper(store.journal_name).execute("SELECT uid FROM bad WHERE uid = ?", (uid,))
        return rows.fetchone() is not None

    def _stands_forged(self, store: "Store", uid: str) -> bool:
        """Whether a forged sample is there in place of one that was agreed and that another client removed: nothing
        tells it from an image that the service has changed."""
        mark = self._mark(store, uid)
        if mark is None or mark[0] != "agreed":
            return False
        return any(one.uid == uid and one.forged for _, one in self.service.samples())

    def _expected(self, store: "Store") -> set[str]:
        local = self.local(store, owned=store.owned)
        return {self.uid_of(title, content, store.recipe) for title, content in local}

    def journal_lost(self, store: "Store") -> None:
        """Without its journal a store manages nothing; what is on the service then is adopted or left."""
        book = self.book(store)
        book.excused |= book.sendings.keys()
        book.sendings.clear()
        book.losses.clear()
        book.removals.clear()
        book.last_requests.clear()
        self.versions.journal_lost(store)

    def backup_lost(self, store: "Store") -> None:
        """Without its backup a store keeps what is there from now on."""
        book = self.book(store)
        book.sent.clear()
        book.damaged.clear()

    def ran_ahead(self, run: "Run") -> None:
        """A view was given whose counts are ahead of its lists."""
        run.oracle_notes.ahead += 1

    def lied(self) -> None:
        """A view was wrong and added up: what follows from it is put right as far as it can be seen."""
        self.lies = True

    def _there(self) -> dict[str, list[Seen]]:
        found: dict[str, list[Seen]] = {}
        for entry, sample in self.service.samples():
            if sample.forged:
                continue
            uid = complete_uid(sample.uid, MODEL, entry.title)
            found.setdefault(uid, []).append(Seen(sample.sample_id, uid, entry.class_id, entry.title))
        return found

    def _mark(self, store: "Store", uid: str) -> tuple[str, str, str, bytes] | None:
        rows = store.databases.keeper(store.journal_name).execute(
            "SELECT state, run, class, path FROM mark WHERE uid = ?", (uid,)
        )
        found: tuple[str, str, str, bytes] | None = rows.fetchone()
        return found

    def _mark_of_similar_title(self, store: "Store", seen: Seen) -> tuple[str, str, str, bytes] | None:
        """The mark under another spelling of the class, where nothing tells the two apart."""
        if not self.tells_no_class():
            return None
        rows = store.databases.keeper(store.journal_name).execute(
            "SELECT state, run, class, path FROM mark WHERE substr(uid, 1, 32) = ?", (seen.uid[:32],)
        )
        similar = [row for row in rows.fetchall() if fold_title(row[2]) == fold_title(seen.title)]
        return min(similar, key=lambda row: row[0] != "attempted", default=None)

    def _is_read(self, run: "Run", title: str, content: str) -> bool:
        """Whether the program has read such a file; what it cannot read it cannot know for a new place.

        Read off the index that all share, which another run may have filled: one that could not open a file or list a
        folder, or has a copy of its own, may know less.
        """
        store = run.store
        if {"open", "list"} & run.failed or (run.private and (title, content) not in self.local(store, readable=True)):
            return False
        rows = store.databases.keeper(store.index_name).execute(
            "SELECT 1 FROM file JOIN folder ON folder.id = file.folder_id WHERE content = ? AND class = ?",
            (content, title),
        )
        return rows.fetchone() is not None

    def file_without_image(self, store: "Store", path: str) -> Node | None:
        """The file at a path, or a placeholder that stands for it, where it is there and is no good image."""
        node = store.shown(path) if path else None
        if node is None:
            folder, _, name = path.rpartition("/")
            return store.shown(f"{folder}/.{name}.icloud")
        return None if node.is_folder or _is_image(node) else node

    def _is_bad(self, store: "Store", uid: str) -> bool:
        rows = store.databases.keeper(store.journal_name).execute("SELECT 1 FROM bad WHERE uid = ?", (uid,))
        return rows.fetchone() is not None


def _is_at(store: "Store", path: str, content: str) -> bool:
    """Whether the file at a path has this content. If that is no good image, its upload is refused, and what waits for
    it stays."""
    node = store.shown(path)
    return node is not None and node.content() == content


def _has_image(store: "Store", path: str) -> bool:
    node = store.shown(path) if path else None
    return node is not None and not node.is_folder and _is_image(node)


def _is_image(node: Node) -> bool:
    return node.data.startswith((PNG, TIFF)) and b"broken" not in node.data


def _object(content: str, folder: str = "objects", extension: str = "png") -> str:
    return f".astica-sync/backup/{folder}/{content[:2]}/{content}.{extension}"


def _durable_object(store: "Store", content: str) -> bytes | None:
    data = store.durable(_object(content))
    return store.durable(_object(content, extension="bin")) if data is None else data


def _files(folder: Node, touched: int) -> Iterator[tuple[Node, int]]:
    for name, node in folder.entries.items():
        if name.startswith("."):
            continue
        latest = max(touched, node.epoch)
        if node.is_folder:
            yield from _files(node, latest)
        else:
            yield node, latest


def _remade(plan: Plan, allowance: Allowance) -> set[str]:
    """The uploads of a plan of images that another recipe has converted, where they are many."""
    remade = [removal for removal in plan.removed if removal.why is RemovalReason.RECONVERTED]
    removed = {(removal.uid[:CONTENT], removal.class_title) for removal in remade}
    found = {upload.uid for upload in plan.uploads if (upload.uid[:CONTENT], upload.class_title) in removed}
    managed = sum(count.managed for count in plan.classes.values())
    return found if len(removed) > max(allowance.floor, int(allowance.share * managed)) else set()


def _massacred(plan: Plan, allowance: Allowance, recent: Counter[str]) -> set[int]:
    """The samples that the user must agree to lose before anything of the plan may be removed; ``recent`` counts by
    class title what was lost in the 24 hours before."""
    removed = [removal for removal in plan.removed if removal.why is not RemovalReason.RECONVERTED]
    ids = {removal.sample_id for removal in removed}
    managed = sum(count.managed for count in plan.classes.values()) + recent.total()
    if sum(count.local for count in plan.classes.values()) == 0:
        return ids
    if len(removed) + recent.total() > max(allowance.floor, int(allowance.share * managed)):
        return ids
    found: set[int] = set()
    for title, count in plan.classes.items():
        mine = [removal for removal in removed if removal.class_title == title]
        vanished = count.local == 0 and any(removal.why is RemovalReason.ABSENT for removal in mine)
        before = recent[title] if any(removal.why is RemovalReason.ABSENT for removal in mine) else 0
        limit = max(allowance.floor, int(allowance.class_share * (count.managed + before)))
        if vanished or len(mine) + before > limit:
            found |= {removal.sample_id for removal in mine}
    return found


def _plan_text(plan: Plan) -> str:
    parts = {
        "adopt": len(plan.adopts),
        "upload": len(plan.uploads),
        "remove": len(plan.removals),
        "remove class": len(plan.class_removals),
        "forget": len(plan.forgets),
        "wait": len(plan.waiting),
        "held": len(plan.held),
        "blocked": len(plan.failed_before),
    }
    return ", ".join(f"{name} {count}" for name, count in parts.items() if count) or "nothing"
