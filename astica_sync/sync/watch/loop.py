"""Several stores watched by one thread: each does one piece of its work in turn, so a long backlog of one keeps no
other waiting, and the request budget is shared piece by piece."""

from collections.abc import Callable, Sequence

from astica_sync.clock import Wake
from astica_sync.errors import Interrupted
from astica_sync.sync.watch.supervisor import HEARTBEAT, Supervisor


def run_watchers(
    keepers: Sequence[Supervisor],
    wake: Wake,
    *,
    stopping: Callable[[], bool],
    reread: Callable[[], bool] = lambda: False,
    beat: Callable[[], None] = lambda: None,
    heartbeat: float = HEARTBEAT,
) -> None:
    """Goes on until somebody says stop.

    Args:
        stopping: whether a person has said stop.
        reread: whether a person asked, since the last call, to read the settings again.
        beat: called after each turn: all is well.
        heartbeat: the longest pause between two turns, in seconds.
    """
    try:
        while not stopping():
            if reread():
                for keeper in keepers:
                    keeper.begin_anew("a person asked for it")
            soonest = heartbeat
            for keeper in keepers:
                if stopping():
                    return
                soonest = min(soonest, keeper.step())
            beat()
            if soonest > 0:
                wake.wait(soonest)
    except Interrupted:
        return
    finally:
        for keeper in keepers:
            keeper.close()
