"""New classes whose titles may be typing errors: what the first push asks."""

from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill


@pytest.fixture
def two_cases(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store with two new classes that differ in case; not pushed."""
    folder = fill(tmp_path / "two cases", {"Gabel": 2, "gabel": 2, "Can": 1})
    assert shell("init", folder, "--model", str(sandbox.add_model())).code == 0
    return folder


def uploads(shell: Shell, store: Path, *flags: str) -> tuple[int, int]:
    ran = shell("push", "--json", *flags, "--store", store)
    return ran.code, ran.json["uploaded"]


def test_the_first_push_asks_about_two_classes_that_differ_in_case(shell: Shell, two_cases: Path) -> None:
    question = "Classes 'Gabel' and 'gabel' are both new and nearly the same"
    planned = shell("push", "--dry-run", "--store", two_cases)
    assert planned.code == 4 and question in planned.out
    ran = shell("push", "--store", two_cases)
    assert ran.code == 4 and question in ran.out and "push --new-class gabel" in ran.out
    assert "Uploaded 3" in ran.out
    again = shell("push", "--store", two_cases)
    assert again.code == 4 and "the service has 'Gabel': did you mean that one?" in again.out
    assert uploads(shell, two_cases, "--new-class", "gabel") == (0, 2)
    draw(two_cases / "gabel" / "more.png", 70)
    assert uploads(shell, two_cases) == (0, 1)


def test_the_class_table_counts_what_waits_for_an_answer_and_what_cannot_be_sent(shell: Shell, pushed: Path) -> None:
    fill(pushed, {"can": 2}, start=90)
    (pushed / "Can" / "half.png").write_bytes(draw(pushed / "Can" / "half.png", 95).read_bytes()[:-20])
    for _ in range(2):
        # Before and after a push has tried the broken file.
        shown = shell("status", "--store", pushed).out
        table = shown[shown.index("class ") :].split("\n\n")[0].splitlines()
        assert table[0].split("  ")[-2:] == ["waiting", "cannot be sent"]
        figures = {line.split()[0]: line.split()[-2:] for line in table[1:]}
        assert (figures["Can"], figures["can"]) == (["·", "1"], ["2", "·"])
        assert shell("push", "--store", pushed).code == 4


@pytest.mark.parametrize("flags", [("--yes",), ("--new-class", "gabel")])
def test_the_first_push_makes_both_where_that_is_confirmed(
    shell: Shell, two_cases: Path, flags: tuple[str, ...]
) -> None:
    assert uploads(shell, two_cases, *flags) == (0, 5)


def test_a_confirmed_class_whose_images_go_first_is_not_asked_about_again(
    shell: Shell, sandbox: RunningSandbox, two_cases: Path
) -> None:
    """Of two classes that are nearly the same, one is confirmed, so the other is not asked about in a later round."""
    sandbox.add_class(sandbox.models()[0][0], "gabel")
    assert uploads(shell, two_cases, "--new-class", "gabel") == (0, 5)


@pytest.mark.long
def test_a_class_that_was_sent_and_is_not_shown_yet_is_compared_as_well(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    fill(pushed, {"Gabel": 2, "gabel": 2}, start=80)
    sandbox.set_switches(view_lag=60.0)
    for _ in range(2):
        shell("push", "--store", pushed)
    sent = {one.sent["model_class"] for one in sandbox.log if one.call == "upload"}
    assert "Gabel" in sent and "gabel" not in sent
