"""A small image classifier: a logistic regression on features of shape, colour and a thumbnail.

A version is an ``.npz`` file with its weights: running it needs neither scikit-learn nor pickle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from astica_sync.features.descriptor import Floats, sizes

CELL = 8
_WEIGHT_OF_KIND = (0.25, 1.0, 0.5)
# There are thirteen times as many features of shape as of colour; without weights, colour would not matter.
WEIGHTS = np.repeat(_WEIGHT_OF_KIND, sizes(CELL)).astype(np.float32)


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
