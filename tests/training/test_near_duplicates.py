"""Which images count as the same picture: saved again and turned ones do, colours and shapes tell others apart."""

import contextlib
import io
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from astica_sync.core.recipe import Recipe
from astica_sync.likeness.small_picture import decode
from astica_sync.local.db.detections import Detections
from astica_sync.local.image.raster_process import render
from astica_sync.local.image.rasterizer import Raster, Rasterizer
from astica_sync.training.near_duplicates import Fingerprints, find_similar, group_similar, make_fingerprint

SIDE = 128


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def print_of(data: bytes) -> bytes:
    made = render(data, SIDE, square=True)
    return make_fingerprint(Raster(SIDE, SIDE, made[4:])) if made else b""


def are_similar(one: bytes, other: bytes) -> bool:
    return find_similar([print_of(one)], [print_of(other)]) == [0]


def scene(seed: int) -> Image.Image:
    """Shapes of many colours, as a photograph has them."""
    draw = random.Random(seed)
    image = Image.new("RGB", (320, 240), tuple(draw.randrange(256) for _ in range(3)))
    brush = ImageDraw.Draw(image)
    for _ in range(25):
        left, top = draw.randrange(300), draw.randrange(220)
        box = (left, top, left + draw.randrange(10, 120), top + draw.randrange(10, 90))
        (brush.ellipse if draw.random() < 0.5 else brush.rectangle)(box, fill=tuple(draw.randrange(256) for _ in "rgb"))
    return image.filter(ImageFilter.GaussianBlur(2))


def cap(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """A cap on white, never twice in the same place."""
    draw = random.Random(seed)
    image = Image.new("RGB", (256, 256), "white")
    x, y, radius = (middle + draw.randint(-3, 3) for middle in (128, 128, 90))
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image.filter(ImageFilter.GaussianBlur(1))


def icon(seed: int, colour: tuple[int, int, int]) -> Image.Image:
    draw = random.Random(seed)
    image = Image.new("RGBA", (128, 128), (*colour, 0))
    brush = ImageDraw.Draw(image)
    for _ in range(4):
        left, top = draw.randrange(90), draw.randrange(90)
        box = (left, top, left + draw.randrange(15, 36), top + draw.randrange(15, 36))
        (brush.ellipse if draw.random() < 0.5 else brush.rectangle)(box, fill=(*colour, 255))
    return image


def turned(image: Image.Image) -> bytes:
    """The pixels lie on their side, and the metadata say so."""
    exif = Image.Exif()
    exif[0x112] = 6
    return encode(image.transpose(Image.Transpose.ROTATE_90), exif=exif)


def turned_png(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x112] = 3
    return encode(image.transpose(Image.Transpose.ROTATE_180), "PNG", exif=exif)


def grey_16(image: Image.Image) -> bytes:
    return encode(Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257), "PNG")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: encode(image, quality=40),
        lambda image: encode(image.resize((160, 120)), quality=85),
        lambda image: encode(image.convert("L")),
        lambda image: encode(image.filter(ImageFilter.GaussianBlur(2))),
        lambda image: encode(ImageEnhance.Brightness(image).enhance(1.1)),
        lambda image: encode(image.quantize(256), "PNG"),
        lambda image: encode(image.convert("CMYK")),
        lambda image: encode(image.convert("RGBA"), "PNG"),
        lambda image: encode(image.crop((1, 1, 319, 239))),
        turned,
        turned_png,
        grey_16,
    ],
)
def test_a_picture_that_was_saved_again_is_the_same(change: Callable[[Image.Image], bytes]) -> None:
    assert all(are_similar(change(scene(seed)), encode(scene(seed), "PNG")) for seed in range(5))


def test_different_pictures_are_not() -> None:
    prints = [print_of(encode(scene(seed))) for seed in range(20)]
    assert group_similar(prints) == list(range(20))


def test_shapes_of_different_colours_on_white_are_different_pictures() -> None:
    colours = [(200, 30, 30), (30, 60, 200), (30, 150, 60), (230, 120, 20), (20, 20, 20), (120, 60, 160)]
    prints = [print_of(encode(cap(colour, seed))) for seed, colour in enumerate(colours * 4)]
    groups = group_similar(prints)
    for one, other in itertools.combinations(range(len(prints)), 2):
        assert groups[one] != groups[other] or one % len(colours) == other % len(colours), (one, other)
    again = [print_of(encode(cap(colour, seed), quality=50)) for seed, colour in enumerate(colours)]
    assert all(index is not None for index in find_similar(again, prints)), "saved again it is the same"


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 30)])
def test_icons_on_transparency_are_compared(colour: tuple[int, int, int]) -> None:
    prints = [print_of(encode(icon(seed, colour), "PNG")) for seed in range(10)]
    small = [print_of(encode(icon(seed, colour).resize((64, 64)), "PNG")) for seed in range(10)]
    assert find_similar(small, prints) == list(range(10))
    assert group_similar(prints) == list(range(10))


def test_an_icon_that_was_put_on_white_is_the_same() -> None:
    flat = Image.alpha_composite(Image.new("RGBA", (128, 128), "white"), icon(1, (0, 90, 0))).convert("RGB")
    assert are_similar(encode(flat), encode(icon(1, (0, 90, 0)), "PNG"))


def test_an_image_without_structure_is_like_no_other() -> None:
    plain = encode(Image.new("RGB", (64, 64), (90, 90, 90)), "PNG")
    assert print_of(plain) == b"" and not are_similar(plain, plain)


def test_colours_of_one_brightness_have_structure() -> None:
    image = Image.new("RGB", (64, 64), (255, 0, 0))
    ImageDraw.Draw(image).rectangle((8, 20, 40, 60), fill=(0, 130, 0))
    assert are_similar(encode(image, "PNG"), encode(image.resize((128, 128)), "PNG"))


@pytest.fixture
def rasterizer() -> Iterator[Rasterizer]:
    with contextlib.closing(Rasterizer(workers=1)) as made:
        yield made


@pytest.mark.parametrize("kind", ["PDF", "EPS", "ICO", "PPM", "TGA"])
def test_no_other_format_is_opened_whatever_it_is_called(rasterizer: Rasterizer, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(encode(scene(1), kind))
    assert rasterizer.render_file(path, SIDE) is None


def test_postscript_called_jpg_starts_no_other_program(
    rasterizer: Rasterizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    path = tmp_path / "image.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    assert rasterizer.render_file(path, SIDE) is None
    assert not witness.exists()


def test_what_breaks_the_worker_costs_its_own_raster_alone(rasterizer: Rasterizer, tmp_path: Path) -> None:
    good = encode(scene(1), "PNG")
    assert rasterizer.render(good[:200], SIDE) is None
    assert rasterizer.render(b"\x89PNG\r\n\x1a\n", SIDE) is None
    assert rasterizer.render_file(tmp_path / "missing.png", SIDE) is None
    made = rasterizer.render(good, 48)
    assert made is not None and (made.width, made.height, len(made.pixels)) == (48, 36, 48 * 36 * 3)
    with contextlib.closing(Rasterizer(workers=1, memory=1 << 28, seconds=0.001)) as slow:
        large = encode(scene(1).resize((4000, 3000)), "PNG")
        assert slow.render(large, SIDE) is None


def test_what_could_not_be_decoded_is_reported_and_is_made_again_once_it_is_repaired(
    rasterizer: Rasterizer, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    good = encode(scene(1), "PNG")
    path.write_bytes(good[:300])
    with contextlib.closing(Detections(tmp_path / "detections.db")) as cache:
        cache.put_fingerprint("old", b"")
        prints = Fingerprints(cache, rasterizer)
        assert prints.of_all([("a", path)]) == {"a": b""}
        assert prints.unread == {"a"}
        path.write_bytes(good)
        again = Fingerprints(cache, rasterizer)
        made = again.of_all([("a", path), ("old", path)])
        assert made["a"] == made["old"] != b""
        assert again.unread == set()


def test_a_fingerprint_is_made_once(rasterizer: Rasterizer, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(scene(1), "PNG"))
    with contextlib.closing(Detections(tmp_path / "detections.db")) as cache:
        first = Fingerprints(cache, rasterizer).of_all([("a", path), ("b", tmp_path / "none")])
        path.unlink()
        assert Fingerprints(cache, rasterizer).of_all([("a", path)]) == {"a": first["a"]}
    assert decode(first["a"]) is not None and first["b"] == b""


def save_pages(path: Path, *pages: int) -> tuple[str, Path]:
    """A TIFF with these scenes as its pages."""
    first, *others = [scene(number) for number in pages]
    first.save(path, save_all=True, append_images=others)
    return path.stem, path


def test_what_is_compared_is_what_the_recipe_makes(tmp_path: Path) -> None:
    """Also where the cache has what another recipe made."""
    files = [save_pages(tmp_path / f"{name}.tiff", *pages) for name, *pages in (("a", 1, 2), ("b", 1, 3), ("c", 4, 3))]
    with contextlib.closing(Detections(tmp_path / "detections.db")) as cache:
        for recipe, groups in (
            (Recipe(), [0, 0, 1]),
            (Recipe(frame=2), [0, 1, 1]),
            (Recipe(frame=2, max_side=90, quality=80), [0, 1, 1]),
            (Recipe(), [0, 0, 1]),
        ):
            with contextlib.closing(Rasterizer(recipe, workers=1)) as rasterizer:
                prints = Fingerprints(cache, rasterizer).of_all(files)
            found = group_similar(list(prints.values()))
            assert [found.index(one) for one in found] == [groups.index(one) for one in groups], recipe


def test_the_background_of_the_recipe_is_what_transparent_images_are_compared_on(tmp_path: Path) -> None:
    shape = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(shape).rectangle((10, 20, 40, 50), fill=(255, 255, 255, 255))
    flat = Image.new("RGB", (64, 64), (0, 0, 0))
    flat.paste((255, 255, 255), (10, 20, 41, 51))
    shape.save(tmp_path / "shape.webp", lossless=True)
    flat.save(tmp_path / "flat.png")
    files = [(name, tmp_path / name) for name in ("shape.webp", "flat.png")]
    with contextlib.closing(Detections(tmp_path / "detections.db")) as cache:
        for recipe, same in ((Recipe(), False), (Recipe(background="#000000"), True), (Recipe(), False)):
            with contextlib.closing(Rasterizer(recipe, workers=1)) as rasterizer:
                one, other = group_similar(list(Fingerprints(cache, rasterizer).of_all(files).values()))
            assert (one == other) is same, recipe
