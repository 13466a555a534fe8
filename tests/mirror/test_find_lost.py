"""What was uploaded and is not in the backup is a problem of a copy to the mirror, unless the mirror has it."""

import contextlib
from pathlib import Path

import pytest
import xxhash

from astica_sync.core.model import make_scope, make_uid
from astica_sync.local.backup.backup import Backup
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.mirror.find_lost import find_lost
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell

PATH = "Can/000.png"
OTHER = f"backup/objects/{'b' * 2}/{'b' * 32}.png"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.backup.mkdir(parents=True)
    return layout


def add(layout: Layout, data: bytes = b"an image") -> str:
    """The content hash of an image that is in the backup, with its line in the catalog."""
    content = xxhash.xxh3_128_hexdigest(data)
    (layout.root / "Can").mkdir(exist_ok=True)
    (layout.root / PATH).write_bytes(data)
    backup = Backup(layout.backup, FileSystem())
    backup.put(layout.root / PATH, content)
    backup.add_samples([("Can", PATH, content)], 1.0)
    return content


def lose(layout: Layout) -> None:
    for file in layout.backup.glob("objects/*/*"):
        file.unlink()


def test_what_the_catalog_or_the_journal_names_is_lost_unless_the_mirror_has_it(layout: Layout) -> None:
    content = add(layout)
    name = f"backup/objects/{content[:2]}/{content}.bin"
    assert find_lost(layout, [name], [], FileSystem()).nowhere == {}
    lose(layout)
    prepared = name.replace("objects", "prepared")
    assert find_lost(layout, [OTHER, prepared], [OTHER, prepared], FileSystem()).nowhere == {content: PATH}
    found = find_lost(layout, [], [name], FileSystem())
    assert (found.nowhere, found.in_mirror) == ({}, [name])
    (layout.backup / "catalog.jsonl").unlink()
    assert find_lost(layout, [], [], FileSystem()).nowhere == {}
    with contextlib.closing(Journal(layout.journal_db)) as journal, journal.commit():
        journal.agree([(make_uid(content, make_scope(1, "Can")), "Can", PATH)], 1.0)
    assert find_lost(layout, [], [], FileSystem()).nowhere == {content: PATH}


def test_what_a_push_has_added_since_the_backup_was_listed_is_not_lost(layout: Layout) -> None:
    add(layout)
    assert find_lost(layout, [], [], FileSystem()).nowhere == {}


def test_a_damaged_journal_hides_no_line_of_the_catalog(layout: Layout) -> None:
    content = add(layout)
    lose(layout)
    layout.journal_db.write_bytes(b"no database" * 1000)
    assert find_lost(layout, [], [], FileSystem()).nowhere == {content: PATH}


def test_a_copy_without_an_uploaded_image_is_not_whole(
    shell: Shell, photos: Path, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    assert shell("push", "--store", photos).code == 0
    whole, new = tmp_path / "whole", tmp_path / "new"
    whole.mkdir()
    new.mkdir()
    assert shell("backup", "mirror", whole, "--store", photos).code == 0
    content = xxhash.xxh3_128_hexdigest((photos / "Can/old/003.png").read_bytes())
    [lost] = Layout(photos).backup.glob(f"objects/*/{content}.*")
    lost.unlink()
    ran = shell("backup", "mirror", new, "--store", photos)
    assert ran.code == 3 and "7 objects copied" in ran.out and "1 failed" in ran.out, ran.out
    assert "! Can/old/003.png  (missing in the backup; to repair it: astica-sync backup verify" in ran.err
    assert "never" not in ran.out and "not in the mirror" not in ran.out, "it was uploaded"
    assert "1 object is not in the mirror" in shell("doctor", "--store", photos).out
    assert content not in (new / "files.jsonl").read_text()
    again = shell("backup", "mirror", whole, "--store", photos, "--verify", "all", "--json")
    assert (again.code, again.json["problems"], again.json["outside"], again.json["checked"]) == (0, [], 0, 8)
    assert content in (whole / "files.jsonl").read_text(), "the mirror has it"
    [kept] = whole.rglob(f"{content}.*")
    kept.write_bytes(b"damaged")
    damaged = shell("backup", "mirror", whole, "--store", photos, "--verify", "all", "--json")
    assert damaged.code == 3 and "missing in the backup" in damaged.json["problems"][0]["reason"]
    assert shell("backup", "verify", "--store", photos).code == 0
    assert shell("backup", "mirror", new, "--store", photos).code == 0
