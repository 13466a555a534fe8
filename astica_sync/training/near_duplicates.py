"""Which images of a store, of a version and of a held-out folder are the same picture, see ``astica_sync.likeness``.

Each image has a *fingerprint*, what ``likeness`` keeps of it; the cache has it as bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.likeness.connected_groups import connected_groups
from astica_sync.local.db.detections import Detections
from astica_sync.local.image.rasterizer import Raster, Rasterizer

if TYPE_CHECKING:
    from astica_sync.likeness.find_pairs import PicturePair

_DECODED_SIDE = 128
_BATCH = 256


def make_fingerprint(raster: Raster) -> bytes:
    """The fingerprint of a raster of 128 x 128 pixels; empty if it has no contrast, neither in grey nor in colour."""
    import numpy as np

    from astica_sync.likeness.small_picture import encode, make_small_picture

    pixels = np.frombuffer(raster.pixels, np.uint8).reshape(raster.height, raster.width, 3)
    picture = make_small_picture(pixels)
    return encode(picture) if picture.has_structure else b""


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
        """The fingerprint of each content, as the image is sent; empty where it has no contrast, or is in ``unread``.
        ``images`` are content hashes and files."""
        from astica_sync.likeness.small_picture import decode

        found: dict[str, bytes] = {}
        missing: list[tuple[str, Path]] = []
        for content, path in images:
            if content in found:
                continue
            cached = self._cache.fingerprint(self._name_in_cache(content))
            found[content] = cached if cached and decode(cached) is not None else b""
            if not found[content]:
                # An empty one is made again: the file may have been damaged then. So is one of an earlier version.
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
                        self._cache.put_fingerprint(self._name_in_cache(content), made)
                    done += 1
                    self._on_progress(done)
        return found

    def _name_in_cache(self, content: str) -> str:
        look = self._rasterizer.recipe.look
        return f"{content} {look}" if look else content

    def _make(self, image: tuple[str, Path]) -> bytes | None:
        raster = self._rasterizer.render_file(image[1], _DECODED_SIDE, square=True)
        return None if raster is None else make_fingerprint(raster)


def find_similar(prints: Sequence[bytes], others: Sequence[bytes]) -> list[int | None]:
    """For each of the fingerprints the index of the most similar one of ``others``; None if none is the same
    picture."""
    result: list[int | None] = [None] * len(prints)
    for pair in _find_pairs([*prints, *others], len(prints)):
        # The most certain pair comes first.
        if result[pair.one] is None:
            result[pair.one] = pair.other - len(prints)
    return result


def group_similar(prints: Sequence[bytes]) -> list[int]:
    """A group number for each image; images that are similar, directly or through others, have the same number."""
    return connected_groups(len(prints), ((pair.one, pair.other) for pair in _find_pairs(prints, None)))


def _find_pairs(prints: Sequence[bytes], first_side: int | None) -> "list[PicturePair]":
    """The pairs among fingerprints; only those between the first so many and the others, where that is given."""
    import numpy as np

    from astica_sync.likeness.find_pairs import confirm, find_candidates, judge
    from astica_sync.likeness.small_picture import HASHES, SmallPicture, decode, read_hashes

    hashes = np.zeros((len(prints), HASHES), np.uint64)
    has_structure = np.zeros(len(prints), np.bool_)
    for place, one in enumerate(prints):
        if one:
            hashes[place], has_structure[place] = read_hashes(one), True

    def picture_of(place: int) -> SmallPicture:
        picture = decode(prints[place])
        assert picture is not None
        return picture

    sides = None if first_side is None else np.arange(len(prints)) >= first_side
    candidates = find_candidates(hashes, has_structure, sides)
    return judge(candidates, confirm(candidates, picture_of), len(prints))
