"""A service whose counts are ahead of its lists after our own changes: the push looks again, and says so."""

from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

WAITS = "the service counts a change of this store that its lists do not show yet"


def test_it_says_what_it_waits_for(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astica_sync.cli.render.live.progress.SHORTEST_WAIT", 0.01)
    sandbox.set_switches(sample_list_lag=2.0)
    shell.environ["ASTICA_QUARANTINE"] = "30"
    assert f"waiting under a second: {WAITS}" in shell("pull-status", "--store", pushed).err


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
