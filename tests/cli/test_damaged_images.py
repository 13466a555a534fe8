"""An image that can be shown but is damaged is not sent; what an earlier version accepted stays where it is."""

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.local.image.decoder import Decoder
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.damaged_images import DAMAGED
from tests.harness.shell import Shell, draw, on_service

ZEROS_INSIDE = DAMAGED / "zeros-inside.jpg"


def test_a_jpeg_with_zeros_inside_is_refused_with_its_name_and_the_reason(
    shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    with Image.open(ZEROS_INSIDE) as image:
        image.load()
    shutil.copy(ZEROS_INSIDE, pushed / "Can" / "holiday.jpg")

    ran = shell("push", "--store", pushed, "--json")

    assert ran.code == 3
    assert [(failed["class"], failed["path"]) for failed in ran.json["failed"]] == [("Can", "Can/holiday.jpg")]
    assert "its data are damaged" in ran.json["failed"][0]["reason"]
    assert "copy it here again" in ran.json["failed"][0]["reason"]
    assert on_service(sandbox, model_id) == before
    assert not any(request.call == "upload" for request in sandbox.log)


def test_damage_over_a_managed_image_keeps_its_sample(
    shell: Shell, store: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    file = store / "Can" / "photo.jpg"
    Image.linear_gradient("L").resize((640, 480)).save(file, quality=95)
    assert shell("push", "--store", store).code == 0
    before = on_service(sandbox, model_id)
    shutil.copy(ZEROS_INSIDE, file)

    for _ in range(2):
        ran = shell("push", "--store", store, "--json")
        assert (ran.code, ran.json["removed"], ran.json["uploaded"]) == (3, 0, 0)
        assert on_service(sandbox, model_id) == before


def test_damage_over_a_managed_image_keeps_its_sample_after_a_lost_journal(
    shell: Shell, store: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    """The damaged image is the first upload of a journal that does not know yet how the service shows sizes, and a
    sample of another size under one of our uids makes it a question."""
    file = store / "Can" / "photo.jpg"
    Image.linear_gradient("L").resize((640, 480)).save(file, quality=95)
    assert shell("push", "--store", store).code == 0
    (store / ".astica-sync" / "journal.db").unlink()
    assert shell("push", "--store", store).code == 0
    other = next(one for one in sandbox.samples(model_id) if one.image != file.read_bytes())
    sandbox.add_sample(model_id, other.class_title, ZEROS_INSIDE.read_bytes(), other.uid)
    before = on_service(sandbox, model_id)
    shutil.copy(ZEROS_INSIDE, file)

    ran = shell("push", "--store", store, "--json")

    assert (ran.code, ran.json["removed"], ran.json["uploaded"]) == (3, 0, 0)
    assert on_service(sandbox, model_id) == before


@pytest.fixture
def accepted_earlier(
    shell: Shell, store: Path, sandbox: RunningSandbox, model_id: int, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A damaged image that a version without the strict decoder sent."""
    file = store / "Can" / "old.jpg"
    shutil.copy(ZEROS_INSIDE, file)
    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "check", lambda self, path: None)
        assert shell("push", "--store", store).code == 0
    assert ("can", file.read_bytes()) in on_service(sandbox, model_id)
    sandbox.clear_log()
    return store


def test_an_image_that_an_earlier_version_accepted_stays(
    accepted_earlier: Path, shell: Shell, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)

    assert shell("pull-status", "--store", accepted_earlier, "--json").json["in_sync"]
    ran = shell("push", "--store", accepted_earlier, "--json")

    assert (ran.code, ran.json["in_sync"], ran.json["requests"]) == (0, True, 1)
    assert on_service(sandbox, model_id) == before


def test_that_image_moves_to_another_class_as_any_other(
    accepted_earlier: Path, shell: Shell, sandbox: RunningSandbox, model_id: int
) -> None:
    (accepted_earlier / "Can" / "old.jpg").rename(accepted_earlier / "Bottle" / "old.jpg")

    ran = shell("push", "--store", accepted_earlier, "--json")

    assert (ran.code, ran.json["uploaded"], ran.json["removed"], ran.json["in_sync"]) == (0, 1, 1, True)
    assert ("bottle", ZEROS_INSIDE.read_bytes()) in on_service(sandbox, model_id)


def test_that_image_without_its_backup_is_not_sent_again_and_not_removed(
    accepted_earlier: Path, shell: Shell, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    shutil.rmtree(accepted_earlier / ".astica-sync" / "backup" / "objects")

    (accepted_earlier / "Can" / "old.jpg").rename(accepted_earlier / "Bottle" / "old.jpg")
    ran = shell("push", "--store", accepted_earlier, "--json")

    assert (ran.code, ran.json["uploaded"], ran.json["removed"]) == (3, 0, 0)
    assert [failed["path"] for failed in ran.json["failed"]] == ["Bottle/old.jpg"]
    assert on_service(sandbox, model_id) == before


def test_a_png_with_megabytes_of_text_is_sent(
    shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("workflow", "a node " * 300_000, zip=True)
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(file, "PNG", pnginfo=text)
    (pushed / "Can" / "generated.png").write_bytes(file.getvalue())

    ran = shell("push", "--store", pushed, "--json")

    assert (ran.code, ran.json["uploaded"]) == (0, 1), ran.err
    assert ("can", file.getvalue()) in on_service(sandbox, model_id)


def test_a_push_does_not_announce_what_a_status_has_found_to_be_broken(shell: Shell, pushed: Path) -> None:
    half = draw(pushed / "Can" / "half.png", 95)
    half.write_bytes(half.read_bytes()[:-20])
    draw(pushed / "Can" / "good.png", 96)
    assert "To upload (1):" in shell("status", "--store", pushed).out
    ran = shell("push", "--store", pushed)
    assert "To upload: 1 sample, to remove: 0 samples; 1 image cannot be sent" in ran.err
    assert (ran.code, "Uploaded 1" in ran.out) == (3, True)
    draw(half, 97)
    shell("status", "--store", pushed)
    assert "To upload: 1 sample, to remove: 0 samples\n" in shell("push", "--store", pushed).err
