"""A store's watcher over its whole life, with a manual clock: what it does after each error, and when."""

import contextlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from astica_sync.clock import Wake
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.errors import (
    BadKey,
    ConfigError,
    DatabaseError,
    NoSuchModel,
    NotAnObservation,
    OutcomeUnknown,
    QuotaExceeded,
    StillRateLimited,
    StorageFull,
    StoreBusy,
    StoreChanged,
    Unreachable,
)
from astica_sync.local.create_store import create_store
from astica_sync.local.layout import Layout
from astica_sync.sync.watch.store_watcher import WatchedStore
from astica_sync.sync.watch.watcher_lifecycle import (
    HEARTBEAT,
    QUOTA_DELAY,
    StoreOpener,
    WatcherLifecycle,
    WatchSystem,
    reaction_to,
)


class UnopenableStore:
    """A store that cannot be opened, and the two clocks of its machine."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.now = 1000.0
        self.wall = 1_800_000_000.0
        self.settings = 1
        self.error: Exception = Unreachable("no network")
        self.opened: list[float] = []
        self.notices: list[str] = []
        self.lifecycle = WatcherLifecycle(
            layout,
            StoreOpener(self.open, lambda: self.settings),
            wake=Wake(),
            notify=lambda status, text: self.notices.append(f"{status.state}: {text}"),
            poll=True,
            system=WatchSystem(ticks=lambda: self.now, wall=lambda: self.wall + self.now),
        )

    @contextlib.contextmanager
    def open(self) -> Iterator[WatchedStore]:
        self.opened.append(self.now)
        raise self.error
        yield

    def live(self, seconds: float) -> None:
        """Steps as the loop does, for so many seconds."""
        end = self.now + seconds
        while self.now < end:
            self.now += max(0.01, self.lifecycle.step())

    @property
    def written(self) -> dict[str, object]:
        return json.loads(self.layout.watch_state.read_bytes())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[UnopenableStore]:
    world = UnopenableStore(create_store(tmp_path, model_id=1, train_url="https://train.astica.ai", now=0.0))
    yield world
    world.lifecycle.close()


def test_without_network_the_retry_delay_grows_up_to_five_minutes(world: UnopenableStore) -> None:
    world.live(3 * 3600.0)
    pauses = [later - earlier for earlier, later in pairwise(world.opened)]
    assert pauses[0] < 3.0
    assert all(before <= after + 0.1 for before, after in pairwise(pauses))
    assert 299.0 < max(pauses) < 302.0 + HEARTBEAT
    assert world.notices == ["resting: no network"], "reported once, not each time"
    assert world.written["state"] == "resting"
    assert world.written["errors"] == ["no network"]


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("if this copy is meant, run astica-sync init", "refused. If this copy is meant, run astica-sync init."),
        ("astica-sync doctor shows why", "refused. astica-sync doctor shows why."),
        ("", "refused"),
    ],
)
def test_the_advice_after_a_full_stop_has_a_capital(world: UnopenableStore, hint: str, shown: str) -> None:
    world.error = BadKey("refused", hint)
    world.live(1.0)
    assert world.lifecycle.status.why == shown


@pytest.mark.parametrize("error", [BadKey("refused"), NoSuchModel("gone"), ConfigError("a setting is wrong")])
def test_a_halted_watcher_does_nothing_until_the_settings_change(world: UnopenableStore, error: Exception) -> None:
    world.error = error
    world.live(24 * 3600.0)
    assert len(world.opened) == 1
    assert world.lifecycle.status.state is WatchState.HALTED
    world.settings += 1
    world.live(HEARTBEAT + 0.1)
    assert len(world.opened) == 2


def test_sighup_ends_a_halt(world: UnopenableStore) -> None:
    world.error = BadKey("refused")
    world.live(10.0)
    world.lifecycle.restart("SIGHUP received")
    world.live(0.1)
    assert len(world.opened) == 2


def test_file_events_are_dropped_when_events_are_no_longer_received(world: UnopenableStore) -> None:
    """A file that was open may be closed now, and no event will report it."""

    class Events:
        polling_reason = ""

        def stop(self) -> None:
            changes.add_file_event(lambda debouncer: debouncer.written("Can/late.png", world.now))

    changes = world.lifecycle._changes
    world.lifecycle._events = Events()
    changes.add_file_event(lambda debouncer: debouncer.written("Can/new.png", world.now))
    changes.add_folder("Can")
    world.lifecycle.restart("SIGHUP received")
    batch = changes.take()
    assert batch.file_events == [] and batch.folders == {"Can"}


@pytest.mark.parametrize("jump", [8 * 3600.0, -86_400.0])
def test_after_a_suspend_or_a_set_clock_the_watcher_restarts(world: UnopenableStore, jump: float) -> None:
    world.live(600.0)
    before = len(world.opened)
    world.wall += jump
    world.live(HEARTBEAT + 0.1)
    assert len(world.opened) > before, "it does not wait for its retry time"
    assert any("the machine was suspended" in notice for notice in world.notices)


def test_a_small_clock_correction_changes_nothing(world: UnopenableStore) -> None:
    world.error = BadKey("refused")
    world.live(10.0)
    world.wall += 2.0
    world.live(10.0)
    assert len(world.opened) == 1


def test_a_missing_store_is_checked_every_few_seconds_and_nothing_is_created(world: UnopenableStore) -> None:
    root = world.layout.root
    away = root.with_name("away")
    root.rename(away)
    world.live(60.0)
    assert world.lifecycle.status.state is WatchState.HELD
    assert world.opened == []
    assert not root.exists()
    root.mkdir()
    world.live(10.0)
    assert list(root.iterdir()) == [], "a mount point without its disk is not a store"
    root.rmdir()
    away.rename(root)
    world.live(5.0)
    assert len(world.opened) >= 1


def test_a_hidden_folder_that_is_exchanged_for_a_link_is_held_and_nothing_is_written_through_it(
    world: UnopenableStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    create_store(other, model_id=2, train_url="https://train.astica.ai", now=0.0)
    (other / ".astica-sync" / "watch.json").write_text("{}")
    before = {path.name: path.read_bytes() for path in (other / ".astica-sync").iterdir()}
    world.live(10.0)
    gone = world.layout.root / ".gone"
    world.layout.state.rename(gone)
    world.layout.state.symlink_to(other / ".astica-sync")
    opened = len(world.opened)
    world.live(60.0)
    assert world.lifecycle.status.state is WatchState.HELD and "is a symbolic link" in world.lifecycle.status.why
    assert len(world.opened) == opened
    assert {path.name: path.read_bytes() for path in (other / ".astica-sync").iterdir()} == before
    world.layout.state.unlink()
    gone.rename(world.layout.state)
    world.live(10.0)
    assert len(world.opened) > opened


def test_a_paused_watcher_opens_nothing_until_resumed(world: UnopenableStore) -> None:
    world.layout.watch_paused.touch()
    world.live(600.0)
    assert world.opened == []
    assert world.written["state"] == "paused"
    world.layout.watch_paused.unlink()
    world.live(0.1)
    assert len(world.opened) == 1


def test_the_status_file_can_be_read_back(world: UnopenableStore) -> None:
    world.live(1.0)
    data = dict(world.written)
    assert data.pop("format") == 1
    assert WatchStatus(**{**data, "state": WatchState(str(data["state"]))}).as_data() == world.written


def test_a_status_file_that_cannot_be_written_stops_nothing(
    world: UnopenableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.layout.watch_state.mkdir()
    world.live(60.0)
    assert len(world.opened) > 2


@pytest.mark.parametrize(
    ("error", "state", "reopen"),
    [
        (Unreachable("x"), WatchState.RESTING, False),
        (OutcomeUnknown("x"), WatchState.RESTING, False),
        (QuotaExceeded("x"), WatchState.RESTING, False),
        (NotAnObservation("x"), WatchState.RESTING, False),
        (StorageFull("x"), WatchState.RESTING, True),
        (DatabaseError("x"), WatchState.RESTING, True),
        (OSError(24, "too many open files"), WatchState.RESTING, True),
        (ValueError("a bug"), WatchState.RESTING, True),
        (StoreChanged("x"), WatchState.HELD, True),
        (StoreBusy("x"), WatchState.WORKING, False),
        (BadKey("x"), WatchState.HALTED, True),
    ],
)
def test_the_reaction_to_each_error(error: Exception, state: WatchState, reopen: bool) -> None:
    reaction = reaction_to(error, 1)
    assert (reaction.state, reaction.reopen) == (state, reopen)
    assert (reaction.delay is None) == (state is WatchState.HALTED)


def test_a_pause_that_the_service_asks_for_is_kept_up_to_an_hour() -> None:
    assert reaction_to(StillRateLimited("x", "", 1800.0), 1).delay == 1800
    assert reaction_to(StillRateLimited("x", "", 36_000.0), 1).delay == 3600
    assert reaction_to(StillRateLimited("x"), 1).delay == reaction_to(Unreachable("x"), 1).delay


def test_a_quota_that_is_used_up_is_tried_again_after_an_hour_at_the_earliest() -> None:
    assert reaction_to(QuotaExceeded("x"), 1).delay == QUOTA_DELAY >= 3600


def test_a_store_that_is_open_is_not_starting_any_more(world: UnopenableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first step may wait for the request limit for minutes."""
    seen: list[WatchState] = []

    class Opened:
        queued = not_sent = undecided = 0
        scanned = False

        def step(self) -> float:
            seen.append(world.lifecycle.status.state)
            return 1.0

    monkeypatch.setattr(world.lifecycle, "_start", Opened)
    world.lifecycle.step()
    assert seen == [WatchState.WORKING]


def test_a_watcher_that_waits_in_its_first_step_has_written_its_status(
    world: UnopenableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    class WaitingWatcher:
        queued = not_sent = undecided = 0
        scanned = False

        def step(self) -> float:
            seen.append(world.written["state"])
            return 1.0

    monkeypatch.setattr(world.lifecycle, "_start", WaitingWatcher)
    world.lifecycle.step()
    assert seen == ["working"]


def test_a_missing_disk_gets_no_advice_to_make_another_store(world: UnopenableStore) -> None:
    root = world.layout.root
    away = root.rename(root.with_name("away"))
    world.live(3.0)
    assert world.lifecycle.status.state is WatchState.HELD
    assert "the watcher waits for it" in world.lifecycle.status.why and "init" not in world.lifecycle.status.why
    away.rename(root)


def test_a_folder_that_goes_and_comes_back_is_no_change_of_the_settings(world: UnopenableStore) -> None:
    """Their file goes and comes back with it, as at ``umount``."""
    world.live(5.0)
    away = world.layout.root.with_name("away")
    world.layout.root.rename(away)
    world.settings = 2
    world.live(6.0)
    assert world.lifecycle.status.state is WatchState.HELD
    away.rename(world.layout.root)
    world.settings = 3
    world.live(6.0)
    assert not any("settings" in notice for notice in world.notices), world.notices
    assert "starting: the folder of the store is there again" in world.notices
    world.settings = 4
    world.live(6.0)
    assert "starting: the settings changed" in world.notices
