"""What is done with images that the service does not take as they are: the recipe by which they are converted."""

import re
from dataclasses import dataclass, replace
from typing import Any

PREPARABLE: tuple[tuple[str, str], ...] = (
    ("heic", "HEIC, as iPhones and other cameras write it; needs the extra astica-sync[heic]"),
    ("avif", "AVIF; needs Pillow 11.3 or later"),
    ("webp", "WebP"),
    ("tiff", "TIFF, its first page"),
    ("bmp", "BMP"),
    ("gif", "GIF, its first frame"),
    ("jpeg2000", "JPEG 2000"),
    ("cmyk", "JPEG in the four colours of print"),
    ("16bit", "PNG of 16 bits per colour"),
    ("mpo", "JPEG that holds several images, of which one is taken as it is"),
    ("oversized", "PNG and JPEG above the limits of 20 MB and 16,000 pixels on a side, where max_side is set"),
)
"""The formats that are converted, each by the word for it in settings, and what it is."""

FORMAT_NAMES = {word: word.upper() for word, _ in PREPARABLE} | {
    "webp": "WebP",
    "jpeg2000": "JPEG 2000",
    "cmyk": "CMYK JPEG",
    "16bit": "16-bit PNG",
    "oversized": "PNG or JPEG above the limits",
}
"""What messages call each format."""

ALL, NONE, KEEP, SRGB = "all", "none", "keep", "srgb"
METADATA = (NONE, KEEP)
"""What of the metadata of an image a converted one keeps: nothing, or when, where and with what it was taken."""

COLOURS = (SRGB, KEEP)
"""The colours of a converted image: sRGB, or those of the image with its colour profile."""

OVERSIZED = "oversized"
TAKEN_AS_THEY_ARE = frozenset({"cmyk", "16bit", "mpo", OVERSIZED})
"""Formats of PNG and JPEG files: where they are not converted, they are PNG and JPEG as any other, sent as they are or
refused."""


LARGEST_SIDE = 16_000
"""The most pixels on a side that the service takes, and so the largest ``max_side``."""
SMALLEST_SIDE = 16
_NAMED_COLOURS = {"white": "#ffffff", "black": "#000000", "grey": "#808080", "gray": "#808080"}
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def read_colour(text: str) -> str:
    """The colour as #rrggbb.

    Raises:
        ValueError: it is none; the message says what is.
    """
    colour = _NAMED_COLOURS.get(text.strip().lower(), text.strip().lower())
    if _COLOUR.fullmatch(colour) is None:
        raise ValueError("white, black, grey, or a colour such as #f0f0f0")
    return colour


@dataclass(frozen=True, slots=True)
class Recipe:
    """How images are converted: the same source and recipe make the same image within one installation."""

    formats: frozenset[str] = frozenset(word for word, _ in PREPARABLE)
    """The words of the formats that are converted."""
    max_side: int = 0
    """The most pixels on the longer side; 0 for as many as the image has."""
    quality: int = 95
    """The quality of what is written as JPEG, from 1 to 100."""
    background: str = "#ffffff"
    """The colour on which transparent images are laid, as #rrggbb."""
    frame: int = 1
    """Which image of a file that holds several, 1 for the one that viewers show; of one that holds fewer the last."""
    metadata: str = NONE
    """One of ``METADATA``."""
    colours: str = SRGB
    """One of ``COLOURS``."""

    @property
    def name(self) -> str:
        """What the setting calls these formats."""
        if self.formats == Recipe().formats:
            return ALL
        return ",".join(word for word, _ in PREPARABLE if word in self.formats) or NONE

    @property
    def identity(self) -> str:
        """What makes this recipe's images others than the default recipe's: "" where nothing does. It is a part of
        the uid of every converted image. The formats are none: they decide which images are converted, and not how."""
        return " ".join(f"{name}={value}" for name, value, default in self._values() if value != default)

    @property
    def look(self) -> str:
        """The part of the identity that changes what is seen on an image, and not only how fine it is."""
        return replace(self, max_side=0, quality=95, metadata=NONE).identity

    @property
    def text(self) -> str:
        """The whole recipe, as ``parse`` reads it."""
        return f"{self.name} {self.identity}".rstrip()

    def _values(self) -> tuple[tuple[str, Any, Any], ...]:
        return (
            ("max_side", self.max_side, 0),
            ("quality", self.quality, 95),
            ("background", self.background, "#ffffff"),
            ("frame", self.frame, 1),
            ("metadata", self.metadata, NONE),
            ("colours", self.colours, SRGB),
        )

    def converts(self, word: str | None) -> bool:
        """Whether images of the format that the word stands for are converted."""
        return word in self.formats and (word != OVERSIZED or self.max_side > 0)

    @classmethod
    def of(cls, name: str) -> "Recipe":
        """The recipe of a name: "all", "none", or words of formats with commas between them.

        Raises:
            ValueError: a word is that of no format; the message says what is.
        """
        words = [word.strip().lower() for word in name.split(",")]
        if words == [ALL]:
            return cls()
        if words == [NONE]:
            return cls(frozenset())
        if not cls().formats.issuperset(words):
            raise ValueError(f"all, none, or a list of {', '.join(word for word, _ in PREPARABLE)}")
        return cls(frozenset(words))

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """The recipe of a ``text``, or of an ``identity`` alone.

        Raises:
            ValueError: it is neither.
        """
        words = text.split()
        formats = cls.of(words.pop(0)).formats if words and "=" not in words[0] else cls().formats
        values = dict(word.split("=", 1) for word in words)
        recipe = cls(
            formats,
            int(values.get("max_side", "0")),
            int(values.get("quality", "95")),
            read_colour(values.get("background", "white")),
            int(values.get("frame", "1")),
            values.get("metadata", NONE),
            values.get("colours", SRGB),
        )
        # Also what a later version of the program may have written.
        if recipe.identity != " ".join(words) or not recipe.is_sound:
            raise ValueError(f"no recipe: {text!r}")
        return recipe

    @property
    def is_sound(self) -> bool:
        """Whether an image can be made by it."""
        side = self.max_side == 0 or SMALLEST_SIDE <= self.max_side <= LARGEST_SIDE
        words = self.metadata in METADATA and self.colours in COLOURS
        return side and 1 <= self.quality <= 100 and self.frame >= 1 and words
