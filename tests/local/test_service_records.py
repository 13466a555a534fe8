"""Records of versions belong to the service that the store was bound to, whatever happens in between."""

import json
from pathlib import Path

import pytest

from astica_sync.core.model import ModelInfo
from astica_sync.local.backup.service_records import VERSIONS, Records, is_version_line, note_service
from astica_sync.local.create_store import create_store
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import read_jsonl
from astica_sync.local.layout import Layout

ONE, TWO, THREE = "https://one.example", "https://two.example", "https://three.example"
FILES = FileSystem()


def bind(root: Path, address: str) -> Layout:
    return create_store(root, model_id=7, train_url=address, now=1.0, rebind=True)


def record(layout: Layout, name: str) -> None:
    Records(layout.backup, FILES, 7).add_version(ModelInfo(7, "Cans", version=name, trained_at=1.0), None, 1.0)


def names(layout: Layout) -> list[str]:
    return [version.name for version in Records(layout.backup, FILES, 7).versions()]


def test_each_service_has_its_own_versions_and_gets_them_back(tmp_path: Path) -> None:
    layout = bind(tmp_path, ONE)
    record(layout, "of one")
    assert names(bind(tmp_path, TWO)) == []
    record(layout, "of two")
    assert names(bind(tmp_path, THREE)) == []
    assert names(bind(tmp_path, ONE)) == ["of one"]
    record(layout, "of one again")
    assert names(bind(tmp_path, TWO)) == ["of two"]
    assert names(bind(tmp_path, ONE)) == ["of one", "of one again"]


@pytest.mark.parametrize("then", [ONE, TWO, THREE])
def test_a_binding_that_was_killed_half_way_mixes_up_nothing(tmp_path: Path, then: str) -> None:
    """The records name the new service before the sentinel does."""
    layout = bind(tmp_path, ONE)
    record(layout, "of one")
    bind(tmp_path, TWO)
    record(layout, "of two")
    bind(tmp_path, ONE)
    note_service(layout.backup, FILES, ONE, TWO)
    assert "of one" not in names(layout), "rather none than those of another"
    assert names(bind(tmp_path, then)) == {ONE: ["of one"], TWO: ["of two"], THREE: []}[then]


def test_saying_it_again_adds_no_line_and_each_line_is_sound(tmp_path: Path) -> None:
    layout = bind(tmp_path, ONE)
    record(layout, "of one")
    before = (layout.backup / VERSIONS).read_bytes()
    bind(tmp_path, ONE)
    assert (layout.backup / VERSIONS).read_bytes() == before
    for _ in range(2):
        note_service(layout.backup, FILES, ONE, TWO)
    lines = list(read_jsonl(FILES, layout.backup / VERSIONS))
    assert len(lines) == 2 and all(map(is_version_line, lines)), json.dumps(lines)
