"""``astica-sync pull-status``."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from astica_sync.cli.context import open_store, read_watch_status, store_option
from astica_sync.cli.exit_codes import DIFFERENCES
from astica_sync.cli.render.status_output import status_data, status_lines
from astica_sync.cli.render.text import safe
from astica_sync.clock import local_time
from astica_sync.local.layout import Layout
from astica_sync.sync.progress import ProgressListener


@click.command("pull-status")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 when store and service differ.")
@click.option("--offline", is_flag=True, help="Compare with the last observation; sends nothing, needs no key.")
def pull_status(store: Path | None, as_json: bool, exit_code: bool, offline: bool) -> int:
    """Show what differs between store and service, and what a push would do and cost.

    \b
    astica-sync pull-status
    astica-sync pull-status --exit-code && echo "all there"
    astica-sync pull-status --json | jq .plan.requests
    """
    from astica_sync.sync.plan.status import FOLLOWS, find_status

    with open_store(store, ProgressListener(), offline=offline) as opened:
        seen = find_status(opened.session, offline=offline, quick=True)
        eta = opened.session.remote.service.forecast(seen.plan.requests)
        in_sync = seen.plan.in_sync and not seen.refusals
        follows, _ = opened.session.local.journal.get_meta(FOLLOWS, (None, None)) or (None, None)
        if as_json:
            data = {**status_data(seen, eta), "follows": follows}
            click.echo(json.dumps(data, ensure_ascii=False))
        else:
            where = urlsplit(opened.settings.train_url).netloc
            click.echo(f"Store   {safe(str(opened.layout.root))}")
            click.echo(f'Model   {seen.observation.model.model_id} "{safe(seen.observation.model.title)}" at {where}')
            if follows:
                told = f"It was made equal to the data of {safe(follows)}; a push brings the store forward."
                click.echo(click.style(told, fg="yellow"))
            click.echo("\n".join([*_watcher_line(opened.layout), *status_lines(seen, eta)]))
    return DIFFERENCES if exit_code and not in_sync else 0


def _watcher_line(layout: Layout) -> list[str]:
    """Who watches the store, where somebody does or should."""
    if not layout.watch_state.exists():
        return []
    report, alive = read_watch_status(layout)
    if report is None or not alive:
        return ["Watcher none runs now: astica-sync watch"]
    agreed = f"agreed {local_time(report.agreed_at, seconds=True)}" if report.agreed_at else "not agreed yet"
    why = f" ({safe(report.why)})" if report.why else ""
    return [
        f"Watcher process {report.pid} since {local_time(report.since, seconds=True)}, {report.state}{why}, {agreed}"
    ]
