"""Brings an image to 8 bits of grey or of red, green and blue, in sRGB unless its profile is kept, without
transparency."""

import io

from PIL import Image, ImageChops, ImageCms, ImageColor

from astica_sync.local.image.prepare.open_source import SourceImage

_WHITE = "#ffffff"
_MOST_PROFILE = 1_000_000
"""Programs refuse a PNG whose profile is larger than a megabyte; Pillow does."""
# What a profile calls the colours of an image in each mode.
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def make_plain(
    source: SourceImage, background: str, *, keep_profile: bool = False
) -> tuple[Image.Image, list[str], bytes | None]:
    """The image in mode L or RGB, what was changed, and the profile of its colours, None where they are sRGB. Where it
    is transparent, ``background`` is seen (#rrggbb)."""
    image, notes = source.image, []
    alpha = _find_clear(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _scale(image)
        notes.append("scaled to 8 bits")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LAB", *_SPACES):
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            alpha = image.getchannel("A")
        image = image.convert("RGB")
    if source.inverted:
        image = ImageChops.invert(image)
    is_clear = alpha is not None and alpha.getextrema() != (255, 255)
    # Grey pixels on a colour that is not grey.
    coloured = is_clear and image.mode == "L" and background[1:3] * 2 != background[3:]
    if keep_profile and not coloured and _is_profile_of(image, source.profile):
        kept = source.profile
        notes.append("colour profile kept")
    else:
        kept = None
        image, more = _to_srgb(image, source.profile)
        notes += more
    if alpha is not None and is_clear:
        if coloured:
            image = image.convert("RGB")
        colour = ImageColor.getcolor(background, image.mode)
        image = Image.composite(image, Image.new(image.mode, image.size, colour), alpha)
        notes.append(f"transparency laid on {'white' if background == _WHITE else background}")
    return image, notes, kept


def _find_clear(image: Image.Image) -> Image.Image | None:
    """Where one grey value or colour stands for no colour: black there, white elsewhere."""
    clear = image.info.get("transparency")
    if image.mode.startswith("I") and isinstance(clear, int):
        whole = image.convert("I")
        above, below = whole.point(lambda level: level * 1 - clear), whole.point(lambda level: level * -1 + clear)
        return ImageChops.add(above.convert("L"), below.convert("L")).point(lambda level: 255 * (level > 0))
    if image.mode in ("L", "RGB") and clear is not None:
        return image.convert("RGBA").getchannel("A")
    return None


def _scale(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits in 8, the whole range of its values."""
    low, high = _find_range(image)
    scale = 255 / (high - low)
    whole = image if image.mode == "F" else image.convert("I")
    # Half a level more, since a fraction is cut off.
    return whole.point(lambda level: level * scale + (0.5 - low * scale)).convert("L")


def _find_range(image: Image.Image) -> tuple[float, float]:
    """Which values are black and white: by the format, or by the values where it leaves that open."""
    if image.mode.startswith("I;16"):
        return 0, 65535
    low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]
    for most in (1, 255, 65535) if image.mode == "F" else (255, 65535):
        if low >= 0 and high <= most:
            return 0, most
    return (low, high) if high > low else (low, low + 1)


def _is_profile_of(image: Image.Image, profile: bytes | None) -> bool:
    """Whether the profile can be kept with the image: it is whole, and one of grey or of red, green and blue."""
    if not profile or len(profile) > _MOST_PROFILE or image.mode not in ("L", "RGB"):
        return False
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return opened.profile.xcolor_space.strip() == _SPACES[image.mode]


def _to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    notes = []
    if image.mode == "LAB":
        return _transform(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))), [
            "converted from Lab to sRGB"
        ]
    if profile:
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if opened.profile.xcolor_space.strip() == _SPACES[image.mode]:
                converted = _transform(image, opened)
                return converted, [] if converted is image else ["colours converted to sRGB by the image's profile"]
            notes.append("colour profile for other colours ignored")
        except (ImageCms.PyCMSError, OSError, ValueError):
            notes.append("broken colour profile ignored")
    if image.mode == "CMYK":
        return image.convert("RGB"), [*notes, "colours of print converted without a profile"]
    return image, notes


def _transform(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """The image in sRGB; the same object where the profile changes nothing."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    if image.mode == "L":
        # Each level by itself: the table that is made for speed is too coarse for dark ones.
        exact = ImageCms.buildTransform(profile, srgb, "L", "RGB", flags=ImageCms.Flags.NOOPTIMIZE)
        levels = _apply(Image.frombytes("L", (256, 1), bytes(range(256))), exact).convert("L")
        return image.point(levels.tobytes())
    transform = ImageCms.buildTransform(profile, srgb, image.mode, "RGB")
    return image if image.mode == "RGB" and _changes_nothing(transform) else _apply(image, transform)


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether it leaves a cube of colours as they are, to one level: that of sRGB itself does, and is left out."""
    levels = bytes(range(0, 256, 15))
    cube = bytes(level for red in levels for green in levels for blue in levels for level in (red, green, blue))
    probe = Image.frombytes("RGB", (len(levels), len(levels) ** 2), cube)
    return max(ImageChops.difference(probe, _apply(probe, transform)).tobytes()) <= 1
