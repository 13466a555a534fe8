"""A store that is bound to another model, or to another service, says nothing about it that was true of the first."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell, draw, in_store, on_service
from tests.harness.trained_store import NO_LIMIT


@pytest.fixture
def elsewhere() -> Iterator[RunningSandbox]:
    """Another service, which gives its models the same ids."""
    with running(limit=NO_LIMIT) as box:
        yield box


def bind(shell: Shell, store: Path, box: RunningSandbox, model_id: int) -> None:
    shell.environ |= {"ASTICA_TRAIN_URL": box.url, "ASTICA_DETECT_URL": box.url, "ASTICA_API_KEY": box.key}
    ran = shell("init", store, "--model", str(model_id), "--rebind", "--yes")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("place", ["another model", "another service"])
def test_the_version_that_the_first_model_holds_is_not_said_of_the_second(
    shell: Shell, sandbox: RunningSandbox, elsewhere: RunningSandbox, store: Path, model_id: int, place: str
) -> None:
    assert shell("train", "--store", store).code == 0
    draw(store / "Can" / "new.png", 90)
    assert shell("push", "--store", store).code == 0
    assert shell("push", "--as", "@1", "--store", store).code == 0
    assert shell("status", "--json", "--store", store).json["follows"] is not None
    box = elsewhere if place == "another service" else sandbox
    bind(shell, store, box, box.add_model("Second"))
    assert shell("status", "--json", "--store", store).json["follows"] is None
    for command in ("status", "versions"):
        assert "holds the data of" not in shell(command, "--store", store).out


def test_a_training_of_the_first_model_is_no_training_of_the_second(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("train", "--no-wait", "--store", store).code == 0
    bind(shell, store, sandbox, sandbox.add_model("Second"))
    listed = shell("versions", "--json", "--store", store).json
    assert (listed["training"], listed["versions"]) == (None, [])
    assert shell("push", "--store", store).code == 0
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    (one,) = shell("versions", "--json", "--store", store).json["versions"]
    assert one["samples"] == 5 and one["made_here"]


@pytest.mark.long
def test_versions_of_one_number_and_name_on_another_service_are_not_mixed_up(
    shell: Shell, sandbox: RunningSandbox, elsewhere: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("train", "--store", store).code == 0
    (first,) = shell("versions", "--json", "--store", store).json["versions"]
    backup = store / ".astica-sync" / "backup"
    records = (backup / "versions.jsonl").read_bytes()
    while (second := elsewhere.add_model("Second")) < model_id:
        pass
    assert second == model_id, "the other service gives its models the same numbers"
    bind(shell, store, elsewhere, second)
    listed = shell("versions", "--json", "--store", store).json
    assert (listed["training"], listed["versions"]) == (None, [])
    assert (backup / "versions.jsonl").read_bytes().startswith(records), "records are only appended to"
    assert shell("push", "--store", store).code == 0
    draw(store / "Can" / "later.png", 91)
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    (own,) = shell("versions", "--json", "--store", store).json["versions"]
    assert (own["name"], own["samples"]) == (first["name"], first["samples"] + 1)
    bind(shell, store, sandbox, model_id)
    (back,) = shell("versions", "--json", "--store", store).json["versions"]
    assert (back["name"], back["samples"], back["made_here"]) == (first["name"], first["samples"], True)


def test_by_way_of_another_model_the_versions_of_two_services_are_not_mixed_up_either(
    shell: Shell, sandbox: RunningSandbox, elsewhere: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("train", "--store", store).code == 0
    while (other := elsewhere.add_model("Other")) <= model_id:
        pass
    bind(shell, store, elsewhere, other)
    bind(shell, store, elsewhere, model_id)
    assert shell("versions", "--json", "--store", store).json["versions"] == []


def test_what_was_sent_to_the_first_service_is_not_managed_on_the_second(
    shell: Shell, sandbox: RunningSandbox, elsewhere: RunningSandbox, store: Path, model_id: int, tmp_path: Path
) -> None:
    """Another store has sent the same images to a model of the same number there."""
    while elsewhere.add_model("Second") < model_id:
        pass
    theirs = tmp_path / "theirs"
    shutil.copytree(store, theirs, ignore=shutil.ignore_patterns(".astica-sync"))
    mine = dict(shell.environ)
    bind(shell, theirs, elsewhere, model_id)
    assert shell("push", "--store", theirs).code == 0
    shell.environ.update(mine)
    sorted((store / "Can").iterdir())[0].unlink()
    assert shell("push", "--store", store).code == 0
    bind(shell, store, elsewhere, model_id)
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert on_service(elsewhere, model_id) == in_store(theirs), "samples that this store never sent there stay"
    assert shell("status", "--exit-code", "--store", store).code == 0
