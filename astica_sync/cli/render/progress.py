"""Progress of a push: a bar on a terminal, a line for what matters elsewhere; all of it on standard error."""

import sys
from typing import TYPE_CHECKING

import click

from astica_sync.cli.render.status_output import twin_line
from astica_sync.cli.render.text import duration, first, number, safe
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress(ProgressListener):
    """Shows how far a push is. The time that remains comes from the request budget, so that it is right."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        removed = 0 if refusals else len(plan.removed)
        uploads = len(plan.uploads) + plan.later - sum(len(refusal.uploads) for refusal in refusals)
        if not uploads and not removed:
            return
        self._warn_of_twins(plan)
        click.echo(
            f"To upload: {number(uploads, 'sample')}, to remove: {number(removed, 'sample')}, "
            f"{'about ' if eta >= 1 else ''}{duration(eta)}",
            err=True,
        )
        if self._terminal:
            self._open(uploads + removed, eta)

    def _warn_of_twins(self, plan: Plan) -> None:
        """Only those of which a part goes up now: who has been told once may mean it."""
        sent = {upload.uid for upload in plan.uploads}
        twins = [twin for twin in plan.in_several_classes if any(sample.uid in sent for sample in twin)]
        if twins:
            lines = ["The same image is in two classes or more, and goes up for each:"]
            click.echo("\n".join(lines + first((f"  {twin_line(twin)}" for twin in twins), len(twins))), err=True)

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        self._advance(1, path, eta)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        self._advance(samples, path or class_title, eta)

    def failed(self, class_title: str, path: str, reason: str) -> None:
        self.note(f"{path}: {reason}")
        self._advance(1, path, None)

    def waits(self, seconds: float, why: str) -> None:
        if seconds >= 2:
            self.note(f"waiting {duration(seconds)}: {why}")

    def note(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(safe(text), markup=False, highlight=False)
        else:
            click.echo(safe(text), err=True)

    def close(self) -> None:
        """Takes the bar away; it can be opened again by the next plan."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _open(self, total: int, eta: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        self.close()
        self._bar = Bar(
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]} left"),
            TextColumn("{task.fields[name]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=total, left=duration(eta), name="")

    def _advance(self, samples: int, name: str, eta: float | None) -> None:
        if self._bar is None or self._task is None:
            return
        self._bar.update(self._task, advance=samples, name=safe(name))
        if eta is not None:
            self._bar.update(self._task, left=duration(eta))
