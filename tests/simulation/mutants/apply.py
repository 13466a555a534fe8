"""Seeded bugs in carrying out a plan (uploads, removals, classes, adoptions) and in the rounds of a push."""

import dataclasses
from types import SimpleNamespace
from typing import Any

from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.errors import OutcomeUnknown, Refused
from astica_sync.sync.plan.plan_differences import compare
from tests.simulation.mutants.plan import WHOLE_CLASS_OF_OTHERS
from tests.simulation.mutants.seams import mutant, nothing, replace, within, wrap

UPLOAD = "astica_sync.sync.apply.upload:"
REMOVAL = "astica_sync.sync.apply.removal:"
CLASS_REMOVAL = "astica_sync.sync.apply.class_removal:"
ADOPTION = "astica_sync.sync.apply.adoption:"
ROUND = "astica_sync.sync.push.push_round:"


def place_of(upload: Any) -> tuple[str, str, str]:
    return (upload.uid, upload.class_title, upload.path)


def read_file(job: Any) -> bytes:
    fs = job.local.fs
    return b"".join(fs.chunks(fs.open_read(job.local.layout.root / job.upload.path)))


def marked_with_the_answer(original: Any, self: Any, upload: Any, error: Any) -> None:
    self._journal.attempt([place_of(upload)], self._clock.now())
    original(self, upload, error)


def marked_when_the_run_began(original: Any, journal: Any, uploads: Any, now: float) -> None:
    journal.began = getattr(journal, "began", now)
    original(journal, uploads, journal.began)


def confirmed_without_a_time(journal: Any, upload: Any, now: float) -> None:
    journal.agree([place_of(upload)])
    journal.clear_bad([upload.uid])


def agreed_on_an_unknown_outcome(journal: Any, upload: Any, now: float) -> None:
    journal.agree([place_of(upload)])


def refusal_counts_as_uploaded(original: Any, self: Any, upload: Any, error: Any) -> None:
    original(self, upload, None if isinstance(error, Refused) else error)


def unknown_counts_as_removed(original: Any, self: Any, removal: Any, error: Any) -> None:
    original(self, removal, None if isinstance(error, OutcomeUnknown) else error)


def without_doubts(original: Any, plan: Any, applied: Any, *others: Any) -> Any:
    sure = dataclasses.replace(applied, doubtful_uploads=set(), doubtful_removals=set())
    return original(dataclasses.replace(plan, waiting=()), sure, *others)


def prepared_from_the_file(self: Any) -> None:
    self.image = read_file(self)


def sent_from_the_file(original: Any, self: Any, permit: Any) -> None:
    self.image = read_file(self)
    original(self, permit)


def version_sent_from_the_file(original: Any, self: Any) -> None:
    self.from_backup = False
    original(self)


def the_view_of_the_plan(original: Any, scope: Any, *args: Any) -> Any:
    removal = scope["self"].removal
    samples = [SimpleNamespace(**vars_of(sample), class_id=removal.class_id) for sample in removal.samples]
    return SimpleNamespace(samples=samples)


def vars_of(sample: Any) -> dict[str, Any]:
    return {"sample_id": sample.sample_id, "uid": sample.uid}


def shown_by_ids_alone(removal: Any, observation: Any) -> set[tuple[int, str]]:
    planned = {sample.sample_id: sample.uid for sample in removal.samples}
    inside = [sample for sample in observation.samples if sample.class_id == removal.class_id]
    return {(sample.sample_id, planned.get(sample.sample_id, sample.uid)) for sample in inside}


def looks_for_the_file_of_a_version(original: Any, local: Any, removal: Any) -> bool:
    if removal.why is RemovalReason.NOT_IN_VERSION:
        removal = dataclasses.replace(removal, why=RemovalReason.ABSENT)
    return original(local, removal)


def plan_of_the_folder(original: Any, scope: Any, *args: Any, **kwargs: Any) -> Any:
    return compare(scope["local"], scope["observation"], scope["context"], quick=False, most=None)


NO_MARK = replace(UPLOAD + "mark_attempted", nothing)
ANY_CLASS = replace(CLASS_REMOVAL + "are_whole_class", lambda samples, shown: True)

APPLY_MUTANTS = (
    # The mark and the quarantine (promise 5).
    mutant("no mark before the upload", NO_MARK, quick=50),
    mutant(
        "the mark comes after the sending",
        NO_MARK,
        wrap(UPLOAD + "_UploadRecorder._settle", marked_with_the_answer),
        quick=50,
    ),
    mutant(
        "the mark's time is that of the start of the run",
        wrap(UPLOAD + "mark_attempted", marked_when_the_run_began),
        replace(UPLOAD + "record_confirmed", confirmed_without_a_time),
        replace(UPLOAD + "record_unknown", nothing),
    ),
    mutant(
        "a confirmation leaves the time of the mark", replace(UPLOAD + "record_confirmed", confirmed_without_a_time)
    ),
    mutant("agreed on an unknown outcome", replace(UPLOAD + "record_unknown", agreed_on_an_unknown_outcome)),
    mutant("a doubtful upload is not waited for", wrap(ROUND + "next_observation", without_doubts)),
    mutant(
        "a removal of unknown outcome counts as confirmed",
        wrap(REMOVAL + "_RemovalRecorder._settle", unknown_counts_as_removed),
    ),
    mutant("a removal does not mark attempted again", replace(REMOVAL + "mark_removal_attempted", nothing), quick=300),
    mutant("a refusal counts as uploaded", wrap(UPLOAD + "_UploadRecorder._settle", refusal_counts_as_uploaded)),
    # Removals (promises 2, 3, 4 and 7).
    mutant("a removal without a look at the backup", replace(REMOVAL + "prove_backup_copy", nothing)),
    mutant("one look instead of two", replace(REMOVAL + "recheck_absence", lambda local, removal: True)),
    mutant(
        "the old place goes before the new one is confirmed",
        replace("astica_sync.core.plan.plan_subset:with_confirmed_places", lambda plan, confirmed: plan),
    ),
    mutant(
        "the old mark goes before the sample is adopted under the new one",
        replace("astica_sync.core.plan.plan_subset:marks_to_forget", lambda plan, failed: plan.forgets),
    ),
    mutant("consent is kept for other samples", replace(ROUND + "is_agreed", lambda named, agreed: bool(agreed))),
    mutant("class_remove without a view of its moment", ANY_CLASS),
    mutant(
        "class_remove by the view of the plan",
        within(
            CLASS_REMOVAL + "ClassRemover.remove",
            "astica_sync.sync.observe:observe_before_removal",
            the_view_of_the_plan,
        ),
    ),
    mutant("class_remove goes by ids alone", replace(CLASS_REMOVAL + "shown_in_class", shown_by_ids_alone)),
    mutant(
        "class_remove of a class that holds others, too",
        WHOLE_CLASS_OF_OTHERS,
        ANY_CLASS,
    ),
    mutant(
        "the watcher sends although the guard refuses",
        wrap(ROUND + "apply_round", lambda original, session, status, refusals: original(session, status, [])),
        quick=10,
        days=True,
    ),
    # The backup (promises 1 and 2).
    mutant(
        "the backup comes after the upload", replace(UPLOAD + "UploadJob.prepare", prepared_from_the_file), quick=50
    ),
    mutant(
        "an image that is to be converted is sent as it is",
        replace(
            UPLOAD + "read_image_to_send",
            lambda local, content, image_format, *, from_backup: local.backup.read(content),
        ),
        quick=50,
    ),
    mutant(
        "a converted image is sent without a copy in the backup",
        replace("astica_sync.local.backup.prepared_images:PreparedImages.add", nothing),
        quick=50,
    ),
    mutant("what is sent is read from the file", wrap(UPLOAD + "UploadJob.send", sent_from_the_file)),
    mutant(
        "adopted without the backup",
        replace(ADOPTION + "back_up_adopted", nothing),
        replace(ADOPTION + "add_adopted_to_catalog", nothing),
    ),
    mutant(
        "an unmanaged sample without a uid counts as ours, cut",
        replace("astica_sync.sync.push.prove_uids:is_cut", lambda shown, sent, *, overdue: sent.startswith(shown)),
    ),
    # push --as
    mutant(
        "push --as looks at the folder",
        within(
            "astica_sync.sync.plan.find_status:plan_round",
            "astica_sync.core.plan.planner:make_plan",
            plan_of_the_folder,
        ),
    ),
    mutant(
        "push --as looks for the file before a removal",
        wrap(REMOVAL + "recheck_absence", looks_for_the_file_of_a_version),
    ),
    mutant("push --as sends from the file", wrap(UPLOAD + "UploadJob.prepare", version_sent_from_the_file)),
)
