"""The figures of an evaluation are those of scikit-learn and scipy, on 200 random cases."""

import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from astica_sync.api.reports.evaluation_report import EvaluationReport
from astica_sync.cli.render.text import display_width
from astica_sync.cli.training.evaluation_json import evaluation_data
from astica_sync.cli.training.evaluation_text import evaluation_lines
from astica_sync.core.evaluation.confidence_sweep import accepted_at, find_threshold
from astica_sync.core.evaluation.paired_difference import PairedCounts, wilson_interval
from astica_sync.training.evaluation.comparison import compare_all
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.html_report import write_html
from astica_sync.training.evaluation.metrics import NO_ANSWER, Prediction, VersionMetrics, compute_metrics

CASES = [
    pytest.param(range(start, start + 40), id=f"{start}-{start + 39}", marks=[pytest.mark.long] if start else [])
    for start in range(0, 200, 40)
]


def draw_answers(rng: random.Random, *, classes: int, images: int, right: float) -> list[Prediction]:
    """Answers with some of an unknown class, without a class, and without a confidence."""
    titles = [f"class {number}" for number in range(classes)]
    answers = []
    for number in range(images):
        truth = rng.choice(titles)
        label = truth if rng.random() < right else rng.choice([*titles, "never held out", NO_ANSWER])
        confidence = rng.choice([None, *(round(100 * rng.random() ** 0.5, rng.choice([0, 1, 6])) for _ in range(9))])
        answers.append(Prediction(f"{number}.png", str(number), truth, label, confidence))
    return answers


def draw_version(seed: int, name: str = "v", **fixed: int) -> VersionMetrics:
    rng = random.Random(seed)
    sizes = {"classes": rng.randint(1, 7), "images": rng.choice([1, 2, 10, 60, 300]), **fixed}
    return compute_metrics(name, draw_answers(rng, **sizes, right=rng.choice([0.0, 0.4, 0.8, 0.97, 1.0])))


@pytest.mark.parametrize("seeds", CASES)
def test_scores_of_classes_and_their_means(seeds: range) -> None:
    for seed in seeds:
        measured = draw_version(seed)
        truth = [one.truth for one in measured.predictions]
        label = [one.label for one in measured.predictions]
        held_out = sorted(set(truth))
        for mean, own in (("macro", measured.macro_f1), ("weighted", measured.weighted_f1)):
            assert own == pytest.approx(
                reference.f1_score(truth, label, labels=held_out, average=mean, zero_division=0.0)
            )
        titles = [one.title for one in measured.classes]
        for name in ("precision", "recall", "f1"):
            score = getattr(reference, f"{name}_score")
            expected = score(truth, label, labels=titles, average=None, zero_division=0.0)
            assert [getattr(one, name) for one in measured.classes] == pytest.approx(expected), seed
        assert measured.accuracy == pytest.approx(reference.accuracy_score(truth, label))
        # Of a single label, scikit-learn warns.
        matrix = reference.confusion_matrix(truth, label, labels=[*measured.titles, "none"])[:-1, :-1].copy()
        assert np.array_equal(matrix, measured.confusion)
        np.fill_diagonal(matrix, 0)
        pairs = measured.confused_pairs()
        assert sum(pair.images for pair in pairs) == matrix.sum()
        for pair in pairs:
            row = measured.titles.index(pair.truth)
            assert matrix[row, measured.titles.index(pair.label)] == pair.images
            assert pair.share == pytest.approx(pair.images / truth.count(pair.truth))
        assert measured.confused_pairs(1) == pairs[:1]
        assert not pairs or pairs[0].images == matrix.max()


@pytest.mark.parametrize("seeds", CASES)
def test_calibration(seeds: range) -> None:
    for seed in seeds:
        measured = draw_version(seed)
        sure = [one for one in measured.predictions if one.confidence is not None]
        if not sure:
            assert measured.calibration is None
            continue
        assert measured.calibration is not None
        correct = np.array([one.correct for one in sure])
        stated = np.array([one.confidence for one in sure], float) / 100
        accuracies, confidences = calibration_curve(correct, stated, n_bins=10, strategy="uniform")
        bins = measured.calibration.bins
        assert [one.accuracy for one in bins] == pytest.approx(accuracies)
        assert [one.confidence for one in bins] == pytest.approx(confidences)
        weights = np.array([((stated * 100 > one.low) & (stated * 100 <= one.high)).sum() for one in bins])
        weights[0] += (stated == 0).sum() if bins[0].low == 0 else 0
        error = np.average(np.abs(accuracies - confidences), weights=weights)
        assert measured.calibration.error == pytest.approx(error)


@pytest.mark.parametrize("seeds", CASES)
def test_precision_and_coverage_at_every_threshold(seeds: range) -> None:
    for seed in seeds:
        measured = draw_version(seed)
        sure = [one for one in measured.predictions if one.confidence is not None and one.label != NO_ANSWER]
        points = measured.sweep()
        if not any(one.correct for one in sure):
            assert all(point.correct == 0 for point in points)
            continue
        correct, stated = [one.correct for one in sure], np.array([one.confidence for one in sure])
        precision, _, thresholds = reference.precision_recall_curve(correct, stated)
        own = {point.threshold: point for point in points}
        for expected, threshold in zip(precision[:-1], thresholds, strict=True):
            assert own[threshold].precision == pytest.approx(expected)
            assert own[threshold].answers == (stated >= threshold).sum()
        assert accepted_at(points, 50.0).answers == (stated >= 50).sum()
        for wanted in (0.5, 0.9, 0.95):
            good = thresholds[precision[:-1] >= wanted]
            found = find_threshold(points, wanted)
            assert (found.threshold if found else None) == (good.min() if len(good) else None)


@pytest.mark.parametrize("seeds", CASES)
def test_precision_and_recall_of_each_class_at_a_threshold(seeds: range) -> None:
    for seed in seeds:
        measured = draw_version(seed)
        threshold = random.Random(seed).choice([0.0, 30.0, 50.0, 80.0, 99.0])
        for one in measured.classes:
            truth = [answer.truth == one.title for answer in measured.predictions]
            taken = [
                answer.label == one.title and answer.confidence is not None and answer.confidence >= threshold
                for answer in measured.predictions
            ]
            point = accepted_at(measured.sweep(one.title), threshold)
            assert point.answers == sum(taken)
            assert (point.precision or 0.0) == pytest.approx(reference.precision_score(truth, taken, zero_division=0.0))
            if one.images:
                assert point.correct / one.images == pytest.approx(reference.recall_score(truth, taken))


@pytest.mark.parametrize("seeds", CASES)
def test_intervals_and_tests(seeds: range) -> None:
    for seed in seeds:
        sizes = {"classes": 3, "images": random.Random(seed).choice([1, 10, 80])}
        before = draw_version(seed, "a", **sizes)
        rng = random.Random(-seed)
        changed = [
            Prediction(one.name, one.content, one.truth, one.truth if rng.random() < 0.3 else one.label, None)
            for one in before.predictions
        ]
        after = compute_metrics("b", changed)
        interval = stats.binomtest(before.correct, before.total).proportion_ci(method="wilson")
        assert wilson_interval(before.correct, before.total) == pytest.approx((interval.low, interval.high), abs=1e-12)
        assert (before.low, before.high) == pytest.approx((interval.low, interval.high))
        (compared,) = compare_all([before, after])
        for title, difference in ((None, compared.overall), *compared.classes):
            pairs = [
                (one.correct, two.correct)
                for one, two in zip(before.predictions, after.predictions, strict=True)
                if title in (None, one.truth)
            ]
            counts = PairedCounts(*(pairs.count((one, two)) for one in (True, False) for two in (True, False)))
            assert difference.counts == counts
            smaller, different = min(counts.only_before, counts.only_after), counts.only_before + counts.only_after
            expected = min(1.0, 2 * stats.binom.cdf(smaller, different, 0.5)) if different else 1.0
            assert difference.p_value == pytest.approx(expected)
            assert difference.value == pytest.approx(
                np.mean([two for _, two in pairs]) - np.mean([one for one, _ in pairs])
            )
            low, high = difference.interval
            assert low <= difference.value <= high


def test_a_baseline_is_compared_with_every_other_version_and_the_p_values_are_corrected() -> None:
    def version(name: str, right: int) -> VersionMetrics:
        return compute_metrics(
            name,
            [Prediction(f"{n}", "", "ab"[n % 2], "ab"[n % 2] if n < right else "c", 90.0) for n in range(40)],
        )

    versions = [version("v1", 20), version("v2", 27), version("v3", 30)]
    chained = compare_all(versions)
    assert [(one.before, one.after) for one in chained] == [("v1", "v2"), ("v2", "v3")]
    assert [one.overall.p_value for one in chained] == pytest.approx([0.015625, 0.25])
    assert [one.overall.corrected for one in chained] == pytest.approx([0.03125, 0.25])
    against = compare_all(versions, "v2")
    assert [(one.before, one.after) for one in against] == [("v2", "v1"), ("v2", "v3")]
    assert "v2 is significantly better than v1" in against[0].sentence
    assert "(p = 0.031, corrected for 2 comparisons)" in against[0].sentence
    assert "(p = 0.25, corrected for 2 comparisons)" in against[1].sentence
    (alone,) = compare_all(versions[:2])
    assert alone.overall.corrected == alone.overall.p_value and "corrected" not in alone.sentence
    by_class = dict(alone.classes)
    assert by_class["a"].counts == PairedCounts(10, 0, 4, 6) and by_class["b"].counts == PairedCounts(10, 0, 3, 7)
    assert by_class["a"].p_value == pytest.approx(0.125)
    assert by_class["a"].corrected == pytest.approx(0.25), "corrected for two classes"
    assert by_class["b"].corrected == pytest.approx(0.25)


def test_on_a_narrow_terminal_each_row_of_the_tables_is_one_line() -> None:
    titles = ["Japanese cherry in the garden \u685c", "Norway maple at the road"]
    answers = [Prediction(f"{n}", "", titles[n % 2], titles[n % 3 % 2], 90.0) for n in range(40)]
    measured = tuple(compute_metrics(name, answers) for name in ("1001_20001", "1001_20002"))
    evaluation = Evaluation((), measured, (), (), False, {}, (), "", {})
    tables = [
        line
        for line in evaluation_lines(evaluation, 0.9, 60)
        if re.match(r" *(class|\d|Japanese|Norway|is) .*[\d%.1]$", line)
    ]
    assert sum(line.endswith("F1") for line in tables) == 2
    assert all(display_width(line) <= 60 for line in tables), tables
    assert any("\u2026" in line for line in tables)


def test_a_class_without_held_out_images_has_no_scores() -> None:
    answers = [Prediction(f"{n}", "", "a", "b" if n else "a", 90.0) for n in range(4)]
    evaluation = Evaluation((Path("held-out"),), (compute_metrics("v1", answers),), (), (), False, {}, (), "", {})
    lines = [line.split() for line in evaluation_lines(evaluation, 0.9)]
    assert ["b", "0", "-", "-", "-"] in lines and ["a", "4", "100.0", "%", "25.0", "%", "40.0", "%"] in lines
    one, other = evaluation_data(evaluation, 0.9)["versions"][0]["classes"]
    assert (one["precision"], one["recall"], one["f1"]) == (1.0, 0.25, 0.4)
    assert (other["images"], other["precision"], other["recall"], other["f1"]) == (0, None, None, None)
    assert {(point["precision"], point["recall"]) for point in other["curve"]} == {(None, None)}
    frame = EvaluationReport.of(evaluation).classes_to_pandas().set_index("class")
    assert frame["f1"].isna().to_dict() == {"a": False, "b": True}
    missing = {f"{n}": Path("missing") for n in range(4)}
    page = write_html(replace(evaluation, paths=missing), 0.0)
    assert "<td>0<td>-<td>-<td>-</tr>" in page and "<td>4<td>100.0" in page
