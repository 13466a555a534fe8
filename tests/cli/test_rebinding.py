"""A store is bound to a model with samples of others only where the user agrees."""

from pathlib import Path

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell


def test_a_store_is_not_bound_to_a_foreign_model_of_the_same_number_without_a_word(
    shell: Shell, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    sentinel = pushed / ".astica-sync" / "store.json"
    before = sentinel.read_bytes()
    with running(tmp_path / "account", limit=100_000) as box:
        while box.add_model("Of others") != model_id:
            pass
        box.add_sample(model_id, "Can", b"made by others")
        shell.environ |= {"ASTICA_TRAIN_URL": box.url, "ASTICA_DETECT_URL": box.url, "ASTICA_API_KEY": box.key}
        command = ("init", pushed, "--model", str(model_id), "--rebind")
        refused = shell(*command)
        assert refused.code == 4, refused.err
        assert "has not sent 1 of the 1 sample of model" in " ".join(refused.err.split())
        assert '"Of others"' in refused.err and "--yes" in refused.err and refused.out == ""
        assert sentinel.read_bytes() == before
        agreed = shell(*command, "--yes")
        assert agreed.code == 0 and "has not sent 1" in " ".join(agreed.err.split())


def test_a_store_goes_back_to_a_model_whose_samples_are_its_own_without_a_question(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    other = sandbox.add_model("Other")
    assert shell("init", pushed, "--model", str(other), "--rebind").code == 0
    ran = shell("init", pushed, "--model", str(model_id), "--rebind")
    assert ran.code == 0, ran.err
