import contextlib
import errno
import os
import shutil
import sqlite3
import stat
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.core.model import Unreadable
from astica_sync.errors import StoreError
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import CHUNK, AnyPath, Entry, FileSystem, NamedEntry, kind_of
from astica_sync.local.layout import Layout
from astica_sync.local.scan.directory_digest import BUCKETS_FROM_FILES
from astica_sync.local.scan.litter import is_litter
from astica_sync.local.scan.recheck_absence import is_still_absent
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0"
HOUR_NS = 3600 * 10**9


class FakeClock:
    """A clock that stands still."""

    def now(self) -> float:
        return 1000.0

    def ticks(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a scan never waits")


class LaterDisk(FileSystem):
    """The file system, an hour later than its files say: none of them was changed just now."""

    def time_ns(self, folder: Path) -> int:
        return super().time_ns(folder) + HOUR_NS


class Stepwise(LaterDisk):
    """The same, each thing by its smallest steps, for who meddles with one of them."""

    def name_folder(self, path: AnyPath) -> Iterator[NamedEntry]:
        for name, status in self.scan_folder(path):
            yield name, status and kind_of(status), status.st_dev if status else 0

    def read_small(self, path: AnyPath, most: int) -> tuple[os.stat_result, bytes | None, os.stat_result]:
        with self.open_read(path) as file:
            before = self.fstat(file)
            data = None if before.st_size > most else b"".join(self.chunks(file))
            return before, data, self.fstat(file)


class FaultyDisk(Stepwise):
    """The file system with a fault at one path, for listing, opening or looking."""

    def __init__(self, root: Path, path: str, code: int, at: str) -> None:
        self.place, self.code, self.at = str(root / path), code, at

    def _fail(self, at: str, path: AnyPath) -> None:
        if (at, str(path)) == (self.at, self.place):
            raise OSError(self.code, os.strerror(self.code), str(path))

    def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
        entries = super().scan_folder(path)
        if (self.at, str(path)) == ("cut", self.place):
            yield next(entries)
            raise OSError(self.code, os.strerror(self.code))
        self._fail("list", path)
        for name, status in entries:
            hidden = (self.at, f"{path}/{name}") == ("status", self.place)
            yield name, None if hidden else status

    def open_read(self, path: AnyPath) -> BinaryIO:
        self._fail("open", path)
        return super().open_read(path)

    def lstat(self, path: AnyPath) -> os.stat_result:
        self._fail("lstat", path)
        return super().lstat(path)


class OtherMount(Stepwise):
    """The file system, with one folder (and what is below) on another device."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def _moved(self, path: str, status: os.stat_result) -> os.stat_result:
        if path != self.place and not path.startswith(f"{self.place}/"):
            return status
        values = list(status)
        values[2] = status.st_dev + 1
        names = ("st_atime", "st_mtime", "st_ctime", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")
        return os.stat_result(values, {name: getattr(status, name) for name in names})

    def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
        for name, status in super().scan_folder(path):
            yield name, status and self._moved(f"{path}/{name}", status)

    def lstat(self, path: AnyPath) -> os.stat_result:
        return self._moved(str(path), super().lstat(path))


class Store:
    """A store in a scratch folder, and one scan after another of it."""

    def __init__(self, root: Path) -> None:
        self.layout: Layout = create_store(root, model_id=3, train_url="https://x.example", now=0.0)
        self.root = root
        self.index = Index(self.layout.index_db, busy_s=0.05)
        self.fs: FileSystem = LaterDisk()

    def write(self, path: str, data: bytes | None = None) -> str:
        """Writes a file, a PNG of its own by default, and gives its content hash."""
        data = PNG + path.encode("utf-8", "surrogateescape") if data is None else data
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return xxhash.xxh3_128_hexdigest(data)

    def scan(self, fs: FileSystem | None = None, *, forced: bool = False) -> Scan:
        return scan_store(
            self.layout, self.index, clock=FakeClock(), files=fs or self.fs, options=ScanOptions(forced=forced)
        )

    def samples(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for sample in self.index.local_samples(3):
            found.setdefault(sample.class_title, set()).update(sample.paths)
        return found

    def problems(self) -> dict[str, str]:
        return {problem.path: problem.reason for problem in self.index.problems()}

    def absent(self, path: str, content: str, fs: FileSystem | None = None, replaced_by: str = "") -> bool:
        title = unicodedata.normalize("NFC", path.split("/")[0])
        return is_still_absent(self.layout, self.index, fs or self.fs, (title, content), (path,), replaced_by)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.index.close()


# What becomes a sample


def test_each_image_of_a_class_folder_is_a_sample_however_deep(store: Store) -> None:
    one = store.write("Can/1.png")
    store.write("Can/old/2.jpg", JPEG + b"2")
    store.write("Bottle/a.png")
    scan = store.scan()
    assert store.samples() == {"Can": {"Can/1.png", "Can/old/2.jpg"}, "Bottle": {"Bottle/a.png"}}
    assert store.index.paths_of("Can", one) == ["Can/1.png"]
    assert (scan.files, scan.hashed, scan.classes) == (3, 3, {"Can", "Bottle"})
    assert not scan.unknown
    assert store.problems() == {}


def test_an_unchanged_store_is_not_read_again(store: Store) -> None:
    store.write("Can/1.png")
    store.write("Can/broken.png", b"text")
    assert store.scan().hashed == 2
    assert store.scan().hashed == 0
    assert store.samples() == {"Can": {"Can/1.png"}}


def test_a_forced_scan_reads_everything(store: Store) -> None:
    store.write("Can/1.png")
    store.scan()
    assert store.scan(forced=True).hashed == 1


def test_a_changed_file_is_another_sample(store: Store) -> None:
    old = store.write("Can/1.png")
    store.scan()
    new = store.write("Can/1.png", PNG + b"other, longer")
    assert store.scan().hashed == 1
    assert store.index.paths_of("Can", new) == ["Can/1.png"]
    assert store.index.paths_of("Can", old) == []


def test_a_scan_that_finds_an_image_come_or_go_changes_the_mark_of_the_index(store: Store) -> None:
    """Another process sees by it that there was a change which its own scan does not find any more."""
    can = store.root / "Can"
    changes: list[Callable[[], object]] = [
        lambda: store.write("Can/1.png"),
        lambda: store.write("Can/1.png", PNG + b"edited"),
        lambda: (can / "1.png").rename(can / "2.png"),
        lambda: (can / "2.png").unlink(),
        lambda: store.write("Glass/1.png"),
        lambda: shutil.rmtree(store.root / "Glass"),
    ]
    marks = [store.scan().mark]
    for change in changes:
        change()
        scan = store.scan()
        assert scan.mark_before == marks[-1]
        marks.append(scan.mark)
        assert scan.mark == store.index.change_mark == store.scan().mark
    assert len(set(marks)) == 7


def test_a_file_that_is_read_again_and_is_the_same_leaves_the_mark(store: Store) -> None:
    store.write("Can/1.png")
    before = store.scan().mark
    os.utime(store.root / "Can" / "1.png", ns=(HOUR_NS, HOUR_NS))
    store.write("Can/text.png", b"text")
    scan = store.scan()
    assert (scan.hashed, scan.mark) == (2, before)


def test_what_vanishes_while_it_is_read_is_reported_as_lost(store: Store) -> None:
    """Its row is gone, so the next scan does not find that it is missing."""
    content = store.write("Can/1.png")
    before = store.scan().mark
    store.write("Can/1.png", PNG + b"edited")
    scan = store.scan(FaultyDisk(store.root, "Can/1.png", errno.ENOENT, "open"))
    assert scan.lost == {content}
    assert scan.mark != before


def change_size(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def change_time(path: Path) -> None:
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def change_inode(path: Path) -> None:
    copy = path.with_name(".copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.parametrize("change", [change_size, change_time, change_inode])
def test_a_file_is_read_again_when_size_time_or_inode_changed(store: Store, change: Callable[[Path], None]) -> None:
    store.write("Can/1.png")
    store.scan()
    change(store.root / "Can/1.png")
    assert store.scan().hashed == 1


def test_a_file_changed_within_the_clock_resolution_of_its_reading_is_noticed(store: Store) -> None:
    """Git's "racy" problem: same size, same times, other bytes."""
    path = store.root / "Can/1.png"
    store.write("Can/1.png", PNG + b"before")

    class SameTimes(Stepwise):
        """Every file looks as it did at the first look."""

        def __init__(self) -> None:
            self.first = os.stat(path)

        def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
            for name, status in super().scan_folder(path):
                yield name, self.first if name == "1.png" else status

        def fstat(self, file: object) -> os.stat_result:
            return self.first

        def time_ns(self, folder: AnyPath) -> int:
            """The file was read in the very moment in which it was written."""
            return self.first.st_mtime_ns

    fs = SameTimes()
    store.scan(fs)
    after = store.write("Can/1.png", PNG + b"after.")
    assert store.scan(fs).hashed == 1
    assert store.index.paths_of("Can", after) == ["Can/1.png"]


def test_a_scan_repairs_what_a_killed_one_left(store: Store) -> None:
    content = store.write("Can/1.png")
    store.index.write(lambda rows: rows.execute("DROP INDEX file_content"))
    store.scan()
    with contextlib.closing(sqlite3.connect(store.index.path)) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master WHERE name = 'file_content'").fetchone() == (1,)
    assert store.index.paths_of("Can", content) == ["Can/1.png"]


def test_removed_files_and_folders_are_forgotten(store: Store) -> None:
    for path in ("Can/1.png", "Can/2.png", "Can/old/3.png", "Glass/4.png"):
        store.write(path)
    store.scan()
    (store.root / "Can/2.png").unlink()
    (store.root / "Can/old/3.png").unlink()
    (store.root / "Can/old").rmdir()
    (store.root / "Glass/4.png").unlink()
    scan = store.scan()
    assert store.samples() == {"Can": {"Can/1.png"}}
    assert (scan.classes, scan.unknown) == ({"Can", "Glass"}, Unreadable())
    (store.root / "Glass").rmdir()
    assert store.scan().classes == {"Can"}
    assert set(store.index.folders()) == {b"", b"Can"}


def test_a_class_is_the_same_in_any_unicode_form(store: Store) -> None:
    for form in ("NFC", "NFD"):
        store.write(unicodedata.normalize(form, "Dosé") + f"/{form}.png")
    scan = store.scan()
    title = unicodedata.normalize("NFC", "Dosé")
    assert scan.classes == {title}
    assert {path[-7:] for path in store.samples()[title]} == {"NFC.png", "NFD.png"}


def test_a_file_s_name_may_be_any_bytes(store: Store) -> None:
    names = {"Can/\udcff.png", "Can/new\nline.png", "Can/-rf.png", "Can/é.png"}
    for name in names:
        store.write(name)
    store.scan()
    assert store.samples() == {"Can": names}
    assert store.scan().hashed == 0


@settings(max_examples=25, deadline=None)
@given(
    names=st.sets(
        st.binary(min_size=1, max_size=20).filter(
            lambda name: (
                not set(name) & set(b"/\0")
                and not name.startswith(b".")
                and not is_litter(os.fsdecode(name), folder=False)
            )
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_name_goes_round_from_disk_to_sample(tmp_path_factory: pytest.TempPathFactory, names: set[bytes]) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    wanted = {f"Can/{os.fsdecode(name)}" for name in names}
    for path in wanted:
        store.write(path)
    store.scan()
    store.index.close()
    with Index(store.layout.index_db) as again:
        assert {path for sample in again.local_samples(3) for path in sample.paths} == wanted


def test_hidden_litter_and_ignored_files_are_not_looked_at(store: Store) -> None:
    for path in ("Can/1.png", "Can/.2.png", ".git/3.png", "Can/Thumbs.db", "Can/raw/4.png", "notes/5.png", "a.txt"):
        store.write(path)
    store.write(".astica-ignore", b"raw/\n/notes/\n*.txt\n")
    store.write("astica-sync.toml", b"")
    scan = store.scan()
    assert store.samples() == {"Can": {"Can/1.png"}}
    assert (store.problems(), scan.files, scan.classes) == ({}, 2, {"Can"})


def test_a_changed_ignore_file_is_noticed(store: Store) -> None:
    first = store.scan()
    store.write(".astica-ignore", b"# nothing yet\n")
    second = store.scan()
    store.write(".astica-ignore", b"*.gif\n")
    third = store.scan()
    assert [scan.ignore_changed for scan in (first, second, third, store.scan())] == [False, False, True, False]
    assert first.ignore_digest == second.ignore_digest != third.ignore_digest


# What is a problem


@pytest.mark.parametrize(
    ("path", "data", "word"),
    [
        ("Can/empty.png", b"", "empty"),
        ("Can/page.png", b"<html>", "astica-ignore"),
        ("Can/layers.psd", b"8BPS....", "Photoshop"),
        ("photo.png", PNG, "not in a class folder"),
        ("note.txt", b"x", "not in a class folder"),
    ],
)
def test_a_file_that_cannot_be_a_sample_is_a_problem_with_its_reason(
    store: Store, path: str, data: bytes, word: str
) -> None:
    store.write("Can/1.png")
    store.write(path, data)
    scan = store.scan()
    assert list(store.problems()) == [path]
    assert word in store.problems()[path]
    assert not scan.unknown
    assert store.samples() == {"Can": {"Can/1.png"}}
    (store.root / path).unlink()
    store.scan()
    assert store.problems() == {}


def test_a_fifo_is_a_problem_and_nothing_hangs(store: Store) -> None:
    store.write("Can/1.png")
    os.mkfifo(store.root / "Can/pipe.png")
    assert not store.scan().unknown
    assert "regular file" in store.problems()["Can/pipe.png"]


@pytest.mark.parametrize("name", [" ", "a\nb", "\x1b[2J", "\udcff"])
def test_a_folder_whose_name_cannot_be_a_class_is_a_problem(store: Store, name: str) -> None:
    store.write(f"{name}/1.png")
    scan = store.scan()
    assert (store.samples(), scan.classes) == ({}, frozenset())
    assert "rename the folder" in store.problems()[name]


def test_a_link_is_not_followed_and_what_it_hides_is_unknown(store: Store) -> None:
    store.write("Can/1.png")
    (store.root / "Can/2.png").symlink_to("1.png")
    (store.root / "Glass").symlink_to("Can")
    for scan in (store.scan(), store.scan()):
        assert store.samples() == {"Can": {"Can/1.png"}}
        assert set(store.problems()) == {"Can/2.png", "Glass"} == scan.hiding
        assert scan.unknown == Unreadable(classes=frozenset({"Can", "Glass"}))


def test_a_problem_behind_which_no_file_can_be_hides_nothing(store: Store) -> None:
    store.write("note.txt")
    store.write("Can/1.png", b"no image")
    os.mkfifo(store.root / "Can/2.png")
    (store.root / "line\nbreak").mkdir()
    scan = store.scan()
    assert set(store.problems()) == {"note.txt", "Can/1.png", "Can/2.png", "line\nbreak"}
    assert (scan.hiding, scan.unknown) == (frozenset(), Unreadable())


@pytest.mark.parametrize("large", [False, True])
def test_a_file_exchanged_for_a_link_after_the_listing_is_not_read(store: Store, tmp_path: Path, large: bool) -> None:
    private = tmp_path / "private.png"
    store.write("Can/1.png")
    private.write_bytes(PNG + bytes((8 << 20) if large else 0))

    class Exchanging(LaterDisk):
        def read_small(self, path: AnyPath, most: int) -> tuple[os.stat_result, bytes | None, os.stat_result]:
            Path(os.fsdecode(path)).unlink()
            Path(os.fsdecode(path)).symlink_to(private)
            return super().read_small(path, most)

    scan = store.scan(Exchanging())
    assert store.samples() == {}
    assert scan.unknown.covers("Can")
    assert scan.hiding == {"Can/1.png"}


def test_a_class_folder_replaced_by_a_link_is_not_absent(store: Store) -> None:
    store.write("Can/1.png")
    store.scan()
    (store.root / "Can").rename(store.root / ".elsewhere")
    (store.root / "Can").symlink_to(".elsewhere")
    assert store.scan().unknown.covers("Can")


def test_a_store_inside_the_store_is_skipped_and_nothing_of_it_is_absent(store: Store) -> None:
    store.write("Can/1.png")
    store.write("Can/inner/2.png")
    store.scan()
    (store.root / "Can/inner/.astica-sync").mkdir()
    store.write("Can/inner/Glass/3.png")
    scan = store.scan()
    assert scan.unknown.covers("Can")
    assert "Can/inner/.astica-sync" in store.problems()
    assert scan.hiding == {"Can/inner/.astica-sync"}
    assert store.samples() == {"Can": {"Can/1.png", "Can/inner/2.png"}}


def test_an_unchanged_problem_costs_no_writing(store: Store) -> None:
    store.write("note.txt")
    (store.root / "Can").mkdir()
    (store.root / "Can/2.png").symlink_to("1.png")
    store.scan()
    before = store.layout.index_db.read_bytes()
    store.scan()
    assert store.layout.index_db.read_bytes() == before


# Unreadable is not absent (promise 3)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOENT])
@pytest.mark.parametrize(("at", "path"), [("list", "Can"), ("list", "Can/old"), ("lstat", "Can"), ("cut", "Can")])
def test_a_folder_that_cannot_be_listed_hides_its_class_and_keeps_what_is_known(
    store: Store, code: int, at: str, path: str
) -> None:
    for name in ("Can/1.png", "Can/old/2.png", "Can/old/deep/3.png", "Glass/4.png"):
        store.write(name)
    store.scan()
    before = store.samples()
    scan = store.scan(FaultyDisk(store.root, path, code, at))
    assert scan.unknown == Unreadable(classes=frozenset({"Can"}))
    assert store.samples() == before
    assert (path in store.problems()) is (code != errno.ENOENT)
    assert scan.hiding == store.problems().keys()
    assert not store.scan().unknown
    assert store.problems() == {}


@pytest.mark.parametrize("at", ["list", "lstat", "cut"])
def test_a_root_that_cannot_be_listed_hides_everything(store: Store, at: str) -> None:
    store.write("Can/1.png")
    store.scan()
    scan = store.scan(FaultyDisk(store.root, "", errno.EIO, at))
    assert scan.unknown.everything
    assert store.samples() == {"Can": {"Can/1.png"}}


@pytest.mark.parametrize(("at", "code"), [("open", errno.EACCES), ("open", errno.EIO), ("status", 0)])
def test_a_file_that_cannot_be_read_is_a_problem_and_hides_its_class(store: Store, at: str, code: int) -> None:
    store.write("Can/1.png")
    store.write("Glass/2.png")
    fs = FaultyDisk(store.root, "Can/1.png", code, at)
    for _ in range(2):
        scan = store.scan(fs)
        assert scan.unknown == Unreadable(classes=frozenset({"Can"}))
        assert list(store.problems()) == ["Can/1.png"] == list(scan.hiding)
    assert not store.scan().unknown
    assert set(store.samples()) == {"Can", "Glass"}


def test_a_file_that_vanishes_while_it_is_read_leaves_its_class_unknown(store: Store) -> None:
    store.write("Can/1.png")
    scan = store.scan(FaultyDisk(store.root, "Can/1.png", errno.ENOENT, "open"))
    assert scan.unknown.covers("Can")
    assert (scan.changing, store.problems()) == (1, {})


def test_a_store_that_is_not_the_one_that_was_made_hides_everything(store: Store) -> None:
    store.write("Can/1.png")
    store.scan()
    store.layout.sentinel_file.unlink()
    (store.root / "Can/1.png").unlink()
    assert store.scan().unknown.everything
    assert store.samples() == {"Can": {"Can/1.png"}}


def test_a_scan_of_a_copied_store_sees_its_files_and_proves_nothing(store: Store, tmp_path: Path) -> None:
    for name in ("Can/1.png", "Can/2.png", "Bottle/1.png"):
        store.write(name)
    assert not store.scan().moved
    shutil.copytree(store.root, tmp_path / "copy")
    (tmp_path / "copy/Can/1.png").unlink()
    shutil.rmtree(tmp_path / "copy/Bottle")
    layout = Layout(tmp_path / "copy")
    with contextlib.closing(Index(layout.index_db)) as index:
        scan = scan_store(layout, index, clock=FakeClock(), files=LaterDisk())
        assert scan.moved and scan.unknown.everything
        assert [sample.paths for sample in index.local_samples(3)] == [("Can/2.png",)]


def test_a_store_that_is_exchanged_for_a_copy_during_the_scan_hides_everything(store: Store, tmp_path: Path) -> None:
    store.write("Can/1.png")
    store.scan()
    shutil.copytree(store.root, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/Can")

    class Exchanging(Stepwise):
        def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
            if (tmp_path / "copy").exists():
                store.root.rename(tmp_path / "away")
                (tmp_path / "copy").rename(store.root)
            return super().scan_folder(path)

    scan = store.scan(Exchanging())
    assert scan.unknown.everything and not scan.moved
    assert store.samples() == {"Can": {"Can/1.png"}}


def test_a_store_that_vanishes_during_the_scan_hides_everything(store: Store) -> None:
    store.write("Can/1.png")

    class Unmounting(Stepwise):
        def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
            store.layout.sentinel_file.unlink(missing_ok=True)
            return super().scan_folder(path)

    assert store.scan(Unmounting()).unknown.everything


@pytest.mark.parametrize("place", ["Can", "Can/card"])
def test_a_disk_unmounted_inside_the_store_is_not_absent(store: Store, place: str) -> None:
    for path in ("Can/1.png", "Can/card/2.png", "Can/card/deep/3.png", "Glass/4.png"):
        store.write(path)
    mounted = OtherMount(store.root / place)
    store.scan(mounted)
    before = store.samples()
    (store.root / place).rename(store.root / ".unmounted")
    (store.root / place).mkdir()
    for _ in range(2):
        scan = store.scan()
        assert scan.unknown == Unreadable(classes=frozenset({"Can"}))
        assert store.samples() == before
        assert "mounted" in store.problems()[place]
    (store.root / place).rmdir()
    (store.root / ".unmounted").rename(store.root / place)
    assert not store.scan(mounted).unknown
    assert store.problems() == {}


def test_an_unmounted_disk_with_nothing_but_folders_on_it_is_not_absent(store: Store) -> None:
    store.write("Can/card/2.png")
    store.write("Can/card/deep/3.png")
    store.scan(OtherMount(store.root / "Can"))
    (store.root / "Can").rename(store.root / ".unmounted")
    (store.root / "Can").mkdir()
    for _ in range(2):
        assert store.scan().unknown == Unreadable(classes=frozenset({"Can"}))
        assert list(store.problems()) == ["Can"]
        assert store.samples() == {"Can": {"Can/card/2.png", "Can/card/deep/3.png"}}


def test_a_class_moved_to_another_disk_as_a_whole_is_the_same_class(store: Store) -> None:
    store.write("Can/1.png")
    store.scan()
    mounted = OtherMount(store.root / "Can")
    assert not store.scan(mounted).unknown
    (store.root / "Can/1.png").unlink()
    assert not store.scan(mounted).unknown
    assert store.samples() == {}


def test_a_file_from_the_far_future_or_past_is_a_sample_like_any_other(store: Store) -> None:
    """Some file systems keep times up to 2446, which no column of eight bytes holds in nanoseconds."""
    store.write("Can/1.png")
    store.write("Can/2.png")
    for name, ns in (("1.png", 10**19), ("2.png", -(10**19))):
        os.utime(store.root / "Can" / name, ns=(ns, ns))
    assert store.scan().hashed == 2
    assert store.samples() == {"Can": {"Can/1.png", "Can/2.png"}}
    assert store.scan().hashed == 0


class Inodes(LaterDisk):
    """A file system that numbers its files in all of eight bytes, as those do that join others."""

    def _with_inode(self, status: os.stat_result | None) -> os.stat_result | None:
        if status is None or not stat.S_ISREG(status.st_mode):
            return status
        values = list(status)
        values[1] += 1 << 63
        names = ("st_atime", "st_mtime", "st_ctime", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")
        return os.stat_result(values, {name: getattr(status, name) for name in names})

    def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
        for name, status in super().scan_folder(path):
            yield name, self._with_inode(status)

    def read_small(self, path: AnyPath, most: int) -> tuple[os.stat_result, bytes | None, os.stat_result]:
        before, data, after = super().read_small(path, most)
        return self._with_inode(before) or before, data, self._with_inode(after) or after


def test_an_inode_of_all_eight_bytes_is_found_in_its_bucket_again(store: Store) -> None:
    fs = Inodes()
    for number in range(BUCKETS_FROM_FILES):
        store.write(f"Can/{number}.png")
    for _ in range(3):
        store.scan(fs)
    store.write("Can/5.png", PNG + b"other")
    assert store.scan(fs).hashed == 1
    assert len(store.samples()["Can"]) == BUCKETS_FROM_FILES


# Files that change meanwhile


class Writing(Stepwise):
    """Another program appends to a file during each of its first readings."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.times = path, times

    def chunks(self, file: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
        yield file.read(9)
        if self.times and os.fstat(file.fileno()).st_ino == self.path.stat().st_ino:
            self.times -= 1
            with open(self.path, "ab") as target:
                target.write(b"x")
        yield from super().chunks(file, size)


@pytest.fixture(params=[CHUNK, 4], ids=["small", "large"])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """What counts as a small file."""
    monkeypatch.setattr("astica_sync.local.scan.file_hash.CHUNK", request.param)
    return int(request.param)


def test_a_file_is_known_by_all_its_bytes(store: Store, at_once: int) -> None:
    content = store.write("Can/1.png")
    store.write("Can/2.txt", b"no image")
    store.scan(FileSystem())
    assert store.index.paths_of("Can", content) == ["Can/1.png"]
    assert "text file" in store.problems()["Can/2.txt"]


def test_a_large_file_that_is_emptied_before_it_is_read_is_an_empty_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astica_sync.local.scan.file_hash.CHUNK", 4)
    store.write("Can/1.png")

    class Emptied(LaterDisk):
        def open_read(self, path: AnyPath) -> BinaryIO:
            os.truncate(path, 0)
            return super().open_read(path)

    store.scan(Emptied())
    assert "empty file" in store.problems()["Can/1.png"]


def test_a_file_that_changes_once_while_it_is_read_is_read_again_as_a_whole(store: Store, at_once: int) -> None:
    store.write("Can/1.png", PNG + b"..")
    store.scan(Writing(store.root / "Can/1.png", 1))
    assert store.index.paths_of("Can", xxhash.xxh3_128_hexdigest(PNG + b"..x")) == ["Can/1.png"]


def test_a_file_that_is_still_being_written_is_kept_out_until_it_is_done(store: Store, at_once: int) -> None:
    store.write("Can/1.png")
    store.write("Glass/2.png")
    scan = store.scan(Writing(store.root / "Can/1.png", 99))
    assert (scan.changing, scan.unknown) == (1, Unreadable(classes=frozenset({"Can"})))
    assert "still being written" in store.problems()["Can/1.png"]
    assert set(store.samples()) == {"Glass"}
    assert store.scan().changing == 0
    assert set(store.samples()) == {"Can", "Glass"}


class Renaming(Stepwise):
    """Another program renames a file whenever its folder has been listed; the listing misses both names."""

    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.times = str(folder), times

    def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
        entries = list(super().scan_folder(path))
        if str(path) == self.folder and self.times:
            self.times -= 1
            os.utime(path, ns=(0, self.times))
            entries = []
        yield from entries


@pytest.mark.parametrize(("times", "steady"), [(1, True), (2, True), (99, False)])
def test_a_folder_that_changes_while_it_is_listed_is_listed_again(store: Store, times: int, steady: bool) -> None:
    store.write("Can/1.png")
    store.scan()
    scan = store.scan(Renaming(store.root / "Can", times))
    assert store.samples() == {"Can": {"Can/1.png"}}
    assert scan.unknown.covers("Can") is not steady


# The index serves, and never stands in the way


def test_a_scan_goes_on_when_the_index_is_locked(store: Store) -> None:
    store.write("Can/1.png")
    holder = sqlite3.connect(store.layout.index_db, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    store.scan()
    assert store.index.is_private
    assert store.samples() == {"Can": {"Can/1.png"}}
    holder.close()
    store.scan()
    assert not store.index.is_private


def test_an_index_that_proves_damaged_during_a_scan_is_replaced(store: Store) -> None:
    store.write("Can/1.png")
    store.scan()
    connection = sqlite3.connect(store.layout.index_db)
    connection.execute("DROP TABLE file")
    connection.close()
    assert store.scan().hashed == 1
    assert store.samples() == {"Can": {"Can/1.png"}}


def test_an_interrupted_scan_keeps_what_it_has_read(store: Store) -> None:
    for number in range(200):
        store.write(f"Can/{number}.png")
    calls: list[int] = []

    def stop(_files: int, hashed: int) -> None:
        calls.append(hashed)
        if hashed > 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_store(store.layout, store.index, clock=FakeClock(), files=store.fs, progress=stop)
    assert 0 < store.scan().hashed < 200
    assert len(store.samples()["Can"]) == 200


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_any_number_of_reading_threads_finds_the_same(store: Store, threads: int) -> None:
    for number in range(200):
        store.write(f"Can/{number}.png")
    scan = scan_store(
        store.layout, store.index, clock=FakeClock(), files=store.fs, options=ScanOptions(threads=threads)
    )
    assert (scan.hashed, len(store.samples()["Can"])) == (200, 200)


def test_an_ignore_file_that_cannot_be_understood_stops_the_scan(store: Store) -> None:
    store.write(".astica-ignore", b"[z-a]\n")
    with pytest.raises(StoreError):
        store.scan()


def test_a_scan_works_where_nothing_can_be_written(store: Store) -> None:
    class ReadOnly(FileSystem):
        def time_ns(self, folder: Path) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    store.write("Can/1.png")
    assert store.scan(ReadOnly()).hashed == 1
    assert store.samples() == {"Can": {"Can/1.png"}}


# The second look


def test_a_deleted_file_is_absent(store: Store) -> None:
    content = store.write("Can/old/1.png")
    store.scan()
    assert not store.absent("Can/old/1.png", content)
    (store.root / "Can/old/1.png").unlink()
    assert not store.absent("Can/old/1.png", content), "the index still has it: the scan comes first"
    store.scan()
    assert store.absent("Can/old/1.png", content)
    (store.root / "Can/old").rmdir()
    (store.root / "Can").rmdir()
    assert store.absent("Can/old/1.png", content)


def test_a_file_that_came_back_after_the_scan_is_not_absent(store: Store) -> None:
    store.scan()
    content = store.write("Can/1.png")
    assert not store.absent("Can/1.png", content)


def test_an_image_is_gone_where_the_one_that_replaces_it_is_at_its_path(store: Store) -> None:
    content = store.write("Can/1.png")
    other = store.write("Can/1.png", PNG + b"other")
    store.scan()
    assert store.absent("Can/1.png", content, replaced_by=other)
    assert not store.absent("Can/1.png", content), "the plan does not know of it"
    assert not store.absent("Can/1.png", content, replaced_by="0" * 32), "another one came meanwhile"


@pytest.mark.parametrize("rest", [b"text", b"", bytes(100)])
def test_an_image_is_not_gone_while_a_file_without_an_image_is_at_its_path(store: Store, rest: bytes) -> None:
    content = store.write("Can/1.png")
    store.write("Can/1.png", rest)
    store.scan()
    assert not store.absent("Can/1.png", content)
    assert not store.absent("Can/1.png", content, replaced_by="0" * 32)
    (store.root / "Can/1.png").unlink()
    assert store.absent("Can/1.png", content)


def test_an_image_is_not_gone_while_a_placeholder_stands_for_it(store: Store) -> None:
    content = store.write("Can/1.png")
    (store.root / "Can/1.png").rename(store.root / "Can/.1.png.icloud")
    store.scan()
    assert not store.absent("Can/1.png", content)


def test_a_wrong_entry_of_the_index_removes_nothing(store: Store) -> None:
    content = store.write("Can/1.png")
    store.scan()
    connection = sqlite3.connect(store.layout.index_db)
    connection.execute("UPDATE file SET content = ?", ("f" * 32,))
    connection.commit()
    connection.close()
    assert store.index.paths_of("Can", content) == []
    assert not store.absent("Can/1.png", content)


@pytest.mark.parametrize(
    ("at", "path"), [("lstat", "Can/1.png"), ("lstat", "Can"), ("lstat", ""), ("open", "Can/1.png")]
)
def test_what_cannot_be_looked_at_is_not_absent(store: Store, at: str, path: str) -> None:
    other = store.write("Can/1.png", PNG + b"other")
    store.scan()
    fs = FaultyDisk(store.root, path, errno.EACCES, at)
    assert not store.absent("Can/1.png", "0" * 32, fs, replaced_by=other)
    assert store.absent("Can/1.png", "0" * 32, replaced_by=other)


def test_a_store_that_is_refused_has_nothing_absent(store: Store) -> None:
    store.scan()
    assert store.absent("Can/1.png", "0" * 32)
    store.layout.sentinel_file.unlink()
    assert not store.absent("Can/1.png", "0" * 32)


def test_a_link_in_place_of_file_or_folder_is_not_absent(store: Store) -> None:
    (store.root / "Can").mkdir()
    (store.root / "Can/1.png").symlink_to("nowhere")
    (store.root / "Glass").symlink_to("nowhere")
    store.scan()
    assert not store.absent("Can/1.png", "0" * 32)
    assert not store.absent("Glass/1.png", "0" * 32)


def test_a_file_in_place_of_a_folder_and_the_reverse_is_absent(store: Store) -> None:
    store.write("Can/old", PNG)
    (store.root / "Can/1.png").mkdir()
    store.scan()
    assert store.absent("Can/old/1.png", "0" * 32)
    assert store.absent("Can/1.png", "0" * 32)


def test_an_ignored_file_counts_as_absent(store: Store) -> None:
    content = store.write("Can/1.png")
    store.scan()
    store.write(".astica-ignore", b"Can/\n")
    store.scan()
    assert store.absent("Can/1.png", content)


def test_an_ignore_file_that_broke_meanwhile_leaves_nothing_absent(store: Store) -> None:
    store.scan()
    store.write(".astica-ignore", b"[z-a]\n")
    assert not store.absent("Can/1.png", "0" * 32)


def test_a_disk_unmounted_since_the_scan_leaves_nothing_absent(store: Store) -> None:
    (store.root / "Can").mkdir()
    mounted = OtherMount(store.root / "Can")
    store.scan(mounted)
    assert store.absent("Can/1.png", "0" * 32, mounted)
    assert not store.absent("Can/1.png", "0" * 32)


def test_a_folder_that_may_be_listed_and_not_entered_is_the_one_problem(unprivileged_folder: Path) -> None:
    root = unprivileged_folder / "photos"
    layout = Layout(root)
    layout.state.mkdir(parents=True)
    for number in range(3):
        (root / "Can").mkdir(exist_ok=True)
        (root / "Can" / f"{number}.png").write_bytes(PNG + bytes([number]))
    with contextlib.closing(Index(layout.index_db)) as index:
        scan_store(layout, index, clock=FakeClock(), options=ScanOptions(threads=0))
        (root / "Can").chmod(0o444)
        scan = scan_store(layout, index, clock=FakeClock(), options=ScanOptions(threads=0, forced=True))
        [problem] = index.problems()
        assert len(list(index.local_samples(1))) == 3, "nothing in it is called absent"
    assert problem.path == "Can" and scan.hiding == {"Can"}
    assert problem.reason == f"cannot be read: Permission denied; fix the permissions: chmod u+rx {root}/Can"
