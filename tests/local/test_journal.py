import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from astica_sync import sqlite
from astica_sync.core.model import Mark, MarkState
from astica_sync.errors import DatabaseError
from astica_sync.local.db.journal import BadSample, Event, Journal

A = ("a" * 32 + "-00000000", "Can", "Can/1.png")
B = ("b" * 32 + "-00000000", "Can", "Can/\udcff\n.png")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def event(at: float, action: str = "upload", path: str = "Can/1.png") -> Event:
    return Event(at, "run-1", action, "Can", A[0], path, None, "done", "")


def test_an_attempt_is_a_mark_with_its_time_and_run(path: Path) -> None:
    with Journal(path, "run-1") as journal:
        journal.attempt([B, A], 10.0)
        assert list(journal.marks()) == [
            Mark(*A[:2], MarkState.ATTEMPTED, 10.0, "run-1", A[2]),
            Mark(*B[:2], MarkState.ATTEMPTED, 10.0, "run-1", B[2]),
        ]


def test_agreeing_keeps_the_time_of_sending_by_default(path: Path) -> None:
    with Journal(path, "run-1") as journal:
        journal.attempt([A], 10.0)
        journal.run = "run-2"
        journal.agree([A, B])
        assert journal.mark(A[0]) == Mark(*A[:2], MarkState.AGREED, 10.0, "run-1", A[2])
        assert journal.mark(B[0]) == Mark(*B[:2], MarkState.AGREED, None, "run-2", B[2])
        journal.agree([A], 12.0)
        assert journal.mark(A[0]) == Mark(*A[:2], MarkState.AGREED, 12.0, "run-2", A[2])


def test_a_new_attempt_takes_agreement_back(path: Path) -> None:
    with Journal(path, "run-1") as journal:
        journal.agree([A], 5.0)
        journal.attempt([A], 10.0)
        mark = journal.mark(A[0])
    assert mark is not None
    assert (mark.state, mark.sent_at) == (MarkState.ATTEMPTED, 10.0)


def begin(journal: Journal, *, in_doubt: bool) -> None:
    """Sends a sample, with an answer or without."""
    if in_doubt:
        journal.attempt([A], 5.0)
    else:
        journal.agree([A], 5.0)


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_removal_keeps_in_mind_that_an_upload_is_open(path: Path, in_doubt: bool) -> None:
    with Journal(path, "run-1") as journal:
        begin(journal, in_doubt=in_doubt)
        journal.attempt_removal([(*A, 70)], 6.0)
        journal.attempt_removal([(*A, 80)], 7.0)
        mark = journal.mark(A[0])
        assert mark is not None
        assert (mark.removed_ids, mark.upload_open, mark.state) == ((70, 80), in_doubt, MarkState.ATTEMPTED)
        journal.restore(mark)
        assert journal.mark(A[0]) == mark
        for confirm in (journal.confirm_removed, journal.confirm_extras_removed):
            confirm([A[0]], 8.0)
            mark = journal.mark(A[0])
            assert mark is not None and (mark.removed_ids, mark.upload_open) == ((70, 80), False)
        journal.attempt_removal([(*A, 90)], 9.0)
        mark = journal.mark(A[0])
        assert mark is not None and (mark.removed_ids, mark.upload_open) == ((70, 80, 90), False)


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_copy_that_is_gone_for_sure_is_kept_in_mind_while_another_one_is_open(path: Path, in_doubt: bool) -> None:
    with Journal(path, "run-1") as journal:
        begin(journal, in_doubt=in_doubt)
        journal.attempt_removal([(*A, 70)], 6.0)
        journal.attempt_removal([(*A, 7)], 6.0)
        journal.confirm_copy_removed(A[0], 7)
        mark = journal.mark(A[0])
        assert mark is not None
        assert (mark.removed_ids, mark.gone_ids, mark.upload_open) == ((70, 7), (7,), in_doubt)
        assert mark.state == MarkState.ATTEMPTED
        journal.restore(mark)
        assert journal.mark(A[0]) == mark
        journal.attempt_removal([(*A, 7)], 6.5)
        mark = journal.mark(A[0])
        assert mark is not None and mark.gone_ids == (), "its removal is requested again, so it is open"
        journal.confirm_copy_removed(A[0], 7)
        journal.confirm_removed([A[0]], 7.0, upload_open=in_doubt)
        mark = journal.mark(A[0])
        assert mark is not None and mark.state == MarkState.REMOVED
        assert (mark.removed_ids, mark.gone_ids, mark.upload_open) == ((70, 7), (), in_doubt)


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_sample_that_is_sent_again_keeps_in_mind_which_copies_are_gone(path: Path, in_doubt: bool) -> None:
    with Journal(path, "run-1") as journal:
        begin(journal, in_doubt=in_doubt)
        journal.attempt_removal([(*A, 70)], 6.0)
        journal.attempt_removal([(*A, 80)], 6.0)
        journal.confirm_removed([A[0]], 7.0, upload_open=in_doubt)
        journal.attempt([A], 8.0)
        mark = journal.mark(A[0])
        assert mark is not None and mark.state is MarkState.ATTEMPTED
        assert (mark.removed_ids, mark.gone_ids, mark.upload_open) == ((70, 80), (70, 80), True)
        journal.restore(mark)
        assert journal.mark(A[0]) == mark
        journal.attempt_removal([(*A, 90)], 9.0)
        mark = journal.mark(A[0])
        assert mark is not None
        assert (mark.removed_ids, mark.gone_ids, mark.upload_open) == ((70, 80, 90), (70, 80), True)
        journal.attempt([A], 100.0)
        mark = journal.mark(A[0])
        assert mark is not None and mark.removed_ids == (), "a quarantine has passed"
        journal.agree([A], 101.0)
        mark = journal.mark(A[0])
        assert mark is not None and (mark.removed_ids, mark.state) == ((), MarkState.AGREED)


def test_a_confirmed_removal_says_whether_an_upload_before_it_is_open(path: Path) -> None:
    with Journal(path, "run-1") as journal:
        journal.attempt([A], 5.0)
        journal.attempt_removal([(*A, 70)], 6.0)
        journal.confirm_removed([A[0]], 7.0, upload_open=True)
        mark = journal.mark(A[0])
        assert mark is not None
        assert (mark.removed_ids, mark.upload_open, mark.state) == ((70,), True, MarkState.REMOVED)


def test_the_time_of_an_unknown_outcome_moves_and_nothing_else(path: Path) -> None:
    with Journal(path, "run-1") as journal:
        journal.attempt([A, B], 10.0)
        journal.run = "run-2"
        journal.resend_at([A[0], "no such uid"], 20.0)
        assert [(mark.sent_at, mark.run) for mark in journal.marks()] == [(20.0, "run-2"), (10.0, "run-1")]


def test_a_forgotten_mark_is_removed(path: Path) -> None:
    with Journal(path) as journal:
        journal.attempt([A, B], 10.0)
        journal.forget([A[0]])
        assert journal.mark(A[0]) is None
        assert [mark.uid for mark in journal.marks()] == [B[0]]


def test_grouped_calls_are_kept_together_or_not_at_all(path: Path) -> None:
    with Journal(path) as journal:
        with pytest.raises(RuntimeError), journal.commit():
            journal.attempt([A], 1.0)
            journal.record([event(1.0)])
            raise RuntimeError
        assert (list(journal.marks()), list(journal.history())) == ([], [])
        with journal.commit():
            journal.attempt([A], 1.0)
            journal.record([event(1.0)])
        assert (len(list(journal.marks())), len(list(journal.history()))) == (1, 1)


def test_marks_that_cannot_all_be_written_are_not_written_at_all(path: Path) -> None:
    with Journal(path) as journal:
        with pytest.raises(DatabaseError):
            journal.attempt([A, (B[0], None, B[2])], 1.0)  # type: ignore[list-item]
        assert list(journal.marks()) == []


def test_the_history_comes_newest_first_and_in_part(path: Path) -> None:
    with Journal(path) as journal:
        journal.record([event(1.0), event(2.0, "remove", "x/\udcff"), event(3.0, "adopt")])
        assert [found.at for found in journal.history()] == [3.0, 2.0, 1.0]
        assert list(journal.history(limit=1, since=2.0)) == [event(3.0, "adopt")]
        assert list(journal.history(since=2.0))[-1] == event(2.0, "remove", "x/\udcff")


def test_removals_without_an_answer_count_once_and_a_wrong_clock_hides_none(path: Path) -> None:
    def removal(at: float, number: int, outcome: str, reason: str) -> Event:
        return Event(at, "run-1", "remove", "Can", A[0], "Can/1.png", number, outcome, reason)

    with Journal(path, "run-1") as journal:
        journal.record([
            removal(5.0, 1, "done", "its file is gone"),
            removal(11.0, 2, "done", "its file is gone"),
            removal(12.0, 3, "unknown", "its file is gone: no answer"),
            removal(13.0, 3, "done", "its file is gone"),
            removal(14.0, 4, "unknown", "its file is gone: no answer"),
            removal(15.0, 5, "done", "its file is gone; confirmed"),
            removal(15.0, 6, "unknown", "its file is gone; confirmed: no answer"),
            removal(16.0, 7, "not done", "its file is gone: no connection"),
            removal(17.0, 8, "done", "it is in another class now"),
            removal(1.0, 9, "done", "its file is gone"),
        ])  # fmt: skip
        assert journal.removals_since(10.0, ["its file is gone"]) == {"Can": 3}


def test_the_events_of_any_number_of_samples_are_found(path: Path) -> None:
    with Journal(path, "run-1") as journal:
        journal.record([event(1.0), event(2.0)._replace(uid=B[0]), event(3.0)])
        assert [one.at for one in journal.events_of([A[0]])] == [1.0, 3.0]
        assert [one.at for one in journal.events_of([*(f"{n}" for n in range(300_000)), B[0]])] == [2.0]
        assert list(journal.events_of([])) == []


def test_a_bad_sample_stays_until_it_is_asked_for(path: Path) -> None:
    one, two = BadSample(*A, "too large", 1.0), BadSample(*B, "refused", 2.0)
    with Journal(path) as journal:
        journal.set_bad([two, one])
        journal.set_bad([one._replace(reason="broken")])
        assert list(journal.bad()) == [one._replace(reason="broken"), two]
        journal.clear_bad([A[0]])
        assert list(journal.bad()) == [two]
        journal.clear_bad()
        assert list(journal.bad()) == []


def test_meta_stores_any_json_value(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.get_meta("view") is None
        assert journal.get_meta("view", 3) == 3
        journal.set_meta("view", {"at": [1, None, "ü"]})
        assert journal.get_meta("view") == {"at": [1, None, "ü"]}


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from astica_sync.local.db.journal import Journal
journal = Journal(Path(sys.argv[1]), "dying")
journal.attempt([("00000000000000000000000000000000-00000001", "Can", "Can/1.png")], 1.0)
with journal.commit():
    journal.attempt([("00000000000000000000000000000000-00000002", "Can", "Can/2.png")], 2.0)
    journal._connection.execute("PRAGMA cache_spill = 1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_what_it_committed_and_nothing_more(path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(path)], check=False)
    with Journal(path) as journal:
        assert [mark.uid for mark in journal.marks()] == ["00000000000000000000000000000000-00000001"]
        journal.attempt([A], 3.0)


def test_readers_are_not_blocked_by_a_writer_between_commits(path: Path) -> None:
    with Journal(path) as writer, Journal(path, busy_s=0.0) as reader, writer.commit():
        writer.attempt([A], 1.0)
        assert list(reader.marks()) == []


def test_a_second_writer_gives_up_after_a_bounded_wait_and_changes_nothing(path: Path) -> None:
    with Journal(path) as first, Journal(path, busy_s=0.01) as second:
        with first.commit(), pytest.raises(sqlite.Locked):
            second.attempt([A], 1.0)
        assert list(second.marks()) == []
        second.attempt([A], 1.0)
        assert len(list(first.marks())) == 1


def test_every_commit_is_synced_to_the_disk(path: Path) -> None:
    # What the level does with a power cut is SQLite's own promise; that it is asked for is ours.
    with Journal(path) as journal:
        assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_journal_of_a_newer_version_is_refused(path: Path) -> None:
    Journal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseError, match="newer version") as caught:
        Journal(path)
    assert "upgrade" in caught.value.hint


def test_a_damaged_journal_is_an_error_and_not_changed(path: Path) -> None:
    with Journal(path) as journal:
        journal.attempt([(f"{number:032x}-00000000", "Can", "x") for number in range(500)], 1.0)
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 12] = os.urandom(4096 * 10)
    path.write_bytes(data)
    with Journal(path) as journal, pytest.raises(DatabaseError) as caught:
        list(journal.marks())
    assert "move it away" in caught.value.hint
    assert path.read_bytes() == bytes(data)


uids = st.sampled_from([f"{number:032x}-00000000" for number in range(6)])
places = st.lists(
    st.tuples(uids, st.sampled_from(["Can", "Bottle"]), st.binary(max_size=4).map(os.fsdecode)),
    max_size=3,
    unique_by=lambda place: place[0],
)
times = st.floats(0, 1e10)


class JournalMachine(RuleBasedStateMachine):
    """The journal beside a dictionary, through any sequence of calls, grouped, undone and reopened."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.db"
        self.journal = Journal(self.path, "r1")
        self.model: dict[str, Mark] = {}

    @rule(items=places, at=times)
    def attempt(self, items: list[tuple[str, str, str]], at: float) -> None:
        self.journal.attempt(items, at)
        for uid, title, path in items:
            self.model[uid] = Mark(uid, title, MarkState.ATTEMPTED, at, self.journal.run, path)

    @rule(items=places, at=st.none() | times)
    def agree(self, items: list[tuple[str, str, str]], at: float | None) -> None:
        self.journal.agree(items, at)
        for uid, title, path in items:
            old = self.model.get(uid)
            sent_at, run = at, self.journal.run
            if at is None and old is not None:
                sent_at, run = old.sent_at, old.run
            self.model[uid] = Mark(uid, title, MarkState.AGREED, sent_at, run, path)

    @rule(gone=st.lists(uids))
    def forget(self, gone: list[str]) -> None:
        self.journal.forget(gone)
        for uid in gone:
            self.model.pop(uid, None)

    @rule(items=places)
    def undo(self, items: list[tuple[str, str, str]]) -> None:
        with pytest.raises(KeyError), self.journal.commit():
            self.journal.attempt(items, 1.0)
            self.journal.forget(list(self.model))
            raise KeyError

    @precondition(lambda self: self.model)
    @rule(run=st.sampled_from(["r1", "r2"]))
    def reopen(self, run: str) -> None:
        self.journal.close()
        self.journal = Journal(self.path, run)

    @invariant()
    def same(self) -> None:
        assert list(self.journal.marks()) == [self.model[uid] for uid in sorted(self.model)]

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()


JournalMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
test_the_journal_holds_what_a_dictionary_would = JournalMachine.TestCase


def test_what_is_about_to_be_sent_is_noted_until_it_is_withdrawn(path: Path) -> None:
    with Journal(path, "run-1") as journal:
        sent = journal.record_sent([event(1.0), event(2.0, "remove")])
        assert [found.at for found in journal.history()] == [2.0, 1.0]
        journal.withdraw(sent[:1])
        assert [found.at for found in journal.history()] == [2.0]
