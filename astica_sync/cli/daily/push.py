"""``astica-sync push``."""

import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import DONE, REFUSED, SOME_FAILED
from astica_sync.cli.key_refusals import record_key_refusal
from astica_sync.cli.known_rejections import read_rejections
from astica_sync.cli.open_store import (
    class_in_index,
    image_in_index,
    open_store,
    path_in_journal,
    price_of,
    store_option,
)
from astica_sync.cli.render.live.progress import Progress, PushProgress
from astica_sync.cli.render.messages import confirm, print_lines
from astica_sync.cli.render.push_output import (
    MOST_PAIRS,
    exit_code_of,
    in_two_formats_lines,
    is_partial,
    push_data,
    push_lines,
    with_names,
)
from astica_sync.cli.render.status_output import (
    data_of_version,
    did_you_mean,
    held_out_warning,
    in_two_formats_section,
    near_data,
    plan_data,
    refusal_data,
    status_lines,
    unmanaged_note,
)
from astica_sync.cli.render.text import IN_BOTH_UNTIL, first, has_moved, json_line, safe
from astica_sync.core.plan.guard import Allowance, Refusal
from astica_sync.core.plan.plan import RemoveSample
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.core.versions.snapshot import UnmanagedSample
from astica_sync.errors import BadKey
from astica_sync.local.store_sentinel import check_root

if TYPE_CHECKING:
    from astica_sync.sync.plan.held_out_images import ReturnedImage
    from astica_sync.sync.push.push_round import Consent, Naming

MOST_NAMES = 20
_WHERE_ALL = "to list all: astica-sync push --dry-run --json"
CHECK_SECONDS = 60.0
"""How long a dry run may check the images that a push would send."""


class MaxRemove(click.ParamType[tuple[int | None, float | None]]):
    """A number of samples, or a share of the managed ones such as ``20%``."""

    name = "N|N%"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, float | None]:
        match = re.fullmatch(r"(\d+)(%?)", str(value).strip())
        if match is None or (match[2] and int(match[1]) > 100):
            self.fail(f"{value!r} is neither a number nor a share such as 20%", param, ctx)
        return (None, int(match[1]) / 100) if match[2] else (int(match[1]), None)


@click.command("push")
@store_option
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing; the exit code is the push's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end and nothing else.")
@click.option("--yes", is_flag=True, help="Remove everything the plan removes, and make new classes, without asking.")
@click.option("--max-remove", type=MaxRemove(), help="Remove at most N samples, or N% of the managed ones.")
@click.option(
    "--new-class", "new_classes", multiple=True, metavar="TITLE", help="Make this class although a similar one exists."
)
@click.option("--as", "as_version", metavar="VERSION", help="Push the data of a version instead of the store.")
@click.option("--retry", is_flag=True, help="Try samples again that failed before.")
def push(
    store: Path | None,
    dry_run: bool,
    as_json: bool,
    yes: bool,
    max_remove: tuple[int | None, float | None] | None,
    new_classes: tuple[str, ...],
    as_version: str | None,
    retry: bool,
) -> int:
    """Bring the service in sync with the store.

    Uploads new images, then removes samples whose files were removed from the store. A plan that removes unusually
    much is refused as a whole (exit code 4) while the uploads are done; on a terminal you are asked.

    With --as the service gets the data of a version back, from the backup; the store's files are not changed. The
    next plain push brings the service back in sync with the store.

    \b
    astica-sync push
    astica-sync push --dry-run
    astica-sync push --max-remove 50
    astica-sync push --as 1001_20001
    """
    from astica_sync.api import Store
    from astica_sync.doctor.check_budget import find_last_refusals, number_to_set
    from astica_sync.local.image.prepare.name_cut_off import name_cut_off
    from astica_sync.local.image.prepare.usable_formats import samples_in_two_formats
    from astica_sync.sync.plan.find_status import StoreStatus, plan_round
    from astica_sync.sync.plan.held_out_images import find_held_out_images
    from astica_sync.sync.push.preflight_checks import check_samples, with_retries

    def allowance(usual: Allowance) -> Allowance:
        at_most, share = max_remove or (None, None)
        if share is not None:
            return replace(usual, share=share, class_share=1.0, all=yes)
        return replace(usual, at_most=at_most, all=yes)

    listener = Progress() if dry_run or as_json else PushProgress()
    with open_store(store, listener, allowance=allowance) as opened:
        api = Store.over(opened)
        if as_version is None and not as_json:
            for title in _without_folder(new_classes, api.layout.root):
                text = f"--new-class: no folder of the store has the title {safe(title)!r}, so it changes nothing."
                print_lines([text], err=True)
        if as_version is not None and not as_json:
            lost = sum(isinstance(sample, UnmanagedSample) for sample in api.snapshot(as_version))
            if lost:
                print_lines([unmanaged_note(lost, as_version)], err=True)
        if dry_run:
            session = opened.session
            # As a push does, which sends nothing from a copy.
            check_root(opened.layout, session.local.fs)
            status: StoreStatus = api.status() if as_version is None else api.plan_as(as_version)
            accepted = {*new_classes, *(entry.title for entry in status.near if yes)}
            if accepted:
                status = plan_round(session, status.scan, status.observation, accepted)
            if retry:
                status = with_retries(status)
            held = len(status.plan.held)
            status = check_samples(session, status, CHECK_SECONDS, from_backup=as_version is not None)
            fails = bool(status.plan.failed_before or status.rejected)
            fails |= is_partial(status.problems, status.plan.held)
            fails |= len(status.plan.held) > held
            status = replace(status, problems=name_cut_off(session.local.fs, opened.layout.root, status.problems))
            price = price_of(session, status)
            if as_json:
                refusals = refusal_data(status.refusals) + near_data(status.near)
                data = {**plan_data(status, price), "refusals": refusals}
                click.echo(json_line(data))
            else:
                path_of = path_in_journal(session.local.journal)
                is_image = image_in_index(session.local.index)
                pairs = samples_in_two_formats(session.local.index, MOST_PAIRS) if as_version is None else []
                copies = session.local.index.copies(MOST_PAIRS) if as_version is None else []
                lines = status_lines(status, price, path_of, copies, as_version, is_image)
                if as_version is not None and status.in_sync:
                    of_version = data_of_version(
                        as_version, api.snapshot(as_version), status.plan.unmanaged, status.owned
                    )
                    lines[-1] = click.style(of_version, fg="green")
                # Nothing is above the table, which begins with an empty line.
                print_lines(lines[1:] + in_two_formats_section(pairs))
                held_out: Sequence[ReturnedImage] = ()
                if as_version is None:
                    held_out = find_held_out_images(session.local.journal, session.local.index)
                if held_out:
                    print_lines(held_out_warning(held_out))
            if status.refusals or status.near:
                return REFUSED
            return SOME_FAILED if fails else DONE
        if isinstance(listener, PushProgress) and as_version is None:
            listener.rejected = read_rejections(opened.session.local.index)
        # A version may have an image in another class than the store.
        moved_to = class_in_index(opened.session.local.index) if as_version is None else _unknown
        asked_about: set[str] = set()
        try:
            pushed = api.push(
                as_version=as_version,
                consent=_ask_about_removals(listener, moved_to, asked_about, as_json=as_json),
                naming=_ask_about_titles(listener, as_json=as_json, yes=yes),
                new_classes=new_classes,
                retry=retry,
            )
        except BaseException:
            # No list of them follows.
            if isinstance(listener, PushProgress):
                listener.name_failures()
            raise
        finally:
            listener.close()
        index = opened.session.local.index
        pairs = samples_in_two_formats(index, MOST_PAIRS) if as_version is None else []
        lines = []
        if not as_json:
            limit = number_to_set(find_last_refusals(opened.settings)) if pushed.refused else ""
            said = as_version and data_of_version(as_version, api.snapshot(as_version), pushed.unmanaged, pushed.owned)
            lines = push_lines(pushed, said, moved_to, limit, asked_about)
            lines += in_two_formats_lines(pairs)
        if not as_json and as_version is None:
            lines += held_out_warning(find_held_out_images(opened.session.local.journal, index))
    if isinstance(pushed.error, BadKey):
        record_key_refusal(opened.settings, pushed.error)
    if as_json:
        click.echo(json_line(push_data(pushed, pairs)))
    else:
        print_lines(lines)
    return exit_code_of(pushed)


def _without_folder(titles: Sequence[str], root: Path) -> list[str]:
    """The titles of ``--new-class`` that no folder of the store has: they may be misspelled."""
    try:
        folders = {unicodedata.normalize("NFC", path.name) for path in root.iterdir() if path.is_dir()}
    except OSError:
        # The scan says why.
        return []
    return [title for title in titles if unicodedata.normalize("NFC", title) not in folders]


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _unknown(_sample: RemoveSample) -> str:
    return ""


def _ask_about_removals(
    listener: Progress, moved_to: Callable[[RemoveSample], str], asked_about: set[str], *, as_json: bool
) -> "Consent":
    """``asked_about`` gets the lines of the samples that the user was asked about."""

    def ask(refusals: list[Refusal]) -> bool:
        if as_json or not _can_ask():
            return False
        listener.close()
        for refusal, names in with_names(refusals, moved_to):
            asked_about.update(names)
            listed = first(names, len(names), MOST_NAMES, _WHERE_ALL)
            print_lines(["", f"{refusal.reason}{':' if names else '.'}", *listed], err=True)
        if any(has_moved(sample) for refusal in refusals for sample in refusal.samples):
            print_lines(["", IN_BOTH_UNTIL], err=True)
        question = "Remove them from the service? The backup has their images."
        if any(refusal.uploads for refusal in refusals):
            question = "Check the model on the service's page. Send all of these again?"
        if any(refusal.given_up for refusal in refusals):
            question = "Do all of this? What is given up stays on the service."
        click.echo(err=True)
        return confirm(question)

    return ask


def _ask_about_titles(listener: Progress, *, as_json: bool, yes: bool) -> "Naming":
    def ask(near: list[NearTitle]) -> bool:
        if yes or as_json or not _can_ask():
            return yes
        listener.close()
        for entry in near:
            print_lines([did_you_mean(entry)], err=True)
        return confirm("Make these classes?")

    return ask
