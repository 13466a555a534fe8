"""The features of a store's images: each content once, damaged files and a damaged cache without harm."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from astica_sync.features.extractor import GradientExtractor
from astica_sync.local.db.detections import hash_bytes
from astica_sync.local.db.features import FeatureCache
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.training.feature_table import FeatureTable

STORE = Path(__file__).parents[2] / "fixtures" / "store"


class Counting(GradientExtractor):
    """Counts the images it gets."""

    def __init__(self) -> None:
        self.images = 0

    def extract(self, pixels: np.ndarray) -> np.ndarray:
        self.images += len(pixels)
        return super().extract(pixels)


@pytest.fixture
def rasterizer() -> Iterator[Rasterizer]:
    with contextlib.closing(Rasterizer()) as made:
        yield made


def images(folder: Path) -> dict[str, bytes]:
    # What is in raw is no image.
    files = sorted(path for path in folder.rglob("*.*g") if path.parent.name != "raw")
    return {hash_bytes(data): data for data in (path.read_bytes() for path in files)}


def test_each_content_is_described_once_and_then_read_from_the_cache(rasterizer: Rasterizer, tmp_path: Path) -> None:
    known = images(STORE)
    twice = [*known, next(iter(known))]
    first = Counting()
    done: list[int] = []
    with contextlib.closing(FeatureCache(tmp_path / "features.db")) as cache:
        rows, read = FeatureTable(first, rasterizer, cache, known.get, done.append).rows(twice)
    assert (first.images, read.all(), done[-1]) == (len(known), True, len(twice))
    np.testing.assert_array_equal(rows[0], rows[-1])
    second = Counting()
    with contextlib.closing(FeatureCache(tmp_path / "features.db")) as cache:
        again, _ = FeatureTable(second, rasterizer, cache, known.get).rows(twice)
    assert second.images == 0
    np.testing.assert_array_equal(rows, again)


def test_what_cannot_be_decoded_has_no_features_and_harms_no_other(rasterizer: Rasterizer, tmp_path: Path) -> None:
    known = images(STORE)
    first, second, *_ = known
    known["b" * 32] = known[first][:60]
    with contextlib.closing(FeatureCache(tmp_path / "features.db")) as cache:
        table = FeatureTable(GradientExtractor(), rasterizer, cache, known.get)
        rows, read = table.rows([first, "b" * 32, "c" * 32, second])
    assert read.tolist() == [True, False, False, True]
    assert not rows[1:3].any() and rows[0].any()


@pytest.mark.parametrize("harm", ["rows", "text", "folder"])
def test_a_damaged_cache_costs_time_alone(rasterizer: Rasterizer, tmp_path: Path, harm: str) -> None:
    known, path = images(STORE), tmp_path / "features.db"
    first, second, *_ = known
    with contextlib.closing(FeatureCache(path)) as cache:
        expected, _ = FeatureTable(GradientExtractor(), rasterizer, cache, known.get).rows(list(known))
        if harm == "rows":
            cache.put(GradientExtractor.name, {first: b"short", second: b"\xff" * 2 * GradientExtractor.length})
    if harm == "text":
        path.write_bytes(b"no database at all" * 100)
    elif harm == "folder":
        path.unlink()
        shutil.copytree(STORE, path)
    with contextlib.closing(FeatureCache(path)) as cache:
        rows, read = FeatureTable(GradientExtractor(), rasterizer, cache, known.get).rows(list(known))
    assert read.all()
    np.testing.assert_array_equal(rows, expected)
