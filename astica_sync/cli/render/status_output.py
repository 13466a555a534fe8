"""What a status found: as lines of text, and as the JSON objects of ``pull-status`` and ``push --dry-run``."""

import shlex
from typing import TYPE_CHECKING, Any

import click

from astica_sync.cli.render.text import duration, first, json_name, number, safe, what_lets_go
from astica_sync.core.model import LocalSample, Problem
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.similar_titles import NearTitle

if TYPE_CHECKING:
    from astica_sync.sync.plan.status import StoreStatus


def status_data(seen: "StoreStatus", eta: float) -> dict[str, Any]:
    """The object of ``pull-status --json``."""
    plan, observation = seen.plan, seen.observation
    blocked = [{"path": json_name(upload.path), "reason": seen.bad[upload.uid].reason} for upload in plan.failed_before]
    return {
        "model_id": observation.model.model_id,
        "in_sync": plan.in_sync and not seen.refusals,
        "local": {
            "classes": sum(count.local > 0 for count in plan.classes.values()),
            "samples": sum(count.local for count in plan.classes.values()),
        },
        "remote": {
            "classes": len(observation.classes),
            "samples": len(observation.samples),
            "managed": plan.managed,
            "unmanaged": len(plan.unmanaged),
        },
        "plan": plan_data(plan, eta),
        "waiting": [{"class": entry.class_title, "uid": entry.uid, "reason": entry.reason} for entry in plan.waiting]
        + [{"class": entry.class_title, "uid": entry.uid, "reason": entry.reason} for entry in plan.held],
        "problems": problem_data(seen.problems) + blocked,
        "unmanaged": [
            {"class": sample.class_title, "sample_id": sample.sample_id, "uid": sample.uid} for sample in plan.unmanaged
        ],
        "refusals": refusal_data(seen.refusals) + near_data(seen.near),
    }


def plan_data(plan: Plan, eta: float) -> dict[str, Any]:
    """A plan as JSON; what a dry run shows is what apply works off."""
    return {
        "upload": [
            {"class": upload.class_title, "path": json_name(upload.path), "uid": upload.uid} for upload in plan.uploads
        ],
        "remove": [
            {"class": removal.class_title, "sample_id": removal.sample_id, "uid": removal.uid}
            for removal in plan.removals
        ],
        "remove_class": [
            {"class": entry.class_title, "class_id": entry.class_id, "samples": len(entry.samples)}
            for entry in plan.class_removals
        ],
        "requests": plan.requests,
        "eta_seconds": round(eta, 1),
    }


def problem_data(problems: list[Problem]) -> list[dict[str, str]]:
    return [{"path": json_name(problem.path), "reason": problem.reason} for problem in problems]


def refusal_data(refusals: list[Refusal]) -> list[dict[str, Any]]:
    return [
        {
            "reason": refusal.reason,
            "samples": [
                {"class": sample.class_title, "sample_id": sample.sample_id, "uid": sample.uid}
                for sample in refusal.samples
            ]
            + [{"class": upload.class_title, "sample_id": None, "uid": upload.uid} for upload in refusal.uploads],
        }
        for refusal in refusals
    ]


def near_data(near: list[NearTitle]) -> list[dict[str, Any]]:
    return [{"reason": did_you_mean(entry), "samples": []} for entry in near]


def did_you_mean(entry: NearTitle) -> str:
    """The question about a class title, with what to do about it."""
    return (
        f"Class {safe(entry.title)!r} is new, and the service has {safe(entry.existing)!r}: did you mean that? "
        f"Its uploads wait. Rename the folder, or: astica-sync push --new-class {shlex.quote(safe(entry.title))}"
    )


def status_lines(seen: "StoreStatus", eta: float) -> list[str]:
    """The status for a person, in the order of what to do about it."""
    plan = seen.plan
    lines = ["", *class_table(plan)]
    lines += _section("To upload", "green", [f"+ {safe(upload.path)}" for upload in plan.uploads])
    gone = [f"- {safe(_name(removal.path, removal.uid))}  ({removal.why})" for removal in plan.removals]
    gone += [
        f"- class {safe(entry.class_title)}, all {len(entry.samples)} samples by one request"
        for entry in plan.class_removals
    ]
    lines += _section("To remove", "red", gone)
    lines += _section("Waiting", "yellow", [f"~ {safe(w.class_title)}/{w.uid[:8]}  ({w.reason})" for w in plan.waiting])
    lines += _section("Held back", "yellow", [f"~ {safe(h.class_title)}/{h.uid[:8]}  ({h.reason})" for h in plan.held])
    failed = [f"! {safe(upload.path)}  ({seen.bad[upload.uid].reason})" for upload in plan.failed_before]
    lines += _section("Failed before; push --retry tries them again", "red", failed)
    lines += _section("Problems", "yellow", [f"! {safe(p.path)}  ({p.reason})" for p in seen.problems])
    lines += _section(
        "In two classes or more, a sample in each", "yellow", [twin_line(twin) for twin in plan.in_several_classes]
    )
    lines += _section(
        "Not ours, made elsewhere and left alone",
        "cyan",
        [f"? {safe(s.class_title)}  #{s.sample_id} {safe(s.uid)}".rstrip() for s in plan.unmanaged],
    )
    for refusal in seen.refusals:
        lines += ["", click.style(f"{_KEPT_BACK[refusal.kept_back]}: {refusal.reason}.", fg="red")]
    lines += [part for entry in seen.near for part in ("", click.style(did_you_mean(entry), fg="red"))]
    if seen.refusals:
        lines.append(f"  {what_lets_go(seen.refusals)}")
    return [*lines, "", _conclusion(seen, eta)]


_KEPT_BACK = {"removed": "A push would remove nothing", "sent again": "A push would send nothing again"}


def twin_line(twin: tuple[LocalSample, ...]) -> str:
    """The files that hold one image in different classes."""
    return "= " + "  ".join(safe(path) for path in sorted(sample.paths[0] for sample in twin))


def _conclusion(seen: "StoreStatus", eta: float) -> str:
    plan = seen.plan
    if plan.requests:
        cost = (
            f"{number(plan.requests, 'request')}, about {duration(eta)}"
            if eta >= 1
            else number(plan.requests, "request")
        )
        return f"A push would send {cost}: astica-sync push"
    if plan.waiting:
        return "Nothing to send before the answers that were lost are settled; a push waits for that."
    if plan.in_sync:
        return click.style("The service equals the store.", fg="green")
    return "Nothing to send; what is listed above needs you."


def class_table(plan: Plan) -> list[str]:
    """One line a class: what the store has, what the service has, what is to be done."""
    if not plan.classes:
        return ["No samples, neither here nor there: put images into folders, one folder for each class."]
    columns = ["class", "store", "service", "to upload", "to remove", "waiting", "not ours"]
    rows = [
        [
            safe(title),
            str(count.local),
            str(count.managed + count.unmanaged),
            str(count.upload or "·"),
            str(count.remove or "·"),
            str(count.wait + count.hold or "·"),
            str(count.unmanaged or "·"),
        ]
        for title, count in sorted(plan.classes.items())
    ]
    widths = [max(len(row[place]) for row in [columns, *rows]) for place in range(len(columns))]
    return [_row(row, widths) for row in [columns, *rows]]


def _row(cells: list[str], widths: list[int]) -> str:
    return "  ".join(
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _section(title: str, colour: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    return [
        "",
        f"{title} ({len(lines):,}):",
        *(click.style(f"  {line}", fg=colour) for line in first(lines, len(lines))),
    ]


def _name(path: str, uid: str) -> str:
    return path or uid
