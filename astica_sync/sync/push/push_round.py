"""One round of a push: from a status to what became of its plan."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from astica_sync.core.model import content_in_class, content_of
from astica_sync.core.plan.guard import Allowance, Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.plan_subset import after_uploads, with_confirmed_removals, without_repeats, without_uploads
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.apply.result import ApplyResult, FailedSample
from astica_sync.sync.observe import pause_before_look
from astica_sync.sync.plan.find_status import StoreStatus, plan_round
from astica_sync.sync.plan.held_out_images import note_returned
from astica_sync.sync.push.block_respelled_titles import block_renamed
from astica_sync.sync.push.block_uid_collisions import block_overwritten
from astica_sync.sync.push.prove_uids import apply_first_upload
from astica_sync.sync.session import Session

Consent = Callable[[list[Refusal]], bool]
"""Asked when the guard refuses a part of the plan; True lets it be done."""
Naming = Callable[[list[NearTitle]], bool]
"""Asked when new classes have titles similar to existing ones; True creates them."""

NOT_SHOWN = "the service confirmed it and does not show it; the next push tries it once more"
STILL_SHOWN = "the service refuses to remove it and still shows it; look at it on the service's page, then push again"


@dataclass(frozen=True, slots=True)
class Round:
    """What became of one round.

    ``observe_at`` is when the next observation can resolve what is doubtful, in seconds since the epoch; None when
    nothing is. ``waits_for`` says what is waited for until then. ``late_uploads`` and ``late_removals`` count the
    requests of earlier rounds with unknown outcome that this round's observation shows as done.
    """

    status: StoreStatus
    applied: ApplyResult
    refusals: list[Refusal]
    observe_at: float | None
    late_uploads: int
    late_removals: int
    waits_for: str = ""

    @property
    def in_sync(self) -> bool:
        """Whether the service now has what the store has, by what was observed and confirmed."""
        plan, applied = self.status.plan, self.applied
        undone = self.refusals or plan.failed_before or applied.failed or applied.left or applied.doubtful
        return not (undone or plan.waiting or plan.held or plan.questioned or plan.incomplete or plan.later)


class RoundRunner:
    """Runs rounds. It remembers from one to the next what the user agreed to, what the service confirmed, and which
    outcomes are unknown. A push runs rounds in a loop; a watcher runs one when there is a reason to.

    Args:
        consent: as ``Consent`` says.
        naming: as ``Naming`` says.
        new_classes: new titles that the user wants although they are similar to existing ones.
        retry: the samples that failed before were unblocked by the user.
    """

    def __init__(
        self,
        session: Session,
        consent: Consent = lambda _: False,
        naming: Naming = lambda _: False,
        new_classes: Iterable[str] = (),
        retry: bool = False,
    ) -> None:
        self._session = session
        self._retry = retry
        self._consent = consent
        self._naming = naming
        self._accepted_titles = set(new_classes)
        self._agreed: set[int | str] = set()
        self._refused: set[int] = set()
        self._doubtful_uploads: set[str] = set()
        self._doubtful_removals: set[int] = set()
        self._looks = 0
        """How many observations in a row were made early, to see what the service has confirmed."""
        self.confirmed: set[str] = set()
        """The uids that the service confirmed and, as far as is known, does not show yet."""

    def run(self, status: StoreStatus, choose: Callable[[Plan], Plan] = lambda plan: plan) -> Round:
        """Applies the part of the plan that ``choose`` returns; waits for nothing. The rest of the plan counts
        nowhere."""
        if not self._retry:
            status = self._block_overwritten(status)
        forget_returned(self._session)
        status = self._ask_about_titles(status)
        status, not_shown = drop_confirmed(status, self.confirmed)
        status = replace(status, plan=choose(status.plan))
        self._announce(status)
        refusals = self._ask_guard(status.refusals)
        status = drop_refused_repeats(status, refusals)
        status = mark_confirmed_removals(status, refusals, self._session.policy.allowance)
        applied = apply_round(self._session, status, refusals)
        now, quarantine = self._session.runtime.clock.now(), self._session.policy.quarantine
        observe_at = next_observation(status.plan, applied, self._refused, now, quarantine, self._looks)
        self._looks = self._looks + 1 if waits_to_be_shown(status.plan, applied) else 0
        applied.failed += [*fail_still_shown(status.plan, applied, self._refused), *not_shown]
        return self._remember(
            Round(status, applied, refusals, observe_at, *self._resolve(status), what_waits(status.plan, applied))
        )

    def continue_with(self, session: Session) -> None:
        """The next rounds use this session."""
        self._session = session

    def note_doubtful(self, applied: ApplyResult) -> None:
        """Remembers what was sent with unknown outcome, so that the round that shows it as done counts it."""
        self._doubtful_uploads -= applied.uploaded
        self._doubtful_uploads |= applied.doubtful_uploads
        self._doubtful_removals |= applied.doubtful_removals

    def _block_overwritten(self, status: StoreStatus) -> StoreStatus:
        """Plans again without samples that the service replaces by each other, or shows in other classes."""
        journal, now = self._session.local.journal, self._session.runtime.clock.now()
        overwritten = block_overwritten(journal, status, now)
        return self._plan_again(status) if block_renamed(journal, status, now) or overwritten else status

    def _ask_about_titles(self, status: StoreStatus) -> StoreStatus:
        """Asks about new classes with titles similar to existing ones, once each; plans again with those accepted."""
        if not status.near:
            return status
        new = [entry for entry in status.near if entry.title not in self._accepted_titles]
        if new and self._naming(new):
            self._accepted_titles |= {entry.title for entry in status.near}
        return self._plan_again(status)

    def _plan_again(self, status: StoreStatus) -> StoreStatus:
        return plan_round(self._session, status.scan, status.observation, self._accepted_titles, most=status.most)

    def _announce(self, status: StoreStatus) -> None:
        seconds = self._session.remote.service.forecast(status.plan.requests)
        self._session.listener.planned(status.plan, status.refusals, seconds)

    def _ask_guard(self, refusals: list[Refusal]) -> list[Refusal]:
        """The refusals that hold. The user's consent is about the samples that were shown, not about later ones."""
        named = {one for refusal in refusals for one in refusal.named}
        if not named <= self._agreed and self._consent(refusals):
            self._agreed |= named
        return [] if is_agreed(named, self._agreed) else refusals

    def _resolve(self, status: StoreStatus) -> tuple[int, int]:
        """Counts the doubtful uploads and removals of earlier rounds that this observation shows as done."""
        uploads = {adopt.uid for adopt in status.plan.adopts} & self._doubtful_uploads
        removals = self._doubtful_removals - {sample.sample_id for sample in status.observation.samples}
        self._doubtful_uploads -= uploads
        self._doubtful_removals -= removals
        return len(uploads), len(removals)

    def _remember(self, ended: Round) -> Round:
        self.confirmed |= ended.applied.uploaded
        self.note_doubtful(ended.applied)
        self._refused |= ended.applied.refused
        return ended


def forget_returned(session: Session) -> None:
    """Forgets that ``split`` has moved the samples that are in the store again: the guard counts what is lost later."""
    local, model_id = session.local, session.remote.model_id
    back, recipes = [], functools.cache(local.known_recipes)
    places = local.journal.held_out()
    for uid in places:
        for path in local.index.paths_with(content_of(uid)):
            title = class_title_of(path.partition("/")[0])
            if title is not None and content_in_class(uid, model_id, title, recipes()):
                back.append((uid, title, path, ""))
                break
    if back:
        note_returned(local.index, ((content_of(uid), places[uid]) for uid, *_ in back))
        local.journal.hold_out(back, session.runtime.clock.now())


def drop_confirmed(status: StoreStatus, confirmed: set[str]) -> tuple[StoreStatus, list[FailedSample]]:
    """Without the uploads that were confirmed in this push and are not shown although their quarantine is over: to send
    them again and again would fill the account. The next push tries them once more."""
    plan = without_uploads(status.plan, confirmed)
    uids = {upload.uid for upload in plan.uploads}
    dropped = [upload for upload in status.plan.uploads if upload.uid not in uids]
    failed = [FailedSample(upload.class_title, upload.path, NOT_SHOWN, "not_shown") for upload in dropped]
    # A refusal about uploads that are not tried anyway is none.
    refusals = [one for one in status.refusals if not one.uploads or uids & {upload.uid for upload in one.uploads}]
    return replace(status, plan=plan, refusals=refusals), failed


def is_agreed(named: set[int | str], agreed: set[int | str]) -> bool:
    """Whether the user agreed to all of these samples."""
    return named <= agreed


def mark_confirmed_removals(status: StoreStatus, refusals: list[Refusal], allowance: Allowance) -> StoreStatus:
    """Marks the removals that the user allowed, by a flag or by an answer about the samples that it names: the guard
    does not count them later."""
    if allowance.all or allowance.at_most is not None:
        return replace(status, plan=with_confirmed_removals(status.plan))
    named = {removal.sample_id for refusal in status.refusals for removal in refusal.samples}
    return status if refusals or not named else replace(status, plan=with_confirmed_removals(status.plan, named))


def drop_refused_repeats(status: StoreStatus, refusals: list[Refusal]) -> StoreStatus:
    """Without the repeated uploads that the guard refuses."""
    repeats = {upload.uid for refusal in refusals for upload in refusal.uploads}
    return replace(status, plan=without_repeats(status.plan, repeats))


def apply_round(session: Session, status: StoreStatus, refusals: list[Refusal]) -> ApplyResult:
    """Applies the plan; the first upload alone where nothing shows yet that the service keeps our uids. Removals wait
    until no new sample is left for a later round."""
    removals = not refusals and not status.plan.later
    plan = status.plan
    if not plan.first_upload_alone:
        return apply_plan(session, plan, removals=removals)
    first, tried = apply_first_upload(session, plan, status.observation)
    rest = after_uploads(plan, tried, first.uploaded)
    if first.error is not None or first.doubtful or (plan.sizes_unproven and first.uploaded):
        first.left += len(rest.uploads) + len(rest.removed)
    else:
        first.include(apply_plan(session, rest, removals=removals))
    return first


def next_observation(
    plan: Plan, applied: ApplyResult, refused: set[int], now: float, quarantine: float, looks: int = 0
) -> float | None:
    """When the next observation can resolve what is doubtful, in seconds since the epoch; None when nothing is.

    What the service confirmed and does not show yet is looked for earlier, after growing pauses; ``looks`` counts
    those that were made. An earlier request may have carried out a removal that the service refuses; one
    observation shows that. ``refused`` are the ids that had theirs.
    """
    if plan.later and not (plan.first_upload_alone and applied.doubtful):
        # The next batch waits for nothing; its observation resolves what is doubtful as well.
        return now
    if plan.sizes_unproven and applied.uploaded and not applied.doubtful and applied.error is None:
        # What the service shows of that upload tells whether sizes count.
        return now
    times = [waiting.until for waiting in plan.waiting if waiting.uid not in applied.unconverted]
    if applied.doubtful:
        times.append(now + quarantine)
    if applied.refused - refused:
        times.append(now)
    end = max(times, default=None)
    if end is not None and waits_to_be_shown(plan, applied):
        return min(end, now + pause_before_look(looks))
    return end


def waits_to_be_shown(plan: Plan, applied: ApplyResult) -> bool:
    """Whether everything that is waited for has an outcome, and only has to be shown."""
    return bool(plan.waiting) and not applied.doubtful and all(entry.ends_when_shown for entry in plan.waiting)


def what_waits(plan: Plan, applied: ApplyResult) -> str:
    """What the next observation is waited for; for people."""
    # What takes the whole quarantine comes first.
    entries = sorted(plan.waiting, key=lambda entry: entry.ends_when_shown)
    if applied.doubtful or not entries:
        cause = "some answers were lost" if applied.doubtful else "the service refused a removal"
        return f"{cause}; a view after this wait shows what the service did"
    more = f", and {len(entries) - 1} more" if len(entries) > 1 else ""
    return f"{entries[0].path or entries[0].class_title}: {entries[0].reason}{more}"


def fail_still_shown(plan: Plan, applied: ApplyResult, refused: set[int]) -> list[FailedSample]:
    """The removals that the service refuses although an observation showed in between that they are not done."""
    if applied.refused - refused:
        return []
    still_shown = [removal for removal in plan.removed if removal.sample_id in applied.refused]
    return [FailedSample(removal.class_title, removal.path, STILL_SHOWN) for removal in still_shown]
