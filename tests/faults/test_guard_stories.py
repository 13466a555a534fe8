"""Mistakes that cost the users of other tools their files: here nothing is removed.

Each is a report about another tool; where a story needs a disk that is not mounted, it is in
``tests/cli/test_disk_trouble.py``, and the plain shares of the guard are in ``tests/cli/test_removals.py``.
"""

import shutil
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Ran, Shell, draw, fill, in_store, on_service
from tests.harness.terminal import converse


def nothing_went(box: RunningSandbox) -> bool:
    return not (box.requests_of("sample_remove") or box.requests_of("class_remove"))


def test_removing_the_last_file_of_a_class_needs_confirmation(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    for path in (pushed / "Bottle").iterdir():
        path.unlink()
    ran = shell("push", "--store", pushed)
    assert ran.code == 4
    assert "class 'Bottle' is missing or empty in the store" in ran.out
    assert "- Bottle/000.png" in ran.out
    assert nothing_went(sandbox)
    (pushed / "Bottle").rmdir()
    assert shell("push", "--store", pushed).code == 4
    assert nothing_went(sandbox)


@pytest.mark.parametrize(("answer", "code"), [("n", 4), ("y", 0)])
def test_on_a_terminal_the_question_about_an_empty_class_names_its_files(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, answer: str, code: int
) -> None:
    shutil.rmtree(pushed / "Bottle")
    ran = converse(shell, "Remove them from the service?", answer, "push", "--store", pushed)
    assert ran.code == code, ran.out
    assert "- Bottle/000.png" in ran.out
    assert "- Bottle/001.png" in ran.out
    assert nothing_went(sandbox) == (answer == "n")


def test_a_renamed_class_moves_without_a_question(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    (pushed / "Bottle").rename(pushed / "Flask")
    assert shell("push", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_changed_ignore_file_does_not_remove_samples_silently(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    (pushed / ".astica-ignore").write_text("000.png\n")
    ran = shell("push", "--store", pushed)
    assert ran.code == 4
    assert "3 samples would be removed because their files are left out now" in ran.out
    assert nothing_went(sandbox)
    status = shell("pull-status", "--store", pushed)
    assert "its file is ignored now" in status.out
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert len(sandbox.samples(model_id)) == 5
    (pushed / ".astica-ignore").unlink()
    assert shell("push", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_deleting_every_file_removes_nothing(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    for title in ("Bottle", "Can", "Glass"):
        shutil.rmtree(pushed / title)
    for flags in ((), ("--max-remove", "1000"), ("--max-remove", "100%")):
        ran = shell("push", *flags, "--store", pushed)
        assert ran.code == 4, ran.out
        assert "the store has no samples" in ran.out
    assert nothing_went(sandbox)


def test_a_store_whose_state_folder_alone_is_left_on_an_empty_disk_removes_nothing(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path
) -> None:
    # The state folder was put where the disk is mounted: with the disk away, it is all there is.
    empty = tmp_path / "mount point"
    empty.mkdir()
    shutil.copytree(pushed / ".astica-sync", empty / ".astica-sync")
    ran = shell("push", "--yes", "--store", empty)
    assert ran.code == 1
    assert "moved to another disk or copied" in ran.err
    assert sandbox.log == []


def test_of_two_copies_of_a_store_only_the_initialized_one_writes(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(pushed, tmp_path / "copy"))
    draw(copy / "Can" / "new.png", 40)
    ran = shell("push", "--store", copy)
    assert ran.code == 1
    assert "astica-sync init" in ran.err
    assert sandbox.log == []
    assert shell("pull-status", "--store", copy).code == 0, "looking is free"
    assert shell("init", copy).code == 0
    assert shell("push", "--store", copy).code == 0
    assert on_service(sandbox, model_id) == in_store(copy)


def test_init_without_options_is_for_a_store_that_has_a_model(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path
) -> None:
    assert shell("init", pushed).code == 0
    fresh = fill(tmp_path / "fresh", {"Can": 1})
    ran = shell("init", fresh)
    assert ran.code == 2
    assert "--model ID" in ran.err
    assert not (fresh / ".astica-sync").exists()


def test_two_stores_of_one_model_never_remove_what_the_other_has_sent(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    other = fill(tmp_path / "other", {"Can": 3}, start=60)
    assert shell("init", other, "--model", str(model_id), "--yes").code == 0
    for store in (other, pushed, other, pushed):
        assert shell("push", "--yes", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed) + in_store(other)
    shutil.rmtree(other / "Can")
    assert shell("push", "--yes", "--store", other).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_sample_of_two_stores_is_removed_only_when_neither_has_it(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    """The store that has the file puts it back: the end is right, at the price of an upload."""
    other = tmp_path / "other"
    shutil.copytree(pushed / "Can", other / "Can")
    assert shell("init", other, "--model", str(model_id), "--yes").code == 0
    assert shell("push", "--store", other).code == 0
    (other / "Can" / "000.png").unlink()
    assert shell("push", "--store", other).code == 0
    assert shell("push", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.parametrize("title", ["can", "Botle", "GLASS "])
def test_a_typo_in_a_class_title_is_questioned_before_any_request(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, title: str
) -> None:
    draw(pushed / title / "new.png", 40)
    draw(pushed / "Can" / "new.png", 41)
    ran = shell("push", "--store", pushed)
    assert ran.code == 4
    assert "did you mean" in ran.out
    assert len(sandbox.requests_of("upload")) == 1, "what is certain goes ahead"
    meant = shell("push", "--new-class", title, "--store", pushed)
    assert meant.code == 0, meant.out
    assert len(sandbox.requests_of("upload")) == 2


@pytest.mark.parametrize("title", ["Cup", "Cann", "Bott1e"])
def test_short_titles_and_titles_with_another_digit_are_not_questioned(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, title: str
) -> None:
    draw(pushed / title / "new.png", 40)
    assert shell("push", "--store", pushed).code == 0


@pytest.mark.long
def test_on_a_terminal_a_similar_title_can_be_confirmed(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    draw(pushed / "Botle" / "new.png", 40)
    refused = converse(shell, "Make these classes?", "n", "push", "--store", pushed)
    assert refused.code == 4
    assert not sandbox.requests_of("upload")
    meant = converse(shell, "Make these classes?", "y", "push", "--store", pushed)
    assert meant.code == 0, meant.out
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True


def lines_of(ran: Ran) -> list[str]:
    return [line for line in (ran.out + ran.err).splitlines() if line.strip()]


@pytest.mark.parametrize("share", ["10", "50%"])
def test_max_remove_refuses_all_removals_above_it(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, share: str
) -> None:
    fill(pushed, {"Jar": 12}, start=100)
    assert shell("push", "--store", pushed).code == 0
    for path in sorted((pushed / "Jar").iterdir())[:11]:
        path.unlink()
    ran = shell("push", "--max-remove", share, "--store", pushed)
    assert ran.code == 4, lines_of(ran)
    assert nothing_went(sandbox)
    assert shell("push", "--max-remove", "11", "--store", pushed).code == 0
    assert len(sandbox.requests_of("sample_remove")) == 11


@pytest.fixture
def many(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A pushed store of twenty samples in two classes."""
    folder = fill(tmp_path / "many", {"Bottle": 10, "Can": 10})
    assert shell("init", folder, "--model", str(sandbox.add_model())).code == 0
    assert shell("push", "--store", folder).code == 0
    sandbox.clear_log()
    # Everything was confirmed long ago.
    shell.environ["ASTICA_QUARANTINE"] = "0"
    return folder


def test_an_empty_view_that_adds_up_repeats_and_forgets_nothing(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    [(model_id, _)] = sandbox.models()
    (many / "Can" / "000.png").unlink()
    draw(many / "Can" / "new.png", 90)
    sandbox.set_switches(view_lag=3600.0)
    ran = shell("push", "--json", "--store", many)
    assert ran.code == 4, ran.out + ran.err
    assert (ran.json["uploaded"], ran.json["removed"], ran.json["in_sync"]) == (1, 0, False)
    [refusal] = ran.json["refusals"]
    assert refusal["reason"].startswith("the service shows 0 of 19 samples that it had")
    assert len(refusal["samples"]) == 19
    assert shell("pull-status", "--exit-code", "--store", many).code == 5
    sandbox.set_switches(view_lag=0.0)
    sandbox.clear_log()
    settled = shell("push", "--json", "--store", many)
    assert (settled.code, settled.json["removed"], settled.json["in_sync"]) == (0, 1, True), settled.out
    assert not sandbox.requests_of("upload")
    assert on_service(sandbox, model_id) == in_store(many)


def test_a_model_that_was_emptied_on_the_vendors_page_is_filled_again_after_confirmation(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    [(model_id, _)] = sandbox.models()
    for sample in sandbox.samples(model_id):
        sandbox.remove_sample(sample.sample_id)
    shown = shell("pull-status", "--store", many)
    assert "A push would not send these again: the service shows 0 of 20 samples that it had" in shown.out
    refused = shell("push", "--max-remove", "100", "--store", many)
    assert refused.code == 4
    assert "Nothing was sent again" in refused.out and "+ Bottle/000.png" in refused.out
    assert "astica-sync push --yes" in refused.out
    assert shell("watch", many, "--once").code == 4
    assert not sandbox.requests_of("upload")
    assert shell("push", "--yes", "--store", many).code == 0
    assert on_service(sandbox, model_id) == in_store(many)
    assert shell("push", "--json", "--store", many).json["in_sync"] is True


@pytest.mark.parametrize(("answer", "code"), [("n", 4), ("y", 0)])
def test_on_a_terminal_the_question_about_an_emptied_model_names_its_files(
    shell: Shell, sandbox: RunningSandbox, many: Path, answer: str, code: int
) -> None:
    [(model_id, _)] = sandbox.models()
    for sample in sandbox.samples(model_id):
        sandbox.remove_sample(sample.sample_id)
    ran = converse(shell, "Send all of these again?", answer, "push", "--store", many)
    assert ran.code == code, ran.out
    assert "+ Bottle/000.png" in ran.out
    assert len(sandbox.samples(model_id)) == (20 if answer == "y" else 0)
