"""``astica-sync watch --from``: takes the images of an inbox into a store, once or while a watcher runs."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from astica_sync.cli.exit_codes import DONE, REFUSED, SOME_FAILED
from astica_sync.cli.open_store import clean_stop, closed_at_end
from astica_sync.cli.render.live.progress import Progress
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import LINES, first, json_line, json_name, number, safe
from astica_sync.cli.watch.pause_file import is_paused
from astica_sync.cli.watch.send_to_inbox import open_inbox
from astica_sync.cli.watch.stoppable_call import GRACE, call_stoppable
from astica_sync.clock import SystemClock
from astica_sync.core.inbox.next_look import LONGEST_S, SHARE, seconds_to_next_look
from astica_sync.core.plan.similar_titles import NearTitle
from astica_sync.errors import AsticaSyncError, Interrupted, StoreBusy
from astica_sync.local.layout import Layout
from astica_sync.open_session import open_session
from astica_sync.shell_quote import quote_path
from astica_sync.sync.progress import ProgressListener

if TYPE_CHECKING:
    from astica_sync.cli.render.watch_output import WatchOutput
    from astica_sync.inbox.list_inbox import InboxListing
    from astica_sync.inbox.take_in import TakenIn
    from astica_sync.inbox.taken_record import RefusedObject, TakenRecord
    from astica_sync.mirror.place import Place
    from astica_sync.sync.session import LocalSide

EVERY = 10.0
"""The shortest time between two lists of the inbox, in seconds."""
_MOST_SAID = 1000
_MOST_NAMED = 10_000


@dataclass(slots=True)
class Received:
    """What one look at the inbox did; see ``TakenIn`` and ``InboxListing``. Of lists that others may make long, the
    first are there; the counts are of all."""

    taken: Counter[str] = field(default_factory=Counter)
    there: int = 0
    taken_before: int = 0
    refused_before: int = 0
    refused: "list[RefusedObject]" = field(default_factory=list)
    refused_count: int = 0
    unread: list[tuple[str, str]] = field(default_factory=list)
    unread_count: int = 0
    others: list[tuple[str, str]] = field(default_factory=list)
    other_count: int = 0
    questions: dict[str, NearTitle] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    incomplete: str = ""

    def list_with(self, listing: "InboxListing") -> None:
        self.taken_before += listing.taken
        self.refused_before += listing.refused
        self.other_count += listing.other_count
        self.others = listing.others
        self.incomplete = listing.incomplete or self.incomplete

    def include(self, done: "TakenIn") -> None:
        self.taken += done.taken
        self.there += done.there
        self.refused_count += len(done.refused)
        self.refused += done.refused[: _MOST_NAMED - len(self.refused)]
        self.unread_count += len(done.unread)
        self.unread += done.unread[: _MOST_NAMED - len(self.unread)]
        room = _MOST_NAMED - len(self.questions)
        self.questions.update((near.title, near) for near in done.questions[:room])
        self.held += done.held


class InboxReceiver:
    """For one thread, which opens the store whenever there is something new."""

    def __init__(
        self, layout: Layout, place: "Place", clock: SystemClock, listener: ProgressListener, *, has_watcher: bool
    ) -> None:
        """``has_watcher``: a watcher of this store runs beside it, which keeps the index up to date."""
        self._layout, self._place, self._clock, self._listener = layout, place, clock, listener
        self._has_watcher = has_watcher
        self._record: TakenRecord | None = None

    def look(self) -> Received:
        """Takes in what is new.

        Raises:
            MirrorFailed: the inbox cannot be used.
            StoreError: the store is away or cannot be written; what was taken in is recorded.
            Interrupted: the user asked to stop.
        """
        from astica_sync.exchange.known_contents import list_titles
        from astica_sync.inbox.list_inbox import list_inbox
        from astica_sync.inbox.take_in import MOST_NEW_CLASSES
        from astica_sync.inbox.taken_record import TakenRecord
        from astica_sync.local.store_sentinel import check_root
        from astica_sync.system.native_lock import lock_if_free

        # Before anything is made in the folder: the disk may be away.
        check_root(self._layout)
        received = Received()
        with lock_if_free(self._layout.state / "inbox.lock", wait_s=0.5) as is_free:
            if not is_free:
                raise StoreBusy(f"another process takes images into {self._layout.root}", "wait for it to end")
            if self._record is None or self._record.is_stale:
                self._record = TakenRecord(self._layout)
            titles = list_titles(self._layout.root)
            for listing in list_inbox(self._place, self._record, titles, self._clock.now(), self._is_stopping):
                received.list_with(listing)
                if listing.new:
                    made = len(received.taken.keys() - titles.keys())
                    received.include(self._take(listing, self._record, MOST_NEW_CLASSES - made))
        return received

    def _take(self, listing: "InboxListing", record: "TakenRecord", new_classes: int) -> "TakenIn":
        from astica_sync.inbox.take_in import take_in

        def report(done: int) -> None:
            self._listener.phase(f"taking in, {done:,} of {number(len(listing.new), 'image')}")

        # Databases belong to the thread that opened them.
        clock = SystemClock()
        clock.stopping = self._clock.stopping
        with open_session(self._layout.root, self._listener, clock=clock, offline=True) as opened:
            self._update_index(opened.session.local, clock)
            done = take_in(
                self._place,
                listing.new,
                opened.session.local,
                record,
                clock.now,
                new_classes=new_classes,
                report=report,
                stopping=self._is_stopping,
            )
        self._listener.phase_ended()
        return done

    def _update_index(self, local: "LocalSide", clock: SystemClock) -> None:
        from astica_sync.local.scan.scanner import ScanOptions, scan_store
        from astica_sync.sync.plan.ask_watcher import scan_by_watcher

        if self._has_watcher:
            # A scan of this thread would take from the watcher what it has to find itself.
            scan_by_watcher(local, clock)
            return
        options = ScanOptions(threads=local.hash_threads, recipe=local.preparer.recipe)
        scan_store(
            local.layout, local.index, clock=clock, files=local.fs, options=options, progress=self._listener.scanned
        )

    def _is_stopping(self) -> bool:
        return self._clock.stopping.is_set()


def receive_once(layout: Layout, address: str, *, as_json: bool) -> int:
    """Takes in what the inbox has, and prints it; the exit code.

    Raises:
        AsticaSyncError: the inbox or the store cannot be used.
    """
    clock, progress = SystemClock(), Progress()
    with clean_stop(clock), closed_at_end(progress, clock):
        place = open_inbox(address, layout.root)
        progress.phase(f"looking into {place.name}")
        receiver = InboxReceiver(layout, place, clock, progress, has_watcher=False)
        received = call_stoppable(receiver.look, clock)
    if as_json:
        click.echo(json_line({"store": json_name(str(layout.root)), "inbox": json_name(place.name), **_data(received)}))
    else:
        _print_received(layout, place.name, received)
    if received.refused or received.unread or received.incomplete:
        return SOME_FAILED
    return REFUSED if received.questions else DONE


def _data(received: Received) -> dict[str, object]:
    return {
        "taken": {json_name(title): count for title, count in sorted(received.taken.items())},
        "there": received.there,
        "taken_before": received.taken_before,
        "refused_before": received.refused_before,
        "refused": [{"name": json_name(one.name), "reason": one.reason} for one in received.refused],
        "unread": [{"name": json_name(name), "reason": reason} for name, reason in received.unread],
        "no_images": received.other_count,
        "questions": [
            {
                "class": json_name(near.title),
                "similar_to": json_name(near.existing),
                "images": received.held[near.title],
            }
            for near in received.questions.values()
        ],
        "incomplete": received.incomplete,
    }


def _print_received(layout: Layout, inbox: str, received: Received) -> None:
    lines = [f"! {safe(name)}  ({safe(reason)})" for name, reason in _left(received)]
    lines += [
        f"! {safe(question_text(layout, near, received.held[near.title]))}" for near in received.questions.values()
    ]
    for line in first(lines, len(lines), LINES):
        print_lines([click.style(line, fg="red")], err=True)
    text = f"{safe(inbox)}: {number(received.taken.total(), 'image')} taken in{_by_class(received.taken)}"
    print_lines(
        [
            f"{text}, {received.there + received.taken_before:,} before, "
            f"{received.refused_count + received.refused_before:,} refused"
        ]
    )
    if received.other_count:
        are = number(received.other_count, "object is no image", "objects are no images")
        name, reason = received.others[0]
        print_lines([f"{are} of watch --to: {safe(name)}  ({safe(reason)})"], err=True)


def _left(received: Received) -> list[tuple[str, str]]:
    left = [(one.name, one.reason) for one in received.refused] + received.unread
    return [*left, ("the list of the inbox", received.incomplete)] if received.incomplete else left


def _by_class(taken: Counter[str]) -> str:
    if not taken:
        return ""
    shown = [f"{safe(title)} {count:,}" for title, count in taken.most_common(5)]
    return f" ({', '.join(shown)}{', …' if len(taken) > 5 else ''})"


def question_text(layout: Layout, near: NearTitle, held: int) -> str:
    """What is asked about a new class that may be a typing error."""
    stay = number(held, "image stays", "images stay")
    return (
        f"class {near.title!r} is similar to {near.existing!r}, so {stay} in the inbox. "
        "Rename the folder on the machine that sends it; or, if it is a new class, make its folder here: "
        f"mkdir {quote_path(str(layout.root / near.title))}"
    )


class InboxKeeper:
    """A thread that takes images in while a watcher runs; an inbox that fails stops nothing else."""

    def __init__(self, layout: Layout, address: str, clock: SystemClock, output: "WatchOutput") -> None:
        """
        Raises:
            AsticaSyncError: the inbox cannot be opened.
        """
        self._layout, self._clock, self._output = layout, clock, output
        self._place = open_inbox(address, layout.root)
        self._receiver = InboxReceiver(layout, self._place, clock, _NoProgress(), has_watcher=True)
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._said: set[str] = set()

    def __enter__(self) -> "InboxKeeper":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.join(GRACE)

    def _run(self) -> None:
        failures, last, idle_look, refusing = 0, "", 0.0, 0
        while True:
            began = self._clock.ticks()
            pause = 0.0
            try:
                if not is_paused(self._layout):
                    received = self._receiver.look()
                    took = self._clock.ticks() - began
                    if not (received.taken or received.there or received.refused or received.unread):
                        idle_look = took
                    # An inbox that is filled with bad objects without end has them read less and less often.
                    refusing = refusing + 1 if received.refused else 0
                    pause = took * min(refusing, SHARE)
                    self._report(received)
                    if failures:
                        self._event("note", "the inbox works normally again")
                failures, last = 0, ""
            except Interrupted:
                return
            except AsticaSyncError as error:
                failures += 1
                if error.text_with_hint != last:
                    last = error.text_with_hint
                    self._event("failed", f"inbox: {last}")
            try:
                self._clock.sleep(max(seconds_to_next_look(idle_look, EVERY, failures), min(pause, LONGEST_S)))
            except Interrupted:
                return

    def _report(self, received: Received) -> None:
        if total := received.taken.total():
            text = f"{number(total, 'image')} from {self._place.name}{_by_class(received.taken)}"
            counts = {json_name(title): count for title, count in received.taken.items()}
            self._event("received", text, taken=counts)
        for key, name, text in (*_problems(received), *_questions(self._layout, received)):
            if key not in self._said:
                # Each once. Who fills the inbox with others has them repeated, and does not fill the memory.
                self._said = self._said if len(self._said) < _MOST_SAID else set()
                self._said.add(key)
                self._event(name, text)

    def _event(self, name: str, text: str, **data: object) -> None:
        self._output.event(str(self._layout.root), name, text, **data)


def _problems(received: Received) -> Iterator[tuple[str, str, str]]:
    """Events, each with what makes it another one than those before."""
    left = _left(received)
    for name, reason in left[:LINES]:
        yield f"{name}: {reason}", "problem", f"not taken in: {name}: {reason}"
    if more := len(left[LINES:]):
        yield (
            f"{more}",
            "problem",
            f"not taken in: {more:,} more; .astica-sync/inbox.jsonl names the refused ones",
        )
    if received.other_count:
        name, reason = received.others[0]
        yield "others", "problem", f"the inbox has objects that are no images of watch --to: {name}: {reason}"


def _questions(layout: Layout, received: Received) -> Iterator[tuple[str, str, str]]:
    for near in list(received.questions.values())[:LINES]:
        yield f"class {near.title}", "refused", question_text(layout, near, received.held[near.title])


class _NoProgress(ProgressListener):
    """The watcher shows what it does itself."""
