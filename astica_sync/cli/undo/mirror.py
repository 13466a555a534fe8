"""``astica-sync backup mirror``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import exit_code_in_part
from astica_sync.cli.open_store import clean_stop, closed_at_end, find, store_option
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import duration, first, json_line, json_name, number, safe
from astica_sync.clock import Clock, SystemClock

if TYPE_CHECKING:
    from astica_sync.mirror.mirror_run import Mirrored

LINES = 20


@click.command("mirror")
@click.argument("address", metavar="URL")
@store_option
@click.option("--verify", type=click.Choice(["share", "all"]), default="share", help="How much is read back.")
@click.option("--new", is_flag=True, help="Make a new copy where the last one is gone from the place.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def mirror(address: str, store: Path | None, verify: str, new: bool, as_json: bool) -> int:
    """Copy the backup to a bucket or to another folder.

    Copies what the mirror lacks, and removes nothing there. Reads what it wrote back: a hundredth of the objects each
    day, all of them with --verify all; a damaged object is written again. Credentials of a bucket come from the
    environment of its provider. A lost store is rebuilt by: astica-sync backup restore --from URL --to FOLDER

    Copies nothing to a place that had a copy of this store and is empty now, as the folder of a disk that is not
    mounted, until you say --new.

    Says how many files of the store are not in it: the backup has what was uploaded, and no other file.

    Ends with 3 when some objects are not in the mirror, which are listed, and with 1 when none is.

    \b
    astica-sync backup mirror s3://my-bucket/cans
    astica-sync backup mirror ~/nas/cans
    astica-sync backup mirror s3://my-bucket/cans --verify all
    """
    from astica_sync.mirror.mirror_run import mirror_backup
    from astica_sync.mirror.open_place import open_place

    layout = find(store)
    clock, progress = SystemClock(), Progress()
    with clean_stop(clock), closed_at_end(progress, clock):
        place = open_place(address)
        progress.phase(f"comparing with {place.name}")
        done = mirror_backup(
            layout,
            place,
            clock,
            verify_all=verify == "all",
            new=new,
            on_progress=FileCounter(progress, clock, "copying"),
            stopping=clock.stopping.is_set,
        )
    if as_json:
        problems = [{"name": json_name(name), "reason": reason} for name, reason in done.problems]
        data = {"place": place.name, "copied": done.copied, "kept": done.kept, "bytes": done.bytes}
        data |= {"checked": done.checked, "repaired": done.repaired, "outside": done.outside}
        click.echo(json_line({**data, "problems": problems}))
        return _exit_code(done)
    print_problems([(name, reason) for name, reason in done.problems])
    print_lines(
        [
            f"{safe(place.name)}: {number(done.copied, 'object')} copied ({done.bytes / 1e6:,.1f} MB), {done.kept:,} "
            f"already there, {done.checked:,} read back, {done.repaired:,} written again, {len(done.problems):,} failed"
        ]
    )
    if done.outside:
        are = "is" if done.outside == 1 else "are"
        print_lines(
            [
                f"{number(done.outside, 'file')} of the store {are} not in the mirror: the backup has only what was "
                "uploaded. To see them: astica-sync status"
            ]
        )
    return _exit_code(done)


def _exit_code(done: "Mirrored") -> int:
    return exit_code_in_part(done.whole, len(done.problems))


class FileCounter:
    """Shows how many of how many are done, with the time that the rest takes at this rate."""

    def __init__(self, progress: Progress, clock: Clock, verb: str) -> None:
        self._progress, self._clock, self._verb = progress, clock, verb
        self._began = clock.ticks()
        self._state = (0, 0)

    def __call__(self, done: int, total: int) -> None:
        begin = not self._state[0]
        self._state = done, total
        if begin:
            self._progress.works(self._text)

    def _text(self, _seconds: float) -> str:
        done, total = self._state
        seconds = self._clock.ticks() - self._began
        left = seconds / done * (total - done) if done else 0.0
        rate = f", {done / seconds:,.0f} a second, {duration(left)} left" if seconds >= 1 else ""
        return f"{self._verb} {done:,} of {number(total, 'file')}{rate}"


def print_problems(problems: list[tuple[str, str]]) -> None:
    lines = [f"! {safe(name)}  ({safe(reason)})" for name, reason in problems]
    for line in first(lines, len(lines), LINES):
        print_lines([click.style(line, fg="red")], err=True)
