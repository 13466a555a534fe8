"""Changes of the page as values."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.gallery.page_change import ChangeStep, StepKind, describe, inverse, undo_steps

STEPS = st.builds(ChangeStep, st.sampled_from(StepKind), st.text(), st.text(), st.text())


@given(st.lists(STEPS))
def test_undoing_twice_is_the_change_itself(steps: list[ChangeStep]) -> None:
    assert undo_steps(undo_steps(steps)) == steps
    assert [inverse(inverse(step)) for step in steps] == steps


def test_each_kind_has_its_label() -> None:
    assert describe("move", 1, to="Can") == "move 1 image to Can"
    assert describe("delete", 2000) == "delete 2,000 images"
    assert describe("upload", 3, to="Can") == "add 3 images to Can"
    assert describe("create_class", 0, to="Can") == "make class Can"
    assert describe("rename_class", 0, "Can", "Tin") == "rename class Can to Tin"
    assert describe("merge_classes", 9, "Can", "Tin") == "merge class Can into Tin"
    assert describe("restore", 2) == "put back 2 images"
