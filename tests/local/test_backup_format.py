"""The commands in docs/backup-format.md do what the page says, with nothing of this program."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import xxhash

from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import Catalog, CatalogEntry
from astica_sync.local.filesystem import FileSystem

PAGE = (Path(__file__).parents[2] / "docs" / "backup-format.md").read_text(encoding="utf-8")
COPY, PYTHON, JQ, XXHSUM = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
FILES = {"Can/001.jpg": b"one", "Can/old/zwei drei.jpg": b"two", "Büchse/eins.png": b"three", "Bottle/same.jpg": b"one"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of which only the backup is left."""
    state = tmp_path / "store" / ".astica-sync"
    state.mkdir(parents=True, exist_ok=True)
    backup = Backup(state / "backup", FileSystem())
    for path, data in FILES.items():
        (tmp_path / "source").write_bytes(data)
        content = xxhash.xxh3_128(data).hexdigest()
        backup.put(tmp_path / "source", content)
        backup.add_samples([(path.partition("/")[0], path, content)], at=0)
    with open(backup.root / "catalog.jsonl", "ab") as catalog:
        catalog.write(b'{"class": "Can", "path": "Can/to')
    return tmp_path / "store"


def run(command: str, store: Path, needs: str) -> str:
    if shutil.which(needs) is None:
        pytest.skip(f"no {needs} here")
    folder = store / ".astica-sync" / "backup"
    return subprocess.run(["sh", "-euc", command], cwd=folder, check=True, capture_output=True, text=True).stdout


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_cp_gets_every_image_back(store: Path) -> None:
    run(COPY, store, "cp")
    assert sorted(files(store / "everything").values()) == sorted(set(FILES.values()))


def test_python_alone_gets_the_class_folders_back(store: Path) -> None:
    run(PYTHON, store, "python3")
    assert files(store / "classes") == FILES


def test_jq_gets_one_class_back(store: Path) -> None:
    run(JQ, store, "jq")
    assert files(store / "one-class") == {path: data for path, data in FILES.items() if path.startswith("Can/")}


def test_xxhsum_finds_what_is_broken(store: Path) -> None:
    assert run(XXHSUM, store, "xxhsum") == ""
    broken = next((store / ".astica-sync" / "backup").glob("objects/*/*.bin"))
    broken.write_bytes(b"damaged")
    assert run(XXHSUM, store, "xxhsum") == f"broken: {broken.relative_to(store / '.astica-sync' / 'backup')}\n"


def test_the_line_on_the_page_is_a_line_of_the_catalog(tmp_path: Path) -> None:
    (line,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "catalog.jsonl").write_text(line)
    (entry,) = Catalog(tmp_path / "catalog.jsonl", FileSystem())
    assert entry == CatalogEntry(
        "Can", "Can/old/003.png", "8e81f6a8f3dd42f88f4f6e9cf4f6a1aa", "png", 48213, entry.added_at
    )
    Catalog(tmp_path / "again.jsonl", FileSystem()).add([entry])
    assert (tmp_path / "again.jsonl").read_text() == line
