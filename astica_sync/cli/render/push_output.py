"""What a push did: as text, as the JSON object of ``push --json``, and as an exit code."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import DONE, REFUSED, SOME_FAILED
from astica_sync.cli.render.messages import print_error
from astica_sync.cli.render.several_stores.owned_classes import gave_up_lines, given_up_line, not_sent_lines
from astica_sync.cli.render.status_output import (
    IN_SYNC_BUT_PROBLEMS,
    did_you_mean,
    held_data,
    in_sync_text,
    near_data,
    problem_data,
    refusal_data,
)
from astica_sync.cli.render.text import first, has_moved, how_to_allow, is_overwritten, json_name, number, safe
from astica_sync.core.plan.decision_table import CLASS_UNREADABLE
from astica_sync.errors import AsticaSyncError, Interrupted, QuotaExceeded
from astica_sync.local.class_folders.class_title import is_untitled

if TYPE_CHECKING:
    from astica_sync.core.model import Problem
    from astica_sync.core.plan.guard import Refusal
    from astica_sync.core.plan.plan import Held, RemoveSample
    from astica_sync.sync.push.push import PushResult

MOST_FAILED = 20
LOWER_LIMIT = "The service allows fewer requests than this machine counts on, or another one spends them too"
WHAT_IS_LEFT = (
    "set ASTICA_LIMIT to what is left for this machine, which is the service's limit less what the others send in a "
    "minute."
)
MOST_MOVED = 3
"""So many samples that went from one class to another are named."""
_UNREAD = (
    "cannot be read",
    "its type cannot be read",
    "files are missing since a disk was mounted or unmounted here",
)
"""How the reasons begin for which a file is not read, or a folder not scanned."""
MOST_PAIRS = 1000
"""So many images in two formats are counted."""


def push_data(pushed: "PushResult", in_two_formats: Sequence[tuple[str, str]]) -> dict[str, object]:
    """The object of ``push --json``."""
    return {
        "uploaded": pushed.uploaded,
        "removed": pushed.removed,
        "failed": [
            {"class": entry.class_title, "path": json_name(entry.path), "reason": entry.reason}
            for entry in pushed.failed
        ],
        "requests": pushed.requests,
        "requests_refused": pushed.refused,
        "unmanaged": len(pushed.unmanaged),
        "in_sync": pushed.in_sync,
        "held": held_data(pushed.held),
        "given_up": [{"class": one.class_title, "path": json_name(one.path)} for one in pushed.given_up],
        "not_owned": [{"class": title, "images": count} for title, count in sorted(pushed.not_owned.items())],
        "problems": problem_data(pushed.problems),
        "in_two_formats": [[json_name(path) for path in pair] for pair in in_two_formats],
        "refusals": refusal_data(pushed.refusals) + near_data(pushed.near),
    }


def in_two_formats_lines(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """That images are sent twice: samples that are converted, each with the PNG or JPEG of the same name beside it."""
    if not pairs:
        return []
    converted, plain = map(safe, pairs[0])
    count = number(len(pairs), "image is", "images are")
    such_as = "" if len(pairs) == 1 else "such as "
    text = (
        f"{count} sent in two formats, {such_as}{converted} and {plain}: delete one file of each, and the next push "
        "removes its sample; for all: astica-sync status"
    )
    return [click.style(text, fg="yellow")]


def push_lines(
    pushed: "PushResult",
    of_version: str | None,
    moved_to: "Callable[[RemoveSample], str]" = lambda _: "",
    number_to_set: str = "",
    seen: Collection[str] = (),
) -> list[str]:
    """What a push did, as text.

    Args:
        of_version: says that the service holds the data of a version; None for that of the store.
        moved_to: gives the class that has the image of a sample now, "" where that is not known.
        number_to_set: the sentence that names a lower limit, where one is known.
        seen: lines of ``with_names`` that the user has seen.
    """
    lines = []
    if pushed.failed:
        lines.append(f"Failed ({len(pushed.failed):,}), the others are done:")
        failed = [f"  ! {safe(entry.path)}  ({entry.reason})" for entry in pushed.failed]
        lines += [click.style(line, fg="red") for line in first(failed, len(failed), MOST_FAILED)]
    unread = unread_classes(pushed.problems)
    lines += [click.style(_unread_line(one), fg="red") for one in unread]
    if unread_files := [one for one in pushed.problems if _is_unread_file(one)]:
        lines.append(f"Could not be read ({len(unread_files):,}):")
        named_files = [f"  ! {safe(one.path)}  ({one.reason})" for one in unread_files]
        lines += [click.style(line, fg="red") for line in first(named_files, len(named_files), MOST_FAILED)]
    listed = {one.path for one in unread + unread_files}
    if files := len(pushed.problems) - len(listed):
        named = next(one.path for one in pushed.problems if one.path not in listed)
        what = safe(named) if files == 1 else number(files, "file")
        lines.append(f"{what} cannot be uploaded; for the {'reason' if files == 1 else 'reasons'}: astica-sync status")
    held = _held_lines(pushed.held)
    lines += [click.style(line, fg="yellow") for line in first(held, len(held))]
    for refusal, names in with_names(pushed.refusals, moved_to, seen):
        lines.append(click.style(f"Nothing was {refusal.kept_back}: {refusal.reason}.", fg="red"))
        lines += first(names, len(names))
    if pushed.refusals:
        lines.append(how_to_allow(pushed.refusals))
    lines += [click.style(did_you_mean(entry), fg="red") for entry in pushed.near]
    lines += [f"{line}." for line in gave_up_lines(pushed.given_up) + not_sent_lines(pushed.not_owned, pushed.owned)]
    refused = f", {pushed.refused:,} of them refused for the limit" if pushed.refused else ""
    done = (
        f"Uploaded {pushed.uploaded:,}, removed {pushed.removed:,}, with {number(pushed.requests, 'request')}{refused}."
    )
    if pushed.in_sync:
        in_sync = IN_SYNC_BUT_PROBLEMS if pushed.problems else in_sync_text(pushed.owned)
        state = in_sync if of_version is None else of_version
        lines.append(click.style(f"{done} {state}", fg="green"))
    elif pushed.left:
        # Where an error ended it, the hint of the error says whether to run it again.
        again = "." if isinstance(pushed.error, QuotaExceeded) else ": run the same command again."
        lines.append(f"{done} {number(pushed.left, 'sample')} left to do{again}")
    else:
        lines.append(done)
    if pushed.refused and not isinstance(pushed.error, QuotaExceeded):
        lines.append(f"{LOWER_LIMIT}. {number_to_set}" if number_to_set else f"{LOWER_LIMIT}: {WHAT_IS_LEFT}")
    return lines


def _unread_line(unread: "Problem") -> str:
    text, _, advice = unread.reason.partition("; ")
    what, _, cause = text.partition("cannot be read: ")
    if cause and not what:
        text = f"its folder cannot be read ({cause})"
    line = f"Class '{safe(unread.path)}' cannot be synced: {safe(text)}"
    return f"{line}. {advice[:1].upper()}{advice[1:]}" if advice else line


def _held_lines(held: "Iterable[Held]") -> list[str]:
    """What is not removed for now, a line for each class and reason."""
    groups = Counter((one.class_title, one.reason) for one in held)
    return [
        f"{number(count, 'sample')} of class {safe(title)!r} {'stays' if count == 1 else 'stay'} on the service for "
        f"now: {safe(reason)}; for the files: astica-sync status"
        for (title, reason), count in groups.items()
    ]


def with_names(
    refusals: "Iterable[Refusal]", moved_to: "Callable[[RemoveSample], str]", seen: Collection[str] = ()
) -> "Iterator[tuple[Refusal, list[str]]]":
    """Each refusal with its samples, a line each, and one for many that went from one class to another; with none
    where all were in earlier refusals, or were ``seen`` before."""
    listed: set[str] = {*seen}
    for refusal in refusals:
        names = _names(refusal, moved_to)
        yield refusal, [] if listed.issuperset(names) else names
        listed.update(names)


def _names(refusal: "Refusal", moved_to: "Callable[[RemoveSample], str]") -> list[str]:
    """What the guard did not let a push remove (-) or send again (+)."""
    to = {sample.sample_id: moved_to(sample) for sample in refusal.samples if has_moved(sample)}
    pairs = Counter((one.class_title, to[one.sample_id]) for one in refusal.samples if one.sample_id in to)
    many = {pair: count for pair, count in pairs.most_common() if count > MOST_MOVED}
    names = [_group_line(count, title, target) for (title, target), count in many.items()]
    names += [
        f"  - {safe(one.path or one.class_title)}  (#{one.sample_id}{_about(one, to.get(one.sample_id))})"
        for one in refusal.samples
        if one.sample_id not in to or (one.class_title, to[one.sample_id]) not in many
    ]
    names += [f"  {given_up_line(one)}" for one in refusal.given_up]
    return names + [f"  + {safe(upload.path)}" for upload in refusal.uploads]


def _group_line(count: int, title: str, target: str) -> str:
    where = f"to {safe(target)}" if target else "to other classes"
    return f"  - {number(count, 'sample')} from {safe(title)} {where}"


def _about(sample: "RemoveSample", target: str | None) -> str:
    """Where the image of a sample is now, or what took its place; None: it is in no other class."""
    if target is None:
        return ", its file is another image now" if is_overwritten(sample) else ""
    return f", now in {safe(target)}" if target else ", another class has the image now"


def exit_code_of(pushed: "PushResult") -> int:
    """The exit code of a push. Prints the error that ended it, where there is one."""
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
    return SOME_FAILED if pushed.failed or is_partial(pushed.problems, pushed.held) else DONE


def is_partial(problems: "Iterable[Problem]", held: "Iterable[Held]") -> bool:
    """Whether a push leaves out a part of the store that it could not see, or a removal because of such a part."""
    problems = list(problems)
    unseen = unread_classes(problems) or any(map(_is_unread_file, problems))
    return bool(unseen) or any(one.reason.startswith(CLASS_UNREADABLE) for one in held)


def unread_classes(problems: "Iterable[Problem]") -> "list[Problem]":
    """The problems that are whole class folders: unreadable, with files missing since a disk was unmounted, or under a
    name that cannot be a class title."""
    return [one for one in problems if "/" not in one.path and (one.reason.startswith(_UNREAD) or is_untitled(one))]


def _is_unread_file(problem: "Problem") -> bool:
    """Whether it is a file or a folder in a class folder that could not be read."""
    return "/" in problem.path and problem.reason.startswith(_UNREAD)
