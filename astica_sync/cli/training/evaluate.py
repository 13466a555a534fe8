"""``astica-sync evaluate``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import DONE, SOME_FAILED
from astica_sync.cli.open_store import FOLDER, open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm, print_lines, terminal_width
from astica_sync.cli.render.report_file import check_report_file, note_in_store, write_report
from astica_sync.cli.render.text import duration, json_line, number, safe
from astica_sync.errors import GuardRefused

if TYPE_CHECKING:
    from astica_sync.api.run_evaluation import PlannedEvaluation


class Precision(click.ParamType[float]):
    """A precision such as ``0.95`` or ``95%``."""

    name = "PRECISION"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            precision = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            precision = 0.0
        if not 0 < precision <= 1:
            self.fail(f"{value!r} is not a precision such as 0.95", param, ctx)
        return precision


@click.command("evaluate")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...", type=FOLDER)
@store_option
@click.option("--versions", "chosen", metavar="A,B|all", help="The versions to score; by default the latest.")
@click.option("--baseline", metavar="VERSION", help="Compare the others with this version, not with the one before.")
@click.option("--leaks", is_flag=True, help="Include images that are also in the training data.")
@click.option(
    "--precision",
    type=Precision(),
    default="0.95",
    show_default=True,
    help="Show the lowest confidence from which so many answers are right.",
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report to this file.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write each answer to this .csv or .parquet file.",
)
@click.option("--dry-run", is_flag=True, help="Show what it would cost; ask no version.")
@click.option("--yes", is_flag=True, help="Start without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def evaluate(
    folders: tuple[Path, ...],
    store: Path | None,
    chosen: str | None,
    baseline: str | None,
    leaks: bool,
    precision: float,
    html: Path | None,
    predictions: Path | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Score versions on held-out images.

    FOLDER has one sub-folder for each class, and its images are never added to the model. An image that is also in the
    store or in the data of a version, with the same bytes or as nearly the same picture, is listed and left out. On a
    terminal, the number of requests is shown first, with a question.

    \b
    astica-sync evaluate held-out
    astica-sync evaluate held-out --versions @1,@2
    astica-sync evaluate held-out --versions all --baseline @1
    astica-sync evaluate held-out --html report.html
    astica-sync evaluate held-out --predictions a.csv
    """
    from astica_sync.api import Store
    from astica_sync.cli.training.evaluation_json import evaluation_data
    from astica_sync.cli.training.evaluation_text import evaluation_lines
    from astica_sync.cli.training.predictions_file import check_predictions_file, write_predictions
    from astica_sync.cli.training.unsupported_files import print_unsupported

    names = [name.strip() for name in chosen.split(",") if name.strip()] if chosen else None
    if chosen is not None and not names:
        raise click.UsageError("--versions takes names separated by commas, or all.")
    if html is not None:
        check_report_file(html, "--html")
    if predictions is not None:
        check_predictions_file(predictions)
    progress = Progress()
    with open_store(store, progress) as opened:
        api = Store.over(opened)
        planned = api.plan_evaluation(folders, names, with_leaks=leaks, baseline=baseline)
        print_unsupported(planned.held_out.unsupported, "evaluate", as_json=as_json)
        if dry_run:
            click.echo(json_line(_price_data(planned)) if as_json else _price_line(planned))
            return DONE
        if planned.requests and not as_json:
            progress.note(_price_line(planned))
            if not yes and _at_terminal():
                progress.close()
                if not confirm("Start?", default=True):
                    raise GuardRefused(
                        f"sending {number(planned.requests, 'request')} was not confirmed; none was sent",
                        "To start without a question, run the same command with --yes.",
                    )
        evaluation = api.run_evaluation(planned, progress.answered)
        now = opened.session.runtime.clock.now()
    if html is not None:
        from astica_sync.training.evaluation.html_report import write_html

        write_report(html, write_html(evaluation, now, opened.session.local.preparer.recipe))
    if predictions is not None:
        write_predictions(predictions, evaluation)
    if as_json:
        click.echo(json_line(evaluation_data(evaluation, precision)))
    else:
        print_lines(evaluation_lines(evaluation, precision, terminal_width()))
        if html is not None:
            click.echo(f"\nReport: {safe(str(html))}")
        if predictions is not None:
            click.echo(f"\nAnswers: {safe(str(predictions))}")
    for file in (html, predictions):
        if file is not None:
            note_in_store(file, opened.layout.root)
    return SOME_FAILED if evaluation.failed or evaluation.refused else DONE


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _price_data(planned: "PlannedEvaluation") -> dict[str, object]:
    return {
        "versions": list(planned.versions),
        "images": planned.images,
        "requests": planned.requests,
        "eta_seconds": round(planned.seconds, 1),
    }


def _price_line(planned: "PlannedEvaluation") -> str:
    versions, images = number(len(planned.versions), "version"), number(planned.images, "image")
    if not planned.requests:
        return f"{versions} on {images}: every answer is cached, so no request is sent"
    takes = f", about {duration(planned.seconds)}" if planned.seconds >= 1 else ""
    return f"{versions} on {images}: {number(planned.requests, 'request')}{takes}"
