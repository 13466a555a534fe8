"""Push and status under every behaviour the service may have."""

import itertools
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from allpairspy import AllPairs

from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sandbox.switches import Switches
from tests.harness.parameters import rest_long
from tests.harness.shell import Shell, draw, fill, in_store, on_service

# What is no choice but a number or a text, and the values of it that matter here.
NUMBERS: dict[str, list[Any]] = {
    "view_lag": [0.0, 0.2],
    "sample_list_lag": [0.0],
    "list_lag": [0.0, 0.2],
    "uid_length": [None, 40, 36, 32],
    "invalid_image": ["Invalid image"],
    "training_time": [0.0, 0.2],
    "largest_image": [20_000_000],
    "largest_side": [16_000],
}


# A quota ends a run, and no version comes of these trainings: they have tests of their own.
NOT_COMBINED = {"quota-text", "refused", "fails"}


def all_values() -> dict[str, list[Any]]:
    values = {one.name: list(one.metadata.get("choices") or NUMBERS[one.name]) for one in fields(Switches)}
    return {
        name: [one for one in choices if name not in ("limit_refusal", "training") or one not in NOT_COMBINED]
        for name, choices in values.items()
    }


def pairs_of(setting: dict[str, Any]) -> set[tuple[Any, ...]]:
    return set(itertools.combinations(setting.items(), 2))


def all_pairs() -> list[dict[str, Any]]:
    """Settings in which any two values of any two switches meet at least once."""
    names, values = zip(*all_values().items(), strict=True)
    return [dict(zip(names, row, strict=True)) for row in AllPairs(list(values))]


@pytest.mark.long
@pytest.mark.switches
def test_a_store_is_mirrored_exactly_although_answers_are_lost(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
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
    sandbox.clear_log()
    third = shell("push", "--json", "--store", photos)
    assert third.json["in_sync"] is True, third.out + third.err
    assert [request.call for request in sandbox.log] == ["view"]
    status = shell("pull-status", "--json", "--exit-code", "--store", photos)
    assert status.code == 0, status.out


@pytest.mark.long
@pytest.mark.switches(
    "as documented", "limit names a time", "limit is a text", "limit is a text with 4xx", "all at once"
)
def test_a_service_with_a_lower_limit_than_expected_slows_the_push_and_loses_nothing(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
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
def test_a_title_that_the_service_normalises_matches_its_class(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "spelled", {"Bu\u0308chse": 2, "Flasche\u00e9": 2, "CAN": 1})
    model_id = sandbox.add_model()
    sandbox.add_sample(model_id, "can", b"made elsewhere")
    assert shell("init", folder, "--model", str(model_id)).code == 0
    assert shell("push", "--yes", "--store", folder).code == 0
    sandbox.clear_log()
    assert shell("push", "--json", "--yes", "--store", folder).json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.long
@pytest.mark.parametrize("length", [20, 1])
def test_uids_cut_too_short_are_detected_after_one_upload_and_no_other_follows(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, length: int
) -> None:
    sandbox.set_switches(uid_length=length)
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert f"keeps only {length} character" in ran.err
    assert len(sandbox.requests_of("upload")) == 1
    again = shell("push", "--store", store)
    assert again.code == 1
    assert f"keeps only {length} character" in again.err
    assert len(sandbox.requests_of("upload")) == 1
    assert len(sandbox.samples(model_id)) == 1


@pytest.mark.parametrize("length", [40, 36, 32])
def test_cut_uids_that_still_identify_the_image_are_completed(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, length: int
) -> None:
    sandbox.set_switches(uid_length=length)
    shutil.copy(store / "Can" / "000.png", store / "Bottle" / "twin.png")
    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(store)
    sandbox.clear_log()
    assert shell("push", "--json", "--store", store).json["in_sync"] is True
    assert [request.call for request in sandbox.log] == ["view"]


@pytest.mark.parametrize("length", rest_long(1, [33, 40, 36, 32]))
@pytest.mark.parametrize(("titles", "theirs"), [("fold", "can"), ("nfd", "CAN"), ("nfc", "CAN")])
def test_cut_uids_under_a_normalised_title_are_completed(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, length: int, titles: str, theirs: str
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
        sandbox.clear_log()
        again = shell("push", "--json", "--store", folder)
        assert again.json["in_sync"] is True, again.out
        assert [request.call for request in sandbox.log] == ["view"]
    # Without journal and index, samples are recognised only by their uids.
    for path in (folder / ".astica-sync").glob("*.db*"):
        path.unlink()
    assert shell("push", "--json", "--store", folder).json["in_sync"] is True
    assert not sandbox.requests_of("upload")
    ours = next(one for one in sandbox.samples(model_id) if one.class_title == theirs and one.uid != "theirs")
    assert shell("remove-sample", str(ours.sample_id), "--yes", "--store", folder).code == 4
    (folder / "Bottle" / "000.png").unlink()
    (folder / "CAN" / "001.png").unlink()
    removal = shell("push", "--json", "--yes", "--store", folder)
    assert (removal.json["removed"], removal.json["in_sync"]) == (2, True), removal.out
    assert on_service(sandbox, model_id) == in_store(folder) + foreign


@pytest.mark.parametrize("length", [40, 34, 32])
def test_two_classes_that_the_service_merges_stay_in_sync_with_cut_uids(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, length: int
) -> None:
    sandbox.set_switches(uid_length=length, titles="fold")
    folder = fill(tmp_path / "both", {"Can": 2, "CAN": 2})
    shutil.copy(folder / "Can" / "000.png", folder / "CAN" / "twin.png")
    model_id = sandbox.add_model()
    assert shell("init", folder, "--model", str(model_id)).code == 0

    def settles() -> None:
        ran = shell("push", "--yes", "--store", folder)
        assert ran.code == 0, ran.err
        sandbox.clear_log()
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


def test_the_settings_cover_every_pair_of_values_of_any_two_switches() -> None:
    met = set().union(*map(pairs_of, all_pairs()))
    wanted = {
        ((one, mine), (other, theirs))
        for (one, ours), (other, others) in itertools.combinations(all_values().items(), 2)
        for mine in ours
        for theirs in others
    }
    assert wanted == met
    assert len(all_pairs()) < 30


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param(setting, id="-".join(map(str, setting.values())), marks=pytest.mark.long if number else ())
        for number, setting in enumerate(all_pairs())
    ],
)
def test_push_and_status_work_under_every_pair_of_switches(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, setting: dict[str, Any]
) -> None:
    sandbox.set_switches(**setting)
    sandbox.set_limit(12, 0.5)
    shell.environ |= {"ASTICA_LIMIT": "20", "ASTICA_LIMIT_WINDOW": "0.5"}
    folder = fill(tmp_path / "store", {"CAN": 4, "Büchse": 3, "Glass": 4})
    if setting["uid_length"] != 32 or setting["repeated_uids"] == "allow":
        shutil.copy(folder / "CAN" / "000.png", folder / "Büchse" / "twin.png")
    made = shell("init", folder, "--create", "Cans", "--type", "image", "--purpose", "sort cans")
    assert made.code == 0, made.err
    [(model_id, _)] = sandbox.models()
    sandbox.add_sample(model_id, "can", b"made elsewhere", uid="theirs")

    def settles() -> None:
        """One push brings everything into place, and the next has nothing to do."""
        ran = shell("push", "--yes", "--json", "--store", folder)
        assert (ran.code, ran.json["failed"]) == (0, []), ran.out + ran.err
        held = on_service(sandbox, model_id)
        assert held == in_store(folder) + theirs
        # A late view still lists what was removed, and it is removed again.
        sandbox.set_switches(view_lag=0.0)
        sandbox.clear_log()
        again = shell("push", "--yes", "--json", "--store", folder)
        assert again.json["in_sync"] is True, again.out + again.err
        sandbox.set_switches(view_lag=setting["view_lag"])
        assert {request.call for request in sandbox.log} == {"view"}
        assert on_service(sandbox, model_id) == held

    theirs = on_service(sandbox, model_id)
    sandbox.set_faults("upload:2=lost-after", "upload:4=lost-before", "upload:7=5xx")
    settles()
    if setting["uid_length"] != 32 or setting["repeated_uids"] != "refuse":
        # Otherwise the upload is refused while the old class has the image, which is removed last.
        (folder / "CAN" / "001.png").rename(folder / "Büchse" / "moved.png")
    (folder / "CAN" / "002.png").unlink()
    shutil.rmtree(folder / "Glass")
    draw(folder / "Tin" / "new.png", 90)
    sandbox.set_faults("sample_remove:1=lost-after", "class_remove:1=lost-before", "upload:1=lost-after")
    settles()


@pytest.mark.parametrize(("habit", "reason"), [("replace", "keeps one sample for each"), ("refuse", "already exists")])
@pytest.mark.parametrize("length", [33, 32])
def test_an_image_in_two_classes_fails_where_the_service_keeps_one_sample_for_each_cut_uid(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, length: int, habit: str, reason: str
) -> None:
    sandbox.set_switches(uid_length=length, repeated_uids=habit)
    folder = fill(tmp_path / "store", {"Can": 2, "Bottle": 1})
    shutil.copy(folder / "Can" / "000.png", folder / "Bottle" / "twin.png")
    model_id = sandbox.add_model()
    assert shell("init", folder, "--model", str(model_id)).code == 0
    shell.environ["ASTICA_QUARANTINE"] = "0"
    # A sample that a duplicate replaced may also have been removed elsewhere, so each is sent once more; and once again
    # where the first two uploads of the image ran side by side and the service took them in the other order.
    for _ in range(4 if habit == "replace" else 1):
        shell("push", "--store", folder)
    sent = len(sandbox.requests_of("upload"))
    assert sent in (6, 7) if habit == "replace" else sent == 4
    for _ in range(2):
        sandbox.clear_log()
        ran = shell("push", "--json", "--store", folder)
        assert (ran.code, ran.json["in_sync"], len(ran.json["failed"])) == (3, False, 1), ran.out
        assert reason in ran.json["failed"][0]["reason"]
        assert not sandbox.requests_of("upload")
        assert len(sandbox.samples(model_id)) == 3
    # A service that replaces moves it to the other class; one that refuses accepts it only after its removal there.
    failed = str(ran.json["failed"][0]["path"])
    other = "Can/000.png" if failed == "Bottle/twin.png" else "Bottle/twin.png"
    (folder / (other if habit == "replace" else failed)).unlink()
    settled = shell("push", "--retry", "--json", "--store", folder)
    assert settled.code == 0, settled.out
    assert on_service(sandbox, model_id) == in_store(folder)


def test_a_sample_removed_elsewhere_is_sent_again_although_a_later_duplicate_has_its_cut_uid(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.set_switches(uid_length=32)
    folder = fill(tmp_path / "store", {"Can": 2, "Bottle": 1})
    shutil.copy(folder / "Bottle" / "000.png", folder / "Can" / "twin.png")
    model_id = sandbox.add_model()
    assert shell("init", folder, "--model", str(model_id)).code == 0
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("push", "--store", folder).code == 0
    for sample in sandbox.samples(model_id):
        if sample.class_title == "Bottle":
            sandbox.remove_sample(sample.sample_id)
    assert shell("push", "--store", folder).code == 0
    assert on_service(sandbox, model_id) == in_store(folder)
