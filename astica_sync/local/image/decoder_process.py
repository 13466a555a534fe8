"""The process in which images are decoded: ``python -m astica_sync.local.image.decoder_process MEMORY SECONDS``.

It reads only its standard input, can write no file, has no secrets, and ends with the program that started it. The
system bounds its memory (bytes) and its processor time (seconds per image).
"""

import contextlib
import io
import os
import resource
import signal
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import ImageFile, JpegImagePlugin, PngImagePlugin

from astica_sync.local.child_process import read_message, write_message
from astica_sync.local.image.format import broken, judge_sides, sniff

# Up to this size Pillow decodes the whole raster of a PNG, 256 MB; JPEGs are decoded at an eighth of their size.
RASTER_PIXELS = 64_000_000

# Small pieces in, since what is not yet unpacked is copied each time; bounded pieces out.
_PIECE = 1 << 16
_INFLATED = 1 << 20
# Samples per pixel of the PNG colour types (PNG specification, table 11.1).
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column, first row, column step, row step of the seven passes (PNG specification, section 8.2).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_image(data: bytes) -> str | None:
    """None when every pixel of the PNG or JPEG can be decoded; else the reason and what to do.

    Metadata, and bytes after the image, are not checked.
    """
    try:
        image = _open(data)
        if reason := judge_sides(*image.size):
            return reason
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            # At an eighth of the size the compressed data are still read to their end, which is where a JPEG
            # breaks, for a 64th of the memory.
            image.draft(None, (1, 1))
            image.load()
        else:
            check_png(data)
            if image.width * image.height <= RASTER_PIXELS:
                image.load()
    except MemoryError:
        return broken("its decode takes too much memory")
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever the bytes provoke
        return broken(_one_line(error))
    return None


def check_png(data: bytes) -> None:
    """Checks a PNG without its raster, which may take gigabytes: the sum of every chunk up to the last row, and that
    the packed data hold as many rows as the header says (Pillow fills missing ones up), each with a known filter.

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


def _packed(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise ValueError("image file is truncated")
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ValueError(f"checksum error in the {kind.decode('ascii', 'replace')} chunk")
        if kind == b"IEND":
            return
        if kind == b"IDAT":
            yield from (data[piece : min(piece + _PIECE, end)] for piece in range(at + 8, end, _PIECE))
        at = end + 4


def _inflate(packed: Iterator[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj()
    for piece in packed:
        while piece and not stream.eof:
            if rows := stream.decompress(piece, _INFLATED):
                yield rows
            piece = stream.unconsumed_tail


def _open(data: bytes) -> ImageFile.ImageFile:
    # The two classes by name: Image.open would bring in other formats, and a limit far below that of the service.
    if sniff(data) == "png":
        return PngImagePlugin.PngImageFile(io.BytesIO(data))
    return JpegImagePlugin.JpegImageFile(io.BytesIO(data))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(character if character.isprintable() else "?" for character in text)[:200]


def bound(memory: int) -> None:
    """Limits this process. Where the system lacks one limit, the others still apply."""
    # If memory runs out after all, the system must kill this process and not the one that has the journal open.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    # Ignored signals are inherited, and this one must end the process when its time is up.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    warnings.simplefilter("ignore")


def serve(questions: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Answers each image until the questions end: with the reason why it is broken, or with nothing."""
    write_message(answers, b"")
    with contextlib.suppress(EOFError):
        while True:
            data = read_message(questions)
            signal.setitimer(signal.ITIMER_PROF, seconds)
            reason = check_image(data)
            signal.setitimer(signal.ITIMER_PROF, 0)
            write_message(answers, (reason or "").encode())


def main() -> None:
    bound(int(sys.argv[1]))
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[2]))
    except BrokenPipeError:
        # The other end is closed. What is left in the buffer must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
