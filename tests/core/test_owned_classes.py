"""Stores that divide a model by class: what each plans about the classes of the others."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from astica_sync.core.model import (
    LocalSample,
    Mark,
    MarkState,
    ModelInfo,
    Observation,
    Presence,
    RemoteClass,
    RemoteSample,
    make_scope,
    make_uid,
)
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan.decision_table import (
    NOT_OWNED,
    OTHER_STORE,
    Action,
    Facts,
    ForgetMark,
    GiveUp,
    KeepMark,
    LeaveUnmanaged,
    RemovalReason,
    SkipNotOwned,
    decide,
    secures_image,
)
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.guard import Allowance, Refusal, check_given_up
from astica_sync.core.plan.plan import GivenUp, InOtherStore, Plan
from astica_sync.core.plan.planner import make_plan
from astica_sync.core.plan.unchanged_samples import pages_of_owned

MODEL, ASKED, QUARANTINE = 7, 10_000.0, 60.0
ONE, TWO = "1" * 32, "2" * 32
CAN = PlanContext("now", 0.0, QUARANTINE, owned=OwnedClasses(("Can",)))
ALL = replace(CAN, owned=ALL_CLASSES)
CLASS_IDS = {"Can": 1, "Box": 2, "CAN ": 3}


def uid_of(content: str, title: str) -> str:
    return make_uid(content, make_scope(MODEL, title))


def file(title: str, content: str) -> LocalSample:
    return LocalSample(uid_of(content, title), title, (f"{title}/{content[0]}.png",), 9)


def agreed(title: str, content: str, sent_at: float | None = 5.0) -> Mark:
    return Mark(uid_of(content, title), title, MarkState.AGREED, sent_at, "now", f"{title}/{content[0]}.png")


def shown(number: int, title: str, content: str, under: str = "") -> RemoteSample:
    return RemoteSample(uid_of(content, title), number, CLASS_IDS[under or title], under or title)


def plan_of(
    local: Iterable[LocalSample], marks: Iterable[Mark], remote: Iterable[RemoteSample], context: PlanContext = CAN
) -> Plan:
    samples = sorted(remote, key=lambda one: (one.uid, one.sample_id))
    classes = tuple(
        RemoteClass(number, title, sum(one.class_id == number for one in samples))
        for title, number in CLASS_IDS.items()
    )
    by_uid = {"key": lambda one: one.uid}
    return make_plan(
        sorted(local, **by_uid),  # type: ignore[call-overload]
        sorted(marks, **by_uid),  # type: ignore[call-overload]
        Observation(ModelInfo(MODEL, "m"), ASKED, classes, samples),
        context,
    )


def test_titles_are_compared_as_a_service_may_fold_them() -> None:
    owned = OwnedClasses(("can", "Bu\u0308chse"))
    assert owned and all(map(owned.covers, ("Can", " CAN ", "B\u00fcchse")))
    assert not owned.covers("Cans")
    assert not ALL_CLASSES and ALL_CLASSES.covers("Cans")


@pytest.mark.parametrize(
    ("local", "mark", "copies", "settled", "expected"),
    [
        (Presence.PRESENT, None, (), True, (SkipNotOwned(),)),
        (Presence.PRESENT, None, (4,), True, (SkipNotOwned(), LeaveUnmanaged((4,), NOT_OWNED))),
        (
            Presence.PRESENT,
            MarkState.AGREED,
            (4, 5),
            True,
            (SkipNotOwned(), LeaveUnmanaged((4, 5), NOT_OWNED), GiveUp((4, 5))),
        ),
        (Presence.ABSENT, MarkState.AGREED, (4,), True, (LeaveUnmanaged((4,), NOT_OWNED), GiveUp((4,)))),
        (Presence.UNKNOWN, MarkState.AGREED, (4,), True, (LeaveUnmanaged((4,), NOT_OWNED), GiveUp((4,)))),
        (Presence.ABSENT, MarkState.ATTEMPTED, (4,), False, (LeaveUnmanaged((4,), NOT_OWNED), KeepMark())),
        (Presence.ABSENT, MarkState.ATTEMPTED, (), False, (KeepMark(),)),
        (Presence.ABSENT, MarkState.REMOVED, (), True, (ForgetMark(),)),
    ],
)
def test_nothing_is_sent_or_removed_of_a_class_that_is_not_owned(
    local: Presence, mark: MarkState | None, copies: tuple[int, ...], settled: bool, expected: tuple[Action, ...]
) -> None:
    ends = ASKED - 1 if settled else ASKED + 1
    actions = decide(Facts(local, mark, copies, (), ASKED, ends, class_not_owned=True, not_owned=copies))
    assert actions == expected
    assert not secures_image(actions)


def test_an_owned_sample_that_is_shown_in_a_class_of_another_store_stays_there() -> None:
    plan = plan_of([file("Can", ONE)], [agreed("Can", ONE)], [shown(4, "Can", ONE), shown(5, "Can", ONE, "Box")])
    assert not plan.removed and not plan.uploads
    assert [one.sample_id for one in plan.unmanaged] == [5]
    assert plan.unmanaged_reasons == {5: NOT_OWNED}
    assert plan.classes["Can"].managed == 1
    # A store of all classes drops it.
    everything = plan_of(
        [file("Can", ONE)], [agreed("Can", ONE)], [shown(4, "Can", ONE), shown(5, "Can", ONE, "Box")], ALL
    )
    assert [one.why for one in everything.removed] == [RemovalReason.MISPLACED]


def test_a_sample_whose_file_is_gone_stays_where_it_is_shown_in_a_class_of_another_store() -> None:
    plan = plan_of([], [agreed("Can", ONE)], [shown(4, "Can", ONE), shown(5, "Can", ONE, "Box")])
    assert [one.sample_id for one in plan.removed] == [4]
    assert [one.sample_id for one in plan.unmanaged] == [5]


def test_samples_that_were_made_elsewhere_are_left_each_with_its_reason() -> None:
    plan = plan_of([], [], [shown(4, "Box", ONE), shown(5, "Box", ONE, "Can"), shown(6, "Can", TWO)])
    assert plan.unmanaged_reasons == {4: NOT_OWNED, 5: OTHER_STORE, 6: OTHER_STORE}
    assert sorted(one.sample_id for one in plan.unmanaged) == [4, 5, 6]


def test_the_image_of_another_class_is_neither_sent_nor_adopted() -> None:
    plan = plan_of([file("Box", ONE), file("Box", TWO), file("Can", TWO)], [], [shown(4, "Box", ONE)])
    assert [one.class_title for one in plan.uploads] == ["Can"]
    assert not plan.adopts and not plan.in_several_classes and not plan.given_up
    assert plan.classes["Box"].unmanaged == 1
    assert plan.classes["Box"].local == plan.classes["Box"].managed == 0


def test_an_image_that_moves_to_a_class_of_another_store_is_gone() -> None:
    plan = plan_of([file("Box", ONE)], [agreed("Can", ONE)], [shown(4, "Can", ONE)])
    assert [(one.sample_id, one.why) for one in plan.removed] == [(4, RemovalReason.ABSENT)]


@pytest.mark.parametrize("here", [True, False])
def test_a_class_that_is_not_owned_any_more_is_given_up_and_nothing_of_it_is_removed(here: bool) -> None:
    plan = plan_of([file("Box", ONE)] if here else [], [agreed("Box", ONE)], [shown(4, "Box", ONE)])
    assert plan.given_up == (GivenUp(uid_of(ONE, "Box"), "Box", f"Box/{ONE[0]}.png", (4,)),)
    assert not plan.removed and not plan.forgets and plan.requests == 0
    just_sent = plan_of([], [agreed("Box", ONE, ASKED - 1)], [shown(4, "Box", ONE)])
    assert not just_sent.given_up and not just_sent.removed


def test_the_same_image_in_another_class_of_another_store_is_named() -> None:
    theirs = shown(4, "Box", ONE)
    plan = plan_of([file("Can", ONE)], [agreed("Can", ONE)], [shown(3, "Can", ONE), theirs])
    assert plan.in_other_stores == (InOtherStore(f"Can/{ONE[0]}.png", "Can", theirs),)
    assert plan_of([file("Can", ONE)], [], [theirs], ALL).in_other_stores == plan.in_other_stores
    # In another spelling it is the same class, and what this store has sent itself is a move.
    assert not plan_of([file("Can", ONE)], [], [shown(4, "CAN ", ONE)], ALL).in_other_stores
    assert not plan_of([file("Can", ONE)], [agreed("Box", ONE)], [theirs], ALL).in_other_stores
    assert not plan_of([], [], [theirs], ALL).in_other_stores


def given_up(number: int, titles: tuple[str, ...] = ("Box",)) -> Plan:
    return Plan(
        given_up=tuple(
            GivenUp(f"{count}", titles[count % len(titles)], f"Box/{count}.png", (count,)) for count in range(number)
        )
    )


def test_the_guard_asks_before_much_is_given_up() -> None:
    allowance = Allowance()
    assert not check_given_up(given_up(10), allowance)
    [refusal] = check_given_up(given_up(11), allowance)
    assert refusal.reason == (
        "11 samples of 'Box' would be given up, since this store does not own their class any more; at most 10 are"
        " given up without confirmation"
    )
    assert refusal.kept_back == "given up"
    assert refusal.named == set(range(11))
    [several] = check_given_up(given_up(11, ("A", "B", "C", "D")), replace(allowance, at_most=5))
    assert several.reason.startswith("11 samples of 'A', 'B', 'C' and others would be given up, since")
    assert "their classes any more; at most 5" in several.reason
    assert not check_given_up(given_up(11), replace(allowance, all=True))
    assert not check_given_up(given_up(11), replace(allowance, at_most=11))


def test_what_is_kept_back_by_a_refusal_is_named() -> None:
    assert Refusal("r").kept_back == "removed"
    assert Refusal("r").named == set()


def test_pages_of_the_store_leave_out_what_it_does_not_own() -> None:
    pages = [(["a", "b"], ["Can", "Box"]), (["c"], ["Box"])]
    assert list(pages_of_owned(pages, OwnedClasses(("can",)))) == [(["a"], ["Can"]), ([], [])]
    assert pages_of_owned(pages, ALL_CLASSES) is pages
