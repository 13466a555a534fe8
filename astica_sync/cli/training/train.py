"""``astica-sync train``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.context import open_store, store_option
from astica_sync.cli.render.text import duration, number, safe
from astica_sync.cli.render.waits import Waits
from astica_sync.core.versions.version import SECONDS_PER_SAMPLE, USUAL_SECONDS, Training
from astica_sync.errors import Interrupted

if TYPE_CHECKING:
    from astica_sync.api.store import Trained

TELL_EVERY = 15.0


@click.command("train")
@store_option
@click.option("--anyway", is_flag=True, help="Train although service and store differ.")
@click.option("--again", is_flag=True, help="Ask once more when the version of an earlier request is overdue.")
@click.option("--no-wait", is_flag=True, help="Start the training and return.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def train(store: Path | None, anyway: bool, again: bool, no_wait: bool, as_json: bool) -> int:
    """Train the model on what the service has, and wait for the new version.

    Refuses while service and store differ, so that a version is made of the data you see. The exact data is kept as a
    snapshot. Ctrl-C stops the waiting, not the training; the next train or versions picks it up.

    \b
    astica-sync train
    astica-sync train --no-wait
    """
    from astica_sync.api import Store

    progress = _Progress()

    def once_more(training: Training) -> bool:
        if again or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return again
        click.echo(
            f"A training was asked for {_ago(training, clock.now())} ago, and no version has appeared.", err=True
        )
        return click.confirm("Ask the service for it once more?", default=False, err=True)

    def deliver(trained: "Trained") -> None:
        progress.close()
        _print(trained, as_json=as_json)

    with open_store(store, Waits()) as opened:
        clock = opened.session.runtime.clock
        try:
            Store.over(opened).train(
                anyway=anyway,
                again=once_more,
                wait=not no_wait,
                tell=lambda text: click.echo(text, err=True),
                waited=progress.waited,
                deliver=deliver,
            )
        except Interrupted as stop:
            raise Interrupted(
                "stopped waiting", "A training that was begun goes on: astica-sync versions shows when it is done."
            ) from stop
        finally:
            progress.close()
    return 0


def _print(trained: "Trained", *, as_json: bool) -> None:
    name = trained.version.name if trained.version else None
    if as_json:
        data = {"version": name, "snapshot": trained.snapshot, "picked_up": trained.picked_up}
        click.echo(json.dumps(data, ensure_ascii=False))
        return
    if trained.version is None:
        click.echo("Training; astica-sync versions shows when the version is there")
        return
    if trained.picked_up:
        click.echo("An earlier request for the same data has made this version; nothing more was asked for", err=True)
    click.echo(safe(name or "trained; the service shows no name for the version"))


def _ago(training: Training, now: float) -> str:
    return duration(max(0.0, now - training.asked_at))


class _Progress:
    """One line that says how long it has been, on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._told_at: float | None = None

    def waited(self, training: Training, seconds: float) -> None:
        takes = training.samples * SECONDS_PER_SAMPLE
        usual = "5 to 10 min are usual" if takes <= USUAL_SECONDS else f"about {duration(takes)} at 100 ms a sample"
        text = f"Training on {number(training.samples, 'sample')} for {duration(seconds)}; {usual}"
        if self._terminal:
            click.echo(f"\r\033[K{text}", nl=False, err=True)
        elif self._told_at is None or seconds - self._told_at >= TELL_EVERY:
            click.echo(text, err=True)
        else:
            return
        self._told_at = seconds

    def close(self) -> None:
        if self._terminal and self._told_at is not None:
            click.echo("", err=True)
            self._told_at = None
