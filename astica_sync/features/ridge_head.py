"""A linear classifier on features that follows each change of the labels at once.

It is a ridge regression on one column for each label. What depends on the features alone (the eigenvectors of their
products, and the leverage of each sample) is computed when samples come or go; a change of labels costs two products of
matrices. The prediction for a sample by a model that was trained without it has a closed form, so a sample whose label
the others contradict is found without training again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""The shares of the mean eigenvalue, among those that can be other than zero, that are tried as the strength of the
regularisation. With less, single precision would not tell a sample from what the others say of it."""
SHARPNESS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""The factors that are tried to make shares of scores."""
_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a model that was trained without a sample says of it; one row for each sample."""

    labels: tuple[str, ...]
    shares: Floats
    """(samples, labels), each row sums to 1."""
    own: npt.NDArray[np.intp]
    """The index of each sample's own label."""

    @property
    def agreement(self) -> float:
        """The share of samples of which the others predict the label."""
        return float((self.shares.argmax(1) == self.own).mean()) if len(self.own) else 0.0

    def contradiction(self) -> Floats:
        """For each sample from 0, the others agree with its label, to 1, they are certain of another one."""
        rows = np.arange(len(self.own))
        others = self.shares.copy()
        others[rows, self.own] = 0.0
        found: Floats = np.clip(others.max(1, initial=0.0) - self.shares[rows, self.own], 0.0, 1.0)
        return found

    def suggested(self) -> npt.NDArray[np.intp]:
        """The index of the label that the others predict, for each sample."""
        found: npt.NDArray[np.intp] = self.shares.argmax(1)
        return found


class RidgeHead:
    """The classifier. Not for several threads at once.

    Raises from ``__init__`` and ``set_labels``:
        ValueError: fewer than two labels, or not one label for each sample.
    """

    def __init__(self, features: Floats, labels: Sequence[str]) -> None:
        """``features`` has one row for each sample."""
        self._mean = features.mean(0, dtype=np.float64).astype(np.float32) if len(features) else np.float32(0)
        centred = (features - self._mean).astype(np.float32)
        self._scale = float(np.sqrt(np.mean(np.einsum("ij,ij->i", centred, centred)))) or 1.0 if len(centred) else 1.0
        self._rows = centred / np.float32(self._scale)
        values, self._vectors = np.linalg.eigh(self._rows.T @ self._rows)
        self._values = np.clip(values, 0, None).astype(np.float32)
        self._turned = self._rows @ self._vectors
        self._freedom: dict[float, Floats] = {}
        self.set_labels(labels)

    def set_labels(self, labels: Sequence[str]) -> None:
        """Takes other labels for the same samples, in their order."""
        if len(labels) != len(self._rows):
            raise ValueError(f"{len(labels)} labels for {len(self._rows)} samples")
        self.labels: tuple[str, ...] = tuple(sorted(set(labels)))
        if len(self.labels) < 2:
            raise ValueError("two different labels are needed")
        place = {label: number for number, label in enumerate(self.labels)}
        self._own = np.fromiter((place[label] for label in labels), np.intp, len(labels))
        truth = np.zeros((len(labels), len(self.labels)), np.float32)
        truth[np.arange(len(labels)), self._own] = 1.0
        self._offset = truth.mean(0)
        self._turned_truth = self._turned.T @ (truth - self._offset)
        best: tuple[float, float, float] | None = None
        for strength in STRENGTHS:
            scores = self._scores_without(strength)
            for sharpness in SHARPNESS:
                loss = -float(np.log(_shares(scores, sharpness)[np.arange(len(labels)), self._own] + 1e-9).mean())
                if best is None or loss < best[0]:
                    best = loss, strength, sharpness
        assert best is not None
        _, self._strength, self._sharpness = best
        solved = self._turned_truth / (self._values + self._penalty(self._strength))[:, None]
        self._weights = self._vectors @ solved

    def classify(self, features: Floats) -> Floats:
        """The share of each of ``labels`` for each row."""
        rows = (features - self._mean) / np.float32(self._scale)
        return _shares(rows.astype(np.float32) @ self._weights + self._offset, self._sharpness)

    def nearest(self, features: Floats, most: int) -> tuple[npt.NDArray[np.intp], Floats]:
        """The samples that look most like the image with these features, the nearest first, and how much: 1 is the same
        picture, 0 no more similar than two samples by chance."""
        row = ((features - self._mean) / np.float32(self._scale)).astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", self._rows, self._rows)) * np.float32(np.linalg.norm(row))
        likeness: Floats = (self._rows @ row) / np.maximum(lengths, np.float32(1e-9))
        places = np.argsort(-likeness, kind="stable")[:most]
        return places, likeness[places]

    def verdicts(self) -> Verdicts:
        """What a model that was trained on all other samples says of each one."""
        return Verdicts(self.labels, _shares(self._scores_without(self._strength), self._sharpness), self._own)

    def _penalty(self, strength: float) -> np.float32:
        rank = max(1, min(self._rows.shape))
        return np.float32(strength * float(self._values.sum()) / rank + 1e-6)

    def _scores_without(self, strength: float) -> Floats:
        """The scores of each sample by a model trained without it: what the model misses of its label grows by
        1 / (1 - leverage), where the leverage is that of the sample on its own score."""
        damped = 1.0 / (self._values + self._penalty(strength))
        freedom = self._freedom.get(strength)
        if freedom is None:
            leverage = np.empty(len(self._turned), np.float64)
            for start in range(0, len(leverage), _ROWS):
                part = self._turned[start : start + _ROWS]
                leverage[start : start + _ROWS] = np.einsum("ij,j,ij->i", part, damped, part, dtype=np.float64)
            # The mean of the labels is learned as well.
            freedom = np.maximum(1.0 - leverage - 1.0 / max(1, len(leverage)), 1e-5).astype(np.float32)
            self._freedom[strength] = freedom
        missed = -(self._turned @ (damped[:, None] * self._turned_truth)) - self._offset
        rows = np.arange(len(missed))
        missed[rows, self._own] += 1.0
        scores = -missed / freedom[:, None]
        scores[rows, self._own] += 1.0
        return np.asarray(scores)


def _shares(scores: Floats, sharpness: float) -> Floats:
    shares = np.exp((scores - scores.max(1, keepdims=True)) * np.float32(sharpness))
    return np.asarray(shares / shares.sum(1, keepdims=True))
