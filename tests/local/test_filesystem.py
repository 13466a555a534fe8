import contextlib
import errno
import os
import re
from pathlib import Path

import pytest

from astica_sync.local import filesystem as filesystem_module
from astica_sync.local.filesystem import CHUNK, FileSystem, Kind, free_space, kind_of, temp_name


@pytest.fixture
def fs() -> FileSystem:
    return FileSystem()


class BrokenSync:
    """Stands before ``os.fsync`` and fails the n-th call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
        self.left = nth
        monkeypatch.setattr(filesystem_module, "sync", self)

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(descriptor)


def test_a_listing_has_the_type_of_each_entry_and_follows_no_link(tmp_path: Path, fs: FileSystem) -> None:
    (tmp_path / "file").write_text("12")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    kinds = {name: kind_of(status) for name, status in fs.scan_folder(tmp_path) if status is not None}
    assert kinds == {"file": Kind.FILE, "folder": Kind.FOLDER, "link": Kind.SYMLINK, "fifo": Kind.OTHER}
    device = os.stat(tmp_path).st_dev
    named = {name: (kind, there) for name, kind, there in fs.name_folder(tmp_path)}
    assert named == {name: (kind, 0 if kind is Kind.FILE else device) for name, kind in kinds.items()}


def test_an_entry_that_vanishes_or_has_no_status_does_not_hide_the_others(
    tmp_path: Path, fs: FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        """An entry of a listing, whose status is somewhere else by now, or kept from us."""

        def __init__(self, name: str, code: int) -> None:
            self.name, self.code = name, code

        def stat(self, follow_symlinks: bool) -> os.stat_result:
            if self.code:
                raise OSError(self.code, os.strerror(self.code))
            return os.lstat(tmp_path)

        def is_file(self, follow_symlinks: bool) -> bool:
            return False

    entries = [Odd("gone", errno.ENOENT), Odd("there", 0), Odd("kept", errno.EACCES)]
    monkeypatch.setattr(os, "scandir", lambda _: contextlib.nullcontext(iter(entries)))
    there = os.lstat(tmp_path)
    assert list(fs.scan_folder(tmp_path)) == [("there", there), ("kept", None)]
    assert list(fs.name_folder(tmp_path)) == [("there", Kind.FOLDER, there.st_dev), ("kept", None, 0)]


def test_a_name_of_any_bytes_comes_back_as_it_is(tmp_path: Path, fs: FileSystem) -> None:
    name = b"\xff\n\xc3\xa9"
    with open(os.fsencode(tmp_path) + b"/" + name, "wb"):
        pass
    assert [os.fsencode(found) for found, _ in fs.scan_folder(tmp_path)] == [name]
    assert [os.fsencode(found) for found, _, _ in fs.name_folder(tmp_path)] == [name]


def test_a_link_to_a_folder_is_not_listed(tmp_path: Path, fs: FileSystem) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="link"):
        list(fs.scan_folder(tmp_path / "link"))
    with pytest.raises(OSError, match="link"):
        list(fs.name_folder(tmp_path / "link"))


@pytest.mark.parametrize(("most", "data"), [(4, b"abc"), (3, b"abc"), (2, None)])
def test_a_small_file_comes_at_once_and_a_larger_one_not_at_all(
    tmp_path: Path, fs: FileSystem, most: int, data: bytes | None
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    before, found, after = fs.read_small(path, most)
    assert (found, before.st_size, after.st_ino) == (data, 3, path.stat().st_ino)


def test_a_small_file_is_read_to_its_end_in_pieces_and_after_a_cut(
    tmp_path: Path, fs: FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 2)))
    assert fs.read_small(path, 10)[1] == b"abcdef"

    def cut(descriptor: int, size: int) -> bytes:
        os.truncate(path, 2)
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", cut)
    before, found, after = fs.read_small(path, 10)
    assert (before.st_size, found, after.st_size) == (6, b"ab", 2)


def test_only_a_regular_file_is_opened_and_a_fifo_never_hangs(tmp_path: Path, fs: FileSystem) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    for name in ("fifo", "link", "."):
        with pytest.raises(OSError, match=r".+"):
            fs.open_read(tmp_path / name)
        with pytest.raises(OSError, match=r".+"):
            fs.read_small(tmp_path / name, 10)
    with fs.open_read(tmp_path / "file") as file:
        assert list(fs.chunks(file, 2)) == [b"ab", b"c"]
        assert fs.fstat(file).st_size == 3


def test_a_file_is_replaced_as_a_whole_and_nothing_else_stays(tmp_path: Path, fs: FileSystem) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    fs.write_synced(target, [b"ne", b"w"])
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("nth", [1, 2])
def test_a_failed_sync_is_an_error_and_leaves_no_temporary_file(
    tmp_path: Path, fs: FileSystem, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    BrokenSync(monkeypatch, nth)
    with pytest.raises(OSError, match="Input/output"):
        fs.write_synced(target, [b"new"])
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, fs: FileSystem) -> None:
    def pieces() -> "list[bytes]":
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(OSError, match="No space"):
        fs.write_synced(target, (piece for _ in "x" for piece in pieces()))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_bytes_are_added_at_the_end(tmp_path: Path, fs: FileSystem) -> None:
    fs.append_synced(tmp_path / "list", b"a\n")
    fs.append_synced(tmp_path / "list", b"b\n")
    assert (tmp_path / "list").read_bytes() == b"a\nb\n"


def refuse(*_args: object) -> int:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def copy_nothing(*_args: object) -> int:
    return 0


@pytest.mark.parametrize("offload", [None, refuse, copy_nothing])
def test_a_copy_has_the_same_bytes_and_another_inode(
    tmp_path: Path, fs: FileSystem, monkeypatch: pytest.MonkeyPatch, offload: object
) -> None:
    if offload is not None:
        monkeypatch.setattr(os, "copy_file_range", offload)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(CHUNK + 7))
    temp = temp_name(target)
    fs.copy_synced(source, temp)
    fs.publish(temp, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_ino != source.stat().st_ino
    assert sorted(tmp_path.iterdir()) == [source, target]


@pytest.mark.parametrize("trouble", [errno.EIO, errno.ENOSPC])
def test_a_copy_that_fails_leaves_nothing(
    tmp_path: Path, fs: FileSystem, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    def fail(*_args: object) -> int:
        raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr(os, "copy_file_range", fail)
    monkeypatch.setattr(filesystem_module, "write_all", fail)
    source = tmp_path / "source"
    source.write_bytes(b"bytes")
    with pytest.raises(OSError, match=os.strerror(trouble)):
        fs.copy_synced(source, temp_name(tmp_path / "target"))
    assert list(tmp_path.iterdir()) == [source]


def test_publishing_where_nothing_can_stand_leaves_no_temporary_file(tmp_path: Path, fs: FileSystem) -> None:
    (tmp_path / "folder").mkdir()
    temp = temp_name(tmp_path / "folder")
    temp.write_bytes(b"")
    with pytest.raises(IsADirectoryError):
        fs.publish(temp, tmp_path / "folder")
    assert not temp.exists()


def test_folders_are_made_with_their_parents_and_again(tmp_path: Path, fs: FileSystem) -> None:
    fs.make_folder(tmp_path / "a" / "b")
    fs.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        fs.make_folder(tmp_path / "file")


def test_removing_what_is_not_there_is_fine(tmp_path: Path, fs: FileSystem) -> None:
    fs.remove(tmp_path / "nothing")


def test_the_file_system_reports_its_time_and_its_space(tmp_path: Path, fs: FileSystem) -> None:
    before = fs.time_ns(tmp_path)
    (tmp_path / "file").write_text("")
    assert before <= (tmp_path / "file").stat().st_mtime_ns <= fs.time_ns(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (fs.free_bytes(tmp_path) or 0) >= 0


def _failing(call: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES])
def test_a_folder_that_cannot_be_synced_is_as_durable_as_it_can_be(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing("fsync", number, monkeypatch)
    FileSystem().sync_folder(tmp_path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_whose_disk_fails_is_an_error(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing("fsync", number, monkeypatch)
    with pytest.raises(OSError, match=os.strerror(number)):
        FileSystem().sync_folder(tmp_path)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_fsync_everything_is_written(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    _failing("fsync", number, monkeypatch)
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    FileSystem().write_synced(tmp_path / "file", [b"x"])
    assert synced == [True]


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADF, errno.EOVERFLOW, errno.ETXTBSY, errno.EACCES, errno.ENOSYS])
def test_a_copy_that_the_kernel_refuses_is_made_by_this_process(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing("copy_file_range", number, monkeypatch)
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    FileSystem().copy_synced(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"x" * 3_000_000


def test_free_space_that_no_call_tells_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"[\d.]+ MB free", free_space(FileSystem(), tmp_path))
    _failing("statvfs", errno.ENOSYS, monkeypatch)
    assert free_space(FileSystem(), tmp_path) == "an unknown amount free"
