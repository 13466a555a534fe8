"""Creates photos to upload: noisy JPEG files of about 300 kB. A few are drawn; a comment makes each file different.

python -m benchmarks.harness.photos FOLDER COUNT
"""

import io
import random
import struct
import sys
from pathlib import Path

BYTES = 300_000
DRAWN = 24
CLASSES = 10


def write_photos(folder: Path, count: int) -> None:
    """Writes ``count`` different photos in ten classes."""
    drawn = [draw(number) for number in range(min(DRAWN, count))]
    for number in range(CLASSES):
        (folder / f"class {number}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        comment = b"photo %d" % number
        data = drawn[number % len(drawn)]
        with_comment = data[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + data[2:]
        (folder / f"class {number % CLASSES}" / f"photo {number:05}.jpg").write_bytes(with_comment)


def draw(seed: int) -> bytes:
    """A JPEG of about 300 kB and 1600 x 1200 pixels: soft shapes with the noise of a sensor."""
    from PIL import Image, ImageChops

    dice = random.Random(seed)
    shapes = Image.frombytes("RGB", (16, 12), dice.randbytes(16 * 12 * 3)).resize(
        (1600, 1200), Image.Resampling.BICUBIC
    )
    grain = Image.effect_noise((1600, 1200), 12).convert("RGB")
    image = ImageChops.add(shapes, grain, 1, -128)
    best = b""
    for quality in range(95, 20, -3):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        best = file.getvalue()
        if len(best) <= BYTES * 1.03:
            break
    return best


if __name__ == "__main__":
    write_photos(Path(sys.argv[1]), int(sys.argv[2]))
