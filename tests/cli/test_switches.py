"""The whole path under every habit the service may have."""

import shutil
from pathlib import Path

import pytest
from shell import Shell, draw, fill, in_store, on_service

from astica_sync.sandbox.running import Box


@pytest.mark.switches
def test_a_store_is_mirrored_exactly_though_answers_are_lost(shell: Shell, sandbox: Box, photos: Path) -> None:
    made = shell("init", photos, "--create", "Cans", "--type", "image", "--purpose", "sort cans")
    assert made.code == 0, made.err
    [(model_id, _)] = sandbox.models()
    first = shell("push", "--store", photos)
    assert first.code == 0, first.err
    assert on_service(sandbox, model_id) == in_store(photos)

    (photos / "Can" / "001.jpg").rename(photos / "Bottle" / "moved.jpg")
    for file in (photos / "Büchse").iterdir():
        file.unlink()
    draw(photos / "Can" / "new.png", 1)
    draw(photos / "Dose" / "new.png", 2)
    sandbox.set_faults(
        "upload:1=lost-after", "upload:2=lost-before", "sample_remove:1=lost-after", "sample_remove:2=lost-before"
    )
    second = shell("push", "--yes", "--json", "--store", photos)
    assert second.code == 0, second.err
    assert (second.json["uploaded"], second.json["removed"], second.json["failed"]) == (3, 3, [])
    assert on_service(sandbox, model_id) == in_store(photos)

    sandbox.set_faults()
    sandbox.set_switches(view_lag=0.0)
    sandbox.forget_log()
    third = shell("push", "--json", "--store", photos)
    assert third.json["in_sync"] is True, third.out + third.err
    assert [request.call for request in sandbox.log] == ["view"]
    status = shell("pull-status", "--json", "--exit-code", "--store", photos)
    assert status.code == 0, status.out


@pytest.mark.switches(
    "as documented", "limit names a time", "limit is a text", "limit is a text with 4xx", "all at once"
)
def test_a_service_with_a_lower_limit_than_expected_slows_the_push_and_loses_nothing(
    shell: Shell, sandbox: Box, store: Path, model_id: int
) -> None:
    sandbox.set_limit(4, 1.0)
    shell.environ["ASTICA_LIMIT_WINDOW"] = "1"
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert any(request.outcome == "limited" for request in sandbox.log)
    sandbox.set_limit(90, 60)
    assert on_service(sandbox, model_id) == in_store(store)
    assert shell("push", "--json", "--store", store).json["in_sync"] is True


@pytest.mark.switches("titles fold", "titles are NFC", "titles are NFD")
def test_a_title_that_the_service_spells_in_its_own_way_is_in_place(shell: Shell, sandbox: Box, tmp_path: Path) -> None:
    folder = fill(tmp_path / "spelled", {"Bu\u0308chse": 2, "Flasche\u00e9": 2, "CAN": 1})
    model_id = sandbox.add_model()
    sandbox.add_sample(model_id, "can", b"made elsewhere")
    assert shell("init", folder, "--model", str(model_id)).code == 0
    assert shell("push", "--yes", "--store", folder).code == 0
    sandbox.forget_log()
    assert shell("push", "--json", "--yes", "--store", folder).json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.parametrize("length", [20, 1])
def test_uids_cut_too_short_are_noticed_after_one_upload_and_none_ever_follows(
    shell: Shell, sandbox: Box, store: Path, model_id: int, length: int
) -> None:
    sandbox.set_switches(uid_length=length)
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert f"keeps only {length} character" in ran.err
    assert len(sandbox.seen("upload")) == 1
    again = shell("push", "--store", store)
    assert again.code == 1
    assert f"keeps only {length} character" in again.err
    assert len(sandbox.seen("upload")) == 1
    assert len(sandbox.samples(model_id)) == 1


@pytest.mark.parametrize("length", [40, 36, 32])
def test_uids_cut_where_the_image_can_still_be_told_do_no_harm(
    shell: Shell, sandbox: Box, store: Path, model_id: int, length: int
) -> None:
    sandbox.set_switches(uid_length=length)
    shutil.copy(store / "Can" / "000.png", store / "Bottle" / "twin.png")
    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(store)
    sandbox.forget_log()
    assert shell("push", "--json", "--store", store).json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.parametrize("length", [40, 36, 33, 32])
@pytest.mark.parametrize(("titles", "theirs"), [("fold", "can"), ("nfd", "CAN"), ("nfc", "CAN")])
def test_cut_uids_under_a_title_that_the_service_spells_in_its_own_way_are_known_again(
    shell: Shell, sandbox: Box, tmp_path: Path, length: int, titles: str, theirs: str
) -> None:
    sandbox.set_switches(uid_length=length, titles=titles)
    folder = fill(tmp_path / "spelled", {"CAN": 2, "Büchse": 2, "Bottle": 1})
    shutil.copy(folder / "CAN" / "000.png", folder / "Büchse" / "twin.png")
    model_id = sandbox.add_model()
    sandbox.add_sample(model_id, theirs, b"made elsewhere", uid="theirs")
    assert shell("init", folder, "--model", str(model_id)).code == 0
    ran = shell("push", "--yes", "--store", folder)
    assert ran.code == 0, ran.err
    expected = in_store(folder)
    foreign = on_service(sandbox, model_id) - expected
    assert sum(foreign.values()) == 1
    for _ in range(2):
        sandbox.forget_log()
        again = shell("push", "--json", "--store", folder)
        assert again.json["in_sync"] is True, again.out
        assert [request.call for request in sandbox.log] == ["view"]
    # The journal and the index are gone: what is there is known by its uid alone.
    for path in (folder / ".astica-sync").glob("*.db*"):
        path.unlink()
    assert shell("push", "--json", "--store", folder).json["in_sync"] is True
    assert not sandbox.seen("upload")
    ours = next(one for one in sandbox.samples(model_id) if one.class_title == theirs and one.uid != "theirs")
    assert shell("remove-sample", str(ours.sample_id), "--yes", "--store", folder).code == 4
    (folder / "Bottle" / "000.png").unlink()
    (folder / "CAN" / "001.png").unlink()
    gone = shell("push", "--json", "--yes", "--store", folder)
    assert (gone.json["removed"], gone.json["in_sync"]) == (2, True), gone.out
    assert on_service(sandbox, model_id) == in_store(folder) + foreign


@pytest.mark.parametrize("length", [40, 34, 32])
def test_two_classes_of_the_store_that_the_service_takes_for_one_are_settled_though_uids_are_cut(
    shell: Shell, sandbox: Box, tmp_path: Path, length: int
) -> None:
    sandbox.set_switches(uid_length=length, titles="fold")
    folder = fill(tmp_path / "both", {"Can": 2, "CAN": 2})
    shutil.copy(folder / "Can" / "000.png", folder / "CAN" / "twin.png")
    model_id = sandbox.add_model()
    assert shell("init", folder, "--model", str(model_id)).code == 0

    def settles() -> None:
        ran = shell("push", "--yes", "--store", folder)
        assert ran.code == 0, ran.err
        sandbox.forget_log()
        again = shell("push", "--json", "--yes", "--store", folder)
        assert again.json["in_sync"] is True, again.out
        assert [request.call for request in sandbox.log] == ["view"]

    settles()
    assert len(sandbox.samples(model_id)) == 5
    (folder / "CAN" / "twin.png").unlink()
    settles()
    assert len(sandbox.samples(model_id)) == 4
    assert set(on_service(sandbox, model_id)) == set(in_store(folder))
    (folder / "Can" / "001.png").rename(folder / "CAN" / "moved.png")
    settles()
    assert len(sandbox.samples(model_id)) == 4
