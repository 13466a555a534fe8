"""The watcher of the store: whether it runs, what it does and what stops it."""

from astica_sync.clock import local_time
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.doctor.section import Section

_STOPPED_BY = {
    WatchState.HALTED: "it sends nothing until the settings or the key change",
    WatchState.HELD: "it waits until the store can be synced again",
    WatchState.RESTING: "it failed and tries again by itself",
}


def check_watcher(status: WatchStatus | None, runs: bool) -> Section:
    """``status`` is what it wrote last."""
    section = Section("watcher")
    section.facts["running"] = runs
    if status is None or not runs:
        return section
    section.facts["state"] = status.state.value
    section.facts["since"] = local_time(status.state_since)
    section.facts["last in sync"] = None if status.agreed_at is None else local_time(status.agreed_at)
    section.facts["queue"] = status.queue
    section.facts["receives events"] = not status.polls
    if status.polls:
        section.note(f"the watcher looks for changes at intervals: {status.polls}")
    if status.state in _STOPPED_BY:
        section.note(
            f"the watcher is {status.state.value} ({_STOPPED_BY[status.state]}): {status.why}",
            "see all of it: astica-sync watch status",
        )
    if status.state is WatchState.PAUSED:
        section.note("the watcher is paused", "let it go on: astica-sync watch resume")
    return section
