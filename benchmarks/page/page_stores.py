"""Stores to look at: small photos by the thousand, and photographs of 12 megapixels. All are in sync.

python -m benchmarks.page.page_stores FOLDER FILES [--large]
"""

import argparse
import io
import os
import random
import struct
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.harness.store_trees import agree_all, bind, write_files

DRAWN = 24
CLASSES = 20
SMALL, LARGE = (480, 360), (4000, 3000)
_PIECE = 5_000


def make(scratch: Path, files: int, size: tuple[int, int] = SMALL, drawn: int = DRAWN) -> Path:
    """The store of so many photos, made once. A million are pictures of 8 x 8 pixels, which need no 25 GB. So many are
    ``drawn``, and the others are equal to one of these but for a comment."""
    folder = scratch / (f"page-{files}-{size[0]}" if drawn == DRAWN else f"page-{files}-{size[0]}-{drawn}")
    if not (folder / "made").exists():
        if files > 200_000:
            write_files(folder / "store", files, 200, 300)
        else:
            write_photos(folder / "store", files, size, drawn)
        agree_all(bind(folder / "store"))
        (folder / "made").touch()
    return folder / "store"


def write_photos(folder: Path, files: int, size: tuple[int, int], motifs: int = DRAWN) -> None:
    """Writes photos in twenty classes; each differs from the others by a comment."""
    for number in range(CLASSES):
        (folder / f"class {number:02}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        count = min(files, motifs)
        drawn = list(pool.map(draw, range(count), [size] * count, chunksize=8))
        starts = range(0, files, _PIECE)
        for done in [pool.submit(_write_piece, folder, range(at, min(at + _PIECE, files)), drawn) for at in starts]:
            done.result()


def _write_piece(folder: Path, numbers: range, drawn: list[bytes]) -> None:
    for number in numbers:
        comment = b"photo %d" % number
        data = drawn[number % len(drawn)]
        data = data[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + data[2:]
        (folder / f"class {number % CLASSES:02}" / f"photo {number:07}.jpg").write_bytes(data)


def draw(seed: int, size: tuple[int, int]) -> bytes:
    """A JPEG with soft shapes, edges and the noise of a sensor, as a camera writes it."""
    from PIL import Image, ImageChops, ImageDraw

    dice = random.Random(seed)
    image = Image.frombytes("RGB", (16, 12), dice.randbytes(16 * 12 * 3)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(30):
        x, y = dice.randrange(size[0]), dice.randrange(size[1])
        far = dice.randrange(size[0] // 40, size[0] // 8)
        pen.ellipse((x - far, y - far, x + far, y + far), outline=tuple(dice.randbytes(3)), width=max(2, far // 9))
    image = ImageChops.add(image, Image.effect_noise(size, 9).convert("RGB"), 1, -128)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes a store to look at.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=int)
    parser.add_argument("--large", action="store_true", help="photographs of 12 megapixels")
    given = parser.parse_args()
    print(make(given.folder, given.files, LARGE if given.large else SMALL))


if __name__ == "__main__":
    main()
