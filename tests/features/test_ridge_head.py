"""The classifier on features: what it says of a sample is what a model says that was trained without it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

from astica_sync.features.extractor import GradientExtractor
from astica_sync.features.ridge_head import STRENGTHS, RidgeHead
from astica_sync.training.label_check import LEAST_CERTAINTY, find_contradicted


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, list[str]]:
    """Features and labels of 600 handwritten digits."""
    loaded = load_digits()
    squares = [
        np.asarray(Image.fromarray((255 - pixels * 15.9).astype("uint8")).resize((64, 64)).convert("RGB"))
        for pixels in loaded.images[:600]
    ]
    return GradientExtractor().extract(np.stack(squares)), [str(label) for label in loaded.target[:600]]


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(8, 30), st.integers(2, 6), st.integers(2, 4))
def test_the_verdict_on_a_sample_is_that_of_a_ridge_regression_without_it(
    seed: int, count: int, length: int, labels: int
) -> None:
    dice = np.random.default_rng(seed)
    rows = dice.normal(size=(count, length)).astype(np.float32)
    own = [str(number % labels) for number in range(count)]
    head = RidgeHead(rows, own)
    scaled = (rows - rows.mean(0)) / head._scale
    truth = (np.array(own)[:, None] == np.array(head.labels)).astype(np.float64)
    for strength in (STRENGTHS[1], STRENGTHS[-1]):
        scores = head._scores_without(strength)
        for place in range(count):
            others = np.arange(count) != place
            fitted = Ridge(alpha=float(head._penalty(strength))).fit(scaled[others], truth[others])
            np.testing.assert_allclose(scores[place], fitted.predict(scaled[place : place + 1])[0], atol=2e-3)


def test_swapped_labels_are_found_first(digits: tuple[np.ndarray, list[str]]) -> None:
    features, labels = digits
    dice = np.random.default_rng(3)
    swapped = dice.choice(len(labels), 12, replace=False)
    wrong = list(labels)
    for place in swapped:
        wrong[place] = str((int(labels[place]) + int(dice.integers(1, 10))) % 10)
    head = RidgeHead(features, labels)
    before = head.verdicts().agreement
    head.set_labels(wrong)
    found = find_contradicted(head.verdicts())
    first = [one.place for one in found[: len(labels) // 20]]
    assert len(set(swapped) & set(first)) >= 11
    assert [one.suggested for one in found if one.place in swapped] == [
        labels[one.place] for one in found if one.place in swapped
    ]
    assert all(one.certainty >= LEAST_CERTAINTY for one in found)
    assert before > 0.95


def test_other_labels_for_the_same_samples_are_those_of_a_new_classifier(digits: tuple[np.ndarray, list[str]]) -> None:
    features, labels = digits
    others = [*labels[1:], "new"]
    head = RidgeHead(features, labels)
    head.set_labels(others)
    fresh = RidgeHead(features, others)
    assert head.labels == fresh.labels
    np.testing.assert_allclose(head.classify(features[:50]), fresh.classify(features[:50]), atol=1e-4)
    np.testing.assert_allclose(head.classify(features[:50]).sum(1), 1.0, atol=1e-5)


@pytest.mark.parametrize("labels", [[], ["a"], ["a", "a"], ["a", "b", "a"]])
def test_fewer_than_two_labels_and_a_wrong_number_of_them_are_refused(labels: list[str]) -> None:
    count = 2 if len(labels) == 3 else len(labels)
    with pytest.raises(ValueError, match="label"):
        RidgeHead(np.zeros((count, 3), np.float32), labels)


def test_equal_and_empty_features_give_the_frequencies() -> None:
    head = RidgeHead(np.zeros((4, 3), np.float32), ["a", "a", "a", "b"])
    shares = head.classify(np.zeros((1, 3), np.float32))[0]
    assert shares[0] > shares[1] > 0
    assert np.isfinite(head.verdicts().shares).all()
