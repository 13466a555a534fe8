"""Another user exchanges a folder of the store for a link while it is read: what the link leads to is not read."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from astica_sync.clock import SystemClock
from astica_sync.errors import SourceChanged
from astica_sync.local.backup.backup import Backup
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.layout import Layout
from astica_sync.local.scan import file_hash, scan_workers
from astica_sync.local.scan.file_hash import HashOutcome, hash_file
from astica_sync.local.scan.parallel import hash_pool
from astica_sync.local.scan.parallel.directory_prefetch import Prefetcher
from astica_sync.local.scan.parallel.hash_pool import HashPool
from astica_sync.local.scan.recheck_absence import is_still_absent
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.system import open_below

PNG = b"\x89PNG\r\n\x1a\n"
LINK = "symbolic link, not followed"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A store with an image in a folder of a class, and a private album outside that has one of the same name."""
    root = tmp_path / "store"
    (root / "Can" / "sub").mkdir(parents=True)
    (root / "Can" / "sub" / "1.png").write_bytes(PNG + b"public")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "1.png").write_bytes(PNG + b"private")
    return create_store(root, model_id=1, train_url="http://127.0.0.1:1", now=0.0)


@pytest.fixture(params=["path of the descriptor", "folder by folder"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell the path of an open file, each folder is opened from the one above."""
    if request.param == "folder by folder":
        monkeypatch.setattr("astica_sync.local.filesystem.is_opened_at", lambda _descriptor, _path: False)


def exchange(layout: Layout, folder: str = "Can/sub", link_to: str = "album") -> None:
    (layout.root / folder).rename(layout.root.parent / "aside")
    (layout.root / folder).symlink_to(layout.root.parent / link_to)


CALLS: dict[str, Callable[[FileSystem, Path], Any]] = {
    "open": lambda files, path: files.open_read(path).close(),
    "read": lambda files, path: files.read_small(path, 1000),
    "read str": lambda files, path: files.read_small(str(path), 1000),
    "list": lambda files, path: list(files.scan_folder(path.parent)),
    "list below": lambda files, path: list(files.scan_folder(path.parent / "deeper")),
    "names": lambda files, path: list(files.name_folder(str(path.parent))),
    "copy": lambda files, path: files.copy_synced(path, path.parents[3] / "copy"),
    "backup": lambda files, path: Backup(path.parents[3] / "backup", files).put(path, "0" * 32),
    "decode": lambda files, path: Decoder(files=files).check(path),
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", CALLS)
def test_below_a_store_no_part_of_a_path_may_be_a_link(name: str, layout: Layout) -> None:
    files = FileSystem(layout.root)
    path = layout.root / "Can" / "sub" / "1.png"
    for folder in (layout.root / "Can" / "sub", layout.root.parent / "album"):
        (folder / "deeper").mkdir()
    if name not in ("backup", "decode"):
        CALLS[name](files, path)
    exchange(layout)
    with pytest.raises((OSError, SourceChanged), match=r"Not a directory|Too many levels|not followed"):
        CALLS[name](files, path)


@pytest.mark.usefixtures("way")
def test_a_class_folder_may_be_exchanged_as_well(layout: Layout) -> None:
    (layout.root.parent / "other" / "sub").mkdir(parents=True)
    (layout.root.parent / "other" / "sub" / "1.png").write_bytes(PNG + b"private")
    exchange(layout, "Can", "other")
    found = hash_file(FileSystem(layout.root), layout.root / "Can" / "sub" / "1.png")
    assert found.outcome is HashOutcome.UNREADABLE
    assert found.reason is not None and found.reason.startswith(LINK)


@pytest.mark.usefixtures("way")
def test_what_was_exchanged_and_is_back_is_read(layout: Layout) -> None:
    place = layout.root / "Can" / "sub"
    files = FileSystem(layout.root)
    exchange(layout)
    place.unlink()
    (layout.root.parent / "aside").rename(place)
    assert files.read_small(place / "1.png", 100)[1] == PNG + b"public"


def test_a_file_that_is_replaced_while_it_is_opened_is_read(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    path = layout.root / "Can" / "sub" / "1.png"
    real = open_below.is_opened_at

    def replaced_first(descriptor: int, text: str) -> bool:
        (path.parent / "new").write_bytes(PNG + b"edited")
        (path.parent / "new").replace(path)
        return real(descriptor, text)

    monkeypatch.setattr("astica_sync.local.filesystem.is_opened_at", replaced_first)
    assert FileSystem(layout.root).read_small(path, 100)[1] == PNG + b"edited"


@pytest.mark.usefixtures("way")
def test_a_folder_that_may_be_entered_and_not_listed_is_no_obstacle(layout: Layout) -> None:
    (layout.root / "Can").chmod(0o311)
    try:
        assert FileSystem(layout.root).read_small(layout.root / "Can" / "sub" / "1.png", 100)[1] == PNG + b"public"
    finally:
        (layout.root / "Can").chmod(0o755)


@pytest.mark.usefixtures("way")
def test_links_above_the_store_are_the_users_own(layout: Layout) -> None:
    (layout.root.parent / "way").symlink_to(layout.root)
    root = layout.root.parent / "way"
    assert FileSystem(root).read_small(root / "Can" / "sub" / "1.png", 100)[1] == PNG + b"public"


def test_the_hidden_folder_is_not_walked(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astica_sync.local.filesystem.is_opened_at", lambda _descriptor, _path: False)
    monkeypatch.setattr("astica_sync.local.filesystem.open_below", None)
    assert FileSystem(layout.root).read_small(layout.sentinel_file, 9999)[1]


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("many", [0, 4000], ids=["processes", "threads"])
def test_an_exchange_between_listing_and_reading_puts_nothing_private_into_the_index(
    threads: int, many: int, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []

    def late(before: Callable[..., Any]) -> Callable[..., Any]:
        def hashes(self: Any, paths: Sequence[str]) -> Any:
            if not done:
                exchange(layout)
                done.append(1)
            return before(self, paths)

        return hashes

    monkeypatch.setattr(HashPool.__init__, "__defaults__", (many,))
    monkeypatch.setattr(scan_workers.SerialWorkers, "hash", late(scan_workers.SerialWorkers.hash))
    monkeypatch.setattr(hash_pool.HashPool, "hash", late(hash_pool.HashPool.hash))
    index = Index(layout.index_db)
    scan = scan_store(layout, index, clock=SystemClock(), options=ScanOptions(threads=threads))
    assert done
    assert list(index.local_samples(1)) == []
    assert [problem.reason.partition(";")[0] for problem in index.problems()] == [LINK]
    assert "Can" in scan.unknown.classes
    index.close()


def test_another_process_lists_and_reads_nothing_behind_a_link(layout: Layout) -> None:
    path = str(layout.root / "Can" / "sub")
    exchange(layout)
    prefetcher = Prefetcher(str(layout.root))
    prefetcher.add(path + "/deeper", None, 0)
    (layout.root.parent / "album" / "deeper").mkdir()
    try:
        assert prefetcher.take(str(layout.root)) is None
        assert prefetcher.take(path + "/deeper") is None
    finally:
        prefetcher.close()


def test_a_file_behind_a_link_is_not_absent(layout: Layout) -> None:
    index = Index(layout.index_db)
    files = FileSystem(layout.root)
    content = file_hash.hash_file(files, layout.root / "Can" / "sub" / "1.png").content
    assert content is not None
    exchange(layout)
    assert not is_still_absent(layout, index, files, ("Can", content), ["Can/sub/1.png"])
    index.close()


def test_a_descriptor_has_the_path_by_which_it_was_opened(tmp_path: Path) -> None:
    file = tmp_path / "a\nb"
    file.write_bytes(b"")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert open_below.is_opened_at(descriptor, str(file))
        assert not open_below.is_opened_at(descriptor, str(tmp_path))
        file.rename(tmp_path / "c")
        assert not open_below.is_opened_at(descriptor, str(file))
    finally:
        os.close(descriptor)
    assert not open_below.is_opened_at(descriptor, str(file))
