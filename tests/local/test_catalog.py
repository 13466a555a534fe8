"""The catalog: one line per sample, which survives torn writes, strange names and other programs."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.local.backup.catalog import Catalog, CatalogEntry
from astica_sync.local.filesystem import FileSystem

# Names as a POSIX file system has them: any bytes but NUL and the slash, read as Python reads them.
NAMES = st.binary(min_size=1).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
ENTRIES = st.builds(
    CatalogEntry,
    class_title=st.text(st.characters(codec="utf-8")),
    path=NAMES,
    content=st.text("0123456789abcdef", min_size=32, max_size=32),
    extension=st.sampled_from(["png", "jpg", "bin"]),
    size=st.integers(0, 1 << 40),
    added_at=st.integers(0, 4_000_000_000).map(float),
)
ONE = CatalogEntry("Can", "Can/001.jpg", "0" * 32, "jpg", 17, 1700000000.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalog")


def fresh(folder: Path) -> Path:
    path = folder / "catalog.jsonl"
    path.unlink(missing_ok=True)
    return path


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=5))
def test_entries_with_any_names_are_read_as_they_were_added(folder: Path, entries: list[CatalogEntry]) -> None:
    path = fresh(folder)
    Catalog(path, FileSystem()).add(entries)
    assert list(Catalog(path, FileSystem())) == entries


@settings(deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=4), st.data())
def test_a_torn_line_costs_only_that_line(folder: Path, entries: list[CatalogEntry], data: st.DataObject) -> None:
    path = fresh(folder)
    Catalog(path, FileSystem()).add(entries)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    survivors = list(Catalog(path, FileSystem()))
    assert survivors == entries[: len(survivors)]
    assert len(survivors) >= whole[:cut].count(b"\n")

    Catalog(path, FileSystem()).add([ONE])
    assert list(Catalog(path, FileSystem())) == [*survivors, ONE]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80)))
def test_invalid_lines_are_skipped(folder: Path, nonsense: list[bytes]) -> None:
    path = fresh(folder)
    path.write_bytes(b"\n".join(nonsense) + b"\n")
    Catalog(path, FileSystem()).add([ONE])
    assert list(Catalog(path, FileSystem()))[-1] == ONE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content", "../../../etc/passwd"),
        ("content", "A" * 32),
        ("class", 7),
        ("path", None),
        ("extension", ["png"]),
        ("size", "large"),
        ("size", float("inf")),
        ("added_at", "yesterday"),
        ("added_at", 0),
    ],
)
def test_a_line_with_a_field_of_the_wrong_kind_is_no_line(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "catalog.jsonl"
    Catalog(path, FileSystem()).add([ONE])
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {field: value}) + "\n" + json.dumps(fields | {"later": True}) + "\n[]\n")
    assert list(Catalog(path, FileSystem())) == [ONE]
    path.write_text("[" * 100_000)
    assert list(Catalog(path, FileSystem())) == []


def test_a_line_is_readable_json(tmp_path: Path) -> None:
    path = tmp_path / "catalog.jsonl"
    Catalog(path, FileSystem()).add(
        [CatalogEntry("Büchse", "Büchse/zwei drei.jpg", "ab" * 16, "jpg", 17, 1700000000.9)]
    )
    assert path.read_text(encoding="utf-8") == (
        '{"class": "Büchse", "path": "Büchse/zwei drei.jpg", "content": "abababababababababababababababab", '
        '"extension": "jpg", "size": 17, "added_at": "2023-11-14T22:13:20Z"}\n'
    )


def test_an_empty_file_and_no_file_are_empty_catalogs(tmp_path: Path) -> None:
    path = tmp_path / "catalog.jsonl"
    catalog = Catalog(path, FileSystem())
    assert list(catalog) == []
    catalog.add([])
    assert not path.exists()
    path.touch()
    assert list(catalog) == []
    catalog.add([ONE])
    catalog.add([ONE])
    assert list(catalog) == [ONE, ONE]
    assert path.read_bytes().count(b"\n") == 2
