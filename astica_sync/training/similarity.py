"""Finds similar images: saved again, scaled, slightly brighter, or cropped by a pixel.

Each image has a perceptual hash of 256 bits. Among handwritten digits and among photographs of one subject, two
different images never differed in fewer than a tenth of the bits, and the same image saved again in fewer than a
twentieth. ``MAX_DISTANCE`` is between the two.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.errors import ConfigError
from astica_sync.local.db.detections import Detections

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HASH_SIDE = 16
MAX_DISTANCE = 20
"""How many of the 256 bits may differ between the hashes of similar images."""

MIN_CONTRAST = 3.0
"""Standard deviation in levels of grey below which an image has no structure to compare; it is similar to none."""

BLOCK_ROWS = 256
_NEVER_SIMILAR = 999


def require(package: str, extra: str) -> None:
    """Checks that an optional package is installed.

    Raises:
        ConfigError: it is not installed; the hint is the command that installs it.
    """
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ConfigError(f"this needs {package}, which is not installed", f"Run: pip install 'astica-sync[{extra}]'")


def perceptual_hash(path: Path) -> bytes:
    """The perceptual hash of an image, 32 bytes; empty if the image has no contrast or cannot be decoded."""
    import imagehash
    from PIL import Image, ImageStat

    try:
        with Image.open(path) as image:
            # Decodes a JPEG at a fraction of its size; four times the size that the hash uses is enough.
            image.draft("L", (4 * HASH_SIDE * 4, 4 * HASH_SIDE * 4))
            grey = image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    if ImageStat.Stat(grey).stddev[0] < MIN_CONTRAST:
        return b""
    import numpy as np

    return np.packbits(imagehash.phash(grey, hash_size=HASH_SIDE).hash).tobytes()


def perceptual_hashes(
    images: Iterable[tuple[str, Path]], cache: Detections, on_progress: Callable[[int], None] = lambda _: None
) -> dict[str, bytes]:
    """The perceptual hash of each content, from the cache where it is there. ``images`` are content hashes and files.

    ``on_progress`` gets the number of images done so far.
    """
    hashes: dict[str, bytes] = {}
    for done, (content, path) in enumerate(images, 1):
        if content not in hashes:
            cached = cache.likeness(content)
            if cached is None:
                cached = perceptual_hash(path)
                cache.put_likeness(content, cached)
            hashes[content] = cached
        on_progress(done)
    return hashes


def find_similar(hashes: Sequence[bytes], others: Sequence[bytes]) -> list[int | None]:
    """For each of ``hashes`` the index of the most similar one of ``others``; None if none is similar enough.

    Compares every pair: a thousand with a hundred thousand take about three seconds.
    """
    result: list[int | None] = [None] * len(hashes)
    if not others:
        return result
    for start, distances in _distances(hashes, others):
        nearest = distances.argmin(axis=1)
        for row, index in enumerate(nearest):
            if distances[row, index] <= MAX_DISTANCE:
                result[start + row] = int(index)
    return result


def group_similar(hashes: Sequence[bytes]) -> list[int]:
    """A group number for each image; images that are similar, directly or through others, have the same number."""
    import numpy as np

    groups = list(range(len(hashes)))

    def root(index: int) -> int:
        while groups[index] != index:
            groups[index] = groups[groups[index]]
            index = groups[index]
        return index

    for start, distances in _distances(hashes, hashes):
        for row, other in zip(*np.nonzero(distances <= MAX_DISTANCE), strict=True):
            one, two = root(start + int(row)), root(int(other))
            groups[max(one, two)] = min(one, two)
    return [root(index) for index in range(len(groups))]


def _distances(hashes: Sequence[bytes], others: Sequence[bytes]) -> "Iterator[tuple[int, npt.NDArray[np.uint16]]]":
    """Blocks of rows of the matrix of bit distances, each with the index of its first row."""
    import numpy as np

    left, right = _to_matrix(hashes), _to_matrix(others)
    empty_left, empty_right = (np.array([not one for one in side], bool) for side in (hashes, others))
    for start in range(0, len(left), BLOCK_ROWS):
        block = left[start : start + BLOCK_ROWS]
        distances = np.zeros((len(block), len(right)), np.uint16)
        for column in range(right.shape[1]):
            distances += np.bitwise_count(block[:, column, None] ^ right[None, :, column])
        distances[empty_left[start : start + BLOCK_ROWS]] = _NEVER_SIMILAR
        distances[:, empty_right] = _NEVER_SIMILAR
        yield start, distances


def _to_matrix(hashes: Sequence[bytes]) -> "npt.NDArray[np.uint64]":
    import numpy as np

    joined = b"".join(one or bytes(HASH_SIDE * HASH_SIDE // 8) for one in hashes)
    return np.frombuffer(joined, np.uint64).reshape(len(hashes), HASH_SIDE * HASH_SIDE // 64)
