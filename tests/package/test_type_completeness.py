"""The types of the package, as a program that installs it sees them."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAST = 0.95


@pytest.mark.long
@pytest.mark.skipif(
    importlib.util.find_spec("pyright") is None or shutil.which("node") is None,
    reason="pyright or node is not installed",
)
def test_the_types_of_the_package_are_complete(tmp_path: Path) -> None:
    # Pyright verifies what is installed, and an editable installation is not.
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    shutil.copytree(ROOT / "astica_sync", site / "astica_sync", ignore=shutil.ignore_patterns("__pycache__"))
    environ = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "VIRTUAL_ENV": str(environment),
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "pyright", "--ignoreexternal", "--outputjson", "--verifytypes", "astica_sync"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    found = json.loads(ended.stdout)["typeCompleteness"]
    assert sum(found["exportedSymbolCounts"].values()) > 5_000, ended.stdout[-2_000:]
    assert found["completenessScore"] >= LEAST
