"""``astica-sync watch --to``: sends the images of a folder to an inbox, once or until it is stopped."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import INTERRUPTED, exit_code_in_part
from astica_sync.cli.open_store import clean_stop, settings_for
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import LINES, first, json_line, json_name, number, safe
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.cli.render.watch_output import JsonWatchOutput, QuietWatchOutput, WatchOutput
from astica_sync.cli.watch.stoppable_call import call_stoppable
from astica_sync.clock import SystemClock
from astica_sync.core.inbox.next_look import seconds_to_next_look
from astica_sync.errors import AsticaSyncError, Interrupted, StoreBusy, StoreError
from astica_sync.mirror.open_place import folder_of, is_bucket, open_place
from astica_sync.system.error_advice import reason_of, remedy

if TYPE_CHECKING:
    from astica_sync.core.inbox.object_name import ObjectName
    from astica_sync.inbox.send_folder import FolderSender, SendResult
    from astica_sync.mirror.place import Place

EVERY = 1.0
"""The shortest time between two looks at the folder, in seconds."""
ONCE_TIMEOUT = 60.0
"""With ``--once``, files that are written all the time are left to the next run after so many seconds."""
RETRY_S = 20.0


def send_to_inbox(address: str, folder: Path, *, once: bool, as_json: bool) -> int:
    """
    Raises:
        AsticaSyncError: the folder, the inbox or the settings cannot be used.
    """
    from astica_sync.inbox.send_folder import FolderSender, ImageCheck
    from astica_sync.inbox.sent_record import SentRecord, sent_record_file
    from astica_sync.local.image.decoder import Decoder
    from astica_sync.local.image.prepare.preparer import Preparer
    from astica_sync.local.image.prepare.usable_formats import usable_recipe
    from astica_sync.system.native_lock import lock_if_free

    root = _resolved(folder)
    place = open_inbox(address, root)
    settings = settings_for(None, offline=True)
    clock = SystemClock()
    file = sent_record_file(root, place.name)
    with clean_stop(clock), lock_if_free(file.with_suffix(".lock"), wait_s=0.5) as is_free:
        if not is_free:
            raise StoreBusy(f"another process sends {root} to {place.name}", "wait for it to end, or stop it")
        with Decoder() as decoder, Preparer(usable_recipe(settings.recipe)) as preparer:
            check = ImageCheck(decoder, preparer)
            sender = FolderSender(root, SentRecord(file), check, settings.settle, clock.now)
            if once:
                return _send_once(sender, place, root, clock, as_json=as_json)
            return _Sending(sender, place, root, clock, as_json=as_json).run()


def open_inbox(address: str, root: Path) -> "Place":
    """The inbox at this address, for the folder ``root``.

    Raises:
        ConfigError: the address has a password in it, or the library for buckets is missing.
        MirrorFailed: it cannot be opened.
        StoreError: the two overlap.
    """
    if is_bucket(address):
        return open_place(address, "inbox", RETRY_S)
    open_place(address, "inbox", shared=True)
    folder = folder_of(address).resolve()
    if folder.is_relative_to(root) or root.is_relative_to(folder):
        raise StoreError(f"the inbox {folder} and {root} overlap", "name an inbox outside of the folder")
    return open_place(str(folder), "inbox", shared=True)


def _resolved(folder: Path) -> Path:
    try:
        return folder.resolve(strict=True)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be opened: {reason_of(error)}", remedy(error, folder, writing=False)
        ) from error


def _send_once(sender: "FolderSender", place: "Place", root: Path, clock: SystemClock, *, as_json: bool) -> int:
    give_up = clock.ticks() + ONCE_TIMEOUT
    sent: list[str] = []
    there = 0
    while True:
        look = partial(sender.look, place, clock.ticks(), stopping=clock.stopping.is_set)
        done = call_stoppable(look, clock)
        sent += done.sent
        there += done.there
        if clock.stopping.is_set() or not done.waiting or clock.ticks() >= give_up:
            break
        clock.sleep(max(0.05, done.quiet_in))
    # What an earlier look of this run has sent is unchanged now.
    unchanged = max(0, done.unchanged - (len(sent) - len(done.sent)) - (there - done.there))
    if as_json:
        data = {"folder": json_name(str(root)), "inbox": json_name(place.name), "sent": len(sent), "there": there}
        data |= {"sent_before": unchanged, "waiting": [json_name(path) for path in done.waiting]}
        data |= {"failed": _pairs(done.failed), "problems": _pairs(done.problems)}
        click.echo(json_line(data))
    else:
        _print_once(place, len(sent), there, unchanged, done)
    if clock.stopping.is_set():
        return INTERRUPTED
    return exit_code_in_part(len(sent) + there + unchanged, len(done.failed) + len(done.problems))


def _print_once(place: "Place", sent: int, there: int, unchanged: int, done: "SendResult") -> None:
    lines = [f"! {safe(path)}  ({safe(reason)})" for path, reason in [*done.failed, *done.problems]]
    for line in first(lines, len(lines), LINES):
        print_lines([click.style(line, fg="red")], err=True)
    print_lines(
        [
            f"{safe(place.name)}: {number(sent, 'image')} sent, {there:,} there already, {unchanged:,} sent before, "
            f"{len(done.failed) + len(done.problems):,} failed"
        ]
    )
    if done.waiting:
        print_lines(
            [f"{number(len(done.waiting), 'file is', 'files are')} still being written; the next run sends them"]
        )


def _pairs(entries: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"path": json_name(path), "reason": reason} for path, reason in entries]


class _Sending:
    """A folder that is sent until the command is stopped."""

    def __init__(
        self, sender: "FolderSender", place: "Place", root: Path, clock: SystemClock, *, as_json: bool
    ) -> None:
        self._sender, self._place, self._root, self._clock = sender, place, root, clock
        quiet = verbosity() is Verbosity.QUIET
        self._output = JsonWatchOutput() if as_json else QuietWatchOutput() if quiet else WatchOutput()
        self._said: set[str] = set()

    def run(self) -> int:
        self._event("watching", f"{self._root}, for {self._place.name}", inbox=json_name(self._place.name))
        failures, idle_look = 0, 0.0
        while not self._clock.stopping.is_set():
            began = self._clock.ticks()
            wait = 0.0
            try:
                done = call_stoppable(partial(self._look, began), self._clock)
                if not (done.sent or done.there or done.failed or done.new_problems):
                    # What it costs to look; images that were checked and sent are work that has to be done once.
                    idle_look = self._clock.ticks() - began
                self._report(done)
                failures = failures + 1 if done.failed else 0
                wait = max(done.quiet_in, idle_look, 0.05) if done.waiting else 0.0
            except Interrupted:
                break
            except AsticaSyncError as error:
                failures += 1
                self._say_failed(error.text_with_hint)
            if self._said and not failures:
                self._said.clear()
                self._event("note", "running normally again")
            pause = seconds_to_next_look(idle_look, EVERY, failures)
            try:
                self._clock.sleep(min(pause, wait) if wait and not failures else pause)
            except Interrupted:
                break
        return INTERRUPTED

    def _look(self, now: float) -> "SendResult":
        return self._sender.look(
            self._place, now, on_sent=self._on_sent, on_failed=self._on_failed, stopping=self._clock.stopping.is_set
        )

    def _on_failed(self, path: str, error: AsticaSyncError) -> None:
        self._say_failed(error.text_with_hint, path=json_name(path))

    def _say_failed(self, text: str, **data: object) -> None:
        """Each once, until it works again."""
        if text not in self._said:
            self._said.add(text)
            self._event("failed", text, **data)

    def _on_sent(self, path: str, name: "ObjectName") -> None:
        self._event("sent", path, **{"class": json_name(name.title), "path": json_name(path)})

    def _report(self, done: "SendResult") -> None:
        for path, reason in done.new_problems[:LINES]:
            self._event("problem", f"cannot send {path}: {reason}", path=json_name(path), reason=reason)
        if left := len(done.new_problems[LINES:]):
            text = f"cannot send {left:,} more files; for all: astica-sync watch --to URL --once --json"
            self._event("problem", text, files=left)

    def _event(self, name: str, text: str, **data: object) -> None:
        self._output.event(str(self._root), name, text, **data)
