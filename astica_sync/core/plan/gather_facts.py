"""The facts about one sample, gathered from store, journal and observation for the decision table."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from astica_sync.core.model import (
    ALL_READABLE,
    LocalSample,
    Mark,
    MarkState,
    Observation,
    Presence,
    Unreadable,
    fold_title,
    make_scope,
    make_uid,
)
from astica_sync.core.observation.shown_size import fits
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan.decision_table import Facts
from astica_sync.core.plan.join import JoinedRow


@dataclass(frozen=True, slots=True)
class FileAt:
    """What the scan found at one path: the content hash of an image, or "" and the ``problem`` that makes it none.
    ``is_edit``: the image came to the store with this file, so the one that was there before was edited, not lost."""

    content: str = ""
    problem: str = ""
    is_edit: bool = True


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a plan depends on besides the three sides.

    ``run`` and ``run_started`` name the run of the program that plans and when it began, ``quarantine`` is in
    seconds, ``unreadable`` what its scan could not read, ``failed_before`` the uids that are not tried again (promise
    9), ``questioned_titles`` the class titles that wait for the user's confirmation, ``class_remove`` whether whole
    classes may be removed by one request, ``uids_proven`` whether the service has been seen to keep our uids,
    ``ignored`` which paths the ignore file takes out of the store, ``held_out`` which uids ``split`` has moved out of
    it, where the file is still there, ``file_at`` what is at a path of the store,
    ``size_of`` the size in bytes of what was sent as a sample, of an image in the backup, by its uid and class title,
    None where it is not known, ``recipe_of`` the recipe by which an image of the store is converted, by its content
    hash, as ``make_scope`` takes it, ``sent_size_of`` the size in bytes of what is sent of an image of the store, by
    its content hash and the size of its file,
    ``is_intact`` whether ``size_of`` goes by what is undamaged, ``shows_sizes`` whether the service has been seen to
    show the sizes of images as they were sent, None where it is not known, ``is_version`` whether the local side is the
    snapshot of a version instead of the store: what is missing in it is meant to be missing, ``unproven`` the ids and
    uids of adopted samples whose bytes the backup may not have, ``owned`` the classes that the store manages.
    """

    run: str
    run_started: float
    quarantine: float
    unreadable: Unreadable = ALL_READABLE
    failed_before: Collection[str] = frozenset()
    questioned_titles: Collection[str] = frozenset()
    class_remove: bool = True
    uids_proven: bool = True
    ignored: Callable[[str], bool] = lambda _: False
    held_out: Callable[[str], bool] = lambda _: False
    file_at: Callable[[str], FileAt | None] = lambda _: None
    size_of: Callable[[str, str], int | None] = lambda *_: None
    recipe_of: Callable[[str], str] = lambda _: ""
    sent_size_of: Callable[[str, int], int | None] = lambda _, size: size
    is_intact: Callable[[str], bool] = lambda _: True
    shows_sizes: Callable[[], bool | None] = lambda: None
    is_version: bool = False
    unproven: Collection[tuple[int, str]] = frozenset()
    owned: OwnedClasses = ALL_CLASSES


@dataclass(frozen=True, slots=True)
class AbsentRow:
    """A row that is not in the store. ``moved``: its image is in another class of the store, ``is_new`` since this one
    was sent; ``pending``: nothing shows yet that the service has it there; ``size``: of what is sent of its image,
    where the store has it, in bytes; ``other_recipe``: the store has it in its class, and converts it by another recipe
    than it was sent by."""

    row: JoinedRow
    moved: bool
    is_new: bool
    pending: bool
    size: int | None = None
    other_recipe: bool = False


def last_sending(mark: Mark, context: PlanContext) -> float | None:
    """When the last request about the sample was sent, as this run must see it; None if none was.

    An attempt of an earlier run counts as sent when this run began: a restart begins the quarantine again (promise 5).
    A time of another run that is later than the start of this one came from a clock that was wrong.
    """
    if mark.sent_at is None or mark.run == context.run:
        return mark.sent_at
    if mark.state is MarkState.ATTEMPTED:
        return context.run_started
    return min(mark.sent_at, context.run_started)


def quarantine_end(mark: Mark | None, context: PlanContext) -> float | None:
    """When the last request about the sample can no longer be carried out late; None if none was sent."""
    sent_at = None if mark is None else last_sending(mark, context)
    return None if sent_at is None else sent_at + context.quarantine


def present_facts(row: JoinedRow, local: LocalSample, observation: Observation, context: PlanContext) -> Facts:
    mark, title = row.mark, local.class_title
    size = context.sent_size_of(local.content, local.size)
    copies: tuple[int, ...] = ()
    misplaced: tuple[int, ...] = ()
    if len(row.remote) == 1 and row.remote[0].class_title == title:
        # As nearly all are: no title has to be folded.
        copies = (row.remote[0].sample_id,)
    elif row.remote:
        folded = fold_title(title)
        copies = tuple(sample.sample_id for sample in row.remote if fold_title(sample.class_title) == folded)
        misplaced = tuple(sample.sample_id for sample in row.remote if fold_title(sample.class_title) != folded)
    return Facts(
        Presence.PRESENT,
        mark.state if mark else None,
        copies,
        misplaced,
        observation.asked_at,
        quarantine_end(mark, context),
        *_removed(mark, context),
        _of_other_size(row, size, observation, context),
        upload_open=upload_open(mark, observation.asked_at, context),
        failed_before=row.uid in context.failed_before,
        title_questioned=title in context.questioned_titles,
        unproven=_unproven(row, context),
        size_unknown=size is None and bool(observation.size_decimals) and context.shows_sizes() is not False,
        gone=mark.gone_ids if mark else (),
        class_not_owned=not context.owned.covers(title),
        not_owned=_not_owned(row, context),
    )


def unmanaged_facts(row: JoinedRow, context: PlanContext) -> Facts:
    """Of a sample that neither the store nor the journal knows. Whether its class could be read here changes
    nothing."""
    copies = tuple(sample.sample_id for sample in row.remote)
    return Facts(Presence.ABSENT, copies=copies, not_owned=_not_owned(row, context))


def _not_owned(row: JoinedRow, context: PlanContext) -> tuple[int, ...]:
    """The sample ids that are shown in classes of other stores."""
    if not context.owned or not row.remote:
        return ()
    return tuple(sample.sample_id for sample in row.remote if not context.owned.covers(sample.class_title))


def _of_other_size(row: JoinedRow, size: int | None, observation: Observation, context: PlanContext) -> tuple[int, ...]:
    """The sample ids whose shown size an image of ``size`` bytes cannot have."""
    if size is None or not observation.size_decimals:
        return ()
    decimals = observation.size_decimals
    others = tuple(sample.sample_id for sample in row.remote if not fits(size, sample.size, decimals))
    return () if others and context.shows_sizes() is False else others


def _of_other_size_if_absent(
    absent: AbsentRow, mark: Mark, observation: Observation, context: PlanContext
) -> tuple[int, ...]:
    """As ``_of_other_size``, of an image in another place of the store, or in the backup, where a damaged one proves
    nothing."""
    if not absent.row.remote:
        return ()
    if absent.size is not None:
        return _of_other_size(absent.row, absent.size, observation, context)
    size = context.size_of(mark.uid, mark.class_title)
    others = _of_other_size(absent.row, size, observation, context)
    return others if others and context.is_intact(mark.content) else ()


def upload_open(mark: Mark | None, asked_at: float, context: PlanContext) -> bool:
    """Whether an upload of unknown outcome may still be carried out: the last request, or one before the removals."""
    if mark is None or _sent_long_ago(mark, asked_at, context):
        return False
    return mark.upload_open or (mark.state is MarkState.ATTEMPTED and not mark.removed_ids)


def _sent_long_ago(mark: Mark, asked_at: float, context: PlanContext) -> bool:
    """Whether a whole quarantine has passed since the last request about the sample.

    A restart does not prolong that, as it prolongs the wait before a repetition: short runs would never come to an end.
    """
    if mark.sent_at is None:
        return True
    sent_at = mark.sent_at if mark.run == context.run else min(mark.sent_at, context.run_started)
    return asked_at >= sent_at + context.quarantine


def _removed(mark: Mark | None, context: PlanContext) -> tuple[tuple[int, ...], float]:
    """The sample ids whose removal was requested, and when the service confirmed that."""
    if mark is None or not mark.removed_ids:
        return (), 0.0
    confirmed_at = last_sending(mark, context) if mark.state is MarkState.REMOVED else None
    return mark.removed_ids, confirmed_at or 0.0


def absent_facts(absent: AbsentRow, mark: Mark, observation: Observation, context: PlanContext) -> tuple[str, Facts]:
    """The uid of the image that replaces the sample under its file name, "" where there is none; and the facts."""
    row = absent.row
    at = None if context.is_version else context.file_at(mark.path)
    replacement = ""
    others = _of_other_size_if_absent(absent, mark, observation, context)
    if at is not None and at.content and at.content != mark.content:
        recipe = context.recipe_of(at.content)
        replacement = make_uid(at.content, make_scope(observation.model.model_id, mark.class_title, recipe))
    return replacement, Facts(
        Presence.UNKNOWN if context.unreadable.covers(mark.class_title) else Presence.ABSENT,
        mark.state,
        tuple(sample.sample_id for sample in row.remote),
        (),
        observation.asked_at,
        quarantine_end(mark, context),
        *_removed(mark, context),
        others,
        upload_open=upload_open(mark, observation.asked_at, context),
        removal_is_over=bool(mark.removed_ids)
        and not mark.upload_open
        and _sent_long_ago(mark, observation.asked_at, context),
        moved=absent.moved,
        new_place_pending=absent.pending,
        ignored=bool(row.remote) and not absent.moved and context.ignored(mark.path),
        held_out=bool(row.remote) and not absent.moved and not context.is_version and context.held_out(row.uid),
        not_in_version=context.is_version,
        file_problem=at.problem if at is not None else "",
        other_recipe=absent.other_recipe,
        replaced=bool(replacement),
        is_loss=not absent.is_new if absent.moved else at is not None and not at.is_edit,
        gone=mark.gone_ids,
        unproven=_unproven(row, context),
        class_not_owned=not context.owned.covers(mark.class_title),
        not_owned=_not_owned(row, context),
    )


def _unproven(row: JoinedRow, context: PlanContext) -> tuple[int, ...]:
    if not context.unproven:
        return ()
    return tuple(one.sample_id for one in row.remote if (one.sample_id, row.uid) in context.unproven)


def is_new_place(place: Mark | None, old: Mark | None, context: PlanContext) -> bool:
    """Whether an image came to a class after it was sent to the old one: otherwise it was in both, and did not move.
    What a run sends to both is sent within a quarantine, as a rule."""
    if place is None or place.state is not MarkState.AGREED:
        return True
    if place.sent_at is None or old is None or old.sent_at is None:
        return False
    return place.sent_at > old.sent_at + context.quarantine
