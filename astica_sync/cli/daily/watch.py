"""``astica-sync watch``."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from astica_sync.cli.command_group import CommandGroup
from astica_sync.cli.exit_codes import DONE, ERROR, INTERRUPTED, REFUSED, SOME_FAILED
from astica_sync.cli.open_store import FOLDER, NO_STATUS_YET, find, read_watch_status, store_option
from astica_sync.cli.render.messages import print_lines, set_named_store
from astica_sync.cli.render.text import json_line, json_name, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.cli.watch.pause_file import check_pause, is_paused, pause_store, pause_text, paused_at, resume_store
from astica_sync.cli.watch.watch_options import given_options, watch_options
from astica_sync.cli.watch.watch_service import install, uninstall
from astica_sync.clock import SystemClock
from astica_sync.core.watch.watch_status import WatchState
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import Layout
from astica_sync.system.error_advice import remedy
from astica_sync.system.processes.suspended_process import is_suspended

FAILED_STATES = (WatchState.HALTED, WatchState.HELD, WatchState.RESTING)


class Watch(CommandGroup):
    """``watch`` alone watches; an argument that is the name of a sub-command runs it, any other is a store."""

    def make_parser(self, ctx: click.Context) -> Any:
        parser = super().make_parser(ctx)
        parser.allow_interspersed_args = not ctx.meta.get("astica_sync.subcommand", False)
        return parser

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        subcommand = ctx.meta.get("astica_sync.subcommand", False)
        return [param for param in params if not (subcommand and param.name == "stores")]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        subcommand = any(word in self.commands for word in args)
        ctx.meta["astica_sync.subcommand"] = subcommand
        return super().parse_args(ctx, args) if subcommand else click.Command.parse_args(self, ctx, args)


@click.group(
    "watch",
    cls=Watch,
    invoke_without_command=True,
    no_args_is_help=False,
    short_help="Keep the service in sync continuously",
)
@click.argument("stores", nargs=-1, type=FOLDER)
@click.option(
    "--once", is_flag=True, help="Wait until no file is being written, push once, and exit; for cron, with -q."
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
@click.option(
    "--to",
    "to_inbox",
    metavar="URL",
    help="Put the images of a folder that is no store there, for astica-sync watch --from URL of another machine.",
)
@watch_options
@click.pass_context
def watch(
    ctx: click.Context,
    once: bool,
    as_json: bool,
    to_inbox: str | None,
    poll: bool,
    metrics: int | None,
    metrics_file: Path | None,
    notify: bool,
    from_inbox: str | None,
    mirror: str | None,
    mirror_every: int,
    stores: tuple[Path, ...] = (),
) -> int:
    """Keep the service in sync with the store until the command is stopped.

    A new image is uploaded within seconds; an image that is deleted is removed from the service under the same rules as
    in a push. After a network failure the watcher tries again. Where a store's disk goes away while it runs, it waits
    for the disk; when it starts, the disk has to be there.

    STORES are the folders to watch; without them, the store of the current folder. Other commands, such as push, work
    on the same store at the same time.

    A machine without a key, such as that of a camera, puts its images into a bucket or folder with --to, and the
    watcher of the machine with the key takes them into its store with --from.

    \b
    astica-sync watch
    astica-sync watch ~/cans ~/bottles --metrics 9155
    astica-sync watch --once -q
    astica-sync watch --mirror s3://my-bucket/cans
    astica-sync watch --to s3://my-bucket/inbox ~/camera
    astica-sync watch --from s3://my-bucket/inbox
    astica-sync watch status
    """
    if ctx.invoked_subcommand is not None:
        _refuse_lost_options(ctx, ctx.invoked_subcommand)
        return 0
    if to_inbox is not None:
        return _send_folder(ctx, to_inbox, stores, once=once, as_json=as_json)
    from astica_sync.bucket.source_binding import refuse_in_bucket
    from astica_sync.cli.render.live.open_watch_output import open_output
    from astica_sync.cli.watch.run_watch import Companions, run_watch

    if len(stores) == 1:
        set_named_store(stores[0])
    layouts = [find(store) for store in stores or (None,)]
    if mirror is not None and (once or len(layouts) > 1):
        raise click.UsageError("--mirror is for the watcher of one store; else: astica-sync backup mirror URL")
    if from_inbox is not None and len(layouts) > 1:
        raise click.UsageError("--from is for the watcher of one store: start another one for the others")
    for layout in layouts if from_inbox is not None else ():
        refuse_in_bucket(
            layout, "an inbox is taken into class folders", "Let the cameras write to the bucket of the store itself."
        )
    if once:
        return _once(layouts, from_inbox, as_json=as_json)
    copies = None if mirror is None else (mirror, mirror_every * 60.0)
    output = open_output(as_json=as_json, notify=notify)
    return run_watch(layouts, output, poll, metrics, metrics_file, Companions(copies, from_inbox))


def _send_folder(ctx: click.Context, address: str, folders: tuple[Path, ...], *, once: bool, as_json: bool) -> int:
    from astica_sync.cli.watch.send_to_inbox import send_to_inbox

    if given := given_options(ctx):
        raise click.UsageError(f"{next(iter(given))} is for the watcher of a store, and of no use with --to")
    if len(folders) > 1:
        raise click.UsageError("--to sends one folder: start another one for the others")
    return send_to_inbox(address, folders[0] if folders else Path(), once=once, as_json=as_json)


def _refuse_lost_options(ctx: click.Context, subcommand: str) -> None:
    """``watch install`` puts the options of a watcher into the service; no other sub-command uses them."""
    used = set(given_options(ctx)) if subcommand == "install" else set()
    lost = [
        param.opts[0]
        for param in ctx.command.params
        if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE and param.opts[0] not in used
    ]
    if lost:
        raise click.UsageError(f"{lost[0]} is an option of the watcher, and of no use to: watch {subcommand}")


def _once(layouts: Sequence[Layout], from_inbox: str | None, *, as_json: bool) -> int:
    """One push of each store that is not paused, once no file is being written and what the inbox has is taken in. The
    exit code is the worst; a pause is no failure. With ``--quiet`` nothing is printed where nothing failed: cron mails
    what it gets."""
    codes = []
    if from_inbox is not None and not is_paused(layouts[0]):
        codes.append(_receive(layouts[0], from_inbox, as_json=as_json))
        if codes == [INTERRUPTED]:
            return INTERRUPTED
    for layout in layouts:
        # The commands of its messages are to find it from here.
        set_named_store(layout.root)
        code = None if is_paused(layout) else _push_once(layout, as_json=as_json)
        at = paused_at(layout)
        if code is None and as_json:
            click.echo(json_line({"store": json_name(str(layout.root)), "paused_at": at}))
        elif verbosity() is not Verbosity.QUIET and (code is None or (code == INTERRUPTED and at is not None)):
            print_lines([f"{safe(str(layout.root))}: not pushed, {pause_text(at)}"], err=as_json)
        if code is not None:
            codes.append(code)
        if code == INTERRUPTED and at is None:
            break
    return next((code for code in (INTERRUPTED, ERROR, REFUSED, SOME_FAILED) if code in codes), DONE)


def _receive(layout: Layout, address: str, *, as_json: bool) -> int:
    """Takes in what the inbox has. What the store has is pushed also where the inbox cannot be used."""
    from astica_sync.cli.render.messages import print_error
    from astica_sync.cli.watch.receive_from_inbox import receive_once

    try:
        return receive_once(layout, address, as_json=as_json)
    except AsticaSyncError as error:
        print_error(error)
        return error.exit_code


def _push_once(layout: Layout, *, as_json: bool) -> int | None:
    """The exit code of one push; None where the store was paused before anything was sent."""
    from astica_sync.cli.open_store import class_in_index, open_store
    from astica_sync.cli.render.live.progress import Progress
    from astica_sync.cli.render.push_output import (
        MOST_PAIRS,
        exit_code_of,
        in_two_formats_lines,
        push_data,
        push_lines,
    )
    from astica_sync.cli.render.status_output import held_out_warning
    from astica_sync.doctor.check_budget import find_last_refusals, number_to_set
    from astica_sync.local.image.prepare.usable_formats import samples_in_two_formats
    from astica_sync.sync.plan.held_out_images import find_held_out_images
    from astica_sync.sync.push.push import push
    from astica_sync.sync.watch.store_watcher import PauseRequested
    from astica_sync.sync.watch.wait_until_quiet import wait_until_quiet

    progress = Progress()
    with open_store(layout.root, progress, pause=partial(check_pause, layout)) as opened:
        session = opened.session
        progress.phase("Waiting until no file is being written")
        try:
            wait_until_quiet(session.local, session.runtime.clock, opened.settings.settle)
            check_pause(layout)
        except PauseRequested:
            return None
        runtime = session.runtime
        pushed = push(
            replace(session, runtime=replace(runtime, stopping=lambda: runtime.stopping() or is_paused(layout)))
        )
        progress.close()
        local = session.local
        pairs = samples_in_two_formats(local.index, MOST_PAIRS)
        limit = number_to_set(find_last_refusals(opened.settings)) if pushed.refused else ""
        lines = [*push_lines(pushed, None, class_in_index(local.index), limit), *in_two_formats_lines(pairs)]
        lines += held_out_warning(find_held_out_images(local.journal, local.index))
    if as_json:
        click.echo(json_line({"store": json_name(str(layout.root)), **push_data(pushed, pairs)}))
        return exit_code_of(pushed)
    code = exit_code_of(pushed)
    if code != DONE or verbosity() is not Verbosity.QUIET:
        print_lines(lines)
    return code


def service_pause_lines(layout: Layout) -> list[str]:
    """That the service refuses requests for its limit, where it does."""
    # Loaded here: most commands show none of it.
    from astica_sync.doctor.check_budget import ANOTHER_PROGRAM, find_service_pause

    pause = find_service_pause(layout, SystemClock())
    return [] if pause is None else [f"  waiting: {pause.text}", f"    {ANOTHER_PROGRAM}"]


def _named(folder: Path | None, store: Path | None) -> Path | None:
    """The store of a sub-command, which is named as for ``watch`` itself or by the option of the other commands."""
    if folder is None:
        return store
    if store is not None:
        raise click.UsageError("Name the store once: as DIR or with --store.")
    set_named_store(folder)
    return folder


folder_argument = click.argument("folder", metavar="[DIR]", required=False, type=FOLDER)


@watch.command("status")
@folder_argument
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--exit-code", is_flag=True, help="Exit with 1 where no watcher runs, or it has failed, is held or halted."
)
def watch_status(folder: Path | None, store: Path | None, as_json: bool, exit_code: bool) -> int:
    """Show the state of the watcher.

    Whether it runs, when store and service were last in sync, and what waits and why. DIR is the store's folder.

    \b
    astica-sync watch status
    astica-sync watch status --json | jq .state
    astica-sync watch status --exit-code || echo "look at it"
    """
    from astica_sync.cli.render.watch_status_output import watch_status_lines

    layout = find(_named(folder, store))
    status, alive = read_watch_status(layout)
    at = paused_at(layout)
    suspended = alive and status is not None and is_suspended(status.pid, layout.watch_lock)
    works = alive and not suspended and (status is None or status.state not in FAILED_STATES)
    code = ERROR if exit_code and not works else DONE
    if as_json:
        data = status.as_data() if status is not None else {"store": str(layout.root), "state": None}
        data = {**data, "alive": alive, "suspended": suspended, "paused": at is not None, "paused_at": at}
        click.echo(json.dumps(data, ensure_ascii=True))
        return code
    if alive and (status is None or status.state is WatchState.STOPPED):
        # What is there was written by the one before it.
        lines = [safe(str(layout.root)), f"  {NO_STATUS_YET}"]
    elif status is None:
        lines = [safe(str(layout.root)), "  no watcher has run here yet; to start one: astica-sync watch"]
    else:
        # When it was paused is in the line below.
        why = "" if at is not None and status.state is WatchState.PAUSED else status.why
        lines = watch_status_lines(replace(status, why=why), alive=alive, suspended=suspended)
        if not alive and status.state is not WatchState.STOPPED:
            lines.append(f"  process {status.pid} ended unexpectedly; to start again: astica-sync watch")
    if alive and at is None:
        lines += service_pause_lines(layout)
    if at is not None:
        lines.insert(1, f"  {pause_text(at)}")
    print_lines(lines)
    return code


@watch.command("pause")
@folder_argument
@store_option
def pause(folder: Path | None, store: Path | None) -> int:
    """Pause the watcher of this store.

    It stays paused until astica-sync watch resume, also over restarts. watch --once skips a paused store. DIR is the
    store's folder.

    \b
    astica-sync watch pause
    """
    layout = find(_named(folder, store))
    try:
        pause_store(layout)
    except OSError as error:
        raise AsticaSyncError(
            f"cannot write {layout.watch_paused}: {error.strerror}",
            remedy(error, layout.state),
        ) from None
    print_lines(["Paused: the watcher sends nothing. To resume: astica-sync watch resume"])
    return 0


@watch.command("resume")
@folder_argument
@store_option
def resume(folder: Path | None, store: Path | None) -> int:
    """Resume the watcher of this store.

    DIR is the store's folder.

    \b
    astica-sync watch resume
    """
    layout = find(_named(folder, store))
    try:
        resume_store(layout)
    except OSError as error:
        raise AsticaSyncError(
            f"cannot remove {layout.watch_paused}: {error.strerror}",
            remedy(error, layout.state),
        ) from None
    print_lines(["Resumed: a watcher that runs continues within seconds."])
    return 0


watch.add_command(install)
watch.add_command(uninstall)
