"""What follows from a changed file without another observation: a new image is uploaded, anything else needs a round.

The answer is that of the decision table for the last observation. ``tests/core/test_changed_image.py`` proves that the
planner uploads what is uploaded here, and that it has nothing to do where neither an upload nor a round is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from astica_sync.core.model import Mark, MarkState, Presence, make_scope, make_uid
from astica_sync.core.plan.decision_table import Facts, SkipFailed, UploadSample, WaitUntil, decide
from astica_sync.core.plan.gather_facts import PlanContext, quarantine_end, upload_open
from astica_sync.core.plan.plan import Plan


class Observed(StrEnum):
    """How the last observation shows an image. *unknown*: there is none that may be used. *absent*: it does not show
    the image. *in sync*: it shows the image, and its round left nothing to do about it. *not in sync*: it shows the
    image, and its round left something to do."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    IN_SYNC = "in sync"
    NOT_IN_SYNC = "not in sync"


@dataclass(frozen=True, slots=True)
class ChangedImage:
    """An image whose files changed: ``places`` has one file for each class of the store that holds it now, ``marks``
    are all marks of the image, ``asked_at`` is when the last observation was asked for."""

    content: str
    places: Mapping[str, str]
    marks: Sequence[Mark]
    observed: Observed
    asked_at: float


@dataclass(frozen=True, slots=True)
class NewFile:
    """A sample to upload."""

    uid: str
    class_title: str
    path: str


@dataclass(frozen=True, slots=True)
class ChangedImageDecision:
    """What to upload now, and whether a round must decide about the rest."""

    uploads: tuple[NewFile, ...] = ()
    needs_round: bool = False


_NOTHING = ChangedImageDecision()
_ROUND = ChangedImageDecision(needs_round=True)


def decide_changed_image(image: ChangedImage, model_id: int, context: PlanContext) -> ChangedImageDecision:
    """What to do about an image whose files changed. ``context`` is that of a plan; its ``unreadable`` is not used,
    since what is absent always needs a round."""
    owned = {title: path for title, path in image.places.items() if context.owned.covers(title)}
    image = replace(image, places=owned)
    if not image.places and not image.marks:
        return _NOTHING
    if image.marks:
        return _NOTHING if _is_as_agreed(image, model_id, context) else _ROUND
    if image.observed is not Observed.ABSENT or not context.uids_proven:
        return _ROUND
    uploads = []
    for new in _new_files(image, model_id, context):
        match decide(_facts(new, None, image.asked_at, context)):
            case (UploadSample(again=False),):
                uploads.append(new)
            case (SkipFailed(),):
                pass
            case _:
                return _ROUND
    return ChangedImageDecision(tuple(uploads))


def left_to_do(plan: Plan) -> Iterator[str]:
    """The uids about which a round leaves something to do if it shows their images; see ``Observed.NOT_IN_SYNC``.

    What is adopted is in sync afterwards. A first upload leaves no agreed mark, or one that is newer than the
    observation.
    """
    groups: tuple[Iterable[object], ...] = (plan.removed, plan.held, plan.waiting, plan.questioned, plan.unmanaged)
    for group in groups:
        for entry in group:
            yield entry.uid  # type: ignore[attr-defined]
    yield from (upload.uid for upload in plan.uploads if upload.again)


def _is_as_agreed(image: ChangedImage, model_id: int, context: PlanContext) -> bool:
    """Whether the image is in exactly the classes in which it was agreed, and nothing is to be sent about it."""
    marks = {mark.uid: mark for mark in image.marks}
    new_files = list(_new_files(image, model_id, context))
    if {new.uid for new in new_files} != marks.keys() or any(
        mark.state is not MarkState.AGREED for mark in image.marks
    ):
        return False
    if image.observed is not Observed.ABSENT:
        return image.observed is Observed.IN_SYNC
    for new in new_files:
        match decide(_facts(new, marks[new.uid], image.asked_at, context)):
            case (WaitUntil(confirmed=True) | SkipFailed(),):
                # Uploaded after the last observation.
                pass
            case _:
                return False
    return True


def _new_files(image: ChangedImage, model_id: int, context: PlanContext) -> Iterator[NewFile]:
    recipe = context.recipe_of(image.content)
    for title, path in image.places.items():
        yield NewFile(make_uid(image.content, make_scope(model_id, title, recipe)), title, path)


def _facts(new: NewFile, mark: Mark | None, asked_at: float, context: PlanContext) -> Facts:
    """The facts about a sample whose image the observation does not show."""
    return Facts(
        Presence.PRESENT,
        mark.state if mark else None,
        asked_at=asked_at,
        quarantine_ends=quarantine_end(mark, context),
        upload_open=upload_open(mark, asked_at, context),
        failed_before=new.uid in context.failed_before,
        title_questioned=new.class_title in context.questioned_titles,
    )
