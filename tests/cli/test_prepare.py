"""``prepare`` shows what a push would send of an image."""

import json
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    draw(folder / "plain.png", 3)
    with Image.open(folder / "plain.png") as image:
        image.save(folder / "scan.tiff")
        image.convert("CMYK").save(folder / "print.jpg", quality=95)
    (folder / "notes.txt").write_text("notes")
    return folder


def test_each_image_is_shown_as_it_would_be_sent(shell: Shell, images: Path) -> None:
    ran = shell("prepare", images / "scan.tiff", images / "plain.png", images / "print.jpg")
    assert ran.code == 0, ran.err
    assert "scan.tiff: TIFF, " in ran.out and "sent as PNG: 12 x 10" in ran.out
    assert "plain.png: PNG, sent as it is: 12 x 10" in ran.out
    assert "print.jpg: CMYK JPEG, " in ran.out and "sent as JPEG: 12 x 10" in ran.out


def test_what_is_not_sent_has_a_reason_and_the_others_are_shown(shell: Shell, images: Path) -> None:
    ran = shell("prepare", images / "notes.txt", images / "gone.png", images / "plain.png", "--json")
    assert ran.code == 3
    notes, gone, plain = map(json.loads, ran.out.splitlines())
    assert notes["reason"].startswith("text file") and gone["reason"] == "cannot be read: No such file or directory"
    assert plain["converted"] is False and plain["sent"]["format"] == "png"


def test_what_would_be_sent_is_what_a_push_sends(
    shell: Shell, sandbox: RunningSandbox, images: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for name in ("scan.tiff", "print.jpg"):
        target = store / "Can" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((images / name).read_bytes())
    model_id = sandbox.add_model()
    assert shell("init", store, "--model", str(model_id)).code == 0
    assert shell("push", "--store", store).code == 0
    out = tmp_path / "out"
    assert shell("prepare", store / "Can" / "scan.tiff", store / "Can" / "print.jpg", "--to", out).code == 0
    assert {one.image for one in sandbox.samples(model_id)} == {path.read_bytes() for path in out.iterdir()}
    before = (out / "scan.png").read_bytes()
    again = shell("prepare", store / "Can" / "scan.tiff", "--to", out)
    assert again.code == 1 and "exists already" in again.err and (out / "scan.png").read_bytes() == before


def test_the_setting_of_the_store_counts(shell: Shell, sandbox: RunningSandbox, images: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "Can").mkdir(parents=True)
    assert shell("init", store, "--model", str(sandbox.add_model())).code == 0
    (store / "astica-sync.toml").write_text("convert = false\n")
    ran = shell("prepare", images / "scan.tiff", images / "print.jpg", "--store", store)
    assert ran.code == 3 and "which the setting convert leaves out" in ran.out
    assert "print.jpg: CMYK, sent as it is" in ran.out or "print.jpg: JPEG, sent as it is" in ran.out


def test_before_and_after_are_shown_with_format_pixels_and_bytes(
    shell: Shell, sandbox: RunningSandbox, images: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    (store / "Can").mkdir(parents=True)
    assert shell("init", store, "--model", str(sandbox.add_model())).code == 0
    Image.new("RGB", (400, 100), (9, 99, 199)).save(images / "wide.tiff")
    (store / "astica-sync.toml").write_text("max_side = 200\n")
    ran = shell("prepare", "--show", images / "wide.tiff", images / "plain.png", "--store", store)
    wide, before, after, note, plain, same, still, as_it_is = ran.out.splitlines()
    assert wide.endswith("wide.tiff") and before.startswith("  before  TIFF, 400 x 100, 120.")
    assert after.startswith("  after   PNG, 200 x 50, ") and note == "  made smaller, from 400 x 100 pixels"
    assert plain.endswith("plain.png") and same.partition("PNG")[2] == still.partition("PNG")[2]
    assert same.startswith("  before  PNG, 12 x 10, ") and as_it_is == "  sent as it is"
    data = json.loads(shell("prepare", "--json", images / "wide.tiff", "--store", store).out)
    assert (data["width"], data["height"], data["sent"]["width"], data["sent"]["height"]) == (400, 100, 200, 50)
    refused = shell("prepare", "--show", images / "notes.txt", "--store", store)
    assert refused.code == 3 and "not sent: text file" in refused.out


def test_an_image_above_the_limits_names_the_setting_that_makes_it_fit(
    shell: Shell, sandbox: RunningSandbox, images: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    (store / "Can").mkdir(parents=True)
    model_id = sandbox.add_model()
    Image.new("1", (16_400, 10)).save(store / "Can" / "panorama.tiff", compression="group4")
    assert shell("init", store, "--model", str(model_id)).code == 0
    refused = shell("push", "--json", "--store", store)
    [failed] = refused.json["failed"]
    assert "set max_side = 16000 in astica-sync.toml" in failed["reason"] and not sandbox.samples(model_id)
    (store / "astica-sync.toml").write_text("max_side = 16000\n")
    pushed = shell("push", "--json", "--store", store)
    assert pushed.json["uploaded"] == 1 and pushed.json["in_sync"] is True, "it is another sample, which did not fail"


def test_an_image_that_is_left_out_for_the_file_beside_it_is_not_sent(
    shell: Shell, sandbox: RunningSandbox, images: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    (store / "Can").mkdir(parents=True)
    image = store / "Can" / "scan.tiff"
    image.write_bytes((images / "scan.tiff").read_bytes())
    assert shell("init", store, "--model", str(sandbox.add_model())).code == 0
    draw(store / "Can" / "scan.PNG", 4)
    ran = shell("prepare", image, "--store", store, "--to", tmp_path / "out")
    assert ran.code == 3 and not (tmp_path / "out").exists()
    assert "scan.tiff: not sent: scan.PNG is beside it, and is sent in its place" in ran.out
    assert shell("prepare", images / "scan.tiff", "--store", store).code == 0, "it is not of the store"
    (store / "Can" / "scan.PNG").unlink()
    assert shell("push", "--store", store).code == 0
    draw(store / "Can" / "scan.PNG", 4)
    again = shell("prepare", image, "--store", store)
    assert again.code == 0 and "sent as PNG" in again.out, "it was sent before, and is a sample"
