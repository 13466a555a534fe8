"""``astica-sync watch``."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.command_group import CommandGroup
from astica_sync.cli.context import find, read_watch_status, store_option
from astica_sync.cli.render.text import json_line, safe
from astica_sync.cli.service.watch_service import install, uninstall
from astica_sync.config import KEY_FILE_VARIABLE, user_config_file
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.errors import AsticaSyncError
from astica_sync.local.filesystem import write_new
from astica_sync.local.layout import SETTINGS_FILE, Layout
from astica_sync.system.error_advice import remedy

if TYPE_CHECKING:
    from astica_sync.cli.render.watch_output import WatchOutput
    from astica_sync.clock import SystemClock, Wake
    from astica_sync.sync.watch.store_watcher import WatchedStore

GRACE = 6.0
"""How long a request under way may take after the user stopped the program, in seconds."""
BATCH_SECONDS = 3.0
"""How many seconds of the request budget one batch of a backlog takes, so that a new file waits no longer."""
OPEN_FILES = 65536
INTERRUPTED = 130


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
@click.argument("stores", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option("--once", is_flag=True, help="Wait until no file is being written, push once, and exit; for cron.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
@click.option("--poll", is_flag=True, help="Scan at an interval instead of receiving file system events.")
@click.option(
    "--metrics",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve Prometheus metrics on http://127.0.0.1:PORT/metrics; 0 chooses a free port.",
)
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the metrics to this file, every 15 seconds.",
)
@click.option(
    "--notify", is_flag=True, help="Show a desktop notification when the watcher needs a decision or is halted."
)
@click.pass_context
def watch(
    ctx: click.Context,
    once: bool,
    as_json: bool,
    poll: bool,
    metrics: int | None,
    metrics_file: Path | None,
    notify: bool,
    stores: tuple[Path, ...] = (),
) -> int:
    """Keep the service in sync with the store until the command is stopped.

    A new image is uploaded within seconds; an image that is deleted is removed from the service under the same rules as
    in a push. After a network failure the watcher tries again; while the store's disk is missing it waits for it.

    STORES are the folders to watch; without them, the store of the current folder. Other commands, such as push, work
    on the same store at the same time.

    \b
    astica-sync watch
    astica-sync watch ~/cans ~/bottles --metrics 9155
    astica-sync watch --once
    astica-sync watch status
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from astica_sync.cli.render.live.open_watch_output import open_output

    layouts = [find(store) for store in stores or (None,)]
    if once:
        return _once(layouts, as_json=as_json)
    return _watch(layouts, open_output(as_json=as_json, notify=notify), poll, metrics, metrics_file)


def _watch(
    layouts: Sequence[Layout], output: "WatchOutput", poll: bool, metrics: int | None, metrics_file: Path | None
) -> int:
    from astica_sync.cli.service.sd_notify import SystemdNotifier
    from astica_sync.clock import SystemClock, Wake
    from astica_sync.sync.watch.main_loop import run_watchers
    from astica_sync.sync.watch.supervisor import StoreOpener, Supervisor

    _raise_file_limit()
    wake, clock = Wake(), SystemClock()

    def notify(status: WatchStatus, text: str) -> None:
        output.event(status.store, str(status.state), text or str(status.state))

    look_requested = Flag()

    def look_now() -> None:
        look_requested.set()
        wake.ring()

    with _signals(clock, wake) as reload_requested, contextlib.ExitStack() as stack:
        supervisors: list[Supervisor] = []
        for layout in layouts:
            opener = StoreOpener(_opener(layout, output, clock), _fingerprint(layout))
            supervisor = Supervisor(layout, opener, wake=wake, notify=notify, poll=poll)
            supervisor.lock()
            supervisors.append(supervisor)
        statuses = [supervisor.status for supervisor in supervisors]
        after_turn: list[Callable[[], None]] = [lambda: output.show(statuses)]
        stack.callback(output.close)
        output.keys(_keys(layouts, wake, look_now))
        if metrics is not None or metrics_file is not None:
            from astica_sync.cli.render.metrics import WatchMetrics

            exporter = WatchMetrics(statuses, port=metrics, file=metrics_file, wall=time.time, budget=_budget)
            stack.callback(exporter.close)
            after_turn.append(exporter.write)
            if metrics is not None:
                output.event("", "note", f"metrics at http://127.0.0.1:{exporter.port}/metrics", port=exporter.port)
        systemd = SystemdNotifier(os.environ)
        stack.callback(systemd.stopping)
        after_turn.append(lambda: systemd.alive(_summary(statuses)))

        def run_after_turn() -> None:
            for call in after_turn:
                call()

        for layout in layouts:
            output.event(str(layout.root), "watching", str(layout.root), pid=os.getpid())
        output.show(statuses)
        run_watchers(
            supervisors,
            wake,
            stopping=clock.stopping.is_set,
            reload_requested=reload_requested,
            look_requested=look_requested.take,
            after_turn=run_after_turn,
        )
    return INTERRUPTED


class Flag:
    """Set in one thread, and taken in another."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def take(self) -> bool:
        """Whether it was set since the last call."""
        was_set, self._is_set = self._is_set, False
        return was_set


def _keys(
    layouts: Sequence[Layout], wake: "Wake", look_now: Callable[[], None]
) -> dict[str, tuple[Callable[[], None], str]]:
    """What the keys of the live view do, and the answer to each."""

    def pause_all() -> None:
        for layout in layouts:
            write_new(layout.watch_paused, b"")
        wake.ring()

    def resume_all() -> None:
        for layout in layouts:
            layout.watch_paused.unlink(missing_ok=True)
        wake.ring()

    return {
        "p": (pause_all, "pausing, once the requests under way have ended; r resumes"),
        "r": (resume_all, "resuming"),
        "l": (look_now, "looking at the service as soon as the request limit allows it"),
        "q": (lambda: os.kill(os.getpid(), signal.SIGINT), "stopping, once the requests under way have ended"),
    }


def _opener(
    layout: Layout, output: "WatchOutput", clock: "SystemClock"
) -> "Callable[[], contextlib.AbstractContextManager[WatchedStore]]":
    from astica_sync.cli.render.watch_output import WatchListener
    from astica_sync.clock import SystemClock
    from astica_sync.local.lock import is_wanted, writer_lock
    from astica_sync.open_session import open_session
    from astica_sync.sync.watch.store_watcher import WatchedStore, WatchOptions

    @contextlib.contextmanager
    def open_store() -> Iterator[WatchedStore]:
        # A new clock at each opening, since the machine may have been suspended; one stop ends all stores.
        own = SystemClock()
        own.stopping = clock.stopping
        with open_session(layout.root, WatchListener(output, str(layout.root)), clock=own) as opened:
            settings = opened.settings
            share = settings.limit * BATCH_SECONDS / settings.limit_window
            options = WatchOptions(settings.settle, settings.observe_every, max(8, min(256, int(share))))
            local = replace(opened.session.local, lock=partial(writer_lock, patient=False))
            yield WatchedStore(replace(opened.session, local=local), options, partial(is_wanted, layout))

    return open_store


@contextlib.contextmanager
def _signals(clock: "SystemClock", wake: "Wake") -> Iterator[Callable[[], bool]]:
    """SIGINT, SIGTERM and SIGQUIT let requests under way end, for at most ``GRACE`` seconds; SIGHUP asks for a reload.
    Yields a function that tells whether SIGHUP was received since its last call."""
    reloads: list[bool] = []
    terminal = os.isatty(1)

    def stop(number: int, frame: FrameType | None) -> None:
        if clock.stopping.is_set():
            raise KeyboardInterrupt
        clock.stopping.set()
        wake.ring()
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    def give_up(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def reload(number: int, frame: FrameType | None) -> None:
        if terminal and not os.isatty(1):
            # The terminal window was closed: a watcher that cannot be seen any more must not go on.
            stop(number, frame)
            return
        reloads.append(True)
        wake.ring()

    def reload_requested() -> bool:
        requested = bool(reloads)
        reloads.clear()
        return requested

    handlers = {
        signal.SIGINT: stop,
        signal.SIGTERM: stop,
        signal.SIGQUIT: stop,
        signal.SIGALRM: give_up,
        signal.SIGHUP: reload,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield reload_requested
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _budget(store: str) -> tuple[int, int] | None:
    from astica_sync.open_session import budget_use

    try:
        return budget_use(Layout(Path(store)))
    except (AsticaSyncError, OSError):
        return None


def _fingerprint(layout: Layout) -> Callable[[], object]:
    """Returns a function whose value changes once a settings file or the key's file has changed."""
    key_file = os.environ.get(KEY_FILE_VARIABLE, "").strip()
    files = [
        layout.root / SETTINGS_FILE,
        user_config_file(),
        *([Path(os.path.expanduser(key_file))] if key_file else []),  # noqa: PTH111
    ]

    def fingerprint() -> object:
        values = []
        for file in files:
            try:
                status = file.stat()
                values.append((status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                values.append((0, 0, 0))
        return values

    return fingerprint


def _once(layouts: Sequence[Layout], *, as_json: bool) -> int:
    """One push of each store, once no file is being written. The exit code is that of the worst push."""
    from astica_sync.cli.context import open_store
    from astica_sync.cli.render.live.progress import Progress
    from astica_sync.cli.render.push_output import exit_code_of, push_data, push_lines
    from astica_sync.sync.push.push import push
    from astica_sync.sync.watch.quiet_period import wait_until_quiet

    codes = []
    for layout in layouts:
        progress = Progress()
        with open_store(layout.root, progress) as opened:
            progress.phase("Waiting until no file is being written")
            wait_until_quiet(opened.session.local, opened.session.runtime.clock, opened.settings.settle)
            pushed = push(opened.session)
            progress.close()
        if as_json:
            click.echo(json_line({"store": str(layout.root), **push_data(pushed)}))
        else:
            click.echo("\n".join(push_lines(pushed, None)))
        codes.append(exit_code_of(pushed))
        if codes[-1] == INTERRUPTED:
            break
    return next((code for code in (INTERRUPTED, 1, 4, 3) if code in codes), 0)


@watch.command("status")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def watch_status(store: Path | None, as_json: bool) -> int:
    """Show the state of the watcher.

    Whether it runs, when store and service were last in sync, and what waits and why.

    \b
    astica-sync watch status
    astica-sync watch status --json | jq .state
    """
    from astica_sync.cli.render.watch_output import watch_status_lines

    layout = find(store)
    status, alive = read_watch_status(layout)
    if as_json:
        data = status.as_data() if status is not None else {"store": str(layout.root), "state": None}
        click.echo(json.dumps({**data, "alive": alive, "paused": layout.watch_paused.exists()}, ensure_ascii=True))
    elif status is None:
        click.echo(f"{safe(str(layout.root))}\n  no watcher has run here yet; to start one: astica-sync watch")
    else:
        click.echo("\n".join(watch_status_lines(status, alive=alive)))
        if not alive and status.state is not WatchState.STOPPED:
            click.echo(f"  process {status.pid} ended unexpectedly; to start again: astica-sync watch")
    return 0


@watch.command("pause")
@store_option
def pause(store: Path | None) -> int:
    """Pause the watcher of this store.

    It stays paused until astica-sync watch resume, also over restarts.

    \b
    astica-sync watch pause
    """
    layout = find(store)
    try:
        write_new(layout.watch_paused, b"")
    except OSError as error:
        raise AsticaSyncError(
            f"cannot write {layout.watch_paused}: {error.strerror}",
            remedy(error, layout.state),
        ) from None
    click.echo("Paused: the watcher sends nothing. To resume: astica-sync watch resume")
    return 0


@watch.command("resume")
@store_option
def resume(store: Path | None) -> int:
    """Resume the watcher of this store.

    \b
    astica-sync watch resume
    """
    find(store).watch_paused.unlink(missing_ok=True)
    click.echo("Resumed: a watcher that runs continues within seconds.")
    return 0


watch.add_command(install)
watch.add_command(uninstall)


def _summary(statuses: Sequence[WatchStatus]) -> str:
    queue = sum(status.queue for status in statuses)
    return f"{', '.join(sorted({str(status.state) for status in statuses}))}; {queue} waiting for upload"


def _raise_file_limit() -> None:
    import resource

    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, OPEN_FILES)), hard))
