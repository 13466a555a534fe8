"""Which files a mirror lacks."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.mirror.plan_copies import content_of, is_checked_now, is_of_mirror, plan_copies

CONTENTS = tuple(f"{number:032x}" for number in range(4))
OBJECTS = tuple(f"backup/objects/{content[:2]}/{content}.png" for content in CONTENTS)
SNAPSHOTS = tuple(f"backup/snapshots/{content}.jsonl" for content in CONTENTS[:2])
NAMES = (*OBJECTS, *SNAPSHOTS, "backup/catalog.jsonl", "backup/README.txt")
sides = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3))


@given(sides, sides, st.sets(st.sampled_from(NAMES)))
def test_after_the_copies_the_mirror_has_everything_and_nothing_is_copied_twice(
    here: dict[str, int], there: dict[str, int], changed: set[str]
) -> None:
    plan = plan_copies(here, there, changed)
    after = there | {name: here[name] for name in (*plan.objects, *plan.others)}
    assert here.items() <= after.items()
    assert plan_copies(here, after, set()) == plan_copies(here, here, set())
    assert not plan_copies(here, after, set()).objects
    assert plan.kept + len(plan.objects) == sum(name in here for name in OBJECTS)
    assert all(content_of(name) for name in plan.objects)
    assert set(plan.others) >= (changed & here.keys()) - {*OBJECTS, *SNAPSHOTS}


@given(st.sampled_from(CONTENTS), st.integers(0, 1000), st.integers(1, 50))
def test_each_object_has_one_turn_of_so_many(content: str, first: int, turns: int) -> None:
    assert sum(is_checked_now(content, first + turn, turns) for turn in range(turns)) == 1


def test_names_of_a_mirror() -> None:
    assert all(map(is_of_mirror, NAMES))
    assert is_of_mirror("store.json")
    assert not is_of_mirror(f"backup/objects/ff/{CONTENTS[0]}.png")
    assert content_of("backup/catalog.jsonl") is None
