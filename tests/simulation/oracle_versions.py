"""What must hold of trainings, versions, their data, and models: the oracle's second half.

A training is asked for once, after what it is about is safe; each version leads to the data it was made of and to no
other; the data of each version comes back byte for byte; a model is made once.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xxhash

from astica_sync.core.model import content_in_class, fold_title, make_scope, make_uid
from tests.simulation.account import Account, Reported, Training
from tests.simulation.service import MODEL, Sample
from tests.simulation.vocabulary import IDENTITIES
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.machine import Machine, Run, Store
    from tests.simulation.network import Reply
    from tests.simulation.oracle import Notes, Oracle

QUARANTINE = 60.0
BACKUP = ".astica-sync/backup/"
Key = tuple[str, int]
Pin = tuple[str, str]
"""Class title and content of a managed sample in a snapshot."""


@dataclass(slots=True, eq=False)
class Asking:
    """One request for a training. ``looked`` is since when the model was looked at for it, ``seen`` are the versions
    that the store had been shown when it left, ``settled`` when another one was shown, or when the user took it for
    lost (``given_up``). ``run`` asked for it; one that was killed, or could not commit, may not have noted the
    answer. ``looked_after`` is when the view after the answer was answered, ``shown_after`` the same once it is
    noted."""

    run: "Run"
    store: str
    looked: float
    at: float
    snapshot: str
    seen: frozenset[Key]
    proof: str = "unknown"
    settled: float | None = None
    given_up: bool = False
    looked_after: float = float("inf")
    shown_after: float = float("inf")
    counts: bool = True
    """Whether the store was shown a version just before, from whose name those after it can be counted."""


@dataclass(slots=True)
class CreateAttempt:
    """An attempt to make a model, from its first request until its id was printed."""

    title: str
    first: int
    begun: float
    """When the list was asked for that tells which models were there before."""
    sendings: list[str] = field(default_factory=list)
    """The runs whose request left and may have been carried out."""
    done: bool = False
    """The id was printed; after a power cut the store may not know that any more."""


@dataclass(slots=True)
class Book:
    """What is known of one store: the trainings it asked for, and the versions it was shown."""

    askings: list[Asking] = field(default_factory=list)
    shown: set[Key] = field(default_factory=set)
    manifests: dict[str, frozenset[Pin]] = field(default_factory=dict)
    lost: bool = False
    """The journal or the backup was lost once, so that a version may have no data."""


class VersionsOracle:
    def __init__(self, world: World, oracle: "Oracle", account: Account | None) -> None:
        self.world = world
        self.oracle = oracle
        self.account = account
        self.books: dict[str, Book] = {}
        self.create_attempts: dict[str, CreateAttempt] = {}

    def book(self, store: "Store") -> Book:
        return self.books.setdefault(store.name, Book())

    # What leaves and what comes back.

    def sending(self, run: "Run", path: str, fields: dict[str, Any]) -> bool:
        """Whether the request was about the account and not about samples."""
        if path == "/model/model_train":
            self._training_leaves(run, fields)
        elif path == "/model/create":
            self._creation_leaves(run, fields)
        return path in ("/model/model_train", "/model/create", "/model/list", "/model/view", "/detect")

    def delivered(self, run: "Run", path: str, fields: dict[str, Any], reply: "Reply") -> bool:
        """Whether the answer was about the account alone."""
        if reply.reported is not None:
            self._shown(run, reply.reported, reply.asked)
        if path == "/model/view" and reply.view is not None:
            for each in self.book(run.store).askings:
                if each.run is run and each.proof == "done":
                    # It is of any moment up to now.
                    each.looked_after = min(each.looked_after, self.world.time)
        if path == "/model/model_train":
            asking: Asking = fields["asking"]
            asking.proof = reply.proof
            if reply.proof in ("not done", "refused"):
                self.book(run.store).askings.remove(asking)
        elif path == "/model/create":
            attempt = self.create_attempts.get(run.store.machine.name)
            if attempt and run.run_id in attempt.sendings and reply.proof in ("not done", "refused"):
                attempt.sendings.remove(run.run_id)
        return path in ("/model/model_train", "/model/create", "/model/list", "/detect")

    def _shown(self, run: "Run", reported: Reported, asked: float) -> None:
        if reported.version is not None and run.command in ("train", "versions"):
            # Others do not look at it.
            book = self.book(run.store)
            for asking in book.askings:
                if reported.version in asking.seen or asking.given_up:
                    continue
                # The run that was shown it may have died, or met a full disk, before it was noted; the next one may be
                # shown another version already, and nothing shows the first any more.
                if asking.settled is None or not self._is_noted(run.store, asking):
                    asking.settled = self.world.time
                    intent, noted = meta(run.store, "training"), meta(run.store, "shown after training")
                    is_noted = intent and noted and noted["asked_at"] == intent["asked_at"]
                    asking.shown_after = asking.looked_after if is_noted else float("inf")
            book.shown.add(reported.version)
        if reported.models is not None:
            run.oracle_notes.lists.append((asked, {model.model_id for model in reported.models}))

    def _is_noted(self, store: "Store", asking: Asking) -> bool:
        """Whether the store knows a version that it was shown after this request."""
        return any((name, date) not in asking.seen for name, date, _ in self.records(store))

    # The rules.

    def _training_leaves(self, run: "Run", fields: dict[str, Any]) -> None:
        store, world, notes = run.store, self.world, run.oracle_notes
        book = self.book(store)
        if store.holder is not run:
            world.violate(8, f"{run.name} asks for a training and is not the store's one writer")
        intent = meta(store, "training")
        snapshot = intent["snapshot"] if intent else ""
        if not intent:
            world.violate(1, f"{run.name} asks for a training and has not written down that it does")
        for before in book.askings:
            if before.settled is None and before.proof in ("unknown", "done"):
                world.violate(
                    5, f"{run.name} asks for a training again, {world.time - before.at:.0f} s after it was asked for"
                )
        manifest = store.durable(f"{BACKUP}snapshots/{snapshot}.jsonl")
        if manifest is None or xxhash.xxh3_128_hexdigest(manifest) != snapshot:
            world.violate(1, f"{run.name} asks for a training before its snapshot {snapshot[:6]} is safe")
        else:
            book.manifests[snapshot] = self._as_observed(run, notes, manifest)
        asking = Asking(run, store.name, notes.started, world.time, snapshot, frozenset(book.shown))
        # A list and a view that lag may both show none, although the store knows one.
        asking.counts = bool(intent and intent["name"])
        book.askings.append(asking)
        fields["asking"] = asking

    def _as_observed(self, run: "Run", notes: "Notes", manifest: bytes) -> frozenset[Pin]:
        """The managed samples of a manifest, which must be what the last observation showed, no more and no less."""
        pins, elsewhere = read_manifest(manifest)
        view = notes.view
        shown = {seen.sample_id: self._as_shown(seen.uid, seen.title) for seen in (view.by_id.values() if view else ())}
        pinned = {self._as_shown(make_uid(content, make_scope(MODEL, title)), title) for title, content in pins}
        service = self.oracle.service
        # Nothing tells a forged sample from an agreed one that the service shows with another size.
        forged = {self._as_shown(sample.uid, entry.title) for entry, sample in service.samples() if sample.forged}
        # A sample in another class than it was sent to is recorded in the class that is shown.
        places = {(seen.uid[:32], fold_title(seen.title)) for seen in (view.by_id.values() if view else ())}
        placed = {
            self._as_shown(make_uid(content, make_scope(MODEL, title)), title)
            for title, content in pins
            if (content, fold_title(title)) in places
        }
        for uid in sorted(pinned - set(shown.values()) - forged - placed):
            self.world.violate(2, f"{run.name} trains on a snapshot with {uid[:6]}, which the service does not show")
        # By their ids: a cut uid made elsewhere is completed by the titles of the store that reads it.
        others = {sample_id for _, sample_id in elsewhere}
        held = {(fold_title(title), content) for title, content in pins}
        for sample_id, uid in sorted(shown.items()):
            seen = view.by_id[sample_id] if view else None
            at_its_place = seen is not None and (fold_title(seen.title), seen.uid[:32]) in held
            if uid not in pinned and sample_id not in others and not at_its_place:
                self.world.violate(2, f"{run.name} trains on a snapshot that lacks sample {sample_id} ({uid[:6]})")
        return pins

    def _as_shown(self, uid: str, title: str) -> str:
        """The uid; where it is cut to the content, nothing but the class tells samples apart, in any spelling. A
        version says nothing of recipes."""
        if content_in_class(uid, MODEL, title, IDENTITIES):
            uid = make_uid(uid[:32], make_scope(MODEL, title))
        return f"{uid[:32]} {fold_title(title)}" if self.oracle.tells_no_class() else uid

    def again(self, run: "Run") -> None:
        """The user takes the requested training for lost, and wants another."""
        for asking in self.book(run.store).askings:
            if asking.settled is None:
                asking.settled, asking.given_up = self.world.time, True

    def wants(self, run: "Run", snapshot: str) -> None:
        """The run makes the service equal to a snapshot; what pushes before it have claimed holds no more."""
        self.world.begin_change()
        known = self.book(run.store).manifests.get(snapshot)
        manifest = run.store.durable(f"{BACKUP}snapshots/{snapshot}.jsonl")
        run.oracle_notes.wanted = known if known is not None else read_manifest(manifest or b"")[0]

    def check_equal(self, run: "Run", there: dict[str, Any]) -> None:
        """The service holds what the snapshot lists, and nothing else that this store manages."""
        pins = run.oracle_notes.wanted or ()
        wanted = {self._as_shown(make_uid(content, make_scope(MODEL, title)), title) for title, content in pins}
        rows = run.store.databases.keeper(run.store.journal_name).execute("SELECT uid, class FROM mark")
        marked = {uid: title for uid, title in rows.fetchall() if uid in there}
        view = run.oracle_notes.view
        # A confirmed request that is carried out once more after the view was shown to no run.
        repeated = {
            sample.sample_id
            for _, sample in self.oracle.service.samples()
            if sample.again and view is not None and sample.made >= view.asked
        }
        for uid in sorted(uid for uid, title in marked.items() if self._as_shown(uid, title) not in wanted):
            if all(seen.sample_id in repeated for seen in there[uid]):
                continue
            self.world.violate(4, f"{run.name} says the service is as that version was, and {uid[:6]} is there too")

    def journal_lost(self, store: "Store") -> None:
        """Without its journal a store does not know what it asked for; without its backup it knows no version."""
        book = self.book(store)
        book.lost = True
        for asking in book.askings:
            asking.settled = asking.settled or self.world.time
            asking.given_up = True

    # What is kept.

    def check(self, store: "Store", kept: set[str], damaged: dict[str, float]) -> None:
        """Each recorded version comes back byte for byte, and is the one its data made."""
        book = self.book(store)
        for name, date, snapshot in self.records(store):
            if snapshot is None:
                continue
            node = store.shown(f"{BACKUP}snapshots/{snapshot}.jsonl")
            if node is None or node.content() != snapshot:
                self.world.violate(2, f"the data of version {name or date} is not in the backup")
                continue
            pins = book.manifests.get(snapshot)
            if pins is None:
                # A run that was killed before it asked waits for whatever version comes; nothing shows whose it is.
                if all(training in self._extras(store) for training in self._trainings((name, date))):
                    continue
                self.world.violate(2, f"version {name or date} has data that nothing was trained on")
                continue
            for title, content in sorted(pins):
                if content not in kept and content not in damaged:
                    self.world.violate(2, f"version {name or date} cannot be restored: {content[:6]} of {title!r}")
            for training in self._trainings((name, date)):
                asking = training.asking
                if asking is None or asking.store != store.name or training in self._extras(store):
                    continue
                if asking.snapshot != snapshot:
                    self.world.violate(
                        2, f"version {name or date} has the data {snapshot[:6]}, and was made of {asking.snapshot[:6]}"
                    )
                lacking = {content for _, content in pins} - training.held
                if lacking and self._was_confirmed(asking) and not (self.oracle.lies or self._lag()):
                    self.world.violate(
                        2, f"version {name or date} has data with {min(lacking)[:6]}, and was made without it"
                    )

    def check_end(self, store: "Store") -> None:
        """After everything was looked at, each version that came of a request of this store has its data."""
        if self.account is None or self.book(store).lost:
            return
        records = {(name, date): snapshot for name, date, snapshot in self.records(store)}
        extras = self._extras(store)
        for training in self.account.trainings:
            asking = training.asking
            if asking is None or asking.store != store.name or training in extras:
                continue
            key = training.key(self.account.terms.shows)
            if records.get(key) is None and not (key in records and self._was_changed(store, asking)):
                self.world.violate(2, f"version {training.name} came of a request of {store.name} and has no data")

    def _was_changed(self, store: "Store", asking: Asking) -> bool:
        """Whether others, or a request that was carried out late, added samples since the training was asked for, or
        removed some where its answer was lost or not noted: the store may then say that the data is not known. So it
        may after a view that had nothing and added up, in which everything seems to have been removed elsewhere, and
        after the clock was set: by the times of the history, its own removals then came before the request."""
        assert self.account is not None
        if self.oracle.lies or self._is_respelled(store) or store.machine.wall_offset != asking.run.wall_offset:
            return True
        lag = self._lag()
        since = asking.looked - lag
        known = self._was_confirmed(asking)
        for at, origin in self.oracle.service.taken:
            elsewhere = origin != store.name
            if at >= since and not known and (elsewhere or at < asking.at):
                return True
            # Before the view that follows the answer, or where names do not show how many versions were made.
            uncounted = self.account.terms.shows == "date" or not (asking.seen and asking.counts)
            if at >= since and elsewhere and (at <= asking.shown_after + lag or uncounted):
                return True
            # A view that lags shows what was removed before the request again, as if it had been added after it, or
            # as if it had been removed after it.
            if since <= at < asking.at and lag:
                return True
        # A view that lags does not show yet what the store has just sent, as if it had been removed after the request.
        hidden = bool(lag)
        return any(
            sample.made >= since
            and (
                hidden
                or sample.late
                or sample.again
                or sample.origin != store.name
                or self._was_on_its_way(sample, asking)
            )
            for sample in self.oracle.service.ever
        )

    def _was_on_its_way(self, sample: Sample, asking: Asking) -> bool:
        """Whether an upload of this store had been sent before the training was asked for, and was carried out after
        the view before it."""
        sendings = self.oracle.books[asking.store].sendings
        return any(
            sending.at < asking.at
            for uid, sent in sendings.items()
            if uid[: len(sample.uid)] == sample.uid
            for sending in sent
        )

    def _lag(self) -> float:
        assert self.account is not None
        return max(self.account.terms.lag, self.oracle.service.switches.lag)

    def _was_confirmed(self, asking: Asking) -> bool:
        """Whether the answer to the request came, and was noted."""
        noted = not (asking.run.dead or any(what.startswith("commit") for what in asking.run.failed))
        return asking.proof == "done" and noted

    def _is_respelled(self, store: "Store") -> bool:
        """Whether the store has adopted its own sample under another spelling of its class, which uids that are cut to
        the content allow: it then no longer knows that it has sent it."""
        if not self.oracle.tells_no_class():
            return False
        sent = self.oracle.book(store).sendings
        contents = {uid[:32] for uid in sent}
        return any(
            content in contents and make_uid(content, make_scope(MODEL, title)) not in sent
            for title, content in self.oracle.local(store)
        )

    def _extras(self, store: "Store") -> list[Training]:
        """The trainings no promise covers: made elsewhere or twice, given up by the user, or hidden by such a one."""
        assert self.account is not None
        lag = self.account.terms.lag
        found, own = [], []
        for training in self.account.trainings:
            asking = training.asking
            strange = asking is None or asking.store != store.name or training.extra or asking.given_up
            (found if strange else own).append(training)
        for training in own:
            asking = training.asking
            assert asking is not None
            until = (self.world.time if asking.settled is None else asking.settled) + lag
            if any(asking.looked - lag <= other.finished <= until for other in found):
                found.append(training)
        return found

    def _trainings(self, key: Key) -> list[Training]:
        assert self.account is not None
        return [each for each in self.account.trainings if each.key(self.account.terms.shows) == key]

    def records(self, store: "Store") -> list[tuple[str, int, str | None]]:
        """The versions that the store's backup tells of: name, date and snapshot; of two lines about one version the
        one that knows its data."""
        node = store.shown(f"{BACKUP}versions.jsonl")
        found: dict[Key, str | None] = {}
        for line in node.data.split(b"\n") if node else ():
            try:
                fields = json.loads(line)
                key = fields["version"], int(fields["trained_at"] or 0)
                found[key] = found.get(key) or fields["snapshot"]
            except (ValueError, KeyError, TypeError):
                continue
        return [(*key, snapshot) for key, snapshot in found.items()]

    # Models.

    def _creation_leaves(self, run: "Run", fields: dict[str, Any]) -> None:
        machine, world, title = run.store.machine, self.world, fields["dataset_title"]
        intent = machine.volume.durable_file(machine.volume.root, intent_file(machine).lstrip("/"))
        if intent is None or title.encode() not in intent:
            world.violate(1, f"{run.name} makes a model and has not written down that it does")
        attempt = self.create_attempts.get(machine.name)
        if attempt is None or attempt.done or attempt.title != title:
            lists = run.oracle_notes.lists
            begun = lists[-1][0] if lists else run.oracle_notes.started
            attempt = self.create_attempts[machine.name] = CreateAttempt(title, len(self.models(machine)), begun)
        need = run.oracle_notes.started + QUARANTINE - 1e-6
        if attempt.sendings and not any(asked >= need for asked, _ in run.oracle_notes.lists):
            world.violate(5, f"{run.name} makes the model {title!r} again without having looked for the first")
        # A run that has looked for the earlier ones knows that they were not carried out.
        attempt.sendings = [run.run_id]

    def created(self, run: "Run", model_id: int, title: str) -> None:
        """A run has printed the id of the model that it created."""
        machine = run.store.machine
        attempt = self.create_attempts.get(machine.name)
        mine = [model for model in self.models(machine)[attempt.first if attempt else 0 :] if model.title == title]
        assert self.account is not None
        # One of that title which another machine made meanwhile cannot be distinguished from its own: there is no id.
        others = [model for model in self.account.models if model.origin not in machine.store_names]
        same_title = {model.model_id for model in others if model.title == title}
        if attempt is not None:
            # Nor can one that was made so shortly before that the first list did not show it yet.
            hidden = attempt.begun - self.account.terms.lag
            same_title |= {
                model.model_id for model in self.models(machine) if model.title == title and model.made > hidden
            }
        if not any(model.model_id == model_id for model in mine) and model_id not in same_title:
            self.world.violate(4, f"{run.name} takes model {model_id} for the one it made")
        if len([model for model in mine if not model.extra]) > 1:
            self.world.violate(5, f"{run.name} has made {title!r} more than once")

    def models(self, machine: "Machine") -> list[Any]:
        assert self.account is not None
        return [model for model in self.account.models if model.origin in machine.store_names]


def intent_file(machine: "Machine") -> str:
    """Where an attempt to make a model is written down."""
    return f"{machine.base}/creating.json"


def meta(store: "Store", key: str) -> Any:
    """What the journal says, as committed."""
    rows = store.databases.keeper(store.journal_name).execute("SELECT value FROM meta WHERE key = ?", (key,))
    found = rows.fetchone()
    return None if found is None else json.loads(found[0])


def read_manifest(manifest: bytes) -> tuple[frozenset[Pin], set[tuple[str, int]]]:
    """The managed samples of a manifest, and the uids and ids of the others."""
    lines = [json.loads(line) for line in manifest.splitlines()]
    pins = frozenset((line["class"], line["content"]) for line in lines if "content" in line)
    return pins, {(line["uid"], line["sample_id"]) for line in lines if "content" not in line}
