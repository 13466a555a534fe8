"""Checks what a plan concludes from its view about what was requested before: what it forgets, adopts and sends."""

import os
from typing import TYPE_CHECKING

from astica_sync.core.plan.plan import Plan
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.machine import Run
    from tests.simulation.oracle import Ledger, Oracle, View

QUARANTINE = 60.0
REMOVAL_IS_OVER = QUARANTINE + 90.0
"""After how many seconds a removal of unknown outcome can no longer be carried out, and no view that lags shows what it
has removed."""
ROUNDING = 1.0


class PlansOracle:
    """The part of the oracle that looks at plans; it sees everything through the whole one."""

    def __init__(self, world: World, oracle: "Oracle") -> None:
        self.world = world
        self.oracle = oracle

    def requested(self, run: "Run", *uids: str) -> None:
        """A request about these samples leaves."""
        book = self.oracle.book(run.store)
        book.last_requests |= dict.fromkeys(uids, (self.world.time, run.wall_offset))

    def planned(self, run: "Run", plan: Plan) -> None:
        view = run.oracle_notes.plan_view = run.oracle_notes.view
        if view is None:
            return
        book = self.oracle.book(run.store)
        self._adopts_nothing_removed(run, plan, view, book)
        self._adopts_nothing_forged(run, plan, view)
        is_piece = plan.uploads and not plan.classes
        is_late = self.world.epoch != run.oracle_notes.scan_epoch
        if not (is_piece or is_late or plan.incomplete or run.oracle_notes.wanted is not None):
            self._forgets_what_is_removed(run, plan, view, book)

    def _adopts_nothing_removed(self, run: "Run", plan: Plan, view: "View", book: "Ledger") -> None:
        """A view that lags shows a sample whose removal was confirmed; it is none to take for ours."""
        there = {sample.sample_id for _, sample in self.oracle.service.samples()} if plan.adopts else set()
        for adopt in plan.adopts:
            removal = book.removals.get(adopt.uid)
            if removal is None or adopt.sample_id not in removal.ids or adopt.sample_id in there:
                continue
            if view.asked < removal.at + QUARANTINE - ROUNDING and removal.wall_offset == run.wall_offset:
                self.world.violate(
                    4,
                    f"{run.name} adopts sample {adopt.sample_id} ({adopt.uid[:6]}), the removal of which was confirmed"
                    f" {view.asked - removal.at:.0f} s before its view",
                )

    def _adopts_nothing_forged(self, run: "Run", plan: Plan, view: "View") -> None:
        """Where a view shows sizes, a sample with a uid of ours and other bytes is none to take for ours."""
        if not plan.adopts or not self.oracle.service.sizes:
            return
        forged = {sample.sample_id for _, sample in self.oracle.service.samples() if sample.forged}
        for adopt in plan.adopts:
            # The view of the oracle has no forged ones; an id in it was another sample's then.
            if adopt.sample_id in forged and adopt.sample_id not in view.by_id:
                self.world.violate(2, f"{run.name} adopts sample {adopt.sample_id}, which is not what its uid says")

    def _forgets_what_is_removed(self, run: "Run", plan: Plan, view: "View", book: "Ledger") -> None:
        """A sample whose removal has an unknown outcome, and that a view lacks so late, is gone. Under a mark that
        stays, what another client makes of the image is removed."""
        store = run.store
        rows = store.databases.keeper(store.journal_name).execute(
            "SELECT uid, sent_at, removed, path FROM mark WHERE state = 'attempted' AND removed IS NOT NULL"
        )
        marks = [mark for mark in rows.fetchall() if mark[0] not in plan.forgets]
        if not marks or not store.mounted:
            return
        shown = {seen.uid for seen in view.by_id.values()}
        contents = {content for _, content in self.oracle.local(store)}
        for uid, sent_at, removed, path in marks:
            requested, wall_offset = book.last_requests.get(uid, (0.0, None))
            # A run that was killed before its request left has marked it all the same.
            requested = max(requested, (sent_at or 0.0) - run.wall_offset)
            is_over = wall_offset == run.wall_offset and view.asked >= requested + REMOVAL_IS_OVER
            upload_open = "0" in removed.split(",")
            if not is_over or upload_open or uid in shown or uid[:32] in contents:
                continue
            if self.oracle.file_without_image(store, os.fsdecode(path)) is None:
                self.world.violate(
                    4,
                    f"{run.name} keeps the mark of {uid[:6]}, the removal of which was requested"
                    f" {view.asked - requested:.0f} s before its view",
                )

    def upload_leaves(self, run: "Run", uid: str, title: str) -> None:
        """What the view of its plan shows in its place is not sent again."""
        view = run.oracle_notes.plan_view
        copies = view.copies(uid, title) if view else []
        if not copies:
            return
        # Not by the last view: it may show what was made after the plan.
        removal = self.oracle.book(run.store).removals.get(uid)
        gone = run.oracle_notes.removed | (removal.ids if removal else set())
        there = {sample.sample_id for _, sample in self.oracle.service.samples()}
        for sample_id in copies:
            if sample_id in there and sample_id not in gone:
                self.world.violate(
                    4, f"{run.name} sends {uid[:6]}, which the view of its plan shows as sample {sample_id}"
                )
