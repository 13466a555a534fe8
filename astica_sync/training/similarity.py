"""Finds similar images: saved again, scaled, slightly brighter, in grey, or cropped by a pixel.

Each image has a *fingerprint*: a perceptual hash of 256 bits, and a raster of 16 x 16 pixels. The hash finds candidates
quickly: among handwritten digits and among photographs of one subject, two different images seldom differed in fewer
than a tenth of its bits, and the same image saved again in fewer than a twentieth; ``MAX_DISTANCE`` is between the two.
The hash sees no colour, and on a white background little but the outline, so the pixels of the rasters confirm a hit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.errors import ConfigError
from astica_sync.local.db.detections import Detections
from astica_sync.local.image.rasterizer import Raster, Rasterizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HASH_SIDE = 16
HASH_BYTES = HASH_SIDE * HASH_SIDE // 8
MAX_DISTANCE = 20
"""How many of the 256 bits may differ between the hashes of similar images."""

MIN_CONTRAST = 3.0
"""Standard deviation in levels of grey below which an image has no structure to compare; it is similar to none."""

RASTER_SIDE = 16
MAX_MEAN_DIFFERENCE = 12.0
MAX_LOCAL_DIFFERENCE = 48.0
"""The rasters of similar images differ by no more levels than this, on average, and in all but 2 % of their pixels."""
MAX_BRIGHTNESS_SHIFT = 30.0
"""By so many levels of brightness one image may be lighter as a whole."""
MAX_GREY_SATURATION = 6.0
"""The channels of a grey image differ by no more than this on average."""

BLOCK_ROWS = 256
_SHARE_WITHIN_LOCAL = 0.98
_GREYED_TOLERANCE = 0.35
_NEVER_SIMILAR = 999
_DECODED_SIDE = 4 * HASH_SIDE
_BATCH = 256


def require(package: str, extra: str) -> None:
    """Checks that an optional package is installed.

    Raises:
        ConfigError: it is not installed; the hint is the command that installs it.
    """
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ConfigError(f"this needs {package}, which is not installed", f"Run: pip install 'astica-sync[{extra}]'")


def make_fingerprint(raster: Raster) -> bytes:
    """The fingerprint of a square raster; empty if it has no contrast, neither in grey nor in colour."""
    import imagehash
    import numpy as np
    from PIL import Image

    image = Image.frombytes("RGB", (raster.width, raster.height), raster.pixels)
    pixels = np.asarray(image, np.float32)
    if pixels.std(axis=(0, 1)).max() < MIN_CONTRAST:
        return b""
    grey = image.convert("L")
    if np.asarray(grey, np.float32).std() < MIN_CONTRAST:
        # Colours of the same brightness: the channel with the most contrast has the structure.
        grey = image.getchannel(int(pixels.std(axis=(0, 1)).argmax()))
    bits = np.packbits(imagehash.phash(grey, hash_size=HASH_SIDE).hash).tobytes()
    return bits + image.resize((RASTER_SIDE, RASTER_SIDE), Image.Resampling.BOX).tobytes()


class Fingerprints:
    """The fingerprints of images, from the cache where it has them."""

    def __init__(
        self, cache: Detections, rasterizer: Rasterizer, on_progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """``on_progress`` gets the number of images done by one call."""
        self._cache = cache
        self._rasterizer = rasterizer
        self._on_progress = on_progress
        self.unread: set[str] = set()
        """The contents of images that could not be decoded, so that nothing is known of what they look like."""

    def of_all(self, images: Iterable[tuple[str, Path]]) -> dict[str, bytes]:
        """The fingerprint of each content; empty where it has no contrast, or is in ``unread``. ``images`` are content
        hashes and files."""
        found: dict[str, bytes] = {}
        missing: list[tuple[str, Path]] = []
        for content, path in images:
            if content in found:
                continue
            cached = self._cache.fingerprint(content)
            found[content] = cached or b""
            if not cached:
                # An empty one is made again: the file may have been damaged then.
                missing.append((content, path))
        done = len(found) - len(missing)
        with ThreadPoolExecutor(self._rasterizer.workers, thread_name_prefix="fingerprint") as pool:
            for start in range(0, len(missing), _BATCH):
                batch = missing[start : start + _BATCH]
                for (content, _), made in zip(batch, pool.map(self._make, batch), strict=True):
                    found[content] = made or b""
                    if made is None:
                        self.unread.add(content)
                    elif made:
                        # The cache is for this thread alone.
                        self._cache.put_fingerprint(content, made)
                    done += 1
                    self._on_progress(done)
        return found

    def _make(self, image: tuple[str, Path]) -> bytes | None:
        raster = self._rasterizer.render_file(image[1], _DECODED_SIDE, square=True)
        return None if raster is None else make_fingerprint(raster)


def find_similar(prints: Sequence[bytes], others: Sequence[bytes]) -> list[int | None]:
    """For each of the fingerprints the index of the most similar one of ``others``; None if none is similar enough.

    Compares every pair: a thousand with a hundred thousand take about three seconds.
    """
    result: list[int | None] = [None] * len(prints)
    if not others:
        return result
    for row, candidates in _candidates(prints, others):
        result[row] = next(iter(candidates), None)
    return result


def group_similar(prints: Sequence[bytes]) -> list[int]:
    """A group number for each image; images that are similar, directly or through others, have the same number."""
    groups = list(range(len(prints)))

    def root(index: int) -> int:
        while groups[index] != index:
            groups[index] = groups[groups[index]]
            index = groups[index]
        return index

    for row, candidates in _candidates(prints, prints):
        for other in candidates:
            one, two = root(row), root(other)
            groups[max(one, two)] = min(one, two)
    return [root(index) for index in range(len(groups))]


def _candidates(prints: Sequence[bytes], others: Sequence[bytes]) -> Iterator[tuple[int, list[int]]]:
    """For each of the fingerprints that has any, the indexes of the similar ones of ``others``, the nearest first."""
    import numpy as np

    rasters, other_rasters = _to_rasters(prints), _to_rasters(others)
    for start, distances in _distances(prints, others):
        for row in np.flatnonzero((distances <= MAX_DISTANCE).any(axis=1)):
            near = np.flatnonzero(distances[row] <= MAX_DISTANCE)
            near = near[np.argsort(distances[row][near], kind="stable")]
            same = _is_same_picture(rasters[start + int(row)], other_rasters[near])
            if same.any():
                yield start + int(row), [int(index) for index in near[same]]


def _is_same_picture(raster: "npt.NDArray[np.uint8]", others: "npt.NDArray[np.uint8]") -> "npt.NDArray[np.bool_]":
    """Whether the pixels of one raster are those of each other one, but for brightness. Where one of the two is grey
    and the other is not, it has to be the other one in grey exactly."""
    import numpy as np

    one, several = raster.astype(np.float32)[None], others.astype(np.float32)
    one_is_grey = _saturation(one) <= MAX_GREY_SATURATION
    greyed = (_saturation(several) <= MAX_GREY_SATURATION) != one_is_grey
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    in_grey = ((several @ luma) - (one @ luma))[..., None]
    difference = np.where(greyed[:, None, None], in_grey, several - one)
    shift = np.clip(difference.mean(axis=(1, 2)), -MAX_BRIGHTNESS_SHIFT, MAX_BRIGHTNESS_SHIFT)
    worst = np.abs(difference - shift[:, None, None]).max(axis=2)
    local = np.quantile(worst, _SHARE_WITHIN_LOCAL, axis=1)
    scale = np.where(greyed, _GREYED_TOLERANCE, 1.0)
    same: npt.NDArray[np.bool_] = (worst.mean(axis=1) <= MAX_MEAN_DIFFERENCE * scale) & (
        local <= MAX_LOCAL_DIFFERENCE * scale
    )
    return same


def _saturation(rasters: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float32]":
    spread: npt.NDArray[np.float32] = (rasters.max(axis=2) - rasters.min(axis=2)).mean(axis=1)
    return spread


def _distances(prints: Sequence[bytes], others: Sequence[bytes]) -> "Iterator[tuple[int, npt.NDArray[np.uint16]]]":
    """Blocks of rows of the matrix of bit distances, each with the index of its first row."""
    import numpy as np

    left, right = _to_matrix(prints), _to_matrix(others)
    empty_left, empty_right = (np.array([not one for one in side], bool) for side in (prints, others))
    for start in range(0, len(left), BLOCK_ROWS):
        block = left[start : start + BLOCK_ROWS]
        distances = np.zeros((len(block), len(right)), np.uint16)
        for column in range(right.shape[1]):
            distances += np.bitwise_count(block[:, column, None] ^ right[None, :, column])
        distances[empty_left[start : start + BLOCK_ROWS]] = _NEVER_SIMILAR
        distances[:, empty_right] = _NEVER_SIMILAR
        yield start, distances


def _to_matrix(prints: Sequence[bytes]) -> "npt.NDArray[np.uint64]":
    import numpy as np

    joined = b"".join(one[:HASH_BYTES] or bytes(HASH_BYTES) for one in prints)
    return np.frombuffer(joined, np.uint64).reshape(len(prints), HASH_BYTES // 8)


def _to_rasters(prints: Sequence[bytes]) -> "npt.NDArray[np.uint8]":
    import numpy as np

    size = 3 * RASTER_SIDE * RASTER_SIDE
    joined = b"".join(one[HASH_BYTES:] or bytes(size) for one in prints)
    return np.frombuffer(joined, np.uint8).reshape(len(prints), RASTER_SIDE * RASTER_SIDE, 3)
