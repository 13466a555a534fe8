"""The index and the journal for other programs: the documented tables, opened by the ``sqlite-utils`` command."""

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal

PAGE = (Path(__file__).parents[2] / "docs" / "dev" / "databases.md").read_text("utf-8")
_, INDEX, JOURNAL = re.split(r"^## The (?:index|journal)\n", PAGE, flags=re.MULTILINE)
SECTIONS = {"index": INDEX, "journal": JOURNAL}
COMMANDS = re.findall(r"^(sqlite-utils query .*)$", PAGE, re.MULTILINE)
# The command of the environment in which the tests run.
PROGRAM = Path(sys.executable).with_name("sqlite-utils")


def sqlite_utils(*args: str | Path, cwd: Path | None = None) -> Any:
    """What the command prints, which is JSON."""
    command = [str(PROGRAM), *map(str, args)]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


@pytest.mark.long
@pytest.mark.parametrize("name", SECTIONS)
def test_the_page_lists_every_table_and_column(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.db"
    (Index if name == "index" else Journal)(path).close()
    made = {
        row["name"]: re.findall(r"^ +\"?(\w+)\"? (\w+)|[(,] ?(\w+) (INTEGER|TEXT|BLOB|REAL)", row["sql"], re.MULTILINE)
        for row in sqlite_utils("query", path, "SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        if not row["name"].startswith(("sqlite_", "_"))
    }
    tables = {table: [(column, kind) for *_, column, kind in columns] for table, columns in made.items()}
    documented = {
        table: re.findall(r"^\| (\w+) \| ([A-Z]+) \| .+ \|$", text, re.MULTILINE)
        for table, text in zip(
            *[iter(re.split(r"^### (\w+)\n", SECTIONS[name], flags=re.MULTILINE)[1:])] * 2, strict=True
        )
    }
    assert documented == tables


@pytest.mark.long
def test_the_command_opens_both_files_after_a_push(pushed: Path) -> None:
    tables = {
        name: {
            row["table"]: row["count"] for row in sqlite_utils("tables", "--counts", pushed / f".astica-sync/{name}.db")
        }
        for name in SECTIONS
    }
    assert tables["index"].items() >= {"file": 5, "folder": 3}.items()
    assert tables["journal"].items() >= {"mark": 5, "history": 5, "bad": 0}.items()


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_each_query_of_the_page_runs(pushed: Path, command: str) -> None:
    rows = sqlite_utils(*shlex.split(command)[1:], cwd=pushed)
    if "FROM file" in command:
        assert [(row["class"], row["samples"]) for row in rows] == [("Bottle", 2), ("Can", 3)]
    elif "FROM history" in command:
        assert sum(row["number"] for row in rows if row["action"] == "upload" and row["outcome"] == "done") == 5
    else:
        assert rows == []


def test_the_page_has_each_earlier_format() -> None:
    rows = re.findall(r"^\| `(\d\d-\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    commits = runpy.run_path(str(Path(__file__).parents[2] / "fixtures" / "make_old_stores.py"))["COMMITS"]
    assert {name: new for name, new, *_ in rows} == {name: new for name, (_, new) in commits.items()}
    # That the present version opens each of them is tested in tests/cli/test_older_stores.py.
    assert {(opened, restored.partition(";")[0]) for _, _, opened, restored in rows} == {("opens it", "yes")}
