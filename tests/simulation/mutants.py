"""Seeded bugs: each a small change to the code under test that some walk must notice.

A bug is named by the function it goes into, the words it replaces, and those it puts there, so that one that no longer
fits the code is an error and not a bug that is never caught.
"""

import contextlib
import importlib
import inspect
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.mutants_versions import VERSION_MUTANTS
from tests.simulation.mutants_watcher import WATCHER_MUTANTS
from tests.simulation.runner import play_seed, stage

# ruff: noqa: E501

Change = tuple[str, str, str]
"""The function (``module:qualified.name``), the words in it, and the words in their place."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """``quick`` ones are common mistakes, which CI hunts within ``budget`` walks from seed 1."""

    name: str
    changes: tuple[Change, ...]
    quick: int = 0
    days: bool = False
    """Whether it is about the watcher, so that long days are played instead of walks."""


def _mutant(name: str, *changes: Change, quick: int = 0) -> Mutant:
    return Mutant(name, changes, quick)


APPLY = "astica_sync.sync.apply.apply_plan:"
JOBS = "astica_sync.sync.apply.requests:"
PLAN = "astica_sync.core.plan.planner:"
DECISION = "astica_sync.core.plan.decision:"
PUSH = "astica_sync.sync.push.push:"
SCAN = "astica_sync.local.scan.scanner:"
OBJECTS = "astica_sync.local.backup.object_store:"
INDEX = "astica_sync.local.db.index:"
RECHECK = "astica_sync.local.scan.recheck:"
LIMITER, SERVICE, CLIENT, OUTCOME, RESPONSES = (
    f"astica_sync.remote.{name}:" for name in ("rate_limiter", "service", "client", "outcome", "responses")
)
GUARD = "astica_sync.core.plan.guard:"
RATE_LIMIT = "astica_sync.core.rate_limit:"
MODEL = "astica_sync.core.model:"
FILES = "tests.simulation.filesystem:SimFileSystem."
_ATTEMPT = """session.journal.attempt(
            [(job.upload.uid, job.upload.class_title, job.upload.path) for job in jobs], session.clock.now()
        )"""

MUTANTS = (
    # The mark and the quarantine (promise 5).
    _mutant("no mark before the upload", (APPLY + "_Uploads.before_send", _ATTEMPT, "pass"), quick=50),
    _mutant(
        "the mark comes after the sending",
        (APPLY + "_Uploads.before_send", _ATTEMPT, "pass"),
        (APPLY + "_Uploads._settle_one", "session, upload, applied = self._session, job.upload, self._applied",
         "session, upload, applied = self._session, job.upload, self._applied\n"
         "        session.journal.attempt([(upload.uid, upload.class_title, upload.path)], session.clock.now())"),
        quick=50,
    ),
    _mutant("no quarantine", (DECISION + "is_settled", "facts.quarantine_ends is None or facts.asked_at >= facts.quarantine_ends", "True"), quick=400),
    _mutant("half a quarantine", (PLAN + "quarantine_end", "+ context.quarantine", "+ context.quarantine / 2")),
    _mutant(
        "a restart does not begin the quarantine anew",
        (PLAN + "last_sending", "if mark.sent_at is None or mark.run == context.run:", "if True:"),
        quick=1000,
    ),
    _mutant(
        "the mark's time is that of the start of the run",
        (APPLY + "_Uploads.before_send", "job in jobs], session.clock.now()\n        )\n",
         "job in jobs], session.run_started\n        )\n"),
        (APPLY + "_Uploads._settle_one", "upload.path)], session.clock.now())\n            session.journal.clear_bad",
         "upload.path)])\n            session.journal.clear_bad"),
        (APPLY + "_Uploads._settle_one", "session.journal.resend_at([upload.uid], session.clock.now())", "pass"),
    ),
    _mutant(
        "a confirmation leaves the time of the mark",
        (APPLY + "_Uploads._settle_one", "upload.path)], session.clock.now())\n            session.journal.clear_bad",
         "upload.path)])\n            session.journal.clear_bad"),
    ),
    _mutant("agreed on an unknown outcome",
        (APPLY + "_Uploads._settle_one", "session.journal.resend_at([upload.uid], session.clock.now())",
         "session.journal.agree([(upload.uid, upload.class_title, upload.path)])")),
    _mutant("a doubtful upload is not waited for",
        (PUSH + "_settled_at", "if applied.doubtful:", "if False:"),
        (PUSH + "_settled_at", "[waiting.until for waiting in seen.plan.waiting]", "[]")),
    _mutant("a view older than the quarantine is accepted",
        (CLIENT + "Client.view_model", "return parse_view(body, model_id, asked_at, spelling)",
         "return parse_view(body, model_id, self._clock.now(), spelling)")),
    _mutant("a time-out is taken for a connection that was refused",
        (OUTCOME + "_of_silence", "if silence.sent:", "if False:"), quick=500),
    _mutant("5xx is taken for not done",
        (OUTCOME + "_of_stranger", "if answer.status >= 500:",
         "if answer.status >= 500:\n        return RateLimited('busy')"), quick=500),
    _mutant("a blind retry of a lost upload",
        (SERVICE + "Service.upload", "self._send(\n", "again(self, permit)\n        self._send(\n"),
        (SERVICE + "Service.upload", "\"\"\"Sends one image, once.\"\"\"",
         "def again(self, permit):\n"
         "            try:\n"
         "                self._client.upload_sample(model_id, class_title, uid, image)\n"
         "            except OutcomeUnknown:\n"
         "                pass\n"), quick=50),
    _mutant("a trouble of the service is taken for its limit",
        (OUTCOME + "classify", "return OutcomeUnknown(f\"{host} failed: {said}\", SETTLED)", "return RateLimited('busy')")),
    _mutant("a removal does not mark attempted again",
        (APPLY + "_mark_removals", "session.journal.attempt", "(lambda *_: None)"), quick=300),
    _mutant("a mark is forgotten at once",
        (DECISION + "_decide_absent", "ForgetMark() if is_settled(facts) else KeepMark()", "ForgetMark()")),
    _mutant("the clock of an earlier run is believed",
        (PLAN + "last_sending", "return min(mark.sent_at, context.run_started)", "return mark.sent_at")),
    _mutant("a refusal counts as uploaded",
        (APPLY + "_Uploads._settle_one", "if error is None:", "if error is None or isinstance(error, Refused):")),
    _mutant("bad samples are tried again",
        (PLAN + "_present_facts", "row.uid in context.failed_before", "False"), quick=1000),
    # Removals (promises 2, 3, 4 and 7).
    _mutant("a removal by uid",
        (CLIENT + "Client.remove_sample", '"sample_uid": ""', '"sample_uid": "x"'), quick=100),
    _mutant("a removal without a look at the backup", (JOBS + "prove_kept", "    if reason is not None:\n", "    if False:\n")),
    _mutant("one look instead of two", (JOBS + "may_go", "return is_still_absent(", "return True or is_still_absent(")),
    _mutant("the second look reads nothing",
        (RECHECK + "_has_left", "return reading.ending is HashOutcome.READ and reading.content != content", "return True")),
    _mutant("what cannot be read is absent", (MODEL + "Unreadable.covers", "self.everything or class_title in self.classes", "False"),
        (RECHECK + "_has_left", "except OSError:\n        return False", "except OSError:\n        return True")),
    _mutant("an unreadable folder is an empty one", (SCAN + "_Walk._hold", "self.held.add(folder.path)", "return")),
    _mutant("another folder in the store's place is the store",
        ("astica_sync.local.layout:check_root", "if sentinel.inode != status.st_ino:", "if False:")),
    _mutant("the root is not looked at",
        ("astica_sync.local.layout:check_root", "sentinel = read_sentinel(layout, fs)", "return read_sentinel(layout, fs)")),
    _mutant("the guard is off", (GUARD + "check_removals", "if not removed or allowance.all:", "if True:"), quick=500),
    _mutant("the guard forgets the classes",
        (GUARD + "check_removals", " + check_classes(plan, allowance)", "")),
    _mutant("most of all is sent again unasked",
        (GUARD + "check_repeats", "if allowance.all or", "if True or")),
    _mutant("consent is kept for other samples",
        (PUSH + "_still_refused", "return [] if named <= agreed else refusals", "return [] if agreed else refusals")),
    _mutant("unmanaged samples are removed",
        (PLAN + "_take", "draft.unmanaged.extend(row.remote)",
         "draft.removals.extend(_removals(row, row.remote[0].class_title if row.remote else '',"
         " RemoveCopies(tuple(one.sample_id for one in row.remote), RemovalReason.ABSENT)))"), quick=300),
    _mutant("extras are not dropped", (DECISION + "_remove_extras", "facts.copies[1:]", "()")),
    _mutant("of extras the highest id is kept", (DECISION + "_remove_extras", "facts.copies[1:]", "facts.copies[:-1]")),
    _mutant("a misplaced sample counts as a copy",
        (PLAN + "_present_facts", "fold_title(sample.class_title) == folded", "True"),
        (PLAN + "_present_facts", "fold_title(sample.class_title) != folded", "False")),
    _mutant("class_remove without a view of its moment",
        (APPLY + "_remove_class", "alone = len(planned) == len(shown)", "alone = True")),
    _mutant("class_remove by the view of the plan",
        (APPLY + "_remove_class", "observation = look_before_removal(session)",
         "observation = type('Seen', (), {'samples': [type('S', (), {'sample_id': removal.sample_id,"
         " 'uid': removal.uid, 'class_id': entry.class_id}) for removal in entry.samples]})")),
    _mutant("class_remove goes by ids alone",
        (APPLY + "_remove_class", "    alone = len(planned) == len(shown)",
         "    shown = {number for number, _ in shown}\n"
         "    planned = [removal for removal in wanted if removal.sample_id in shown]\n"
         "    alone = len(planned) == len(shown)")),
    _mutant("class_remove although samples go there",
        (PLAN + "fold_into_class_removals", "and fold_title(entry.title) not in folded", "")),
    _mutant("class_remove of a class that holds others, too",
        (PLAN + "fold_into_class_removals", "== entry.samples >", ">"),
        (APPLY + "_remove_class", "alone = len(planned) == len(shown)", "alone = True")),
    _mutant("the old place goes before the new one is confirmed",
        (APPLY + "_remove", "if set(uploads_before(removal, places)) <= applied.uploaded:", "if True:")),
    _mutant("the old place goes while the new one is in doubt",
        (PLAN + "_plan_image", "pending = pending or not secures_image(actions)", "pending = False")),
    _mutant("a lost removal is sent again blindly",
        (SERVICE + "Service.remove_sample", '"""Removes one sample by its id, once."""',
         "try:\n"
         "            self._client.remove_sample(sample_id)\n"
         "        except OutcomeUnknown:\n"
         "            pass\n")),
    # The backup (promises 1 and 2).
    _mutant("the backup comes after the upload",
        (JOBS + "UploadJob.prepare", "keep(self.session, self.upload.path, self.content)\n        self.image = ",
         "self.image = b''.join(self.session.fs.chunks(self.session.fs.open_read("
         "source_of(self.session, self.upload.path)))) or "), quick=50),
    _mutant("what is sent is read from the file",
        (JOBS + "UploadJob.send", "image, self.image = self.image, b\"\"",
         "image = b''.join(self.session.fs.chunks(self.session.fs.open_read("
         "source_of(self.session, self.upload.path))))")),
    _mutant("a file is not synced", (FILES + "_sync_file", "self._volume.sync(node)", "pass"), quick=50),
    _mutant("a folder is not synced", (FILES + "sync_folder", "self._volume.sync(", "("), quick=50),
    _mutant("names that a killed run left are not synced",
        (OBJECTS + "ObjectStore._keep_names", "if each not in self._kept_names:", "if False:")),
    _mutant("a copy is not compared with what was scanned",
        (OBJECTS + "ObjectStore._write", "if self._hash(temp) != content:", "if False:")),
    _mutant("an object is read without a proof",
        (OBJECTS + "ObjectStore.read", "if hasher.hexdigest() != content:", "if False:"),
        (OBJECTS + "ObjectStore._confirm", "if self.check(content) is not None:", "if False:"),
        (OBJECTS + "ObjectStore._confirm", "if not same:", "if False:")),
    _mutant("an object that stands is good",
        (OBJECTS + "ObjectStore.check", "same = self._hash(path) == content", "same = True")),
    _mutant("a rotten object is never healed",
        (OBJECTS + "ObjectStore._confirm", "if self.check(content) is not None:",
         "if self.check(content) is not None:\n            raise StoreError('rotten')")),
    _mutant("adopted without the backup",
        (APPLY + "_adopt", "if not session.backup.secure(content_of(adopt.uid)):", "if False:"),
        (APPLY + "_adopt", "session.backup.add_samples(", "(lambda *_: None)(")),
    # Views (promise 14) and the index.
    _mutant("a partial view is believed", (RESPONSES + "_check_sums", "if info.samples != samples:", "if False:")),
    _mutant("another model's view is believed", (RESPONSES + "_observation", "if info.model_id != model_id:", "if False:")),
    _mutant("the list of models is an empty view",
        (RESPONSES + "_observation", "if dataset is None:",
         "if dataset is None:\n        return Observation(ModelInfo(model_id, ''), asked_at, (), ())\n"
         "    if dataset is None:")),
    _mutant("a cut uid is not completed", (RESPONSES + "_observation", "spelling.complete(uid, model_id, title)", "uid"), quick=300),
    _mutant("equal times prove an equal file",
        (INDEX + "Index.known", "row[1:5] if row[6] else None", "row[1:5]")),
    _mutant("every index is believed but for its size",
        ("astica_sync.local.scan.directory_diff:diff_directory", "kept != bounded(listed[1:])", "kept[0] != listed[1]"),
        (INDEX + "Index.known", "row[1:5] if row[6] else None", "row[1:5]"), quick=300),
    _mutant("a folder is sealed although a file in it may still change",
        ("astica_sync.local.scan.directory_diff:diff_directory", "{inode % buckets for inode in unsure}", "set()")),
    _mutant(
        "a stranger's sample without a uid is ours, cut",
        ("astica_sync.sync.push.first_upload:prove_uids", "and (over or len(sample.uid) >= TELLING)", ""),
    ),
    _mutant("a remembered comparison forgets what was touched since",
        ("astica_sync.core.plan.unchanged:recheck_contents", "sorted(set(contents).difference(unchanged.rest))", "[]"), quick=100),
    _mutant("what could not be seen counts as equal", (PLAN + "_Draft.finish", "incomplete=bool(context.unreadable),", "")),
    # The limit and the lock (promises 6 and 8).
    _mutant("the limit is off by one", (RATE_LIMIT + "next_start", "room = limit - ahead", "room = limit - ahead + 1"), quick=200),
    _mutant("a request counts from its sending", (RATE_LIMIT + "counts_until", "span.answered + window", "span.sent + window")),
    _mutant("a request under way does not count",
        (LIMITER + "RateLimiter._spans", "WHERE budget = ?", "WHERE answered IS NOT NULL AND budget = ?"), quick=200),
    _mutant("the limit is not shared",
        (LIMITER + "RateLimiter.__init__", "self._name = name", "self._name = f'{name}{id(self)}'")),
    _mutant("what a killed run had under way does not count",
        (RATE_LIMIT + "counts_until", "return min(now, span.lost_at) + window", "return span.sent + 1.0")),
    _mutant("a restarted machine forgets its requests",
        (LIMITER + "RateLimiter._spans", "Span(0.0, 0.0, 0.0) if", "Span(-9e9, -9e9, -9e9) if")),
    _mutant("the writer lock is left out",
        ("tests.simulation.machine:Store.lock", "if self.holder is not None:", "if False:"), quick=1500),
    *(Mutant(*entry) for entry in VERSION_MUTANTS),
    *(Mutant(*entry, days=True) for entry in WATCHER_MUTANTS),
)  # fmt: skip


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """While it lasts, the bug is in the code."""
    undo: list[tuple[Any, str, Any]] = []
    try:
        for place, old, new in _merged(mutant.changes):
            undo += _plant(place, zip(old, new, strict=True))
        yield
    finally:
        for owner, name, before in reversed(undo):
            setattr(owner, name, before)


def _merged(changes: tuple[Change, ...]) -> list[tuple[str, list[str], list[str]]]:
    places: dict[str, tuple[list[str], list[str]]] = {}
    for place, old, new in changes:
        entry = places.setdefault(place, ([], []))
        entry[0].append(old)
        entry[1].append(new)
    return [(place, old, new) for place, (old, new) in places.items()]


def _plant(place: str, words: Iterator[tuple[str, str]]) -> list[tuple[Any, str, Any]]:
    module_name, _, path = place.partition(":")
    module = importlib.import_module(module_name)
    *outer, name = path.split(".")
    owner: Any = module
    for part in outer:
        owner = getattr(owner, part)
    before = inspect.getattr_static(owner, name)
    source = inspect.getsource(inspect.unwrap(before))
    for old, new in words:
        if old not in source:
            raise LookupError(f"{place} has no {old!r} any more")
        source = source.replace(old, new)
    names: dict[str, Any] = {}
    inside = f"class inside:\n{source}" if outer else source
    exec(compile(inside, f"<{place}>", "exec"), vars(module), names)
    after = vars(names["inside"])[name] if outer else names[name]
    undo = [(owner, name, before)]
    setattr(owner, name, after)
    if owner is module:
        for other in list(sys.modules.values()):
            if other is not module and getattr(other, "__name__", "").startswith(("astica_sync", "tests.simulation")):
                for alias, value in list(vars(other).items()):
                    if value is before:
                        undo.append((other, alias, before))
                        setattr(other, alias, after)
    return undo


def first_catch(mutant: Mutant, walks: int, first: int) -> tuple[int | None, str]:
    """How many walks it takes until a promise breaks that holds without the bug, and which; None when none did."""
    with stage() as databases:
        seed, end = first, first + walks
        while seed < end:
            with planted(mutant):
                broken = play_seed(seed, databases, days=mutant.days).broken
                while broken is None and seed + 1 < end:
                    seed += 1
                    broken = play_seed(seed, databases, days=mutant.days).broken
            if broken is not None and play_seed(seed, databases, days=mutant.days).broken is None:
                return seed - first + 1, str(broken)
            seed += 1
    return None, ""


def hunt(name: str, walks: int, first: int, jobs: int) -> int:
    """Prints which seeded bugs are caught, and after how many walks."""
    chosen = [mutant for mutant in MUTANTS if name in mutant.name]
    started = time.monotonic()
    caught = 0
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        tasks = [(mutant.name, walks, first) for mutant in chosen]
        for found, (after, how) in pool.imap_unordered(_hunt_one, tasks):
            caught += after is not None
            print(f"{found:55} {after if after is not None else 'NOT CAUGHT':>10}  {how[:90]}", flush=True)
    print(f"{caught} of {len(chosen)} seeded bugs caught within {walks:,} walks from seed {first}, "
          f"{time.monotonic() - started:.0f} s")  # fmt: skip
    return 0 if caught >= 0.95 * len(chosen) else 1


def _hunt_one(task: tuple[str, int, int]) -> tuple[str, tuple[int | None, str]]:
    name, walks, first = task
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    try:
        return name, first_catch(mutant, walks, first)
    except (LookupError, SyntaxError) as error:
        return name, (None, f"does not fit the code: {error}")
