"""A folder that was mounted and is not any more has lost no image, whatever its device number was."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.core.model import Unreadable
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import AnyPath, Entry, FileSystem, mounts_below
from astica_sync.local.scan.recheck_absence import is_still_absent
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store

PNG = b"\x89PNG\r\n\x1a\n"
CAN = Unreadable(classes=frozenset({"Can"}))


class Bound(FileSystem):
    """The file system, with folders that are bound from elsewhere on the same one."""

    def __init__(self, *places: str, disk: str = "disk one") -> None:
        super().__init__()
        self.places, self.disk = frozenset(places), disk

    def mount_identity(self, path: Path) -> str:
        return self.disk if any(path.as_posix().endswith(place) for place in self.places) else "disk of the store"

    def mounts_below(self, root: AnyPath) -> frozenset[str]:
        return self.places


class Store:
    """A store with images in three folders of a class, and its index."""

    def __init__(self, root: Path) -> None:
        self.layout = create_store(root, model_id=1, train_url="http://127.0.0.1:1", now=0.0)
        self.root, self.index = root, Index(self.layout.index_db)
        for path in ("Can/1.png", "Can/card/2.png", "Can/card/deep/3.png", "Glass/4.png"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(PNG + path.encode())

    def scan(self, files: FileSystem, below: list[str] | None = None) -> Scan:
        options = ScanOptions(threads=0, below=below)
        return scan_store(self.layout, self.index, clock=SystemClock(), files=files, options=options)

    def paths(self) -> set[str]:
        return {path for sample in self.index.local_samples(1) for path in sample.paths}

    def lose_index(self) -> None:
        self.index.close()
        self.layout.index_db.unlink()
        self.index = Index(self.layout.index_db)

    def unmount(self, place: str) -> None:
        (self.root / place).rename(self.root / ".unmounted")
        (self.root / place).mkdir()


def recorded(place: str, disk: str = "disk one") -> str:
    return json.dumps({place: disk}) + "\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.index.close()


@pytest.mark.parametrize("below", [None, ["Can/card"], ["Can"]], ids=["all", "folder", "class"])
@pytest.mark.parametrize("place", ["Can", "Can/card"])
def test_a_bound_folder_that_is_unmounted_is_not_absent(store: Store, place: str, below: list[str] | None) -> None:
    store.scan(Bound(place))
    before = store.paths()
    assert len(before) == 4
    store.unmount(place)
    for scope in (below, below, None):
        scan = store.scan(Bound(), scope)
        assert (scan.unknown, scan.hiding) == (CAN, {place})
        assert store.paths() == before
    (store.root / place).rmdir()
    (store.root / ".unmounted").rename(store.root / place)
    assert not store.scan(Bound(place)).unknown
    assert list(store.index.problems()) == []


@pytest.mark.parametrize("below", [None, ["Can"]], ids=["all", "class"])
@pytest.mark.parametrize("place", ["Can", "Can/card"])
def test_a_bound_folder_that_is_unmounted_and_removed_is_not_absent(
    store: Store, place: str, below: list[str] | None
) -> None:
    store.scan(Bound(place))
    before = store.paths()
    store.unmount(place)
    (store.root / place).rmdir()
    for scope in (below, below, None):
        scan = store.scan(Bound(), scope)
        assert scan.unknown.covers("Can") and scan.hiding == {place}
        assert store.paths() == before
    sample = ("Can", "0" * 32)
    assert not is_still_absent(store.layout, store.index, Bound(), sample, [f"{place}/gone.png"])
    (store.root / ".unmounted").rename(store.root / place)
    assert not store.scan(Bound(place)).unknown
    assert store.paths() == before


@pytest.mark.parametrize("removed", [False, True], ids=["empty", "removed"])
@pytest.mark.parametrize("place", ["Can", "Can/card"])
def test_a_lost_index_does_not_make_an_unmounted_folder_absent(store: Store, place: str, removed: bool) -> None:
    store.scan(Bound(place))
    store.unmount(place)
    if removed:
        (store.root / place).rmdir()
    store.lose_index()
    for below in (None, ["Can"], None):
        assert store.scan(Bound(), below).unknown.covers("Can")
    (problem,) = store.index.problems()
    assert problem.path == place and "mounts.json" in problem.reason
    if removed:
        (store.root / place).mkdir()
    (store.root / place).rmdir()
    (store.root / ".unmounted").rename(store.root / place)
    assert not store.scan(Bound(place)).unknown
    assert len(store.paths()) == 4 and list(store.index.problems()) == []
    store.unmount(place)
    store.layout.mounts_file.unlink()
    store.lose_index()
    assert not store.scan(Bound()).unknown, "the user has confirmed that the files are gone"
    assert not store.layout.mounts_file.exists()


@pytest.mark.parametrize("index", ["kept", "lost"])
@pytest.mark.parametrize("between", [False, True], ids=["at once", "unmounted between"])
@pytest.mark.parametrize("place", ["Can", "Can/card"])
def test_another_disk_in_the_place_of_one_proves_no_absence(
    store: Store, place: str, between: bool, index: str
) -> None:
    store.scan(Bound(place))
    store.unmount(place)
    if between:
        assert store.scan(Bound()).unknown.covers("Can")
    if index == "lost":
        store.lose_index()
    other = Bound(place, disk="disk two")
    for below in (None, ["Can"], None):
        assert store.scan(other, below).unknown.covers("Can")
        assert store.layout.mounts_file.read_text() == recorded(place)
    (store.root / place).rmdir()
    (store.root / ".unmounted").rename(store.root / place)
    if index == "lost":
        assert store.scan(other).unknown.covers("Can"), "nothing is known of what was on the first disk"
        other = Bound(place)
    assert not store.scan(other).unknown, "the disk, or a copy of it that has everything"
    assert store.layout.mounts_file.read_text() == recorded(place, other.disk)
    assert len(store.paths()) == 4 and list(store.index.problems()) == []
    (store.root / "Can/card/2.png").unlink()
    assert not store.scan(other).unknown, "what is deleted there is absent"
    assert "Can/card/2.png" not in store.paths()


class Nested(FileSystem):
    """The file system, with a disk at each of some folders, also one below another one."""

    def __init__(self, **disks: str) -> None:
        super().__init__()
        self.disks = {place.replace("_", "/"): disk for place, disk in disks.items()}

    def mount_identity(self, path: Path) -> str:
        above = [place for place in self.disks if f"{path.as_posix()}/".endswith(f"/{place}/")]
        above += [place for place in self.disks if f"/{place}/" in f"{path.as_posix()}/"]
        return self.disks[max(above, key=len)] if above else "disk of the store"

    def mounts_below(self, root: AnyPath) -> frozenset[str]:
        return frozenset(self.disks)


@pytest.mark.parametrize("index", ["kept", "lost"])
def test_a_disk_inside_a_folder_that_is_a_disk_itself_is_unmounted(store: Store, index: str) -> None:
    both = Nested(Can="disk one", Can_card="disk two")
    assert not store.scan(both).unknown
    assert json.loads(store.layout.mounts_file.read_text()) == {"Can": "disk one", "Can/card": "disk two"}
    before = store.paths()
    store.unmount("Can/card")
    if index == "lost":
        store.lose_index()
    one = Nested(Can="disk one")
    for below in (None, ["Can"], None):
        assert store.scan(one, below).unknown.covers("Can")
        if index == "kept":
            assert store.paths() == before
    (store.root / "Can/card").rmdir()
    (store.root / ".unmounted").rename(store.root / "Can/card")
    assert not store.scan(both).unknown
    assert store.paths() == before
    (store.root / "Can/card/2.png").unlink()
    assert not store.scan(both).unknown, "what is deleted there is absent"
    assert "Can/card/2.png" not in store.paths()


def test_a_disk_inside_another_one_that_is_unmounted_since_the_scan_leaves_nothing_absent(store: Store) -> None:
    both, content = Nested(Can="disk one", Can_card="disk two"), ""
    store.scan(both)
    content = next(sample.content for sample in store.index.local_samples(1) if "Can/card/2.png" in sample.paths)
    (store.root / "Can/card/2.png").unlink()
    store.scan(both)
    gone = (store.layout, store.index, both, ("Can", content), ("Can/card/2.png",), "")
    assert is_still_absent(*gone)
    assert not is_still_absent(*gone[:2], Nested(Can="disk one"), *gone[3:])


def test_a_mount_is_recorded_by_a_scan_of_its_folder(store: Store) -> None:
    store.scan(Bound())
    assert not store.layout.mounts_file.exists()
    store.scan(Bound("Can/card"), ["Can/card"])
    assert store.layout.mounts_file.read_text() == recorded("Can/card")


def test_the_real_identity_of_a_folder_is_the_same_twice(tmp_path: Path) -> None:
    files = FileSystem()
    assert files.mount_identity(tmp_path) == files.mount_identity(tmp_path) != ""
    with pytest.raises(OSError):
        files.mount_identity(tmp_path / "none")


def test_files_that_are_in_the_place_of_an_unmounted_disk_are_no_longer_on_it(store: Store) -> None:
    store.scan(Bound("Can/card"))
    assert store.layout.mounts_file.read_text() == recorded("Can/card")
    assert not store.scan(Bound()).unknown
    assert store.layout.mounts_file.read_text() == "{}\n"
    store.lose_index()
    assert not store.scan(Bound()).unknown


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"": "1", "a/../b": "1", "a\\u0000b": "1", "\\ud800": "1", "Can": 1}', "[" * 5000]
)
def test_a_damaged_record_of_mounts_is_none(store: Store, text: str) -> None:
    store.layout.mounts_file.write_text(text)
    assert not store.scan(Bound("Can/card")).unknown
    assert store.layout.mounts_file.read_text() == recorded("Can/card")


def test_what_is_deleted_below_a_mount_point_is_absent(store: Store) -> None:
    store.scan(Bound("Can/card"))
    shutil.rmtree(store.root / "Can/card/deep")
    sample = ("Can", "0" * 32)
    for path in ("Can/card/deep/gone.png", "Can/card/gone.png"):
        assert is_still_absent(store.layout, store.index, Bound("Can/card"), sample, [path])
    assert not store.scan(Bound("Can/card")).unknown
    assert "Can/card/deep/3.png" not in store.paths()


def test_the_folder_of_an_empty_disk_may_be_removed(store: Store) -> None:
    (store.root / "Can/empty").mkdir()
    store.scan(Bound("Can/empty"))
    (store.root / "Can/empty").rmdir()
    assert not store.scan(Bound()).unknown
    assert not store.scan(Bound()).unknown


def test_a_folder_with_a_similar_name_is_not_bound(store: Store) -> None:
    store.scan(Bound("Can/car"))
    (store.root / "Can/card/2.png").unlink()
    assert not store.scan(Bound()).unknown
    assert "Can/card/2.png" not in store.paths()


def test_a_file_that_is_deleted_in_a_bound_folder_is_absent(store: Store) -> None:
    store.scan(Bound("Can/card"))
    (store.root / "Can/card/2.png").unlink()
    assert not store.scan(Bound("Can/card")).unknown
    assert store.paths() == {"Can/1.png", "Can/card/deep/3.png", "Glass/4.png"}


@pytest.mark.parametrize("place", ["Can", "Can/card"])
def test_a_folder_unmounted_during_a_scan_is_not_absent_in_it_or_later(store: Store, place: str) -> None:
    store.scan(Bound(place))
    before = store.paths()

    class Unmounting(Bound):
        """The folder is unmounted when the class is listed."""

        def scan_folder(self, path: AnyPath) -> Iterator[Entry]:
            if self.places and str(path).endswith("/Can"):
                store.unmount(place)
                self.places = frozenset()
            return super().scan_folder(path)

    assert store.scan(Unmounting(place)).unknown == CAN
    assert store.paths() == before
    assert store.scan(Bound()).unknown == CAN
    assert store.paths() == before


def test_a_bound_folder_that_is_unmounted_since_the_scan_leaves_nothing_absent(store: Store) -> None:
    store.scan(Bound("Can/card"))
    sample = ("Can", "0" * 32)
    path = ["Can/card/deep/gone.png"]
    assert is_still_absent(store.layout, store.index, Bound("Can/card"), sample, path)
    assert not is_still_absent(store.layout, store.index, Bound(), sample, path)
    assert not is_still_absent(store.layout, store.index, Bound("Can"), sample, ["Can/gone.png"])


def test_the_kernels_list_of_mounts(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"36 35 98:0 / / rw - ext4 /dev/root rw\n"
        b"37 35 98:0 /a /s/Can/a\\040b rw,noatime master:1 - ext4 /dev/root rw\n"
        b"38 35 98:0 /a /s/Can/\\134\xff rw - ext4 /dev/root rw\n"
        b"39 35 98:0 /a /s2/Can rw - ext4 /dev/root rw\n"
        b"40 35 98:0 /a /s rw - ext4 /dev/root rw\n"
    )
    assert mounts_below("/s", table) == {"Can/a b", "Can/\\\udcff"}
    assert mounts_below(Path("/"), table) >= {"s", "s2/Can"}
    assert mounts_below("/s", tmp_path / "none") == frozenset()


BIND = """
import subprocess, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from tests.local.test_mounts import CAN, Store
from astica_sync.local.filesystem import FileSystem
store = Store(Path(sys.argv[1]))
(store.root / ".other").mkdir()
(store.root / ".other" / "5.png").write_bytes(b"\\x89PNG\\r\\n\\x1a\\nfive")
(store.root / "Can" / "20 24").mkdir()
subprocess.run(["mount", "--bind", store.root / ".other", store.root / "Can" / "20 24"], check=True)
store.scan(FileSystem(store.root))
assert "Can/20 24/5.png" in store.paths()
subprocess.run(["umount", store.root / "Can" / "20 24"], check=True)
assert store.scan(FileSystem(store.root)).unknown == CAN
assert "Can/20 24/5.png" in store.paths()
"""


NESTED = """
import subprocess, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from tests.local.test_mounts import PNG, Store
from astica_sync.local.filesystem import FileSystem
store = Store(Path(sys.argv[1]))
for place in ("Disk", "Disk/inner"):
    (store.root / place).mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", store.root / place], check=True)
    (store.root / place / "5.png").write_bytes(PNG + place.encode())
assert not store.scan(FileSystem(store.root)).unknown
subprocess.run(["umount", store.root / "Disk" / "inner"], check=True)
assert store.scan(FileSystem(store.root)).unknown.covers("Disk")
assert "Disk/inner/5.png" in store.paths()
"""


@pytest.mark.parametrize("script", [BIND, NESTED], ids=["bound", "a disk inside a disk"])
def test_real_mounts(tmp_path: Path, script: str) -> None:
    prefix = ["unshare", "-rm"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    root = Path(__file__).parents[2]
    done = subprocess.run([*prefix, sys.executable, "-c", script, tmp_path, root], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
