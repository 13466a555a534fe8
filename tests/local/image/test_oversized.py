"""PNG and JPEG above the limits of the service: the setting that is named makes them fit."""

import io
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageOps

from astica_sync.core.recipe import Recipe
from astica_sync.errors import ImageRejected
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import MAX_BYTES, preparable
from astica_sync.local.image.prepare.image_as_sent import as_shown, check_as_sent
from astica_sync.local.image.prepare.preparer import Preparer
from tests.harness.convertible_images import make_p3_profile, save

NOISE = np.random.default_rng(5).integers(0, 256, (2800, 2700, 3), np.uint8)


def draw_long(mode: str = "RGB", length: int = 16_400) -> Image.Image:
    """Longer than the service takes, with another colour at each end."""
    image = Image.linear_gradient("L").resize((length, 120)).convert(mode)
    image.paste((200, 20, 20, 255)[: len(image.getbands())], (0, 0, 900, 60))
    return image


TURNED = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
FILES = {
    "long jpeg": save(draw_long(), "JPEG", quality=90),
    "grey jpeg": save(draw_long("L"), "JPEG", quality=90),
    "turned jpeg": save(draw_long(), "JPEG", quality=90, exif=TURNED),
    "progressive jpeg": save(draw_long(), "JPEG", quality=90, progressive=True),
    "wide colours": save(draw_long(), "JPEG", quality=90, icc_profile=make_p3_profile()),
    "long png": save(draw_long(), "PNG"),
    "transparent png": save(draw_long("RGBA"), "PNG"),
    "png of few colours": save(draw_long().quantize(16), "PNG"),
    "jpeg with a video": save(draw_long(length=900), "JPEG") + bytes(MAX_BYTES),
    "heavy png": save(draw_long().resize((2800, 2700)), "PNG", compress_level=0),
    "heavy noise": save(NOISE, "PNG", compress_level=0),
    "first of several": save(draw_long(), "MPO", save_all=True, append_images=[draw_long()]),
}  # fmt: skip


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    with Preparer(workers=1) as started:
        yield started


def named_side(refused: ImageRejected) -> int:
    text = str(refused)
    assert "more than the service's limit of " in text and text.endswith("or list it in .astica-ignore")
    return int(text.partition(": set max_side = ")[2].split(" in astica-sync.toml, ")[0])


@pytest.mark.parametrize("name", FILES)
def test_the_reason_names_a_setting_by_which_the_image_fits(preparer: Preparer, name: str) -> None:
    data = FILES[name]
    with pytest.raises(ImageRejected) as refused:
        preparer.prepare(data)
    side = named_side(refused.value)
    sent = preparer.prepare(data, Recipe(max_side=side))
    with Decoder(workers=1) as decoder:
        assert decoder.check_bytes(sent.data) is None and preparable(sent.data) is None
    assert max(sent.width, sent.height) <= side
    assert sent.data.startswith(b"\x89PNG" if "png" in name else b"\xff\xd8")


@pytest.mark.parametrize("name", FILES)
def test_what_is_sent_shows_the_whole_image(preparer: Preparer, name: str) -> None:
    """Compared with what Pillow makes of the whole image in another way."""
    sent = preparer.prepare(FILES[name], Recipe(max_side=1200))
    whole = ImageOps.exif_transpose(Image.open(io.BytesIO(FILES[name])))
    assert sent.source_sides == whole.size
    shown = Image.open(io.BytesIO(sent.data))
    assert not shown.getexif() and "icc_profile" not in shown.info and shown.mode in ("L", "RGB")
    scale = min(1, 1200 / max(whole.size))
    assert shown.size == tuple(max(1, round(side * scale)) for side in whole.size)
    if scale < 1:
        assert f"made smaller, from {whole.width} x {whole.height} pixels" in sent.notes
    expected = np.asarray(whole.convert("RGBA").convert("RGB").resize(shown.size, Image.Resampling.BOX), np.int16)
    away = np.abs(np.asarray(shown.convert("RGB"), np.int16) - expected)
    assert away.mean() < {"wide colours": 8, "heavy noise": 20}.get(name, 2), away.mean()


def test_one_that_fits_is_neither_converted_nor_made_smaller() -> None:
    small = save(draw_long(length=900), "JPEG")
    with Preparer(Recipe(max_side=64), program=("no such program",)) as preparer:
        assert preparer.convert(small) is small


def test_a_damaged_one_is_named_as_that_and_no_setting_helps(preparer: Preparer) -> None:
    jpeg, png = bytearray(FILES["long jpeg"]), bytearray(FILES["long png"])
    jpeg[len(jpeg) // 2 : len(jpeg) // 2 + 2000] = bytes(2000)
    png[len(png) // 2] ^= 1
    for data in (jpeg, png, FILES["long jpeg"][:-3000], FILES["first of several"][:3000]):
        for recipe in (Recipe(), Recipe(max_side=800)):
            with pytest.raises(ImageRejected, match="broken image") as refused:
                preparer.prepare(bytes(data), recipe)
            assert "max_side" not in str(refused.value)


def test_without_the_setting_it_is_shown_as_it_is_and_refused_with_the_reason(preparer: Preparer) -> None:
    data = FILES["long jpeg"]
    assert as_shown(preparer, data) is preparer.convert(data) is data
    with Decoder(workers=1) as decoder:
        with pytest.raises(ImageRejected, match="set max_side = 16000 in"):
            check_as_sent(decoder, preparer, data)
        with (
            Preparer(Recipe(frozenset({"webp"}), max_side=800), workers=1) as other,
            pytest.raises(ImageRejected, match="limit of 16000 on a side: make it smaller"),
        ):
            check_as_sent(decoder, other, data)


def test_what_no_setting_makes_fit_is_refused_without_one(preparer: Preparer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astica_sync.local.image.prepare.judge_size.MAX_BYTES", 200)
    with pytest.raises(ImageRejected, match="more than the service's limit of 16000 on a side: convert it to PNG or"):
        preparer.prepare(FILES["long jpeg"])
