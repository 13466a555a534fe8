"""A small image classifier: a logistic regression on features of shape, colour and a thumbnail.

A version is an ``.npz`` file with its weights: running it needs neither scikit-learn nor pickle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Floats = npt.NDArray[np.floating[Any]]

SIDE = 64
CELL = 8
BINS = 9
THUMBNAIL = 12

_SIZES = (4 * BINS * (SIDE // CELL - 1) ** 2, 2 * 64, THUMBNAIL**2)
_WEIGHT_OF_KIND = (0.25, 1.0, 0.5)
# There are thirteen times as many features of shape as of colour; without weights, colour would not matter.
WEIGHTS = np.repeat(_WEIGHT_OF_KIND, _SIZES).astype(np.float32)


def describe(image: "Image.Image") -> Floats:
    """The features of an RGB image: histograms of gradients, of colours, and a grey thumbnail."""
    from PIL import Image

    square = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    grey = square.convert("L")
    thumbnail = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), np.float32).ravel() / 255
    thumbnail = (thumbnail - thumbnail.mean()) / (thumbnail.std() + 0.05)
    return np.concatenate((_shape(np.asarray(grey, np.float32) / 255), _colour(square), thumbnail))


def _shape(grey: Floats) -> Floats:
    """The strength of the edges in each direction and cell, normalised over neighbouring cells."""
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    direction = np.mod(np.arctan2(down, right), np.pi)
    bins = np.minimum((direction * (BINS / np.pi)).astype(np.intp), BINS - 1)
    cells = SIDE // CELL
    rows, columns = np.indices(grey.shape) // CELL
    flat = ((rows * cells + columns) * BINS + bins).ravel()
    histogram = np.bincount(flat, strength.ravel(), cells * cells * BINS).reshape(cells, cells, BINS)
    blocks = np.concatenate([histogram[i : i + cells - 1, j : j + cells - 1] for i in (0, 1) for j in (0, 1)], axis=2)
    shares: Floats = np.sqrt(blocks / (blocks.sum(axis=2, keepdims=True) + 0.1))
    return shares.astype(np.float32).ravel()


def _colour(square: "Image.Image") -> Floats:
    """The frequency of 64 colours in the whole image and in its centre."""
    levels = np.asarray(square, np.uint8) >> 6
    index = (levels[..., 0] << 4) | (levels[..., 1] << 2) | levels[..., 2]
    edge = SIDE // 4
    parts = (index, index[edge:-edge, edge:-edge])
    counts = [np.sqrt(np.bincount(part.ravel(), minlength=64) / part.size) for part in parts]
    return np.concatenate(counts).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Classifier:
    """One trained version, with a row of weights for each label."""

    labels: tuple[str, ...]
    weights: Floats
    offsets: Floats

    @classmethod
    def train(cls, features: Sequence[Floats], labels: Sequence[str]) -> Self:
        """Fits the weights.

        Raises:
            ValueError: fewer than two different labels.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        matrix = np.stack(features)
        scaler = StandardScaler().fit(matrix)
        scaled = scaler.transform(matrix) * WEIGHTS
        model = LogisticRegression(C=0.1, max_iter=2000).fit(scaled, np.asarray(labels))
        weights, offsets = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            # scikit-learn has a single row for two labels; that of the first label is zero.
            weights = np.vstack((np.zeros_like(weights), weights))
            offsets = np.concatenate((np.zeros_like(offsets), offsets))
        weights = weights * WEIGHTS / scaler.scale_
        offsets = offsets - weights @ scaler.mean_
        names = tuple(str(label) for label in model.classes_)
        return cls(names, weights.astype(np.float32), offsets.astype(np.float32))

    def detect(self, features: Floats) -> tuple[str, float]:
        """The most likely label and its probability, from 0 to 1."""
        scores = self.weights @ features + self.offsets
        shares = np.exp(scores - np.max(scores))
        shares /= shares.sum()
        best = int(np.argmax(shares))
        return self.labels[best], float(shares[best])

    def save(self, file: BinaryIO) -> None:
        np.savez(file, labels=np.asarray(self.labels), weights=self.weights, offsets=self.offsets)

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as saved:
            return cls(tuple(str(label) for label in saved["labels"]), saved["weights"], saved["offsets"])
