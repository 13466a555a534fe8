"""Cuts the first image out of a JPEG file that holds several."""

import re

from astica_sync.local.image.format import jpeg_segments

# A marker other than stuffing, a restart and a filler: the compressed data end there (ITU-T T.81, B.1.1).
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


def cut_first(data: bytes) -> bytes | None:
    """The bytes up to the end of the first image; None where it does not end.

    The end is found by its marker. The index of the file gives a length as well, but programs that write metadata
    change the one and leave the other as it was.
    """
    end = max((end for _, _, end in jpeg_segments(data)), default=len(data))
    while found := _MARKER.search(data, end):
        if found[0][-1] == 0xD9:
            return data[: found.end()]
        # Between the scans of a progressive image are further segments.
        end = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    return None
