"""Answers about versions. All but the price are read from the backup's records and send no request."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from astica_sync.api import Store
from astica_sync.api.push_as_version import followed_version
from astica_sync.core.versions.pending_training import PENDING
from astica_sync.core.versions.snapshot import ManagedSample, SnapshotSample, diff
from astica_sync.errors import AsticaSyncError
from astica_sync.page.gallery.gallery_view import HELD_OUT, STORE, in_split
from astica_sync.page.page_state import Page, text
from astica_sync.page.request_response import answer_error
from astica_sync.page.versions.stored_answers import Confusion, make_confusion
from astica_sync.training.train import read_training
from astica_sync.training.version_history import VersionHistory, VersionSummary

MOST_SHOWN = 500
MOST_CLASSES = 40


async def get_versions(request: Request) -> Response:
    """All versions, the newest first, with what changed in their data and their scores."""
    page: Page = request.app.state.page
    history = page.version_history()
    summaries = await asyncio.to_thread(history.summaries)
    follows, pending = await page.run_job(
        lambda opened: (followed_version(opened.session), read_training(opened.session.local.journal, PENDING))
    )
    return JSONResponse(
        {
            "versions": [_version(one) for one in reversed(summaries)],
            "made_elsewhere": await asyncio.to_thread(lambda: history.made_elsewhere),
            "follows": None if follows is None else follows.name,
            "requested": None if pending is None else {"samples": pending.samples, "asked_at": pending.asked_at},
        }
    )


def _version(summary: VersionSummary) -> dict[str, Any]:
    version, changes = summary.version, summary.changes
    return {
        "number": version.number,
        "name": version.name,
        "trained_at": version.trained_at,
        "seen_at": version.seen_at,
        "samples": summary.samples,
        "classes": summary.classes,
        "unmanaged": summary.unmanaged,
        "unknown_because": version.unknown_because or summary.damage or None,
        "known": version.snapshot is not None and not summary.damage,
        "previous": None if summary.previous is None else summary.previous.number,
        "same_data": [one.number for one in summary.same_data],
        "changes": None
        if changes is None
        else {"added": len(changes.added), "removed": len(changes.removed), "moved": len(changes.moved)},
        "scores": [
            {"folder": text(one.folder), "right": one.right, "shown": one.shown, "leaked": one.leaked, "at": one.at}
            for one in summary.scores
        ],
    }


async def get_diff(request: Request) -> Response:
    """The images that were added, removed and moved from the version ``before`` to the version ``after``; both are
    numbers such as @2, or names."""
    page: Page = request.app.state.page
    names = [request.query_params.get(name, "")[:200] for name in ("before", "after")]

    def compare() -> dict[str, Any]:
        history = page.version_history()
        before, after = (list(history.snapshots.read(_snapshot(history, name))) for name in names)
        found = diff(before, after)
        return {
            "added": {"total": len(found.added), "images": [_sample(one) for one in found.added[:MOST_SHOWN]]},
            "removed": {"total": len(found.removed), "images": [_sample(one) for one in found.removed[:MOST_SHOWN]]},
            "moved": {
                "total": len(found.moved),
                "images": [
                    {"content_hash": one.content, "from": text(one.before), "to": text(one.after)}
                    for one in found.moved[:MOST_SHOWN]
                ],
            },
        }

    try:
        return JSONResponse(await asyncio.to_thread(compare))
    except AsticaSyncError as error:
        return answer_error(404, str(error), error.hint)


async def get_confusion(request: Request) -> Response:
    """What a version said of the images of each class, for those it was asked about: in the held-out folders, and in
    the store. From the cache of detections; sends no request."""
    page: Page = request.app.state.page
    name = request.query_params.get("version", "")[:200]
    gallery, service = await page.ready(), await page.service_addresses()

    def count() -> dict[str, Any]:
        columns, answers = gallery.columns, page.versions.answers(name, service)
        classes = page.versions.classes(name)
        return {
            split: _confusion(make_confusion(columns, in_split(columns, split), answers, classes))
            for split in (HELD_OUT, STORE)
        }

    try:
        return JSONResponse(await asyncio.to_thread(count))
    except AsticaSyncError as error:
        return answer_error(404, str(error), error.hint)


def _confusion(found: Confusion) -> dict[str, Any]:
    """The classes with the most mistakes, where there are too many to be shown."""
    right = [row[number] for number, row in enumerate(found.counts)]
    wrong = [sum(row) - own for row, own in zip(found.counts, right, strict=True)]
    shown = sorted(sorted(range(len(found.titles)), key=lambda number: -wrong[number])[:MOST_CLASSES])
    used = [
        place
        for place, label in enumerate(found.labels)
        if label in {found.titles[number] for number in shown} or any(found.counts[number][place] for number in shown)
    ]
    return {
        "total": sum(map(sum, found.counts)),
        "right": sum(right),
        "left_out": len(found.titles) - len(shown),
        "titles": [text(found.titles[number]) for number in shown],
        "labels": [text(found.labels[place]) for place in used],
        "counts": [[found.counts[number][place] for place in used] for number in shown],
    }


def _snapshot(history: VersionHistory, name: str) -> str:
    """The snapshot of a version. The page's ``@2`` is always a number, also where another version has that name."""
    found = history.snapshot_of(history.find_number(name)) if name.startswith("@") else history.find_snapshot(name)
    return found.snapshot


def _sample(sample: SnapshotSample) -> dict[str, Any]:
    if isinstance(sample, ManagedSample):
        name = sample.path.rpartition("/")[2]
        return {"content_hash": sample.content, "class": text(sample.class_title), "name": text(name)}
    # One that was made elsewhere: its bytes are on the service alone.
    return {"content_hash": "", "class": text(sample.class_title), "name": f"#{sample.sample_id}"}


async def get_price(request: Request) -> Response:
    """What it costs to bring back the data of a version. Asks the service for one view."""
    page: Page = request.app.state.page
    version = request.query_params.get("version", "")[:200]

    def plan(store: Store) -> dict[str, Any]:
        status = store.plan_as(version)
        return {
            "requests": store.requests_for(status),
            "uploads": len(status.plan.uploads),
            "removals": len(status.plan.removals) + sum(len(one.samples) for one in status.plan.class_removals),
            "guard": "; ".join(refusal.reason for refusal in status.refusals) or None,
        }

    try:
        return JSONResponse(await asyncio.wrap_future(page.service.run(plan)))
    except AsticaSyncError as error:
        return answer_error(409, str(error), error.hint)
