"""What a push did: as lines of text, as the JSON object of ``push --json``, and as an exit code."""

from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import REFUSED, SOME_FAILED
from astica_sync.cli.render.messages import print_error
from astica_sync.cli.render.status_output import did_you_mean, near_data, problem_data, refusal_data
from astica_sync.cli.render.text import first, json_name, number, safe, what_lets_go
from astica_sync.errors import AsticaSyncError, Interrupted

if TYPE_CHECKING:
    from astica_sync.sync.push.push import PushResult


def push_data(pushed: "PushResult") -> dict[str, object]:
    """The object of ``push --json``."""
    return {
        "uploaded": pushed.uploaded,
        "removed": pushed.removed,
        "failed": [
            {"class": entry.class_title, "path": json_name(entry.path), "reason": entry.reason}
            for entry in pushed.failed
        ],
        "requests": pushed.requests,
        "in_sync": pushed.in_sync,
        "problems": problem_data(pushed.problems),
        "refusals": refusal_data(pushed.refusals) + near_data(pushed.near),
    }


def push_lines(pushed: "PushResult", as_version: str | None) -> list[str]:
    """What a push did, for a person."""
    lines = []
    if pushed.failed:
        lines.append(f"Failed ({len(pushed.failed):,}; the others went on):")
        failed = [f"  ! {safe(entry.path)}  ({entry.reason})" for entry in pushed.failed]
        lines += [click.style(line, fg="red") for line in first(failed, len(failed), 20)]
    if pushed.problems:
        files = number(len(pushed.problems), "file is", "files are")
        lines.append(f"{files} no sample: astica-sync pull-status says why")
    for refusal in pushed.refusals:
        lines.append(click.style(f"Nothing was {refusal.kept_back}: {refusal.reason}.", fg="red"))
        names = [f"  - {safe(sample.path or sample.uid)}" for sample in refusal.samples]
        names += [f"  + {safe(upload.path)}" for upload in refusal.uploads]
        lines += first(names, len(names))
    if pushed.refusals:
        lines.append(what_lets_go(pushed.refusals))
    lines += [click.style(did_you_mean(entry), fg="red") for entry in pushed.near]
    done = f"Uploaded {pushed.uploaded:,}, removed {pushed.removed:,}, with {number(pushed.requests, 'request')}."
    if pushed.in_sync:
        holds = "equals the store" if as_version is None else f"holds the data of {safe(as_version)}"
        lines.append(click.style(f"{done} The service {holds}.", fg="green"))
    elif pushed.left:
        lines.append(f"{done} {number(pushed.left, 'sample')} left to do; the next push goes on from here.")
    else:
        lines.append(done)
    return lines


def exit_code_of(pushed: "PushResult") -> int:
    """How a push ends; an error is told here."""
    error = pushed.error
    if isinstance(error, Interrupted):
        return error.exit_code
    if isinstance(error, AsticaSyncError):
        print_error(error)
        return error.exit_code
    if error is not None:
        raise error
    if pushed.refusals or pushed.near:
        return REFUSED
    return SOME_FAILED if pushed.failed else 0
