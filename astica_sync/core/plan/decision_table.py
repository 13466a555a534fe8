"""The decision table: what follows for one sample from what store, journal and service show of it.

``decide`` holds the whole table. Code that needs an answer faster (the columns of ``unchanged``, the watcher's new
files) calls it as well, or is proved equal to it by a property test. The callers match on the actions and decide
nothing themselves.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, assert_never

from astica_sync.core.model import MarkState, Presence

CONFIRMED = "confirmed by the service, not shown by it yet"
OUTCOME_UNKNOWN = "sent, its outcome is unknown"
REMOVAL_UNKNOWN = "its removal was sent, the outcome is unknown"
MADE_AGAIN = "made again elsewhere after this store removed it"
OTHER_SIZE = "its uid is that of an image of this store, its size is not"
OTHER_STORE = "sent by another store"
NOT_OWNED = "its class is none that this store owns"
CLASS_UNREADABLE = "part of its class could not be read"
UNPROVEN = "it was adopted, so the backup may not have its bytes; to remove it: astica-sync remove-sample ID"
ADOPTED_TWICE = "it was adopted, and the image is there once more; to remove it: astica-sync remove-sample ID"
CONVERTED_FIRST = "it is converted first: its size tells which sample on the service is its own"
SENT_AGAIN = "it was removed and sent again, and no answer came: an older view may still show the removed copy"
NEW_PLACE_PENDING = "its new place is not confirmed yet"
NEW_RECIPE_PENDING = "what the image is converted to now is not confirmed yet"


class RemovalReason(StrEnum):
    """Why a remote sample is to be removed."""

    ABSENT = "its file is gone"
    IGNORED = "its file is ignored now"
    MOVED = "it is in another class now"
    EXTRA = "it is there more than once"
    MISPLACED = "it is in another class than it was sent to"
    NOT_IN_VERSION = "it is not in the data of that version"
    HELD_OUT = "split has moved it to the held-out images"
    REPLACED = "another image has its file name now"
    OVERWRITTEN = "an image that another file has too has its file name now"
    DUPLICATE = "it is gone from this class, and another class had it before"
    RECONVERTED = "it was converted by another recipe"


class Facts(NamedTuple):
    """All that is known of one sample.

    ``local`` and ``mark`` are what the scan and the journal know, ``copies`` the sample ids in its place in the
    observation, lowest first (of an absent sample, in any place), ``misplaced`` those under another class.

    ``asked_at`` is when the observation was asked for, ``quarantine_ends`` when the last request about the sample can
    no longer be carried out late; None if none was sent. ``removed`` are the sample ids whose removal was requested,
    and ``removed_at`` when the service confirmed that, of a removed sample; ``gone`` those of them whose removal it has
    confirmed while that of another copy, or a later upload, is open. All times are seconds since the epoch.

    ``upload_open`` says that an upload of unknown outcome may still be carried out. ``removal_is_over`` of an absent
    sample: only removals of it have an unknown outcome, and a quarantine has passed, which no restart begins again.

    ``other_size`` are the sample ids that show another size than the image has: they were made elsewhere.

    ``class_not_owned`` says that another store manages its class (the setting ``owns``), ``not_owned`` are the sample
    ids that are shown in such a class.

    Of a present sample: ``failed_before`` says that it is not tried again until its bytes change, ``title_questioned``
    that the user has to confirm its new class first, ``size_unknown`` that it is converted before it is sent and has
    not been yet, while the view shows sizes. Of an absent one: ``moved`` that another class of the store has
    its image, ``new_place_pending`` that nothing shows yet that the service has the image there, ``ignored`` that its
    file is there and ignored, ``held_out`` that ``split`` has moved its file, ``not_in_version`` that it is missing in
    the data of a version, which is followed instead of the store; ``file_problem`` why the file that is at its path is
    no good image, ``other_recipe`` that the store has its image in its class, which is converted by another recipe now,
    ``replaced`` that another image is there, ``is_loss`` that what moved or replaced it was in the store
    before, so that the store has a sample less, ``replacement_pending`` why that one is neither on the service nor
    uploaded by this plan.

    ``unproven`` are those of the sample ids that were adopted, so that the backup may not have their bytes: no plan
    removes them (promise 2).
    """

    local: Presence
    mark: MarkState | None = None
    copies: tuple[int, ...] = ()
    misplaced: tuple[int, ...] = ()
    asked_at: float = 0.0
    quarantine_ends: float | None = None
    removed: tuple[int, ...] = ()
    removed_at: float = 0.0
    other_size: tuple[int, ...] = ()
    upload_open: bool = False
    removal_is_over: bool = False
    failed_before: bool = False
    title_questioned: bool = False
    moved: bool = False
    new_place_pending: bool = False
    ignored: bool = False
    held_out: bool = False
    not_in_version: bool = False
    file_problem: str = ""
    other_recipe: bool = False
    replaced: bool = False
    is_loss: bool = False
    replacement_pending: str = ""
    unproven: tuple[int, ...] = ()
    size_unknown: bool = False
    gone: tuple[int, ...] = ()
    class_not_owned: bool = False
    not_owned: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class UploadSample:
    """Send it. ``again``: the service has confirmed or shown it before."""

    again: bool


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Send nothing about it before ``moment``; an observation asked for from then on decides. ``confirmed``: the
    service has confirmed it and does not show it yet. ``removed_for``: so many seconds ago the service confirmed its
    removal, which it does not show yet; None where it was not removed. ``removal``: the last request was a removal."""

    moment: float
    confirmed: bool
    removed_for: float | None = None
    removal: bool = False

    @property
    def reason(self) -> str:
        if self.removed_for is not None:
            return f"removed {max(0.0, self.removed_for):.0f} s ago; waiting until the service shows it"
        if self.confirmed:
            return CONFIRMED
        return REMOVAL_UNKNOWN if self.removal else OUTCOME_UNKNOWN

    @property
    def ends_when_shown(self) -> bool:
        """Whether an earlier observation ends the wait, if it shows what the service confirmed."""
        return self.confirmed or self.removed_for is not None


@dataclass(frozen=True, slots=True)
class SkipFailed:
    """Do not send it: it failed before, and its bytes are the same."""


@dataclass(frozen=True, slots=True)
class ConvertFirst:
    """Convert the image, and send nothing: the size of what would be sent tells which of the samples shown are its
    own."""


@dataclass(frozen=True, slots=True)
class AskAboutTitle:
    """Do not send it before the user confirms its class, whose title is nearly that of another one."""


@dataclass(frozen=True, slots=True)
class Keep:
    """It is in sync."""


@dataclass(frozen=True, slots=True)
class AdoptCopy:
    """Note that the service has it, as this sample id; no request."""

    sample_id: int


@dataclass(frozen=True, slots=True)
class RemoveCopies:
    """Remove these sample ids from the service. ``leaves_doubt``: an upload of it may still be carried out late, so
    that a confirmed removal is not the last word about it."""

    sample_ids: tuple[int, ...]
    reason: RemovalReason
    leaves_doubt: bool = False


@dataclass(frozen=True, slots=True)
class HoldCopies:
    """Leave these sample ids on the service until what is unknown now is known."""

    sample_ids: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class LeaveUnmanaged:
    """It was made elsewhere: leave it. ``sample_ids`` are those that are left, None for all; ``reason`` how it is
    known, where that is more than the missing mark."""

    sample_ids: tuple[int, ...] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SkipNotOwned:
    """Do not send it: another store manages its class."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Delete its mark, and leave these sample ids on the service: another store manages its class now."""

    sample_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeepMark:
    """It is absent on both sides; a late copy may still appear, which is removed by its mark."""


@dataclass(frozen=True, slots=True)
class ForgetMark:
    """It is absent on both sides for good: delete its mark."""


Action = (
    UploadSample
    | WaitUntil
    | SkipFailed
    | ConvertFirst
    | AskAboutTitle
    | Keep
    | AdoptCopy
    | RemoveCopies
    | HoldCopies
    | LeaveUnmanaged
    | SkipNotOwned
    | GiveUp
    | KeepMark
    | ForgetMark
)

_KEEP = (Keep(),)
_LEAVE = (LeaveUnmanaged(),)
_FIRST_UPLOAD = (UploadSample(again=False),)


def decide(facts: Facts) -> tuple[Action, ...]:
    """What to do about one sample, in order: the decision table of the design, section 4."""
    if facts.class_not_owned:
        return tuple(_decide_not_owned(facts))
    if not facts.not_owned:
        return _decide_owned(facts)
    rest = facts._replace(
        copies=tuple(one for one in facts.copies if one not in facts.not_owned),
        misplaced=tuple(one for one in facts.misplaced if one not in facts.not_owned),
        other_size=tuple(one for one in facts.other_size if one not in facts.not_owned),
    )
    left = LeaveUnmanaged(facts.not_owned, NOT_OWNED)
    if rest.mark is not None or rest.local is Presence.PRESENT:
        return (*_decide_owned(rest), left)
    return (LeaveUnmanaged(rest.copies), left) if rest.copies else (left,)


def _decide_not_owned(facts: Facts) -> Iterator[Action]:
    """Nothing is sent or removed. The mark of a sample that this store has sent stays until its last request can no
    longer be carried out late."""
    shown = facts.copies + facts.misplaced
    if facts.local is Presence.PRESENT:
        yield SkipNotOwned()
    if shown:
        yield LeaveUnmanaged(shown, NOT_OWNED)
    if facts.mark is None:
        return
    if not is_settled(facts):
        yield KeepMark()
    else:
        yield GiveUp(shown) if shown else ForgetMark()


def _decide_owned(facts: Facts) -> tuple[Action, ...]:
    foreign = _made_elsewhere(facts)
    if not foreign:
        return _decide_proven(facts)
    rest = facts._replace(
        copies=tuple(one for one in facts.copies if one not in foreign),
        misplaced=tuple(one for one in facts.misplaced if one not in foreign),
    )
    return (*_decide_proven(rest), LeaveUnmanaged(foreign, OTHER_SIZE))


def _decide_proven(facts: Facts) -> tuple[Action, ...]:
    if not facts.unproven:
        return _decide(facts)
    # The first copy is the one that stays: one that this or another store has sent, if there is any.
    copies = sorted(facts.copies, key=lambda one: (one in facts.unproven, one))
    actions = _decide(facts._replace(copies=tuple(copies)))
    return tuple(part for action in actions for part in _spare(action, facts.unproven))


def _spare(action: Action, unproven: tuple[int, ...]) -> Iterator[Action]:
    """The action, with what it would remove without proof kept instead."""
    if not isinstance(action, RemoveCopies):
        yield action
        return
    proven = tuple(one for one in action.sample_ids if one not in unproven)
    if proven:
        yield replace(action, sample_ids=proven)
    kept = tuple(one for one in action.sample_ids if one in unproven)
    if not kept:
        return
    if action.reason in (RemovalReason.EXTRA, RemovalReason.MISPLACED):
        yield LeaveUnmanaged(kept, ADOPTED_TWICE)
    else:
        yield HoldCopies(kept, UNPROVEN)


def _decide(facts: Facts) -> tuple[Action, ...]:
    if facts.mark is MarkState.AGREED and facts.removed and not is_settled(facts):
        # A view that lags shows copies that the service has removed, and their ids may be those of others by now.
        facts = _without(facts, facts.removed)
    elif facts.mark is MarkState.ATTEMPTED and facts.gone and not is_settled(facts):
        rest = _without(facts, facts.gone)
        if facts.local is Presence.ABSENT and facts.upload_open and facts.copies and not rest.copies:
            # That copy, or one that was sent since and has got its id again.
            return (HoldCopies(facts.copies, SENT_AGAIN),)
        facts = rest
    match facts.local:
        case Presence.PRESENT:
            return _decide_present(facts)
        case Presence.ABSENT if facts.mark is None:
            return _LEAVE
        case Presence.ABSENT if facts.mark is MarkState.REMOVED:
            return _decide_removed(facts)
        case Presence.ABSENT:
            return (_decide_absent(facts),)
        case Presence.UNKNOWN:
            return (HoldCopies(facts.copies, CLASS_UNREADABLE),)
        case _:
            assert_never(facts.local)


def _made_elsewhere(facts: Facts) -> tuple[int, ...]:
    """The sample ids that are not ours, by their size. Where the service confirmed a sample and shows none of its size
    in any class, the lowest id in its place counts as ours: a service may change images, and nothing is sent again for
    that."""
    if not facts.other_size or (facts.mark is None and facts.local is not Presence.PRESENT):
        return ()
    fitting = [one for one in facts.copies + facts.misplaced if one not in facts.other_size]
    if facts.local is Presence.PRESENT and facts.mark is MarkState.AGREED and facts.copies and not fitting:
        return tuple(one for one in facts.other_size if one != facts.copies[0])
    return facts.other_size


def is_settled(facts: Facts) -> bool:
    """Whether the observation was asked for a whole quarantine after the last request about the sample (promise 5)."""
    return facts.quarantine_ends is None or facts.asked_at >= facts.quarantine_ends


def is_removal_shown(asked_at: float, removed_at: float, removed: Iterable[int], shown: Container[int]) -> bool:
    """Whether an observation shows that the sample ids ``removed`` are gone: it was asked for after the service had
    confirmed that, and ``shown`` has none of them. This, and not the time that passed, settles a removal."""
    return asked_at >= removed_at and not any(sample_id in shown for sample_id in removed)


def secures_image(actions: tuple[Action, ...]) -> bool:
    """Whether the service has the image of a present sample in its place, or takes it before any removal of this plan.
    Until then no other place of the same image is given up."""
    match actions[0]:
        case UploadSample() | Keep() | AdoptCopy():
            return True
        case WaitUntil() as wait:
            return wait.confirmed
        case _:
            return False


def _decide_present(facts: Facts) -> tuple[Action, ...]:
    if facts.size_unknown and _depends_on_size(facts):
        return (SkipFailed() if facts.failed_before else ConvertFirst(),)
    removal_shown = False
    if facts.mark is MarkState.REMOVED:
        shown = facts.copies + facts.misplaced
        removal_shown = not facts.upload_open and is_removal_shown(
            facts.asked_at, facts.removed_at, facts.removed, shown
        )
        if not is_settled(facts):
            # What was removed and is shown is not there: the view lags.
            facts = _without(facts, facts.removed)
    elif facts.mark is MarkState.ATTEMPTED and facts.removed and not is_settled(facts):
        facts = _doubted_last(facts)
    if not facts.copies:
        if facts.failed_before:
            return (SkipFailed(),)
        if facts.quarantine_ends is not None and not (is_settled(facts) or removal_shown):
            removed_for = facts.asked_at - facts.removed_at if facts.mark is MarkState.REMOVED else None
            confirmed = facts.mark is MarkState.AGREED
            removal = any(one not in facts.gone for one in facts.removed)
            return (WaitUntil(facts.quarantine_ends, confirmed, removed_for, removal),)
        if facts.title_questioned:
            return (AskAboutTitle(),)
        if facts.mark is not MarkState.AGREED and not facts.misplaced:
            return _FIRST_UPLOAD
        return (UploadSample(again=facts.mark is MarkState.AGREED), *_remove_extras(facts))
    kept = _KEEP if facts.mark is MarkState.AGREED else (AdoptCopy(facts.copies[0]),)
    return kept if len(facts.copies) == 1 and not facts.misplaced else (*kept, *_remove_extras(facts))


def _depends_on_size(facts: Facts) -> bool:
    """Whether something is concluded from the samples that are shown, more than that an agreed one is there."""
    if facts.mark is MarkState.AGREED:
        return len(facts.copies) > 1 or bool(facts.misplaced)
    return bool(facts.copies or facts.misplaced)


def _remove_extras(facts: Facts) -> tuple[Action, ...]:
    """Of several copies the lowest id stays."""
    extras: tuple[Action, ...] = ()
    if facts.copies[1:]:
        extras += (RemoveCopies(facts.copies[1:], RemovalReason.EXTRA, facts.upload_open),)
    if facts.misplaced:
        extras += (RemoveCopies(facts.misplaced, RemovalReason.MISPLACED, facts.upload_open),)
    return extras


def _without(facts: Facts, sample_ids: tuple[int, ...]) -> Facts:
    return facts._replace(
        copies=tuple(one for one in facts.copies if one not in sample_ids),
        misplaced=tuple(one for one in facts.misplaced if one not in sample_ids),
    )


def _doubted_last(facts: Facts) -> Facts:
    """Of a present sample with a removal of unknown outcome: what that removal named may be gone already, or go yet. It
    counts as a copy only beside another one, and after it."""
    rest = _without(facts, facts.removed)
    if not rest.copies:
        return rest
    return facts._replace(copies=rest.copies + tuple(one for one in facts.copies if one in facts.removed))


def _decide_removed(facts: Facts) -> tuple[Action, ...]:
    """A sample that was removed and is not in the store. What is shown under another id was made elsewhere; so
    was the same id, a quarantine after the service confirmed its removal: ids may be given again. Until then the mark
    stays: after a view that lacks the sample an older one may show it again. Where an upload before the removal may
    still be carried out, what is shown under another id is ours."""
    if facts.asked_at < facts.removed_at:
        return (KeepMark(),)
    if facts.upload_open:
        return (_decide_absent(_without(facts, facts.removed)),)
    settled = is_settled(facts)
    others = facts.copies if settled else _without(facts, facts.removed).copies
    left: tuple[Action, ...] = (LeaveUnmanaged(others, MADE_AGAIN),) if others else ()
    return (*left, ForgetMark() if settled else KeepMark())


def _decide_absent(facts: Facts) -> Action:
    if facts.copies:
        if obstacle := _removal_obstacle(facts):
            return HoldCopies(facts.copies, obstacle)
        return RemoveCopies(facts.copies, _removal_reason(facts), facts.upload_open)
    # Short runs would never come to an end with an unknown removal, and take the sample of another store for theirs.
    is_over = is_settled(facts) or facts.removal_is_over
    return ForgetMark() if is_over and not facts.file_problem else KeepMark()


def _removal_obstacle(facts: Facts) -> str:
    """Why an absent sample stays on the service for now; "" where nothing speaks against removing it. A file that
    is there and is no good image is not absent (promise 3): it may be half written, emptied, or a placeholder."""
    if facts.file_problem:
        return f"its file is there without a good image: {facts.file_problem}"
    if facts.new_place_pending:
        return NEW_RECIPE_PENDING if facts.other_recipe else NEW_PLACE_PENDING
    return facts.replacement_pending


def _removal_reason(facts: Facts) -> RemovalReason:
    if facts.other_recipe:
        return RemovalReason.RECONVERTED
    if facts.not_in_version:
        return RemovalReason.NOT_IN_VERSION
    if facts.moved:
        return RemovalReason.DUPLICATE if facts.is_loss else RemovalReason.MOVED
    if facts.ignored:
        return RemovalReason.IGNORED
    if facts.held_out:
        return RemovalReason.HELD_OUT
    if facts.replaced:
        return RemovalReason.OVERWRITTEN if facts.is_loss else RemovalReason.REPLACED
    return RemovalReason.ABSENT
