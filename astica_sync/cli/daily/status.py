"""``astica-sync pull-status``."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from astica_sync.cli.exit_codes import DIFFERENCES, DONE
from astica_sync.cli.known_rejections import note_rejections
from astica_sync.cli.open_store import (
    NO_STATUS_YET,
    image_in_index,
    open_store,
    path_in_backup,
    path_in_journal,
    price_of,
    read_watch_status,
    store_option,
)
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.status_output import (
    data_of_version,
    divided_classes_section,
    held_out_warning,
    in_two_formats_section,
    left_out_data,
    left_out_lines,
    status_data,
    status_lines,
)
from astica_sync.cli.render.text import duration, json_line, json_name, number, safe
from astica_sync.cli.render.watch_status_output import state_word, suspended_text
from astica_sync.cli.watch.pause_file import pause_text, paused_at
from astica_sync.clock import local_time
from astica_sync.core.plan.plan_subset import sent_since_view, with_sent_as_managed
from astica_sync.core.versions.snapshot import SnapshotSample
from astica_sync.core.watch.watch_status import WatchState
from astica_sync.errors import AsticaSyncError, StoreChanged
from astica_sync.local.layout import Layout
from astica_sync.local.store_sentinel import check_root, read_sentinel
from astica_sync.mirror.mirror_status import read_record
from astica_sync.open_session import OpenStore, claim_of_store, forecast_of_key, stores_of_model
from astica_sync.system.processes.suspended_process import is_suspended

if TYPE_CHECKING:
    from astica_sync.core.fleet.store_claim import StoreClaim
    from astica_sync.core.model import Observation
    from astica_sync.core.plan.plan import Plan
    from astica_sync.local.db.journal import Journal

MOST_AGE = 50 * 365 * 86_400.0
"""An older view has a time of a clock that was wrong."""
CHECK_SECONDS = 2.0
"""How long a status may check images that a push would send."""
MOST_GROUPS = 1000
"""So many images that are more than once in a class, or in two formats, are looked for."""


@click.command("pull-status")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 when the service differs from the store.")
@click.option("--offline", is_flag=True, help="Compare with the last known state of the service; needs no key.")
@click.option("--ignored", is_flag=True, help="Also list the files that are left out, with the reason.")
def pull_status(store: Path | None, as_json: bool, exit_code: bool, offline: bool, ignored: bool) -> int:
    """Show what a push would do and cost.

    Compares the store with the service and changes nothing. Sends one request; none with --offline. pull-status and
    status are one command.

    \b
    astica-sync status
    astica-sync status --exit-code && echo "in sync"
    astica-sync status --json | jq .plan.requests
    astica-sync status --ignored
    """
    from astica_sync.doctor.check_budget import ANOTHER_PROGRAM, find_service_pause
    from astica_sync.local.image.prepare.name_cut_off import name_cut_off
    from astica_sync.local.image.prepare.usable_formats import samples_in_two_formats
    from astica_sync.local.scan.find_left_out import find_left_out
    from astica_sync.sync.plan.find_status import FOLLOWS, find_status
    from astica_sync.sync.plan.held_out_images import find_held_out_images
    from astica_sync.sync.push.preflight_checks import check_samples

    with open_store(store, Progress(), offline=offline) as opened:
        found = find_status(opened.session, offline=offline, quick=True)
        sent_since = removed_since = 0
        if offline:
            quarantine = opened.session.policy.quarantine
            sent = sent_since_view(found.plan, found.observation.asked_at, quarantine)
            gone = _removed_since_view(opened.session.local.journal, found.observation, found.plan)
            plan = with_sent_as_managed(found.plan, sent)
            left = {
                title: replace(plan.classes[title], managed=plan.classes[title].managed - gone[title]) for title in gone
            }
            found = replace(found, plan=replace(plan, classes={**plan.classes, **left}))
            sent_since, removed_since = len(sent), gone.total()
        status = check_samples(opened.session, found, CHECK_SECONDS)
        note_rejections(opened.session.local.index, found.plan, status)
        status = replace(status, problems=name_cut_off(opened.session.local.fs, opened.layout.root, status.problems))
        price = price_of(opened.session, status)
        pause = find_service_pause(opened.layout, opened.session.runtime.clock)
        if offline and price.requests:
            # The budget of no key is empty.
            price = replace(price, seconds=forecast_of_key(opened.settings, price.requests) or price.seconds)
        follows, snapshot = opened.session.local.journal.get_meta(FOLLOWS, (None, "")) or (None, "")
        copies = opened.session.local.index.copies(MOST_GROUPS)
        held_out = find_held_out_images(opened.session.local.journal, opened.session.local.index)
        pairs = samples_in_two_formats(opened.session.local.index, MOST_GROUPS)
        changed = _find_change(opened)
        others, own = ([], None) if offline else _find_other_stores(opened)
        if as_json:
            named = [[json_name(path) for path in paths] for paths in copies]
            asked_at = status.observation.asked_at
            data = {
                **status_data(status, price),
                "copies": named,
                "held_out": [{"path": json_name(one.path), "place": json_name(one.place)} for one in held_out],
                "in_two_formats": [[json_name(path) for path in pair] for pair in pairs],
                "follows": follows,
                "confirmed_since": sent_since,
                "removed_since": removed_since,
                "asked_at": asked_at if math.isfinite(asked_at) else None,
                "changed": None if changed is None else str(changed),
                **_store_data(others, own),
            }
            data["remote"]["samples"] += sent_since - removed_since
            if ignored:
                data["ignored"] = left_out_data(find_left_out(opened.layout.root, opened.session.local.fs))
            click.echo(json_line(data))
        else:
            model = status.observation.model
            lines = [
                f"Store    {safe(str(opened.layout.root))}",
                f'Model    {model.model_id} "{safe(model.title)}" at {urlsplit(opened.settings.train_url).netloc}',
            ]
            if offline:
                now = opened.session.runtime.clock.now()
                lines.append(_view_line(status.observation.asked_at, now, sent_since, removed_since))
            if follows:
                of_version = data_of_version(
                    follows, _samples_of(opened, snapshot), status.plan.unmanaged, status.owned
                )
                held = f"{of_version} A push brings it back in sync with the store."
                lines.append(click.style(held, fg="yellow"))
            lines += _watcher_line(opened.layout)
            if own is not None:
                # Loaded here: a store without a budget server needs none of it.
                from astica_sync.cli.render.several_stores.announced_stores import other_store_lines

                lines += other_store_lines(others, own, opened.session.runtime.clock.now())
            if pause is not None:
                lines += [click.style(f"Limit    {pause.text}", fg="yellow"), f"         {ANOTHER_PROGRAM}"]
            lines += _mirror_line(opened.layout)
            local = opened.session.local
            path_of = path_in_backup(opened.layout, status.plan, path_in_journal(local.journal))
            is_image = image_in_index(local.index)
            lines += status_lines(status, price if changed is None else None, path_of, copies, is_image=is_image)
            lines += in_two_formats_section(pairs)
            lines += divided_classes_section(local.index.divided_classes())
            if held_out:
                lines += ["", *held_out_warning(held_out)]
            if ignored:
                lines += left_out_lines(find_left_out(opened.layout.root, opened.session.local.fs))
            if changed is not None:
                no_push = click.style(f"No push is possible: {safe(str(changed))}", fg="red")
                lines += ["", no_push, f"  {safe(changed.hint)}"]
            print_lines(lines)
    return DIFFERENCES if exit_code and not status.in_sync else DONE


def _find_other_stores(opened: OpenStore) -> "tuple[list[StoreClaim], StoreClaim | None]":
    """The other stores of the model on the budget server, and this one; none without a server."""
    if not opened.settings.budget:
        return [], None
    own = claim_of_store(opened.settings, opened.layout, read_sentinel(opened.layout))
    found = stores_of_model(opened.settings, opened.session.remote.model_id)
    return [one for one in found if one.store_id != own.store_id], own


def _store_data(others: "list[StoreClaim]", own: "StoreClaim | None") -> dict[str, object]:
    if own is None:
        return {"stores": [], "contradictions": []}
    from astica_sync.cli.render.several_stores.announced_stores import contradiction_data, store_data
    from astica_sync.core.fleet.store_claim import contradictions_of

    found = [one for other in others for one in contradictions_of([own, other])]
    return {
        "stores": [store_data(one) for one in others],
        "contradictions": [contradiction_data(one) for one in found],
    }


def _find_change(opened: OpenStore) -> StoreChanged | None:
    """Why a push would refuse this folder: it is a copy, or was made elsewhere. Nothing is concluded from its files."""
    try:
        check_root(opened.layout, opened.session.local.fs)
    except StoreChanged as error:
        return error
    return None


def _samples_of(opened: OpenStore, snapshot: str) -> list[SnapshotSample]:
    """The samples of a snapshot; none where it cannot be read."""
    from astica_sync.api import Store

    try:
        return Store.over(opened).snapshot(snapshot)
    except AsticaSyncError:
        return []


def _removed_since_view(journal: "Journal", view: "Observation", plan: "Plan") -> Counter[str]:
    """By class, how many of the managed samples that the view has the service has removed after the view was asked for,
    as its answers say."""
    removed = {
        event.sample_id
        for event in journal.history(since=view.asked_at)
        if event.action in ("remove", "remove-class") and event.outcome == "done"
    }
    if not removed:
        return Counter()
    removed -= {one.sample_id for one in plan.unmanaged}
    titles = Counter(one.class_title for one in view.samples if one.sample_id in removed)
    return Counter(
        {title: min(titles[title], count.managed) for title, count in plan.classes.items() if title in titles}
    )


def _view_line(asked_at: float, now: float, sent_since: int, removed_since: int) -> str:
    """How old what is compared with is, and what is known from the answers to the requests after it."""
    age = f", {duration(now - asked_at)} ago" if 0 <= now - asked_at < MOST_AGE else ""
    counts = [number(sent_since, "sample")] if sent_since else []
    counts += [number(removed_since, "removal")] if removed_since else []
    since = f", and {' and '.join(counts)} that the service has confirmed since" if counts else ""
    return f"View     of {local_time(asked_at)}{age}{since}; nothing was asked now (--offline)"


def _mirror_line(layout: Layout) -> list[str]:
    """The state of the mirror of the backup, where there is one."""
    record = read_record(layout)
    if record is None:
        return []
    done = "never copied as a whole" if record.done_at is None else f"whole copy of {local_time(record.done_at)}"
    lines = [f"Mirror   {safe(record.place)}, {done}"]
    if record.error or record.damaged:
        why = record.error or f"{number(record.damaged, 'object')} of the backup not in it"
        lines.append(click.style(f"         the last copy failed: {safe(why)}", fg="red"))
    return lines


def _watcher_line(layout: Layout) -> list[str]:
    """The state of the watcher, where one has run in this store or the user has paused it."""
    at = paused_at(layout)
    report, alive = read_watch_status(layout)
    if at is None and not alive and not layout.watch_state.exists():
        return []
    if alive and at is None and (report is None or report.state is WatchState.STOPPED):
        return [f"Watcher  {NO_STATUS_YET}"]
    if report is None or not alive:
        return [
            f"Watcher  not running; {pause_text(at)}" if at is not None else "Watcher  not running: astica-sync watch"
        ]
    if is_suspended(report.pid, layout.watch_lock):
        return [f"Watcher  process {report.pid} {suspended_text(report)}"]
    agreed = f"in sync at {local_time(report.agreed_at, seconds=True)}" if report.agreed_at else "not in sync yet"
    why = f" ({pause_text(at)})" if at is not None else f" ({safe(report.why)})" if report.why else ""
    since = local_time(report.since, seconds=True)
    return [f"Watcher  process {report.pid} since {since}, {state_word(report)}{why}, {agreed}"]
