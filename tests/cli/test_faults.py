"""Answers that get lost, come late, or are not the service's: after the push each sample is there exactly once."""

from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

LOSSES = ["lost-before", "lost-after", "late~0.1s", "5xx", "5xx-after", "html", "cut", "cut-connection", "slow~0.1s"]


@pytest.mark.parametrize("kind", LOSSES)
def test_each_sample_is_on_the_service_once_whatever_happens_to_the_answers(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, kind: str
) -> None:
    assert shell("push", "--store", store).code == 0
    fill(store, {"Dose": 4}, start=50)
    (store / "Can" / "000.png").unlink()
    sandbox.set_faults(f"upload:1={kind}", f"upload:4={kind}", f"sample_remove:1={kind}")
    ran = shell("push", "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["in_sync"] is True
    assert (ran.json["uploaded"], ran.json["removed"]) == (4, 1)
    assert on_service(sandbox, model_id) == in_store(store)
    sandbox.clear_log()
    assert shell("push", "--store", store).code == 0
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["lost-before", "lost-after", "html"])
def test_a_lost_answer_to_the_very_first_upload_is_resolved(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, kind: str
) -> None:
    sandbox.set_faults(f"upload:1={kind}")
    ran = shell("push", "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["uploaded"] == 5
    assert on_service(sandbox, model_id) == in_store(store)


@pytest.mark.long
def test_no_upload_follows_a_first_upload_that_never_appears(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_switches(view_lag=3600.0)
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "confirmed the first upload and does not show it" in ran.err and "Push again later" in ran.err
    assert len(sandbox.requests_of("upload")) == 1
    sandbox.set_switches(view_lag=0.0)
    assert shell("push", "--json", "--store", store).json["in_sync"] is True
    assert on_service(sandbox, model_id) == in_store(store)


@pytest.mark.parametrize("kind", ["twice", "late~inf"])
def test_a_duplicate_or_late_copy_is_removed_by_the_next_push(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, kind: str
) -> None:
    sandbox.set_faults(f"upload:3={kind}")
    assert shell("push", "--store", store).code == 0
    sandbox.run_late()
    assert len(sandbox.samples(model_id)) == 6
    assert "it is there more than once" in shell("pull-status", "--store", store).out
    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(store)
    assert len(sandbox.samples(model_id)) == 5


@pytest.mark.long
def test_an_upload_of_unknown_outcome_waits_for_the_quarantine_and_says_so(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "2.2"
    sandbox.set_faults("upload:3=lost-after")
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert "the next view of the service shows whether it was uploaded" in ran.err
    assert "waiting 2 s: some answers were lost" in ran.err
    views = [request.time for request in sandbox.requests_of("view")]
    lost = next(request.time for request in sandbox.requests_of("upload") if request.fault is not None)
    assert views[-1] - lost >= 2.2
    assert len(sandbox.requests_of("upload")) == 5, "an upload that the service shows is not sent again"


def test_a_push_stops_when_every_answer_is_lost(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    folder = fill(tmp_path / "many", {"Can": 2})
    shell("init", folder, "--model", str(sandbox.add_model()))
    assert shell("push", "--store", folder).code == 0
    fill(folder, {"Bottle": 30}, start=100)
    sandbox.clear_log()
    sandbox.set_faults("upload=html")
    ran = shell("push", "--store", folder)
    assert ran.code == 1
    assert "answers in a row were lost" in ran.err
    assert len(sandbox.requests_of("upload")) <= 8 + 16
    sandbox.set_faults()
    assert shell("push", "--json", "--store", folder).json["in_sync"] is True


def test_a_push_stops_when_the_service_refuses_everything_and_blames_no_sample(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("push", "--store", store).code == 0
    fill(store, {"Bottle": 30, "Can": 30}, start=100)
    sandbox.clear_log()
    sandbox.set_limit(1, 0.001)
    sandbox.remove_model(model_id)
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "Model not found" in ran.err and "astica-sync models" in ran.err
    assert not sandbox.requests_of("upload")


@pytest.mark.parametrize("fault", ["view=partial", "view=listed"])
def test_an_incomplete_view_changes_nothing(shell: Shell, sandbox: RunningSandbox, pushed: Path, fault: str) -> None:
    (pushed / "Can" / "000.png").unlink()
    draw(pushed / "Can" / "new.png", 9)
    sandbox.set_faults(fault)
    ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 1
    assert "is not usable" in ran.err and "un the same command again later" in ran.err
    assert {request.call for request in sandbox.log} == {"view"}


@pytest.mark.parametrize("kind", ["html", "cut", "lost-before"])
def test_a_view_with_an_incomplete_answer_is_requested_again(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, kind: str
) -> None:
    sandbox.set_faults(f"view:1={kind}")
    assert shell("pull-status", "--exit-code", "--store", pushed).code == 0
    assert len(sandbox.requests_of("view")) == 2


def test_a_sample_that_is_confirmed_and_never_listed_is_not_sent_forever(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    sandbox.set_switches(view_lag=3600.0)
    sandbox.set_faults("upload:1=lost-before")
    shell.environ["ASTICA_QUARANTINE"] = "0"
    ran = shell("push", "--json", "--store", pushed)
    assert ran.code == 3, ran.err
    assert ran.json["in_sync"] is False
    reasons = [entry["reason"] for entry in ran.json["failed"]]
    assert reasons == ["the service confirmed it and does not show it; the next push tries it once more"] * 4
    assert len(sandbox.requests_of("upload")) == 5 + 1, "only the lost one is sent twice"


@pytest.mark.long
def test_the_service_sees_no_more_than_its_limit_in_any_window(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.set_limit(10, 1.0)
    shell.environ |= {"ASTICA_LIMIT": "10", "ASTICA_LIMIT_WINDOW": "1"}
    sandbox.set_faults(latency="5-40ms")
    folder = fill(tmp_path / "many", {"Can": 32})
    shell("init", folder, "--model", str(sandbox.add_model()))
    assert shell("push", "--store", folder).code == 0
    assert sandbox.max_in_any_window() <= 10
    assert not [request for request in sandbox.log if request.outcome == "limited"]
