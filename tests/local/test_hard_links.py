"""A file with a second name can be changed from outside of the store: the index tells whether there may be one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import CHUNK
from astica_sync.local.layout import Layout
from astica_sync.local.scan import scanner
from astica_sync.local.scan.parallel import hash_pool
from astica_sync.local.scan.scanner import HARD_LINKS, ScanOptions, scan_store

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(params=[0, 2], ids=["serial", "processes"])
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ScanOptions:
    monkeypatch.setattr(scanner, "_PREFETCH_FROM", 0)
    monkeypatch.setattr(hash_pool.HashPool.__init__, "__defaults__", (0,))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    return ScanOptions(threads=request.param)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    root = tmp_path / "store"
    for folder in ("Can/deep", "Glass"):
        (root / folder).mkdir(parents=True)
        (root / folder / "1.png").write_bytes(PNG + folder.encode())
    return create_store(root, model_id=1, train_url="http://127.0.0.1:1", now=0.0)


@pytest.fixture
def index(layout: Layout) -> Iterator[Index]:
    made = Index(layout.index_db)
    yield made
    made.close()


@pytest.mark.parametrize("size", [10, CHUNK + 1], ids=["small", "large"])
def test_a_scan_notes_whether_files_have_second_names(
    size: int, layout: Layout, index: Index, options: ScanOptions
) -> None:
    def linked() -> str | None:
        scan_store(layout, index, clock=SystemClock(), options=options)
        return index.get_meta(HARD_LINKS)

    file = layout.root / "Can" / "deep" / "1.png"
    file.write_bytes(PNG + bytes(size))
    assert linked() == "0"
    second = layout.root.parent / "second.png"
    second.hardlink_to(file)
    assert linked() == "1"
    # As if it had been read an hour after its last change, so that it is not read again.
    index.write(lambda connection: connection.execute("UPDATE file SET checked_ns = checked_ns + 3600000000000"))
    assert linked() == "1", "of an unchanged file as well"
    second.unlink()
    assert linked() == "0"


def test_a_linked_file_of_a_new_store_is_noted_by_its_first_scan(
    layout: Layout, index: Index, options: ScanOptions
) -> None:
    (layout.root.parent / "second.png").hardlink_to(layout.root / "Glass" / "1.png")
    scan_store(layout, index, clock=SystemClock(), options=options)
    assert index.get_meta(HARD_LINKS) == "1"


def test_a_scan_of_one_folder_does_not_forget_links_in_another(
    layout: Layout, index: Index, options: ScanOptions
) -> None:
    (layout.root.parent / "second.png").hardlink_to(layout.root / "Glass" / "1.png")
    for below in (None, ["Can"]):
        asked = ScanOptions(threads=options.threads, below=below)
        scan_store(layout, index, clock=SystemClock(), options=asked)
        assert index.get_meta(HARD_LINKS) == "1"
