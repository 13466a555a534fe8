"""``astica-sync backup restore --from``: the store of a mirror in a new folder."""

from pathlib import Path

import click

from astica_sync.cli.exit_codes import exit_code_in_part
from astica_sync.cli.open_store import clean_stop, closed_at_end
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import number, safe
from astica_sync.cli.undo.mirror import FileCounter, print_problems
from astica_sync.clock import SystemClock, local_time
from astica_sync.service_address import spelled_address
from astica_sync.shell_quote import quote_path


def rebuild_from_mirror(address: str, to: Path | None) -> int:
    """The store of a mirror in a new folder.

    Raises:
        click.UsageError: no folder is named.
    """
    from astica_sync.mirror.open_place import open_place
    from astica_sync.mirror.rebuild import rebuild_store

    if to is None:
        raise click.UsageError("Name the new folder of the store with --to.")
    clock, progress = SystemClock(), Progress()
    with clean_stop(clock), closed_at_end(progress, clock):
        place = open_place(address)
        progress.phase(f"reading {place.name}")
        done = rebuild_store(
            place, to, clock, on_progress=FileCounter(progress, clock, "fetching"), stopping=clock.stopping.is_set
        )
    print_problems([(problem.path, problem.reason) for problem in done.problems])
    root = done.layout.root
    print_lines(
        [
            f"{safe(str(root))}: {number(done.objects, 'object')} of the backup, {number(done.files, 'file')} in class "
            f"folders, {len(done.problems):,} failed"
        ]
    )
    print_lines(
        [
            f"It is the store of model {done.model_id} at {safe(spelled_address(done.train_url))}. Compare it with the "
            f"service: astica-sync status --store {quote_path(str(root))}"
        ]
    )
    when = "" if done.copied_at is None else f" on {local_time(done.copied_at)}"
    print_lines(
        [
            f"It has the files of the last copy{when}. What was deleted, or held out by split, after that is back, and "
            "a push would upload it again: look for it in the list of that status before the first push."
        ]
    )
    return exit_code_in_part(done.objects + done.files, len(done.problems))
