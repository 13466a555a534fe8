"""Which images are nearly the same picture: saved again, scaled, a little brighter, cut by a pixel.

A perceptual hash of 256 bits stands for each picture. Over handwritten digits and over photographs of one subject, two
different pictures never differed in fewer than a tenth of the bits, and the same picture saved again in fewer than a
twentieth; the limit lies between.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.errors import ConfigError
from astica_sync.local.db.detections import Detections

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SIDE = 16
MOST_DIFFERENT = 20
"""Bits of 256 in which two hashes of one picture may differ."""

FLAT = 3.0
"""Levels of grey below which a picture has no shape that could be compared; it is like itself alone."""

ROWS_AT_ONCE = 256


def require(package: str, extra: str) -> None:
    """
    Raises:
        ConfigError: the package is not installed; says how to install it.
    """
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ConfigError(f"this needs {package}, which is not installed", f"Run: pip install 'astica-sync[{extra}]'")


def likeness_of(path: Path) -> bytes:
    """The perceptual hash of an image, 32 bytes; none for one without contrast, or that cannot be decoded."""
    import imagehash
    from PIL import Image, ImageStat

    try:
        with Image.open(path) as image:
            # A JPEG is decoded at a fraction of its size; four times what the hash looks at is plenty.
            image.draft("L", (4 * SIDE * 4, 4 * SIDE * 4))
            grey = image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    if ImageStat.Stat(grey).stddev[0] < FLAT:
        return b""
    import numpy as np

    return np.packbits(imagehash.phash(grey, hash_size=SIDE).hash).tobytes()


def likenesses(
    images: Iterable[tuple[str, Path]], cache: Detections, told: Callable[[int], None] = lambda _: None
) -> dict[str, bytes]:
    """The hash of each content, from the cache where it was looked at before; ``told`` hears how many are done."""
    found: dict[str, bytes] = {}
    for done, (content, path) in enumerate(images, 1):
        if content not in found:
            kept = cache.likeness(content)
            if kept is None:
                kept = likeness_of(path)
                cache.put_likeness(content, kept)
            found[content] = kept
        told(done)
    return found


def find_alike(these: Sequence[bytes], those: Sequence[bytes]) -> list[int | None]:
    """For each of ``these`` the place of the most alike of ``those``, None where nothing is alike enough.

    Every one is compared with every other: a thousand with a hundred thousand take about three seconds.
    """
    import numpy as np

    found: list[int | None] = [None] * len(these)
    left, right = _matrix(these), _matrix(those)
    if not len(right):
        return found
    for start in range(0, len(left), ROWS_AT_ONCE):
        block = left[start : start + ROWS_AT_ONCE]
        apart = np.zeros((len(block), len(right)), np.uint16)
        for column in range(right.shape[1]):
            apart += np.bitwise_count(block[:, column, None] ^ right[None, :, column])
        apart[[not one for one in these[start : start + ROWS_AT_ONCE]]] = 999
        apart[:, [not one for one in those]] = 999
        nearest = apart.argmin(axis=1)
        for row, place in enumerate(nearest):
            if apart[row, place] <= MOST_DIFFERENT:
                found[start + row] = int(place)
    return found


def group_alike(all_: Sequence[bytes]) -> list[int]:
    """A number for each image, the same for those that are alike, directly or through others."""
    import numpy as np

    groups = list(range(len(all_)))

    def root(place: int) -> int:
        while groups[place] != place:
            groups[place] = groups[groups[place]]
            place = groups[place]
        return place

    matrix = _matrix(all_)
    shapeless = np.array([not one for one in all_], bool)
    for start in range(0, len(matrix), ROWS_AT_ONCE):
        block = matrix[start : start + ROWS_AT_ONCE]
        apart = np.zeros((len(block), len(matrix)), np.uint16)
        for column in range(matrix.shape[1]):
            apart += np.bitwise_count(block[:, column, None] ^ matrix[None, :, column])
        apart[shapeless[start : start + ROWS_AT_ONCE]] = 999
        apart[:, shapeless] = 999
        for row, other in zip(*np.nonzero(apart <= MOST_DIFFERENT), strict=True):
            one, two = root(start + int(row)), root(int(other))
            groups[max(one, two)] = min(one, two)
    return [root(place) for place in range(len(groups))]


def _matrix(hashes: Sequence[bytes]) -> "npt.NDArray[np.uint64]":
    import numpy as np

    joined = b"".join(one or bytes(SIDE * SIDE // 8) for one in hashes)
    return np.frombuffer(joined, np.uint64).reshape(len(hashes), SIDE * SIDE // 64)
