"""``astica-sync train``."""

import math
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.open_store import open_store, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm, print_lines, print_note
from astica_sync.cli.render.status_output import held_out_warning
from astica_sync.cli.render.text import countdown, duration, json_line, number, safe
from astica_sync.core.versions.pending_training import SECONDS_PER_SAMPLE, USUAL_SECONDS, Training
from astica_sync.errors import Interrupted

if TYPE_CHECKING:
    from astica_sync.api.run_training import TrainingResult


@click.command("train")
@store_option
@click.option("--anyway", is_flag=True, help="Train although the service is not in sync with the store.")
@click.option("--again", is_flag=True, help="Request again, as the training that was requested before has failed.")
@click.option("--no-wait", is_flag=True, help="Start the training and return immediately.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def train(store: Path | None, anyway: bool, again: bool, no_wait: bool, as_json: bool) -> int:
    """Train the model and wait for the version.

    Refuses while the service is not in sync with the store, so that a version is made of the data you see. The exact
    data is kept as a snapshot. Ctrl-C stops the waiting and not the training; the next train or versions command
    continues with it. The service does not tell when a training fails: no version appears. With --again it is requested
    again, at once if the service had confirmed the request; it refuses while it is still training.

    \b
    astica-sync train
    astica-sync train --no-wait
    """
    from astica_sync.api import Store
    from astica_sync.sync.plan.held_out_images import find_held_out_images

    progress = Progress()

    def confirm_again(training: Training) -> bool:
        if again or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return again
        click.echo(
            f"A training was requested {_ago(training, clock.now())} ago, and no version has appeared.", err=True
        )
        return confirm("Request it again?")

    def deliver(trained: "TrainingResult") -> None:
        progress.close()
        _print(trained, as_json=as_json)

    with open_store(store, progress) as opened:
        clock, local = opened.session.runtime.clock, opened.session.local
        if warning := held_out_warning(find_held_out_images(local.journal, local.index)):
            print_lines(warning, err=True)
        try:
            Store.over(opened).train(
                anyway=anyway,
                again=confirm_again,
                wait=not no_wait,
                on_message=print_note,
                on_wait=partial(_show, progress),
                on_result=deliver,
                early=again,
            )
        except Interrupted as stop:
            raise Interrupted(
                "stopped waiting", "The training continues on the service. To see when it is done: astica-sync versions"
            ) from stop
    return 0


def _print(trained: "TrainingResult", *, as_json: bool) -> None:
    name = trained.version.name if trained.version else None
    if as_json:
        data = {"version": name, "snapshot": trained.snapshot, "picked_up": trained.picked_up}
        click.echo(json_line(data))
        return
    if trained.version is None:
        print_lines(["Training. To see when the version is ready: astica-sync versions"])
        return
    if trained.picked_up:
        print_note("An earlier request for the same data made this version; no training was requested")
    click.echo(safe(name or "trained; the service gave the version no name"))


def _ago(training: Training, now: float) -> str:
    return duration(max(0.0, now - training.asked_at))


def _show(progress: Progress, training: Training, seconds: float) -> None:
    """Shows how long a training has taken."""
    takes = training.samples * SECONDS_PER_SAMPLE
    usual = "5 to 10 min are usual" if takes <= USUAL_SECONDS else f"about {duration(takes)} at 100 ms for each sample"

    def text(seconds: float) -> str:
        line = f"Training on {number(training.samples, 'sample')} for {countdown(math.floor(seconds))}; {usual}"
        if seconds > max(takes, USUAL_SECONDS):
            line += "; it may have failed, which the service does not tell: Ctrl-C, then astica-sync train --again"
        return line

    progress.works(text, seconds)
