"""What is done with images that the service does not take as they are: the recipe by which they are converted."""

from dataclasses import dataclass

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
    ("mpo", "JPEG that holds several images, of which the first is taken as it is"),
)
"""The formats that are converted, each by the word for it in settings, and what it is."""

FORMAT_NAMES = {word: word.upper() for word, _ in PREPARABLE} | {
    "webp": "WebP",
    "jpeg2000": "JPEG 2000",
    "cmyk": "CMYK JPEG",
    "16bit": "16-bit PNG",
}
"""What messages call each format."""

ALL, NONE = "all", "none"

TAKEN_AS_THEY_ARE = frozenset({"cmyk", "16bit", "mpo"})
"""Formats of PNG and JPEG files: where they are not converted, they are sent as they are."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How images are converted: the same source and recipe make the same image within one installation."""

    formats: frozenset[str] = frozenset(word for word, _ in PREPARABLE)
    """The words of the formats that are converted."""

    @property
    def name(self) -> str:
        """What the settings and the index call this recipe by."""
        if self.formats == Recipe().formats:
            return ALL
        return ",".join(word for word, _ in PREPARABLE if word in self.formats) or NONE

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
