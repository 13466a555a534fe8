"""``astica-sync train``."""

from pathlib import Path

import click

from astica_sync.cli.wiring import open_store, store_option
from astica_sync.cli.words import duration, number
from astica_sync.errors import AsticaSyncError
from astica_sync.sync.listener import Listener


@click.command("train")
@store_option
@click.option("--anyway", is_flag=True, help="Train although service and store differ.")
@click.option("--no-wait", is_flag=True, help="Start the training and return.")
def train(store: Path | None, anyway: bool, no_wait: bool) -> int:
    """Train the model on what the service has, and wait for the new version.

    Refuses while service and store differ, so that a version is made of the data you see.

    \b
    astica-sync train
    astica-sync train --no-wait
    """
    from astica_sync.sync.status import find_status
    from astica_sync.training.train import SECONDS_PER_SAMPLE, start_training, wait_for_version

    with open_store(store, Listener()) as opened:
        parts = opened.parts
        seen = find_status(parts)
        if not anyway and not (seen.plan.in_sync and not seen.refusals):
            raise AsticaSyncError(
                "service and store differ", "Run astica-sync push first, or train --anyway on what the service has."
            )
        before = seen.observation.model
        full = sum(entry.samples > 0 for entry in seen.observation.classes)
        if full < 2:
            raise AsticaSyncError(
                f"a training needs samples in two classes at least, the model has {full}", "Add a class and push it."
            )
        start_training(parts.service, parts.model_id, lambda text: click.echo(text, err=True))
        samples = len(seen.observation.samples)
        expected = duration(max(1.0, samples * SECONDS_PER_SAMPLE))
        click.echo(f"Training on {number(samples, 'sample')}; at 100 ms a sample that is about {expected}", err=True)
        if no_wait:
            return 0
        now = wait_for_version(
            parts.service,
            before,
            clock=parts.clock,
            tell=lambda waited: click.echo(f"still training after {duration(waited)}", err=True),
        )
    click.echo(now.version or "trained")
    return 0
