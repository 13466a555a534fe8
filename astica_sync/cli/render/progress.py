"""Progress of a push on standard error: a bar on a terminal, lines elsewhere."""

import sys
from typing import TYPE_CHECKING

from astica_sync.cli.render.status_output import twin_line
from astica_sync.cli.render.text import duration, first, number, safe
from astica_sync.cli.render.verbosity import Verbosity
from astica_sync.cli.render.waits import Waits
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress(Waits):
    """Shows how much of a push is done. The remaining time is computed from the request budget."""

    def __init__(self) -> None:
        super().__init__()
        self._terminal = sys.stderr.isatty() and self._verbosity > Verbosity.QUIET
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def planned(self, plan: Plan, refusals: list[Refusal], eta: float) -> None:
        removed = 0 if refusals else len(plan.removed)
        uploads = len(plan.uploads) + plan.later - sum(len(refusal.uploads) for refusal in refusals)
        if not uploads and not removed:
            return
        self._warn_of_twins(plan)
        takes = f", about {duration(eta)}" if eta >= 1 else ""
        self.note(f"To upload: {number(uploads, 'sample')}, to remove: {number(removed, 'sample')}{takes}")
        if self._terminal:
            self._open(uploads + removed, eta)

    def _warn_of_twins(self, plan: Plan) -> None:
        """Only those that are uploaded now; the user has seen the others."""
        sent = {upload.uid for upload in plan.uploads}
        twins = [twin for twin in plan.in_several_classes if any(sample.uid in sent for sample in twin)]
        if twins:
            self.note("The same image is in several classes, and is uploaded for each:")
            for line in first((f"  {twin_line(twin)}" for twin in twins), len(twins)):
                self.note(line)

    def uploaded(self, class_title: str, path: str, eta: float) -> None:
        super().uploaded(class_title, path, eta)
        self._advance(1, path, eta)

    def removed(self, class_title: str, path: str, samples: int, eta: float) -> None:
        super().removed(class_title, path, samples, eta)
        self._advance(samples, path or class_title, eta)

    def failed(self, class_title: str, path: str, reason: str) -> None:
        self.note(f"{path}: {reason}")
        self._advance(1, path, None)

    def close(self) -> None:
        """Removes the bar; the next plan opens it again."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _print(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            super()._print(text)

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
