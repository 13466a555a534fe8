"""The example notebooks run as they are, and hold neither outputs nor anything of the machine that wrote them."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def _cells(notebook: Path, kind: str) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def test_there_are_three_notebooks_and_the_page_on_python_names_them() -> None:
    page = (ROOT / "docs" / "python-api.md").read_text("utf-8")
    assert len(NOTEBOOKS) == 3
    assert set(re.findall(r"\(notebooks/([\w-]+\.ipynb)\)", page)) == {notebook.name for notebook in NOTEBOOKS}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs_and_begins_with_what_one_can_do_after_it(notebook: Path) -> None:
    for cell in _cells(notebook, "code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None
    first = "".join(_cells(notebook, "markdown")[0]["source"])
    assert re.match(r"# .+\n\nAfter this notebook you can ", first)
    assert not re.search(r"/(?:home|root|Users|work)/", notebook.read_text("utf-8"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_link_of_a_notebook_leads_somewhere(notebook: Path) -> None:
    for cell in _cells(notebook, "markdown"):
        for target in re.findall(r"\]\(([^)]+)\)", "".join(cell["source"])):
            assert (notebook.parent / target).is_file(), target


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for package in ("ipykernel", "pandas", "sklearn"):
        pytest.importorskip(package)
    # The kernel runs this program, whatever else is installed, and finds nothing of who runs the tests.
    for name in [name for name in os.environ if name.startswith("ASTICA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    book = nbformat.read(notebook, 4)
    nbformat.validate(book)
    resources = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=resources).execute()
    shown = [
        output["data"]["text/html"]
        for cell in book.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert any("mathjax_ignore" in html or "dataframe" in html for html in shown)
