"""The guard: refuses a plan that removes unusually much, or sends unusually much again (promise 7).

A removal is rare in the life of a data set; a thousand at once usually come from an unmounted drive, a wrong folder or
a slip. Ten samples, or a tenth of what is managed, pass without a question: enough for daily tidying, and little enough
to be put back from the backup within minutes of budget. Refused are also more than half of one class, the last file of
a class whose images are nowhere else in the store, and a file that is still there and is ignored now.

The allowance is one for 24 hours, not for each plan: what was removed in them without confirmation counts, whichever
command did it, so that a folder that loses its files one by one is noticed as well. Moves, replaced images and removals
that the user confirmed do not count. What ``split`` has moved to the held-out images was confirmed there.

A service that suddenly shows few of its samples was emptied elsewhere, or its answer is wrong. Sending everything again
would cost days of budget, and leave each sample twice if it was only hidden, so the user confirms that too.

Where the recipe has changed by which images are converted, each of them is sent again, and then its former sample
removed. More of these than the allowance are confirmed together, the uploads as well: they cost most. They count among
no other removals: the store has lost nothing.

Where the setting ``owns`` leaves out classes of which this store has sent samples, these are given up: they stay on the
service, and no push of this store removes them any more. More of them than the allowance are confirmed, since a
misspelled title would give up a class by mistake.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.plan import GivenUp, Plan, RemoveSample, Upload

MEMORY_SECONDS = 24 * 3600.0
"""How long a removal counts against the allowance."""
LOSSES = (
    RemovalReason.ABSENT,
    RemovalReason.NOT_IN_VERSION,
    RemovalReason.OVERWRITTEN,
    RemovalReason.DUPLICATE,
)
"""The reasons of the removals that count: the store, or the version that is pushed, has a sample less than before."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much is removed in 24 hours without confirmation.

    ``share`` (0 to 1) of the managed samples, though always ``floor`` of them; ``class_share`` of one class likewise.
    ``at_most`` is the number given by ``--max-remove`` and replaces all of these; ``all`` is ``--yes``.
    """

    share: float = 0.1
    class_share: float = 0.5
    floor: int = 10
    at_most: int | None = None
    all: bool = False

    def limit(self, managed: int) -> int:
        """How many of so many samples."""
        return max(self.floor, int(self.share * managed)) if self.at_most is None else self.at_most


@dataclass(frozen=True, slots=True)
class RecentRemovals:
    """How many samples whose file is gone were removed without confirmation in the last ``MEMORY_SECONDS``, by class
    title."""

    by_class: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.by_class.values())


NO_REMOVALS = RecentRemovals()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why removals, or repeated uploads, of a plan are refused: ``samples`` would be removed,
    ``uploads`` sent again, ``given_up`` left to another store."""

    reason: str
    samples: tuple[RemoveSample, ...] = ()
    uploads: tuple[Upload, ...] = ()
    given_up: tuple[GivenUp, ...] = ()

    @property
    def kept_back(self) -> str:
        """What is not done with them."""
        if self.given_up:
            return "given up"
        return "sent again" if self.uploads else "removed"

    @property
    def named(self) -> set[int | str]:
        """The samples that the user has to agree to: ids of those on the service, uids of those to send."""
        ids = {one.sample_id for one in self.samples} | {each for one in self.given_up for each in one.sample_ids}
        return {*ids, *(upload.uid for upload in self.uploads)}


def check_removals(plan: Plan, allowance: Allowance, recent: RecentRemovals = NO_REMOVALS) -> list[Refusal]:
    """Every reason against the removals of the plan; one is enough to refuse them all."""
    removed = judged(plan)
    if not removed or allowance.all:
        return []
    local = sum(count.local for count in plan.classes.values())
    if local == 0:
        return [_refuse(f"the store has no samples; {_samples(len(removed))} would be removed", removed)]
    if allowance.at_most is not None:
        if len(removed) <= allowance.at_most:
            return []
        reason = f"{_samples(len(removed))} would be removed; --max-remove allows {allowance.at_most}"
        return [_refuse(reason, removed)]
    return check_total(plan, allowance, recent) + check_ignored(plan) + check_classes(plan, allowance, recent)


def judged(plan: Plan) -> tuple[RemoveSample, ...]:
    """The removals that need an allowance as such."""
    others = (RemovalReason.HELD_OUT, RemovalReason.RECONVERTED)
    return tuple(removal for removal in plan.removed if removal.why not in others)


def check_total(plan: Plan, allowance: Allowance, recent: RecentRemovals) -> list[Refusal]:
    """The reason against removing more than the allowed share of all managed samples."""
    removed = judged(plan)
    counted = _counted(recent.total, removed)
    limit = allowance.limit(plan.managed + counted)
    if len(removed) + counted <= limit:
        return []
    total = f"{_samples(len(removed))} of {plan.managed} would be removed{_and_before(recent.total, removed)}"
    return [_refuse(f"{total}; at most {limit} are removed without confirmation", removed)]


def check_ignored(plan: Plan) -> list[Refusal]:
    """The reason against removing files that are there and are left out now."""
    ignored = [removal for removal in plan.removed if removal.why is RemovalReason.IGNORED]
    if not ignored:
        return []
    why = "their files are left out now, as litter or by .astica-ignore"
    return [_refuse(f"{_samples(len(ignored))} would be removed because {why}", ignored)]


def check_classes(plan: Plan, allowance: Allowance, recent: RecentRemovals) -> list[Refusal]:
    """The reasons against removing a class, or more than the allowed share of one."""
    per_class: dict[str, list[RemoveSample]] = defaultdict(list)
    for removal in judged(plan):
        per_class[removal.class_title].append(removal)
    refusals = []
    for title, removals in sorted(per_class.items()):
        count = plan.classes[title]
        before = recent.by_class.get(title, 0)
        counted = _counted(before, removals)
        limit = max(allowance.floor, int(allowance.class_share * (count.managed + counted)))
        if count.local == 0 and any(removal.why in LOSSES for removal in removals):
            refusals.append(_refuse(f"class {title!r} is missing or empty in the store", removals))
        elif len(removals) + counted > limit:
            loss = f"class {title!r} would lose {len(removals)} of {count.managed} samples"
            loss += _and_before(before, removals)
            refusals.append(_refuse(f"{loss}; at most {limit} are removed without confirmation", removals))
    return refusals


def check_repeats(plan: Plan, allowance: Allowance) -> list[Refusal]:
    """The reason against sending samples again, where the service shows fewer of ours than it lacks of those it had."""
    again = tuple(upload for upload in plan.uploads if upload.again)
    if allowance.all or len(again) <= max(allowance.floor, plan.managed):
        return []
    had = _samples(len(again) + plan.managed)
    return [Refusal(f"the service shows {plan.managed} of {had} that it had; its answer may be wrong", uploads=again)]


def check_reconversions(plan: Plan, allowance: Allowance) -> list[Refusal]:
    """The reason against sending images again that another recipe converts now, and removing their former samples."""
    uploads = tuple(upload for upload in plan.uploads if upload.reconverted)
    removed = tuple(removal for removal in plan.removed if removal.why is RemovalReason.RECONVERTED)
    number = max(len(uploads), len(removed))
    limit = allowance.limit(plan.managed)
    if allowance.all or number <= limit:
        return []
    images = "1 image is" if number == 1 else f"{number} images are"
    reason = (
        f"{images} converted by another recipe now: {_requests(len(uploads))} to send and {_requests(len(removed))}"
        f" to remove what was sent before; at most {limit} are replaced without confirmation"
    )
    return [Refusal(reason, removed, uploads)]


def check_given_up(plan: Plan, allowance: Allowance) -> list[Refusal]:
    """The reason against leaving more samples to other stores than the allowance."""
    number = len(plan.given_up)
    limit = allowance.limit(plan.managed + number)
    if allowance.all or number <= limit:
        return []
    titles = sorted({one.class_title for one in plan.given_up})
    names = ", ".join(map(repr, titles[:3])) + (" and others" if titles[3:] else "")
    reason = (
        f"{_samples(number)} of {names} would be given up, since this store does not own "
        f"{'their class' if len(titles) == 1 else 'their classes'} any more; at most {limit} are given up without "
        "confirmation"
    )
    return [Refusal(reason, given_up=plan.given_up)]


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number} requests"


def _counted(recent: int, removals: Sequence[RemoveSample]) -> int:
    """What was removed before counts against files that are gone; moves alone are judged by themselves."""
    return recent if any(removal.why in LOSSES for removal in removals) else 0


def _and_before(recent: int, removals: Sequence[RemoveSample]) -> str:
    if not _counted(recent, removals):
        return ""
    return f", after {'1 removal' if recent == 1 else f'{recent} removals'} in the last 24 hours"


def _refuse(reason: str, removals: Sequence[RemoveSample]) -> Refusal:
    return Refusal(reason, tuple(removals))


def _samples(number: int) -> str:
    return "1 sample" if number == 1 else f"{number} samples"
