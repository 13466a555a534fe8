"""Trainings: one request leads to one training, and the next command resumes after a crash or a lost answer."""

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from astica_sync import Client, Store
from astica_sync.api.run_training import TrainingResult
from astica_sync.core.model import ModelInfo
from astica_sync.core.versions.pending_training import PENDING, Training
from astica_sync.local.db.journal import Journal
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.train import TrainingState, find_model
from tests.harness.shell import Shell, draw, fill, in_store, on_service
from tests.harness.terminal import converse

# Seconds of real processes or trainings for each test.
pytestmark = pytest.mark.long


def pending(store: Path) -> Training | None:
    with contextlib.closing(Journal(store / ".astica-sync" / "journal.db")) as journal:
        found = journal.get_meta(PENDING)
    return None if found is None else Training(**found)


def put_back(store: Path, seconds: float) -> None:
    """Moves the time of the request into the past."""
    with contextlib.closing(Journal(store / ".astica-sync" / "journal.db")) as journal:
        found = Training(**journal.get_meta(PENDING))
        journal.set_meta(PENDING, {**asdict(found), "asked_at": found.asked_at - seconds})


@pytest.mark.switches("as documented", "versions are dates", "untrained says nothing", "no model list", "all at once")
def test_a_new_version_is_recognised_under_every_setting_of_the_service(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    # Where views lag, a sample that was just confirmed is not shown yet, and train refuses.
    for _ in range(20):
        if shell("pull-status", "--exit-code", "--store", store).code == 0:
            break
    for count in (1, 2):
        ran = shell("train", "--store", store)
        assert ran.code == 0, ran.err
        assert sandbox.versions(model_id)[-1] == ran.out.strip()
        assert len(sandbox.requests_of("model_train")) == count


def test_a_lost_answer_does_not_cause_a_second_training(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("model_train:1=lost-after")
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    assert len(sandbox.requests_of("model_train")) == 1
    assert sandbox.versions(model_id) == [ran.out.strip()]


def test_an_outage_while_it_waits_is_named_and_waited_for(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    # The first is the look before the request; each of the others is tried twice.
    sandbox.set_faults("list:2-5=5xx")
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    assert sandbox.versions(model_id) == [ran.out.strip()]
    assert ran.err.count("the service is asked again, and the training goes on there") == 1, ran.err


def test_the_next_command_resumes_a_training_that_was_killed_while_waiting(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("model_train:1=slow~20s")
    process = shell.start("train", "--store", store)
    until = time.monotonic() + 20
    while not sandbox.requests_of("model_train") and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert pending(store) is not None, "the training is recorded before the request"
    sandbox.wait_for_training()
    sandbox.set_faults()
    if not sandbox.versions(model_id):
        # The request was lost with the connection.
        put_back(store, 3600)
        ran = shell("train", "--again", "--store", store)
    else:
        ran = shell("train", "--store", store)
        assert "no training was requested" in ran.err
    assert ran.code == 0, ran.err
    assert sandbox.versions(model_id) == [ran.out.strip()]
    assert pending(store) is None


def test_ctrl_c_stops_waiting_but_not_the_training(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("model_train:1=late~inf")
    process = shell.start("train", "--store", store)
    assert process.stderr is not None
    listed = next(line for line in process.stderr if line.startswith("Training on"))
    assert listed.startswith("Training on 5 samples for ") and "5 to 10 min are usual" in listed
    process.send_signal(signal.SIGINT)
    ran = shell.finish(process)
    assert ran.code == 130, ran.err
    assert "stopped waiting" in ran.err and "astica-sync versions" in ran.err
    assert sandbox.run_late() == 1
    sandbox.wait_for_training()
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    assert sandbox.versions(model_id) == [ran.out.strip()]
    assert len(sandbox.requests_of("model_train")) == 1


def test_on_a_terminal_an_overdue_training_is_repeated_after_yes(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("model_train:1=lost-before")
    assert shell("train", "--no-wait", "--store", store).code == 0
    put_back(store, 3600)
    question = "Request it again?"
    assert converse(shell, question, "n", "train", "--store", store).code == 1
    assert len(sandbox.requests_of("model_train")) == 1
    ran = converse(shell, question, "y", "train", "--store", store)
    assert ran.code == 0, ran.out
    assert sandbox.versions(model_id) == [ran.out.split()[-1]]


def test_training_before_the_first_push_suggests_a_push(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    for classes, hint in (
        ({"Bottle": 1, "Can": 1}, "Run: astica-sync push"),
        ({"Can": 2}, "Add a second class folder"),
    ):
        folder = fill(tmp_path / f"of {len(classes)}", classes)
        assert shell("init", folder, "--model", str(sandbox.add_model("Fresh"))).code == 0
        ran = shell("train", "--store", folder)
        assert ran.code == 1
        assert "at least two classes, and the model has none" in ran.err and hint in ran.err
    assert not sandbox.requests_of("model_train")


def test_the_versions_command_records_a_finished_training(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("train", "--no-wait", "--store", store).code == 0
    assert pending(store) is not None
    sandbox.wait_for_training()
    (listed,) = shell("versions", "--json", "--store", store).json["versions"]
    assert listed["made_here"] and listed["samples"] == 5
    assert pending(store) is None


def test_a_pending_training_of_the_same_data_is_not_requested_again(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    shell("train", "--no-wait", "--store", store)
    sandbox.wait_for_training()
    assert shell("train", "--store", store).code == 0
    assert len(sandbox.requests_of("model_train")) == 1
    shell("train", "--no-wait", "--store", store)
    draw(store / "Can" / "new.png", 88)
    assert shell("push", "--store", store).code == 0
    sandbox.wait_for_training()
    assert shell("train", "--store", store).code == 0
    assert len(sandbox.requests_of("model_train")) == 3
    assert [one["samples"] for one in shell("versions", "--json", "--store", store).json["versions"]] == [5, 5, 6]


def test_an_unreported_version_is_reported_by_the_next_command(
    shell: Shell, sandbox: RunningSandbox, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)

    def interrupt(trained: TrainingResult) -> None:
        raise KeyboardInterrupt

    with Store(store) as opened, pytest.raises(KeyboardInterrupt):
        opened.train(on_result=interrupt)
    ran = shell("train", "--json", "--store", store)
    assert ran.json["picked_up"] and [ran.json["version"]] == sandbox.versions(1001)
    assert len(sandbox.requests_of("model_train")) == 1
    assert not shell("train", "--json", "--store", store).json["picked_up"], (
        "a reported version does not prevent another training"
    )
    assert len(sandbox.requests_of("model_train")) == 2


def test_an_answer_older_than_another_request_does_not_finish_that_training(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    with Store(store) as opened:
        first = opened.train().version
        assert first is not None
        trainer = opened.trainer
        old = Training("a" * 32, 5, 1.0, True, "", None)
        trainer.journal.set_meta(PENDING, asdict(old))
        asked = iter([asdict(Training("b" * 32, 5, 2.0, True, first.name, first.trained_at, 1))])

        def meanwhile(service: RateLimitedClient, model_id: int, view: Callable[[], ModelInfo]) -> ModelInfo:
            if found := next(asked, None):
                trainer.journal.set_meta(PENDING, found)
            return find_model(service, model_id, view)

        monkeypatch.setattr("astica_sync.training.train.find_model", meanwhile)
        state = trainer.poll()
        assert state.finished is None and state.pending is not None and state.pending.snapshot == "b" * 32
        assert [version.snapshot for version in trainer.records.versions()] == [first.snapshot]
        trainer.give_up(old)
        assert trainer.pending() == state.pending, "the request of another command is kept"


def test_a_version_that_appears_before_the_request_is_not_its_result(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)

    with Store(store) as opened:
        look = opened.trainer.poll

        def meanwhile(_: object) -> TrainingState:
            found = look()
            monkeypatch.undo()
            opened.session.remote.service.train(model_id)
            sandbox.wait_for_training()
            return found

        monkeypatch.setattr("astica_sync.training.train.Trainer.poll", meanwhile)
        mine = opened.train()
        theirs, made = opened.versions()
        assert mine.version is not None and made.version.name == mine.version.name
        assert (theirs.version.snapshot, made.version.snapshot) == (None, mine.snapshot)
    assert sandbox.versions(model_id) == [theirs.version.name, mine.version.name]


def test_a_lost_request_is_repeated_only_when_overdue_and_confirmed(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("model_train:1=lost-before")
    assert shell("train", "--no-wait", "--store", store).code == 0
    sandbox.set_faults()
    early = shell("train", "--again", "--no-wait", "--store", store)
    assert early.code == 0
    assert "still running" in early.err
    assert len(sandbox.requests_of("model_train")) == 1
    put_back(store, 3600)
    assert "no version has appeared" in shell("versions", "--store", store).out
    ran = shell("train", "--store", store)
    assert ran.code == 1
    assert "no version has appeared" in ran.err and "--again" in ran.err
    ran = shell("train", "--again", "--store", store)
    assert ran.code == 0, ran.err
    assert sandbox.versions(model_id) == [ran.out.strip()]


def test_a_refused_training_leaves_no_record(shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int) -> None:
    sandbox.remove_class(sandbox.classes(model_id)[0][0])
    ran = shell("train", "--anyway", "--store", store)
    assert ran.code == 1
    assert "at least two classes, and the model has only 'Can'" in ran.err
    assert not sandbox.requests_of("model_train")
    assert pending(store) is None


def test_a_difference_is_refused_unless_anyway(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    draw(store / "Can" / "new.png", 88)
    (store / "Bottle" / "000.png").unlink()
    held = on_service(sandbox, 1001)
    ran = shell("train", "--store", store)
    assert ran.code == 1
    assert "1 to upload in 'Can', 1 to remove in 'Bottle'" in ran.err
    ran = shell("train", "--anyway", "--store", store)
    assert ran.code == 0, ran.err
    assert shell("snapshot", "restore", "@1", "--to", tmp_path / "then", "--store", store).code == 0
    assert in_store(tmp_path / "then") == held, "the snapshot is what the service held, not what the store holds"


def test_doubtful_uploads_prevent_a_training_even_with_anyway(
    shell: Shell, sandbox: RunningSandbox, store: Path
) -> None:
    draw(store / "Can" / "new.png", 88)
    shell.environ["ASTICA_QUARANTINE"] = "600"
    sandbox.set_faults("upload:1=lost-before")
    process = shell.start("push", "--store", store)
    until = time.monotonic() + 20
    while not sandbox.requests_of("upload") and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ran = shell("train", "--anyway", "--store", store)
    assert ran.code == 1
    assert "outcome of 1 request is not known yet, in 'Can'" in ran.err
    assert not sandbox.requests_of("model_train")


def test_a_version_trained_elsewhere_is_listed_without_data(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    mine = shell("train", "--store", store).out.strip()
    from astica_sync import Client

    with pytest.MonkeyPatch.context() as patch:
        for name, value in shell.environ.items():
            patch.setenv(name, value)
        with Client() as client:
            client.train(model_id)
    sandbox.wait_for_training()
    theirs = sandbox.versions(model_id)[-1]
    listed = shell("versions", "--json", "--store", store).json["versions"]
    assert [(one["name"], one["made_here"]) for one in listed] == [(mine, True), (theirs, False)]
    assert "trained elsewhere" in shell("versions", "--store", store).out
    ran = shell("push", "--as", theirs, "--store", store)
    assert ran.code == 1
    assert "is not known: this store did not train it" in ran.err


def test_unmanaged_samples_are_in_the_snapshot_and_stay_on_push_as(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.add_sample(model_id, "Can", b"made elsewhere", "their.png")
    assert shell("train", "--store", store).code == 0
    listed = shell("versions", "--json", "--store", store).json["versions"][0]
    assert (listed["samples"], listed["unmanaged"]) == (6, 1)
    (store / "Can" / "000.png").unlink()
    assert shell("push", "--store", store).code == 0
    assert shell("push", "--as", "@1", "--store", store).code == 0
    assert len(sandbox.samples(model_id)) == 6


def test_a_snapshot_says_what_the_service_shows_of_a_likely_pair_and_of_copies_in_another_class(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    mine = draw(store / "Can" / "mine.png", 88).read_bytes()
    sandbox.add_sample(model_id, "Can", b"x" * len(mine), "foreign")
    assert "likely" in shell("adopt", "--likely", "--yes", "--store", store).out
    shell.environ["ASTICA_QUARANTINE"] = "0.01"
    moved = next(one for one in sandbox.samples(model_id) if one.class_title == "Bottle")
    sandbox.remove_sample(moved.sample_id)
    for _ in range(2):
        sandbox.add_sample(model_id, "Can", moved.image, moved.uid)
    shown = [(one.class_title, one.image) for one in sandbox.samples(model_id) if one.uid != "foreign"]
    assert shell("train", "--anyway", "--store", store).code == 0
    listed = shell("versions", "--json", "--store", store).json["versions"][0]
    assert (listed["samples"], listed["unmanaged"]) == (len(shown) + 1, 1)
    ran = shell("snapshot", "restore", "@1", "--to", tmp_path / "then", "--store", store)
    assert ran.code == 0 and "1 unmanaged sample of @1 cannot be restored" in ran.err
    written = [(path.parent.name, path.read_bytes()) for path in (tmp_path / "then").glob("*/*")]
    assert sorted(written) == sorted(shown)
    dry = shell("push", "--as", "@1", "--dry-run", "--json", "--store", store)
    assert {one["class"] for one in dry.json["upload"]} <= {"Can"}
    printed = shell("push", "--as", "@1", "--dry-run", "--store", store).err
    assert "1 unmanaged sample of @1 cannot be restored" in printed


def test_a_snapshot_survives_the_loss_of_index_and_journal(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    held = on_service(sandbox, model_id)
    assert shell("train", "--store", store).code == 0
    for name in ("index.db", "journal.db"):
        (store / ".astica-sync" / name).unlink()
    assert shell("snapshot", "restore", "@1", "--to", tmp_path / "then", "--store", store).code == 0
    assert in_store(tmp_path / "then") == held


def test_a_damaged_manifest_is_an_error(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    assert shell("train", "--store", store).code == 0
    manifest = next((store / ".astica-sync" / "backup" / "snapshots").glob("*.jsonl"))
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[1:]))
    sandbox.clear_log()
    ran = shell("push", "--as", "@1", "--yes", "--store", store)
    assert ran.code == 1
    assert "is damaged" in ran.err
    assert sandbox.log == []


def test_a_killed_push_as_continues_and_a_plain_push_returns_to_the_store(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    held = on_service(sandbox, model_id)
    first = shell("train", "--store", store).out.strip()
    for path in (store / "Can").iterdir():
        path.unlink()
    for place in range(4):
        draw(store / "Can" / f"other-{place}.png", 200 + place)
    assert shell("push", "--yes", "--store", store).code == 0
    sandbox.clear_log()
    sandbox.set_faults("upload:2-9=slow~20s")
    process = shell.start("push", "--as", first, "--yes", "--store", store)
    until = time.monotonic() + 20
    while len(sandbox.requests_of("upload")) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    sandbox.set_faults()
    assert shell("pull-status", "--json", "--store", store).json["follows"] == first
    assert shell("push", "--as", first, "--yes", "--store", store).code == 0
    assert on_service(sandbox, model_id) == held
    assert shell("push", "--yes", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(store)


def test_push_as_is_guarded_and_a_dry_run_shows_its_requests(
    shell: Shell, sandbox: RunningSandbox, store: Path
) -> None:
    first = shell("train", "--store", store).out.strip()
    for place in range(12):
        draw(store / "Can" / f"more-{place:02}.png", 300 + place)
    assert shell("push", "--store", store).code == 0
    plan = shell("push", "--as", first, "--dry-run", "--json", "--store", store)
    assert plan.code == 4
    assert (len(plan.json["remove"]), plan.json["requests"]) == (12, 1)
    assert shell("push", "--as", first, "--store", store).code == 4
    assert len(sandbox.samples(1001)) == 17


def test_a_training_that_failed_can_be_requested_again_at_once(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_switches(training="fails")
    assert shell("train", "--no-wait", "--store", store).code == 0
    sandbox.wait_for_training()
    sandbox.set_switches(training="works")
    ran = shell("train", "--again", "--store", store)
    assert ran.code == 0, ran.err
    assert sandbox.versions(model_id) == [ran.out.strip()]
    assert len(sandbox.requests_of("model_train")) == 2


def test_a_training_that_is_still_running_is_not_lost_when_another_one_is_refused(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_switches(training_time=4.0)
    assert shell("train", "--no-wait", "--store", store).code == 0
    ran = shell("train", "--again", "--store", store)
    assert ran.code == 1 and "already in progress" in ran.err
    assert "may still be running" in ran.err and "push" not in ran.err
    assert pending(store) is not None
    sandbox.wait_for_training()
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    assert sandbox.versions(model_id) == [ran.out.strip()]


@pytest.mark.parametrize(
    ("changes", "text"), [({"training": "refused"}, "not available"), ({"training_time": 4.0}, "already in progress")]
)
def test_a_refused_training_says_what_is_known_and_what_to_do(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, changes: dict[str, object], text: str
) -> None:
    sandbox.set_switches(**changes)
    if "training_time" in changes:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in shell.environ.items():
                patch.setenv(name, value)
            with Client() as client:
                client.train(model_id)
    ran = shell("train", "--store", store)
    assert ran.code == 1 and text in ran.err
    assert "No training was started by this command" in ran.err and "astica-sync versions" in ran.err
    assert "--retry" not in ran.err
    assert pending(store) is None


def test_a_version_that_is_being_trained_is_not_advised_to_be_trained(
    shell: Shell, sandbox: RunningSandbox, store: Path
) -> None:
    ran = shell("detect", store / "Can" / next((store / "Can").iterdir()).name, "--store", store)
    assert ran.code == 1 and "Run: astica-sync train" in ran.err
    sandbox.set_faults("model_train:1=lost-before")
    assert shell("train", "--no-wait", "--store", store).code == 0
    ran = shell("detect", store / "Can" / next((store / "Can").iterdir()).name, "--store", store)
    assert ran.code == 1
    assert "the model has no version yet: a training was requested at 2" in ran.err
    assert "To see when its version is there: astica-sync versions" in ran.err
