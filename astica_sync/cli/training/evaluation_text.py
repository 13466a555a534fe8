"""An evaluation as text for the terminal."""

from collections import Counter
from collections.abc import Sequence

import click

from astica_sync.cli.render.text import first, number, safe, table
from astica_sync.clock import local_time
from astica_sync.core.evaluation.confidence_sweep import accepted_at, find_threshold
from astica_sync.core.evaluation.paired_difference import wilson_interval
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.training.evaluation.comparison import Comparison
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.metrics import Prediction, VersionMetrics
from astica_sync.training.version_history import MADE_ELSEWHERE, VersionSummary

MOST_LINES = 10
MOST_PAIRS = 5
SHOWN_THRESHOLDS = (50, 70, 90, 95, 99)
MATRIX_CLASSES = 12
"""The confusion matrix of more classes does not fit a terminal."""


def evaluation_lines(evaluation: Evaluation, precision: float, width: int | None = None) -> list[str]:
    """The whole evaluation; ``precision`` is the one that a threshold is looked for. Class titles are shortened where a
    table is wider than ``width``."""
    room = None if width is None else width - len("  ")
    lines: list[str] = []
    if evaluation.model is not None:
        lines.append(f"{safe(evaluation.model.title)}: {_folders(evaluation)}")
    if evaluation.made_elsewhere:
        lines.append(click.style(f"{MADE_ELSEWHERE}; leaks are looked for in them", fg="yellow"))
    for leak in evaluation.leaks[:MOST_LINES]:
        same = "the same bytes as" if leak.same_bytes else "nearly the same picture as"
        lines.append(click.style(f"leak: {safe(leak.image.name)}, {same} {safe(leak.source)}", fg="yellow"))
    if evaluation.leaks:
        count = number(len(evaluation.leaks), "image is", "images are")
        treated = "included" if evaluation.with_leaks else "left out; --leaks includes them"
        lines.append(click.style(f"{count} also in the training data, {treated}", fg="yellow"))
    if evaluation.often_left_out:
        lines.append(click.style(_mostly_left_out(evaluation), fg="yellow"))
    for trained in evaluation.trained_on:
        images_text = number(trained.images, "held-out image")
        lines.append(
            click.style(f"version {safe(trained.version)} was trained on {images_text}; it is not scored", fg="yellow")
        )
    lines += [
        click.style(
            f"the data of version {safe(name)} is not known: it may have been trained on some of these images",
            fg="yellow",
        )
        for name in evaluation.unknown_data
    ]
    lines += [click.style(line, fg="yellow") for line in _doubts(evaluation)]
    lines += [click.style(f"! {safe(refused.reason)}", fg="red") for refused in evaluation.refused]
    for title, images in evaluation.unknown_classes.items():
        lines.append(
            click.style(f"no version knows the class {safe(title)}, {number(images, 'image')} left out", fg="yellow")
        )
    lines += [click.style(f"! {safe(failed.name)}  ({failed.error})", fg="red") for failed in evaluation.failed]
    for one in evaluation.measured:
        lines += ["", *_version_lines(one, len(evaluation.failed), evaluation.data.get(one.version), room)]
        lines += [f"  {line}" for line in ["", *_confidence_lines(one, precision)]]
    for compared in evaluation.compared:
        lines += ["", *_comparison_lines(compared, room)]
    if len(evaluation.measured) > 1:
        lines += ["", *_side_by_side(evaluation, width)]
    if evaluation.baseline is not None and not evaluation.compared:
        lines += [
            "",
            f"Nothing is compared with {safe(evaluation.baseline)}: it was not scored, or no other version was.",
        ]
    return lines


def _folders(evaluation: Evaluation) -> str:
    images = number(evaluation.measured[0].total, "held-out image")
    return f"{images} of {', '.join(safe(str(folder)) for folder in evaluation.folders)}"


def _confidence_lines(one: VersionMetrics, precision: float) -> list[str]:
    """Calibration, and the threshold of the wanted precision."""
    calibration = one.calibration
    if calibration is None:
        return ["The confidences of the answers are missing, or their unit is not known."]
    lines = [f"Calibration error: {percent(calibration.error)} (how far confidence and share of right answers differ)"]
    points = one.sweep()
    found = find_threshold(points, precision)
    if found is None:
        lines.append(f"No confidence gives a precision of {percent(precision)}")
    else:
        low, high = wilson_interval(found.correct, found.answers)
        lines.append(
            f"From a confidence of {found.threshold:g} % on, {percent(found.correct / found.answers)} are right (95 % "
            f"interval: {percent(low)} to {percent(high)}), which is {percent(found.answers / one.total)} of the images"
        )
    rows = [("confidence", "images", "right")]
    for threshold in SHOWN_THRESHOLDS:
        point = accepted_at(points, threshold)
        right = "" if point.precision is None else percent(point.precision)
        rows.append((f"{threshold} % or more", percent(point.answers / one.total), right))
    return [*lines, *(f"  {line}" for line in table(rows, right=(1, 2)))]


def _comparison_lines(compared: Comparison, room: int | None) -> list[str]:
    low, high = compared.overall.interval
    lines = [
        safe(compared.sentence),
        f"  Difference: {percent(compared.overall.value, signed=True)} (95 % interval: {percent(low, signed=True)} to "
        f"{percent(high, signed=True)})",
    ]
    changed = [(title, each) for title, each in compared.classes if each.counts.only_before or each.counts.only_after]
    changed.sort(key=lambda entry: (entry[1].p_value, entry[0]))
    if not changed:
        return lines
    rows = [("class", "images", "recall", "95 % interval", "p, corrected")]
    for title, each in changed[:MOST_LINES]:
        low, high = each.interval
        mark = " *" if each.significant else ""
        p = "< 0.001" if each.corrected < 0.001 else f"{each.corrected:.3f}"
        interval = f"{percent(low, signed=True)} to {percent(high, signed=True)}"
        rows.append((safe(title), f"{each.counts.total:,}", percent(each.value, signed=True), interval, f"{p}{mark}"))
    lines += [f"  {line}" for line in table(rows, right=(1, 2, 3), room=room)]
    if len(changed) > MOST_LINES:
        lines.append(f"  … and {len(changed) - MOST_LINES:,} more (--json lists all)")
    return lines


def _side_by_side(evaluation: Evaluation, width: int | None) -> list[str]:
    """One line for each class, one column for each version."""
    versions = evaluation.measured
    rows = [["recall", *(safe(one.version) for one in versions)]]
    recalls = [{entry.title: entry.recall for entry in one.classes if entry.images} for one in versions]
    rows += [[safe(title), *(percent(recall[title]) for recall in recalls)] for title in sorted(recalls[0])]
    for name, values in (
        ("right", [one.accuracy for one in versions]),
        ("macro F1", [one.macro_f1 for one in versions]),
        ("weighted F1", [one.weighted_f1 for one in versions]),
    ):
        rows.append([name, *(percent(value) for value in values)])
    return table(rows, right=range(1, len(versions) + 1), room=width)


def _doubts(evaluation: Evaluation) -> list[str]:
    """What was not counted or not checked."""
    lines = [
        f"{number(count, 'training image')} of version {safe(name)} cannot be compared with the held-out images: the "
        "bytes are not in the backup, or cannot be decoded"
        for name, count in evaluation.unchecked.items()
    ]
    if evaluation.loose:
        count = number(len(evaluation.loose), "image is", "images are")
        lines.append(f"{count} in no class folder and left out: {_names(evaluation.loose)}")
    if evaluation.ignored:
        count = number(len(evaluation.ignored), "image is", "images are")
        lines.append(f"{count} left out by the .astica-ignore of the folder: {_names(evaluation.ignored)}")
    if evaluation.repeated:
        count = number(len(evaluation.repeated), "image has", "images have")
        lines.append(f"{count} the same bytes as another one of its class, counted once: {_names(evaluation.repeated)}")
    lines += [
        f"the same image is in several classes, so it counts as wrong in one of them: {_names(names)}"
        for names in evaluation.contradictory[:MOST_LINES]
    ]
    if len(evaluation.contradictory) > MOST_LINES:
        lines.append(f"and {number(len(evaluation.contradictory) - MOST_LINES, 'more image')} in several classes")
    for groups, text in (
        (evaluation.similar_across, "nearly the same picture is in several classes"),
        (evaluation.similar, "nearly the same picture, each counted"),
    ):
        lines += [f"{text}: {_names(names)}" for names in groups[:MOST_LINES]]
        if len(groups) > MOST_LINES:
            lines.append(f"and {number(len(groups) - MOST_LINES, 'more such group')}")
    if evaluation.small_classes:
        few = (f"{safe(title)} ({count})" for title, count in evaluation.small_classes.items())
        lines.append(f"few images, so that the figures of these classes say little: {', '.join(few)}")
    return lines


def _names(names: Sequence[str]) -> str:
    listed = ", ".join(safe(name) for name in names[:5])
    return listed if len(names) <= 5 else f"{listed} and {len(names) - 5:,} more"


def _mostly_left_out(evaluation: Evaluation) -> str:
    """Which training images lead to most of the left-out ones: often one picture that all others resemble."""
    similar = Counter(leak.source for leak in evaluation.leaks if not leak.same_bytes)
    leaks, held_out, scored = len(evaluation.leaks), evaluation.held_out, evaluation.measured[0].total
    text = (
        f"{leaks:,} of {held_out:,} images ({percent(leaks / held_out)}) are left out: the scores are about "
        f"{number(scored, 'image')}"
    )
    if not similar:
        return text
    source, images = similar.most_common(1)[0]
    return f"{text}; {number(images, 'image resembles', 'images resemble')} {safe(source)}"


def _data_line(summary: VersionSummary | None) -> str:
    if summary is None:
        return "  its data is not known"
    version = summary.version
    trained = "" if version.trained_at is None else f", trained {local_time(version.trained_at)}"
    if summary.samples is None or summary.classes is None:
        return f"  @{version.number}{trained}; its data is not known"
    count = f"{number(summary.samples, 'sample')} in {number(summary.classes, 'class', 'classes')}"
    return f"  @{version.number}{trained} on {count}"


def _version_lines(one: VersionMetrics, failed: int, summary: VersionSummary | None, room: int | None) -> list[str]:
    lines = [
        f"Version {safe(one.version)}: {percent(one.accuracy)} right, {one.correct:,} of {one.total:,} "
        f"(95 % interval: {percent(one.low)} to {percent(one.high)})",
        _data_line(summary),
        f"  F1: {percent(one.macro_f1)} as the mean of the classes, {percent(one.weighted_f1)} weighted by their "
        "images",
    ]
    if one.unanswered:
        count = number(one.unanswered, "image got", "images got")
        lines.append(f"  {count} an answer without a class, which counts as wrong")
    if failed:
        lines.append(f"  not counted: {number(failed, 'image')} without an answer")
    rows: list[tuple[str, ...]] = [("class", "images", "precision", "recall", "F1")]
    rows += [(safe(entry.title), f"{entry.images:,}", *map(_score, entry.scores)) for entry in one.classes]
    lines += [f"  {line}" for line in table(rows, right=(1, 2, 3, 4), room=room)]
    mistakes = one.mistakes
    if mistakes:
        lines += ["", *_confusion_lines(one, room), ""]
        pairs = one.confused_pairs()
        lines.append("  Most often confused:")
        most = (
            f"    {safe(pair.truth)} as {safe(pair.label)}: {pair.images:,} ({percent(pair.share)})" for pair in pairs
        )
        lines += [*first(most, len(pairs), MOST_PAIRS), ""]
        lines.append("  The worst mistakes:")
        worst = (
            f"    {safe(answer.name)}: {safe(answer.label)}{_confidence(answer)} instead of {safe(answer.truth)}"
            for answer in mistakes
        )
        lines += first(worst, len(mistakes), MOST_LINES)
    return lines


def _score(score: float | None) -> str:
    return "-" if score is None else percent(score)


def _confidence(answer: Prediction) -> str:
    return "" if answer.confidence is None else f" ({percent(answer.confidence / 100)})"


def _confusion_lines(one: VersionMetrics, room: int | None) -> list[str]:
    """The confusion matrix. Columns have numbers, as titles are too long for column heads."""
    places = one.most_confused(MATRIX_CLASSES)
    rest = f", the {len(places)} classes with the most mistakes" if len(places) < len(one.titles) else ""
    rows = [["", "is \\ answer", *(str(column) for column in range(1, len(places) + 1))]]
    for line, place in enumerate(places, 1):
        counts = (f"{one.confusion[place][column]:,}" for column in places)
        rows.append([str(line), safe(one.titles[place]), *(count if count != "0" else "." for count in counts)])
    right = {place for place in range(len(rows[0])) if place != 1}
    return [f"  Answers for each class{rest}:", *(f"  {line}" for line in table(rows, right, room, cut=1))]
