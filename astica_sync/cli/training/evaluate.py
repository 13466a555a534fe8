"""``astica-sync evaluate``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.exit_codes import DONE, SOME_FAILED
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import first, json_line, json_name, number, safe, table
from astica_sync.errors import AsticaSyncError

if TYPE_CHECKING:
    from astica_sync.training.evaluate import Evaluation
    from astica_sync.training.metrics import Prediction, VersionMetrics

MOST_LINES = 10
MATRIX_CLASSES = 12
"""The confusion matrix of more classes does not fit a terminal."""


@click.command("evaluate")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@store_option
@click.option("--versions", "chosen", metavar="A,B|all", help="The versions to score; by default the latest.")
@click.option("--leaks", is_flag=True, help="Include images that are also in the training data.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def evaluate(
    folder: Path, store: Path | None, chosen: str | None, leaks: bool, html: Path | None, as_json: bool
) -> int:
    """Score versions on held-out images.

    FOLDER has one sub-folder for each class, and its images are never added to the model. An image that is also in the
    store or in the data of a version, with the same bytes or as nearly the same picture, is listed and left out.

    \b
    astica-sync evaluate held-out
    astica-sync evaluate held-out --versions @1,@2
    astica-sync evaluate held-out --html report.html
    """
    from astica_sync.api import Store
    from astica_sync.local.target_folder import write_user_file
    from astica_sync.training.evaluation_report import write_html

    names = [name.strip() for name in chosen.split(",") if name.strip()] if chosen else None
    if chosen is not None and not names:
        raise click.UsageError("--versions takes names separated by commas, or all.")
    progress = Progress()
    with open_store(store, progress) as opened:
        evaluation = Store.over(opened).evaluate(folder, names, with_leaks=leaks, on_progress=progress.answered)
        now = opened.session.runtime.clock.now()
    if html is not None:
        try:
            write_user_file(html, write_html(evaluation, now).encode("utf-8", "backslashreplace"), 0o600)
        except OSError as error:
            raise AsticaSyncError(
                f"cannot write {html}: {error.strerror}", "Write the report to another file: --html FILE"
            ) from error
    if as_json:
        click.echo(json_line(_data(evaluation)))
    else:
        print_lines(_lines(evaluation))
        if html is not None:
            click.echo(f"\nReport: {safe(str(html))}")
    return SOME_FAILED if evaluation.failed or evaluation.refused else DONE


def _data(evaluation: "Evaluation") -> dict[str, Any]:
    return {
        "folder": json_name(str(evaluation.folder)),
        "images": evaluation.images_hash,
        "versions": [_version_data(one) for one in evaluation.measured],
        "comparisons": [
            {
                "before": one.before,
                "after": one.after,
                "only_before": one.only_before,
                "only_after": one.only_after,
                "p": one.p_value,
                "sentence": one.sentence,
            }
            for one in evaluation.compared
        ],
        "leaks": [
            {"path": json_name(leak.image.name), "source": json_name(leak.source), "same_bytes": leak.same_bytes}
            for leak in evaluation.leaks
        ],
        "leaks_left_out": not evaluation.with_leaks,
        "unknown_classes": dict(evaluation.unknown_classes),
        "failed": [{"path": json_name(one.name), "reason": one.error} for one in evaluation.failed],
        "refused": [{"version": one.version, "reason": one.reason} for one in evaluation.refused],
        "trained_on": [{"version": one.version, "images": one.images} for one in evaluation.trained_on],
        "unknown_data": list(evaluation.unknown_data),
        "unchecked": dict(evaluation.unchecked),
        "ignored": [json_name(name) for name in evaluation.ignored],
        "loose": [json_name(name) for name in evaluation.loose],
        "repeated": [json_name(name) for name in evaluation.repeated],
        "contradictory": [[json_name(name) for name in names] for names in evaluation.contradictory],
    }


def _version_data(one: "VersionMetrics") -> dict[str, Any]:
    from astica_sync.training.metrics import NO_ANSWER

    return {
        "version": one.version,
        "right": one.correct,
        "shown": one.total,
        "no_answer": one.unanswered,
        "accuracy": one.accuracy,
        "interval": [one.low, one.high],
        "classes": [
            {
                "class": entry.title,
                "images": entry.images,
                "precision": entry.precision,
                "recall": entry.recall,
                "f1": entry.f1,
            }
            for entry in one.classes
        ],
        "confusion": {"titles": list(one.titles), "rows": [list(row) for row in one.confusion]},
        "mistakes": [
            {
                "path": json_name(answer.name),
                "class": answer.truth,
                "output": None if answer.label == NO_ANSWER else answer.label,
                "confidence": answer.confidence,
            }
            for answer in one.mistakes
        ],
    }


def _lines(evaluation: "Evaluation") -> list[str]:
    lines: list[str] = []
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
        lines += ["", *_version_lines(one, len(evaluation.failed))]
    for compared in evaluation.compared:
        lines += ["", safe(compared.sentence)]
    return lines


def _doubts(evaluation: "Evaluation") -> list[str]:
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
    return lines


def _names(names: Sequence[str]) -> str:
    listed = ", ".join(safe(name) for name in names[:5])
    return listed if len(names) <= 5 else f"{listed} and {len(names) - 5:,} more"


def _mostly_left_out(evaluation: "Evaluation") -> str:
    """Which training images lead to most of the left-out ones: often one picture that all others resemble."""
    similar = Counter(leak.source for leak in evaluation.leaks if not leak.same_bytes)
    leaks, held_out, scored = len(evaluation.leaks), evaluation.held_out, evaluation.measured[0].total
    text = (
        f"{leaks:,} of {held_out:,} images ({leaks / held_out:.0%}) are left out: the scores are about "
        f"{number(scored, 'image')}"
    )
    if not similar:
        return text
    source, images = similar.most_common(1)[0]
    return f"{text}; {number(images, 'image resembles', 'images resemble')} {safe(source)}"


def _version_lines(one: "VersionMetrics", failed: int) -> list[str]:
    lines = [
        f"Version {safe(one.version)}: {one.accuracy:.1%} right, {one.correct:,} of {one.total:,} "
        f"(95 % interval: {one.low:.1%} to {one.high:.1%})"
    ]
    if one.unanswered:
        count = number(one.unanswered, "image got", "images got")
        lines.append(f"  {count} an answer without a class, which counts as wrong")
    if failed:
        lines.append(f"  not counted: {number(failed, 'image')} for which a request failed")
    rows = [("class", "images", "precision", "recall", "F1")]
    rows += [
        (safe(entry.title), f"{entry.images:,}", f"{entry.precision:.1%}", f"{entry.recall:.1%}", f"{entry.f1:.1%}")
        for entry in one.classes
    ]
    lines += [f"  {line}" for line in table(rows, right=(1, 2, 3, 4))]
    mistakes = one.mistakes
    if mistakes:
        lines += ["", *_confusion_lines(one), ""]
        lines.append("  The worst mistakes:")
        worst = (
            f"    {safe(answer.name)}: {safe(answer.label)}{_confidence(answer)} instead of {safe(answer.truth)}"
            for answer in mistakes
        )
        lines += first(worst, len(mistakes), MOST_LINES)
    return lines


def _confidence(answer: "Prediction") -> str:
    return "" if answer.confidence is None else f" ({answer.confidence:.0f} %)"


def _confusion_lines(one: "VersionMetrics") -> list[str]:
    """The confusion matrix. Columns have numbers, as titles are too long for column heads."""
    places = one.most_confused(MATRIX_CLASSES)
    rest = f", the {len(places)} classes with the most mistakes" if len(places) < len(one.titles) else ""
    rows = [["", "is \\ answer", *(str(column) for column in range(1, len(places) + 1))]]
    for line, place in enumerate(places, 1):
        counts = (f"{one.confusion[place][column]:,}" for column in places)
        rows.append([str(line), safe(one.titles[place]), *(count if count != "0" else "." for count in counts)])
    right = {place for place in range(len(rows[0])) if place != 1}
    return [f"  Answers for each class{rest}:", *(f"  {line}" for line in table(rows, right))]
