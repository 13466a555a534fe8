"""The metadata that a converted image keeps where the recipe says so: when, where and with what it was taken.

Only the tags that are listed here are kept (Exif 2.32, 4.6). Others name people (the artist, the owner and
the serial number of the camera, a comment), or describe the file that the image came from: how it is turned, its
sides, its colour profile, its thumbnail, and what a maker of cameras wrote in a form of its own.
"""

from PIL import ExifTags, Image

_MOST_BYTES = 60_000
"""A JPEG has room for 65,533 (Exif 2.32, 4.7.2), with the head of the segment."""
_MOST_VALUE = 4_000
_NAMED = (ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.DateTime)
_DETAILS = frozenset(
    {
        ExifTags.Base.ExifVersion,
        # When.
        ExifTags.Base.DateTimeOriginal,
        ExifTags.Base.DateTimeDigitized,
        ExifTags.Base.OffsetTime,
        ExifTags.Base.OffsetTimeOriginal,
        ExifTags.Base.OffsetTimeDigitized,
        ExifTags.Base.SubsecTime,
        ExifTags.Base.SubsecTimeOriginal,
        ExifTags.Base.SubsecTimeDigitized,
        # With which lens.
        ExifTags.Base.LensMake,
        ExifTags.Base.LensModel,
        ExifTags.Base.LensSpecification,
        ExifTags.Base.FocalLength,
        ExifTags.Base.FocalLengthIn35mmFilm,
        ExifTags.Base.DigitalZoomRatio,
        ExifTags.Base.MaxApertureValue,
        # How it was exposed.
        ExifTags.Base.ExposureTime,
        ExifTags.Base.FNumber,
        ExifTags.Base.ExposureProgram,
        ExifTags.Base.ExposureMode,
        ExifTags.Base.ExposureBiasValue,
        ExifTags.Base.ISOSpeedRatings,
        ExifTags.Base.SensitivityType,
        ExifTags.Base.StandardOutputSensitivity,
        ExifTags.Base.RecommendedExposureIndex,
        ExifTags.Base.ISOSpeed,
        ExifTags.Base.ShutterSpeedValue,
        ExifTags.Base.ApertureValue,
        ExifTags.Base.BrightnessValue,
        ExifTags.Base.MeteringMode,
        ExifTags.Base.LightSource,
        ExifTags.Base.Flash,
        ExifTags.Base.WhiteBalance,
    }
)
_PLACE = frozenset(ExifTags.GPS)


def keep_metadata(source: Image.Exif) -> bytes:
    """The Exif data of a converted image; empty where there is nothing to keep.

    Raises:
        Exception: whatever broken metadata provoke.
    """
    kept = Image.Exif()
    for tag in _NAMED:
        if _fits(value := source.get(tag)):
            kept[tag] = _as_written(value)
    for directory, names in ((ExifTags.IFD.Exif, _DETAILS), (ExifTags.IFD.GPSInfo, _PLACE)):
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
