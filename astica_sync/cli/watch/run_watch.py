"""The process of a watcher: its stores, signals and keys, metrics, the mirror of the backup, and the inbox."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from astica_sync.cli.exit_codes import INTERRUPTED
from astica_sync.cli.open_store import read_watch_status
from astica_sync.cli.render.text import number
from astica_sync.cli.stop_signals import stop_signal_arrived, stop_signals_watched
from astica_sync.cli.watch.pause_file import check_pause, is_paused, pause_store, resume_store
from astica_sync.config import KEY_FILE_VARIABLE, user_config_file
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import SETTINGS_FILE, Layout
from astica_sync.store_trust import records_of

if TYPE_CHECKING:
    from astica_sync.cli.render.watch_output import KeyAction, WatchOutput
    from astica_sync.clock import SystemClock, Wake
    from astica_sync.mirror.mirror_run import Mirrored
    from astica_sync.sync.watch.store_watcher import WatchedStore

GRACE = 6.0
"""How long a request under way may take after the user stopped the program, in seconds."""
BATCH_SECONDS = 3.0
"""How many seconds of the request budget one batch of a backlog takes, so that a new file waits no longer."""
OPEN_FILES = 65536


@dataclass(frozen=True, slots=True)
class Companions:
    """What runs beside the watcher of one store: ``copies`` is the address of the mirror and the seconds between two
    copies to it, ``from_inbox`` the address of the inbox whose images are taken in."""

    copies: tuple[str, float] | None = None
    from_inbox: str | None = None


def run_watch(
    layouts: Sequence[Layout],
    output: "WatchOutput",
    poll: bool,
    metrics: int | None,
    metrics_file: Path | None,
    companions: Companions,
) -> int:
    from astica_sync.bucket.bucket_events import watch_system
    from astica_sync.cli.render.live.disk_probe import DiskProbe
    from astica_sync.cli.render.local_hints import name_key_source
    from astica_sync.cli.watch.sd_notify import SystemdNotifier
    from astica_sync.clock import SystemClock, Wake
    from astica_sync.sync.watch.run_watchers import run_watchers
    from astica_sync.sync.watch.watcher_lifecycle import StoreOpener, WatcherLifecycle

    _raise_file_limit()
    wake, clock = Wake(), SystemClock()

    def notify(status: WatchStatus, text: str) -> None:
        named = name_key_source(text)
        if text and status.why == text:
            # What the live view and watch status show as well.
            status.why = named
        output.event(status.store, str(status.state), named or str(status.state))

    look_requested = Flag()

    def look_now() -> None:
        look_requested.set()
        wake.ring()

    with _signals(clock, wake) as reload_requested, contextlib.ExitStack() as stack:
        lifecycles: list[WatcherLifecycle] = []
        for layout in layouts:
            opener = StoreOpener(_opener(layout, output, clock), _fingerprint(layout))
            lifecycle = WatcherLifecycle(
                layout, opener, wake=wake, notify=notify, poll=poll, system=watch_system(layout)
            )
            lifecycle.lock()
            before, _ = read_watch_status(layout)
            if before is not None:
                lifecycle.status.agreed_at = before.agreed_at
            lifecycles.append(lifecycle)
        statuses = [lifecycle.status for lifecycle in lifecycles]
        after_turn: list[Callable[[], None]] = [lambda: output.show(statuses)]
        stack.callback(output.close)
        output.keys(_keys(layouts, statuses, wake, look_now))
        output.stops(lambda: clock.stopping.is_set() or stop_signal_arrived())
        probes = {str(layout.root): DiskProbe(layout.root) for layout in layouts}
        ended = threading.Event()
        stack.callback(ended.set)
        for probe in probes.values():
            probe.start(ended)
        output.disks(probes, ended)
        if metrics is not None or metrics_file is not None:
            from astica_sync.cli.watch.watch_metrics import WatchMetrics

            exporter = WatchMetrics(
                statuses, port=metrics, file=metrics_file, wall=time.time, budget=_budget, fleet=_fleet
            )
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
        if companions.copies is not None:
            stack.enter_context(_mirroring(layouts[0], companions.copies, clock, output))
        if companions.from_inbox is not None:
            from astica_sync.cli.watch.receive_from_inbox import InboxKeeper

            stack.enter_context(InboxKeeper(layouts[0], companions.from_inbox, clock, output))
        run_watchers(
            lifecycles,
            wake,
            stopping=clock.stopping.is_set,
            reload_requested=reload_requested,
            look_requested=look_requested.take,
            after_turn=run_after_turn,
        )
    return INTERRUPTED


@contextlib.contextmanager
def _mirroring(
    layout: Layout, copies: tuple[str, float], clock: "SystemClock", output: "WatchOutput"
) -> Iterator[None]:
    """Copies the backup to its mirror meanwhile."""
    from astica_sync.mirror.mirror_keeper import MirrorKeeper

    store = str(layout.root)

    def copied(done: "Mirrored") -> None:
        if done.problems:
            missing = number(len(done.problems), "object is", "objects are")
            text = f"{missing} not in the mirror; to see which: astica-sync backup mirror"
            output.event(store, "failed", text)
        else:
            output.event(store, "mirrored", number(done.copied, "new object"), copied=done.copied, kept=done.kept)

    def failed(error: AsticaSyncError) -> None:
        output.event(store, "failed", f"mirror: {error.text_with_hint}")

    keeper = MirrorKeeper(layout, *copies, clock, copied=copied, failed=failed)
    keeper.start()
    try:
        yield
    finally:
        keeper.join(GRACE)


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
    layouts: Sequence[Layout], statuses: Sequence[WatchStatus], wake: "Wake", look_now: Callable[[], None]
) -> "dict[str, KeyAction]":
    """What the keys of the live view do, and the answer to each."""
    from astica_sync.cli.render.watch_output import KeyAction

    def pause_all() -> None:
        for layout in layouts:
            pause_store(layout)
        wake.ring()

    def resume_all() -> None:
        for layout in layouts:
            resume_store(layout)
        wake.ring()

    def changes_to(paused: bool) -> bool:
        """Whether a store is not yet what the user has ordered."""
        return any(
            is_paused(layout) is paused and (status.state is WatchState.PAUSED) is not paused
            for layout, status in zip(layouts, statuses, strict=True)
        )

    def look() -> str | None:
        if all(map(is_paused, layouts)):
            return "paused: nothing is looked at; r resumes"
        look_now()
        return None

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    return {
        "p": KeyAction(
            pause_all,
            "pausing, once the requests under way have ended; r resumes",
            partial(changes_to, True),
        ),
        "r": KeyAction(resume_all, "resuming", partial(changes_to, False)),
        "l": KeyAction(look, "looking at the service as soon as the request limit allows it"),
        "q": KeyAction(stop, "stopping, once the requests under way have ended"),
    }


def _opener(
    layout: Layout, output: "WatchOutput", clock: "SystemClock"
) -> "Callable[[], contextlib.AbstractContextManager[WatchedStore]]":
    from astica_sync.cli.key_refusals import key_refusals_recorded
    from astica_sync.cli.render.watch_output import WatchListener
    from astica_sync.clock import SystemClock
    from astica_sync.local.lock import is_wanted, writer_lock
    from astica_sync.open_session import open_session
    from astica_sync.sync.watch.store_watcher import WatchedStore, WatchOptions

    @contextlib.contextmanager
    def open_store() -> Iterator[WatchedStore]:
        # A new clock at each opening, since the machine may have been suspended; one stop ends all stores.
        own = SystemClock()
        own.stopping, own.check = clock.stopping, partial(check_pause, layout)
        listener = WatchListener(output, str(layout.root))
        with (
            open_session(layout.root, listener, clock=own, doing="watch") as opened,
            key_refusals_recorded(opened.settings, lambda: opened.session.remote.service.requests),
        ):
            settings = opened.settings
            share = settings.limit * BATCH_SECONDS / settings.limit_window
            options = WatchOptions(settings.settle, settings.observe_every, max(8, min(256, int(share))))
            local = replace(opened.session.local, lock=partial(writer_lock, patient=False))
            session = replace(opened.session, local=local)
            wanted, paused = partial(is_wanted, layout), partial(is_paused, layout)
            yield WatchedStore(session, options, wanted, paused, listener.problems, listener.held_out)

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
        with stop_signals_watched([signal.SIGINT, signal.SIGTERM, signal.SIGQUIT]):
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


def _fleet(store: str) -> tuple[int, int] | None:
    from astica_sync.open_session import fleet_of_key, settings_for

    try:
        settings = settings_for(Layout(Path(store)), offline=True)
        if not settings.budget:
            return None
        fleet = fleet_of_key(settings)
    except (AsticaSyncError, OSError):
        return None
    return fleet.processes, fleet.machines


def _fingerprint(layout: Layout) -> Callable[[], object]:
    """Returns a function whose value changes once a command may be possible that was not, or the other way round: a
    settings file, the key's file or what the user allows to this store have changed, or who may use them or their
    folders."""
    from astica_sync.open_session import trust_file

    trusted = trust_file()

    key_file = os.environ.get(KEY_FILE_VARIABLE, "").strip()
    files = [
        layout.root / SETTINGS_FILE,
        user_config_file(),
        *([Path(os.path.expanduser(key_file))] if key_file else []),  # noqa: PTH111
    ]
    # The time of a folder changes with each file in it, so only who may use it is compared. One that is not there yet,
    # such as the backup before the first push, is made by the watcher itself.
    folders = {layout.root, layout.state, layout.backup, *(file.parent for file in (*files, trusted))}
    folders = {folder for folder in folders if folder.exists()}

    allowed = _find_allowed(trusted, layout.root)

    def fingerprint() -> object:
        return [_status_of(file, whole=True) for file in files], [_status_of(one) for one in sorted(folders)], allowed()

    return fingerprint


def _find_allowed(file: Path, root: Path) -> Callable[[], object]:
    """Returns a function that reads what the user allows to this store, and who may use the file that has it. That file
    is written again where another store is made, which is no change for this one."""
    last: tuple[object, object] = (None, None)

    def allowed() -> object:
        nonlocal last
        status = _status_of(file, whole=True)
        if last[0] != status:
            try:
                records: object = records_of(file, root)
            except AsticaSyncError as error:
                records = str(error)
            last = status, (status[1:4], records)
        return last[1]

    return allowed


def _status_of(path: Path, *, whole: bool = False) -> tuple[int, ...]:
    """Who may use a file or a folder; ``whole``: and when it was changed. chmod and chown change neither the content
    nor its time."""
    try:
        status = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    rights = (status.st_ino, status.st_mode, status.st_uid, status.st_gid)
    return (*rights, status.st_size, status.st_mtime_ns, status.st_ctime_ns) if whole else rights


def _summary(statuses: Sequence[WatchStatus]) -> str:
    queue = sum(status.queue for status in statuses)
    return f"{', '.join(sorted({str(status.state) for status in statuses}))}; {queue} waiting for upload"


def _raise_file_limit() -> None:
    import resource

    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, OPEN_FILES)), hard))
