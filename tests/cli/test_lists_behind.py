"""A service whose counts are ahead of its lists after our own changes: the push looks again, and says so."""

from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

WAITS = "the service counts a change of this store that its lists do not show yet"


@pytest.mark.long
def test_it_says_what_it_waits_for(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astica_sync.cli.render.live.progress.SHORTEST_WAIT", 0.01)
    sandbox.set_switches(sample_list_lag=2.0)
    shell.environ["ASTICA_QUARANTINE"] = "30"
    assert f"waiting under a second: {WAITS}" in shell("pull-status", "--store", pushed).err


@pytest.mark.long
def test_a_first_push_waits_until_the_lists_show_what_is_counted(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_switches(sample_list_lag=0.3)
    shell.environ["ASTICA_QUARANTINE"] = "30"
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert [request.call for request in sandbox.log].index("upload") < 3
    assert len(sandbox.requests_of("view")) > 3
    assert on_service(sandbox, model_id) == in_store(store)
    # The next command finds a change of the one before.
    assert shell("pull-status", "--exit-code", "--store", store).code == 0


@pytest.mark.long
def test_a_class_is_removed_whole_although_the_lists_are_behind_the_upload_before(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    fill(pushed, {"Dose": 4}, start=50)
    assert shell("push", "--store", pushed).code == 0
    shell.environ["ASTICA_QUARANTINE"] = "30"
    sandbox.set_switches(sample_list_lag=0.3)
    for file in (pushed / "Dose").iterdir():
        file.unlink()
    draw(pushed / "Can" / "new.png", 70)
    ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 0, ran.err
    assert len(sandbox.requests_of("class_remove")) == 1
    assert not sandbox.requests_of("sample_remove")
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_lists_that_stay_behind_end_the_push_after_the_quarantine_and_nothing_follows_from_them(
    shell: Shell, sandbox: RunningSandbox, store: Path
) -> None:
    sandbox.set_switches(sample_list_lag=3600.0)
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "after the last change of this store" in ran.err
    assert "the service's page" in ran.err
    assert len(sandbox.requests_of("upload")) == 1, "the first upload was not proved"


@pytest.mark.long
@pytest.mark.parametrize("change", ["removal", "move", "edit", "rename of the class"])
def test_the_push_after_next_waits_for_the_lists_after_any_change(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, change: str
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "30"
    sandbox.set_switches(sample_list_lag=0.6)
    file = pushed / "Can" / "000.png"
    if change == "removal":
        file.unlink()
    elif change == "move":
        file.rename(pushed / "Bottle" / "moved.png")
    elif change == "edit":
        draw(file, 80)
    else:
        (pushed / "Bottle").rename(pushed / "Flask")
    for again in range(2):
        ran = shell("push", "--yes", "--store", pushed)
        assert ran.code == 0, (again, ran.err)
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.long
def test_a_watcher_waits_for_the_lists(shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "30"
    sandbox.set_switches(sample_list_lag=0.6)
    for number in range(2):
        draw(pushed / "Can" / f"new{number}.png", 90 + number)
        assert shell("watch", "--once", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [["train"], ["versions"], ["push", "--as", "@1"], ["adopt"], ["backup", "prune", "--older-than", "1d", "--yes"]],
)
def test_a_command_right_after_an_upload_waits_for_the_lists(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, command: list[str]
) -> None:
    if "--as" in command:
        assert shell("train", "--store", pushed).code == 0
    # What the first of two views shows is already there for the second.
    draw(pushed / "Can" / "new.png", 90)
    assert shell("push", "--store", pushed).code == 0
    shell.environ["ASTICA_QUARANTINE"] = "30"
    sandbox.set_switches(sample_list_lag=1.0)
    ran = shell(*command, "--store", pushed)
    assert ran.code == 0, ran.err
    assert "not usable" not in ran.err


@pytest.mark.parametrize("seconds", ["0.4", "30"])
def test_counts_that_no_change_of_this_store_explains_are_refused_at_once(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, seconds: str
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = seconds
    sandbox.set_switches(sample_list_lag=3600.0)
    sandbox.add_sample(model_id, "Can", (store / "Can" / "000.png").read_bytes())
    sandbox.clear_log()
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert WAITS not in ran.err
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.long
def test_a_sample_is_removed_by_hand_right_after_an_upload(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    other = sandbox.add_sample(model_id, "Can", (pushed / "Can" / "000.png").read_bytes())
    draw(pushed / "Can" / "new.png", 90)
    assert shell("push", "--store", pushed).code == 0
    shell.environ["ASTICA_QUARANTINE"] = "30"
    sandbox.set_switches(sample_list_lag=1.0)
    ran = shell("remove-sample", str(other), "--yes", "--lose-unmanaged", "1", "--store", pushed)
    assert ran.code == 0, ran.err
