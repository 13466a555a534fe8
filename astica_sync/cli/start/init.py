"""``astica-sync init``."""

import contextlib
import os
from pathlib import Path

import click

from astica_sync.cli.context import clean_stop, open_service, settings_for
from astica_sync.cli.render.messages import print_note
from astica_sync.cli.render.text import number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.cli.render.waits import Waits
from astica_sync.clock import SystemClock
from astica_sync.config import load_key, read_default
from astica_sync.errors import StoreChanged, StoreError
from astica_sync.file_owner import name_of
from astica_sync.local.create_store import check_place, create_store
from astica_sync.local.identity import read_sentinel
from astica_sync.local.layout import Layout
from astica_sync.local.state_folder import check_state_folder, foreign_owners
from astica_sync.open_session import trust_file
from astica_sync.trusted_addresses import owners_of, trust_address, trust_owner

INTENT = "creating.json"
DEFAULT_TYPE = "image"
MODEL_OR_CREATE = "Give either --model ID (astica-sync models lists them) or --create TITLE."


@click.command("init")
@click.argument("store", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--model", "model_id", type=click.IntRange(min=1), metavar="ID", help="Mirror this model of your account."
)
@click.option("--create", "title", metavar="TITLE", help="Make a new model with this title, and mirror it.")
@click.option(
    "--type", "kind", default=DEFAULT_TYPE, show_default=True, help="With --create: the type of the new model."
)
@click.option("--purpose", help="With --create: what the new model is for.")
@click.option("--tags", default="", help="With --create: tags of the new model, separated by commas.")
@click.option("--rebind", is_flag=True, help="Let a store that mirrors another model mirror this one from now on.")
def init(
    store: Path | None,
    model_id: int | None,
    title: str | None,
    kind: str,
    purpose: str | None,
    tags: str,
    rebind: bool,
) -> int:
    """Make a folder the store of a model.

    STORE is a folder with one sub-folder for each class, by default the current folder. Nothing is uploaded. In a
    store that was copied, moved to another disk or restored, init without options makes this copy the one that writes
    from now on.

    \b
    astica-sync init --model 1495
    astica-sync init photos --create Cans --purpose "sort"
    """
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.sync.admin.create_model import CreationAttempt, ModelRequest, create_model

    if model_id is not None and title is not None:
        raise click.UsageError(MODEL_OR_CREATE)
    if title is not None and not all(text and text.strip() for text in (title, kind, purpose)):
        raise click.UsageError("--create needs a title and --purpose.")
    layout = check_place(store or Path.cwd())
    if layout.state.exists():
        check_state_folder(layout, owners_of(trust_file(), layout.root))
    again = model_id is None and title is None
    if again:
        model_id = _bound_model(layout)
    attempt = CreationAttempt(layout.state / INTENT, FileSystem())
    if title is not None and not rebind and not attempt.path.exists():
        _refuse_bound(layout)
    settings = settings_for(layout if again else None)
    key = load_key(os.environ)
    clock = SystemClock()
    with clean_stop(clock), open_service(settings, key, clock, Waits()) as service:
        if title is not None:
            model = create_model(
                service,
                ModelRequest(title, kind, purpose or "", tags),
                attempt,
                clock=clock,
                quarantine=settings.quarantine,
                note=print_note,
            )
        else:
            assert model_id is not None
            model = service.view(model_id)[0].model
    create_store(layout.root, model_id=model.model_id, train_url=settings.train_url, now=clock.now(), rebind=rebind)
    for owner in foreign_owners(layout):
        # The user named this folder, so it may go on belonging to them.
        trust_owner(trust_file(), layout.root, owner, clock.now())
        print_note(f"Files of {name_of(owner)} are allowed in this store: astica-sync trust --list")
    if settings.train_url != read_default("train_url"):
        # The user gave this address, so the store may go on using it.
        trust_address(trust_file(), layout.root, settings.train_url, clock.now())
    if title is not None:
        attempt.forget()
    click.echo(f'{safe(str(layout.root))} mirrors model {model.model_id} "{safe(model.title)}"')
    if verbosity() is Verbosity.QUIET:
        return 0
    if model.samples:
        click.echo(
            f"The model has {number(model.samples, 'sample')}. Those that are not in the store are left as they are."
        )
    click.echo("Next: astica-sync status, then astica-sync push")
    return 0


def _bound_model(layout: Layout) -> int:
    """The model that the folder already mirrors."""
    try:
        return read_sentinel(layout).model_id
    except StoreChanged:
        raise click.UsageError(MODEL_OR_CREATE) from None


def _refuse_bound(layout: Layout) -> None:
    """Refuses a folder that is a store already, before a model is made in vain.

    Raises:
        StoreError: the folder is the store of a model.
    """
    with contextlib.suppress(StoreChanged):
        bound = read_sentinel(layout).model_id
        raise StoreError(
            f"{layout.root} is already the store of model {bound}",
            "No model was made. Use another folder, or --rebind to give this store a new model.",
        )
