"""Versions and their data: each training freezes a snapshot, and push --as and snapshot restore bring it back."""

import json
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service


def trained(shell: Shell, store: Path) -> str:
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    return ran.out.strip()


def test_the_snapshot_of_a_version_is_exactly_what_the_service_held(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    held = on_service(sandbox, model_id)
    name = trained(shell, store)
    assert sandbox.versions(model_id) == [name]
    listed = shell("versions", "--json", "--store", store).json["versions"]
    assert [(one["name"], one["samples"], one["classes"], one["made_here"]) for one in listed] == [(name, 5, 2, True)]
    ran = shell("snapshot", "restore", name, "--to", tmp_path / "then", "--store", store)
    assert ran.code == 0, ran.err
    assert in_store(tmp_path / "then") == held


@pytest.mark.long
def test_push_as_restores_a_version_and_a_plain_push_returns_to_the_store(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
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
    assert in_store(store) == now, "the folder is not changed"
    assert shell("pull-status", "--json", "--store", store).json["follows"] == first
    assert first in shell("pull-status", "--store", store).out

    third = trained(shell, store)
    listed = shell("versions", "--json", "--store", store).json["versions"]
    assert [one["snapshot"] for one in listed if one["name"] in (first, third)] == [listed[0]["snapshot"]] * 2
    assert [one["same_data_as"] for one in listed] == [[], [], [1]]
    shown = shell("versions", "--offline", "--store", store).out
    assert shown.count("the same data as") == 1 and f"the same data as {first}\n" in shown.partition(third)[2]
    assert listed[1]["changed"]["classes"] == {
        "Bottle": {"added": 0, "removed": 0, "moved_in": 1, "moved_out": 0},
        "Can": {"added": 1, "removed": 1, "moved_in": 0, "moved_out": 1},
    }

    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == now
    assert shell("pull-status", "--json", "--store", store).json["follows"] is None


def test_every_command_refuses_an_unknown_version(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    name = trained(shell, store)
    sandbox.clear_log()
    for command in (
        ["push", "--as", "nope", "--yes"],
        ["push", "--as", "@9", "--dry-run"],
        ["snapshot", "show", "nope"],
        ["snapshot", "diff", "@1", "nope"],
        ["snapshot", "restore", "nope", "--to", tmp_path / "then"],
    ):
        ran = shell(*command, "--store", store)
        assert ran.code == 1
        assert "is known" in ran.err and f"Known: {name}" in ran.err
    assert not (tmp_path / "then").exists()
    assert sandbox.log == []
    ran = shell("detect", store / "Can", "--version", "@9", "--store", store)
    assert ran.code == 1
    assert "no version '@9' is known" in ran.err
    assert not sandbox.requests_of("detect")


def test_versions_with_the_same_name_need_their_number(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    name, then = trained(shell, store), on_service(sandbox, 1001)
    record = store / ".astica-sync" / "backup" / "versions.jsonl"
    fields = json.loads(record.read_text().splitlines()[-1])
    draw(store / "Can" / "new.png", 99)
    assert shell("push", "--store", store).code == 0
    # As on a service whose versions all have the same name and different dates.
    record.write_text(json.dumps({**fields, "trained_at": fields["trained_at"] - 60}) + "\n" + record.read_text())
    for command in (["push", "--as", name, "--yes"], ["snapshot", "show", name]):
        ran = shell(*command, "--store", store)
        assert ran.code == 1
        assert f"2 versions are called '{name}'" in ran.err and "@1 or @2" in ran.err
    ran = shell("detect", store / "Can", "--version", "@2", "--store", store)
    assert ran.code == 1
    assert f"@1 and @2 have the same name '{name}'" in ran.err
    ran = shell("push", "--as", "@2", "--yes", "--store", store)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, 1001) == then


def test_a_name_that_is_the_number_of_another_version_is_refused_by_every_command(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    trained(shell, store)
    draw(store / "Can" / "new.png", 99)
    assert shell("push", "--store", store).code == 0
    second = trained(shell, store)
    record = store / ".astica-sync" / "backup" / "versions.jsonl"
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    lines[0]["version"] = "@2"
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sandbox.clear_log()
    for command in (
        ["push", "--as", "@2", "--dry-run"],
        ["detect", store / "Can", "--version", "@2"],
        ["evaluate", store, "--leaks", "--versions", "@2"],
        ["snapshot", "show", "@2"],
        ["snapshot", "diff", "@1", "@2"],
    ):
        ran = shell(*command, "--store", store)
        assert ran.code == 1, command
        assert f"'@2' is the number of version 2, its name is '{second}', and the name of version 1" in ran.err
        assert f"Name version 2 as {second}. Name version 1 as @1." in ran.err
    assert not sandbox.requests_of("detect")
    assert shell("snapshot", "show", second, "--store", store).code == 0
    assert shell("snapshot", "show", "@1", "--store", store).code == 0
    ran = shell("detect", store / "Can", "--version", second, "--store", store)
    assert ran.code == 0, ran.err


def test_changes_in_many_classes_are_shortened_with_a_command_for_the_rest(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "wide", {f"class {number:02}": 1 for number in range(12)})
    assert shell("init", folder, "--model", str(sandbox.add_model("Wide"))).code == 0
    assert shell("push", "--store", folder).code == 0
    trained(shell, folder)
    fill(folder, {f"class {number:02}": 2 for number in range(12)}, start=100)
    assert shell("push", "--yes", "--store", folder).code == 0
    trained(shell, folder)
    listed = shell("versions", "--store", folder).out
    assert "24 added, 12 removed" in listed
    assert listed.count("2 added, 1 removed\n") == 8
    assert "… and 4 classes more: astica-sync snapshot diff @1 @2" in listed


def test_a_snapshot_restore_ends_with_3_where_a_part_was_restored_and_with_1_where_nothing_was(
    shell: Shell, store: Path, model_id: int, tmp_path: Path
) -> None:
    trained(shell, store)
    objects = list((store / ".astica-sync" / "backup" / "objects").rglob("*.png"))
    objects[0].write_bytes(bytes(objects[0].stat().st_size))
    ran = shell("snapshot", "restore", "@1", "--to", tmp_path / "part", "--store", store)
    assert (ran.code, "4 files written, 0 already there, 1 failed" in ran.out) == (3, True), ran.out
    for one in objects:
        one.write_bytes(bytes(one.stat().st_size))
    ran = shell("snapshot", "restore", "@1", "--to", tmp_path / "none", "--store", store)
    assert (ran.code, "0 files written, 0 already there, 5 failed" in ran.out) == (1, True), ran.out
