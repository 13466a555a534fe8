"""``astica-sync models``."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from astica_sync.cli.command_group import CommandGroup
from astica_sync.cli.open_store import open_account, settings_for
from astica_sync.cli.render.messages import print_note, terminal_width
from astica_sync.cli.render.text import display_width, json_line, safe, shorten, table
from astica_sync.cli.service.removal_commands import remove_model
from astica_sync.clock import local_time
from astica_sync.config import load_key, machine_state_folder
from astica_sync.core.model import ModelInfo
from astica_sync.local.filesystem import MAX_INT64


@click.group("models", cls=CommandGroup, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list and nothing else.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> int:
    """List, create, show and remove models.

    Without a sub-command: list the models of the account.

    \b
    astica-sync models
    astica-sync models create --title Cans --purpose "sort"
    astica-sync models show 1495
    astica-sync models remove 1495
    """
    if ctx.invoked_subcommand is not None:
        return 0
    with open_account() as (service, _, _):
        listed = service.models()
    if as_json:
        click.echo(json_line([_data(model) for model in listed]))
        return 0
    if not listed:
        click.echo("No models yet. To make one: astica-sync init --create TITLE --purpose TEXT")
    else:
        click.echo("\n".join(model_table(listed, terminal_width())))
    return 0


@models.command("create")
@click.option("--title", required=True, help="The title of the model.")
@click.option("--type", "kind", default="image", show_default=True, help="The type of the model.")
@click.option("--purpose", required=True, help="What the model is for.")
@click.option("--tags", default="", help="Tags, separated by commas.")
def create(title: str, kind: str, purpose: str, tags: str) -> int:
    """Make a model and print its id.

    After an interruption run the same command again: it finds the model that was made and makes no second one.

    \b
    astica-sync models create --title Cans --purpose "sort"
    """
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.remote.rate_limiter import limiter_name
    from astica_sync.sync.admin.create_model import CreationAttempt, ModelRequest, create_model

    # One file for each account, since the list of models before an attempt is that of one account.
    name = limiter_name(load_key(os.environ), settings_for(None).train_url)
    attempt = CreationAttempt(machine_state_folder() / f"creating-{name}.json", FileSystem())
    with open_account() as (service, clock, quarantine):
        model = create_model(
            service,
            ModelRequest(title, kind, purpose, tags),
            attempt,
            clock=clock,
            quarantine=quarantine,
            note=print_note,
        )
    click.echo(model.model_id)
    attempt.forget()
    if sys.stdout.isatty():
        print_note(f"Next, in the folder of your class folders: astica-sync init --model {model.model_id}")
    return 0


@models.command("show")
@click.argument("model_id", type=click.IntRange(min=1, max=MAX_INT64 - 1))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def show(model_id: int, as_json: bool) -> int:
    """Show a model and its classes.

    \b
    astica-sync models show 1495
    """
    with open_account() as (service, _, _):
        observation = service.view(model_id)[0]
    if as_json:
        classes = [
            {"class": entry.title, "class_id": entry.class_id, "samples": entry.samples}
            for entry in observation.classes
        ]
        click.echo(json_line({**_data(observation.model), "class_list": classes}))
        return 0
    click.echo("\n".join(model_table([observation.model], terminal_width())))
    if observation.classes:
        rows = [("class", "title", "samples")]
        rows += [(str(entry.class_id), safe(entry.title), f"{entry.samples:,}") for entry in observation.classes]
        click.echo("")
        click.echo("\n".join(table(rows, right=(0, 2))))
    return 0


models.add_command(remove_model)


def _data(model: ModelInfo) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "title": model.title,
        "classes": model.classes,
        "samples": model.samples,
        "size_mb": model.size_mb,
        "version": model.version,
        "trained_at": model.trained_at,
        "created_at": model.created_at,
        "type": model.type,
        "purpose": model.purpose,
        "tags": model.tags,
    }


_COLUMNS: dict[str, Callable[[ModelInfo], str]] = {
    "model": lambda model: str(model.model_id),
    "title": lambda model: safe(model.title),
    "samples": lambda model: _or(model.samples),
    "classes": lambda model: _or(model.classes),
    "version": lambda model: safe(model.version or "none"),
    "trained": lambda model: _time(model.trained_at),
    "created": lambda model: _time(model.created_at),
}
_TITLE = list(_COLUMNS).index("title")
_RIGHT = ("model", "samples", "classes")
_TIMES = ("trained", "created")
_LEFT_OUT_FIRST = ("created", "classes", "version", "trained")
USUAL_TITLE = 20
"""A title is cut to no fewer columns than this before another column is left out."""


def model_table(models: Sequence[ModelInfo], room: int | None = None) -> list[str]:
    """The models in aligned columns. Where those are wider than ``room``, times are dates first; then columns are left
    out, and titles are cut at last, so that no row is broken."""
    dates, names = False, list(_COLUMNS)
    for left_out in ("", "", *_LEFT_OUT_FIRST):
        names = [name for name in names if name != left_out]
        rows = [names, *([_cell(name, model, dates) for name in names] for model in models)]
        right = [names.index(name) for name in _RIGHT if name in names]
        usual = [[*row[:_TITLE], shorten(row[_TITLE], USUAL_TITLE), *row[_TITLE + 1 :]] for row in rows]
        if room is None or max(map(display_width, table(usual, right))) <= room:
            break
        dates = True
    return table(rows, right, room, cut=_TITLE)


def _cell(name: str, model: ModelInfo, dates: bool) -> str:
    text = _COLUMNS[name](model)
    return text.partition(" ")[0] if dates and name in _TIMES else text


def _time(at: float | None) -> str:
    return local_time(at) if at else "-"


def _or(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
