"""Cuts one image out of a JPEG file that holds several."""

import re

from astica_sync.local.image.format import count_images, jpeg_segments

_START = b"\xff\xd8\xff"
# A marker other than stuffing, a restart and a filler: the compressed data end there (ITU-T T.81, B.1.1).
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


def cut_image(data: bytes, number: int) -> tuple[bytes | None, int]:
    """The bytes of the image of this number, or of the last one where there are fewer, and its number; None for the
    bytes of one that does not end.

    Beginning and end are found by their markers. The index of the file has places and lengths as well, but programs
    that write metadata change the images and leave the index as it was. It only tells how many images there are, since
    something else may follow them.
    """
    number = min(number, count_images(data))
    start, found = 0, 1
    while (end := _find_end(data[start:])) is not None:
        further = data.find(_START, start + end) if found < number else -1
        if further < 0:
            return data[start : start + end], found
        start, found = further, found + 1
    return None, found


def _find_end(data: bytes) -> int | None:
    """Where the image ends that begins the data."""
    end = max((end for _, _, end in jpeg_segments(data)), default=len(data))
    while found := _MARKER.search(data, end):
        if found[0][-1] == 0xD9:
            return found.end()
        # Between the scans of a progressive image are further segments.
        end = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    return None
