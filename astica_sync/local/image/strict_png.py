"""Checks the pixels of a PNG chunk by chunk, without its raster, and takes out what is not about pixels."""

import struct
import zlib
from collections.abc import Iterator

# Small pieces in, since what is not yet unpacked is copied each time; bounded pieces out.
_PIECE = 1 << 16
_INFLATED = 1 << 20
# Samples per pixel of the PNG colour types (PNG specification, table 11.1).
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column, first row, column step, row step of the seven passes (PNG specification, section 8.2).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_png(data: bytes) -> None:
    """Checks a PNG without its raster, which may take gigabytes.

    Each chunk up to the last row must match its checksum, and the packed data must hold as many rows as the header says
    (Pillow fills missing ones up), each with a known filter.

    Raises:
        ValueError: it does not hold; the text says what.
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    channels = _CHANNELS.get(colour)
    if channels is None:
        raise ValueError(f"unknown colour type {colour}")
    sizes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    inflated = _inflate(_packed(data))
    piece = b""
    for left, top, across, down in sizes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        row = 1 + (columns * channels * depth + 7) // 8
        length, done = (row * rows if columns > 0 else 0), 0
        while done < length:
            piece = piece or next(inflated, b"")
            if not piece:
                raise ValueError("image file is truncated")
            part, piece = piece[: length - done], piece[length - done :]
            if max(part[-done % row :: row], default=0) > 4:
                raise ValueError("unknown row filter")
            done += len(part)


def pixel_chunks(data: bytes) -> bytes:
    """The PNG without the chunks that change no pixel: text, profiles, further frames.

    Pillow refuses an image with more than a megabyte of text or profile, and each of them may be a bomb.

    Raises:
        ValueError: a chunk does not end.
    """
    parts = [data[:8]]
    for kind, start, end in _chunks(data):
        # A capital first letter marks a chunk without which the image cannot be shown (PNG specification, 5.4).
        if kind[:1].isupper() or kind == b"tRNS":
            parts.append(data[start:end])
    return b"".join(parts)


def _packed(data: bytes) -> Iterator[bytes]:
    for kind, start, end in _chunks(data):
        if zlib.crc32(memoryview(data)[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ValueError(f"checksum error in the {kind.decode('ascii', 'replace')} chunk")
        if kind == b"IDAT":
            for piece in range(start + 8, end - 4, _PIECE):
                yield data[piece : min(piece + _PIECE, end - 4)]


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG up to its end chunk: the kind, where it starts, and where its checksum ends."""
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError("image file is truncated")
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end


def _inflate(packed: Iterator[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj()
    for piece in packed:
        while piece and not stream.eof:
            if rows := stream.decompress(piece, _INFLATED):
                yield rows
            piece = stream.unconsumed_tail
