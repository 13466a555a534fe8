"""The watcher's answer without an observation is what the planner says of the same facts."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.core.model import (
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    RemoteClass,
    RemoteSample,
    make_scope,
    make_uid,
)
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan.decision_table import CONFIRMED
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.planner import make_plan
from astica_sync.core.watch.decide_changed_image import (
    ChangedImage,
    ChangedImageDecision,
    Observed,
    decide_changed_image,
    left_to_do,
)

MODEL = 7
ASKED = 1000.0
QUARANTINE = 60.0
TITLES = ("Can", "can", "Dog")
CONTENTS = tuple(f"{number:032x}" for number in range(4))
RECIPES = st.sampled_from(["", "", "max_side=64"])
places = st.tuples(st.sampled_from(CONTENTS), st.sampled_from(TITLES))
Places = set[tuple[str, str]]


def uid_of(content: str, title: str, recipe: str = "") -> str:
    return make_uid(content, make_scope(MODEL, title, recipe))


def samples(of: Places, recipe_of: Callable[[str], str]) -> list[LocalSample]:
    return sorted(
        (
            LocalSample(uid_of(content, title, recipe_of(content)), title, (f"{title}/{content}.png",), 9)
            for content, title in of
        ),
        key=lambda sample: sample.uid,
    )


@st.composite
def marks_of(draw: st.DrawFn, of: Places) -> dict[str, Mark]:
    """Marks as an earlier run or this one left them before the observation, of samples of two recipes."""
    marks = {}
    for content, title in sorted(of):
        uid = uid_of(content, title, draw(RECIPES))
        state = draw(st.sampled_from([MarkState.AGREED, MarkState.AGREED, MarkState.ATTEMPTED]))
        sent_at = draw(st.sampled_from([None, 0.0, ASKED - QUARANTINE, ASKED - 1.0]))
        run = draw(st.sampled_from(["now", "earlier"]))
        marks[uid] = Mark(uid, title, state, sent_at, run, "p")
    return marks


@st.composite
def observations(draw: st.DrawFn, of: Places) -> Observation:
    """Mostly what is given, some of it twice, misplaced or missing, and samples that were made elsewhere."""
    shown = [(uid_of(content, title, draw(RECIPES)), title) for content, title in sorted(of)]
    shown += [(uid_of(content, title), title) for content, title in draw(st.lists(places, max_size=2))]
    shown += [(uid_of(c, t), draw(st.sampled_from(TITLES))) for c, t in draw(st.lists(places, max_size=1))]
    shown += [(uid, "Dog") for uid in draw(st.lists(st.sampled_from(["", "IMG_1", CONTENTS[0]]), max_size=1))]
    samples = [RemoteSample(uid, number, TITLES.index(t) + 1, t) for number, (uid, t) in enumerate(shown, 100)]
    remote = sorted(samples, key=lambda sample: (sample.uid, sample.sample_id))
    classes = tuple(RemoteClass(i, title, sum(s.class_id == i for s in remote)) for i, title in enumerate(TITLES, 1))
    return Observation(ModelInfo(MODEL, "m"), ASKED, classes, remote)


@st.composite
def after_round(draw: st.DrawFn, marks: dict[str, Mark], plan: Plan) -> dict[str, Mark]:
    """The marks after a round that carried out its plan, or some of it."""
    now = dict(marks)
    for adopt in plan.adopts:
        if draw(st.booleans()):
            now[adopt.uid] = Mark(adopt.uid, adopt.class_title, MarkState.AGREED, None, "now", adopt.path)
    for upload in plan.uploads:
        state = draw(st.sampled_from([None, MarkState.AGREED, MarkState.ATTEMPTED]))
        if state is not None:
            now[upload.uid] = Mark(upload.uid, upload.class_title, state, ASKED + 1.0, "now", upload.path)
    for removal in plan.removed:
        if draw(st.booleans()) and removal.uid in now:
            now[removal.uid] = replace(now[removal.uid], state=MarkState.ATTEMPTED, sent_at=ASKED + 1.0, run="now")
    for uid in (*plan.forgets, *(one.uid for one in plan.given_up)):
        now.pop(uid)
    return now


def shown_as(content: str, observation: Observation | None, left: set[str]) -> Observed:
    if observation is None:
        return Observed.UNKNOWN
    if not any(sample.uid.startswith(content) for sample in observation.samples):
        return Observed.ABSENT
    return Observed.NOT_IN_SYNC if any(uid.startswith(content) for uid in left) else Observed.IN_SYNC


@settings(max_examples=250)
@given(st.data())
def test_an_answer_without_observation_is_that_of_the_planner(data: st.DataObject) -> None:
    common = data.draw(st.sets(places, max_size=5))
    before = common ^ data.draw(st.sets(places, max_size=2))
    marks_before = data.draw(marks_of(common ^ data.draw(st.sets(places, max_size=2))))
    observation = data.draw(observations(common - data.draw(st.sets(places, max_size=2))))
    recipe, converted = data.draw(RECIPES), data.draw(st.sets(st.sampled_from(CONTENTS)))

    def recipe_of(content: str) -> str:
        return recipe if content in converted else ""

    context = PlanContext(
        "now",
        0.0,
        QUARANTINE,
        recipe_of=recipe_of,
        failed_before={uid_of(*place, recipe_of(place[0])) for place in data.draw(st.sets(places, max_size=1))},
        questioned_titles=data.draw(st.sampled_from([set(), {"can"}])),
        class_remove=False,
        uids_proven=data.draw(st.sampled_from([True, True, False])),
        owned=data.draw(st.sampled_from([ALL_CLASSES, ALL_CLASSES, OwnedClasses(("can",))])),
    )
    local_before = samples(before, recipe_of)
    round_plan = make_plan(local_before, sorted(marks_before.values(), key=lambda m: m.uid), observation, context)
    marks = data.draw(after_round(marks_before, round_plan))
    left = set(left_to_do(round_plan))
    usable = observation if data.draw(st.sampled_from([True, True, True, False])) else None
    now = before ^ data.draw(st.sets(places, max_size=3))
    for content in CONTENTS:
        local = samples({place for place in now if place[0] == content}, recipe_of)
        of_image = [mark for uid, mark in sorted(marks.items()) if uid.startswith(content)]
        image = ChangedImage(
            content,
            {sample.class_title: sample.paths[0] for sample in local},
            of_image,
            shown_as(content, usable, left),
            ASKED,
        )
        answer = decide_changed_image(image, MODEL, context)
        remote = [sample for sample in observation.samples if sample.uid.startswith(content)]
        planned = make_plan(local, of_image, replace(observation, samples=remote), context)
        must_agree(answer, planned, context)


def must_agree(answer: ChangedImageDecision, planned: Plan, context: PlanContext) -> None:
    first_uploads = {upload.uid: upload.path for upload in planned.uploads if not upload.again}
    uploads = {new.uid: new.path for new in answer.uploads}
    assert uploads.items() <= first_uploads.items()
    assert context.uids_proven or not uploads
    if answer.needs_round:
        assert not uploads
        return
    assert [upload.uid for upload in planned.uploads] == sorted(uploads, key=uploads.__getitem__)
    undone = (planned.adopts, planned.removed, planned.held, planned.forgets, planned.questioned, planned.given_up)
    assert not any(undone)
    assert all(waiting.reason == CONFIRMED for waiting in planned.waiting)


@given(st.sets(st.sampled_from(TITLES), min_size=1))
def test_an_image_that_is_new_everywhere_needs_no_round(titles: set[str]) -> None:
    content = CONTENTS[0]
    image = ChangedImage(content, {title: f"{title}/a.png" for title in titles}, (), Observed.ABSENT, ASKED)
    answer = decide_changed_image(image, MODEL, PlanContext("now", 0.0, QUARANTINE))
    assert {new.uid for new in answer.uploads} == {uid_of(content, title) for title in titles}
    assert not answer.needs_round


def test_a_file_renamed_within_its_class_needs_neither_an_upload_nor_a_round() -> None:
    mark = Mark(uid_of(CONTENTS[0], "Can"), "Can", MarkState.AGREED, 5.0, "earlier", "Can/old.png")
    image = ChangedImage(CONTENTS[0], {"Can": "Can/new.png"}, (mark,), Observed.IN_SYNC, ASKED)
    context = PlanContext("now", 0.0, QUARANTINE)
    assert decide_changed_image(image, MODEL, context) == ChangedImageDecision()
    uploaded_since = replace(image, marks=(replace(mark, sent_at=ASKED + 1.0, run="now"),), observed=Observed.ABSENT)
    assert decide_changed_image(uploaded_since, MODEL, context) == ChangedImageDecision()


def test_a_file_that_was_deleted_before_its_upload_needs_no_round() -> None:
    image = ChangedImage(CONTENTS[0], {}, (), Observed.UNKNOWN, ASKED)
    assert decide_changed_image(image, MODEL, PlanContext("now", 0.0, QUARANTINE)) == ChangedImageDecision()


def test_an_image_that_is_on_the_service_or_before_any_proof_of_uids_needs_a_round() -> None:
    image = ChangedImage(CONTENTS[0], {"Can": "Can/a.png"}, (), Observed.ABSENT, ASKED)
    context = PlanContext("now", 0.0, QUARANTINE)
    assert decide_changed_image(replace(image, observed=Observed.UNKNOWN), MODEL, context).needs_round
    assert decide_changed_image(image, MODEL, replace(context, uids_proven=False)).needs_round
    failed = replace(context, failed_before={uid_of(CONTENTS[0], "Can")})
    assert decide_changed_image(image, MODEL, failed) == ChangedImageDecision()
    questioned = replace(image, places={"can": "can/a.png"})
    assert decide_changed_image(questioned, MODEL, replace(context, questioned_titles={"can"})).needs_round


def test_an_agreed_image_that_is_no_longer_shown_needs_a_round() -> None:
    mark = Mark(uid_of(CONTENTS[0], "Can"), "Can", MarkState.AGREED, 5.0, "earlier", "Can/a.png")
    image = ChangedImage(CONTENTS[0], {"Can": "Can/a.png"}, (mark,), Observed.ABSENT, ASKED)
    context = PlanContext("now", 0.0, QUARANTINE)
    assert decide_changed_image(image, MODEL, context).needs_round
    assert decide_changed_image(replace(image, places={"Dog": "Dog/a.png"}), MODEL, context).needs_round


def test_an_image_of_another_recipe_needs_a_round_and_one_that_two_have_made_as_well() -> None:
    context = PlanContext("now", 0.0, QUARANTINE, recipe_of=lambda _: "max_side=64")
    old = Mark(uid_of(CONTENTS[0], "Can"), "Can", MarkState.AGREED, 5.0, "earlier", "Can/a.tif")
    new = replace(old, uid=uid_of(CONTENTS[0], "Can", "max_side=64"))
    image = ChangedImage(CONTENTS[0], {"Can": "Can/a.tif"}, (old,), Observed.IN_SYNC, ASKED)
    assert decide_changed_image(image, MODEL, context).needs_round
    assert decide_changed_image(replace(image, marks=(old, new)), MODEL, context).needs_round
    assert decide_changed_image(replace(image, marks=(new,)), MODEL, context) == ChangedImageDecision()
    fresh = replace(image, marks=(), observed=Observed.ABSENT)
    assert [one.uid for one in decide_changed_image(fresh, MODEL, context).uploads] == [new.uid]
