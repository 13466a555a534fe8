"""Seeded bugs in trainings, versions and the making of models."""

from collections.abc import Callable, Iterator
from typing import Any

from astica_sync.core.model import MarkState
from astica_sync.core.versions.data_doubts import ChangesAtRequest
from astica_sync.core.versions.snapshot import UnmanagedSample
from astica_sync.core.versions.version import VersionKey
from astica_sync.errors import OutcomeUnknown
from astica_sync.training.train import PENDING, find_model
from tests.simulation.mutants.seams import Change, change_argument, mutant, nothing, replace, within, wrap

TRAINER = "astica_sync.training.train:Trainer."
SERVICE = "astica_sync.remote.rate_limited_client:RateLimitedClient."
MANIFESTS = "astica_sync.local.backup.manifests:Manifests."
RECORDS = "astica_sync.local.backup.service_records:Records."
CREATING = "astica_sync.sync.admin.create_model:"
FREEZE = "astica_sync.core.versions.snapshot:freeze"
FILES = "tests.simulation.filesystem:SimFileSystem."

_late: list[Callable[[], None]] = []


def written_later(original: Any, scope: Any, self: Any, path: Any, chunks: Any, mode: int = 0o666) -> None:
    lines = list(chunks)
    _late[:] = [lambda: original(self, path, lines)]


def asked_then_written(original: Any, self: Any, model_id: int) -> None:
    original(self, model_id)
    if _late:
        _late.pop()()


def all_but_the_intent(original: Any, scope: Any, self: Any, key: str, value: Any) -> None:
    if key != PENDING:
        original(self, key, value)


def version_of(choose: Callable[[Any, str], str | None]) -> Change:
    """A version is noted with the snapshot that ``choose`` gives in place of the right one."""

    def noted(original: Any, scope: Any, self: Any, info: Any, snapshot: str | None, *more: Any, **named: Any) -> Any:
        return original(self, info, choose(self, snapshot) if snapshot else None, *more, **named)

    return within(TRAINER + "record_version", RECORDS + "add_version", noted)


def newest(records: Any, snapshot: str) -> str:
    listed = records._files.scan_folder(records._root / "snapshots")
    return str(max((status.st_mtime_ns, name[:32]) for name, status in listed)[1])


def one_before(records: Any, snapshot: str) -> str:
    return str(([each.snapshot for each in records.versions() if each.snapshot] or [snapshot])[-1])


def asked_again(original: Any, scope: Any, self: Any, model_id: int) -> None:
    try:
        original(self, model_id)
    except OutcomeUnknown:
        original(self, model_id)
        raise


def forgotten_without_an_answer(original: Any, self: Any, *args: Any) -> Any:
    training = original(self, *args)
    if not training.answered:
        self.give_up(training)
    return training


def looked_at_once(self: Any) -> Any:
    pending = self.pending()
    return self.record_version(find_model(self.service, self.model_id), pending)


def with_what_is_only_here(original: Any, scope: Any, *sides: Any) -> Iterator[Any]:
    for row in original(*sides):
        if row.local is not None and not row.remote:
            row = type(row)(row.uid, row.local, row.mark, (None,))
        yield row


def without_samples_made_elsewhere(original: Any, *sides: Any) -> Iterator[Any]:
    return (sample for sample in original(*sides) if not isinstance(sample, UnmanagedSample))


def unless_removed(session: Any, sample: Any, since: float) -> bool:
    mark = session.local.journal.mark(sample.uid)
    if mark is None or mark.sent_at is None or mark.sent_at < since:
        return False
    return bool(mark.state is not MarkState.REMOVED)


def by_name_alone(service: str, model: Any, name: str, versions: Any) -> VersionKey:
    return VersionKey(service, model.model_id, 0.0, name, 0.0)


TRAINING_MUTANTS = (
    mutant(
        "an answer is kept whatever becomes of its version",
        replace("astica_sync.core.versions.version:make_version_key", by_name_alone),
    ),
    mutant(
        "the manifest comes after the request",
        within(MANIFESTS + "write", FILES + "write_synced", written_later),
        within(MANIFESTS + "write", MANIFESTS + "check", nothing),
        wrap(SERVICE + "train", asked_then_written),
        quick=100,
    ),
    mutant(
        "the intent of a training is left out",
        within(TRAINER + "begin", "astica_sync.local.db.journal:Journal.set_meta", all_but_the_intent),
        quick=100,
    ),
    mutant("a version is tied to the newest snapshot", version_of(newest)),
    mutant("a version is tied to the data of the one before", version_of(one_before)),
    mutant(
        "a version of another user is tied to the data of ours",
        replace("astica_sync.api.version_provenance:check_data", lambda session, history, training, model: ""),
    ),
    mutant(
        "an upload in doubt before a removal was not sent here",
        replace("astica_sync.api.version_provenance:_is_sent_here", unless_removed),
    ),
    mutant(
        "nothing is looked at after a training was confirmed",
        replace("astica_sync.api.run_training:look_after_request", lambda session, history, training, before: None),
    ),
    mutant(
        "what is gone after a training was confirmed counts as removed later",
        replace(
            "astica_sync.api.version_provenance:_changes_at_request",
            lambda session, training: ChangesAtRequest(set(), set(), training.name),
        ),
    ),
    mutant("a version is tied to no data", version_of(lambda records, snapshot: None), quick=100),
    mutant(
        "a training is asked for again after a lost answer",
        within(TRAINER + "begin", SERVICE + "train", asked_again),
        quick=300,
    ),
    mutant("a training without an answer is forgotten", wrap(TRAINER + "begin", forgotten_without_an_answer)),
    mutant(
        "a version that a lagging answer shows again is a new one",
        within(
            "astica_sync.core.versions.pending_training:has_newer",
            "astica_sync.core.versions.version:is_recorded",
            lambda original, scope, info, versions: False,
        ),
    ),
    mutant("an answer older than the intent settles it", replace(TRAINER + "poll", looked_at_once)),
    mutant(
        "a snapshot is what the store has",
        within(FREEZE, "astica_sync.core.plan.join:merge_rows", with_what_is_only_here),
    ),
    mutant("a snapshot lacks what was made elsewhere", wrap(FREEZE, without_samples_made_elsewhere)),
    mutant(
        "a model is made again without a wait for the first",
        change_argument(CREATING + "wait_for_model", "quarantine", lambda quarantine: 0.0),
    ),
    mutant(
        "the attempt to make a model is not written down",
        replace(CREATING + "CreationAttempt.write", nothing),
        quick=100,
    ),
    mutant(
        "the attempt that a killed run wrote down is not synced",
        replace(CREATING + "CreationAttempt.sync", nothing),
    ),
    mutant(
        "a record follows the store's disk to where it was mounted",
        within(RECORDS + "_append", FILES + "lstat", nothing),
    ),
)
