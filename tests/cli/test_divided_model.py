"""Two stores that divide the classes of one model: each sends, removes and adopts what it owns alone."""

import shutil
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def owns(store: Path, *titles: str) -> None:
    (store / "astica-sync.toml").write_text(f"owns = [{', '.join(map(repr, titles))}]\n")


@pytest.fixture
def model(shell: Shell, sandbox: RunningSandbox) -> int:
    # What was sent a moment ago is given up at once.
    shell.environ["ASTICA_QUARANTINE"] = "0"
    return sandbox.add_model()


@pytest.fixture
def cans(shell: Shell, model: int, tmp_path: Path) -> Path:
    """A pushed store of Can, with a folder Box that it does not own."""
    folder = fill(tmp_path / "cans", {"Can": 3, "Box": 2})
    assert shell("init", folder, "--model", str(model)).code == 0
    owns(folder, "can")
    assert shell("push", "--store", folder).code == 0
    return folder


@pytest.fixture
def boxes(shell: Shell, cans: Path, model: int, tmp_path: Path) -> Path:
    """A pushed store of Box, of the same model."""
    folder = fill(tmp_path / "boxes", {"Box": 4}, start=50)
    assert shell("init", folder, "--model", str(model), "--yes").code == 0
    owns(folder, "Box")
    assert shell("push", "--store", folder).code == 0
    return folder


def test_a_store_sends_what_it_owns_and_names_the_rest(
    shell: Shell, sandbox: RunningSandbox, cans: Path, model: int
) -> None:
    assert {title for title, _ in on_service(sandbox, model)} == {"can"}
    draw(cans / "Can" / "new.png", 30)
    plan = shell("push", "--dry-run", "--store", cans)
    assert plan.code == 0 and "+ Can/new.png" in plan.out and "+ Box" not in plan.out
    pushed = shell("push", "--store", cans)
    assert (pushed.code, pushed.err.count("To upload: 1 sample")) == (0, 1)
    assert "2 images of Box are not sent: this store owns can." in pushed.out
    assert "The service is in sync with the classes that this store owns." in pushed.out
    assert len(sandbox.samples(model)) == 4
    status = shell("status", "--exit-code", "--store", cans)
    assert status.code == 0
    assert "2 images of Box are not sent: this store owns can" in status.out
    data = shell("status", "--json", "--store", cans).json
    assert data["in_sync"] is True and data["local"] == {"classes": 1, "samples": 4}
    assert (data["owns"], data["not_owned"]) == (["can"], [{"class": "Box", "images": 2}])
    assert shell("push", "--json", "--store", cans).json["not_owned"] == [{"class": "Box", "images": 2}]


def test_neither_store_removes_adopts_or_doubles_what_the_other_has(
    shell: Shell, sandbox: RunningSandbox, cans: Path, boxes: Path, model: int
) -> None:
    # The store of cans has an image of the other one in its own folder.
    shutil.copy(boxes / "Box" / "000.png", cans / "Box" / "same.png")
    for store in (cans, boxes, cans):
        pushed = shell("push", "--json", "--store", store).json
        assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (0, 0, True)
    only_cans = {entry: count for entry, count in in_store(cans).items() if entry[0] == "can"}
    assert on_service(sandbox, model) == only_cans | in_store(boxes)
    status = shell("status", "--store", cans)
    assert "In classes that this store does not own (4):" in status.out and "? 4 samples of Box" in status.out
    # What the other one deletes goes, and what this one deletes in its folder of that class changes nothing.
    (boxes / "Box" / "000.png").unlink()
    shutil.rmtree(cans / "Box")
    assert shell("push", "--json", "--store", cans).json["removed"] == 0
    assert shell("push", "--json", "--store", boxes).json["removed"] == 1
    assert len(sandbox.samples(model)) == 6
    assert "not sent" not in shell("status", "--store", cans).out


def test_the_data_of_a_version_comes_back_in_the_classes_of_the_store_alone(
    shell: Shell, sandbox: RunningSandbox, cans: Path, model: int
) -> None:
    owns(cans, "Can", "Box")
    assert shell("push", "--store", cans).code == 0
    assert shell("train", "--store", cans).code == 0
    owns(cans, "Can")
    assert len(shell("push", "--json", "--store", cans).json["given_up"]) == 2
    # The store that owns the class now has other images in it.
    first, _ = (sample for sample in sandbox.samples(model) if sample.class_title == "Box")
    sandbox.remove_sample(first.sample_id)
    sandbox.add_sample(model, "Box", draw(cans.parent / "other.png", 90).read_bytes(), "of-the-other-store")
    (cans / "Can" / "000.png").unlink()
    draw(cans / "Can" / "later.png", 91)
    assert shell("push", "--store", cans).code == 0
    before = [sample for sample in sandbox.samples(model) if sample.class_title == "Box"]
    back = shell("push", "--as", "@1", "--yes", "--store", cans)
    assert "Uploaded 1, removed 1" in back.out, back
    lacks = "without 1 sample of classes that this store does not own; 1 sample made elsewhere is there as well"
    assert lacks in unwrapped(back.out) and lacks in unwrapped(shell("status", "--store", cans).out)
    assert [sample for sample in sandbox.samples(model) if sample.class_title == "Box"] == before


def test_a_class_that_is_not_owned_any_more_is_given_up_and_can_be_taken_back(
    shell: Shell, sandbox: RunningSandbox, cans: Path, model: int
) -> None:
    owns(cans, "Can", "Box")
    assert shell("push", "--json", "--store", cans).json["uploaded"] == 2
    owns(cans, "Can")
    status = shell("status", "--store", cans)
    assert "To be given up: they stay on the service" in status.out and "~ Box/000.png" in status.out
    sandbox.clear_log()
    pushed = shell("push", "--store", cans)
    assert pushed.code == 0
    assert "Gave up 2 samples of Box: they stay on the service." in pushed.out
    assert "2 images of Box are not sent: this store owns Can." in pushed.out
    assert not sandbox.requests_of("sample_remove") + sandbox.requests_of("class_remove")
    assert len(sandbox.samples(model)) == 5
    shutil.rmtree(cans / "Box")
    again = shell("push", "--json", "--store", cans).json
    assert (again["removed"], again["given_up"], again["in_sync"]) == (0, [], True)
    assert [line for line in shell("log", "--store", cans).out.splitlines() if "give-up" in line]
    # What it does not have any more stays another's when the class is owned again.
    owns(cans, "Can", "Box")
    assert shell("push", "--json", "--store", cans).json["removed"] == 0
    assert len(sandbox.samples(model)) == 5


def test_much_is_not_given_up_without_confirmation(
    shell: Shell, sandbox: RunningSandbox, model: int, tmp_path: Path
) -> None:
    store = fill(tmp_path / "store", {"Can": 12, "Box": 12})
    assert shell("init", store, "--model", str(model)).code == 0
    assert shell("push", "--store", store).code == 0
    owns(store, "Cann")
    (store / "Can" / "000.png").unlink()
    status = unwrapped(shell("status", "--store", store).out)
    assert "A push would give up nothing: 24 samples of 'Box', 'Can' would be given up" in status
    assert "owns names Cann, and neither the store nor the model has such a class: is it misspelled?" in status
    refused = shell("push", "--store", store)
    assert refused.code == 4
    said = unwrapped(refused.out)
    assert "Nothing was given up: 24 samples of 'Box', 'Can' would be given up" in said and "~ Box/000.png" in said
    assert "If that is intended: astica-sync push --yes" in said and "correct owns in astica-sync.toml." in said
    refusal = shell("push", "--json", "--store", store).json["refusals"][0]
    assert len(refusal["samples"]) == 24
    # Corrected, all is as before.
    owns(store, "Can", "Box")
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (0, 1, True)
    owns(store, "Can")
    assert shell("push", "--yes", "--json", "--store", store).json["in_sync"] is True
    assert len(sandbox.samples(model)) == 23


def test_the_same_image_in_another_class_of_the_other_store_is_shown_to_both(
    shell: Shell, sandbox: RunningSandbox, cans: Path, boxes: Path
) -> None:
    shutil.copy(boxes / "Box" / "001.png", cans / "Can" / "twin.png")
    assert shell("push", "--store", cans).code == 0
    here = shell("status", "--store", cans)
    assert "The same image in another class of another store" in here.out
    assert "= Can/twin.png  (also in Box, sample #" in here.out
    there = shell("status", "--json", "--store", boxes).json
    [entry] = there["in_other_stores"]
    assert (entry["class"], entry["path"], entry["other_class"]) == ("Box", "Box/001.png", "Can")


@pytest.mark.parametrize("value", ["[]", "''", "[1]", "3", "['Can', ' ']"])
def test_a_setting_that_names_no_classes_is_an_error(shell: Shell, cans: Path, value: str) -> None:
    (cans / "astica-sync.toml").write_text(f"owns = {value}\n")
    ran = shell("status", "--store", cans)
    assert ran.code == 1
    assert 'Set it to a list of class titles, such as ["Can", "Bottle"]' in ran.err


def test_damaged_files_of_other_classes_are_no_problems_of_this_store(shell: Shell, cans: Path) -> None:
    (cans / "Box" / "broken.png").write_bytes(b"no image")
    assert shell("status", "--json", "--store", cans).json["problems"] == []
    (cans / "Can" / "broken.png").write_bytes(b"no image")
    assert [one["path"] for one in shell("status", "--json", "--store", cans).json["problems"]] == ["Can/broken.png"]


def test_commands_that_name_a_sample_leave_the_classes_of_other_stores_alone(
    shell: Shell, sandbox: RunningSandbox, cans: Path, boxes: Path, model: int
) -> None:
    sandbox.add_sample(model, "Box", (cans / "Can" / "000.png").read_bytes(), "made elsewhere")
    sample = next(one for one in sandbox.samples(model) if one.class_title == "Box")
    refused = shell("remove-sample", str(sample.sample_id), "--lose-unmanaged", "1", "--yes", "--store", cans)
    assert refused.code == 4
    assert "class 'Box' is none that this store owns; nothing was removed" in unwrapped(refused.err)
    [(class_id, _)] = [one for one in sandbox.classes(model) if one[1] == "Box"]
    assert shell("remove-class", str(class_id), "--lose-unmanaged", "5", "--yes", "--store", cans).code == 4
    before = [(one.sample_id, one.uid) for one in sandbox.samples(model)]
    assert shell("adopt", "--yes", "--store", cans).code == 0
    assert shell("push", "--yes", "--store", cans).code == 0
    assert [(one.sample_id, one.uid) for one in sandbox.samples(model)] == before
