"""``astica-sync inspect``."""

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.open_store import FOLDER, find, open_store, settings_for
from astica_sync.cli.path_from_here import folder_from_here
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.report_file import check_report_file, note_in_store, write_report
from astica_sync.cli.render.text import duration, json_line, json_name, number, safe
from astica_sync.core.evaluation.percent_text import percent
from astica_sync.errors import AsticaSyncError
from astica_sync.system.error_advice import memory_limit

if TYPE_CHECKING:
    from astica_sync.inspect.findings import Finding
    from astica_sync.inspect.inspect_store import Inspection

NUMPY_NEEDS = 80 << 20
"""So many bytes numpy reserves when it is imported."""
KIND_NAMES = (
    "several-classes",
    "held-out",
    "duplicate-classes",
    "wrong-label",
    "damaged",
    "duplicate",
    "outlier",
    "blurred",
    "dark",
    "tiny",
    "odd-shape",
    "balance",
)
_MOST_LETTERS = 200
_MOST_NAMES = 6


@click.command("inspect")
@click.argument("store", required=False, type=FOLDER)
@click.option("--held-out", multiple=True, type=FOLDER, help="Compare with DIR too.")
@click.option(
    "--only",
    multiple=True,
    metavar="KIND",
    type=click.Choice(KIND_NAMES),
    help=f"Show one kind of finding; may be repeated. The kinds: {', '.join(KIND_NAMES)}.",
)
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Show so many of each kind.")
@click.option("--no-features", is_flag=True, help="Skip wrong labels and outliers, which take longest.")
@click.option("--executor", metavar="ADDRESS", help="Read the images on the Dask cluster at dask://HOST:8786.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def inspect(
    store: Path | None,
    held_out: tuple[Path, ...],
    only: tuple[str, ...],
    limit: int,
    no_features: bool,
    executor: str | None,
    html: Path | None,
    as_json: bool,
) -> int:
    """Find what spoils a model before it is trained.

    Looks for nearly the same picture twice, images in two classes, likely wrong labels, outliers, and dark, blurred,
    tiny, odd and damaged images. Changes nothing and sends nothing. Later runs look only at what is new.

    \b
    astica-sync inspect
    astica-sync inspect --only wrong-label --limit 50
    astica-sync inspect --held-out ../held-out --html r.html
    astica-sync inspect --executor dask://host:8786
    """
    from astica_sync.system.optional_packages import require

    require("numpy", "evaluate")
    if near := memory_limit(NUMPY_NEEDS):
        # numpy would end this process, with a message of its own.
        raise AsticaSyncError("there is too little memory to open images", f"Free memory, or give it more: {near}")
    if html is not None:
        check_report_file(html, "--html")
    from astica_sync.executor.open_executor import open_executor
    from astica_sync.inspect.inspect_store import THREADS, inspect_store, stopped
    from astica_sync.inspect.work_on_worker import PACKAGES_FOR_FEATURES

    address = settings_for(find(store), {"executor": executor}, offline=True).executor
    packages = () if no_features else PACKAGES_FOR_FEATURES
    progress = Progress()
    with open_store(store, progress, offline=True) as opened:
        stopping = opened.session.runtime.stopping

        def pause() -> None:
            if stopping():
                raise stopped()

        with open_executor(address, THREADS, packages=packages, pause=pause) as reader:
            found = inspect_store(
                opened.session,
                held_out,
                with_features=not no_features,
                executor=reader,
                on_progress=_Rate(progress).report,
            )
        progress.phase_ended()
        now = opened.session.runtime.clock.now()
    if html is not None:
        from astica_sync.inspect.html_report import write_html

        write_report(html, write_html(found, now, opened.layout.root, opened.session.local.preparer.recipe))
    chosen = [one for one in found.findings if not only or one.kind in only]
    store_from_here = folder_from_here(opened.layout.root)
    if as_json:
        click.echo(json_line(_data(found, chosen, store_from_here)))
    else:
        print_lines(_lines(found, chosen, limit, store_from_here))
        if html is not None:
            click.echo(f"\nReport: {safe(str(html))}")
    if html is not None:
        note_in_store(html, opened.layout.root)
    return 0


class _Rate:
    """The progress of a step with its rate and the time that is left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._step, self._since = "", 0.0

    def report(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step != self._step:
            self._step, self._since = step, now
        rate = done / max(now - self._since, 0.001)
        left = f", {duration((total - done) / rate)} left" if done else ""
        self._progress.works(lambda _: f"{step}: {done:,} of {total:,}, {rate:,.0f}/s{left}", now - self._since)


def _data(found: "Inspection", chosen: "list[Finding]", store: str) -> dict[str, Any]:
    return {
        "images": found.images,
        "looked_at": found.looked_at,
        "classes": found.classes,
        "findings": [
            {
                "kind": one.kind,
                "certainty": one.certainty,
                "paths": [json_name(path) for path in one.paths],
                "text": json_name(one.text),
                "advice": json_name(one.advice_from(store)),
            }
            for one in chosen
        ],
    }


def _lines(found: "Inspection", chosen: "list[Finding]", limit: int, store: str) -> list[str]:
    from astica_sync.inspect.findings import KINDS, SURE_KINDS

    classes = number(len(found.classes), "class", "classes")
    lines = [f"{number(found.images, 'image')} in {classes}, {number(len(chosen), 'finding')}"]
    for kind, group in itertools.groupby(chosen, key=lambda one: one.kind):
        findings = list(group)
        lines += ["", f"{KINDS[kind]}: {len(findings):,}"]
        for one in findings[:limit]:
            names = ", ".join(_short(path) for path in one.paths[:_MOST_NAMES])
            if len(one.paths) > _MOST_NAMES:
                names += f" and {len(one.paths) - _MOST_NAMES:,} more"
            certainty = "" if kind in SURE_KINDS else f" ({percent(one.certainty, digits=0)})"
            # A command that is cut would do something else.
            lines += [f"  {names}: {_short(one.text)}{certainty}", f"    {safe(one.advice_from(store))}"]
        if len(findings) > limit:
            lines.append(f"  … and {len(findings) - limit:,} more (--limit {len(findings)}, or --json)")
    if not chosen:
        lines.append("Nothing was found.")
    return lines


def _short(text: str) -> str:
    shown = safe(text)
    return shown if len(shown) <= _MOST_LETTERS else f"{shown[:_MOST_LETTERS]}…"
