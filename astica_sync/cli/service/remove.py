"""``astica-sync remove-sample``, ``remove-class`` and ``models remove``: what no push removes, by its id."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.context import find, open_account, open_store, settings_for, store_option
from astica_sync.cli.render.text import first, number, safe
from astica_sync.core.model import RemoteSample
from astica_sync.errors import AsticaSyncError, GuardRefused, NoStore
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from astica_sync.sync.admin.remove_unmanaged import UnmanagedRemoval

model_option = click.option(
    "--model", "model_id", type=click.IntRange(min=1), help="The model; the one of the store when left out."
)
lose_option = click.option(
    "--lose-unmanaged",
    "lose",
    type=click.IntRange(min=0),
    metavar="N",
    help="Remove although N samples are in no backup; N is the number that is shown.",
)


@click.command("remove-sample")
@click.argument("sample_id", type=click.IntRange(min=1))
@store_option
@model_option
@click.option("--yes", is_flag=True, help="Remove without a question.")
def remove_sample(sample_id: int, store: Path | None, model_id: int | None, yes: bool) -> int:
    """Remove one sample that was made elsewhere, by its id (pull-status shows it).

    A sample that the store manages goes by removing its file, and a push.

    \b
    astica-sync remove-sample 132726
    """
    with subject(store, model_id) as removing:
        found = [sample for sample in removing.view() if sample.sample_id == sample_id]
        if not found:
            raise AsticaSyncError(
                f"model {removing.model_id} has no sample {sample_id}", "astica-sync pull-status shows the ids."
            )
        sample, lost = found[0], removing.find_lost(found)
        kept = "its bytes are in no backup here" if lost else "its bytes are in the backup"
        what = f"{safe(sample.class_title)}  #{sample_id} {safe(sample.uid)}  ({kept})"
        # Whoever names one sample by its id has named what is lost.
        _agree(removing, found, what, lose=len(lost), yes=yes)
        removing.remove_sample(sample)
    click.echo(f"Removed sample {sample_id}")
    return 0


@click.command("remove-class")
@click.argument("class_id", type=click.IntRange(min=1))
@store_option
@model_option
@lose_option
@click.option("--yes", is_flag=True, help="Remove without a question.")
def remove_class(class_id: int, store: Path | None, model_id: int | None, lose: int | None, yes: bool) -> int:
    """Remove a class that was made elsewhere with all that is in it, by its id (models show tells it).

    A class that holds samples of the store goes by removing its folder, and a push.

    \b
    astica-sync remove-class 11
    """
    with subject(store, model_id) as removing:
        observation = removing.view()
        titles = [entry.title for entry in observation.classes if entry.class_id == class_id]
        if not titles:
            raise AsticaSyncError(
                f"model {removing.model_id} has no class {class_id}",
                f"astica-sync models show {removing.model_id} lists them.",
            )
        samples = [sample for sample in observation if sample.class_id == class_id]
        what = f"Class {safe(titles[0])} with {number(len(samples), 'sample')}"
        _agree(removing, samples, what, lose=lose, yes=yes)
        removing.remove_class(class_id, titles[0], samples)
    click.echo(f"Removed class {safe(titles[0])} with {number(len(samples), 'sample')}")
    return 0


@click.command("remove")
@click.argument("model_id", type=click.IntRange(min=1))
@store_option
@lose_option
@click.option("--yes", is_flag=True, help="Remove without typing the title.")
def remove_model(model_id: int, store: Path | None, lose: int | None, yes: bool) -> int:
    """Remove a model and all that is in it.

    Only when the backup of the store that mirrors it can give every sample back; otherwise give the number that is
    shown. All versions go with it.
    """
    with subject(store, model_id) as removing:
        observation = removing.view()
        samples = list(observation)
        title = observation.model.title
        _refuse_loss(removing, samples, lose)
        click.echo(
            f"Model {model_id} {safe(title)!r} with {number(len(samples), 'sample')}, and all its versions", err=True
        )
        if not yes:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise GuardRefused("nobody said yes; nothing was removed", "If that is right, give --yes.")
            if click.prompt("Type its title to remove it for good", err=True).strip() != title.strip():
                raise GuardRefused(
                    "that is not its title; nothing was removed", "Type it as it is printed, or give --yes."
                )
        removing.remove_model(samples)
    click.echo(f"Removed model {model_id}")
    return 0


@contextlib.contextmanager
def subject(store: Path | None, model_id: int | None) -> "Iterator[UnmanagedRemoval]":
    """The model, with the store that mirrors it where there is one here.

    Raises:
        NoStore: neither a store nor a model was named.
        AsticaSyncError: the named store mirrors another model.
    """
    from astica_sync.local.backup.records import Records
    from astica_sync.local.identity import read_sentinel
    from astica_sync.local.lock import writer_lock
    from astica_sync.sync.admin.remove_unmanaged import UnmanagedRemoval

    try:
        layout = find(store)
    except NoStore:
        if store is not None or model_id is None:
            raise
        layout = None
    if layout is not None:
        bound = read_sentinel(layout)
        mirrors = model_id in (None, bound.model_id) and settings_for(layout).train_url == bound.train_url
        if not mirrors and store is not None:
            raise AsticaSyncError(f"{layout.root} mirrors model {bound.model_id}", "Name its own store, or none.")
        layout = layout if mirrors else None
    if layout is not None:
        with open_store(layout.root, ProgressListener()) as opened, writer_lock(layout):
            local, remote = opened.session.local, opened.session.remote
            yield UnmanagedRemoval(
                remote.service,
                opened.session.runtime.clock,
                opened.session.policy.quarantine,
                remote.model_id,
                local.backup,
                local.journal,
                Records(local.backup.root, local.fs, remote.model_id),
            )
        return
    assert model_id is not None
    with open_account() as (service, clock, quarantine):
        yield UnmanagedRemoval(service, clock, quarantine, model_id)


def _refuse_managed(removing: "UnmanagedRemoval", samples: Sequence[RemoteSample]) -> None:
    managed = sum(removing.is_managed(sample) for sample in samples)
    if managed:
        raise GuardRefused(
            f"{number(managed, 'sample is', 'samples are')} managed by the store; nothing was removed",
            "Remove the files from the store, then push: what goes can then be put back.",
        )


def _refuse_loss(removing: "UnmanagedRemoval", samples: Sequence[RemoteSample], lose: int | None) -> None:
    lost = removing.find_lost(samples)
    if len(lost) == (lose or 0):
        return
    names = [f"  {safe(one.class_title)}  #{one.sample_id} {safe(one.uid)}".rstrip() for one in lost]
    click.echo("\n".join(first(names, len(names))), err=True)
    raise GuardRefused(
        f"{number(len(lost), 'sample is', 'samples are')} in no backup here and would be lost; nothing was removed",
        f"If that is right: --lose-unmanaged {len(lost)}",
    )


def _agree(
    removing: "UnmanagedRemoval", samples: Sequence[RemoteSample], what: str, *, lose: int | None, yes: bool
) -> None:
    """Goes on when none of it is the store's, what would be lost was counted, and a person said yes."""
    _refuse_managed(removing, samples)
    _refuse_loss(removing, samples, lose)
    click.echo(what, err=True)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise GuardRefused(
            "nobody said yes; nothing was removed", "If that is right, give the same command with --yes."
        )
    if not click.confirm("Remove it for good? The service gives none back.", default=False, err=True):
        raise GuardRefused("you said no; nothing was removed", "Give the same command again if you think otherwise.")
