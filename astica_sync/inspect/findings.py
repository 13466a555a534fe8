"""What was found about a data set: each finding with its certainty and what to do. Pure."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from astica_sync.local.db.image_facts import ImageFacts
from astica_sync.shell_quote import quote

KINDS = {
    "several-classes": "The same image in several classes",
    "held-out": "In the store and held out",
    "duplicate-classes": "Nearly the same picture in different classes",
    "wrong-label": "Likely wrong labels",
    "damaged": "Damaged, unreadable or no image",
    "duplicate": "Nearly the same picture twice in a class",
    "outlier": "Unlike the others of their class",
    "blurred": "Blurred",
    "dark": "Dark",
    "tiny": "Tiny",
    "odd-shape": "Of an odd shape",
    "balance": "Classes of few images",
}
"""The kinds of findings in the order of the list: what spoils a model most comes first."""

TINY_SIDE = 32
ODD_ASPECT = 4.0
DARK_LEVEL = 25.0
BLURRED_LEVEL = 6.0
FEW_IMAGES = 10
LEAST_SHARE = 0.1
_HOW = {
    "again": "saved again, scaled or lighter",
    "mirrored": "mirrored",
    "cropped": "cropped",
    "bars": "with bars around it",
    "changed": "changed in a part",
}


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the store, or of a held-out folder: its class, its files by name, and its content hash."""

    class_title: str
    paths: tuple[str, ...]
    content: str
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``images`` are the images that it is about, none for a whole class or a file that is no image;
    ``certainty`` is from 0 to 1; ``text`` is what was found and ``advice`` what to do."""

    kind: str
    certainty: float
    paths: tuple[str, ...]
    text: str
    advice: str
    images: tuple[Image, ...] = ()


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by kind, the most certain first."""
    places = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda one: (places[one.kind], -one.certainty, one.paths))


def find_repeated(images: Sequence[Image]) -> list[Finding]:
    """The same bytes in several classes, or in the store and held out."""
    by_content: dict[str, list[Image]] = {}
    for image in images:
        by_content.setdefault(image.content, []).append(image)
    found = []
    for same in by_content.values():
        paths = tuple(image.paths[0] for image in same)
        if len({image.held_out for image in same}) > 1:
            found.append(Finding("held-out", 1.0, paths, "the same bytes", _remove(same), tuple(same)))
        elif len({image.class_title for image in same}) > 1:
            advice = f"keep it in the class that is right: {_remove(same)}"
            found.append(Finding("several-classes", 1.0, paths, "the same bytes", advice, tuple(same)))
    return found


def find_duplicate(one: Image, other: Image, certainty: float, how: str) -> Finding:
    """Two images of the same picture."""
    if one.held_out != other.held_out:
        kind = "held-out"
    else:
        kind = "duplicate" if one.class_title == other.class_title else "duplicate-classes"
    advice = _remove([one, other])
    if kind == "duplicate-classes":
        advice = f"keep it in the class that is right: {advice}"
    return Finding(kind, certainty, (one.paths[0], other.paths[0]), _HOW[how], advice, (one, other))


def find_wrong_label(image: Image, suggested: str, certainty: float) -> Finding:
    """An image that the others give another class."""
    text = f"looks more like {suggested}"
    advice = f"if it is: mv {quote(image.paths[0])} {quote(suggested)}/"
    return Finding("wrong-label", certainty, image.paths[:1], text, advice, (image,))


def find_outlier(image: Image, certainty: float) -> Finding:
    """An image that is far from all others of its class."""
    advice = f"if it does not belong there: rm {quote(image.paths[0])}"
    return Finding("outlier", certainty, image.paths[:1], f"far from the rest of {image.class_title}", advice, (image,))


def find_unreadable(image: Image, reason: str) -> Finding:
    """A file that could not be read, or not as the scan found it."""
    return find_no_image(image.paths[0], reason, (image,))


def find_no_image(path: str, reason: str, images: tuple[Image, ...] = ()) -> Finding:
    """A file that is no sample, for a ``reason`` that may end with what to do."""
    text, semicolon, advice = reason.partition("; ")
    if not semicolon and ".astica-ignore" in reason:
        text, _, advice = reason.partition(": ")
    return Finding("damaged", 1.0, (path,), text, advice or f"replace it, or remove it: rm {quote(path)}", images)


def find_poor(image: Image, facts: ImageFacts) -> list[Finding]:
    """What is wrong with one image alone."""
    path, found = image.paths[0], []

    def add(kind: str, certainty: float, text: str, advice: str) -> None:
        found.append(Finding(kind, round(min(1.0, certainty), 2), (path,), text, advice, (image,)))

    if facts.problem:
        add("damaged", 1.0, facts.problem, f"copy it again, or remove it: rm {quote(path)}")
        return found
    retake = f"take it again, or remove it: rm {quote(path)}"
    short, long = sorted((max(1, facts.width), max(1, facts.height)))
    if short < TINY_SIDE:
        add("tiny", 1 - short / (2 * TINY_SIDE), f"{facts.width} x {facts.height} pixels", retake)
    if long / short > ODD_ASPECT:
        add("odd-shape", long / short / (3 * ODD_ASPECT), f"{facts.width} x {facts.height} pixels", f"crop it: {path}")
    if facts.brightness < DARK_LEVEL:
        add("dark", 1 - facts.brightness / (2 * DARK_LEVEL), f"its mean level is {facts.brightness:.0f} of 255", retake)
    elif short >= 2 * TINY_SIDE and facts.sharpness < BLURRED_LEVEL:
        add("blurred", 1 - facts.sharpness / (2 * BLURRED_LEVEL), "no sharp edge in it", retake)
    return found


def find_small_classes(counts: Mapping[str, int]) -> list[Finding]:
    """Classes of few images, alone or beside the others."""
    found: list[Finding] = []
    if not counts:
        return found
    middle = statistics.median(counts.values())
    for title, count in sorted(counts.items()):
        if count < FEW_IMAGES or count < LEAST_SHARE * middle:
            images = "1 image" if count == 1 else f"{count:,} images"
            text = f"{images}; half of the classes have {middle:,.0f} or more"
            advice = f"add images to {quote(title)}/, or merge it with another class"
            found.append(Finding("balance", 1.0, (title,), text, advice))
    if len(counts) == 1:
        found.append(Finding("balance", 1.0, tuple(counts), "it is the only class", "add another class to train on"))
    return found


def count_classes(images: Iterable[Image]) -> dict[str, int]:
    """The number of images of each class of the store, by title."""
    return dict(sorted(Counter(image.class_title for image in images if not image.held_out).items()))


def _remove(images: Sequence[Image]) -> str:
    """The command that removes the last one that is in the store."""
    own = [image for image in images if not image.held_out]
    return f"rm {quote(own[-1].paths[0])}"
