"""``astica-sync init``."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.key_refusals import key_refusals_recorded
from astica_sync.cli.open_store import FOLDER, clean_stop, closed_at_end, open_service, settings_for
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import confirm, print_lines, print_note, set_named_store
from astica_sync.cli.render.text import number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.cli.start.init_source import bind_source, check_source, make_folder_of, note_source
from astica_sync.clock import SystemClock, local_time
from astica_sync.config import load_key, read_default
from astica_sync.core.model import Observation, is_uid
from astica_sync.errors import GuardRefused, StoreChanged, StoreError
from astica_sync.file_owner import name_of
from astica_sync.local.check_state_folder import check_state_folder, foreign_owners
from astica_sync.local.class_folders.dataset_layout import find_layout
from astica_sync.local.create_store import MadeElsewhere, check_place, create_store, find_made_elsewhere
from astica_sync.local.layout import Layout
from astica_sync.local.store_sentinel import Sentinel, find_unfinished_init, read_sentinel
from astica_sync.open_session import lost_store_at, stores_of_model, trust_file
from astica_sync.shell_quote import quote_path
from astica_sync.store_trust import owners_of, trust_address, trust_owner
from astica_sync.system.start_checks import current_folder

if TYPE_CHECKING:
    from astica_sync.core.fleet.store_claim import StoreClaim

DEFAULT_TYPE = "image"
MOST_NAMED = 3
"""So many other stores of a model are named."""
MODEL_OR_CREATE = "Give either --model ID (astica-sync models lists them) or --create TITLE."


@click.command("init")
@click.argument("store", required=False, type=FOLDER)
@click.option(
    "--from",
    "address",
    metavar="URL",
    help="The images lie in this bucket, as s3://BUCKET/PREFIX with a prefix for each class; STORE gets the records.",
)
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
@click.option(
    "--yes",
    is_flag=True,
    help="Do not ask about an unusual folder, its backup, another store of the model, or a model to rebind to.",
)
def init(
    store: Path | None,
    address: str | None,
    model_id: int | None,
    title: str | None,
    kind: str,
    purpose: str | None,
    tags: str,
    rebind: bool,
    yes: bool,
) -> int:
    """Make a folder the store of a model.

    STORE is a folder with one sub-folder for each class, by default the current folder. Nothing is uploaded. In a
    store that was copied, moved to another disk or restored, init without options makes this copy the one that
    writes from now on. Asks first where the folders are train and val instead of classes, where images are in no
    folder, and where another store already sends to the model; where --rebind names a model with samples of others;
    where the folder came with a backup or records that were made elsewhere; and where a store was, since its disk
    may not be mounted.

    With --from the images are those of a bucket, and STORE is made where it is missing: it gets the records and the
    backup.

    \b
    astica-sync init --model 1495
    astica-sync init photos --create Cans --purpose "sort"
    astica-sync init cans --from s3://photos/cans --model 1495
    """
    from astica_sync.local.filesystem import FileSystem
    from astica_sync.sync.admin.create_model import CreationAttempt, ModelRequest, create_model

    if model_id is not None and title is not None:
        raise click.UsageError(MODEL_OR_CREATE)
    if title is not None and not all(text and text.strip() for text in (title, kind, purpose)):
        raise click.UsageError("--create needs a title and --purpose.")
    files = FileSystem()
    if address is not None and store is not None:
        make_folder_of(store)
    layout = check_place(store or current_folder())
    set_named_store(layout.root)
    if layout.state.exists():
        check_state_folder(layout, owners_of(trust_file(), layout.root))
    bound = _read_binding(layout)
    source = None if address is None else check_source(layout, address, rebind=rebind)
    again = model_id is None and title is None
    if again:
        if bound is None:
            if not layout.state.exists():
                _check_mounted(layout, yes=yes)
            if unfinished := find_unfinished_init(layout, files):
                raise unfinished
            raise click.UsageError(MODEL_OR_CREATE)
        model_id = bound.model_id
    elif not layout.state.exists():
        _check_mounted(layout, yes=yes)
        if source is None:
            _check_layout(layout, yes=yes)
    attempt = CreationAttempt(layout.creation_file, files)
    if title is not None and bound is not None and not rebind and not attempt.path.exists():
        raise StoreError(
            f"{layout.root} is already the store of model {bound.model_id}",
            "No model was made. Use another folder, or --rebind to give this store a new model.",
        )
    settings = settings_for(layout if again else None)
    _check_made_elsewhere(layout, find_made_elsewhere(layout, files), yes=yes)
    key = load_key(os.environ)
    clock = SystemClock()
    # Imported here, since the help needs no database.
    from astica_sync.local.db.journal import Journal

    progress = Progress()
    with (
        clean_stop(clock),
        closed_at_end(progress, clock),
        open_service(settings, key, clock, progress, "init") as service,
        key_refusals_recorded(settings, lambda: service.requests),
    ):
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
            seen = service.view(model_id)[0]
            model = seen.model
            if bound is None:
                _check_other_stores(seen, stores_of_model(settings, model_id), yes=yes)
            elif rebind and (bound.model_id, bound.train_url) != (model_id, settings.train_url):
                _check_rebinding(layout, bound, seen, settings.train_url, yes=yes)
    is_new = not layout.sentinel_file.exists()
    if rebind and bound is not None and bound.train_url not in ("", settings.train_url):
        print_note(
            f"Until now this store was bound to {safe(bound.train_url)}: what it has sent there is not managed here, "
            "and the versions of that service are listed again when you bind the store to it"
        )
    if source is not None:
        # Before the folder is a store: without its source it would look empty.
        bind_source(layout, source, clock.now())
    create_store(layout.root, model_id=model.model_id, train_url=settings.train_url, now=clock.now(), rebind=rebind)
    if is_new:
        # So that a status can be shown where only this command could write: a disk that is mounted read-only later.
        Journal(layout.journal_db, "init").close()
    if source is not None:
        note_source(layout, source)
    for owner in foreign_owners(layout):
        # The user named this folder, so it may go on belonging to them.
        trust_owner(trust_file(), layout.root, owner, clock.now())
        print_note(f"Files of {name_of(owner)} are allowed in this store: astica-sync trust --list")
    if settings.train_url != read_default("train_url"):
        # The user gave this address, so the store may go on using it.
        trust_address(trust_file(), layout.root, settings.train_url, clock.now())
    if title is not None:
        attempt.forget()
    print_lines([f'{safe(str(layout.root))} mirrors model {model.model_id} "{safe(model.title)}"'])
    if verbosity() is Verbosity.QUIET:
        return 0
    if source is not None:
        print_lines([f"Its images are those of {safe(source)}. What is uploaded is in the backup of the folder first."])
    if model.samples:
        print_lines(
            [f"The model has {number(model.samples, 'sample')}. Those that are not in the store are left as they are."]
        )
    print_lines(["Next: astica-sync status, then astica-sync push"])
    return 0


def _check_mounted(layout: Layout, *, yes: bool) -> None:
    """Asks before a folder in which a store was becomes another one: its disk may not be mounted.

    Raises:
        GuardRefused: the user did not agree.
    """
    lost = lost_store_at(layout.root)
    if lost is None or lost[0] != layout.root:
        return
    root = safe(str(layout.root))
    what = f"a store was in {root} on {local_time(lost[1])}, and is not there now: is its disk mounted?"
    if yes:
        print_note(what)
    elif not _agrees(what, f"Make another store in {root} all the same?"):
        raise GuardRefused(what, f"Mount it; that is the store. To make another store in {root}, add --yes.")


def _check_layout(layout: Layout, *, yes: bool) -> None:
    """Asks before a folder becomes a store whose classes would be other ones than meant.

    Raises:
        GuardRefused: the user did not agree.
    """
    found = find_layout(layout.root)
    if found is None:
        return
    root = safe(str(layout.root))
    below = quote_path(str(layout.root / found.parts[0])) if found.parts else ""
    if found.loose:
        what = f"the images in {root} are in no class folder"
        then = "An image belongs to the class of its folder: move the images into folders, one for each class."
    elif found.by_camera:
        shown = ", ".join(map(safe, found.parts[:3])) + (" …" if len(found.parts) > 3 else "")
        what = f"the folders in {root} are named by a camera or by date ({shown}), and would be the classes"
        then = "An image belongs to the class of its folder: move the images into folders named after what they show."
    else:
        names = " and ".join(map(safe, found.parts))
        inside = ", ".join(safe(name) for name in found.inside[:5]) + (" …" if len(found.inside) > 5 else "")
        what = f"{root} has {names}, and the folders {inside} in them, so the classes would be called {names}"
        if found.is_split:
            then = f"To train on one part: astica-sync init {below}. Hold the others out for astica-sync evaluate."
        else:
            then = f"To make the folder below the store: astica-sync init {below}."
    if yes:
        print_note(what)
    elif not _agrees(f"{what}. {then}", f"Make {root} the store all the same?"):
        raise GuardRefused(what, f"{then} To make {root} the store all the same, add --yes.")


def _check_made_elsewhere(layout: Layout, found: MadeElsewhere, *, yes: bool) -> None:
    """Asks about a backup and records that were not made here: a removal relies on the backup, and content hashes can
    be forged; versions and scores are shown as they are recorded.

    Raises:
        GuardRefused: the user did not agree.
    """
    counts = [(found.images, "image"), (found.versions, "version"), (found.scores, "score")]
    parts = [number(count, thing) for count, thing in counts if count]
    if not parts:
        return
    state = safe(str(layout.state))
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    what = f"{state} has a backup of {listed} that you have not made on this machine"
    why = (
        "A push removes samples from the model where such a backup has the only copy, and a backup of another user can "
        "have another image in its place."
    )
    has_records = found.versions or found.scores
    records = " Versions and scores that are recorded there count as yours from then on." if has_records else ""
    if yes:
        print_note(what)
    elif not _agrees(f"{what}. {why}{records}", "Did you make this store yourself, for instance on another machine?"):
        raise GuardRefused(
            what,
            f"{why}{records} If you made it, on another machine or before a reinstallation: astica-sync init --yes. "
            f"If it came with a data set, move it away: mv {quote_path(str(layout.state))} "
            f"{quote_path(f'{layout.state}-of-others')}",
        )


def _check_other_stores(seen: Observation, announced: "Sequence[StoreClaim]", *, yes: bool) -> None:
    """Asks where another store sends to the model, or has announced on the budget server that it manages it: that is
    allowed, and seldom meant.

    Raises:
        GuardRefused: the user did not agree.
    """
    theirs = sum(is_uid(sample.uid) for sample in seen.samples)
    if not (theirs or announced):
        return
    sent = f"{theirs:,} of the {number(len(seen.samples), 'sample')}"
    what = f"another store, in another folder or on another machine, has sent {sent} of this model"
    if announced:
        what = f"this model is managed by {_named(announced)}" + (f"; {what}" if theirs else "")
    then = (
        "Each store leaves what the other one sent as it is, and takes over the images that it has as well. If this "
        "folder replaces a store that is lost, that is what you want. To divide the model by class, set owns in the "
        "astica-sync.toml of each."
    )
    if yes:
        print_note(f"{what}. {then}")
    elif not _agrees(f"{what}. {then}", "Mirror the model from this folder too?"):
        raise GuardRefused(what, f"{then} No store was made. To make it: the same command with --yes.")


def _named(announced: "Sequence[StoreClaim]") -> str:
    """The stores and what they manage."""
    # Loaded here: without a budget server there is none.
    from astica_sync.cli.render.several_stores.announced_stores import managed_classes, store_name

    named = ", ".join(f"{store_name(one)} ({managed_classes(one)})" for one in announced[:MOST_NAMED])
    return named + (f" and {len(announced) - MOST_NAMED:,} more" if len(announced) > MOST_NAMED else "")


def _check_rebinding(layout: Layout, bound: Sentinel, seen: Observation, train_url: str, *, yes: bool) -> None:
    """Asks before a store is bound to a model with samples that it did not send: models of two services may have the
    same number.

    Raises:
        GuardRefused: the user did not agree.
    """
    from astica_sync.local.db.journal import Journal

    sent: set[str] = set()
    # On another service nothing is managed.
    if bound.train_url == train_url and layout.journal_db.exists():
        uids = {sample.uid for sample in seen.samples}
        with Journal(layout.journal_db, "init") as journal:
            sent = {mark.uid for mark in journal.marks() if mark.uid in uids}
    others = sum(sample.uid not in sent for sample in seen.samples)
    if not others:
        return
    model = f'model {seen.model.model_id} "{safe(seen.model.title)}" at {safe(train_url)}'
    what = f"this store has not sent {others:,} of the {number(len(seen.samples), 'sample')} of {model}"
    then = (
        f"Until now the store mirrors model {bound.model_id} at {safe(bound.train_url)}. A model of another service "
        "may have the same number: astica-sync models lists those of this one."
    )
    if yes:
        print_note(f"{what}. {then}")
    elif not _agrees(f"{what}. {then}", "Bind the store to this model?"):
        raise GuardRefused(what, f"{then} The store was not changed. To bind it: the same command with --yes.")


def _agrees(text: str, question: str) -> bool:
    """Whether the user says yes at the terminal; False where there is none."""
    if not sys.stdin.isatty():
        return False
    print_lines([text[:1].upper() + text[1:]], err=True)
    return confirm(question)


_NO_SENTINEL = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL)
"""Nothing is there, or no file."""


def _read_binding(layout: Layout) -> Sentinel | None:
    """What the folder is the store of already; None where it is no store, or its ``store.json`` is damaged.

    Raises:
        StoreError: a newer version of the program made the store, or ``store.json`` cannot be read: it may name
            another model.
    """
    try:
        return read_sentinel(layout)
    except StoreChanged as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno not in _NO_SENTINEL:
            raise
        return None
