"""When a plan removes too much to be believed, or sends too much again (promise 7).

A removal is rare in the life of a data set; a thousand at once are usually an unmounted drive, a wrong folder or a
slip of the hand. Ten samples, or a tenth of what is managed, pass without a question: enough for daily tidying, and
little enough to be put back from the backup within minutes of budget. More than half of one class does not pass, nor
does the last file of a class that is nowhere else in the store, nor a file that is still there and ignored now.

A service that suddenly shows little of what it had was emptied by somebody, or is not telling the truth. To send
everything again would cost days of budget, and twice the data once it is shown again, so that waits for a word too.
"""

from collections import defaultdict
from dataclasses import dataclass

from astica_sync.core.plan.planner import Plan, RemovalReason, RemoveSample, Upload


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a plan may remove unasked.

    ``share`` of the managed samples, though always ``floor`` of them; ``class_share`` of one class likewise.
    ``at_most`` is a person's own number (``--max-remove``) and replaces all of these; ``all`` is ``--yes``.
    """

    share: float = 0.1
    class_share: float = 0.5
    floor: int = 10
    at_most: int | None = None
    all: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why removals, or repeated uploads, of a plan are refused: the samples that would go, or would be sent again."""

    reason: str
    samples: tuple[RemoveSample, ...] = ()
    uploads: tuple[Upload, ...] = ()

    @property
    def kept_back(self) -> str:
        """What a refused plan does not do with them."""
        return "sent again" if self.uploads else "removed"


def find_refusals(plan: Plan, allowance: Allowance) -> list[Refusal]:
    """Every reason against the removals of the plan; one is enough to refuse them all."""
    removed = plan.removed
    if not removed or allowance.all:
        return []
    local = sum(count.local for count in plan.classes.values())
    if local == 0:
        return [Refusal(f"the store holds no sample at all; {_samples(len(removed))} would go", tuple(removed))]
    if allowance.at_most is not None:
        if len(removed) <= allowance.at_most:
            return []
        return [Refusal(f"{_samples(len(removed))} would go, {allowance.at_most} may", tuple(removed))]
    refusals = []
    limit = max(allowance.floor, int(allowance.share * plan.managed))
    if len(removed) > limit:
        reason = f"{_samples(len(removed))} of {plan.managed} would go; {limit} may without a word from you"
        refusals.append(Refusal(reason, tuple(removed)))
    ignored = tuple(removal for removal in removed if removal.why is RemovalReason.IGNORED)
    if ignored:
        refusals.append(Refusal(f"{_samples(len(ignored))} would go for being ignored now", ignored))
    return refusals + _class_refusals(plan, removed, allowance)


def find_repeats(plan: Plan, allowance: Allowance) -> list[Refusal]:
    """The reason against sending samples again, where the service shows fewer of ours than it lacks of those it had."""
    again = tuple(upload for upload in plan.uploads if upload.again)
    if allowance.all or len(again) <= max(allowance.floor, plan.managed):
        return []
    had = _samples(len(again) + plan.managed)
    return [
        Refusal(f"the service shows {plan.managed} of {had} that it had; it may not be telling the truth", (), again)
    ]


def _class_refusals(plan: Plan, removed: list[RemoveSample], allowance: Allowance) -> list[Refusal]:
    per_class: dict[str, list[RemoveSample]] = defaultdict(list)
    for removal in removed:
        per_class[removal.class_title].append(removal)
    refusals = []
    for title, removals in sorted(per_class.items()):
        count = plan.classes[title]
        limit = max(allowance.floor, int(allowance.class_share * count.managed))
        if count.local == 0 and any(removal.why is RemovalReason.ABSENT for removal in removals):
            refusals.append(Refusal(f"class {title!r} has vanished or is empty", tuple(removals)))
        elif len(removals) > limit:
            reason = f"class {title!r} would lose {len(removals)} of {count.managed}; {limit} may go without a word"
            refusals.append(Refusal(reason, tuple(removals)))
    return refusals


def _samples(number: int) -> str:
    return "1 sample" if number == 1 else f"{number} samples"
