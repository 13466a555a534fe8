"""``astica-sync remove-sample``, ``remove-class`` and ``models remove``: removals that no push does, by id."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.open_store import find, open_account, open_store, settings_for, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm
from astica_sync.cli.render.text import first, number, safe
from astica_sync.core.model import RemoteSample
from astica_sync.errors import AsticaSyncError, GuardRefused, NoStore, StoreUnreadable

if TYPE_CHECKING:
    from astica_sync.sync.admin.explicit_removal import UnmanagedRemoval

model_option = click.option(
    "--model", "model_id", type=click.IntRange(min=1), metavar="ID", help="The model; by default that of the store."
)
lose_option = click.option(
    "--lose-unmanaged",
    "lose",
    type=click.IntRange(min=0),
    metavar="N",
    help="Remove although N samples are not in the backup; N is the printed number.",
)


@click.command("remove-sample")
@click.argument("sample_id", type=click.IntRange(min=1))
@store_option
@model_option
@lose_option
@click.option("--yes", is_flag=True, help="Remove without asking.")
def remove_sample(sample_id: int, store: Path | None, model_id: int | None, lose: int | None, yes: bool) -> int:
    """Remove one unmanaged sample, by its id.

    astica-sync status lists the unmanaged samples with their ids. To remove a managed sample, remove its file from
    the store and push. A sample that is not in the backup is removed with --lose-unmanaged 1 only.

    \b
    astica-sync remove-sample 132726
    """
    with model_to_remove_from(store, model_id) as removing:
        matching = [sample for sample in removing.view() if sample.sample_id == sample_id]
        if not matching:
            raise AsticaSyncError(
                f"model {removing.remote.model_id} has no sample {sample_id}", "To list the ids: astica-sync status"
            )
        sample, lost = matching[0], removing.find_lost(matching)
        backup = "not in the backup" if lost else "in the backup"
        what = f"{safe(sample.class_title)}  #{sample_id} {safe(sample.uid)}  ({backup})"
        _confirm(removing, matching, what, lose=lose, yes=yes)
        removing.remove_sample(sample)
    click.echo(f"Removed sample {sample_id}")
    return 0


@click.command("remove-class")
@click.argument("class_id", type=click.IntRange(min=1))
@store_option
@model_option
@lose_option
@click.option("--yes", is_flag=True, help="Remove without asking.")
def remove_class(class_id: int, store: Path | None, model_id: int | None, lose: int | None, yes: bool) -> int:
    """Remove one unmanaged class and its samples, by its id.

    astica-sync models show lists the classes with their ids. To remove a class with managed samples, remove its
    folder from the store and push.

    \b
    astica-sync remove-class 11
    """
    with model_to_remove_from(store, model_id) as removing:
        observation = removing.view()
        titles = [entry.title for entry in observation.classes if entry.class_id == class_id]
        if not titles:
            raise AsticaSyncError(
                f"model {removing.remote.model_id} has no class {class_id}",
                f"To list the classes: astica-sync models show {removing.remote.model_id}",
            )
        samples = [sample for sample in observation if sample.class_id == class_id]
        what = f"Class {safe(titles[0])} with {number(len(samples), 'sample')}"
        _confirm(removing, samples, what, lose=lose, yes=yes)
        removing.remove_class(class_id, titles[0], samples)
    click.echo(f"Removed class {safe(titles[0])} with {number(len(samples), 'sample')}")
    return 0


@click.command("remove")
@click.argument("model_id", type=click.IntRange(min=1))
@store_option
@lose_option
@click.option("--yes", is_flag=True, help="Remove without asking for the title.")
def remove_model(model_id: int, store: Path | None, lose: int | None, yes: bool) -> int:
    """Remove a model with its samples and versions.

    Refused where samples of the model are not in the backup of its store, unless --lose-unmanaged gives their number.

    \b
    astica-sync models remove 1495
    """
    with model_to_remove_from(store, model_id) as removing:
        observation = removing.view()
        samples = list(observation)
        title = observation.model.title
        _refuse_loss(removing, samples, lose)
        click.echo(
            f"Model {model_id} {safe(title)!r} with {number(len(samples), 'sample')}, and all its versions", err=True
        )
        if not yes:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise GuardRefused("not confirmed; nothing was removed", "To remove it without a question: --yes")
            if click.prompt("Type the title to remove the model permanently", err=True).strip() != title.strip():
                raise GuardRefused(
                    "that is not the title; nothing was removed", "Type it as it is printed, or use --yes."
                )
        removing.remove_model(samples)
    click.echo(f"Removed model {model_id}")
    return 0


@contextlib.contextmanager
def model_to_remove_from(store: Path | None, model_id: int | None) -> "Iterator[UnmanagedRemoval]":
    """The model, with the store that mirrors it where the current folder or ``store`` is in one.

    Raises:
        NoStore: neither a store nor a model was named.
        AsticaSyncError: the named store mirrors another model.
    """
    from astica_sync.local.store_sentinel import read_sentinel
    from astica_sync.sync.admin.explicit_removal import UnmanagedRemoval
    from astica_sync.sync.session import RemoteSide

    try:
        layout = find(store)
    except NoStore as error:
        if store is not None or model_id is None or isinstance(error, StoreUnreadable):
            raise
        layout = None
    if layout is not None:
        bound = read_sentinel(layout)
        mirrors = model_id in (None, bound.model_id) and settings_for(layout, offline=True).train_url == bound.train_url
        if not mirrors and store is not None:
            raise AsticaSyncError(
                f"{layout.root} mirrors model {bound.model_id}", "Use the store of that model, or no --store."
            )
        layout = layout if mirrors else None
    if layout is not None:
        with open_store(layout.root, Progress()) as opened, opened.session.local.lock(layout):
            session = opened.session
            yield UnmanagedRemoval(
                session.remote,
                session.runtime.clock,
                session.policy.quarantine,
                session.local,
                session.listener,
                session.policy.owned,
            )
        return
    assert model_id is not None
    with open_account() as (service, clock, quarantine):
        yield UnmanagedRemoval(RemoteSide(service, model_id), clock, quarantine)


def _refuse_managed(removing: "UnmanagedRemoval", samples: Sequence[RemoteSample]) -> None:
    managed = len(removing.find_managed(samples))
    if managed:
        raise GuardRefused(
            f"{number(managed, 'sample is', 'samples are')} managed by the store; nothing was removed",
            "Remove their files from the store, then: astica-sync push",
        )


def _refuse_others(removing: "UnmanagedRemoval", samples: Sequence[RemoteSample]) -> None:
    """Refuses the samples of classes that another store manages."""
    others = [one for one in samples if not removing.owned.covers(one.class_title)]
    if others:
        raise GuardRefused(
            f"class {safe(others[0].class_title)!r} is none that this store owns; nothing was removed",
            "Run the command in the store that owns it, or in no store with --model.",
        )


def _refuse_loss(removing: "UnmanagedRemoval", samples: Sequence[RemoteSample], lose: int | None) -> None:
    lost = removing.find_lost(samples)
    if len(lost) == (lose or 0):
        return
    names = [f"  {safe(one.class_title)}  #{one.sample_id} {safe(one.uid)}".rstrip() for one in lost]
    click.echo("\n".join(first(names, len(names))), err=True)
    raise GuardRefused(
        f"{number(len(lost), 'sample is', 'samples are')} not in the backup and would be lost; nothing was removed",
        f"If that is intended: --lose-unmanaged {len(lost)}",
    )


def _confirm(
    removing: "UnmanagedRemoval", samples: Sequence[RemoteSample], what: str, *, lose: int | None, yes: bool
) -> None:
    """Returns when no sample is managed, the number of lost samples was given, and the user confirmed.

    Raises:
        GuardRefused: otherwise.
    """
    _refuse_others(removing, samples)
    _refuse_managed(removing, samples)
    _refuse_loss(removing, samples, lose)
    click.echo(what, err=True)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise GuardRefused(
            "not confirmed; nothing was removed", "To remove it without a question, run the same command with --yes."
        )
    if not confirm("Remove it permanently? The service has no undo."):
        raise GuardRefused("not confirmed; nothing was removed", "Run the same command again and answer y.")
