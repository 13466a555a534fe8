"""The pauses between tries, cut short: what a command does after them is tested, not how long they are.

Run as a program (``python -m tests.harness.short_pauses push``) it is ``astica-sync`` with short pauses.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

PAUSES = {
    "astica_sync.remote.rate_limited_client:FIRST_PAUSE": 0.02,
    "astica_sync.remote.rate_limiter:FIRST_BACK_OFF": 0.2,
    "astica_sync.sync.apply.circuit_breaker:FIRST_PAUSE": 0.05,
    "astica_sync.sync.push.prove_uids:FIRST_PAUSE": 0.05,
    "astica_sync.sync.observe:FIRST_PAUSE": 0.05,
    "astica_sync.sync.admin.create_model:FIRST_PAUSE": 0.1,
    "astica_sync.sync.admin.explicit_removal:PAUSE": 0.1,
    "astica_sync.training.train:FIRST_POLL_SECONDS": 0.05,
    "astica_sync.core.watch.scheduler:ROUND_GAP": 0.3,
    "astica_sync.core.watch.scheduler:MIN_POLL_INTERVAL": 0.2,
    "astica_sync.core.watch.scheduler:FIRST_RETRY": 0.3,
    "astica_sync.core.inbox.next_look:RETRY_S": 1.0,
    "astica_sync.bucket.store_files:RETRY_S": 0.5,
    "astica_sync.cli.watch.send_to_inbox:EVERY": 0.2,
    "astica_sync.cli.watch.receive_from_inbox:EVERY": 0.2,
    "astica_sync.sync.watch.watcher_lifecycle:HEARTBEAT": 0.2,
    "astica_sync.sync.watch.watcher_lifecycle:HOLD_DELAY": 0.2,
    "astica_sync.sync.watch.watcher_lifecycle:BUSY_DELAY": 0.2,
    "astica_sync.sync.watch.watcher_lifecycle:WRITE_EVERY": 0.2,
}
"""Constants in seconds, and their values in tests."""


def shorten(set_value: Callable[[Any, str, float], None] = setattr) -> None:
    """Sets all of them in this process.

    Raises:
        AttributeError: a constant has another name by now.
    """
    for place, seconds in PAUSES.items():
        module_name, _, name = place.partition(":")
        module = importlib.import_module(module_name)
        if not isinstance(getattr(module, name), float):
            raise AttributeError(f"{place} is not a number of seconds")
        set_value(module, name, seconds)


if __name__ == "__main__":
    from astica_sync.cli.main import main

    shorten()
    # Tests that read the system calls of a command begin here, see ``system_calls``.
    os.path.exists("a-command-begins-here")
    main()
