"""Which class an answer names: another spelling is the same class only where it can be no other one."""

import pytest

from astica_sync.core.versions.label_spelling import LabelSpelling


@pytest.mark.parametrize(
    ("titles", "classes", "label", "spelled"),
    [
        ({"Can"}, (), "CAN", "Can"),
        ({"Can"}, ("Can",), " can ", "Can"),
        # The version learned it under another spelling, and the service uses a third one.
        ({"Can"}, ("can",), "CAN", "Can"),
        # A class of its own in the version, also where no image is of that class.
        ({"Can"}, ("Can", "CAN"), "CAN", "CAN"),
        ({"Can"}, ("Can", "CAN"), "Can", "Can"),
        # It may be either of both.
        ({"Can"}, ("Can", "CAN"), "can", "can"),
        ({"Can", "CAN"}, (), "CAN", "CAN"),
        ({"Can", "CAN"}, (), "can", "can"),
        ({"Jar"}, ("Can", "CAN", "Jar"), "JAR", "Jar"),
        ({"Jar"}, ("Jar",), "Lid", "Lid"),
    ],
)
def test_a_label_is_a_title_that_it_can_only_be(
    titles: set[str], classes: tuple[str, ...], label: str, spelled: str
) -> None:
    assert LabelSpelling(titles, classes).spell(label) == spelled
