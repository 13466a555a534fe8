"""``inspect`` of photos of 640 x 480, without features, and near duplicates among the hashes of a million images.

python -m benchmarks.local.inspection IMAGES      finds the near duplicates among the hashes of so many images
"""

import io
import random
import sys
from pathlib import Path

from benchmarks.harness.measure import ASTICA, Command, Figure, judge, medians, take_turns, value
from benchmarks.harness.store_trees import bind

OURS = "astica-sync inspect"
AGAIN = "with 100 changes since"
CHANGED = 100
IMAGES = 1_000_000
_CLASSES = 20


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    return [*_inspections(scratch, 100_000 if full else 2_000, 1 if full else times), *_near_duplicates(times)]


def _inspections(scratch: Path, count: int, times: int) -> list[Figure]:
    store = make(scratch, count)
    work = f"inspect, {count:,} photos of 640 x 480"
    command = [*ASTICA, "inspect", store, "--no-features", "--json"]
    dice = random.Random()

    def forget() -> None:
        for file in (store / ".astica-sync").glob("inspect.db*"):
            file.unlink()

    def change() -> None:
        for number in range(CHANGED):
            path_of(store, number * (count // CHANGED)).write_bytes(draw(dice.random()))

    # The changed photos are looked at again by the next whole run, so the turns do not disturb each other.
    costs = take_turns({OURS: Command(command, prepare=forget)}, times, warm=False)
    again = take_turns({AGAIN: Command(command, prepare=change)}, times, warm=False)
    wall, _, peak = medians(costs[OURS])
    return [
        *judge(work, {**costs, **again}),
        value(work, "time for each photo", 1000 * wall / count, "ms", "<= 6", runs=times),
        value(work, "memory of the largest process", peak, "MB", runs=times),
        value(work, f"time {AGAIN}", medians(again[AGAIN])[0], "s", "<= 3", runs=times),
    ]


def _near_duplicates(times: int) -> list[Figure]:
    work = f"near duplicates among {IMAGES:,} images of seven hashes"
    costs = take_turns({"find_candidates": Command([sys.executable, "-m", __name__, str(IMAGES)])}, times)
    wall, _, peak = medians(costs["find_candidates"])
    note = "the whole process, which makes the hashes as well"
    return [
        *judge(work, costs),
        value(work, "time", wall, "s", "<= 5", note, times),
        value(work, "memory", peak, "MB", "<= 500", runs=times),
    ]


def make(scratch: Path, count: int) -> Path:
    """A store of photos, no two of them similar; one of an earlier run is used again."""
    store = scratch / f"photos-640-{count}"
    if not (store / ".astica-sync").exists():
        for number in range(_CLASSES):
            (store / f"class {number:02}").mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path_of(store, number).write_bytes(draw(number))
        bind(store)
    return store


def path_of(store: Path, number: int) -> Path:
    return store / f"class {number % _CLASSES:02}" / f"{number:06}.jpg"


def draw(seed: float) -> bytes:
    """A JPEG of about 60 kB: soft shapes with the noise of a sensor."""
    from PIL import Image, ImageChops

    dice = random.Random(seed)
    shapes = Image.frombytes("RGB", (16, 12), dice.randbytes(16 * 12 * 3)).resize((640, 480), Image.Resampling.BICUBIC)
    grain = Image.effect_noise((160, 120), 12).resize((640, 480)).convert("RGB")
    file = io.BytesIO()
    ImageChops.add(shapes, grain, 1, -128).save(file, "JPEG", quality=90)
    return file.getvalue()


def main() -> None:
    """Each image's hashes of crops are near that of the whole, as those of photos are; one in a hundred is a copy."""
    import numpy as np

    from astica_sync.likeness.find_pairs import find_candidates
    from astica_sync.likeness.small_picture import HASHES, MIRRORED, TRIMMED

    count = int(sys.argv[1])
    dice = np.random.default_rng(3)
    hashes = dice.integers(0, 1 << 64, (count, HASHES), np.uint64)
    hashes[-(count // 100) :, 0] = hashes[: count // 100, 0] ^ np.uint64(1 << 40)
    for variant in range(1, MIRRORED):
        flipped = hashes[:, 0].copy()
        for _ in range(4 + variant):
            flipped ^= np.uint64(1) << dice.integers(0, 64, count, np.uint64)
        hashes[:, variant] = flipped
    # Few images have bars that are trimmed.
    hashes[count // 20 :, TRIMMED] = hashes[count // 20 :, 0]
    candidates = find_candidates(hashes, np.ones(count, np.bool_))
    assert len(candidates) >= count // 100


if __name__ == "__main__":
    main()
