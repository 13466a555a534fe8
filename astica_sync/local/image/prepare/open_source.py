"""Opens an image of a file of one of the formats that are converted, upright and whole."""

import importlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from astica_sync.core.recipe import KEEP, OVERSIZED, Recipe
from astica_sync.local.image.format import broken, damaged, needs_extra, not_converted, sniff
from astica_sync.local.image.prepare.iso_box_file import (
    TRUNCATED,
    find_profile,
    hide_exif,
    is_codestream_cut_off,
    is_cut_off,
)
from astica_sync.local.image.prepare.judge_size import TooLarge, judge_source
from astica_sync.local.image.prepare.kept_metadata import keep_metadata
from astica_sync.local.image.strict_png import check_png

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])
# Tags of TIFF 6.0 and of DNG.
_SUBFILE_TYPE, _COMPRESSION, _PHOTOMETRIC, _DNG_VERSION = 254, 259, 262, 50706
_JPEG_COMPRESSIONS = (6, 7)


class NotConvertible(Exception):
    """The image cannot be converted; the text is the reason and what to do."""


class AboveLimits(Exception):
    """The image is above a limit of the service; ``found`` says which."""

    def __init__(self, found: TooLarge) -> None:
        super().__init__(found.limit)
        self.found = found


class TooManyPixels(Exception):
    """The image has more pixels than are to be decoded now."""

    def __init__(self, pixels: int) -> None:
        super().__init__(f"{pixels} pixels")
        self.pixels = pixels


@dataclass
class SourceImage:
    """The first image of a file, decoded and upright, in the colours of the file."""

    image: Image.Image
    sides: tuple[int, int]
    """Width and height of the whole image, upright; ``image`` may have a fraction of its pixels."""
    profile: bytes | None
    lossless: bool
    """Whether the file holds exactly the pixels that were saved."""
    inverted: bool
    """Whether the largest value stands for black."""
    notes: list[str] = field(default_factory=list)
    exif: bytes = b""
    """The metadata that the converted image keeps."""


@dataclass
class _Opened:
    """A file whose header was read."""

    size: tuple[int, int]
    decode: Callable[[], Image.Image]
    lossless: bool
    several: bool = False
    turned: bool = False
    """Whether the decoder turns the image."""
    profile: bytes | None = None
    inverted: bool = False
    frame: int = 1
    whole: tuple[int, int] | None = None
    """Width and height of the whole image, where ``size`` is that of a fraction of its pixels."""
    metadata: Callable[[], Image.Exif] = Image.Exif
    """Reads the metadata, before or after the image is decoded; raises whatever broken ones provoke."""


def open_source(data: bytes, word: str, most_pixels: int | None, recipe: Recipe) -> SourceImage:
    """The image of a file of the format that ``word`` names, see ``core.recipe``: the first, or that of ``frame``.

    Raises:
        NotConvertible, AboveLimits, TooManyPixels: it is not decoded.
        Exception: whatever the bytes provoke.
    """
    if word not in _OPENERS:
        raise NotConvertible(not_converted("an image that is not converted"))
    opened = _OPENERS[word](data, recipe)
    width, height = opened.size
    match judge_source(width, height, recipe):
        case TooLarge() as found:
            raise AboveLimits(found)
        case str() as reason:
            raise NotConvertible(reason)
    if most_pixels is not None and width * height > most_pixels:
        raise TooManyPixels(width * height)
    image = opened.decode()
    notes = [name_frame(opened.frame)] if opened.several else []
    if not opened.turned and (turn := _TURNS.get(_read_orientation(image))) is not None:
        image = image.transpose(turn)
        notes.append("turned upright")
        if turn in _LYING and opened.whole is not None:
            opened.whole = opened.whole[1], opened.whole[0]
    source = SourceImage(image, opened.whole or image.size, opened.profile, opened.lossless, opened.inverted, notes)
    if recipe.metadata == KEEP:
        try:
            source.exif = keep_metadata(opened.metadata())
        except Exception:  # noqa: BLE001 - broken metadata are no reason to refuse the pixels
            notes.append("broken metadata left out")
        notes += ["metadata kept"] if source.exif else []
    return source


def name_frame(number: int) -> str:
    """What is said of an image of several."""
    return f"image {number} of several" if number > 1 else "the first of several images"


def _read_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - broken metadata are no reason to refuse the pixels
        return 1


def _open_by_pillow(opened: ImageFile.ImageFile, *, lossless: bool, frame: int = 1) -> _Opened:
    frame = _seek(opened, frame)

    def decode() -> Image.Image:
        opened.load()
        return opened

    several = bool(getattr(opened, "is_animated", False))
    profile = opened.info.get("icc_profile")
    return _Opened(opened.size, decode, lossless, several, profile=profile, frame=frame, metadata=opened.getexif)


def _seek(opened: ImageFile.ImageFile, frame: int) -> int:
    """Goes to a frame, or the last one where there are fewer; returns its number."""
    if frame > 1:
        frame = min(frame, int(getattr(opened, "n_frames", 1)))
        opened.seek(frame - 1)
    return frame


def _open_heic(data: bytes, recipe: Recipe) -> _Opened:
    _refuse_cut_off(is_cut_off(data))
    try:
        import pi_heif
    except ImportError as error:
        reason = needs_extra("HEIC image", "astica-sync[heic]", "heif-convert IMAGE.HEIC IMAGE.jpg")
        raise NotConvertible(reason) from error
    # As many workers as cores decode at the same time.
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    images = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
    # The first is the one that a viewer shows, wherever it stands; the others follow in the order of the file.
    places = sorted(range(len(images)), key=lambda place: place != images.primary_index)
    frame = min(recipe.frame, len(places))
    opened: Any = images[places[frame - 1]]

    def decode() -> Image.Image:
        # A copy: the decoder frees its pixels with ``opened``, whatever still points to them.
        return Image.frombytes(opened.mode, opened.size, opened.data, "raw", opened.mode, opened.stride)

    profile = opened.info.get("icc_profile")
    found = _Opened(opened.size, decode, False, len(images) > 1, turned=True, profile=profile, frame=frame)
    found.metadata = partial(_parse, opened.info.get("exif") or b"")
    return found


def _open_avif(data: bytes, recipe: Recipe) -> _Opened:
    _refuse_cut_off(is_cut_off(data))
    if not features.check("avif"):
        raise NotConvertible(needs_extra("AVIF image", "Pillow 11.3 or later", "avifdec IMAGE.avif IMAGE.jpg"))
    # Older versions of Pillow lack the module.
    plugin: Any = importlib.import_module("PIL.AvifImagePlugin")
    opened = _open_by_pillow(plugin.AvifImageFile(io.BytesIO(hide_exif(data))), lossless=False, frame=recipe.frame)
    opened.metadata = lambda: plugin.AvifImageFile(io.BytesIO(data)).getexif()
    return opened


def _parse(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif


def _open_webp(data: bytes, recipe: Recipe) -> _Opened:
    lossless = b"VP8L" in _webp_chunks(data)
    return _open_by_pillow(WebPImagePlugin.WebPImageFile(io.BytesIO(data)), lossless=lossless, frame=recipe.frame)


def _webp_chunks(data: bytes) -> list[bytes]:
    """The kinds of the chunks up to the pixels of the first frame."""
    kinds, at = [], 12
    while at + 8 <= len(data):
        kind = data[at : at + 4]
        kinds.append(kind)
        if kind in (b"VP8 ", b"VP8L"):
            break
        # The chunks of a frame follow its own header of 16 bytes.
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return kinds


def _open_tiff(data: bytes, recipe: Recipe) -> _Opened:
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    frame = _seek(image, recipe.frame)
    tags = image.tag_v2
    # Raw photos of most cameras are a TIFF whose first page is a small preview.
    if _DNG_VERSION in tags or int(tags.get(_SUBFILE_TYPE, 0)) & 1:
        raise NotConvertible(not_converted("raw photo of a camera, or a TIFF whose first page is a preview"))
    # Pillow reads them all before it decodes, and broken ones would keep it from the pixels. They are read again where
    # they are kept.
    metadata = image.getexif()
    for tag in [*metadata]:
        if tag != _ORIENTATION:
            del metadata[tag]
    opened = _open_by_pillow(image, lossless=tags.get(_COMPRESSION, 1) not in _JPEG_COMPRESSIONS)
    opened.turned, opened.frame = True, frame
    opened.metadata = partial(_read_tiff_exif, data, frame)
    # Pillow inverts those of 8 bits and fewer.
    opened.inverted = tags.get(_PHOTOMETRIC) == 0 and image.mode not in ("1", "L")
    return opened


def _read_tiff_exif(data: bytes, frame: int) -> Image.Exif:
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    _seek(image, frame)
    return image.getexif()


def _open_bmp(data: bytes, _recipe: Recipe) -> _Opened:
    return _open_by_pillow(BmpImagePlugin.BmpImageFile(io.BytesIO(data)), lossless=True)


def _open_gif(data: bytes, recipe: Recipe) -> _Opened:
    return _open_by_pillow(GifImagePlugin.GifImageFile(io.BytesIO(data)), lossless=True, frame=recipe.frame)


def _open_jpeg2000(data: bytes, _recipe: Recipe) -> _Opened:
    _refuse_cut_off(is_codestream_cut_off(data))
    opened = _open_by_pillow(Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data)), lossless=False)
    opened.profile = find_profile(data)
    return opened


def _open_jpeg(data: bytes, _recipe: Recipe) -> _Opened:
    return _open_strictly(data, JpegImagePlugin.JpegImageFile(io.BytesIO(data)))


def _open_strictly(data: bytes, image: ImageFile.ImageFile) -> _Opened:
    # Imported here, with numpy: few images need it.
    from astica_sync.local.image.strict_jpeg import NotSupported, find_damage

    opened = _open_by_pillow(image, lossless=False)
    decode = opened.decode

    def decode_strictly() -> Image.Image:
        try:
            damage = find_damage(data)
        except NotSupported:
            damage = None
        if damage is not None:
            raise NotConvertible(damaged(damage))
        return decode()

    opened.decode = decode_strictly
    return opened


def _open_oversized(data: bytes, recipe: Recipe) -> _Opened:
    """A PNG or JPEG; a JPEG at a fraction of its size, where that is at least twice the side that is asked for."""
    if sniff(data) == "png":
        return _open_png(data)
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    opened = _open_strictly(data, image)
    opened.whole = image.size
    share = recipe.max_side / max(image.size)
    if 0 < share < 1:
        image.draft(None, (2 * math.ceil(share * image.width), 2 * math.ceil(share * image.height)))
        opened.size = image.size
    return opened


def _open_png(data: bytes) -> _Opened:
    image = PngImagePlugin.PngImageFile(io.BytesIO(data))
    opened = _open_by_pillow(image, lossless=True)
    # Of an animation the image that programs show that know nothing of it, as the service may.
    opened.several = False
    load = opened.decode

    def decode() -> Image.Image:
        check_png(data)
        return load()

    opened.decode = decode
    return opened


def _open_16_bits(data: bytes, _recipe: Recipe) -> _Opened:
    opened = _open_png(data)
    load = opened.decode

    def decode() -> Image.Image:
        image = load()
        clear = image.info.get("transparency")
        if isinstance(clear, tuple):
            # Pillow keeps the upper half of each value of a pixel, but not of this one.
            image.info["transparency"] = tuple(value >> 8 for value in clear)
        return image

    opened.decode = decode
    return opened


def _refuse_cut_off(cut_off: bool) -> None:
    if cut_off:
        raise NotConvertible(broken(TRUNCATED))


_OPENERS: dict[str, Callable[[bytes, Recipe], _Opened]] = {
    "heic": _open_heic,
    "avif": _open_avif,
    "webp": _open_webp,
    "tiff": _open_tiff,
    "bmp": _open_bmp,
    "gif": _open_gif,
    "jpeg2000": _open_jpeg2000,
    "cmyk": _open_jpeg,
    "jpeg": _open_jpeg,
    "16bit": _open_16_bits,
    OVERSIZED: _open_oversized,
}
