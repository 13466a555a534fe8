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

from astica_sync.cli.context import find, read_watch_status, store_option
from astica_sync.cli.render.text import safe
from astica_sync.cli.service.watch_service import install, uninstall
from astica_sync.config import KEY_FILE_VARIABLE, user_config_file
from astica_sync.core.watch.watch_status import State, WatchStatus
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import SETTINGS_FILE, Layout

if TYPE_CHECKING:
    from astica_sync.cli.render.watch_output import WatchOutput
    from astica_sync.clock import SystemClock, Wake
    from astica_sync.sync.watch.supervisor import Opened

GRACE = 6.0
"""How long a request under way may take to end after a person said stop, in seconds."""
PIECE_SECONDS = 3.0
"""How much of the budget one piece of a backlog takes, so that a new file does not wait for longer."""
FILES = 65536
INTERRUPTED = 130


class Watch(click.Group):
    """``watch`` alone watches; a word that is one of its commands is that command, any other is a store."""

    def make_parser(self, ctx: click.Context) -> Any:
        parser = super().make_parser(ctx)
        parser.allow_interspersed_args = not ctx.meta.get("astica_sync.commanded", False)
        return parser

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        commanded = ctx.meta.get("astica_sync.commanded", False)
        return [param for param in params if not (commanded and param.name == "stores")]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        commanded = any(word in self.commands for word in args)
        ctx.meta["astica_sync.commanded"] = commanded
        return super().parse_args(ctx, args) if commanded else click.Command.parse_args(self, ctx, args)


@click.group("watch", cls=Watch, invoke_without_command=True, no_args_is_help=False)
@click.argument("stores", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option("--once", is_flag=True, help="Wait until files have settled, push once, and end; for cron.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event, a line each.")
@click.option("--poll", is_flag=True, help="Look for changes instead of asking the system to tell.")
@click.option("--metrics", type=click.IntRange(0, 65535), metavar="PORT", help="Serve Prometheus numbers on 127.0.0.1.")
@click.option(
    "--metrics-file", type=click.Path(path_type=Path, dir_okay=False), help="Write them to this file as well."
)
@click.option("--notify", is_flag=True, help="Show a desktop notification when a person is needed.")
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
    """Keep the service equal to the store, continuously, for as long as this runs.

    What is dropped into a class folder is on the service within seconds; what leaves the store is removed, as push
    would. It rests when the network is gone, holds when the disk is gone, and goes on by itself.

    Without STORES it is the store found from here. A push of the same store works meanwhile.

    \b
    astica-sync watch
    astica-sync watch ~/cans ~/bottles --metrics 9155
    astica-sync watch --once
    astica-sync watch status
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from astica_sync.cli.render.watch_output import open_voice

    layouts = [find(store) for store in stores or (None,)]
    if once:
        return _once(layouts, as_json=as_json)
    return _watch(layouts, open_voice(as_json=as_json), poll, metrics, metrics_file, notify)


def _watch(
    layouts: Sequence[Layout],
    voice: "WatchOutput",
    poll: bool,
    metrics: int | None,
    metrics_file: Path | None,
    notify: bool,
) -> int:
    from astica_sync.cli.render.sd_notify import Ready
    from astica_sync.cli.render.watch_output import Desktop
    from astica_sync.clock import SystemClock, Wake
    from astica_sync.sync.watch.loop import run_watchers
    from astica_sync.sync.watch.supervisor import Supervisor

    _raise_file_limit()
    wake, clock = Wake(), SystemClock()

    if notify:
        voice = Desktop(voice)

    def tell(report: WatchStatus, text: str) -> None:
        voice.event(report.store, str(report.state), text or str(report.state))

    with _signals(clock, wake) as reread, contextlib.ExitStack() as stack:
        keepers: list[Supervisor] = []
        for layout in layouts:
            keeper = Supervisor(
                layout,
                _opener(layout, voice, clock),
                wake=wake,
                tell=tell,
                fingerprint=_fingerprint(layout),
                poll=poll,
            )
            keeper.lock()
            keepers.append(keeper)
        reports = [keeper.report for keeper in keepers]
        turns: list[Callable[[], None]] = [lambda: voice.turn(reports)]
        stack.callback(voice.close)
        if metrics is not None or metrics_file is not None:
            from astica_sync.cli.render.metrics import WatchMetrics

            numbers = WatchMetrics(reports, port=metrics, file=metrics_file, wall=time.time, budget=_budget)
            stack.callback(numbers.close)
            turns.append(numbers.turn)
            if metrics is not None:
                voice.event("", "note", f"numbers at http://127.0.0.1:{numbers.port}/metrics", port=numbers.port)
        ready = Ready(os.environ)
        stack.callback(ready.stop)
        turns.append(lambda: ready.beat(_in_short(reports)))

        def beat() -> None:
            for turn in turns:
                turn()

        for layout in layouts:
            voice.event(str(layout.root), "watching", str(layout.root), pid=os.getpid())
        voice.turn(reports)
        run_watchers(keepers, wake, stopping=clock.stopping.is_set, reread=reread, beat=beat)
    return INTERRUPTED


def _opener(
    layout: Layout, voice: "WatchOutput", clock: "SystemClock"
) -> "Callable[[], contextlib.AbstractContextManager[Opened]]":
    from astica_sync.cli.render.watch_output import StoreListener
    from astica_sync.clock import SystemClock
    from astica_sync.local.lock import is_wanted, writer_lock
    from astica_sync.open_session import open_session
    from astica_sync.sync.watch.supervisor import Opened
    from astica_sync.sync.watch.watcher import WatchOptions

    @contextlib.contextmanager
    def open_store() -> Iterator[Opened]:
        # Anchored anew at each opening, since the machine may have slept; a stop is one for all.
        own = SystemClock()
        own.stopping = clock.stopping
        with open_session(layout.root, StoreListener(voice, str(layout.root)), clock=own) as opened:
            settings = opened.settings
            share = settings.limit * PIECE_SECONDS / settings.limit_window
            habits = WatchOptions(settings.settle, settings.observe_every, max(8, min(256, int(share))))
            local = replace(opened.session.local, lock=partial(writer_lock, patient=False))
            yield Opened(replace(opened.session, local=local), habits, partial(is_wanted, layout))

    return open_store


@contextlib.contextmanager
def _signals(clock: "SystemClock", wake: "Wake") -> Iterator[Callable[[], bool]]:
    """A stop lets what is under way end, for a moment; SIGHUP reads everything again. Yields whether it was sent."""
    hung_up: list[bool] = []
    terminal = os.isatty(1)

    def stop(number: int, frame: FrameType | None) -> None:
        if clock.stopping.is_set():
            raise KeyboardInterrupt
        clock.stopping.set()
        wake.ring()
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    def give_up(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def hang_up(number: int, frame: FrameType | None) -> None:
        if terminal and not os.isatty(1):
            # The window was closed, and nobody would know that it goes on.
            stop(number, frame)
            return
        hung_up.append(True)
        wake.ring()

    def reread() -> bool:
        asked = bool(hung_up)
        hung_up.clear()
        return asked

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGALRM: give_up, signal.SIGHUP: hang_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield reread
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
    """Differs once a settings file or the key's file has changed."""
    key_file = os.environ.get(KEY_FILE_VARIABLE, "").strip()
    files = [layout.root / SETTINGS_FILE, user_config_file(), *([Path(key_file).expanduser()] if key_file else [])]

    def look() -> object:
        found = []
        for file in files:
            try:
                status = file.stat()
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                found.append((0, 0, 0))
        return found

    return look


def _once(layouts: Sequence[Layout], *, as_json: bool) -> int:
    """One push of each store, once what was just written has settled; the gravest ending counts."""
    from astica_sync.cli.context import open_store
    from astica_sync.cli.render.push_output import exit_code_of, push_data, push_lines
    from astica_sync.sync.progress import ProgressListener
    from astica_sync.sync.push.push import push
    from astica_sync.sync.watch.quiet_period import wait_until_quiet

    codes = []
    for layout in layouts:
        with open_store(layout.root, ProgressListener()) as opened:
            wait_until_quiet(opened.session, opened.settings.settle)
            pushed = push(opened.session)
        if as_json:
            click.echo(json.dumps({"store": str(layout.root), **push_data(pushed)}, ensure_ascii=False))
        else:
            click.echo("\n".join(push_lines(pushed, None)))
        codes.append(exit_code_of(pushed))
        if codes[-1] == INTERRUPTED:
            break
    return next((code for code in (INTERRUPTED, 1, 4, 3) if code in codes), 0)


@watch.command("status")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(store: Path | None, as_json: bool) -> int:
    """Show whether a watcher runs, since when, when it last agreed with the service, what waits and why."""
    from astica_sync.cli.render.watch_output import report_lines

    layout = find(store)
    report, alive = read_watch_status(layout)
    if as_json:
        data = report.as_data() if report is not None else {"store": str(layout.root), "state": None}
        click.echo(json.dumps({**data, "alive": alive, "paused": layout.watch_paused.exists()}, ensure_ascii=True))
    elif report is None:
        click.echo(f"{safe(str(layout.root))}\n  no watcher has run here yet: astica-sync watch")
    else:
        click.echo("\n".join(report_lines(report, alive=alive)))
        if not alive and report.state is not State.STOPPED:
            click.echo(f"  process {report.pid} ended without a word; astica-sync watch goes on from there")
    return 0


@watch.command("pause")
@store_option
def pause(store: Path | None) -> int:
    """Have the watcher of this store rest until ``resume``; it keeps that over restarts."""
    layout = find(store)
    try:
        layout.watch_paused.write_bytes(b"")
    except OSError as error:
        raise AsticaSyncError(f"cannot write {layout.watch_paused}: {error.strerror}", "Mend the rights.") from None
    click.echo("Paused: the watcher sends nothing until astica-sync watch resume.")
    return 0


@watch.command("resume")
@store_option
def resume(store: Path | None) -> int:
    """Have the watcher of this store go on."""
    find(store).watch_paused.unlink(missing_ok=True)
    click.echo("The watcher goes on, within seconds where one runs.")
    return 0


watch.add_command(install)
watch.add_command(uninstall)


def _in_short(reports: Sequence[WatchStatus]) -> str:
    queue = sum(report.queue for report in reports)
    return f"{', '.join(sorted({str(report.state) for report in reports}))}; {queue} waiting to go up"


def _raise_file_limit() -> None:
    import resource

    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, FILES)), most))
