"""The page about the sandbox lists every switch and fault, and its examples work as printed."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from astica_sync.sandbox.http.faults import CALLS, FaultKind
from astica_sync.sandbox.switches import Switches

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    """The tables below a heading: the first cell's code, and what is marked as code in the second."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| `([^`]+)` \|([^|]*)\|", part, re.MULTILINE)
    return {name: re.findall(r"`([^`]+)`", values) for name, values in cells}


def test_every_switch_is_described_with_all_its_values_in_order():
    described = rows("Switches")
    assert list(described) == [one.name for one in fields(Switches)]
    for one in fields(Switches):
        if "choices" in one.metadata:
            assert tuple(described[one.name]) == one.metadata["choices"], one.name


def test_every_fault_and_every_call_is_described():
    assert list(rows("Faults")) == [str(kind) for kind in FaultKind]
    assert all(f"`{call}`" in PAGE for call in (*CALLS, "*"))


def test_the_python_example_works():
    example = PAGE.partition("```python\n")[2].partition("```")[0]
    exec(compile(example, "docs/sandbox.md", "exec"), {})


def test_the_start_prints_what_the_page_shows():
    shown = PAGE.partition("$ astica-sync sandbox\n")[2].partition("```")[0]
    program = [sys.executable, "-m", "astica_sync", "sandbox", "--port", "0"]
    environ = {name: value for name, value in os.environ.items() if name != "ASTICA_API_KEY"}
    with subprocess.Popen(program, stdout=subprocess.PIPE, env=environ, text=True) as process:
        assert process.stdout is not None
        printed = "".join(process.stdout.readline() for _ in shown.splitlines())
        process.send_signal(signal.SIGINT)
    assert re.sub(r"API_KEY=.+", "API_KEY=…", re.sub(r":\d+", ":8777", printed)) == shown
