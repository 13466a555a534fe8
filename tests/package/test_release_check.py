"""What ``make release-check`` installs, without the installing."""

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from release import check

ROOT = Path(__file__).parents[2]


def commands_of(monkeypatch: pytest.MonkeyPatch, step: Callable[[], Any]) -> list[list[str]]:
    """The commands of a step of the check, which are recorded and not run."""
    recorded: list[list[str]] = []

    def record(command: Sequence[str], *_more: object) -> str:
        recorded.append([str(word) for word in command])
        return ""

    monkeypatch.setattr(check, "run", record)
    step()
    return recorded


def test_the_list_of_parts_is_of_an_installation_with_every_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbom.cdx.json").write_text(json.dumps({"components": []}))
    monkeypatch.setattr(check, "DIST", tmp_path)
    commands = commands_of(monkeypatch, lambda: check.write_sbom(tmp_path, tmp_path / "one.whl", tmp_path))
    installed = [re.search(r"one\.whl\[(.*)\]$", word) for command in commands for word in command]
    extras = [found[1].split(",") for found in installed if found is not None]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras == [sorted(declared)]


def test_the_extras_are_those_that_the_project_declares(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project.optional-dependencies]\nred = []\nblue = ["numpy"]\n')
    assert check.every_extra(tmp_path) == "[blue,red]"
