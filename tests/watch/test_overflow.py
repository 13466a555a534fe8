"""More events than the system keeps for a reader that stands still."""

import signal
from pathlib import Path

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw
from tests.harness.watch_process import Start, equal, wait_until

LIMIT = Path("/proc/sys/fs/inotify/max_queued_events")


def test_a_file_whose_event_was_lost_in_a_full_queue_is_found(
    shell: Shell, sandbox: RunningSandbox, store: Path, watch: Start
) -> None:
    # So rarely that nothing but the lost events can be what makes it look.
    (store / "astica-sync.toml").write_text("settle = 0.2\nobserve_every = 3600\n")
    [(model_id, _)] = sandbox.models()
    watching = watch(store)
    wait_until(lambda: equal(sandbox, model_id, store))
    watching.process.send_signal(signal.SIGSTOP)
    litter = store / "Can" / "litter.txt"
    for _ in range(int(LIMIT.read_text()) + 1000 if LIMIT.exists() else 20_000):
        # Whichever of making, closing and deleting it listens to.
        litter.touch()
        litter.unlink()
    draw(store / "Bottle" / "unheard.png", 90)
    watching.process.send_signal(signal.SIGCONT)
    wait_until(lambda: equal(sandbox, model_id, store))
