"""Versions and their data: each training freezes what the service holds, and any of it can be brought back."""

from pathlib import Path

from shell import Shell, draw, in_store, on_service

from astica_sync.sandbox.running import Box


def trained(shell: Shell, store: Path) -> str:
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    return ran.out.strip()


def test_a_training_makes_a_version_of_exactly_what_the_service_held(
    shell: Shell, sandbox: Box, store: Path, model_id: int, tmp_path: Path
) -> None:
    held = on_service(sandbox, model_id)
    name = trained(shell, store)
    assert sandbox.versions(model_id) == [name]
    told = shell("versions", "--json", "--store", store).json["versions"]
    assert [(one["name"], one["samples"], one["classes"], one["made_here"]) for one in told] == [(name, 5, 2, True)]
    ran = shell("snapshot", "restore", name, "--to", tmp_path / "then", "--store", store)
    assert ran.code == 0, ran.err
    assert in_store(tmp_path / "then") == held


def test_a_version_goes_back_and_a_plain_push_comes_forward(
    shell: Shell, sandbox: Box, store: Path, model_id: int
) -> None:
    first, then = trained(shell, store), on_service(sandbox, model_id)
    (store / "Can" / "000.png").rename(store / "Bottle" / "moved.png")
    (store / "Can" / "001.png").unlink()
    draw(store / "Can" / "new.png", 99)
    assert shell("push", "--store", store).code == 0
    now = in_store(store)
    assert on_service(sandbox, model_id) == now != then
    trained(shell, store)

    ran = shell("push", "--as", first, "--store", store)
    assert ran.code == 0, ran.err
    assert f"holds the data of {first}" in ran.out
    assert on_service(sandbox, model_id) == then
    assert in_store(store) == now, "the folder is not touched"
    assert shell("pull-status", "--json", "--store", store).json["follows"] == first
    assert first in shell("pull-status", "--store", store).out

    third = trained(shell, store)
    told = shell("versions", "--json", "--store", store).json["versions"]
    assert [one["snapshot"] for one in told if one["name"] in (first, third)] == [told[0]["snapshot"]] * 2
    assert told[1]["changed"]["classes"] == {
        "Bottle": {"added": 0, "removed": 0, "moved_in": 1, "moved_out": 0},
        "Can": {"added": 1, "removed": 1, "moved_in": 0, "moved_out": 1},
    }

    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == now
    assert shell("pull-status", "--json", "--store", store).json["follows"] is None
