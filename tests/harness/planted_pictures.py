"""Pictures that are the same, made from real ones in seven ways; and sets of pictures of which no two are the same."""

import io
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Picture = Image.Image


def save_again(image: Picture, quality: int = 88) -> Picture:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def resize(image: Picture, dice: random.Random) -> Picture:
    factor = dice.choice([0.35, 0.5, 0.75, 1.5])
    return save_again(image.resize((int(image.width * factor), int(image.height * factor)), Image.Resampling.LANCZOS))


def crop(image: Picture, dice: random.Random) -> Picture:
    left, top, right, bottom = dice.choice(
        [(3, 3, 97, 97), (0, 0, 97, 97), (3, 3, 100, 100), (0, 3, 97, 100), (3, 0, 100, 100), (0, 3, 100, 100)]
    )
    wide, high = image.width / 100, image.height / 100
    return save_again(image.crop((int(left * wide), int(top * high), int(right * wide), int(bottom * high))))


def brighten(image: Picture, dice: random.Random) -> Picture:
    return save_again(ImageEnhance.Brightness(image).enhance(dice.choice([0.8, 1.15, 1.25])))


def letterbox(image: Picture, dice: random.Random) -> Picture:
    wide, high = image.size
    factor = dice.choice([1.15, 1.3])
    size = (int(wide * factor), high) if dice.random() < 0.5 else (wide, int(high * factor))
    ground = Image.new("RGB", size, dice.choice(["black", "white", "grey"]))
    ground.paste(image, ((size[0] - wide) // 2, (size[1] - high) // 2))
    return save_again(ground)


def watermark(image: Picture, dice: random.Random) -> Picture:
    wide, high = image.size
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    brush = ImageDraw.Draw(layer)
    kind = dice.choice(["middle", "corner", "all over"])
    if kind == "middle":
        font = ImageFont.load_default(wide // 8)
        brush.text((wide // 2, high // 2), "SAMPLE", font=font, fill=(255, 255, 255, 140), anchor="mm")
    elif kind == "corner":
        font = ImageFont.load_default(wide // 14)
        brush.text((wide - 10, high - 10), "(c) photos", font=font, fill=(255, 255, 255, 220), anchor="rs")
    else:
        font = ImageFont.load_default(wide // 16)
        for x in range(0, wide, wide // 4):
            for y in range(0, high, high // 5):
                brush.text((x, y), "stock", font=font, fill=(255, 255, 255, 90))
    return save_again(Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB"))


CHANGES: dict[str, Callable[[Picture, random.Random], Picture]] = {
    "saved again": lambda image, dice: save_again(image, dice.choice([40, 55, 70, 85])),
    "resized": resize,
    "cropped by 3 %": crop,
    "brightened": brighten,
    "mirrored": lambda image, dice: save_again(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "letterboxed": letterbox,
    "watermarked": watermark,
}


def caps(count: int, seed: int) -> list[Picture]:
    """Caps of three colours on white, each with a glint in another place."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        colour = [(200, 30, 30), (30, 60, 200), (30, 150, 60)][number % 3]
        image = Image.new("RGB", (512, 512), "white")
        x, y, radius = (middle + dice.randint(-6, 6) for middle in (256, 256, 180))
        brush = ImageDraw.Draw(image)
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        angle = dice.random() * 2 * math.pi
        x, y = x + radius * 0.4 * math.cos(angle), y + radius * 0.4 * math.sin(angle)
        brush.ellipse((x - 20, y - 20, x + 20, y + 20), fill=tuple(min(255, level + 60) for level in colour))
        made.append(save_again(image.filter(ImageFilter.GaussianBlur(1)), 90))
    return made


def icons(count: int, seed: int) -> list[Picture]:
    """Shapes of one colour on transparency."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        image = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
        brush = ImageDraw.Draw(image)
        colour: Any = (*dice.choice([(0, 0, 0), (200, 30, 30), (128, 128, 128), (30, 90, 200)]), 255)
        for _ in range(dice.choice([2, 3, 4])):
            left, top = dice.randrange(90), dice.randrange(90)
            box = (left, top, left + dice.randrange(15, 36), top + dice.randrange(15, 36))
            (brush.ellipse if dice.random() < 0.5 else brush.rectangle)(box, fill=colour)
        made.append(image)
    return made


def burst(background: Picture, count: int, seed: int, size: float = 0.12) -> list[Picture]:
    """What a fixed camera sees: one background, another thing in another place each time, noise, and light that
    changes."""
    dice, noise = random.Random(seed), np.random.default_rng(seed)
    still = background.convert("RGB").resize((640, 480))
    made = []
    for _ in range(count):
        image = still.copy()
        side = size * 640 * dice.uniform(0.7, 1.3)
        x, y = dice.uniform(0, 640 - side), dice.uniform(0, 480 - side)
        brush = ImageDraw.Draw(image)
        shape = brush.ellipse if dice.random() < 0.5 else brush.rectangle
        shape((x, y, x + side, y + side * dice.uniform(0.4, 1)), fill=tuple(dice.randrange(256) for _ in "rgb"))
        seen = np.asarray(image, np.float32) * dice.uniform(0.96, 1.04) + noise.normal(0, 3, (480, 640, 3))
        made.append(save_again(Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))))
    return made


def real_photos() -> list[Picture]:
    """Eight parts of the two photos that scikit-learn ships; no two show the same."""
    from sklearn.datasets import load_sample_images

    parts = []
    for photo in load_sample_images().images:
        image = Image.fromarray(photo)
        wide, high = image.width // 2, image.height // 2
        parts += [
            image.crop((x * wide, y * high, (x + 1) * wide, (y + 1) * high)).resize((2 * wide, 2 * high))
            for x in range(2)
            for y in range(2)
        ]
    return parts


def replace_by_photos(store: Path, count: int) -> list[Picture]:
    """Puts so many of the photos in two classes in place of what the folder of a store has; returns all of them."""
    for folder in list(store.iterdir()):
        if not folder.name.startswith("."):
            shutil.rmtree(folder)
    photos = real_photos()
    for number, photo in enumerate(photos[:count]):
        place = store / ("Can", "Bottle")[number % 2]
        place.mkdir(exist_ok=True)
        photo.save(place / f"{number}.jpg", quality=92)
    return photos
