"""``export --converted``: what is sent in place of images that the service does not take, in every layout."""

import zipfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from astica_sync.cli.exchange.import_data import LAYOUT_NAMES
from astica_sync.core.recipe import Recipe
from astica_sync.local.image.format import dimensions, preparable, sniff
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.sandbox.embedded import RunningSandbox
from tests.fixtures_cli import push
from tests.harness.convertible_images import save, save_png_16
from tests.harness.other_formats import EXTENSIONS, encode
from tests.harness.shell import Held, Shell, draw, in_store, on_service

FEW = [pytest.param(layout, marks=() if layout == "csv" else pytest.mark.long) for layout in LAYOUT_NAMES]


def _picture(number: int) -> Image.Image:
    values = np.random.default_rng(number).integers(0, 255, (9, 12, 3), np.uint8)
    return Image.fromarray(values).resize((48, 36))


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def mixed(store: Path) -> Path:
    """A store with images of many formats beside those that are sent as they are."""
    for number, word in enumerate(EXTENSIONS):
        _write(store / "Can" / f"photo {word}.{EXTENSIONS[word]}", encode(_picture(number), word, turned=6))
    _write(store / "Can" / "scan.JP2", save(_picture(20), "JPEG2000"))
    _write(store / "Bottle" / "deep" / "grey.png", save_png_16(np.arange(4800, dtype=np.uint16).reshape(60, 80) * 13))
    if WITH_HEIC:
        _write(store / "Can" / "IMG_0007.HEIC", (HEIC / "turned.heic").read_bytes())
    # Several that differ in their ending alone, and one without any.
    _write(store / "Bottle" / "one.webp", encode(_picture(30), "webp"))
    _write(store / "Bottle" / "One.tif", encode(_picture(31), "tiff"))
    _write(store / "Bottle" / "bare", encode(_picture(32), "bmp"))
    # Named as what it is not.
    _write(store / "Bottle" / "phone.jpg", encode(_picture(33), "webp"))
    return store


HEIC = Path(__file__).parents[2] / "fixtures" / "heic"
WITH_HEIC = find_spec("pi_heif") is not None
CONVERTED = len(EXTENSIONS) + 6 + WITH_HEIC


@pytest.fixture
def sent(shell: Shell, mixed: Path, model_id: int, sandbox: RunningSandbox) -> Held:
    """What the service has after a push of ``mixed``."""
    push(shell, mixed, sandbox)
    return on_service(sandbox, model_id)


@pytest.mark.parametrize("layout", FEW)
def test_what_is_imported_of_it_is_what_the_service_has(
    shell: Shell, mixed: Path, empty: Path, tmp_path: Path, sent: Held, layout: str
) -> None:
    ran = shell("export", tmp_path / "out", "--format", layout, "--converted", "--json", "--store", mixed)
    assert (ran.code, ran.json["converted"], ran.json["other_formats"]) == (0, CONVERTED, 0), ran.err
    done = shell("import", tmp_path / "out", "--json", "--store", empty, "--split", "merge")
    assert (done.code, done.json["imported"], done.json["duplicates"]) == (0, sum(sent.values()), 0), done.out
    assert in_store(empty) == sent
    images = [path for path in empty.glob("*/**/*") if path.is_file() and ".astica-sync" not in path.parts]
    for path in images:
        data = path.read_bytes()
        assert preparable(data) is None, path
        assert path.suffix.lower() in {"png": [".png"], "jpeg": [".jpg"]}[str(sniff(data))], path
    again = shell("import", tmp_path / "out", "--json", "--store", empty, "--split", "merge")
    assert (again.code, again.json["imported"]) == (0, 0)


@pytest.mark.long
def test_the_second_store_sends_it_as_it_is(
    shell: Shell, mixed: Path, empty: Path, tmp_path: Path, sent: Held, sandbox: RunningSandbox
) -> None:
    assert shell("export", tmp_path / "out", "--format", "imagefolder", "--converted", "--store", mixed).code == 0
    assert shell("import", tmp_path / "out", "--store", empty).code == 0
    push(shell, empty, sandbox)
    assert on_service(sandbox, sandbox.models()[-1][0]) == sent
    assert not (empty / ".astica-sync" / "backup" / "prepared.jsonl").exists()


@pytest.mark.long
@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_it_is_written_to_an_archive(
    shell: Shell, mixed: Path, empty: Path, tmp_path: Path, sent: Held, ending: str
) -> None:
    target = tmp_path / f"out{ending}"
    assert shell("export", target, "--format", "coco", "--converted", "--store", mixed).code == 0
    assert shell("import", target, "--store", empty).code == 0
    assert in_store(empty) == sent


def test_what_was_never_sent_is_converted_by_the_recipe_of_the_store(shell: Shell, mixed: Path, tmp_path: Path) -> None:
    (mixed / "astica-sync.toml").write_text("max_side = 24\nquality = 80\n")
    ran = shell("export", tmp_path / "out", "--format", "imagefolder", "--converted", "--store", mixed)
    assert (ran.code, f"Converted, as they are sent: {CONVERTED} images." in ran.out) == (0, True), (ran.out, ran.err)
    with Preparer(Recipe(max_side=24, quality=80)) as preparer:
        for path in ("Can/photo tiff.tif", "Can/scan.JP2", "Bottle/bare"):
            made = preparer.convert((mixed / path).read_bytes())
            ending = {"png": ".png", "jpeg": ".jpg"}[str(sniff(made))]
            written = (tmp_path / "out" / path).with_suffix(ending).read_bytes()
            assert written == made, path
            assert max(dimensions(written) or ()) == 24
    assert not (mixed / ".astica-sync" / "backup" / "prepared").exists()


def test_it_takes_what_the_backup_has_and_converts_again_what_it_lost(
    shell: Shell, mixed: Path, tmp_path: Path, sent: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Counter[str] = Counter()
    convert = Preparer.convert

    def count(self: Preparer, data: bytes) -> bytes:
        made["times"] += 1
        return convert(self, data)

    monkeypatch.setattr(Preparer, "convert", count)
    assert shell("export", tmp_path / "one", "--format", "imagefolder", "--converted", "--store", mixed).code == 0
    assert (made["times"], in_store(tmp_path / "one")) == (0, sent)
    # One has other bytes by now, the others are gone.
    prepared = mixed / ".astica-sync" / "backup" / "prepared"
    damaged = next(path for path in prepared.rglob("*") if path.is_file())
    for path in prepared.rglob("*"):
        if path.is_file() and path != damaged:
            path.unlink()
    damaged.chmod(0o600)
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    assert shell("export", tmp_path / "two", "--format", "imagefolder", "--converted", "--store", mixed).code == 0
    assert (made["times"], in_store(tmp_path / "two")) == (CONVERTED, sent)


def test_originals_are_the_default_and_the_option_is_named(shell: Shell, mixed: Path, tmp_path: Path) -> None:
    ran = shell("export", tmp_path / "out", "--format", "imagefolder", "--store", mixed)
    # CMYK and 16 bits are JPEG and PNG as well.
    expected = f"In a format other than PNG and JPEG: {CONVERTED - 2} images."
    assert (ran.code, expected in ran.out, "--converted" in ran.out, "Converted" in ran.out) == (0, True, True, False)
    for path in (tmp_path / "out").glob("*/**/*"):
        if path.is_file():
            assert path.read_bytes() == (mixed / path.relative_to(tmp_path / "out")).read_bytes()


def test_names_that_differ_in_their_ending_alone_stay_apart(shell: Shell, mixed: Path, tmp_path: Path) -> None:
    command = ["export", tmp_path / "out", "--format", "imagefolder", "--converted", "--class", "Bottle"]
    assert shell(*command, "--store", mixed).code == 0
    names = sorted(path.name for path in (tmp_path / "out" / "Bottle").iterdir())
    ones = [name for name in names if name.lower().startswith("one")]
    assert len(ones) == 2
    assert all(name.startswith(("one-", "One-")) for name in ones), names
    assert {"bare.png", "phone.jpg", "deep"} <= set(names), names
    # The same names the second time.
    assert shell(*command, "--into", "--store", mixed).code == 0
    assert sorted(path.name for path in (tmp_path / "out" / "Bottle").iterdir()) == names
    assert not (tmp_path / "out" / "Can").exists()


def test_a_jpeg_beside_an_image_that_was_sent_keeps_its_name(
    shell: Shell, mixed: Path, tmp_path: Path, sent: Held
) -> None:
    jpeg = draw(mixed / "Can" / "photo webp.jpg", 900).read_bytes()
    assert shell("export", tmp_path / "out", "--format", "csv", "--converted", "--store", mixed).code == 0
    folder = tmp_path / "out" / "images" / "Can"
    assert (folder / "photo webp.jpg").read_bytes() == jpeg
    assert len(list(folder.glob("photo webp-*.jpg"))) == 1


@pytest.mark.long
@pytest.mark.parametrize("layout", ["imagefolder", "parquet", "webdataset"])
def test_held_out_images_are_converted_as_well(
    shell: Shell, mixed: Path, empty: Path, tmp_path: Path, layout: str
) -> None:
    held_out = tmp_path / "held-out"
    original = _write(held_out / "Can" / "x.webp", encode(_picture(50), "webp")).read_bytes()
    draw(held_out / "Bottle" / "y.png", 60)
    broken = _write(held_out / "Can" / "z.webp", original[:200])
    ran = shell("export", tmp_path / "out", "--format", layout, "--converted", "--held-out", held_out, "--store", mixed)
    assert (ran.code, "Can/z.webp: broken image" in ran.out) == (3, True), ran.out
    broken.unlink()
    back = tmp_path / "back"
    ran = shell("import", tmp_path / "out", "--split", "keep", "--held-out", back, "--store", empty)
    assert ran.code == 0, ran.out
    with Preparer() as preparer:
        expected = {("Can", preparer.convert(original)), ("Bottle", (held_out / "Bottle" / "y.png").read_bytes())}
    found = {(path.parent.name, path.read_bytes()) for path in back.glob("*/*")}
    assert found == expected


@pytest.mark.long
def test_a_format_that_the_store_does_not_convert_is_left_out_of_held_out_images(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    (store / "astica-sync.toml").write_text('convert = "tiff"\n')
    held_out = tmp_path / "held-out"
    _write(held_out / "Can" / "x.webp", encode(_picture(50), "webp"))
    _write(held_out / "Can" / "y.tif", encode(_picture(51), "tiff"))
    target = tmp_path / "out.zip"
    ran = shell("export", target, "--format", "csv", "--converted", "--held-out", held_out, "--store", store)
    assert (ran.code, "Can/x.webp: WebP image, which the setting convert leaves out" in ran.out) == (3, True), ran.out
    names = zipfile.ZipFile(target).namelist()
    assert [name for name in names if name.startswith("images/test/")] == ["images/test/Can/y.png"]
