"""The state of each image, as the page shows it: what the plan of a push says about its sample, with reason and remedy.

It decides nothing by itself. Each state follows from one place in the plan, so it agrees with ``astica-sync status``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from astica_sync.core.failure_remedy import remedy_of
from astica_sync.core.model import Problem
from astica_sync.core.plan.decision_table import NOT_OWNED, OUTCOME_UNKNOWN, REMOVAL_UNKNOWN, RemovalReason
from astica_sync.core.plan.plan import Plan, RemoveSample


class ImageState(StrEnum):
    """In the order in which the page lists them; a file has the first one after "on-service" that applies."""

    ON_SERVICE = "on-service"
    NEW = "new"
    SEVERAL_CLASSES = "several-classes"
    WAITING = "waiting"
    DOUBTFUL = "doubtful"
    PROBLEM = "problem"
    TO_REMOVE = "to-remove"
    BACKUP_ONLY = "backup-only"
    ELSEWHERE = "elsewhere"
    HELD_OUT = "held-out"
    NOT_OWNED = "not-owned"


STATES = tuple(ImageState)
LABELS = {
    ImageState.ON_SERVICE: "on the service",
    ImageState.NEW: "new",
    ImageState.SEVERAL_CLASSES: "in several classes",
    ImageState.WAITING: "waiting",
    ImageState.DOUBTFUL: "doubtful",
    ImageState.PROBLEM: "problem",
    ImageState.TO_REMOVE: "to be removed",
    ImageState.BACKUP_ONLY: "only in the backup",
    ImageState.ELSEWHERE: "made elsewhere",
    ImageState.HELD_OUT: "held out",
    ImageState.NOT_OWNED: "not owned",
}

SENT_BY_PUSH = "a push sends it"
SENT_AGAIN = "the service had it and does not show it; a push sends it again"
SENT_LATER = "a push sends it after others"
ADOPTED = "on the service; the next push notes that"
IN_PLACE = "the service has it"


@dataclass(frozen=True, slots=True)
class Shown:
    """The state of one image. ``reason`` says why, ``remedy`` which command helps, "" where none is needed; ``until``
    is when a wait ends, in seconds since the epoch, None where that is not known."""

    state: ImageState
    reason: str = ""
    remedy: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class WithoutFile:
    """A sample that is not in the store. ``sample_id`` is its number on the service. An image of the held-out folder
    is one as well, and has a size and a date."""

    uid: str
    class_title: str
    sample_id: int
    path: str
    shown: Shown
    size: int = 0
    mtime_ns: int = 0


@dataclass(slots=True)
class ImageStates:
    """The states that follow from one plan. ``by_uid`` are the samples with a file that are not simply in place, and
    ``problems``, by path, the files that are no samples; all other files have that of their class in ``by_class``, or
    ``usual``. ``has_later``: some of these are sent later, which their marks tell."""

    by_uid: dict[str, Shown] = field(default_factory=dict)
    problems: dict[str, Shown] = field(default_factory=dict)
    by_class: dict[str, Shown] = field(default_factory=dict)
    without_file: list[WithoutFile] = field(default_factory=list)
    usual: Shown = Shown(ImageState.ON_SERVICE, IN_PLACE)
    has_later: bool = False


def find_states(
    plan: Plan,
    problems: Iterable[Problem],
    failures: Mapping[str, str],
    similar: Mapping[str, str],
    refused: Iterable[RemoveSample] = (),
) -> ImageStates:
    """The states that follow from a plan.

    Args:
        problems: the files that cannot be samples, and those whose upload would fail.
        failures: why samples failed before, by uid.
        similar: of new class titles that wait for a confirmation, the existing ones that may be meant.
        refused: the removals that the guard refuses.
    """
    not_owned = Shown(ImageState.NOT_OWNED, NOT_OWNED, "to send it, name its class in owns")
    states = ImageStates(has_later=plan.later > 0, by_class=dict.fromkeys(plan.not_owned, not_owned))
    shown = states.by_uid
    for adopt in plan.adopts:
        shown[adopt.uid] = Shown(ImageState.ON_SERVICE, ADOPTED)
    for upload in plan.uploads:
        shown[upload.uid] = Shown(ImageState.NEW, SENT_AGAIN if upload.again else SENT_BY_PUSH)
    _take_removals(states, plan, {one.sample_id for one in refused})
    _take_several_classes(shown, plan)
    for waiting in plan.waiting:
        doubtful = waiting.reason in (OUTCOME_UNKNOWN, REMOVAL_UNKNOWN)
        remedy = "a push looks at the service after the wait and goes on" if doubtful else ""
        state = ImageState.DOUBTFUL if doubtful else ImageState.WAITING
        shown[waiting.uid] = Shown(state, waiting.reason, remedy, waiting.until)
    for upload in plan.questioned:
        title = similar.get(upload.class_title, "")
        reason = f"its class is new and nearly {title}" if title else "its class waits for your confirmation"
        remedy = "rename the class, or confirm it: astica-sync push --new-class TITLE"
        shown[upload.uid] = Shown(ImageState.WAITING, reason, remedy)
    for upload in plan.failed_before:
        reason = failures.get(upload.uid, "it failed before")
        shown[upload.uid] = Shown(ImageState.PROBLEM, reason, remedy_of(reason))
    for problem in problems:
        states.problems[problem.path] = Shown(ImageState.PROBLEM, problem.reason)
    return states


def _take_removals(states: ImageStates, plan: Plan, refused: set[int]) -> None:
    for removal in plan.removed:
        if removal.why in (RemovalReason.EXTRA, RemovalReason.MISPLACED):
            # The file stays in place; a second copy of it goes.
            before = states.by_uid.get(removal.uid, states.usual)
            states.by_uid[removal.uid] = Shown(before.state, f"a push removes a copy of it: {removal.why}")
            continue
        remedy = "the guard refuses it: confirm in a push, or astica-sync push --yes"
        shown = Shown(ImageState.TO_REMOVE, str(removal.why), remedy if removal.sample_id in refused else "")
        states.without_file.append(
            WithoutFile(removal.uid, removal.class_title, removal.sample_id, removal.path, shown)
        )
    for held in plan.held:
        shown = Shown(ImageState.WAITING, f"not removed for now: {held.reason}")
        states.without_file.append(WithoutFile(held.uid, held.class_title, held.sample_id, held.path, shown))
    for sample in plan.unmanaged:
        reason = plan.unmanaged_reasons.get(sample.sample_id, "made elsewhere and left as it is")
        remedy = "" if reason == NOT_OWNED else "match it with a file: astica-sync adopt"
        shown = Shown(ImageState.ELSEWHERE, reason, remedy)
        states.without_file.append(WithoutFile(sample.uid, sample.class_title, sample.sample_id, "", shown))


def _take_several_classes(shown: dict[str, Shown], plan: Plan) -> None:
    for samples in plan.in_several_classes:
        for sample in samples:
            others = ", ".join(one.class_title for one in samples if one is not sample)
            before = shown.get(sample.uid)
            reason = f"also in {others}; {before.reason if before else IN_PLACE}"
            shown[sample.uid] = Shown(ImageState.SEVERAL_CLASSES, reason, "leave it in one class")
