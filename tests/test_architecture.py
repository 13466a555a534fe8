"""The house: which part may know which other, and what each part may not touch at all.

``find_faults`` reads the source alone; it is run on the package, and on copies of its files with one wrong line each.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import generate
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "astica_sync"
MOST_LINES = 400

# Who may import whom; a part always knows itself. What stands at the top by itself is a part of one file.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "secret": set(),
    "clock": {"errors"},
    "config": {"errors", "secret"},
    "core": set(),
    "local": {"core", "errors", "clock"},
    "remote": {"core", "errors", "clock", "secret"},
    "sync": {"core", "local", "remote", "errors", "clock"},
    "training": {"core", "local", "remote", "errors", "clock"},
    "sandbox": set(),
    "open_session": {"core", "local", "remote", "sync", "config", "errors", "clock", "secret"},
    "api": {"core", "local", "remote", "sync", "training", "open_session", "config", "errors", "clock", "secret"},
    "cli": {
        "core",
        "local",
        "remote",
        "sync",
        "training",
        "sandbox",
        "open_session",
        "api",
        "config",
        "errors",
        "clock",
    }
    | {"secret", "version"},
    "entry": {"cli"},
    "version": {"api"},
}
NAMES = {"__main__": "entry", "__init__": "version"}

# What only some may use: a folder of the package, or one file of it.
HOMES: dict[str, set[str]] = {
    "click": {"cli"},
    "filelock": {"local", "remote"},
    "httpcore": {"remote"},
    "httpx": {"remote"},
    "keyring": {"config"},
    "msgspec": {"remote"},
    "imagehash": {"training"},
    "numpy": {"sandbox", "training"},
    "pathspec": {"local/scan/ignore"},
    "PIL": {"local/image/decoder_process", "training", "sandbox", "cli/start/demo"},
    "platformdirs": {"config"},
    "prometheus_client": {"cli/render/metrics"},
    "rich": {"cli"},
    "scipy": {"training"},
    "sklearn": {"training", "sandbox", "cli/start/demo"},
    "sqlite3": {"local", "remote/rate_limit_db", "remote/rate_limiter", "sandbox"},
    "sqlite_utils": {"local"},
    "starlette": {"sandbox"},
    "urllib.request": {"remote", "sandbox"},
    "uvicorn": {"sandbox"},
    "watchdog": {"sync"},
    "xxhash": {"local"},
}
# The packages whose name is not that of their module.
PACKAGES = {
    "PIL": "pillow",
    "prometheus_client": "prometheus-client",
    "sklearn": "scikit-learn",
    "sqlite_utils": "sqlite-utils",
}

# Nothing here can see a clock, a disk, the network or dice.
PURE = {
    "array",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "hashlib",
    "itertools",
    "math",
    "operator",
    "re",
    "typing",
    "unicodedata",
}

# A command is named by its module and loaded when it is used.
LOADED_LATER = re.compile(r"(astica_sync(\.\w+)+):\w+")

VAGUE = re.compile(r"(utils?|helpers?|common|manager|misc)")
# Folders of somebody's machine. /proc, /etc and the like are the operating system's interface.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(home|root|work|Users|mnt|opt|srv|tmp)(/|\b)")


def find_faults(package: Path) -> list[str]:
    """Everything in the package that goes against the house; one line each."""
    files = sorted(package.rglob("*.py"))
    return [fault for file in files for fault in _faults_of(file, file.relative_to(package).with_suffix(""))]


def _faults_of(file: Path, module: Path) -> Iterator[str]:
    text = file.read_text("utf-8")
    place = module.as_posix()
    part = _part_of(module.parts)
    if part not in ARROWS:
        yield f"{place}: {part} has no place in the house"
        return
    tree = ast.parse(text)
    for name in _imports(tree):
        yield from (f"{place}: {fault}" for fault in _import_faults(part, place, name))
    if VAGUE.fullmatch(module.name) or any(VAGUE.fullmatch(word) for word in module.name.split("_")):
        yield f"{place}: a name that says nothing"
    if (lines := len(text.splitlines())) > MOST_LINES:
        yield f"{place}: {lines} lines"
    if any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree)):
        yield f"{place}: print"
    if found := MACHINE_PATH.search(text):
        yield f"{place}: a path of some machine: {found[0]}"


def _part_of(parts: tuple[str, ...]) -> str:
    return NAMES.get(parts[0], parts[0])


def _imports(tree: ast.AST) -> Iterator[str]:
    """Every imported module, those for type checkers included, with what is taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and (found := LOADED_LATER.fullmatch(str(node.value))):
            yield found[1]


def _import_faults(part: str, place: str, name: str) -> Iterator[str]:
    top, *below = name.split(".")
    if top == "astica_sync":
        # ``from astica_sync import local`` is the same arrow as ``import astica_sync.local``.
        target = below[0] if below and below[0] in ARROWS else "version"
        if target != part and target not in ARROWS[part]:
            yield f"{part} must not know {target} ({name})"
        return
    if part == "core" and top not in PURE:
        yield f"core is pure and knows no {top}"
    homes = HOMES.get(top)
    for module, allowed in HOMES.items():
        if name == module or name.startswith(f"{module}."):
            homes = allowed
    if homes is not None:
        if not any(place == home or place.startswith(f"{home}/") for home in homes):
            yield f"{top} belongs to {', '.join(sorted(homes))}"
    elif top not in sys.stdlib_module_names:
        yield f"{top} has no home: name the parts that may use it"


def test_every_import_goes_along_the_arrows() -> None:
    assert find_faults(PACKAGE) == []


def test_the_design_draws_the_same_arrows() -> None:
    house = (
        (ROOT / "docs" / "dev" / "design.md")
        .read_text("utf-8")
        .partition("| part | may know |")[2]
        .partition("\n\n")[0]
    )
    drawn: dict[str, set[str]] = {}
    for parts, known in re.findall(r"^\| (`.+?) \| (.+) \|$", house, re.MULTILINE):
        for part in re.findall(r"`(\w+)`", parts):
            drawn[part] = ARROWS["cli"] if known == "everything" else set(re.findall(r"`(\w+)`", known))
    assert drawn == {part: known for part, known in ARROWS.items() if part not in NAMES.values()}


def test_the_design_names_every_file_where_it_lives() -> None:
    design = (ROOT / "docs" / "dev" / "design.md").read_text("utf-8")
    assert generate.with_tree(design) == design, "run make docs"


def test_every_package_that_is_imported_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[^\w.-]", line)[0].lower() for lines in lists for line in lines}
    imported = {
        name.split(".")[0]
        for file in PACKAGE.rglob("*.py")
        for name in _imports(ast.parse(file.read_text("utf-8")))
        if name.split(".")[0] in HOMES and name.split(".")[0] not in sys.stdlib_module_names
    }
    assert {PACKAGES.get(name, name) for name in imported} - declared == set()


@pytest.mark.parametrize(
    ("place", "line", "fault"),
    [
        ("core/plan/planner.py", "from astica_sync.errors import AsticaSyncError", "core must not know errors"),
        ("core/plan/planner.py", "from astica_sync.local.db.index import Index", "core must not know local"),
        ("core/rate_limit.py", "import time", "core is pure and knows no time"),
        ("core/rate_limit.py", "    from random import random", "core is pure and knows no random"),
        ("core/model.py", "from pathlib import Path", "core is pure and knows no pathlib"),
        ("core/plan/guard.py", "import os.path", "core is pure and knows no os"),
        ("local/scan/directory_diff.py", "from astica_sync import remote", "local must not know remote"),
        ("local/scan/directory_diff.py", "    import astica_sync.config", "local must not know config"),
        ("local/filesystem.py", "import httpx", "httpx belongs to remote"),
        ("remote/client.py", "from astica_sync.local.backup.backup import Backup", "remote must not know local"),
        ("remote/client.py", "import sqlite3", "sqlite3 belongs to"),
        ("sync/push/push.py", "from astica_sync.cli.render.text import safe", "sync must not know cli"),
        ("sync/push/push.py", "import sqlite3", "sqlite3 belongs to"),
        ("training/train.py", "from astica_sync.sync.session import Session", "training must not know sync"),
        (
            "sandbox/http/endpoints.py",
            "from astica_sync.remote.responses import parse_view",
            "sandbox must not know remote",
        ),
        ("sandbox/http/endpoints.py", "from astica_sync.errors import Refused", "sandbox must not know errors"),
        ("sandbox/images.py", "import httpx", "httpx belongs to remote"),
        ("errors.py", "from astica_sync.clock import Clock", "errors must not know clock"),
        ("secret.py", "import astica_sync.errors", "secret must not know errors"),
        ("config.py", "from astica_sync.local.layout import STATE_DIR", "config must not know local"),
        ("clock.py", 'LATER = "astica_sync.cli.main:main"', "clock must not know cli"),
        ("cli/daily/log.py", "import requests", "requests has no home"),
        ("cli/daily/log.py", "print('done')", "print"),
        ("cli/daily/log.py", "show = print", "print"),
        ("cli/daily/log.py", "# see /home/" + "ada/notes", "a path of some machine"),
        ("local/file_utils.py", "", "a name that says nothing"),
        ("local/manager.py", "", "a name that says nothing"),
        ("weather/rain.py", "", "weather has no place in the house"),
        ("sync/long.py", "\n" * MOST_LINES, "401 lines"),
    ],
)
def test_a_wrong_line_is_found(tmp_path: Path, place: str, line: str, fault: str) -> None:
    right = PACKAGE / place
    wrong = tmp_path / place
    wrong.parent.mkdir(parents=True, exist_ok=True)
    before = right.read_text("utf-8") if right.exists() else ""
    within = f"def late() -> None:\n{line}" if line.startswith(" ") else line
    wrong.write_text(f"{before}\n{within}\n" if before else f"{within}\n", "utf-8")

    found = find_faults(tmp_path)

    assert len(found) == 1
    assert found[0].startswith(f"{place.removesuffix('.py')}: ")
    assert fault in found[0]


def test_help_is_there_before_anything_heavy_is_loaded() -> None:
    heavy = (set(HOMES) | {"ssl", "sqlite3"}) - {"click"}
    program = "import sys; from astica_sync.cli.main import run; run(['--help']); sys.exit(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("Usage: astica-sync")
    assert heavy & set(ended.stderr.split()) == set()
