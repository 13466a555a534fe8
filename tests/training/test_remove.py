"""Removing by hand: only what was named, only after a look, and nothing that the backup cannot give back unasked."""

from pathlib import Path

import pytest

from astica_sync.cli.service.removal_commands import model_to_remove_from
from astica_sync.errors import GuardRefused
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, on_service
from tests.harness.terminal import converse


def test_an_unmanaged_sample_is_removed_by_its_id(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sample_id = sandbox.add_sample(model_id, "Can", b"made elsewhere")
    held = on_service(sandbox, model_id)
    refused = shell("remove-sample", str(sample_id), "--store", store)
    assert refused.code == 4
    assert "not in the backup" in refused.err
    assert on_service(sandbox, model_id) == held
    refused = shell("remove-sample", str(sample_id), "--yes", "--store", store)
    assert refused.code == 4 and "--lose-unmanaged 1" in refused.err
    assert on_service(sandbox, model_id) == held, "--yes does not say that a sample may be lost"
    assert shell("remove-sample", str(sample_id), "--yes", "--lose-unmanaged", "1", "--store", store).code == 0
    assert held - on_service(sandbox, model_id) == {("can", b"made elsewhere"): 1}
    assert "by hand" in shell("log", "--store", store).out


def test_a_managed_sample_is_removed_by_its_file_only(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    ours = sandbox.samples(model_id)[0]
    ran = shell("remove-sample", str(ours.sample_id), "--yes", "--store", store)
    assert ran.code == 4
    assert "managed by the store" in ran.err
    class_id = sandbox.classes(model_id)[0][0]
    assert shell("remove-class", str(class_id), "--yes", "--lose-unmanaged", "0", "--store", store).code == 4
    assert len(sandbox.samples(model_id)) == 5


def test_an_unmanaged_class_is_removed_with_the_number_of_lost_samples(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    for number in range(3):
        sandbox.add_sample(model_id, "Elsewhere", b"image %d" % number)
    class_id = next(class_id for class_id, title in sandbox.classes(model_id) if title == "Elsewhere")
    for wrong in ([], ["--lose-unmanaged", "2"]):
        ran = shell("remove-class", str(class_id), "--yes", *wrong, "--store", store)
        assert ran.code == 4
        assert "--lose-unmanaged 3" in ran.err
    ran = shell("remove-class", str(class_id), "--yes", "--lose-unmanaged", "3", "--store", store)
    assert ran.code == 0, ran.err
    assert len(sandbox.samples(model_id)) == 5


def test_a_model_is_removed_if_the_backup_has_all_its_samples(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("models", "remove", str(model_id), "--store", store).code == 4, "not confirmed"
    ran = shell("models", "remove", str(model_id), "--yes", "--store", store)
    assert ran.code == 0, ran.err
    assert sandbox.models() == []


@pytest.mark.long
def test_on_a_terminal_a_model_is_removed_after_typing_its_title(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    command = ["models", "remove", str(model_id), "--store", store]
    for wrong in ("y", "cans", str(model_id)):
        ran = converse(shell, "Type the title", wrong, *command)
        assert ran.code == 4
        assert "that is not the title" in ran.out
    assert sandbox.models() == [(model_id, "Cans")]
    ran = converse(shell, "Type the title", "Cans", *command)
    assert ran.code == 0, ran.out
    assert sandbox.models() == []


def test_on_a_terminal_a_class_is_removed_after_yes(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.add_sample(model_id, "Elsewhere", b"made elsewhere")
    class_id = next(class_id for class_id, title in sandbox.classes(model_id) if title == "Elsewhere")
    command = ["remove-class", str(class_id), "--lose-unmanaged", "1", "--store", store]
    assert converse(shell, "Remove it permanently?", "n", *command).code == 4
    assert len(sandbox.samples(model_id)) == 6
    assert converse(shell, "Remove it permanently?", "y", *command).code == 0
    assert len(sandbox.samples(model_id)) == 5


def test_all_samples_of_a_model_without_a_store_count_as_lost(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    model_id = sandbox.add_model("Theirs")
    for number in range(2):
        sandbox.add_sample(model_id, "Can", b"image %d" % number)
    ran = shell("models", "remove", str(model_id), "--yes")
    assert ran.code == 4
    assert "--lose-unmanaged 2" in ran.err
    assert shell("models", "remove", str(model_id), "--yes", "--lose-unmanaged", "2").code == 0
    assert sandbox.models() == []


def test_a_model_with_samples_missing_in_the_backup_needs_their_number(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    sandbox.add_sample(model_id, "Can", b"made elsewhere")
    broken = next((store / ".astica-sync" / "backup" / "objects").glob("*/*.png"))
    broken.write_bytes(b"damaged")
    ran = shell("models", "remove", str(model_id), "--yes", "--store", store)
    assert ran.code == 4
    assert "--lose-unmanaged 2" in ran.err
    assert sandbox.models() != []
    assert shell("models", "remove", str(model_id), "--yes", "--lose-unmanaged", "2", "--store", store).code == 0


def test_after_a_lost_answer_the_service_is_asked(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("model_remove:1=lost-after")
    ran = shell("models", "remove", str(model_id), "--yes", "--store", store)
    assert ran.code == 0, ran.err
    assert len(sandbox.requests_of("model_remove")) == 1


def test_samples_added_after_the_question_are_not_removed(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    sandbox.add_sample(model_id, "Elsewhere", b"one")
    class_id = next(class_id for class_id, title in sandbox.classes(model_id) if title == "Elsewhere")
    with model_to_remove_from(store, None) as removing:
        agreed = list(removing.view())
        theirs = [sample for sample in agreed if sample.class_id == class_id]
        sandbox.add_sample(model_id, "Elsewhere", b"two")
        with pytest.raises(GuardRefused, match="other samples than those you agreed to"):
            removing.remove_class(class_id, "Elsewhere", theirs)
        with pytest.raises(GuardRefused, match="other samples than those you agreed to"):
            removing.remove_model(agreed)
        sandbox.remove_sample(theirs[0].sample_id)
        with pytest.raises(GuardRefused, match="other samples than those you agreed to"):
            removing.remove_sample(theirs[0])
    assert not {"class_remove", "model_remove", "sample_remove"} & {request.call for request in sandbox.log}
