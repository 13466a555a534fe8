"""The one rule for JSON lines: what is no object is skipped, and a torn line costs no later one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import LONGEST_LINE, append_jsonl, read_jsonl, read_lines, read_small_json

FILES = FileSystem()
NAMES = st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
RECORDS = st.lists(st.dictionaries(NAMES, NAMES | st.integers() | st.none(), max_size=3), max_size=5)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "some.jsonl"


@settings(deadline=None)
@given(RECORDS, RECORDS, st.data())
def test_a_torn_append_costs_one_line_and_no_later_one(
    path: Path, first: list[dict[str, Any]], second: list[dict[str, Any]], data: st.DataObject
) -> None:
    path.unlink(missing_ok=True)
    append_jsonl(FILES, path, first)
    assert list(read_jsonl(FILES, path)) == first
    written = path.read_bytes() if first else b""
    cut = data.draw(st.integers(0, len(written)))
    path.write_bytes(written[:cut])
    survivors = list(read_jsonl(FILES, path))
    assert survivors == first[: len(survivors)]
    assert len(survivors) >= written[:cut].count(b"\n")

    append_jsonl(FILES, path, second)
    assert list(read_jsonl(FILES, path)) == survivors + second


def test_lines_that_are_not_objects_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_bytes(b'\n\n[1]\n"text"\n7\nnull\n{"a": 1}\n{"b": \xff}\n' + b"[" * 100_000 + b'\n{"c": 2}\r\n{"d"')
    assert list(read_jsonl(FILES, path)) == [{"a": 1}, {"c": 2}]
    assert b"" not in list(read_lines(FILES, path))


def test_a_missing_file_has_no_records_and_no_lines_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    assert list(read_jsonl(FILES, path)) == []
    with pytest.raises(FileNotFoundError):
        list(read_lines(FILES, path))
    append_jsonl(FILES, path, [])
    assert not path.exists()


def test_lines_longer_than_a_chunk_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    records = [{"text": "x" * 3_000_000}, {"text": "y"}]
    append_jsonl(FILES, path, records)
    assert list(read_jsonl(FILES, path)) == records
    assert [json.loads(line) for line in read_lines(FILES, path)] == records


def test_a_line_without_end_and_a_file_that_is_too_long_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jsonl"
    with path.open("wb") as file:
        file.truncate(LONGEST_LINE * 3)
    with pytest.raises(OSError, match="too long"):
        list(read_lines(FILES, path))
    with pytest.raises(OSError, match="too long"):
        read_small_json(FILES, path)
    path.write_text('{"a": 1}')
    assert read_small_json(FILES, path) == {"a": 1}
