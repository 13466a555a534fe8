"""Real pictures that a dependency ships: scikit-learn's handwritten digits, made large enough to look at."""

from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

NAMES = ("zero", "one", "two", "three")


def write_digits(folder: Path, per_class: int, start: int = 0, names: tuple[str, ...] = NAMES) -> Path:
    """One folder for each digit with so many images, the first of them left out."""
    digits = load_digits()
    for digit, title in enumerate(names):
        (folder / title).mkdir(parents=True, exist_ok=True)
        chosen = [image for image, target in zip(digits.images, digits.target, strict=True) if target == digit]
        for place, pixels in enumerate(chosen[start : start + per_class], start):
            image = Image.fromarray((255 - pixels * 15.9).astype("uint8"))
            image.resize((64, 64), Image.Resampling.BICUBIC).save(folder / title / f"{place:03}.png")
    return folder
