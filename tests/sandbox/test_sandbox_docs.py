"""The page about the sandbox names everything that can be set."""

import re
from dataclasses import fields
from pathlib import Path

from astica_sync.sandbox.http.faults import CALLS, FaultKind
from astica_sync.sandbox.options import Switches

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
