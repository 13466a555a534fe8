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
