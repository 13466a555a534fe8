"""Finds the pairs of images that show the same picture: candidates by their hashes, each confirmed on pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from astica_sync.likeness.near_hashes import HashIndex
from astica_sync.likeness.same_picture import overlay
from astica_sync.likeness.small_picture import CROPS, HASHES, MIRRORED, SIDE, TRIMMED, WHOLE, Pixels, SmallPicture

Floats = npt.NDArray[np.floating[Any]]

FIT = np.dtype(
    [
        (name, np.float32)
        for name in ("correlation", "typical", "largest", "differing", "colour", "moved", "resized", "gain")
    ]
    + [("plain", np.bool_), ("greyed", np.bool_)]
)
"""How a candidate fits, see ``Overlay``; ``plain``: both have a border of one colour; ``greyed``: one alone is grey."""

CROWD = 3
"""An image that has so many others on the same background, each with another part of it different, is one of a fixed
camera: there only images count that are equal all over."""

_AT_ONCE = 32
_HASHES_AT_ONCE = 1 << 18
_GREY = 2
_LEAST_COARSE = 0.92
"""Of crops of 3 % the worst of sixty photos had 0.94. Of the candidates among handwritten digits, which are no pairs,
94 of a hundred have less, so that these are not laid over each other."""
_COARSE = 8
_BORDER_SPREAD = 14


class PicturePair(NamedTuple):
    """Two images of the same picture, by index, ``one`` below ``other``. ``certainty`` is from 0 to 1; ``how`` they
    differ: "again" (saved again, scaled, lighter), "mirrored", "cropped", "bars", or "changed" in a part."""

    one: int
    other: int
    certainty: float
    how: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs whose hashes are near. ``variant`` is the number of the hash of ``first`` that is near the whole of
    ``second``; each pair of images is there once."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    variant: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


def find_pairs(pictures: "list[SmallPicture]", sides: "npt.NDArray[np.bool_] | None" = None) -> list[PicturePair]:
    """The pairs among pictures; with ``sides`` only those of one on each side."""
    candidates = find_candidates(stack_hashes(pictures), stack_structure(pictures), sides)
    return judge(candidates, confirm(candidates, pictures.__getitem__), len(pictures))


def stack_hashes(pictures: "list[SmallPicture]") -> npt.NDArray[np.uint64]:
    """The hashes of pictures, (pictures, ``HASHES``)."""
    return np.array([one.hashes for one in pictures], np.uint64).reshape(len(pictures), HASHES)


def stack_structure(pictures: "list[SmallPicture]") -> npt.NDArray[np.bool_]:
    """Which pictures have structure."""
    return np.array([one.has_structure for one in pictures], np.bool_)


def find_candidates(
    hashes: npt.NDArray[np.uint64],
    has_structure: npt.NDArray[np.bool_],
    sides: "npt.NDArray[np.bool_] | None" = None,
) -> Candidates:
    """The pairs to confirm, by ``HASHES`` hashes of each image; without those of no structure."""
    places = np.flatnonzero(has_structure)
    whole = np.ascontiguousarray(hashes[places, 0])
    found: list[npt.NDArray[np.int64]] = []
    index = HashIndex(whole)
    for variant in range(HASHES):
        asked = places
        if variant == TRIMMED:
            asked = places[hashes[places, TRIMMED] != hashes[places, 0]]
        for start in range(0, len(asked), _HASHES_AT_ONCE):
            some = asked[start : start + _HASHES_AT_ONCE]
            rows, columns, distance = index.find_near(np.ascontiguousarray(hashes[some, variant]))
            first, second = some[rows], places[columns]
            kept = first != second if variant else first < second
            if sides is not None:
                kept &= sides[first] != sides[second]
            found.append(np.stack((first[kept], second[kept], np.full(int(kept.sum()), variant), distance[kept])))
    if not found:
        empty = np.empty(0, np.int64)
        return Candidates(empty, empty, empty)
    first, second, variant_of, distance = np.concatenate(found, axis=1)
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((variant_of, distance, high, low))
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    chosen = order[is_first]
    return Candidates(first[chosen], second[chosen], variant_of[chosen])


def confirm(
    candidates: Candidates,
    picture_of: "Callable[[int], SmallPicture]",
    on_progress: Callable[[int], None] = lambda _: None,
) -> "npt.NDArray[np.void]":
    """How each candidate fits, as ``FIT``. ``on_progress`` gets the number of candidates done by one call."""
    fits = np.zeros(len(candidates), FIT)
    near = _coarsely_similar(candidates, picture_of)
    for start in range(0, len(near), _AT_ONCE):
        part = near[start : start + _AT_ONCE]
        given, boxes, plain, greyed = [], [], [], []
        for first, second, variant in zip(
            candidates.first[part], candidates.second[part], candidates.variant[part], strict=True
        ):
            one, other = _variant(picture_of(int(first)), int(variant)), picture_of(int(second)).whole
            given.append((one.luma, one.chroma, other.luma, other.chroma))
            boxes.append((WHOLE, *CROPS)[variant] if variant <= len(CROPS) else WHOLE)
            plain.append(_has_plain_border(one) and _has_plain_border(other))
            greyed.append(_is_grey(one) != _is_grey(other))
        one_luma, one_chroma, luma, chroma = (np.array(each, np.float32) for each in zip(*given, strict=True))
        fits["plain"][part], fits["greyed"][part] = plain, greyed
        laid = overlay(one_luma, one_chroma, luma, chroma, np.array(boxes, np.float32))
        for name in ("correlation", "typical", "largest", "differing", "colour", "moved", "resized", "gain"):
            fits[name][part] = getattr(laid, name)
        on_progress(int(part[-1]) + 1)
    on_progress(len(candidates))
    return fits


def judge(candidates: Candidates, fits: "npt.NDArray[np.void]", images: int) -> list[PicturePair]:
    """The candidates that are the same picture, the most certain first; ``images`` is the number of all images."""
    # A mark over a picture of little contrast is most of its structure; what is beside it has to be equal then.
    marked = (fits["correlation"] > 0.8) & (fits["typical"] < 2) & (fits["moved"] < 0.3)
    # A mark all over is on more of the picture, and changes its shapes little.
    covered = (fits["correlation"] > 0.985) & (fits["moved"] < 0.3)
    similar = (
        ((fits["correlation"] > 0.955) | marked)
        & (fits["typical"] < np.where(covered, 7, 6))
        & (fits["differing"] < np.where(covered, 0.15, 0.08))
        & (fits["moved"] < 0.055 * SIDE)
        & (fits["resized"] < 0.09)
        & (fits["gain"] > 0.6)
        & (fits["gain"] < 1.65)
    )
    similar &= np.where(fits["greyed"], (fits["correlation"] > 0.985) & (fits["largest"] < 10), fits["colour"] < 15)
    unmoved = (fits["moved"] < 0.3) & (fits["resized"] < 0.02)
    same_colour = fits["greyed"] | (fits["colour"] < 6)
    equal = similar & unmoved & same_colour & (fits["largest"] < 2.5)
    # On a plain border a shift tells nothing: another cap of the same colour fits as well as a crop.
    kept = similar & (~fits["plain"] | (unmoved & same_colour & (fits["largest"] < 12)))
    background = (fits["typical"] < 4) & (fits["moved"] < 0.5) & (np.abs(fits["gain"] - 1) < 0.25)
    elsewhere = ~equal & np.where(fits["plain"], similar, background | (similar & (fits["moved"] < 0.5)))
    scenes = _join(candidates, similar & ~elsewhere, images)
    crowd = _count_scenes(candidates, elsewhere, scenes, images)
    crowded = np.maximum(crowd[candidates.first], crowd[candidates.second]) >= CROWD
    kept &= ~crowded | (equal & (fits["largest"] < 1.5))
    pairs = [
        PicturePair(
            int(min(candidates.first[place], candidates.second[place])),
            int(max(candidates.first[place], candidates.second[place])),
            0.99 if equal[place] else round(float(0.95 - 3 * fits["differing"][place]), 2),
            _describe(int(candidates.variant[place]), fits[place]),
        )
        for place in np.flatnonzero(kept)
    ]
    return sorted(pairs, key=lambda pair: (-pair.certainty, pair.one, pair.other))


def _coarsely_similar(candidates: Candidates, picture_of: "Callable[[int], SmallPicture]") -> npt.NDArray[np.intp]:
    """The candidates whose pictures of 8 x 8 places correlate, which a crop of a few percent hardly changes."""
    places = np.union1d(candidates.first, candidates.second)
    if not len(places):
        return np.empty(0, np.intp)
    pictures = [picture_of(int(place)) for place in places]
    whole = _coarse([one.whole.luma for one in pictures])
    trimmed = _coarse([one.whole.luma if one.trimmed is None else one.trimmed.luma for one in pictures])
    mirrored = whole.reshape(-1, _COARSE, _COARSE)[:, :, ::-1].reshape(whole.shape)
    first, second = np.searchsorted(places, candidates.first), np.searchsorted(places, candidates.second)
    found = np.empty(len(candidates), np.float32)
    for start in range(0, len(candidates), _HASHES_AT_ONCE):
        part = slice(start, start + _HASHES_AT_ONCE)
        variant = candidates.variant[part, None]
        one = np.where(variant == MIRRORED, mirrored[first[part]], whole[first[part]])
        one = np.where(variant == TRIMMED, trimmed[first[part]], one)
        found[part] = (one * whole[second[part]]).sum(1)
    return np.flatnonzero(found >= _LEAST_COARSE)


def _coarse(lumas: "list[npt.NDArray[np.uint8]]") -> Floats:
    """The means over 8 x 8 places of each picture, from their mean and of length 1: their products are correlations."""
    side = SIDE // _COARSE
    means = np.array([one.reshape(_COARSE, side, _COARSE, side).mean((1, 3)).ravel() for one in lumas], np.float32)
    means -= means.mean(1, keepdims=True)
    scaled: Floats = means / np.maximum(np.sqrt((means**2).sum(1, keepdims=True)), 1e-3)
    return scaled


def _join(candidates: Candidates, joined: "npt.NDArray[np.bool_]", images: int) -> npt.NDArray[np.int64]:
    """A number for each image, the same for those that pairs join, directly or through others."""
    number = list(range(images))

    def root(image: int) -> int:
        while number[image] != image:
            number[image] = number[number[image]]
            image = number[image]
        return image

    for place in np.flatnonzero(joined):
        one, other = root(int(candidates.first[place])), root(int(candidates.second[place]))
        number[max(one, other)] = min(one, other)
    return np.fromiter((root(image) for image in range(images)), np.int64, images)


def _count_scenes(
    candidates: Candidates, differing: "npt.NDArray[np.bool_]", scenes: npt.NDArray[np.int64], images: int
) -> npt.NDArray[np.int64]:
    """For each image the number of different pictures that it shares its background with."""
    first, second = candidates.first[differing], candidates.second[differing]
    partners = np.stack((np.concatenate((first, second)), scenes[np.concatenate((second, first))]), 1)
    partners = np.unique(partners[scenes[partners[:, 0]] != partners[:, 1]], axis=0)
    return np.bincount(partners[:, 0], minlength=images)


def _variant(picture: SmallPicture, variant: int) -> Pixels:
    if variant == MIRRORED:
        return Pixels(picture.whole.luma[:, ::-1], picture.whole.chroma[:, ::-1])
    return picture.trimmed if variant == TRIMMED and picture.trimmed is not None else picture.whole


def _has_plain_border(pixels: Pixels) -> bool:
    luma, chroma = pixels.luma, pixels.chroma
    edges = np.concatenate((luma[0], luma[-1], luma[:, 0], luma[:, -1]))
    colours = np.concatenate((chroma[0], chroma[-1], chroma[:, 0], chroma[:, -1]))
    return int(np.ptp(edges)) <= _BORDER_SPREAD and int(np.ptp(colours, axis=0).max()) <= _BORDER_SPREAD


def _is_grey(pixels: Pixels) -> bool:
    return int(np.abs(pixels.chroma.astype(np.int16)).max()) <= _GREY


def _describe(variant: int, fit: "np.void") -> str:
    if variant == MIRRORED:
        return "mirrored"
    if variant == TRIMMED:
        return "bars"
    if fit["moved"] >= 0.5:
        return "cropped"
    return "changed" if fit["largest"] >= 10 else "again"
