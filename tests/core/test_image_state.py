"""The state that the page shows of each image."""

from dataclasses import replace

from astica_sync.core.gallery.image_state import LABELS, STATES, ImageState, find_states
from astica_sync.core.model import LocalSample, Problem, RemoteSample, make_scope, make_uid
from astica_sync.core.plan.decision_table import CONFIRMED, NOT_OWNED, OUTCOME_UNKNOWN, REMOVAL_UNKNOWN, RemovalReason
from astica_sync.core.plan.plan import Adopt, Held, Plan, RemoveClass, RemoveSample, Upload, Waiting


def uid(number: int, title: str = "Can") -> str:
    return make_uid(f"{number:032x}", make_scope(7, title))


def upload(number: int, title: str = "Can", *, again: bool = False) -> Upload:
    return Upload(uid(number, title), title, f"{title}/{number}.jpg", 10, again)


def removal(number: int, why: RemovalReason) -> RemoveSample:
    return RemoveSample(uid(number), "Can", number, 1, why, f"Can/{number}.jpg")


def test_every_state_has_a_label() -> None:
    assert set(LABELS) == set(STATES) == set(ImageState)


def test_what_the_plan_does_not_name_is_in_place() -> None:
    states = find_states(Plan(), [], {}, {})
    assert (states.by_uid, states.problems, states.without_file) == ({}, {}, [])
    assert states.usual.state is ImageState.ON_SERVICE and not states.has_later
    assert find_states(Plan(later=1), [], {}, {}).has_later


def test_uploads_and_adoptions() -> None:
    plan = Plan(uploads=(upload(1), upload(2, again=True)), adopts=(Adopt(uid(3), "Can", "Can/3.jpg", 3),))
    states = find_states(plan, [], {}, {}).by_uid
    assert states[uid(1)].state is states[uid(2)].state is ImageState.NEW
    assert "again" in states[uid(2)].reason
    assert states[uid(3)].state is ImageState.ON_SERVICE


def test_a_wait_says_until_when_and_a_doubt_what_resolves_it() -> None:
    reasons = {1: CONFIRMED, 2: OUTCOME_UNKNOWN, 3: REMOVAL_UNKNOWN}
    plan = Plan(waiting=tuple(Waiting(uid(number), "Can", reason, 99.0) for number, reason in reasons.items()))
    states = find_states(plan, [], {}, {}).by_uid
    assert [states[uid(number)].state for number in reasons] == ["waiting", "doubtful", "doubtful"]
    assert {one.until for one in states.values()} == {99.0}
    assert not states[uid(1)].remedy and states[uid(2)].remedy


def test_what_waits_for_its_class_and_what_failed_before() -> None:
    plan = Plan(questioned=(upload(1, "Cam"), upload(2, "New")), failed_before=(upload(3), upload(4)))
    states = find_states(plan, [], {uid(3): "refused"}, {"Cam": "Can"}).by_uid
    assert states[uid(1, "Cam")].state is ImageState.WAITING and "nearly Can" in states[uid(1, "Cam")].reason
    assert "confirmation" in states[uid(2, "New")].reason and "--new-class" in states[uid(2, "New")].remedy
    assert [states[uid(3)].reason, states[uid(4)].reason] == ["refused", "it failed before"]
    assert states[uid(3)].state is ImageState.PROBLEM and "--retry" in states[uid(3)].remedy
    large = find_states(plan, [], {uid(3): "host: Image is too large: more than 20 MB"}, {}).by_uid[uid(3)]
    assert large.remedy == "save it smaller, or list it in .astica-ignore"


def test_removals_have_no_file_and_the_guard_is_named() -> None:
    gone, refused = removal(1, RemovalReason.ABSENT), removal(2, RemovalReason.MOVED)
    plan = Plan(removals=(gone,), class_removals=(RemoveClass("Can", 1, (refused,)),))
    first, second = find_states(plan, [], {}, {}, [refused]).without_file
    assert (first.shown.state, first.shown.reason, first.shown.remedy) == ("to-remove", "its file is gone", "")
    assert (second.path, second.sample_id) == ("Can/2.jpg", 2) and "guard" in second.shown.remedy


def test_a_file_whose_copies_go_stays_what_it_is() -> None:
    extras = (removal(1, RemovalReason.EXTRA), removal(2, RemovalReason.MISPLACED))
    states = find_states(Plan(uploads=(upload(2),), removals=extras), [], {}, {})
    assert states.without_file == []
    assert [states.by_uid[uid(number)].state for number in (1, 2)] == ["on-service", "new"]
    assert "copy" in states.by_uid[uid(1)].reason


def test_held_and_unmanaged_samples() -> None:
    other = RemoteSample("x", 9, 1, "Can")
    plan = Plan(
        held=(Held(uid(1), "Can", 5, "unreadable", "Can/1.jpg"),), unmanaged=(other, replace(other, sample_id=8))
    )
    held, first, second = find_states(
        replace(plan, unmanaged_reasons={8: "sent by another store"}), [], {}, {}
    ).without_file
    assert (held.shown.state, held.shown.reason) == ("waiting", "not removed for now: unreadable")
    assert {first.shown.state, second.shown.state} == {"elsewhere"}
    assert second.shown.reason == "sent by another store" != first.shown.reason


def test_an_image_in_several_classes_names_the_others() -> None:
    samples = tuple(LocalSample(uid(1, title), title, (f"{title}/1.jpg",), 10) for title in ("Bottle", "Can"))
    states = find_states(Plan(in_several_classes=(samples,), uploads=(upload(1, "Can"),)), [], {}, {}).by_uid
    assert {one.state for one in states.values()} == {"several-classes"}
    assert states[uid(1, "Can")].reason == "also in Bottle; a push sends it"
    assert states[uid(1, "Bottle")].reason == "also in Can; the service has it"


def test_problems_are_by_path() -> None:
    states = find_states(Plan(), [Problem("Can/x.jpg", "not an image")], {}, {})
    assert states.problems["Can/x.jpg"].state is ImageState.PROBLEM


def test_the_classes_of_other_stores_are_not_owned() -> None:
    theirs = RemoteSample("x", 9, 2, "Box")
    plan = Plan(not_owned={"Box": 3}, unmanaged=(theirs,), unmanaged_reasons={9: NOT_OWNED})
    states = find_states(plan, [], {}, {})
    assert {title: shown.state for title, shown in states.by_class.items()} == {"Box": ImageState.NOT_OWNED}
    [sample] = states.without_file
    assert (sample.shown.state, sample.shown.reason, sample.shown.remedy) == (ImageState.ELSEWHERE, NOT_OWNED, "")
