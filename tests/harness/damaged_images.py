"""The damaged fixtures, and PNGs made to measure."""

import json
import struct
import zlib
from pathlib import Path

DAMAGED = Path(__file__).parents[2] / "fixtures" / "damaged"
VERDICTS = json.loads((DAMAGED / "verdicts.json").read_text())


def make_png(width: int, height: int, depth: int, colour: int, interlaced: bool, rows: bytes, pieces: int = 1) -> bytes:
    packed = zlib.compress(rows)
    step = -(-len(packed) // pieces)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))]
    if colour == 3:
        chunks.append((b"PLTE", bytes(3 << depth)))
    chunks += [(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)]
    chunks.append((b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
