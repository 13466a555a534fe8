"""Seeded bugs that still replace words in the source of a function; each is to become one at a seam."""

import importlib
import inspect
from typing import Any

from tests.simulation.mutants.seams import Change, Mutant

# ruff: noqa: E501

Words = tuple[str, str, str]
"""The function (``module:qualified.name``), the words in it, and the words in their place."""


def _mutant(name: str, *changes: Words, quick: int = 0) -> Mutant:
    return by_text(name, changes, quick)


def by_text(name: str, changes: tuple[Words, ...], quick: int = 0, days: bool = False) -> Mutant:
    places: dict[str, list[tuple[str, str]]] = {}
    for place, old, new in changes:
        places.setdefault(place, []).append((old, new))
    return Mutant(name, tuple(_change(place, words) for place, words in places.items()), quick, days)


def _change(place: str, words: list[tuple[str, str]]) -> Change:
    def make(original: Any) -> Any:
        module_name, _, path = place.partition(":")
        source = inspect.getsource(inspect.unwrap(original))
        for old, new in words:
            if old not in source:
                raise LookupError(f"{place} has no {old!r} any more")
            source = source.replace(old, new)
        *outer, name = path.split(".")
        names: dict[str, Any] = {}
        inside = f"class inside:\n{source}" if outer else source
        exec(compile(inside, f"<{place}>", "exec"), vars(importlib.import_module(module_name)), names)
        return vars(names["inside"])[name] if outer else names[name]

    return Change(place, make)


APPLY = "astica_sync.sync.apply.apply_plan:"
JOBS = "astica_sync.sync.apply.requests:"
PLAN = "astica_sync.core.plan.planner:"
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
_ATTEMPT = """session.local.journal.attempt(
            [(job.upload.uid, job.upload.class_title, job.upload.path) for job in jobs], session.runtime.clock.now()
        )"""

TEXT_MUTANTS = (
    _mutant("no mark before the upload", (APPLY + "_Uploads.before_send", _ATTEMPT, "pass"), quick=50),
    _mutant(
        "the mark comes after the sending",
        (APPLY + "_Uploads.before_send", _ATTEMPT, "pass"),
        (APPLY + "_Uploads._settle_one", "session, upload, applied = self._session, job.upload, self._applied",
         "session, upload, applied = self._session, job.upload, self._applied\n"
         "        session.local.journal.attempt([(upload.uid, upload.class_title, upload.path)], session.runtime.clock.now())"),
        quick=50,
    ),
    _mutant(
        "the mark's time is that of the start of the run",
        (APPLY + "_Uploads.before_send", "job in jobs], session.runtime.clock.now()\n        )\n",
         "job in jobs], session.runtime.run_started\n        )\n"),
        (APPLY + "_Uploads._settle_one", "upload.path)], session.runtime.clock.now())\n            session.local.journal.clear_bad",
         "upload.path)])\n            session.local.journal.clear_bad"),
        (APPLY + "_Uploads._settle_one", "session.local.journal.resend_at([upload.uid], session.runtime.clock.now())", "pass"),
    ),
    _mutant(
        "a confirmation leaves the time of the mark",
        (APPLY + "_Uploads._settle_one", "upload.path)], session.runtime.clock.now())\n            session.local.journal.clear_bad",
         "upload.path)])\n            session.local.journal.clear_bad"),
    ),
    _mutant("agreed on an unknown outcome",
        (APPLY + "_Uploads._settle_one", "session.local.journal.resend_at([upload.uid], session.runtime.clock.now())",
         "session.local.journal.agree([(upload.uid, upload.class_title, upload.path)])")),
    _mutant("a doubtful upload is not waited for",
        (PUSH + "_settled_at", "if applied.doubtful:", "if False:"),
        (PUSH + "_settled_at", "[waiting.until for waiting in seen.plan.waiting]", "[]")),
    _mutant("a removal does not mark attempted again",
        (APPLY + "_mark_removals", "session.local.journal.attempt", "(lambda *_: None)"), quick=300),
    _mutant("a refusal counts as uploaded",
        (APPLY + "_Uploads._settle_one", "if error is None:", "if error is None or isinstance(error, Refused):")),
    _mutant("a removal without a look at the backup", (JOBS + "prove_kept", "    if reason is not None:\n", "    if False:\n")),
    _mutant("one look instead of two", (JOBS + "may_go", "return is_still_absent(", "return True or is_still_absent(")),
    _mutant("consent is kept for other samples",
        (PUSH + "_still_refused", "return [] if named <= agreed else refusals", "return [] if agreed else refusals")),
    _mutant("class_remove without a view of its moment",
        (APPLY + "_remove_class", "alone = len(planned) == len(shown)", "alone = True")),
    _mutant("class_remove by the view of the plan",
        (APPLY + "_remove_class", "observation = observe_before_removal(session.local, session.remote, session.target)",
         "observation = type('Seen', (), {'samples': [type('S', (), {'sample_id': removal.sample_id,"
         " 'uid': removal.uid, 'class_id': entry.class_id}) for removal in entry.samples]})")),
    _mutant("class_remove goes by ids alone",
        (APPLY + "_remove_class", "    alone = len(planned) == len(shown)",
         "    shown = {number for number, _ in shown}\n"
         "    planned = [removal for removal in wanted if removal.sample_id in shown]\n"
         "    alone = len(planned) == len(shown)")),
    _mutant("class_remove of a class that holds others, too",
        (PLAN + "fold_into_class_removals", "== entry.samples >", ">"),
        (APPLY + "_remove_class", "alone = len(planned) == len(shown)", "alone = True")),
    _mutant("the old place goes before the new one is confirmed",
        (APPLY + "_remove", "if set(uploads_before(removal, places)) <= applied.uploaded:", "if True:")),
    _mutant("the backup comes after the upload",
        (JOBS + "UploadJob.prepare", "keep(self.session, self.upload.path, self.content)\n        self.image = ",
         "self.image = b''.join(self.session.local.fs.chunks(self.session.local.fs.open_read("
         "source_of(self.session, self.upload.path)))) or "), quick=50),
    _mutant("what is sent is read from the file",
        (JOBS + "UploadJob.send", "image, self.image = self.image, b\"\"",
         "image = b''.join(self.session.local.fs.chunks(self.session.local.fs.open_read("
         "source_of(self.session, self.upload.path))))")),
    _mutant("adopted without the backup",
        (APPLY + "_adopt", "if not session.local.backup.secure(content_of(adopt.uid)):", "if False:"),
        (APPLY + "_adopt", "session.local.backup.add_samples(", "(lambda *_: None)(")),
    _mutant(
        "a stranger's sample without a uid is ours, cut",
        ("astica_sync.sync.push.first_upload:prove_uids", "and (over or len(sample.uid) >= TELLING)", ""),
    ),
)  # fmt: skip
