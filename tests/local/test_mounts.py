"""A folder that was mounted and is not any more has lost no image, whatever its device number was."""

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

    def __init__(self, *places: str) -> None:
        super().__init__()
        self.places = frozenset(places)

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

    def unmount(self, place: str) -> None:
        (self.root / place).rename(self.root / ".unmounted")
        (self.root / place).mkdir()


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
        assert store.scan(Bound(), scope).unknown == CAN
        assert store.paths() == before
    (store.root / place).rmdir()
    (store.root / ".unmounted").rename(store.root / place)
    assert not store.scan(Bound(place)).unknown
    assert list(store.index.problems()) == []


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


def test_a_real_bind_mount(tmp_path: Path) -> None:
    prefix = ["unshare", "-rm"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    root = Path(__file__).parents[2]
    done = subprocess.run([*prefix, sys.executable, "-c", BIND, tmp_path, root], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
