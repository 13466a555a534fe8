"""What was found about a data set: each finding with its certainty and what to do. Pure."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.likeness.connected_groups import connected_groups
from astica_sync.local.db.image_facts import ImageFacts
from astica_sync.local.image.format import COPY_AGAIN
from astica_sync.shell_quote import quote, quote_path

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
SURE_KINDS = ("damaged", "balance")
"""What is found of these kinds is so for certain."""

TINY_SIDE = 32
ODD_ASPECT = 4.0
DARK_LEVEL = 25.0
BLURRED_LEVEL = 6.0
FEW_IMAGES = 10
LEAST_SHARE = 0.1
MOST_REMOVED = 20
"""So many files are named in a command that removes them."""
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
class NamedPlace:
    """A file that an advice names, or a folder, with ``ending`` "/". What is ``held_out`` has a path from the current
    folder, and any other one has its path in the store."""

    path: str
    held_out: bool = False
    ending: str = ""


Advice = tuple[str | NamedPlace, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``images`` are the images that it is about, none for a whole class or a file that is no image;
    ``certainty`` is from 0 to 1; ``text`` is what was found and ``what_to_do`` the advice, in parts."""

    kind: str
    certainty: float
    paths: tuple[str, ...]
    text: str
    what_to_do: Advice
    images: tuple[Image, ...] = ()

    @property
    def advice(self) -> str:
        """What to do, with commands for the folder of the store."""
        return self.advice_from("")

    def advice_from(self, store: str, folder: str = "") -> str:
        """What to do, with commands that reach the folder of the store by the path ``store``, and what is held out from
        ``folder``."""
        return "".join(
            part
            if isinstance(part, str)
            else quote_path(str(Path(folder if part.held_out else store, part.path))) + part.ending
            for part in self.what_to_do
        )


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by kind, the most certain first."""
    places = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda one: (places[one.kind], -one.certainty, one.paths))


def find_copies(images: Sequence[Image], pairs: Iterable[tuple[str, str, float, str]]) -> list[Finding]:
    """One finding for each picture that is there more than once: the same bytes in several classes, or in the store and
    held out, or two contents of the ``pairs``, each with its certainty and how it differs. So no two findings tell to
    remove each other's images."""
    # A folder may be named twice.
    images = list(dict.fromkeys(images))
    places = {content: place for place, content in enumerate(dict.fromkeys(image.content for image in images))}
    known = [pair for pair in pairs if pair[0] in places and pair[1] in places]
    groups = connected_groups(len(places), ((places[one], places[other]) for one, other, *_ in known))
    members: dict[int, list[Image]] = {}
    for image in images:
        members.setdefault(groups[places[image.content]], []).append(image)
    between: dict[int, list[tuple[float, str]]] = {}
    for one, _, certainty, how in known:
        between.setdefault(groups[places[one]], []).append((certainty, how))
    return [_find_copy(same, between.get(number, [])) for number, same in members.items() if len(same) > 1]


def _find_copy(images: Sequence[Image], between: Sequence[tuple[float, str]]) -> Finding:
    own = [image for image in images if not image.held_out]
    if 0 < len(own) < len(images):
        kind = "held-out"
    elif len({(image.class_title, image.held_out) for image in images}) == 1:
        kind = "duplicate"
    elif len({image.content for image in images}) < len(images):
        kind = "several-classes"
    else:
        kind = "duplicate-classes"
    ways = list(dict.fromkeys(_HOW[how] for _, how in between))
    if len({image.content for image in images}) < len(images):
        ways.insert(0, "the same bytes")
    text = ways[0] if len(images) == 2 else f"{len(images):,} images of one picture: {'; '.join(ways)}"
    paths = tuple(path for image in images for path in image.paths)
    certainty = min((certainty for certainty, _ in between), default=1.0)
    return Finding(kind, certainty, paths, text, _keep_one(kind, own), tuple(images))


def _keep_one(kind: str, own: Sequence[Image]) -> Advice:
    """What to do with copies of one picture, of which ``own`` are in the store: one of all stays, wherever it is."""
    if not own:
        return ("keep one of the held-out images",)
    kept, *others = own
    advice: Advice
    if kind == "held-out":
        advice, others = ("keep it in one of the two; if it is to stay held out",), list(own)
    elif any(image.class_title != kept.class_title for image in others):
        advice = (f"keep one, in the class that is right; if that is {quote(kept.class_title)}",)
    else:
        advice = ("keep one; if that is ", NamedPlace(kept.paths[0]))
    paths = [path for image in others for path in image.paths]
    if len(paths) > MOST_REMOVED:
        return (*advice, ": remove the others")
    return (*advice, ": rm", *(part for path in paths for part in (" ", NamedPlace(path))))


def _first_place(image: Image) -> NamedPlace:
    return NamedPlace(image.paths[0], image.held_out)


def find_wrong_label(image: Image, suggested: str, certainty: float) -> Finding:
    """An image that the others give another class."""
    text = f"looks more like {suggested}"
    advice = ("if it is: mv ", _first_place(image), " ", NamedPlace(suggested, ending="/"))
    return Finding("wrong-label", certainty, image.paths[:1], text, advice, (image,))


def find_outlier(image: Image, certainty: float) -> Finding:
    """An image that is far from all others of its class."""
    advice = ("if it does not belong there: rm ", _first_place(image))
    return Finding("outlier", certainty, image.paths[:1], f"far from the rest of {image.class_title}", advice, (image,))


def find_unreadable(image: Image, reason: str) -> Finding:
    """A file that could not be read, or not as the scan found it."""
    return find_no_image(image.paths[0], reason, (image,))


def find_no_image(path: str, reason: str, images: tuple[Image, ...] = ()) -> Finding:
    """A file that is no sample, for a ``reason`` that may end with what to do."""
    text, advice = _split_reason(reason)
    place = NamedPlace(path, any(image.held_out for image in images))
    what_to_do: Advice = (advice,) if advice else ("replace it, or remove it: rm ", place)
    return Finding("damaged", 1.0, (path,), text, what_to_do, images)


def _split_reason(reason: str) -> tuple[str, str]:
    """What is wrong with a file, and what to do, "" where the reason does not say that."""
    if ".astica-ignore" not in reason:
        text, _, advice = reason.partition("; ")
        return text, advice
    # What the decoder says of the image may have colons and semicolons as well.
    start = reason.find(COPY_AGAIN)
    if start < 0:
        start = max(reason.rfind(mark) + len(mark) for mark in (": ", "; "))
    return reason[:start].rstrip(" :;"), reason[start:]


def find_poor(image: Image, facts: ImageFacts) -> list[Finding]:
    """What is wrong with one image alone."""
    path, found = image.paths[0], []

    def add(kind: str, certainty: float, text: str, advice: Advice) -> None:
        found.append(Finding(kind, round(min(1.0, certainty), 2), (path,), text, advice, (image,)))

    if facts.problem:
        return [find_no_image(path, facts.problem, (image,))]
    place = _first_place(image)
    retake = ("take it again, or remove it: rm ", place)
    short, long = sorted((max(1, facts.width), max(1, facts.height)))
    if short < TINY_SIDE:
        add("tiny", 1 - short / (2 * TINY_SIDE), f"{facts.width} x {facts.height} pixels", retake)
    if long / short > ODD_ASPECT:
        add(
            "odd-shape", long / short / (3 * ODD_ASPECT), f"{facts.width} x {facts.height} pixels", ("crop it: ", place)
        )
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
            text = "it has only 1 image" if count == 1 else f"it has only {count:,} images"
            if count < middle:
                text += f", and half of the classes have {middle:,.0f} or more"
            advice = ("add images to ", NamedPlace(title, ending="/"), ", or merge it with another class")
            found.append(Finding("balance", 1.0, (title,), text, advice))
    if len(counts) == 1:
        found.append(Finding("balance", 1.0, tuple(counts), "it is the only class", ("add another class to train on",)))
    return found


def count_classes(images: Iterable[Image]) -> dict[str, int]:
    """The number of images of each class of the store, by title."""
    return dict(sorted(Counter(image.class_title for image in images if not image.held_out).items()))
