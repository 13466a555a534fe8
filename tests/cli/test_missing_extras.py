"""Commands whose extra is not installed say which one it is and how to install it."""

import builtins
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from astica_sync.cli.main import EXTRAS, _as_error
from tests.harness.shell import Shell

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {"prometheus_client": "prometheus-client", "sklearn": "scikit-learn"}


@pytest.mark.parametrize("module", EXTRAS)
def test_the_extra_that_is_named_brings_the_module(module: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = [one.partition(">")[0] for one in project["optional-dependencies"][EXTRAS[module]]]
    assert DISTRIBUTIONS.get(module, module) in names


def test_each_extra_is_in_the_page_about_installing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    assert [name for name in project["optional-dependencies"] if f"| `{name}` |" not in page] == []


def test_a_module_of_an_extra_is_not_called_a_broken_installation() -> None:
    shown = _as_error(ModuleNotFoundError("No module named 'sklearn.metrics'", name="sklearn.metrics"))
    assert str(shown) == "this command needs sklearn.metrics, which is not installed"
    assert shown.hint == "Run: pip install 'astica-sync[evaluate]'"
    assert "install it again" in _as_error(ModuleNotFoundError("No module named 'httpx'", name="httpx")).hint


@pytest.mark.parametrize("flags", [[], ["--page"]])
def test_the_demo_without_its_extra_names_it(shell: Shell, flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if name.startswith("astica_sync.sandbox"):
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return original(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    ran = shell("demo", *flags)
    assert ran.code == 1
    assert "the demo needs uvicorn, which is not installed" in ran.err
    assert "pip install 'astica-sync[sandbox]'" in ran.err
