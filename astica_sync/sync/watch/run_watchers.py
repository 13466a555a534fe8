"""Watches several stores in one thread: each does one piece of work in turn, so a long backlog of one store does not
delay another, and the request budget is shared piece by piece."""

from collections.abc import Callable, Sequence

from astica_sync.clock import Wake
from astica_sync.errors import Interrupted
from astica_sync.sync.watch.watcher_lifecycle import WatcherLifecycle


def run_watchers(
    lifecycles: Sequence[WatcherLifecycle],
    wake: Wake,
    *,
    stopping: Callable[[], bool],
    reload_requested: Callable[[], bool] = lambda: False,
    look_requested: Callable[[], bool] = lambda: False,
    after_turn: Callable[[], None] = lambda: None,
) -> None:
    """Runs until ``stopping``.

    Args:
        stopping: whether the user stopped the program.
        reload_requested: whether SIGHUP was received since the last call.
        look_requested: whether the user asked to look at the service since the last call.
        after_turn: called after each turn of all stores.
    """
    try:
        while not stopping():
            if reload_requested():
                for lifecycle in lifecycles:
                    lifecycle.restart("SIGHUP received")
            if look_requested():
                for lifecycle in lifecycles:
                    lifecycle.look_now()
            pause = min(lifecycle.heartbeat for lifecycle in lifecycles)
            for lifecycle in lifecycles:
                if stopping():
                    return
                pause = min(pause, lifecycle.step())
            after_turn()
            if pause > 0:
                wake.wait(pause)
    except Interrupted:
        return
    finally:
        for lifecycle in lifecycles:
            lifecycle.close()
