"""The metadata that a converted image keeps where the recipe says so: when, where and with what it was taken.

What describes the file that the image came from is left out: how it is turned, its sides, its colour profile, its
thumbnail, and what a maker of cameras wrote in a form of its own.
"""

from PIL import ExifTags, Image

_MOST_BYTES = 60_000
"""A JPEG has room for 65,533 (Exif 2.32, 4.7.2), with the head of the segment."""
_MOST_VALUE = 4_000
_NAMED = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
)
"""The others of the first directory say how the pixels of a TIFF are stored."""
_LEFT_OUT = frozenset(
    {
        ExifTags.Base.MakerNote,
        ExifTags.Base.ColorSpace,
        ExifTags.Base.ExifImageWidth,
        ExifTags.Base.ExifImageHeight,
        ExifTags.Base.ComponentsConfiguration,
        ExifTags.Base.CompressedBitsPerPixel,
        ExifTags.Base.ExifInteroperabilityOffset,
    }
)


def keep_metadata(source: Image.Exif) -> bytes:
    """The Exif data of a converted image; empty where there is nothing to keep.

    Raises:
        Exception: whatever broken metadata provoke.
    """
    kept = Image.Exif()
    for tag in _NAMED:
        if _fits(value := source.get(tag)):
            kept[tag] = _as_written(value)
    for directory, known in ((ExifTags.IFD.Exif, ExifTags.Base), (ExifTags.IFD.GPSInfo, ExifTags.GPS)):
        names = {tag.value for tag in known} - (_LEFT_OUT if directory is ExifTags.IFD.Exif else set())
        directory_items = source.get_ifd(directory).items()
        found = {tag: _as_written(value) for tag, value in directory_items if tag in names and _fits(value)}
        if found:
            kept.get_ifd(directory).update(found)
            kept[directory] = found
    data = kept.tobytes() if len(kept) else b""
    return data if len(data) <= _MOST_BYTES else b""


def _as_written(value: object) -> object:
    """Pillow reads each byte of a text as a letter, and would write those above 127 as question marks."""
    return value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value


def _fits(value: object) -> bool:
    """Whether a value is there, and no longer than a text that someone wrote."""
    return value is not None and not (isinstance(value, str | bytes | tuple) and len(value) > _MOST_VALUE)
