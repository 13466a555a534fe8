"""Confirms on pixels that two images show the same picture.

One picture is laid over the other: scale, shift, contrast and brightness are fitted (Lucas and Kanade 1981, with what
differs left out of the fit). What is left of the difference decides.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from astica_sync.likeness.small_picture import COLOUR_SIDE, SIDE

Floats = npt.NDArray[np.floating[Any]]

STEPS = 5
_MOST_STEP = 1.5
_MOST_SCALE_STEP = 0.05
_INLIER_LEVELS = 4.0


@dataclass(frozen=True, slots=True)
class Overlay:
    """How well pictures fit over each other; one element for each pair, levels are those of 8 bits.

    ``correlation`` of the grey pixels; ``typical`` and ``largest`` difference, the latter of any 3 x 3 pixels;
    ``differing``: the share of pixels that differ by more than ``DIFFERS``; ``colour``: the difference of colour in
    nine tenths of the picture; ``moved``: by how many of the ``SIDE`` pixels the corners were moved at most;
    ``resized``: the change of scale; ``gain`` and ``bias`` of the brightness.
    """

    correlation: Floats
    typical: Floats
    largest: Floats
    differing: Floats
    colour: Floats
    moved: Floats
    resized: Floats
    gain: Floats
    bias: Floats


DIFFERS = 12.0


def overlay(
    luma: Floats, chroma: Floats, others: Floats, other_chroma: Floats, boxes: "npt.NDArray[np.float32]"
) -> Overlay:
    """Lays pictures over others: ``luma`` and ``others`` are (pairs, ``SIDE``, ``SIDE``), the chroma (pairs,
    ``COLOUR_SIDE``, ``COLOUR_SIDE``, 2). ``boxes`` (pairs, 4) are the parts of the first pictures that the others are
    expected to show."""
    one, two = _smooth(luma.astype(np.float32)), _smooth(others.astype(np.float32))
    place, mask = _fit(one, two, boxes.astype(np.float32))
    moved, _, _, inside = _move(one, place)
    gain, bias = _fit_brightness(moved, two, mask & inside)
    fitted = np.clip(gain[:, None, None] * moved + bias[:, None, None], 0, 255)
    rest = np.where(inside, two - fitted, 0.0).astype(np.float32)
    counted = np.maximum(inside.sum((1, 2)), 1)
    sizes = np.abs(rest)
    typical = np.sort(sizes.reshape(len(sizes), -1), 1)[
        np.arange(len(sizes)), (SIDE * SIDE - counted + counted * 0.8).astype(np.intp).clip(0, SIDE * SIDE - 1)
    ]
    return Overlay(
        _correlate(fitted, two, inside),
        typical,
        np.abs(_box3(rest)).max((1, 2)),
        (sizes > DIFFERS).sum((1, 2)) / counted,
        _colour_difference(chroma, other_chroma, place, gain),
        _corner_shift(place),
        np.abs(place[:, (0, 2)] - 1).max(1),
        gain,
        bias,
    )


def flatness(luma: Floats) -> Floats:
    """The share of each picture (pictures, ``SIDE``, ``SIDE``) in which neighbouring pixels hardly differ."""
    plain = luma.astype(np.float32)
    across, down = np.abs(np.diff(plain, axis=2))[:, :-1], np.abs(np.diff(plain, axis=1))[:, :, :-1]
    share: Floats = (np.maximum(across, down) < 2.5).mean((1, 2))
    return share


def _fit(one: Floats, two: Floats, boxes: Floats) -> "tuple[Floats, npt.NDArray[np.bool_]]":
    """The scale and shift along x, then along y, of each pair, and the pixels that fit."""
    left, top, right, bottom = boxes.T
    place = np.stack(
        (
            right - left,
            left * SIDE + 0.5 * (right - left) - 0.5,
            bottom - top,
            top * SIDE + 0.5 * (bottom - top) - 0.5,
        ),
        1,
    ).astype(np.float32)
    along = (np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2) / SIDE
    mask = np.ones(two.shape, np.bool_)
    for _ in range(STEPS):
        moved, right_slope, down_slope, inside = _move(one, place)
        columns = np.stack(
            (
                right_slope * along[None, None, :],
                right_slope,
                down_slope * along[None, :, None],
                down_slope,
                moved / 64,
                np.ones_like(moved),
            ),
            -1,
        ).reshape(len(one), SIDE * SIDE, 6)
        weights = (mask & inside).reshape(len(one), SIDE * SIDE, 1).astype(np.float32)
        weighted = (columns * weights).transpose(0, 2, 1)
        products = weighted @ columns + np.eye(6, dtype=np.float32) * np.float32(1e-1)
        solved = np.linalg.solve(products.astype(np.float64), (weighted @ two.reshape(len(two), -1, 1)).astype(float))
        gain = solved[:, 4, 0] / 64
        rest = np.abs(two.reshape(len(two), -1) - (columns @ solved.astype(np.float32))[..., 0])
        limit = np.maximum(_INLIER_LEVELS, 3.7 * np.median(rest, axis=1))
        mask = (rest <= limit[:, None]).reshape(two.shape)
        gain = np.where(np.abs(gain) > 0.2, gain, 1.0)
        change = solved[:, :4, 0] / gain[:, None]
        change[:, (0, 2)] = np.clip(change[:, (0, 2)] / SIDE, -_MOST_SCALE_STEP, _MOST_SCALE_STEP)
        change[:, (1, 3)] = np.clip(change[:, (1, 3)], -_MOST_STEP, _MOST_STEP)
        middle = np.float32((SIDE - 1) / 2)
        # The slopes are about the middle of the picture.
        change[:, (1, 3)] -= change[:, (0, 2)] * middle
        place = (place + change).astype(np.float32)
    return place, mask


def _move(one: Floats, place: Floats) -> "tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]":
    """The pictures at their places, their slopes to the right and down, and which pixels they cover."""
    along = np.arange(SIDE, dtype=np.float32)
    x = place[:, 0, None] * along + place[:, 1, None]
    y = place[:, 2, None] * along + place[:, 3, None]
    across, down = _hats(x), _hats(y)
    slope_across = (_hats(x + 0.5) - _hats(x - 0.5)).transpose(0, 2, 1)
    slope_down = _hats(y + 0.5) - _hats(y - 0.5)
    rows = down @ one
    turned = across.transpose(0, 2, 1)
    inside_x, inside_y = ((at >= -0.3) & (at <= SIDE - 0.7) for at in (x, y))
    inside = inside_y[:, :, None] & inside_x[:, None, :]
    return rows @ turned, rows @ slope_across, slope_down @ one @ turned, inside


def _hats(at: Floats, side: int = SIDE) -> Floats:
    """The weights of linear interpolation at places along a line of ``side`` pixels."""
    clipped = np.clip(at, 0, side - 1)
    weights: Floats = np.clip(1 - np.abs(clipped[:, :, None] - np.arange(side, dtype=np.float32)), 0, None)
    return weights


def _fit_brightness(one: Floats, two: Floats, mask: "npt.NDArray[np.bool_]") -> tuple[Floats, Floats]:
    weights = mask.astype(np.float32)
    count = np.maximum(weights.sum((1, 2)), 1)
    mean_one, mean_two = (one * weights).sum((1, 2)) / count, (two * weights).sum((1, 2)) / count
    from_one, from_two = one - mean_one[:, None, None], two - mean_two[:, None, None]
    variance = (from_one**2 * weights).sum((1, 2)) / count
    gain = (from_one * from_two * weights).sum((1, 2)) / count / np.maximum(variance, 1e-3)
    return gain, mean_two - gain * mean_one


def _correlate(one: Floats, two: Floats, mask: "npt.NDArray[np.bool_]") -> Floats:
    weights = mask.astype(np.float32)
    count = np.maximum(weights.sum((1, 2)), 1)[:, None, None]
    from_one = (one - (one * weights).sum((1, 2))[:, None, None] / count) * weights
    from_two = (two - (two * weights).sum((1, 2))[:, None, None] / count) * weights
    sizes = np.sqrt((from_one**2).sum((1, 2)) * (from_two**2).sum((1, 2)))
    found: Floats = (from_one * from_two).sum((1, 2)) / np.maximum(sizes, 1e-3)
    return found


def _colour_difference(chroma: Floats, others: Floats, place: Floats, gain: Floats) -> Floats:
    share = COLOUR_SIDE / SIDE
    along = np.arange(COLOUR_SIDE, dtype=np.float32)
    # The middle of a pixel of colour is 1.5 grey pixels from its edge.
    x, y = (
        place[:, number, None] * along + ((place[:, number] * 1.5 + place[:, number + 1] - 1.5) * share)[:, None]
        for number in (0, 2)
    )
    across, down = _hats(x, COLOUR_SIDE).transpose(0, 2, 1), _hats(y, COLOUR_SIDE)
    moved = np.stack([down @ chroma[..., channel].astype(np.float32) @ across for channel in (0, 1)], -1)
    difference = 2 * np.abs(moved * np.clip(gain, 0.5, 2)[:, None, None, None] - others).max(-1)
    found: Floats = np.quantile(difference.reshape(len(difference), -1), 0.9, axis=1)
    return found


def _corner_shift(place: Floats) -> Floats:
    first = np.abs(place[:, (1, 3)])
    last = np.abs(place[:, (0, 2)] * (SIDE - 1) + place[:, (1, 3)] - (SIDE - 1))
    shift: Floats = np.maximum(first, last).max(1)
    return shift


def _smooth(luma: Floats) -> Floats:
    padded = np.pad(luma, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = (padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]) / 4
    return np.asarray((across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 4)


def _box3(values: Floats) -> Floats:
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    across = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    return np.asarray((across[:, :-2] + across[:, 1:-1] + across[:, 2:]) / 9)
