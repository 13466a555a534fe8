"""Finds damage inside a JPEG that ordinary decoders pass over.

A JPEG has no checksums. Where its compressed data are damaged, libjpeg warns and shows the rest of the picture wrong,
and Pillow hides the warning. Here libjpeg-turbo decodes with its warnings as errors. What does not change a pixel is
taken out first, since cameras get it wrong and only the first warning is seen.
"""

import re
from typing import Any, Literal

import simplejpeg

from astica_sync.local.image.format import is_frame, jpeg_segments

# libjpeg's words for what its entropy decoder could not make sense of, and for data that end too early.
_DAMAGE = ("Corrupt JPEG data: ", "Premature end of JPEG file")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x(d[0-79])")
_RESTART = re.compile(rb"(\xff[\xd0-\xd7])")
_READ_AHEAD = 4
# Starts of a frame whose scans hold whole blocks; those of a progressive one hold a part of each.
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)


class NotSupported(Exception):
    """The strict decoder cannot decode this kind of JPEG at all; nothing is known about damage."""


def find_damage(data: bytes) -> str | None:
    """What is damaged in the compressed data of a JPEG, in libjpeg's words; None when they decode without a warning.

    Fillers that scanners and cameras write between the data and the next marker are no damage. What follows the first
    image is not looked at: motion photos and panoramas append a video or further images.

    Raises:
        NotSupported: nothing can be said, for example for an unusual subsampling.
        MemoryError: it needs more memory than this process may have.
    """
    data = _without_metadata(data)
    damage = _decode(data)
    if damage is not None and (extraneous := _EXTRANEOUS.match(damage)):
        count, marker = int(extraneous[1]), extraneous[2]
        if marker != "d9":
            return _decode(_without_fillers(data))
        before = data[: data.find(b"\xff\xd9")]
        # Zero bytes that were decoded as data are damage; libjpeg does not count up to three that it has read ahead.
        if count <= len(before) - len(before.rstrip(b"\0")) <= count + _READ_AHEAD:
            return None
    return damage


def decode_sound(data: bytes, colours: Literal["GRAY", "RGBX"], sides: tuple[int, int], *, whole: bool) -> Any:
    """The pixels of a JPEG in which there is no damage: rows of one byte a pixel, or of four, of which the last is
    void. As large as the image where ``whole``; else of ``sides``, width and height, a fraction of its own.

    Application data do not count, so the colours of an RGB image are right where it is one of YCbCr without them.

    Raises:
        ValueError: a warning of the decoder, of which ``find_damage`` tells whether it is of damage.
    """
    width, height = (0, 0) if whole else sides
    return simplejpeg.decode_jpeg(_without_metadata(data), colorspace=colours, min_height=height, min_width=width)


def _decode(data: bytes) -> str | None:
    try:
        # An eighth of the size: all data are still read, for a 64th of the memory.
        simplejpeg.decode_jpeg(
            data, colorspace="GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8
        )
    except ValueError as error:
        text = str(error)
        if text.startswith("Insufficient memory"):
            raise MemoryError from error
        if text.startswith(_DAMAGE):
            return text.removeprefix(_DAMAGE[0])
        raise NotSupported(text) from error
    return None


def _without_metadata(data: bytes) -> bytes:
    """The JPEG without application data and comments, and with the scan parameters that its kind of frame must have.

    Bad profiles and unknown revisions in application data are warnings for libjpeg, and so are the scan parameters that
    front cameras of some phones write. None of it changes a pixel.
    """
    parts = [data[:2]]
    frame, end = 0, 2
    for marker, start, end in jpeg_segments(data):
        segment = data[start:end]
        if is_frame(marker):
            frame = marker
        if marker == 0xDA and frame in _SEQUENTIAL:
            # First and last coefficient, and the bits of each: all of them (ITU-T T.81, table B.3).
            segment = segment[:-3] + b"\0\x3f\0"
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            parts.append(segment)
    parts.append(data[end:])
    return b"".join(parts)


def _without_fillers(data: bytes) -> bytes:
    """The JPEG without zero bytes before its restart markers."""
    pieces = _RESTART.split(data)
    for number in range(0, len(pieces) - 1, 2):
        bare = pieces[number].rstrip(b"\0")
        # A zero byte after 0xff belongs to it.
        pieces[number] = bare + b"\0" if bare.endswith(b"\xff") and bare != pieces[number] else bare
    return b"".join(pieces)
