"""A status as text, and as the JSON objects of ``pull-status`` and ``push --dry-run``."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from astica_sync.api.states.problem_advice import advise
from astica_sync.cli.render.messages import terminal_width
from astica_sync.cli.render.problem_lines import problem_lines
from astica_sync.cli.render.several_stores.owned_classes import (
    given_up_line,
    in_other_classes,
    in_other_store_line,
    is_not_owned,
    not_sent_lines,
    owned_data,
    unknown_titles_lines,
)
from astica_sync.cli.render.text import duration, first, how_to_allow, json_name, number, safe, table
from astica_sync.core.failure_remedy import remedy_of, retry_helps
from astica_sync.core.model import LocalSample, Problem, RemoteSample, content_of
from astica_sync.core.owned_classes import OwnedClasses
from astica_sync.core.plan.count_requests import allowed_part
from astica_sync.core.plan.decision_table import OTHER_STORE, RemovalReason
from astica_sync.core.plan.guard import Refusal
from astica_sync.core.plan.plan import ClassCount, Held, Plan, RemoveSample, Upload
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.core.recipe import FORMAT_NAMES
from astica_sync.core.versions.snapshot import UnmanagedSample, find_additions, find_missing
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.shell_quote import quote

if TYPE_CHECKING:
    from astica_sync.core.versions.snapshot import SnapshotSample
    from astica_sync.local.scan.find_left_out import LeftOut
    from astica_sync.sync.plan.find_status import StoreStatus
    from astica_sync.sync.plan.held_out_images import ReturnedImage

IN_SYNC = "The service is in sync with the store."
IN_SYNC_OWNED = "The service is in sync with the classes that this store owns."
IN_SYNC_BUT_PROBLEMS = "The service is in sync with all that can be uploaded."


def in_sync_text(owned: OwnedClasses) -> str:
    """That nothing is left to do."""
    return IN_SYNC_OWNED if owned else IN_SYNC


@dataclass(frozen=True, slots=True)
class Price:
    """What a push costs: its ``requests``, every view included, and the ``seconds`` until they are answered."""

    requests: int
    seconds: float


def status_data(status: "StoreStatus", price: Price) -> dict[str, Any]:
    """The object of ``pull-status --json``."""
    plan, observation = status.plan, status.observation
    blocked = [
        {"path": json_name(upload.path), "reason": _with_remedy(status.bad[upload.uid].reason)}
        for upload in plan.failed_before
    ]
    return {
        "model_id": observation.model.model_id,
        "in_sync": status.in_sync,
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
        "plan": plan_data(status, price),
        "waiting": [{"class": entry.class_title, "uid": entry.uid, "reason": entry.reason} for entry in plan.waiting]
        + held_data(plan.held),
        "problems": problem_data([*status.problems, *status.rejected]) + blocked,
        "unmanaged": [unmanaged_data(plan, sample) for sample in plan.unmanaged],
        "refusals": refusal_data(status.refusals) + near_data(status.near),
        **owned_data(plan, status.owned),
    }


def plan_data(status: "StoreStatus", price: Price) -> dict[str, Any]:
    """A plan as JSON."""
    plan = status.plan
    return {
        "upload": [
            {
                "class": upload.class_title,
                "path": json_name(upload.path),
                "uid": upload.uid,
                "converted_from": status.formats.get(content_of(upload.uid)),
            }
            for upload in plan.uploads
        ],
        "remove": [
            {"class": removal.class_title, "sample_id": removal.sample_id, "uid": removal.uid}
            for removal in plan.removals
        ],
        "remove_class": [
            {"class": entry.class_title, "class_id": entry.class_id, "samples": len(entry.samples)}
            for entry in plan.class_removals
        ],
        "requests": price.requests,
        "eta_seconds": round(price.seconds, 1),
        "unchecked": status.unchecked,
    }


def held_data(held: Iterable[Held]) -> list[dict[str, str]]:
    return [{"class": one.class_title, "uid": one.uid, "reason": json_name(one.reason)} for one in held]


def _why(removal: RemoveSample) -> str:
    # The reason as the history keeps it says what was; a status says what is.
    if removal.why is RemovalReason.DUPLICATE:
        return "it is gone from this class, and another class has it"
    return removal.why


def problem_data(problems: list[Problem]) -> list[dict[str, str]]:
    return [{"path": json_name(problem.path), "reason": advise(problem)} for problem in problems]


def refusal_data(refusals: list[Refusal]) -> list[dict[str, Any]]:
    return [
        {
            "reason": refusal.reason,
            "samples": [
                {"class": sample.class_title, "sample_id": sample.sample_id, "uid": sample.uid}
                for sample in refusal.samples
            ]
            + [{"class": upload.class_title, "sample_id": None, "uid": upload.uid} for upload in refusal.uploads]
            + [
                {"class": one.class_title, "sample_id": sample_id, "uid": one.uid}
                for one in refusal.given_up
                for sample_id in one.sample_ids
            ],
        }
        for refusal in refusals
    ]


def near_data(near: list[NearTitle]) -> list[dict[str, Any]]:
    return [{"reason": did_you_mean(entry), "samples": []} for entry in near]


def did_you_mean(entry: NearTitle) -> str:
    """The question about a class title that is similar to one on the service, with both ways to answer it."""
    if entry.both_new:
        return (
            f"Classes {safe(entry.existing)!r} and {safe(entry.title)!r} are both new and nearly the same: one class? "
            f"The uploads of {safe(entry.title)!r} wait. Move its files to {safe(entry.existing)!r}, or run: "
            f"astica-sync push --new-class {quote(entry.title)}"
        )
    return (
        f"Class {safe(entry.title)!r} is new, and the service has {safe(entry.existing)!r}: did you mean that one? "
        f"Its uploads wait. Rename the folder, or run: astica-sync push --new-class {quote(entry.title)}"
    )


def status_lines(
    status: "StoreStatus",
    price: Price | None,
    path_of: Callable[[str], str],
    copies: Sequence[tuple[str, ...]] = (),
    as_version: str | None = None,
    is_image: Callable[[str], bool] = lambda _: False,
) -> list[str]:
    """The status as text. ``path_of`` gives the last known path of a uid, or an empty text; ``copies`` are files of one
    class with the same image; ``as_version`` is the version whose data would be pushed, None for that of the store.
    ``price`` is None where no push is possible, and the caller says why.
    ``is_image`` returns whether a sample is at a path."""
    plan = status.plan

    def name(class_title: str, uid: str, sample_id: int | None = None) -> str:
        return safe(path_of(uid) or (class_title if sample_id is None else f"{class_title}  #{sample_id}"))

    def upload_line(upload: Upload) -> str:
        converted = status.formats.get(content_of(upload.uid), "")
        return f"+ {safe(upload.path)}" + (f"  (converted from {FORMAT_NAMES[converted]})" if converted else "")

    removals = itertools.chain(
        (
            f"- {safe(one.path) if one.path else name(one.class_title, one.uid, one.sample_id)}  ({_why(one)})"
            for one in plan.removals
        ),
        (
            f"- class {safe(one.class_title)}, {number(len(one.samples), 'sample')} by one request"
            for one in plan.class_removals
        ),
    )
    waiting = (f"~ {name(one.class_title, one.uid)}  ({one.reason})" for one in plan.waiting)
    held = (f"~ {name(one.class_title, one.uid, one.sample_id)}  ({safe(one.reason)})" for one in plan.held)
    failed = [(safe(upload.path), status.bad[upload.uid].reason) for upload in plan.failed_before]
    again = [f"! {path}  ({reason})" for path, reason in failed if retry_helps(reason)]
    in_vain = [f"! {path}  ({_with_remedy(reason)})" for path, reason in failed if not retry_helps(reason)]
    found = [*status.problems, *status.rejected]
    lines = [
        "",
        *class_table(status, "store" if as_version is None else safe(as_version), terminal_width()),
        *_section("To upload", "green", len(plan.uploads), map(upload_line, plan.uploads)),
        *_removal_section(plan, removals),
        *_section("Waiting", "yellow", len(plan.waiting), waiting),
        *_section("Held: not removed for now", "yellow", len(plan.held), held),
        *_section("Failed before; push --retry tries them again", "red", len(again), again),
        *_section("Failed before; not tried again until the file changes", "red", len(in_vain), in_vain),
        *_styled("Problems", "yellow", len(found), problem_lines(found, is_image)),
        *_section(
            "The same image in several classes",
            "yellow",
            len(plan.in_several_classes),
            map(twin_line, plan.in_several_classes),
        ),
        *_section(
            "The same image more than once in a class, sent once",
            "yellow",
            len(copies),
            (
                "= " + "  ".join(map(safe, paths[:MOST_COPIES])) + ("  …" if paths[MOST_COPIES:] else "")
                for paths in copies
            ),
        ),
        *_section(
            "The same image in another class of another store, or of this one before it was rebuilt: leave it in one",
            "yellow",
            len(plan.in_other_stores),
            map(in_other_store_line, plan.in_other_stores),
        ),
        *_section(
            "To be given up: they stay on the service, and this store does not manage them any more",
            "yellow",
            len(plan.given_up),
            map(given_up_line, plan.given_up),
        ),
        *_unmanaged_section(plan, path_of),
        *_other_classes_section(plan),
    ]
    if not_sent := not_sent_lines(plan.not_owned, status.owned):
        lines += ["", *not_sent]
    known = {*status.scan.classes, *(entry.title for entry in status.observation.classes)}
    if unknown := unknown_titles_lines(status.owned, known):
        lines += ["", *(click.style(line, fg="yellow") for line in unknown)]
    if status.refusals:
        reasons = [f"{_REFUSED[refusal.kept_back]}: {refusal.reason}." for refusal in status.refusals]
        allow = how_to_allow(status.refusals, uploaded=not plan.uploads)
        lines += ["", *(click.style(reason, fg="red") for reason in reasons), allow]
    for entry in status.near:
        lines += ["", click.style(did_you_mean(entry), fg="red")]
    return lines if price is None else [*lines, "", *_conclusion(status, price, as_version)]


def divided_classes_section(divided: Sequence[tuple[str, ...]]) -> list[str]:
    """Classes with several folders, whose names look the same: each name also with its letters as escapes."""
    return _section(
        "One class in several folders, whose names differ in their Unicode form alone: move the files into one of them",
        "yellow",
        len(divided),
        (f"{safe(names[0])}: " + ", ".join(map(ascii, names)) for names in divided),
    )


def in_two_formats_section(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Images that are sent twice: samples that are converted, each with the PNG or JPEG of the same name beside it."""
    return _section(
        "Sent in two formats: delete one file of each, and the next push removes its sample",
        "yellow",
        len(pairs),
        (f"= {safe(converted)}  {safe(plain)}" for converted, plain in pairs),
    )


def left_out_lines(left_out: "Sequence[LeftOut]") -> list[str]:
    """What the scan leaves out."""
    lines = (f"{safe(each.path)}  ({each.reason})" for each in left_out)
    return _section("Left out", "white", len(left_out), lines) or ["", "Nothing is left out."]


def left_out_data(left_out: "Sequence[LeftOut]") -> list[dict[str, str]]:
    return [{"path": json_name(each.path), "reason": each.reason} for each in left_out]


def unmanaged_data(plan: Plan, sample: RemoteSample) -> dict[str, Any]:
    """One sample that was made elsewhere; ``reason`` where its uid is one of ours."""
    data = {"class": sample.class_title, "sample_id": sample.sample_id, "uid": sample.uid}
    reason = plan.unmanaged_reasons.get(sample.sample_id)
    return data | {"reason": reason} if reason else data


def _unmanaged_section(plan: Plan, path_of: Callable[[str], str]) -> list[str]:
    """The samples that were made elsewhere, a line each. Those of another store are one line, since their uids say
    nothing to a user; one whose image is known here is named."""
    unmanaged = [one for one in plan.unmanaged if not is_not_owned(plan, one)]
    sent = [one for one in unmanaged if plan.unmanaged_reasons.get(one.sample_id) == OTHER_STORE]
    rest = {one.sample_id for one in sent} - {one.sample_id for one in sent[:MOST_LOOKED_UP] if path_of(one.uid)}
    if len(rest) == 1:
        rest = set()
    listed = [one for one in unmanaged if one.sample_id not in rest]
    lines = first((unmanaged_line(plan, one, path_of) for one in listed), len(listed))
    if rest:
        lines.append(
            f"? {number(len(rest), 'sample')} sent by another store of this model, or by this one before it was lost "
            "and rebuilt; to list them: astica-sync status --json"
        )
    elif sent:
        lines.append("Another store of this model has sent them, or this one before it was lost and rebuilt.")
    return _styled("Unmanaged: made elsewhere and left as they are", "cyan", len(unmanaged), lines)


def _other_classes_section(plan: Plan) -> list[str]:
    lines = in_other_classes(plan)
    total = sum(is_not_owned(plan, one) for one in plan.unmanaged)
    return _styled("In classes that this store does not own", "cyan", total, first(lines, len(lines)))


def unmanaged_line(plan: Plan, sample: RemoteSample, path_of: Callable[[str], str] = lambda _: "") -> str:
    """One sample that was made elsewhere, and how that is known where its uid is one of ours; then ``path_of`` gives
    the path that the image had, "" where that is not known."""
    line = f"? {safe(sample.class_title)}  #{sample.sample_id} {safe(sample.uid)}".rstrip()
    reason = plan.unmanaged_reasons.get(sample.sample_id)
    if reason == OTHER_STORE and (path := path_of(sample.uid)):
        line = f"? {safe(path)}  #{sample.sample_id}"
    return f"{line}  ({reason})" if reason else line


def held_out_warning(images: "Sequence[ReturnedImage]") -> list[str]:
    """That images of the store are held out as well, where they are; a line each for the first of them."""
    if not images:
        return []
    are = "image of the store is" if len(images) == 1 else "images of the store are"
    head = f"{len(images):,} {are} held out as well. A version that is trained on them is scored too high: remove them"
    named = (f"  = {safe(one.path)}  ({safe(one.place)})" for one in images)
    lines = [f"{head} from the store, and push.", *first(named, len(images))]
    return [click.style(line, fg="yellow") for line in lines]


def unmanaged_note(count: int, version: str) -> str:
    """That a version has samples which nothing here can give back."""
    return (
        f"{number(count, 'unmanaged sample')} of {safe(version)} cannot be restored: not in the backup. "
        f"List all of its samples with: astica-sync snapshot show {quote(version)} --json"
    )


def data_of_version(
    version: str, samples: "Sequence[SnapshotSample]", unmanaged: Sequence[RemoteSample], owned: OwnedClasses
) -> str:
    """That the service holds the data of a version, and where that is not exact: ``samples`` are those of the version,
    ``unmanaged`` those made elsewhere that the service shows now, and ``owned`` the classes that the store manages."""
    holds, lacks = f"The service holds the data of {safe(version)}", []
    if missing := len(find_missing([one for one in samples if isinstance(one, UnmanagedSample)], unmanaged)):
        lacks.append(f"{number(missing, 'sample')} made elsewhere, which the backup does not have")
    of_others = [one for one in samples if not (isinstance(one, UnmanagedSample) or owned.covers(one.class_title))]
    if missing := len(find_missing(of_others, unmanaged)):
        lacks.append(f"{number(missing, 'sample')} of classes that this store does not own")
    if lacks:
        holds += f" without {' and '.join(lacks)}"
    others = len(find_additions(samples, unmanaged)) if unmanaged else 0
    if not others:
        return f"{holds}."
    are = "1 sample made elsewhere is" if others == 1 else f"{others:,} samples made elsewhere are"
    return f"{holds}; {are} there as well, and a training gets {'it' if others == 1 else 'them'} too."


MOST_LOOKED_UP = 20
"""Of so many samples of another store the path is looked up."""
MOST_COPIES = 5
"""So many files of one image are named."""
_REFUSED = {
    "removed": "A push would remove nothing",
    "sent again": "A push would not send these again",
    "given up": "A push would give up nothing",
}


def twin_line(twin: tuple[LocalSample, ...]) -> str:
    """The files that hold the same image in different classes."""
    return "= " + "  ".join(safe(path) for path in sorted(sample.paths[0] for sample in twin))


def _conclusion(status: "StoreStatus", price: Price, as_version: str | None) -> list[str]:
    plan = allowed_part(status.plan, status.refusals)
    if plan.uploads or plan.removals or plan.class_removals:
        takes = f", about {duration(price.seconds)}" if price.seconds >= 1 else ""
        command = "astica-sync push" + (f" --as {quote(as_version)}" if as_version else "")
        lines = [f"A push would send {number(price.requests, 'request')}{takes}: {command}"]
        if status.unchecked:
            lines.append(
                f"{number(status.unchecked, 'image is', 'images are')} not checked yet; the push checks the rest."
            )
        return lines
    if status.refusals:
        return ["A push would send nothing but its view of the model."]
    if plan.waiting:
        if all(entry.ends_when_shown for entry in plan.waiting):
            return ["Nothing to send now: the last view does not show yet all that the service has confirmed."]
        return ["Nothing to send now. A push waits until the outcome is known."]
    if status.in_sync:
        problems = status.problems or status.rejected
        return [click.style(IN_SYNC_BUT_PROBLEMS if problems else in_sync_text(status.owned), fg="green")]
    return ["Nothing to send. Check what is listed above."]


def class_table(status: "StoreStatus", own_side: str = "store", room: int | None = None) -> list[str]:
    """One line for each class: samples in the store, or in the version that is pushed in its place, and on the service,
    and what is to be done. Columns of what does not occur are left out, as is a class that is gone on both sides. Long
    titles are cut where the lines would be longer than ``room``."""
    plan = status.plan
    classes = {title: count for title, count in plan.classes.items() if count != ClassCount()}
    classes |= {title: classes.get(title, ClassCount()) for title in plan.not_owned}
    if not classes:
        return ["No samples in the store or on the service. Put images into the store, one folder for each class."]
    questioned = Counter(upload.class_title for upload in plan.questioned)
    again = Counter(one.class_title for one in plan.failed_before if retry_helps(status.bad[one.uid].reason))
    in_vain = Counter(one.class_title for one in plan.failed_before) - again
    in_vain += Counter(class_title_of(one.path.partition("/")[0]) or "" for one in status.rejected)
    columns: dict[str, Mapping[str, int]] = {
        "to upload": {title: count.upload for title, count in classes.items()},
        "to remove": {title: count.remove for title, count in classes.items()},
        "waiting": {title: count.wait + count.hold + questioned[title] for title, count in classes.items()},
        "failed before": again,
        "cannot be sent": in_vain,
        "unmanaged": {title: count.unmanaged for title, count in classes.items()},
        "not owned": plan.not_owned,
    }
    columns = {name: figures for name, figures in columns.items() if any(figures.values())}
    rows = [["class", own_side, "service", *columns]]
    for title, count in sorted(classes.items()):
        figures = [f"{value:,}" if (value := each.get(title, 0)) else "·" for each in columns.values()]
        in_store = count.local + plan.not_owned.get(title, 0)
        rows.append([safe(title), f"{in_store:,}", f"{count.managed + count.unmanaged:,}", *figures])
    return table(rows, right=range(1, len(columns) + 3), room=room)


def _with_remedy(reason: str) -> str:
    """The reason of a failure, with what helps where that is not another try."""
    remedy = "" if retry_helps(reason) else remedy_of(reason)
    return f"{reason}; {remedy}" if remedy else reason


def _removal_section(plan: Plan, lines: Iterable[str]) -> list[str]:
    """The heading counts samples, as the table above it does; a class that one request removes is one line."""
    listed = first(lines, len(plan.removals) + len(plan.class_removals))
    return _styled("To remove", "red", len(plan.removed), listed)


def _section(title: str, colour: str, total: int, lines: Iterable[str]) -> list[str]:
    return _styled(title, colour, total, first(lines, total))


def _styled(title: str, colour: str, total: int, lines: Iterable[str]) -> list[str]:
    if not total:
        return []
    return ["", f"{title} ({total:,}):", *(click.style(f"  {line}", fg=colour) for line in lines)]
