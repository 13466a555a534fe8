"""Recognising a store by what the user's state folder knows of it: remounts, containers, restored homes and copies."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest

from astica_sync.errors import StoreChanged
from astica_sync.local import store_sentinel
from astica_sync.local.create_store import create_store
from astica_sync.local.filesystem import AnyPath, FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.store_sentinel import check_root, is_own, machine_name, read_sentinel

URL = "https://train.example"


class MadeUpInodes(FileSystem):
    """A file system that gives other inodes at each mount."""

    def keeps_inodes(self, path: Path) -> bool:
        return False


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of this test's user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "astica-sync"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "disk" / "store").mkdir(parents=True)
    return create_store(tmp_path / "disk" / "store", model_id=7, train_url=URL, now=1.0)


def on_machine(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(store_sentinel, "machine_name", lambda: name)


def mount_again(layout: Layout) -> None:
    """Gives the folder another inode at the same path, as a file system does that makes them up."""
    shutil.copytree(layout.root, layout.root.with_name("new"))
    layout.root.rename(layout.root.with_name("old"))
    layout.root.with_name("new").rename(layout.root)


def test_a_store_needs_no_machine_id(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, "")
    assert check_root(layout).model_id == 7
    layout = create_store(layout.root, model_id=7, train_url=URL, now=2.0)
    assert read_sentinel(layout).machine == ""
    assert check_root(layout).model_id == 7


def test_a_new_container_with_the_same_state_folder_goes_on(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    on_machine(monkeypatch, "another")
    check_root(layout)


def test_a_container_with_a_new_home_asks_and_says_how_to_keep_it(
    layout: Layout, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, "")
    shutil.rmtree(state)
    with pytest.raises(StoreChanged, match="in another container") as caught:
        check_root(layout)
    assert "astica-sync init" in caught.value.hint
    assert "XDG_STATE_HOME" in caught.value.hint
    create_store(layout.root, model_id=7, train_url=URL, now=2.0)
    check_root(layout)


def test_a_mount_that_changes_inodes_goes_on_where_inodes_are_made_up(layout: Layout) -> None:
    mount_again(layout)
    check_root(layout, MadeUpInodes())
    with pytest.raises(StoreChanged, match="copied"):
        check_root(layout)


def test_a_copy_at_another_path_asks_where_inodes_are_made_up(layout: Layout, tmp_path: Path) -> None:
    copy = Layout(Path(shutil.copytree(layout.root, tmp_path / "backup disk")))
    with pytest.raises(StoreChanged, match="copied"):
        check_root(copy, MadeUpInodes())


def test_a_copy_asks_also_where_its_folder_has_the_same_inode_on_another_disk(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SecondDisk(FileSystem):
        def lstat(self, path: os.PathLike[str] | str) -> os.stat_result:
            status = list(super().lstat(path))
            status[2] += 1
            return os.stat_result(status)

    check_root(layout, SecondDisk())
    layout.root.rename(layout.root.with_name("other"))
    with pytest.raises(StoreChanged, match="copied"):
        check_root(Layout(layout.root.with_name("other")))


@pytest.mark.parametrize("inode", [1, 2, 34, 128, 256])
def test_the_inode_of_a_disks_root_proves_nothing(layout: Layout, inode: int) -> None:
    class Root(FileSystem):
        def lstat(self, path: os.PathLike[str] | str) -> os.stat_result:
            status = list(super().lstat(path))
            status[1] = inode
            return os.stat_result(status)

    create_store(layout.root, model_id=7, train_url=URL, now=2.0, files=Root())
    check_root(layout, Root())
    copy = Layout(Path(shutil.copytree(layout.root, layout.root.with_name("backup"))))
    with pytest.raises(StoreChanged, match="copied"):
        check_root(copy, Root())


def test_a_restored_home_goes_on_and_a_lost_state_folder_too(layout: Layout, state: Path) -> None:
    shutil.copytree(state, state.with_name("saved"))
    shutil.rmtree(state)
    check_root(layout)
    shutil.rmtree(state)
    state.with_name("saved").rename(state)
    check_root(layout)


def test_a_home_copied_to_another_machine_asks_where_inodes_prove_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount_again(layout)
    on_machine(monkeypatch, "another")
    with pytest.raises(StoreChanged, match="made on another machine"):
        check_root(layout, MadeUpInodes())


def test_after_init_in_a_copy_the_original_asks_and_names_the_copy(layout: Layout, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(layout.root, tmp_path / "copy"))
    create_store(copy, model_id=7, train_url=URL, now=2.0)
    check_root(Layout(copy))
    with pytest.raises(StoreChanged, match=f"has made {copy} the copy"):
        check_root(layout)
    create_store(layout.root, model_id=7, train_url=URL, now=3.0)
    check_root(layout)


def test_a_store_of_an_earlier_version_has_no_seal_and_goes_on(layout: Layout, state: Path) -> None:
    sentinel = json.loads(layout.sentinel_file.read_text())
    del sentinel["seal"]
    layout.sentinel_file.write_text(json.dumps(sentinel))
    shutil.rmtree(state)
    assert check_root(layout).seal == ""


def test_a_seal_is_made_for_one_model_and_address(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    sentinel = json.loads(layout.sentinel_file.read_text())
    layout.sentinel_file.write_text(json.dumps(sentinel | {"train_url": "https://other.example"}))
    on_machine(monkeypatch, "another")
    with pytest.raises(StoreChanged, match="made on another machine"):
        check_root(layout)


@pytest.mark.parametrize("data", [b"", b"\x00" * 33, b"{", b"[]", b'{"root": 1}', b"\xff\xfe", b"[" * 60_000])
def test_damaged_records_of_the_user_are_made_again(layout: Layout, state: Path, data: bytes) -> None:
    for file in [state / "identity", *(state / "stores").iterdir()]:
        file.write_bytes(data)
    check_root(layout)
    assert json.loads(next((state / "stores").iterdir()).read_text())["root"] == str(layout.root)


def test_a_state_folder_that_cannot_be_written_stops_no_check(layout: Layout, state: Path) -> None:
    shutil.rmtree(state)
    state.write_text("a file in its place")
    check_root(layout)


@pytest.mark.parametrize("name", ["identity", "stores"])
@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOLCK, "cannot lock files"), (errno.EMFILE, "ulimit -n"), (errno.EIO, "dmesg")]
)
def test_records_of_the_user_that_cannot_be_read_are_not_taken_for_another_machine(
    layout: Layout, state: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, advice: str
) -> None:
    opens = os.open

    def fail(path: str | Path, *arguments: int) -> int:
        # The one that is named is enough where the other is missing.
        if str(path).startswith(str(state / name)):
            raise OSError(number, os.strerror(number), str(path))
        return opens(path, *arguments)

    for file in [state / "identity", *(state / "stores").iterdir()]:
        if not str(file).startswith(str(state / name)):
            file.unlink()
    monkeypatch.setattr(os, "open", fail)
    on_machine(monkeypatch, "another")
    for check in (check_root, is_own):
        with pytest.raises(StoreChanged, match=os.strerror(number)) as caught:
            check(layout, FileSystem())
        assert str(state / name) in str(caught.value) and advice in caught.value.hint


def test_nor_are_they_taken_for_a_copy(layout: Layout, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentinel = json.loads(layout.sentinel_file.read_text())
    layout.sentinel_file.write_text(json.dumps(sentinel | {"inode": 4711}))
    shutil.rmtree(state / "stores")
    (state / "stores").symlink_to("stores")
    with pytest.raises(StoreChanged, match="Too many levels of symbolic links"):
        check_root(layout)


def test_a_store_id_from_an_archive_names_no_file(layout: Layout, state: Path) -> None:
    sentinel = json.loads(layout.sentinel_file.read_text())
    layout.sentinel_file.write_text(json.dumps(sentinel | {"store_id": "../../../planted\ud800"}))
    check_root(layout)
    assert sorted(path.name for path in state.iterdir()) == ["identity", "stores"]


def test_the_users_digits_are_private_and_made_once(layout: Layout, state: Path) -> None:
    before = (state / "identity").read_bytes()
    assert (state / "identity").stat().st_mode & 0o077 == 0
    create_store(layout.root, model_id=7, train_url=URL, now=2.0)
    assert (state / "identity").read_bytes() == before
    assert before.strip().decode() not in layout.sentinel_file.read_text()


def test_a_sentinel_that_cannot_be_read_is_not_said_to_be_missing(layout: Layout) -> None:
    class Failing(FileSystem):
        def open_read(self, path: AnyPath) -> BinaryIO:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with pytest.raises(StoreChanged, match=r"store\.json cannot be read: Too many open files") as failure:
        read_sentinel(layout, Failing())
    assert "ulimit -n" in failure.value.hint
    layout.sentinel_file.unlink()
    with pytest.raises(StoreChanged, match=r"store\.json is missing") as failure:
        read_sentinel(layout)
    assert "astica-sync init" in failure.value.hint


def test_an_uninitialized_machine_id_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_name.cache_clear()
    monkeypatch.setattr(Path, "read_text", lambda self, *options: "uninitialized\n")
    assert machine_name() == ""
    monkeypatch.undo()
    machine_name.cache_clear()
