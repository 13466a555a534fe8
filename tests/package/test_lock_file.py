"""The lock file for development is that of pyproject.toml, and no file names a registry of one machine."""

import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HOSTS = {"pypi.org", "files.pythonhosted.org"}
URL = re.compile(r"\b(?:https?|file)://([^/\s\"']*)")
NAMED_REGISTRY = re.compile(
    r"(?i)(?:--(?:default-)?index|(?:extra-)?index-url|find-links|registry)[\"']?\s*[=: ]\s*[\"']?((?:https?|file)://[^\s\"'),}]+)"
)
OTHERS = re.compile(r"https://(?:pypi\.org|registry\.npmjs\.org|files\.pythonhosted\.org)(?:/|$)")

Requirement = tuple[str, str, frozenset[str], str]


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))


def _parsed(lines: Iterable[str], part: str) -> Iterator[Requirement]:
    for line in lines:
        found = re.fullmatch(r"([\w.-]+)(?:\[([\w,-]+)\])?(.*)", line)
        assert found is not None
        yield found[1], part, frozenset((found[2] or "").split(",")) - {""}, found[3]


def _wanted() -> set[Requirement]:
    settings = _read(ROOT / "pyproject.toml")
    wanted = set(_parsed(settings["project"]["dependencies"], ""))
    for tables in (settings["project"]["optional-dependencies"], settings["dependency-groups"]):
        for part, lines in tables.items():
            wanted |= set(_parsed(lines, part))
    return wanted


def _locked() -> set[Requirement]:
    (package,) = (one for one in _read(ROOT / "uv.lock")["package"] if one["name"] == "astica-sync")
    metadata = package["metadata"]
    entries = [(one, re.sub(r"extra == '(.*)'", r"\1", one.get("marker", ""))) for one in metadata["requires-dist"]]
    entries += [(one, group) for group, found in metadata["requires-dev"].items() for one in found]
    return {(one["name"], part, frozenset(one.get("extras", ())), one.get("specifier", "")) for one, part in entries}


def find_named_registries(text: str) -> list[str]:
    """The addresses of registries in a text, those of the public ones apart."""
    return [address for address in NAMED_REGISTRY.findall(text) if not OTHERS.match(address)]


def test_the_lock_file_is_of_these_dependencies() -> None:
    assert _locked() == _wanted(), "run: make lock"


def test_the_lock_file_names_public_registries_alone() -> None:
    assert set(URL.findall((ROOT / "uv.lock").read_text("utf-8"))) == HOSTS


def test_no_file_names_the_registry_of_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no clone")
    for name in listed.stdout.decode().split("\0"):
        file = ROOT / name
        if name and file.suffix not in (".png", ".ipynb") and file.is_file() and file != Path(__file__):
            assert find_named_registries(file.read_text("utf-8", "replace")) == [], name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pip install --index-url https://mirror.example.org/simple x", ["https://mirror.example.org/simple"]),
        ("--extra-index-url=http://10.0.0.1/simple", ["http://10.0.0.1/simple"]),
        ("find-links = 'file:///wheels'", ["file:///wheels"]),
        ('{ registry = "https://mirror.example.org/simple" }', ["https://mirror.example.org/simple"]),
        ("registry=https://npm.example.org/", ["https://npm.example.org/"]),
        ('{ registry = "https://pypi.org/simple" }', []),
        ('index-url = "https://pypi.org.example.org/"', ["https://pypi.org.example.org/"]),
        ("uv add --index https://mirror.example.org/simple x", ["https://mirror.example.org/simple"]),
        ("the index: https://example.org", []),
    ],
)
def test_a_registry_of_a_machine_is_found(text: str, found: list[str]) -> None:
    assert find_named_registries(text) == found
