"""The columns of unchanged samples lead to the plan that the planner makes of every row."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.core.model import (
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    Presence,
    RemoteClass,
    RemoteSample,
    Unreadable,
    make_scope,
    make_uid,
)
from astica_sync.core.observation.sample_table import SampleTable
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan import unchanged_samples as unchanged_module
from astica_sync.core.plan.decision_table import Facts, Keep, UploadSample, decide
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.planner import make_plan
from astica_sync.core.plan.unchanged_samples import UidPage, Unchanged, find_unchanged, pages_of_owned, split_batch
from tests.harness.parameters import rest_long

TITLES = ("Can", "can", "Dog")
CONTENTS = tuple(f"{number:032x}" for number in range(24))
FOREIGN = ("", "IMG_1", CONTENTS[3], CONTENTS[3][:20], CONTENTS[5] + "-é", CONTENTS[6] + "-", "zebra")
Item = TypeVar("Item", LocalSample, Mark, RemoteSample)

places = st.tuples(st.sampled_from(CONTENTS), st.sampled_from(TITLES))


def uid_of(content: str, title: str, recipe: str = "") -> str:
    return make_uid(content, make_scope(7, title, recipe))


def in_order(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.uid, getattr(item, "sample_id", 0)))


@st.composite
def sides(draw: st.DrawFn) -> tuple[list[LocalSample], list[Mark], list[RemoteSample]]:
    """Mostly the same on all three sides, and some of everything else."""
    same = draw(st.sets(places))
    local = same - draw(st.sets(places, max_size=3)) | draw(st.sets(places, max_size=3))
    marks = same - draw(st.sets(places, max_size=3)) | draw(st.sets(places, max_size=3))
    doubtful = draw(st.sets(places, max_size=3))
    shown = [*(same - draw(st.sets(places, max_size=3))), *draw(st.lists(places, max_size=3))]
    # Some images were converted by another recipe than the one that the store has now.
    old = draw(st.sets(st.sampled_from(CONTENTS), max_size=3))
    uids = [(uid_of(content, title, "r" if content in old else ""), title) for content, title in shown]
    uids += [
        (uid_of(content, title), draw(st.sampled_from(TITLES))) for content, title in draw(st.sets(places, max_size=2))
    ]
    uids += [(uid, "Dog") for uid in draw(st.lists(st.sampled_from(FOREIGN), max_size=3))]
    return (
        in_order([LocalSample(uid_of(c, t), t, (f"{t}/{c}.png",), 9) for c, t in local]),
        in_order(
            [
                Mark(uid, t, MarkState.ATTEMPTED if (c, t) in doubtful else MarkState.AGREED, 5.0, "r", "p")
                for c, t in marks
                for uid in {uid_of(c, t, "r" if c in old else ""), *([uid_of(c, t)] if (c, t) in doubtful else [])}
            ]
        ),
        in_order([RemoteSample(uid, number, TITLES.index(t) + 1, t) for number, (uid, t) in enumerate(uids, 100)]),
    )


def pages(items: Sequence[LocalSample] | Sequence[Mark], size: int) -> list[UidPage]:
    """In pages, those of one content together."""
    made: list[tuple[list[str], list[str]]] = []
    last = ""
    for item in items:
        if not made or (len(made[-1][0]) >= size and item.content != last):
            made.append(([], []))
        made[-1][0].append(item.uid)
        made[-1][1].append(item.class_title if isinstance(item, LocalSample) else str(item.state))
        last = item.content
    return made


def rest_of(items: Sequence[Item], unchanged: Unchanged) -> list[Item]:
    """What is not kept."""
    starts = {*unchanged.rest, *(uid[:32] for uid in unchanged.new[0])}
    return [item for item in items if item.uid[:32] in starts]


def decided(local: list[LocalSample], marks: list[Mark], remote: list[RemoteSample]) -> tuple[set[str], set[str]]:
    """The uids that the decision table keeps, and those it uploads for the first time, each looked at by itself."""
    states = {mark.uid: mark.state for mark in marks}
    kept, new = set(), set()
    for sample in local:
        copies = tuple(
            one.sample_id for one in remote if one.uid == sample.uid and one.class_title == sample.class_title
        )
        others = tuple(
            one.sample_id for one in remote if one.uid == sample.uid and one.class_title != sample.class_title
        )
        actions = decide(Facts(Presence.PRESENT, states.get(sample.uid), copies, others, 1000.0, None))
        if actions == (Keep(),):
            kept.add(sample.uid)
        if actions == (UploadSample(again=False),):
            new.add(sample.uid)
    return kept, new


@pytest.mark.parametrize("run", rest_long(1, range(4)))
@settings(max_examples=150)
@given(
    sides(),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 3),
    st.sampled_from([ALL_CLASSES, ALL_CLASSES, OwnedClasses(("Dog",)), OwnedClasses(("CAN",))]),
)
def test_counting_unchanged_samples_gives_the_plan_of_all_rows(
    run: int,
    three: tuple[list[LocalSample], list[Mark], list[RemoteSample]],
    local_page: int,
    marks_page: int,
    small: int,
    owned: OwnedClasses,
) -> None:
    local, marks, remote = three
    classes = tuple(
        RemoteClass(number, title, sum(sample.class_id == number for sample in remote))
        for number, title in enumerate(TITLES, 1)
    )
    observation = Observation(ModelInfo(7, "m"), 1000.0, classes, remote)
    terms = PlanContext("r", 0.0, 60.0, unreadable=Unreadable(classes=frozenset({"Dog"})), owned=owned)
    before, unchanged_module._SMALL = unchanged_module._SMALL, small
    try:
        unchanged = find_unchanged(
            pages_of_owned(pages(local, local_page), owned), pages(marks, marks_page), SampleTable.of(remote)
        )
    finally:
        unchanged_module._SMALL = before
    assert unchanged.rest == sorted(set(unchanged.rest))
    assert unchanged.new[0] == sorted(set(unchanged.new[0]))
    assert set(unchanged.new[0]).isdisjoint({mark.uid for mark in marks} | {sample.uid for sample in remote})
    whole = make_plan(local, marks, observation, terms)
    rest = list(SampleTable.of(remote).with_contents(unchanged.rest))
    assert (
        make_plan(
            rest_of(local, unchanged),
            rest_of(marks, unchanged),
            observation,
            terms,
            counted=unchanged.classes,
            remote=rest,
        )
        == whole
    )
    # What was counted is what the decision table keeps, and what is new is what it uploads.
    mine = [sample for sample in local if owned.covers(sample.class_title)]
    kept, new = decided(mine, marks, remote)
    assert unchanged.classes.total() <= len(kept) and set(unchanged.new[0]) <= new
    assert {uid for uid in kept | new if uid[:32] not in unchanged.rest} == {
        sample.uid for sample in mine if sample.content not in unchanged.rest
    }
    # The same with some of the new ones another time.
    now, later = split_batch(unchanged, terms, small)
    assert split_batch(unchanged, replace(terms, failed_before={"another"}), small) == (now, later), (
        "with a look at each"
    )
    sliced = [sample for sample in local if sample.content in now]
    part = make_plan(
        sliced, rest_of(marks, unchanged), observation, terms, counted=unchanged.classes, later=later, remote=rest
    )
    assert (part.requests, part.classes, part.removals) == (whole.requests, whole.classes, whole.removals)
    assert part.later == len(whole.uploads) - len(part.uploads)
    assert len(part.uploads) <= small + len(whole.uploads) - len(unchanged.new[0])


def test_equal_sides_leave_no_row_to_plan() -> None:
    local = in_order([LocalSample(uid_of(c, "Can"), "Can", ("p",), 9) for c in CONTENTS])
    marks = [Mark(each.uid, "Can", MarkState.AGREED, 0.0, "r", "p") for each in local]
    shown = SampleTable.of([RemoteSample(each.uid, number, 1, "Can") for number, each in enumerate(local, 1)])
    assert find_unchanged(pages(local, 5), pages(marks, 7), shown) == Unchanged({"Can": len(CONTENTS)})


def test_a_side_that_is_not_sorted_is_an_error_and_not_an_absence() -> None:
    with pytest.raises(ValueError, match="not sorted"):
        find_unchanged([(["b"], ["Can"]), (["a"], ["Can"])], [], SampleTable.of([]))


def test_columns_made_of_samples_are_these_samples() -> None:
    samples = [RemoteSample("a", 1, 1, "Can"), RemoteSample("a", 2, 2, "Dog"), RemoteSample("b", 3, 1, "Can")]
    shown = SampleTable.of(samples)
    assert SampleTable.of(shown) is shown
    assert (list(shown), shown.uids, shown.titles(1, 3)) == (samples, ["a", "a", "b"], ["Dog", "Can"])
    assert list(shown.with_contents(["a", "aa"])) == samples[:2]


def test_samples_that_are_not_sent_do_not_count_in_a_batch() -> None:
    uids = sorted(
        uid_of(content, title) for content, title in zip(CONTENTS, ("Can", "Dog", "Can", "Can"), strict=False)
    )
    titles = ["Can", "Dog", "Can", "Can"]
    context = PlanContext("run", 0.0, 60.0, failed_before={uids[0]}, questioned_titles={"Dog"})
    planned, later = split_batch(Unchanged(new=(uids, titles)), context, 1)
    assert planned == list(CONTENTS[:3])
    assert later == {"Can": 1}
