"""What is said of the samples that were made elsewhere, where the service holds the data of a version."""

from pathlib import Path

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.sandbox_images import draw as draw_bytes
from tests.harness.shell import Shell, draw


def trained(shell: Shell, store: Path) -> str:
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    return ran.out.strip()


def test_samples_made_elsewhere_that_the_version_did_not_have_are_counted(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.add_sample(model_id, "Can", draw_bytes("green"), "elsewhere of the version")
    trained(shell, store)
    for number in range(2):
        sandbox.add_sample(model_id, "Can", draw_bytes("blue"), f"elsewhere {number}")
    draw(store / "Can" / "new.png", 99)
    assert shell("push", "--store", store).code == 0

    ran = shell("push", "--as", "@1", "--yes", "--store", store)
    said = "The service holds the data of @1; 2 samples made elsewhere are there as well, and a training gets them too."
    assert ran.out.endswith(f"{said}\n"), ran.out
    assert shell("push", "--as", "@1", "--dry-run", "--store", store).out.endswith(f"{said}\n")
    assert "; 2 samples made elsewhere are there as well" in shell("pull-status", "--store", store).out
    assert shell("push", "--as", "@1", "--json", "--store", store).json["unmanaged"] == 3
    assert "; samples made elsewhere stay there." in shell("versions", "--store", store).out

    trained(shell, store)
    first, second = shell("versions", "--json", "--store", store).json["versions"]
    assert (first["samples"], first["unmanaged"]) == (6, 1)
    assert (second["samples"], second["unmanaged"], second["same_data_as"]) == (8, 3, [])


def test_samples_made_elsewhere_that_are_gone_are_counted(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    gone = sandbox.add_sample(model_id, "Can", draw_bytes("green"), "elsewhere of the version")
    trained(shell, store)
    sandbox.remove_sample(gone)
    ran = shell("push", "--as", "@1", "--yes", "--store", store)
    assert ran.out.endswith("the data of @1 without 1 sample made elsewhere, which the backup does not have.\n"), (
        ran.out
    )


def test_nothing_is_added_where_nothing_was_made_elsewhere(shell: Shell, store: Path) -> None:
    trained(shell, store)
    ran = shell("push", "--as", "@1", "--store", store)
    assert ran.out.endswith("The service holds the data of @1.\n"), ran.out
