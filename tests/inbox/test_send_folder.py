"""What a look at a camera's folder sends, with time as an argument."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.errors import MirrorFailed
from astica_sync.inbox import sent_record
from astica_sync.inbox.send_folder import FolderSender, ImageCheck
from astica_sync.inbox.sent_record import SentRecord
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.mirror.folder_place import FolderPlace
from astica_sync.mirror.place import Added
from tests.harness.shell import draw, fill

QUIET = 5.0


@pytest.fixture(scope="module")
def check() -> Iterator[ImageCheck]:
    with Decoder() as decoder, Preparer() as preparer:
        yield ImageCheck(decoder, preparer)


class Machine:
    """A camera's folder, its inbox, and what restarts find."""

    def __init__(self, folder: Path, check: ImageCheck) -> None:
        self.taken, self.inbox, self.state = folder / "taken", folder / "inbox", folder / "sent.jsonl"
        self.inbox.mkdir()
        self._check = check
        self.wall = 0.0
        self.start()

    def start(self) -> None:
        self.record = SentRecord(self.state)
        self.sender = FolderSender(self.taken, self.record, self._check, QUIET, lambda: self.wall)

    def age(self, path: Path, seconds: float) -> None:
        """The file was changed so long ago."""
        status = path.stat()
        self.wall = max(status.st_ctime, status.st_mtime) + seconds


@pytest.fixture
def machine(tmp_path: Path, check: ImageCheck) -> Machine:
    return Machine(tmp_path, check)


def test_an_image_is_sent_once_it_has_not_changed_for_a_while(machine: Machine) -> None:
    path = draw(machine.taken / "Can" / "a.png", 1)
    place = FolderPlace(machine.inbox)
    machine.age(path, 0.5)
    done = machine.sender.look(place, 100.0)
    assert (done.sent, done.waiting, done.quiet_in) == ([], ["Can/a.png"], QUIET)
    # It is written to once more, so that its time of waiting begins again.
    draw(path, 2)
    machine.age(path, 0.5)
    assert machine.sender.look(place, 104.0).quiet_in == QUIET
    assert machine.sender.look(place, 108.0).quiet_in == 1.0
    assert machine.sender.look(place, 109.0).sent == ["Can/a.png"]
    done = machine.sender.look(place, 110.0)
    assert (done.sent, done.unchanged) == ([], 1)


def test_a_file_whose_times_are_in_the_future_is_sent_all_the_same(machine: Machine) -> None:
    path = draw(machine.taken / "Can" / "a.png", 1)
    machine.age(path, -1e6)
    assert machine.sender.look(FolderPlace(machine.inbox), 0.0).waiting
    assert machine.sender.look(FolderPlace(machine.inbox), QUIET).sent == ["Can/a.png"]


def test_a_file_that_changes_while_it_is_read_waits(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = draw(machine.taken / "Can" / "a.png", 1)
    machine.age(path, 60.0)
    files = machine.sender._files
    original = files.read_small

    def read(opened: Path, most: int) -> object:
        before, data, _ = original(opened, most)
        draw(path, 2)
        return before, data, path.stat()

    place = FolderPlace(machine.inbox)
    with monkeypatch.context() as patch:
        patch.setattr(files, "read_small", read)
        done = machine.sender.look(place, 0.0)
        assert (done.sent, done.waiting) == ([], ["Can/a.png"])
    machine.age(path, 60.0)
    assert machine.sender.look(place, 10.0).sent == ["Can/a.png"]
    assert [sent.read_bytes() for sent in machine.inbox.glob("*/*")] == [path.read_bytes()]


def test_a_run_that_ends_before_it_is_recorded_sends_nothing_twice(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = draw(machine.taken / "Can" / "a.png", 1)
    machine.age(path, 60.0)

    class Killed(Exception):
        pass

    def fail(record: SentRecord, *arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(SentRecord, "add", fail)
        with pytest.raises(Killed):
            machine.sender.look(FolderPlace(machine.inbox), 0.0)
    machine.start()
    done = machine.sender.look(FolderPlace(machine.inbox), 0.0)
    assert (done.sent, done.there, len(list(machine.inbox.glob("*/*")))) == ([], 1, 1)


def test_what_was_removed_from_the_inbox_is_not_sent_again(machine: Machine) -> None:
    """A rule of the bucket removes old objects; neither a restart nor another name of the file brings them back."""
    path = draw(machine.taken / "Can" / "a.png", 1)
    machine.age(path, 60.0)
    place = FolderPlace(machine.inbox)
    assert machine.sender.look(place, 0.0).sent == ["Can/a.png"]
    for sent in machine.inbox.glob("*/*"):
        sent.unlink()
    machine.start()
    assert machine.sender.look(place, 0.0).unchanged == 1
    path = path.rename(path.with_name("b.png"))
    machine.age(path, 60.0)
    assert (machine.sender.look(place, 0.0).sent, list(machine.inbox.glob("*/*"))) == ([], [])


def test_an_inbox_that_takes_nothing_is_not_asked_for_each_image(machine: Machine) -> None:
    fill(machine.taken, {"Can": 6})
    machine.age(machine.taken / "Can" / "005.png", 60.0)
    asked = []

    class Away(FolderPlace):
        def add(self, name: str, data: bytes) -> Added:
            asked.append(name)
            raise MirrorFailed("away", "mount it")

    with pytest.raises(MirrorFailed):
        machine.sender.look(Away(machine.inbox), 0.0)
    assert len(asked) == 3
    assert len(machine.sender.look(FolderPlace(machine.inbox), 0.0).sent) == 6


def test_one_image_that_the_inbox_refuses_keeps_no_other_away(machine: Machine) -> None:
    fill(machine.taken, {"Can": 4})
    machine.age(machine.taken / "Can" / "003.png", 60.0)

    class Picky(FolderPlace):
        def add(self, name: str, data: bytes) -> Added:
            if data == (machine.taken / "Can" / "001.png").read_bytes():
                raise MirrorFailed("denied", "check it")
            return super().add(name, data)

    done = machine.sender.look(Picky(machine.inbox), 0.0)
    assert (len(done.sent), done.failed) == (3, [("Can/001.png", "denied; check it")])


def test_the_record_drops_what_is_gone_and_skips_what_is_damaged(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_record, "_MOST_STALE", 3)
    place = FolderPlace(machine.inbox)
    paths = [draw(machine.taken / "Can" / f"{number}.png", number) for number in range(5)]
    machine.age(paths[-1], 60.0)
    machine.sender.look(place, 0.0)
    assert len(machine.state.read_text().splitlines()) == 5
    for path in paths[:4]:
        path.unlink()
    machine.sender.look(place, 0.0)
    assert len(machine.state.read_text().splitlines()) == len(machine.record) == 1
    with machine.state.open("ab") as file:
        file.write(b'{"path": "Can/9.png", "file": [1, 2], "object": "x"}\n[]\n{"path": "Can/')
    machine.start()
    assert machine.sender.look(place, 0.0).unchanged == 1
    # A line after a torn one is a line of its own.
    machine.age(draw(machine.taken / "Can" / "new.png", 7), 60.0)
    machine.sender.look(place, 0.0)
    machine.start()
    assert machine.sender.look(place, 0.0).unchanged == 2
