"""An inbox that other users fill: nothing in it makes a store write outside of its class folders, lose a file or send
anything, and what is bad in it keeps nothing else away."""

import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xxhash

from astica_sync.cli.watch.receive_from_inbox import InboxReceiver
from astica_sync.clock import SystemClock
from astica_sync.core.inbox.object_name import ObjectName
from astica_sync.errors import MirrorFailed, StoreError
from astica_sync.inbox import list_inbox as list_inbox_module
from astica_sync.inbox import taken_record
from astica_sync.inbox.list_inbox import list_inbox
from astica_sync.inbox.send_folder import MOST_BYTES
from astica_sync.inbox.take_in import MOST_NEW_CLASSES
from astica_sync.inbox.taken_record import REFUSED_FOR_S, RefusedObject, TakenRecord
from astica_sync.local.layout import Layout
from astica_sync.mirror.folder_place import FolderPlace
from astica_sync.mirror.place import PlaceEntry
from astica_sync.sync.progress import ProgressListener
from tests.harness.shell import Ran, Shell, draw

Receive = Callable[[], Ran]


@pytest.fixture
def receive(shell: Shell, store: Path, inbox: Path) -> Receive:
    return lambda: shell("watch", "--from", inbox, "--once", "--json", store)


def put(inbox: Path, title: str, data: bytes, ending: str = "png") -> Path:
    path = inbox / title / f"{xxhash.xxh3_128_hexdigest(data)}.{ending}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def good(tmp_path: Path, number: int) -> bytes:
    return draw(tmp_path / "drawn.png", 700 + number).read_bytes()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of the store outside of its hidden folder, links not followed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and ".astica-sync" not in path.parts
    }


def received(ran: Ran) -> dict[str, object]:
    data: dict[str, object] = json.loads(ran.out.splitlines()[0])
    return data


def bomb() -> bytes:
    """The beginning of a PNG that states 16,000 x 16,000 pixels and unpacks to a thousand times its size."""
    sides = (16_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    row = zlib.compress(bytes(64_000_000), 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", sides) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.long
def test_bad_objects_are_named_and_left_and_good_ones_are_taken_in(
    receive: Receive, store: Path, inbox: Path, tmp_path: Path
) -> None:
    before, data = tree(store), good(tmp_path, 1)
    put(inbox, "Can", data)
    titles = [".astica-sync", "astica-sync.toml", "ASTICA-SYNC.TOML", "con", "a\nb", "a\x1bb", "C:\\Can", " Can"]
    named = [put(inbox, title, data) for title in titles]
    foreign = [inbox / "loose.png", inbox / "Can" / "photo.png", inbox / "Can" / "below" / f"{'0' * 32}.png"]
    foreign[2].parent.mkdir()
    for path in foreign:
        path.write_bytes(data)
    (inbox / "Can" / os.fsdecode(b"\xff.png")).write_bytes(data)
    (inbox / "lost+found").mkdir()
    litter = put(inbox, "@eaDir", good(tmp_path, 2))
    wrong = inbox / "Can" / f"{'0' * 32}.png"
    wrong.write_bytes(data)
    half = put(inbox, "Can", data[: len(data) // 2])
    text = put(inbox, "Can", b"not an image")
    html = put(inbox, "Can", b"<svg xmlns='x'/>", "jpg")
    large = put(inbox, "Can", b"\xff\xd8\xff" + bytes(21 << 20), "jpg")
    bombed = put(inbox, "Can", bomb())
    sparse = inbox / "Can" / f"{'1' * 32}.jpg"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    (inbox / "Can" / f"{'2' * 32}.jpg").symlink_to(store / "astica-sync.toml")
    (inbox / "Linked").symlink_to(store / "Can")
    os.mkfifo(inbox / "Can" / f"{'3' * 32}.jpg")
    objects = {path: path.lstat().st_size for path in inbox.rglob("*")}
    ran = receive()
    assert ran.code == 3 and "Traceback" not in ran.err, ran
    result = received(ran)
    assert result["taken"] == {"Can": 1}
    reasons = {one["name"].rpartition("/")[2]: one["reason"] for one in result["refused"]}  # type: ignore[attr-defined]
    assert set(reasons) == {path.name for path in (litter, wrong, half, text, html, large, bombed, sparse)}
    assert "are not those that its name stands for" in reasons[wrong.name]
    assert "broken image" in reasons[half.name] and "more than the" in reasons[sparse.name]
    assert result["no_images"] == len(named) + len(foreign) + 1
    after = tree(store)
    assert [path for path in after if path not in before] == [f"Can/{xxhash.xxh3_128_hexdigest(data)}.png"]
    assert {path: after[path] for path in before} == before
    assert {path: path.lstat().st_size for path in inbox.rglob("*")} == objects
    # What was refused is not read again before tomorrow.
    again = received(receive())
    assert (again["refused"], again["refused_before"], again["taken_before"]) == ([], 8, 1)


def test_a_class_of_the_name_of_a_file_or_a_link_keeps_no_other_away(
    receive: Receive, store: Path, inbox: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store / "Linked").symlink_to(elsewhere)
    (store / "Gone").symlink_to(tmp_path / "missing")
    (store / "notes.txt").write_text("mine")
    for number, title in enumerate(("Linked", "Gone", "notes.txt", "Can")):
        put(inbox, title, good(tmp_path, number))
    result = received(receive())
    assert result["taken"] == {"Can": 1} and len(result["refused"]) == 3  # type: ignore[arg-type]
    assert not list(elsewhere.iterdir()) and not (tmp_path / "missing").exists()
    assert (store / "notes.txt").read_text() == "mine"


@pytest.mark.long
def test_very_many_new_classes_are_not_made(receive: Receive, store: Path, inbox: Path, tmp_path: Path) -> None:
    data = good(tmp_path, 5)
    for number in range(MOST_NEW_CLASSES + 1):
        put(inbox, f"class {number}", data)
    put(inbox, "Can", data)
    result = received(receive())
    assert result["taken"] == {"Can": 1} and len(result["refused"]) == MOST_NEW_CLASSES + 1  # type: ignore[arg-type]
    assert sorted(path.name for path in store.iterdir() if path.is_dir()) == [".astica-sync", "Bottle", "Can"]


def test_an_object_that_changes_between_list_and_reading_is_checked_as_it_was_read(
    receive: Receive, store: Path, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, gone, grown = (put(inbox, "Can", good(tmp_path, number)) for number in (1, 2, 3))
    original = FolderPlace.read_start

    def read(place: FolderPlace, name: str, most: int) -> bytes | None:
        if name.endswith(changed.name):
            changed.write_bytes(good(tmp_path, 9))
        elif name.endswith(gone.name):
            gone.unlink()
        else:
            assert most == MOST_BYTES + 1
            return bytes(most)
        return original(place, name, most)

    monkeypatch.setattr(FolderPlace, "read_start", read)
    ran = receive()
    result = received(ran)
    assert ran.code == 3 and result["taken"] == {}
    assert {one["name"] for one in result["refused"]} == {f"Can/{changed.name}", f"Can/{grown.name}"}  # type: ignore[attr-defined]
    assert len(tree(store)) == 3
    monkeypatch.undo()
    # It is read again once it has changed, since its version is another one.
    changed.write_bytes(good(tmp_path, 1))
    assert received(receive())["taken"] == {"Can": 1}


def test_a_list_that_is_cut_or_denied_takes_nothing_away(
    receive: Receive, store: Path, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(inbox, "Can", good(tmp_path, number))
    original = FolderPlace.entries

    def cut(place: FolderPlace, below: str = "") -> Iterator[PlaceEntry]:
        entries = list(original(place, below))
        if below:
            yield from entries[1:2]
            return
        yield entries[0]
        yield PlaceEntry("", 0, fault="the list ends here")

    def denied(place: FolderPlace, below: str = "") -> Iterator[PlaceEntry]:
        raise MirrorFailed("the inbox cannot be listed: denied", "check it")

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "entries", cut)
        ran = receive()
        assert ran.code == 3 and received(ran)["taken"] == {"Can": 2}
        assert received(ran)["incomplete"] == "the list ends here"
    held = tree(store)
    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "entries", denied)
        ran = receive()
        assert ran.code == 1 and "denied" in ran.err
    assert tree(store) == held
    assert received(receive())["taken"] == {"Can": 1}


def test_objects_that_cannot_be_read_are_tried_again(
    receive: Receive, store: Path, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(put(inbox, "Can", good(tmp_path, number)) for number in range(4))
    original = FolderPlace.read_start
    broken: set[str] = {paths[0].name}

    def read(place: FolderPlace, name: str, most: int) -> bytes | None:
        if Path(name).name in broken:
            raise MirrorFailed(f"{name} cannot be read: denied", "check it")
        return original(place, name, most)

    monkeypatch.setattr(FolderPlace, "read_start", read)
    ran = receive()
    assert ran.code == 3 and received(ran)["taken"] == {"Can": 3} and len(received(ran)["unread"]) == 1  # type: ignore[arg-type]
    broken.clear()
    assert received(receive())["taken"] == {"Can": 1}
    broken.update(put(inbox, "Can", good(tmp_path, number)).name for number in range(10, 14))
    ran = receive()
    assert ran.code == 1 and "cannot be read: denied" in ran.err


def test_nothing_is_written_where_the_store_was(store: Path, inbox: Path, tmp_path: Path) -> None:
    """A watcher runs while the disk goes away, and an image that is deleted meanwhile is not taken in again."""
    path = put(inbox, "Can", good(tmp_path, 1))
    receiver = InboxReceiver(Layout(store), FolderPlace(inbox), SystemClock(), ProgressListener(), has_watcher=True)
    assert receiver.look().taken == {"Can": 1}
    (store / "Can" / path.name).unlink()
    put(inbox, "Can", good(tmp_path, 2))
    store.rename(tmp_path / "unmounted")
    store.mkdir()
    with pytest.raises(StoreError):
        receiver.look()
    assert not list(store.iterdir())
    store.rmdir()
    (tmp_path / "unmounted").rename(store)
    assert receiver.look().taken == {"Can": 1}
    assert not (store / "Can" / path.name).exists()


@pytest.mark.long
def test_an_image_that_is_held_out_is_not_taken_in(shell: Shell, store: Path, inbox: Path, tmp_path: Path) -> None:
    for number in range(30, 40):
        draw(store / "Can" / f"{number}.png", number)
    assert shell("push", "--store", store).code == 0
    ran = shell("split", "--store", store, "--to", tmp_path / "held", "--share", "30%", "--yes")
    assert ran.code == 0, ran.err
    path = next(path for path in (tmp_path / "held").rglob("*.png"))
    put(inbox, path.parent.name, path.read_bytes())
    ran = shell("watch", "--from", inbox, "--once", store)
    assert ran.code == 3 and "held out from training" in ran.err


def test_a_refusal_is_kept_for_a_day_and_as_long_as_the_object_is_the_same(store: Path, inbox: Path) -> None:
    record = TakenRecord(Layout(store))
    record.add([], [RefusedObject("Can/x", "v1", "why", 1000.0)])
    for read in (record, TakenRecord(Layout(store))):
        assert read.was_refused("Can/x", "v1", 1000.0 + REFUSED_FOR_S - 1)
        assert not read.was_refused("Can/x", "v1", 1000.0 + REFUSED_FOR_S)
        assert not read.was_refused("Can/x", "v2", 1001.0)
        # A clock that was set back must not keep it away for years.
        assert not read.was_refused("Can/x", "v1", 999.0)


def test_a_damaged_record_is_read_as_far_as_it_goes(store: Path, inbox: Path, tmp_path: Path) -> None:
    layout = Layout(store)
    path = put(inbox, "Can", good(tmp_path, 1))
    other = put(inbox, "Can", good(tmp_path, 2))

    def new(record: TakenRecord) -> list[ObjectName]:
        return [one.name for piece in list_inbox(FolderPlace(inbox), record, (), 0.0) for one in piece.new]

    record = TakenRecord(layout)
    listed = new(record)
    record.add([name for name in listed if name.file == path.name])
    assert not record.is_stale
    with (layout.state / "inbox.jsonl").open("ab") as file:
        huge = b"1" + b"0" * 400
        file.write(b'{"refused": "a", "version": "1", "reason": "r", "at": ' + huge + b"}\n")
        file.write(b'{"class": 5, "content": "x"}\n[]\n{"refused": "a", "version": null}\n\xff\n{"class": "Can", "con')
    assert record.is_stale
    read = TakenRecord(layout)
    assert [name.file for name in new(read)] == [other.name]
    read.add(listed)
    assert new(TakenRecord(layout)) == []


def test_an_image_that_a_killed_run_has_written_is_not_written_again_beside_a_watcher(
    store: Path, inbox: Path, tmp_path: Path
) -> None:
    """In a watcher the index may not have the file yet."""
    path = put(inbox, "Can", good(tmp_path, 1))
    (store / "Can" / path.name).write_bytes(path.read_bytes())
    before = tree(store)
    clock = SystemClock()
    receiver = InboxReceiver(Layout(store), FolderPlace(inbox), clock, ProgressListener(), has_watcher=True)
    done = receiver.look()
    assert (done.taken, done.there, tree(store)) == (Counter(), 1, before)
    assert receiver.look().taken_before == 1


def test_what_was_written_is_taken_as_such_where_its_record_could_not_be_written(
    receive: Receive, store: Path, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(inbox, "Can", good(tmp_path, 1))

    def fail(record: TakenRecord, *arguments: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(TakenRecord, "add", fail)
        assert receive().code == 1
    held = tree(store)
    assert len(held) == 4
    result = received(receive())
    assert (result["taken"], result["there"], tree(store)) == ({}, 1, held)


def test_objects_that_stay_keep_no_others_away(
    receive: Receive, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Very many that are refused or wait for an answer come before the good ones."""
    monkeypatch.setattr(list_inbox_module, "PIECE", 3)
    monkeypatch.setattr(taken_record, "MOST_REFUSED", 2)
    original = FolderPlace.entries
    monkeypatch.setattr(FolderPlace, "entries", lambda place, below="": iter(sorted(original(place, below))))
    for number in range(7):
        put(inbox, "BOTTLE", good(tmp_path, number))
        (inbox / "Box").mkdir(exist_ok=True)
        (inbox / "Box" / f"{number:032}.png").write_bytes(b"bad")
    for number in range(4):
        put(inbox, "Can", good(tmp_path, 20 + number))
    result = received(receive())
    assert (result["taken"], len(result["refused"])) == ({"Can": 4}, 7)  # type: ignore[arg-type]
    assert [one["images"] for one in result["questions"]] == [7]  # type: ignore[attr-defined]
    again = received(receive())
    assert (again["taken_before"], again["refused_before"], len(again["refused"])) == (4, 2, 5)  # type: ignore[arg-type]
