"""The status of a watcher as text, for ``watch status`` and where a live view has ended."""

import time

from astica_sync.cli.render.text import duration, number, safe
from astica_sync.clock import local_time
from astica_sync.core.watch.watch_status import WatchState, WatchStatus

MOST_WAITS = 5


def watch_status_lines(status: WatchStatus, *, alive: bool = True, suspended: bool = False) -> list[str]:
    """A watcher's status as text."""
    store = safe(status.store)
    if not alive:
        return [f"{store}", "  no watcher is running"]
    if suspended:
        since = local_time(status.since, seconds=True)
        return [
            store,
            f"  process {status.pid} since {since}, {suspended_text(status)}",
            f"  before it was stopped: {state_word(status)} since {local_time(status.state_since, seconds=True)}",
        ]
    why = f": {safe(status.why)}" if status.why else ""
    lines = [
        f"{store}",
        f"  process {status.pid} since {local_time(status.since, seconds=True)}, {state_word(status)}{why}",
    ]
    if status.next_try_at is not None and status.next_try_at > time.time():
        lines.append(f"  next attempt: {local_time(status.next_try_at, seconds=True)}")
    in_sync_at = local_time(status.agreed_at, seconds=True) if status.agreed_at else "not seen by a watcher yet"
    lines.append(f"  last in sync: {in_sync_at}")
    counts = [f"uploaded {status.uploaded:,}", f"removed {status.removed:,}"]
    if status.queue:
        eta = f" ({duration(status.eta)})" if status.eta >= 1 else ""
        counts.append(f"waiting for upload {status.queue:,}{eta}")
    counts += [f"failed {status.failed:,}"] if status.failed else []
    lines.append(f"  {', '.join(counts)}")
    if status.problems:
        lines.append(f"  {problem_text(status.problems)}")
    if status.held_out:
        images = number(status.held_out, "image of the store is", "images of the store are")
        lines.append(f"  {images} held out as well; to name them: astica-sync status")
    if status.polls:
        lines.append(f"  polling: {safe(status.polls)}")
    lines += [f"  waiting: {safe(text)}" for text in status.waits[:MOST_WAITS]]
    if len(status.waits) > MOST_WAITS:
        lines.append(f"  waiting: {len(status.waits) - MOST_WAITS:,} more; for the reasons: astica-sync status")
    lines += [f"  needs a decision: {safe(text)}" for text in status.refusals]
    # The last few are kept, whatever has become of them; the one that holds is in the line of the state.
    lines += [f"  earlier error: {safe(text)}" for text in status.errors[-3:] if text not in status.why]
    return lines


def state_word(status: WatchStatus) -> str:
    """The state for a user: a watcher that has nothing to do but waits for a decision is not idle."""
    undecided = status.state is WatchState.IDLE and status.refusals
    return "waiting for a decision" if undecided else str(status.state)


def suspended_text(status: WatchStatus) -> str:
    """That a watcher does nothing since a signal has stopped it, and how it goes on."""
    return f"does not answer: a signal has stopped it (SIGSTOP or Ctrl-Z); to let it go on: kill -CONT {status.pid}"


def problem_text(count: int) -> str:
    """How many files cannot be uploaded, and the command that says why."""
    return f"{number(count, 'problem file')}; for the reasons: astica-sync status"
