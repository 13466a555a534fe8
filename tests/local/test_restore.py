"""Class folders come back from the backup alone: byte for byte, over nothing, and nowhere else."""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.core.model import Problem
from astica_sync.errors import StorageFull, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.backup.restore import Restored, is_same_folder, refuse_store, restore
from astica_sync.local.filesystem import AnyPath, FileSystem

JPEG = b"\xff\xd8\xff"


class Kept:
    """A backup that is filled with texts under the names of files; each begins as an image does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backup = Backup(folder / "backup", FileSystem())

    def keep(self, path: str, data: bytes, class_title: str | None = None, start: bytes = JPEG) -> str:
        source = self.folder / "source"
        data = start + data
        source.write_bytes(data)
        content = xxhash.xxh3_128(data).hexdigest()
        self.backup.put(source, content)
        title = unicodedata.normalize("NFC", path.partition("/")[0]) if class_title is None else class_title
        self.backup.add_samples([(title, path, content)], at=0)
        return content

    def restore(self, fs: FileSystem | None = None, **options: Any) -> Restored:
        return restore(self.backup, self.folder / "out", fs or FileSystem(), **options)

    def out(self) -> dict[str, bytes]:
        root = self.folder / "out"
        return {
            str(path.relative_to(root)): path.read_bytes().removeprefix(JPEG)
            for path in root.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


FILES = {
    "Can/001.jpg": b"one",
    "Can/deep/er/002.jpg": b"two",
    "Büchse/eins zwei.png": b"three",
    "Bu\u0308chse/NFD.png": b"four",
    os.fsdecode(b"Can/\xff\n-rf.jpg"): b"five",
    "Bottle/001.jpg": b"one",
}


def test_every_file_comes_back_under_its_name_and_a_second_time_nothing_is_written(kept: Kept) -> None:
    for path, data in FILES.items():
        kept.keep(path, data)
    assert kept.restore() == Restored(6, 0, (), ())
    assert kept.out() == FILES
    before = {path: path.stat() for path in (kept.folder / "out").rglob("*")}
    assert kept.restore() == Restored(0, 6, (), ())
    assert before == {path: path.stat() for path in (kept.folder / "out").rglob("*")}


def test_a_restored_file_shares_no_inode_with_the_backup(kept: Kept) -> None:
    content = kept.keep("Can/001.jpg", b"one")
    kept.restore()
    (kept.folder / "out" / "Can" / "001.jpg").write_bytes(b"edited")
    assert kept.backup.read(content) == JPEG + b"one"


def test_one_class_alone_comes_back_where_one_is_asked_for(kept: Kept) -> None:
    for path, data in FILES.items():
        kept.keep(path, data)
    assert kept.restore(wanted=lambda entry: entry.class_title == "Büchse").written == 2
    assert sorted(kept.out()) == ["Bu\u0308chse/NFD.png", "Büchse/eins zwei.png"]


def test_of_several_images_of_one_path_the_last_comes_back_and_the_others_are_named(kept: Kept) -> None:
    first = kept.keep("Can/001.jpg", b"first")
    kept.keep("Can/001.jpg", b"second")
    kept.keep("Can/001.jpg", b"first")
    second = kept.keep("Can/001.jpg", b"second")
    kept.keep("Can/001.jpg", b"second")
    report = kept.restore()
    assert kept.out() == {"Can/001.jpg": b"second"}
    assert (report.written, report.already_there, report.problems) == (1, 0, ())
    assert {entry.content for entry in report.older} == {first}
    assert second not in {entry.content for entry in report.older}


def test_a_file_with_other_bytes_is_never_overwritten(kept: Kept) -> None:
    kept.keep("Can/001.jpg", b"one")
    kept.keep("Can/002.jpg", b"two")
    kept.keep("Can/003.jpg", b"three")
    can = kept.folder / "out" / "Can"
    (can / "002.jpg").mkdir(parents=True)
    (can / "001.jpg").write_bytes(b"mine")
    (can / "003.jpg").symlink_to(kept.folder / "absent")
    report = kept.restore()
    assert report.written == 0
    assert [problem.path for problem in report.problems] == ["Can/001.jpg", "Can/002.jpg", "Can/003.jpg"]
    assert all("was not changed" in problem.reason for problem in report.problems)
    assert (can / "001.jpg").read_bytes() == b"mine"
    assert not (kept.folder / "absent").exists()


def test_a_file_that_cannot_be_read_is_not_one_that_cannot_be_written(kept: Kept) -> None:
    kept.keep("Can/001.jpg", b"one")
    kept.restore()
    target = kept.folder / "out" / "Can" / "001.jpg"
    open_read = kept.backup._files.open_read

    def refuse(path: AnyPath) -> BinaryIO:
        if Path(path) == target:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
        return open_read(path)

    kept.backup._files.open_read = refuse  # type: ignore[method-assign]
    [problem] = kept.restore().problems
    assert problem.reason.startswith("the file at this path cannot be read: Permission denied; ")
    assert "written" not in problem.reason


def test_a_file_that_goes_in_the_last_moment_is_written(kept: Kept) -> None:
    kept.keep("Can/001.jpg", b"one")
    kept.restore()
    target = kept.folder / "out" / "Can" / "001.jpg"
    open_read = kept.backup._files.open_read

    def remove_first(path: AnyPath) -> BinaryIO:
        if Path(path) == target:
            target.unlink(missing_ok=True)
        return open_read(path)

    kept.backup._files.open_read = remove_first  # type: ignore[method-assign]
    done = kept.restore()
    assert (done.problems, kept.out()) == ((), {"Can/001.jpg": b"one"})


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten(kept: Kept) -> None:
    class Late(FileSystem):
        def publish_new(self, temp: Path, target: Path) -> None:
            target.write_bytes(b"mine")
            super().publish_new(temp, target)

    kept.keep("Can/001.jpg", b"one")
    report = kept.restore(Late())
    assert [problem.path for problem in report.problems] == ["Can/001.jpg"]
    assert kept.out() == {"Can/001.jpg": b"mine"}


def test_files_come_back_where_the_file_system_knows_no_hard_links(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    kept.keep("Can/001.jpg", b"one")
    assert kept.restore().written == 1
    assert kept.out() == {"Can/001.jpg": b"one"}
    with pytest.raises(FileExistsError):
        (kept.folder / "temp").write_bytes(b"two")
        FileSystem().publish_new(kept.folder / "temp", kept.folder / "out" / "Can" / "001.jpg")
    assert not (kept.folder / "temp").exists()


@pytest.mark.parametrize(
    ("class_title", "path"),
    [
        ("..", "../escaped.jpg"),
        ("Can", "Can/../../escaped.jpg"),
        ("", "/escaped.jpg"),
        ("Can", "Can//etc/escaped.jpg"),
        ("Can", "Can/."),
        ("Can", "Can/a\0b.jpg"),
        ("Can", "Can"),
        (".astica-sync", ".astica-sync/journal.db"),
        ("Can", "Can/.astica-sync/store.json"),
        (".ssh", ".ssh/authorized_keys"),
        ("Can", "Can/.bashrc"),
        ("Can", "Can/.git/hooks/post-checkout"),
        ("Can", "Can/..."),
        (".", "./a.jpg"),
        ("Can", "Can/" + "x" * 300),
        ("x" * 300, "x" * 300 + "/a.jpg"),
        ("Can", "Bottle/001.jpg"),
        ("astica-sync.toml", "astica-sync.toml/x.jpg"),
        ("Astica-Sync.TOML", "Astica-Sync.TOML/x.jpg"),
        ("astica\u200c-sync.toml", "astica\u200c-sync.toml/x.jpg"),
        (".astica-ignore", ".astica-ignore/x.jpg"),
        ("Can\x1b[31m", "Can\x1b[31m/x.jpg"),
    ],
)
def test_an_edited_catalog_writes_nothing_outside_its_class_folders(kept: Kept, class_title: str, path: str) -> None:
    kept.keep(path, b"one", class_title)
    before = set(kept.folder.rglob("*"))
    report = kept.restore()
    assert [problem.path for problem in report.problems] == [path]
    assert {path.name for path in set(kept.folder.rglob("*")) - before} <= {"out", "Can"}


def test_a_path_longer_than_any_system_has_is_no_entry(kept: Kept) -> None:
    kept.keep("Can/" + "x/" * 3000 + "a.jpg", b"one")
    kept.keep("Can/001.jpg", b"one")
    assert kept.restore() == Restored(1, 0, (), ())


@pytest.mark.parametrize("start", [b"#!/bin/sh\n", b"[Desktop Entry]\n", b"\x7fELF", b"", b"8BPS"])
def test_what_is_not_an_image_is_not_restored(kept: Kept, start: bytes) -> None:
    kept.keep("Can/001.jpg", b"one", start=start)
    report = kept.restore()
    assert report.problems == (Problem("Can/001.jpg", "not an image"),)
    assert kept.out() == {}


def test_a_store_below_the_target_gets_no_file(kept: Kept) -> None:
    for path in ("photos/Can/001.jpg", "photos/002.jpg", "Can/003.jpg"):
        kept.keep(path, b"one")
    (kept.folder / "out" / "photos" / ".astica-sync").mkdir(parents=True)
    report = kept.restore()
    assert [problem.reason for problem in report.problems] == ["its folder is a store"] * 2
    assert set(kept.out()) == {"Can/003.jpg"}


@pytest.mark.parametrize(
    "spelling", ["store", "store/Can", "store/new/deep", "store/Can/..", "link", "link/Can", "other/x"]
)
def test_a_folder_in_a_store_is_no_target_however_it_is_written(tmp_path: Path, spelling: str) -> None:
    for store in ("store", "other"):
        (tmp_path / store / ".astica-sync").mkdir(parents=True)
    (tmp_path / "store" / "Can").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(StoreError, match="is inside the store"):
        refuse_store(tmp_path / spelling)
    refuse_store(tmp_path)
    refuse_store(tmp_path / "store-restored")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount")
def test_a_folder_mounted_from_a_store_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "store" / ".astica-sync").mkdir(parents=True)
    (tmp_path / "seen").mkdir()
    script = (
        "import sys; from pathlib import Path; from astica_sync.local.backup.restore import refuse_store\n"
        "refuse_store(Path(sys.argv[1]))"
    )
    mounted = ["unshare", "-m", "sh", "-c", 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$2/new"', "sh"]
    ran = subprocess.run(
        [*mounted, tmp_path / "store", tmp_path / "seen", sys.executable, script], capture_output=True, text=True
    )
    assert "StoreError" in ran.stderr, ran.stderr


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.text(max_size=6), st.text("./ab\0\\", max_size=9)), max_size=6))
def test_no_catalog_makes_a_restore_write_outside_the_class_folders(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    kept = Kept(folder)
    for number, (title, path) in enumerate(names):
        kept.keep(path, str(number).encode(), title)
        kept.keep(f"{title}/{path}", str(number).encode(), title)
    kept.restore()
    assert {path.name for path in folder.iterdir()} <= {"out", "backup", "source"}


def test_a_symbolic_link_in_the_target_is_not_followed(kept: Kept) -> None:
    kept.keep("Can/deep/001.jpg", b"one")
    (kept.folder / "elsewhere").mkdir()
    (kept.folder / "out" / "Can").mkdir(parents=True)
    (kept.folder / "out" / "Can" / "deep").symlink_to(kept.folder / "elsewhere")
    report = kept.restore()
    assert report.problems == (
        Problem("Can/deep/001.jpg", "a file exists where one of its folders must be; it was not changed"),
    )
    assert list((kept.folder / "elsewhere").iterdir()) == []


def test_a_broken_or_missing_object_is_named_and_the_others_come_back(kept: Kept) -> None:
    broken, missing = kept.keep("Can/001.jpg", b"one"), kept.keep("Can/002.jpg", b"two")
    kept.keep("Can/003.jpg", b"three")
    (kept.backup.find(broken) or Path()).write_bytes(b"damaged")
    (kept.backup.find(missing) or Path()).unlink()
    report = kept.restore()
    assert kept.out() == {"Can/003.jpg": b"three"}
    assert [(problem.path, problem.reason.partition(" ")[0]) for problem in report.problems] == [
        ("Can/001.jpg", "damaged"),
        ("Can/002.jpg", "missing"),
    ]


def test_a_name_the_target_cannot_hold_is_a_problem_and_a_full_disk_ends_it(kept: Kept) -> None:
    content = kept.keep("Can/001.jpg", b"one")
    kept.backup.add_samples([("Can", f"Can/{'x' * 300}", content)], at=0)
    report = kept.restore()
    assert report.written == 1
    assert [problem.reason for problem in report.problems] == [
        "cannot be written: File name too long; the name is too long for this file system: rename it"
    ]

    class Full(FileSystem):
        def copy_synced(self, source: str | Path, temp: Path, mode: int | None = None) -> None:
            raise OSError(errno.ENOSPC, "full")

    kept.keep("Can/002.jpg", b"two")
    with pytest.raises(StorageFull, match="MB free"):
        kept.restore(Full())


def test_a_target_that_is_a_file_is_an_error_that_says_what_to_do(kept: Kept) -> None:
    (kept.folder / "out").write_text("")
    with pytest.raises(StoreError, match="cannot be created") as failure:
        kept.restore()
    assert "--to" in failure.value.hint


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EMFILE, "ulimit -n"), (errno.EROFS, "mounted read-only"), (errno.EIO, "dmesg")]
)
def test_a_target_that_cannot_be_created_has_the_advice_of_its_error(kept: Kept, number: int, advice: str) -> None:
    class Failing(FileSystem):
        def make_folder(self, path: Path, mode: int = 0o777) -> None:
            raise OSError(number, os.strerror(number), str(path))

    with pytest.raises(StoreError, match="cannot be created") as failure:
        kept.restore(Failing())
    assert advice in failure.value.hint
    assert "--to" in failure.value.hint


@pytest.mark.parametrize("step", ["check", "open_read", "copy_synced"])
def test_an_object_that_cannot_be_read_is_not_a_target_that_cannot_be_written(
    step: str, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup and the target may be on two disks, and the advice is about one of them."""
    kept.keep("Can/001.jpg", b"one")
    open_read = FileSystem.open_read

    def open_without_objects(self: FileSystem, path: AnyPath) -> BinaryIO:
        if "objects" in Path(path).parts:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return open_read(self, path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    class Failing(FileSystem):
        def copy_synced(self, source: str | Path, temp: Path, mode: int | None = None) -> None:
            with monkeypatch.context() as patch:
                patch.setattr(fcntl, "ioctl", fail)
                patch.setattr(os, "read", fail)
                super().copy_synced(source, temp, mode)

    fs = Failing() if step == "copy_synced" else FileSystem()
    if step == "check":
        monkeypatch.setattr(FileSystem, "open_read", open_without_objects)
    if step == "open_read":
        monkeypatch.setattr(fs, step, fail)
    report = kept.restore(fs)
    assert [problem.reason.partition(":")[0] for problem in report.problems] == ["cannot be read in the backup"]
    assert all("see dmesg" in problem.reason for problem in report.problems)


def test_a_line_that_is_added_while_files_come_back_waits_for_the_next_time(kept: Kept) -> None:
    kept.keep("Can/001.jpg", b"one")
    kept.keep("Can/002.jpg", b"two")
    added: list[str] = []

    def wanted(entry: CatalogEntry) -> bool:
        if not added and entry.path == "Can/002.jpg":
            added.append(kept.keep("Can/001.jpg", b"later"))
        return entry.content not in added

    assert kept.restore(wanted=wanted).written == 2
    assert kept.out() == {"Can/001.jpg": b"one", "Can/002.jpg": b"two"}


def test_two_paths_are_one_folder_through_a_link_and_a_missing_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    assert is_same_folder(tmp_path / "a", tmp_path / "b")
    assert not is_same_folder(tmp_path / "a", tmp_path / "missing")


@pytest.mark.parametrize(("mode", "expected"), [(0o700, 0o600), (0o755, 0o644)])
def test_what_is_restored_into_a_store_is_as_private_as_its_folder(kept: Kept, mode: int, expected: int) -> None:
    kept.keep("Can/001.jpg", b"one")
    out = kept.folder / "out"
    (out / ".astica-sync").mkdir(parents=True)
    out.chmod(mode)
    umask = os.umask(0)
    try:
        assert kept.restore().written == 1
    finally:
        os.umask(umask)
    assert (out / "Can" / "001.jpg").stat().st_mode & 0o777 == expected


@pytest.mark.parametrize("step", ["hold_folder", "copy_synced", "publish_new"])
def test_a_folder_that_is_exchanged_for_a_link_gets_no_file_elsewhere(step: str, kept: Kept) -> None:
    private = kept.folder / "private"
    (private / "er").mkdir(parents=True)

    def exchange() -> None:
        deep = kept.folder / "out" / "Can" / "deep"
        if not deep.is_symlink():
            deep.rename(kept.folder / "aside")
            deep.symlink_to(private)

    class Late(FileSystem):
        def hold_folder(self, root: Path, parts: Sequence[str], mode: int) -> contextlib.AbstractContextManager[Path]:
            if step == "hold_folder":
                exchange()
            return super().hold_folder(root, parts, mode)

        def copy_synced(self, source: str | Path, temp: Path, mode: int | None = None) -> None:
            if step == "copy_synced":
                exchange()
            super().copy_synced(source, temp, mode)

        def publish_new(self, temp: Path, target: Path) -> None:
            if step == "publish_new":
                exchange()
            super().publish_new(temp, target)

    kept.keep("Can/deep/er/002.jpg", b"two")
    (kept.folder / "out" / "Can" / "deep" / "er").mkdir(parents=True)
    report = kept.restore(Late())
    assert [path for path in private.rglob("*") if path.is_file()] == []
    aside = [path.name for path in (kept.folder / "aside").rglob("*") if path.is_file()]
    if step == "hold_folder":
        assert ["symbolic link, not followed" in problem.reason for problem in report.problems] == [True]
        assert aside == []
    else:
        assert report.written == 1
        assert aside == ["002.jpg"]


def test_a_backup_that_goes_away_meanwhile_is_named_once(kept: Kept) -> None:
    """As where its disk is unmounted in the middle: nothing is missing in it."""
    for number in range(4):
        kept.keep(f"Can/{number}.jpg", str(number).encode())
    entries = list(kept.backup.samples())
    rounds = iter((False, True))

    def going() -> Sequence[CatalogEntry]:
        if next(rounds):
            return gone
        return entries

    class Gone(list[CatalogEntry]):
        def __iter__(self) -> Any:
            for at, entry in enumerate(entries):
                if at == 2:
                    (kept.folder / "backup").rename(kept.folder / "elsewhere")
                yield entry

    gone = Gone()
    with pytest.raises(StoreError, match="not there any more; files restored before: 2") as caught:
        kept.restore(entries=going)
    assert "check that the disk is mounted" in caught.value.hint
    (kept.folder / "elsewhere").rename(kept.folder / "backup")
    assert kept.restore().written == 2
    assert len(kept.out()) == 4
