import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from astica_sync.errors import NoStore, StoreChanged, StoreError, StoreUnreadable
from astica_sync.local.create_store import _refuse_nesting, create_store
from astica_sync.local.filesystem import AnyPath, FileSystem
from astica_sync.local.known_stores import KnownStore, KnownStores
from astica_sync.local.layout import STATE_DIR, Layout, find_store
from astica_sync.local.store_sentinel import check_root, machine_name, read_sentinel
from astica_sync.open_session import find_unchecked, lost_store_at

URL = "https://train.example"


def make(root: Path, model_id: int = 7, *, rebind: bool = False) -> Layout:
    root.mkdir(parents=True, exist_ok=True)
    return create_store(root, model_id=model_id, train_url=URL, now=1000.0, rebind=rebind)


def change_sentinel(layout: Layout, **changes: object) -> None:
    found = json.loads(layout.sentinel_file.read_text())
    layout.sentinel_file.write_text(json.dumps(found | changes))


def test_a_store_is_found_from_any_folder_in_it(tmp_path: Path) -> None:
    layout = make(tmp_path / "store")
    deep = layout.root / "Can" / "old"
    deep.mkdir(parents=True)
    assert find_store(deep) == find_store(layout.root) == layout


def test_a_folder_without_a_store_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(NoStore) as caught:
        find_store(tmp_path)
    assert "--store" in caught.value.hint
    with pytest.raises(NoStore):
        find_store(tmp_path / "not there")


def test_a_new_store_remembers_its_model_and_its_folder(tmp_path: Path) -> None:
    layout = make(tmp_path / "store")
    sentinel = read_sentinel(layout)
    status = os.stat(layout.root)
    assert (sentinel.model_id, sentinel.train_url, sentinel.created_at) == (7, URL, 1000.0)
    assert (sentinel.device, sentinel.inode, sentinel.machine) == (status.st_dev, status.st_ino, machine_name())
    assert check_root(layout) == sentinel


def test_making_a_store_again_keeps_its_id(tmp_path: Path) -> None:
    first = read_sentinel(make(tmp_path / "store"))
    assert read_sentinel(make(tmp_path / "store")).store_id == first.store_id


def test_a_store_of_another_model_is_refused_unless_asked_for(tmp_path: Path) -> None:
    layout = make(tmp_path / "store")
    with pytest.raises(StoreError, match="already the store of model 7"):
        make(tmp_path / "store", 8)
    assert read_sentinel(layout).model_id == 7
    make(tmp_path / "store", 8, rebind=True)
    assert read_sentinel(layout).model_id == 8


def test_a_damaged_sentinel_is_replaced_by_making_the_store_again(tmp_path: Path) -> None:
    layout = make(tmp_path / "store")
    layout.sentinel_file.write_text("{")
    make(tmp_path / "store")
    assert check_root(layout).model_id == 7


@pytest.mark.parametrize("inside", ["a", "a/b", "a/b/c"])
def test_a_store_inside_or_around_another_store_is_refused(tmp_path: Path, inside: str) -> None:
    make(tmp_path / "outer")
    with pytest.raises(StoreError, match="is inside the store"):
        make(tmp_path / "outer" / inside)
    make(tmp_path / "other" / inside)
    with pytest.raises(StoreError, match="contains the store"):
        make(tmp_path / "other")
    assert not (tmp_path / "other" / STATE_DIR).exists()


def test_only_a_folder_becomes_a_store(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match="not a folder"):
        create_store(file, model_id=1, train_url=URL, now=0.0)
    with pytest.raises(StoreError, match="no such folder"):
        create_store(tmp_path / "none", model_id=1, train_url=URL, now=0.0)


def test_a_folder_that_cannot_be_written_is_refused(unprivileged_folder: Path) -> None:
    root = unprivileged_folder / "store"
    root.mkdir()
    root.chmod(0o555)
    with pytest.raises(StoreError, match="cannot write") as caught:
        create_store(root, model_id=1, train_url=URL, now=0.0)
    assert caught.value.hint


def test_a_full_disk_is_reported_and_leaves_no_store(tmp_path: Path) -> None:
    class Full(FileSystem):
        def write_synced(self, path: Path, chunks: object) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        create_store(tmp_path, model_id=1, train_url=URL, now=0.0, files=Full())
    with pytest.raises(StoreChanged):
        read_sentinel(Layout(tmp_path))


def test_a_link_to_a_store_is_the_store(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert make(tmp_path / "link").root == tmp_path / "real"
    assert find_store(tmp_path / "link").root == tmp_path / "real"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": 1, "store_id": "x"}'])
def test_without_a_readable_sentinel_the_store_is_refused(tmp_path: Path, text: str) -> None:
    layout = make(tmp_path)
    layout.sentinel_file.write_text(text)
    with pytest.raises(StoreChanged, match="nothing was removed"):
        check_root(layout)
    layout.sentinel_file.unlink()
    with pytest.raises(StoreChanged):
        check_root(layout)


def test_a_sentinel_with_the_wrong_kinds_of_values_is_none(tmp_path: Path) -> None:
    layout = make(tmp_path)
    change_sentinel(layout, model_id="7")
    with pytest.raises(StoreChanged, match="not a valid sentinel"):
        check_root(layout)


def test_a_sentinel_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    layout = make(tmp_path)
    change_sentinel(layout, format=99)
    with pytest.raises(StoreError, match="newer version") as caught:
        check_root(layout)
    assert not isinstance(caught.value, StoreChanged)
    assert "upgrade" in caught.value.hint


def test_a_copy_of_a_store_is_not_the_store(tmp_path: Path) -> None:
    layout = make(tmp_path / "store")
    shutil.copytree(layout.root, tmp_path / "copy")
    with pytest.raises(StoreChanged, match="copied") as caught:
        check_root(find_store(tmp_path / "copy"))
    assert "init" in caught.value.hint
    make(tmp_path / "copy")
    assert check_root(find_store(tmp_path / "copy")).store_id == read_sentinel(layout).store_id


def test_a_store_from_another_machine_is_not_the_store(tmp_path: Path) -> None:
    layout = make(tmp_path)
    change_sentinel(layout, machine="another", seal="another")
    with pytest.raises(StoreChanged, match="another machine"):
        check_root(layout)


def test_a_renamed_or_remounted_store_is_the_same_store(tmp_path: Path) -> None:
    layout = make(tmp_path / "store")
    change_sentinel(layout, device=12345)
    check_root(layout)
    layout.root.rename(tmp_path / "renamed")
    check_root(find_store(tmp_path / "renamed"))


def test_a_deleted_store_is_not_the_store(tmp_path: Path) -> None:
    layout = make(tmp_path / "store")
    shutil.rmtree(layout.root)
    with pytest.raises(StoreChanged):
        check_root(layout)


def test_the_machine_name_does_not_disclose_the_machine_id() -> None:
    name = machine_name()
    assert len(name) == 16
    identity = Path("/etc/machine-id")
    if identity.exists():
        assert name not in identity.read_text()


def test_a_store_whose_folder_may_not_be_entered_is_named_with_the_permissions(unprivileged_folder: Path) -> None:
    layout = Layout(unprivileged_folder / "photos")
    layout.state.mkdir(parents=True)
    layout.root.chmod(0)
    for find in (find_store, find_unchecked):
        with pytest.raises(NoStore) as caught:
            find(layout.root)
        assert str(caught.value) == f"{layout.root} cannot be read: Permission denied"
        assert caught.value.hint == f"fix the permissions: chmod u+rx {layout.root}"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "dmesg"),
        (errno.ENOMEM, "memory is used up"),
        (errno.ESTALE, "mount it again"),
        (errno.ELOOP, "symbolic link"),
    ],
)
def test_a_look_that_fails_is_named_and_neither_no_store_nor_a_lost_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """Above it is another store, which would be taken for it."""
    for root in (tmp_path, tmp_path / "photos"):
        (root / STATE_DIR).mkdir(parents=True)
    state, folder = tmp_path / "photos" / STATE_DIR, tmp_path / "photos" / "Can"
    folder.mkdir()
    KnownStores().remember("id", KnownStore(str(tmp_path / "photos"), 1, ""))
    stat = os.stat

    def fail(path: AnyPath | int, **options: Any) -> os.stat_result:
        if path == state:
            raise OSError(number, os.strerror(number), str(path))
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", fail)
    for find in (find_store, find_unchecked):
        with pytest.raises(StoreUnreadable) as caught:
            find(folder)
        assert str(caught.value) == f"{state} cannot be read: {os.strerror(number)}"
        assert advice in caught.value.hint
    with pytest.raises(StoreUnreadable):
        lost_store_at(folder)
    with pytest.raises(StoreUnreadable):
        _refuse_nesting(folder)


def test_a_link_to_itself_in_place_of_the_hidden_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / STATE_DIR).symlink_to(STATE_DIR)
    with pytest.raises(StoreUnreadable, match="Too many levels of symbolic links"):
        find_store(tmp_path)


def test_a_path_that_is_nearly_too_long_has_a_store_above_it(tmp_path: Path) -> None:
    """The hidden folder's own path would be too long there."""
    layout = Layout(tmp_path.resolve())
    layout.state.mkdir()
    deep = layout.root
    while len(os.fsencode(deep)) < 4090 - 200:
        deep /= "d" * 199
        deep.mkdir()
    deep /= "d" * (4090 - len(os.fsencode(deep)) - 1)
    deep.mkdir()
    assert find_store(deep) == layout
