"""The architecture: which part may import which, which libraries belong where, how files and folders are cut.

``find_faults`` and its like read the source alone; they run on the package, and on copies of its files with one wrong
line each.
"""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import generate
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "astica_sync"
# Size is a smell, not a fault: a long file is a question, one this long is an answer.
MOST_LINES = 600
MOST_FILES = 12
MOST_PARAMETERS = 6

# Which part may import which; a part may always import itself. A file at the top is a part by itself.
ARROWS: dict[str, set[str]] = {
    "service_address": set(),
    "errors": set(),
    "secret": set(),
    "bucket": {"core", "local", "sync", "errors", "store_trust", "system", "shell_quote"},
    "shell_quote": {"core"},
    "clock": {"errors"},
    "sqlite": {"errors", "file_owner", "system", "shell_quote"},
    "file_owner": {"errors", "shell_quote"},
    "system": {"errors", "file_owner", "shell_quote"},
    "config": {"core", "service_address", "errors", "secret", "file_owner", "system", "shell_quote"},
    "store_trust": {"service_address", "errors", "file_owner", "system", "shell_quote"},
    "core": set(),
    "local": {"core", "errors", "clock", "sqlite", "file_owner", "system", "shell_quote"},
    "remote": {"core", "service_address", "errors", "clock", "secret", "sqlite", "system"},
    "sync": {"core", "local", "remote", "errors", "clock", "shell_quote"},
    "training": {
        "core",
        "local",
        "remote",
        "service_address",
        "errors",
        "clock",
        "system",
        "features",
        "likeness",
        "shell_quote",
    },
    "features": {"errors"},
    "likeness": set(),
    "executor": {"core", "errors", "system"},
    "inspect": {
        "bucket",
        "core",
        "executor",
        "local",
        "sync",
        "training",
        "features",
        "likeness",
        "errors",
        "clock",
        "shell_quote",
    },
    "sandbox": {"sqlite", "file_owner", "features"},
    "open_session": {
        "bucket",
        "core",
        "local",
        "remote",
        "sync",
        "config",
        "store_trust",
        "service_address",
        "system",
        "errors",
        "clock",
        "secret",
        "file_owner",
    },
    "api": {
        "bucket",
        "core",
        "local",
        "remote",
        "sync",
        "training",
        "open_session",
        "config",
        "errors",
        "clock",
        "secret",
        "system",
    },
    "exchange": {"bucket", "core", "local", "sync", "page", "errors", "clock", "file_owner", "system", "shell_quote"},
    "page": {
        "bucket",
        "core",
        "local",
        "sync",
        "training",
        "open_session",
        "api",
        "config",
        "errors",
        "clock",
        "service_address",
        "file_owner",
        "sqlite",
        "system",
        "features",
    },
    "inbox": {
        "core",
        "local",
        "sync",
        "exchange",
        "mirror",
        "errors",
        "file_owner",
        "system",
    },
    "mirror": {"bucket", "core", "local", "clock", "errors", "service_address", "shell_quote", "system"},
    "doctor": {
        "bucket",
        "core",
        "local",
        "remote",
        "sync",
        "secret",
        "mirror",
        "open_session",
        "config",
        "store_trust",
        "service_address",
        "system",
        "shell_quote",
        "sqlite",
        "errors",
        "clock",
    },
    "cli": {
        "bucket",
        "core",
        "local",
        "remote",
        "sync",
        "training",
        "sandbox",
        "page",
        "exchange",
        "doctor",
        "executor",
        "inspect",
        "inbox",
        "mirror",
        "open_session",
        "api",
        "config",
        "errors",
        "clock",
    }
    | {"service_address", "secret", "store_trust", "file_owner", "sqlite", "system", "shell_quote", "version"},
    "entry": {"cli"},
    "version": {"api"},
}
NAMES = {"__main__": "entry", "__init__": "version"}

# What only some may use: a folder of the package, or one file of it.
HOMES: dict[str, set[str]] = {
    "click": {"cli"},
    "dask": {"executor/dask_cluster"},
    "distributed": {"executor/dask_cluster"},
    "filelock": {"local", "remote", "system/native_lock", "doctor/check_disk", "doctor/probe/probe_lock"},
    "httpcore": {"remote"},
    "httpx": {"remote", "bucket/s3_lister"},
    "idna": {"service_address"},
    "keyring": {"config"},
    "msgspec": {"remote"},
    "numpy": {"sandbox", "training", "features", "likeness", "inspect", "page"},
    "obstore": {"bucket"},
    "onnx": {"features/efficientnet"},
    "onnxruntime": {"features/extractor"},
    "pandas": {"api"},
    "pathspec": {"local/scan/ignore"},
    "PIL": {
        "local/image/check_and_render",
        "local/image/decoder_process",
        "local/image/prepare/encode",
        "local/image/prepare/kept_metadata",
        "local/image/prepare/open_source",
        "local/image/prepare/plain_colours",
        "local/image/prepare/prepare_process",
        "local/image/raster_process",
        "local/image/thumbnail_process",
        "training",
        "features",
        "inspect/html_report",
        "sandbox",
        "cli/start/demo",
        "doctor/probe/images",
    },
    "pi_heif": {"local/image/prepare/open_source"},
    "platformdirs": {"config", "system"},
    "prometheus_client": {"cli/watch/watch_metrics"},
    "psycopg": {"remote/shared_budget/postgres_server"},
    "pyarrow": {"exchange/layouts/hugging_face_parquet", "cli/training/predictions_file"},
    "redis": {"remote/shared_budget/redis_server"},
    "rich": {"cli"},
    "scipy": {"training"},
    "simplejpeg": {"local/image/strict_jpeg", "local/image/thumbnail_process"},
    "sklearn": {"training", "sandbox", "cli/start/demo"},
    "sqlite3": {
        "local",
        "page/changes/change_log",
        "sqlite",
        "remote/rate_limit_db",
        "remote/rate_limiter",
        "sandbox",
        "doctor",
    },
    "sqlite_utils": {"local", "page/changes/change_log"},
    "starlette": {"sandbox", "page"},
    "urllib.request": {"remote", "sandbox"},
    "uvicorn": {"sandbox", "page"},
    "watchdog": {"sync"},
    "xxhash": {"bucket", "local", "mirror", "page", "exchange", "inbox"},
}
# The packages whose name is not that of their module.
PACKAGES = {
    "PIL": "pillow",
    "pi_heif": "pi-heif",
    "prometheus_client": "prometheus-client",
    "sklearn": "scikit-learn",
    "sqlite_utils": "sqlite-utils",
}

# None of these gives access to a clock, a disk, the network or random numbers.
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

VAGUE = re.compile(r"utils?|helpers?|common|manager|misc|stuff|others?|rest|more|parts?|leftovers?|extras?|old|new|\d+")
# Folders of one machine. /proc, /etc and the like are the operating system's interface.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(home|root|work|Users|mnt|opt|srv|tmp)(/|\b)")


@cache
def parse(source: str) -> ast.Module:
    """The syntax tree of a text; that of the same text is made once for all tests."""
    return ast.parse(source)


def find_faults(package: Path) -> list[str]:
    """Everything in the package that breaks a rule; one line each."""
    files = sorted(package.rglob("*.py"))
    return [fault for file in files for fault in _faults_of(file, file.relative_to(package).with_suffix(""))]


def _faults_of(file: Path, module: Path) -> Iterator[str]:
    text = file.read_text("utf-8")
    place = module.as_posix()
    part = _part_of(module.parts)
    if part not in ARROWS:
        yield f"{place}: {part} has no place in the architecture"
        return
    tree = parse(text)
    for name in _imports(tree):
        yield from (f"{place}: {fault}" for fault in _import_faults(part, place, name))
    if VAGUE.fullmatch(module.name) or any(VAGUE.fullmatch(word) for word in module.name.split("_")):
        yield f"{place}: a name that says nothing"
    if (lines := len(text.splitlines())) > MOST_LINES:
        yield f"{place}: {lines} lines"
    if any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree)):
        yield f"{place}: print"
    yield from (f"{place}: {name} is private to a library" for name in _private_attributes_of_libraries(tree))
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


def _modules(package: Path) -> dict[str, ast.Module]:
    """The syntax tree of each module, by its full name."""
    trees = {}
    for file in sorted(package.rglob("*.py")):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        trees[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = parse(file.read_text("utf-8"))
    return trees


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes, those apart that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from _runtime_nodes(child)


def _import_graph(package: Path) -> dict[str, set[str]]:
    """Which modules of the package each module imports, when it is loaded or later."""
    trees = _modules(package)
    graph: dict[str, set[str]] = {}
    for module, tree in trees.items():
        imported: set[str] = set()
        for node in _runtime_nodes(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                imported |= {name if name in trees else node.module for name in whole}
        graph[module] = (imported & trees.keys()) - {module}
    return graph


def find_circles(package: Path) -> list[str]:
    """The modules that import each other, directly or through others; one line for each circle."""
    graph = _import_graph(package)
    reached: dict[str, set[str]] = {}
    for module in graph:
        found: set[str] = set()
        waiting = [*graph[module]]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += graph[name]
        reached[module] = found
    circles = {
        " - ".join(sorted({module, *(other for other in reached[module] if module in reached[other])}))
        for module in graph
        if module in reached[module]
    }
    return sorted(circles)


def find_crowded_folders(package: Path) -> list[str]:
    """The folders with too many files side by side."""
    counts = {
        folder.relative_to(package).as_posix(): sum(file.name != "__init__.py" for file in folder.glob("*.py"))
        for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]
    }
    return [f"{folder}: {count} files" for folder, count in sorted(counts.items()) if count > MOST_FILES]


def find_long_signatures(package: Path) -> list[str]:
    """The functions with many parameters whose docstring gives no reason in a sentence with the word "parameters".

    The receiver of a method does not count, a constructor's reason is in the docstring of its class, and the options of
    a command are its users' business.
    """
    found = []
    for module, tree in _modules(package).items():
        for owner in ast.walk(tree):
            for node in ast.iter_child_nodes(owner):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_command(node):
                    continue
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                count = len(arguments) - (isinstance(owner, ast.ClassDef) and _has_receiver(node))
                documented = owner if isinstance(owner, ast.ClassDef) and node.name == "__init__" else node
                if count > MOST_PARAMETERS and " parameters" not in (ast.get_docstring(documented) or ""):
                    name = f"{owner.name}.{node.name}" if isinstance(owner, ast.ClassDef) else node.name
                    found.append(f"{module}:{name}: {count} parameters")
    return sorted(found)


def _has_receiver(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return not any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)


def find_repeated_names(package: Path) -> list[str]:
    """The public names of classes and of types that stand for different things in several places; one line each.

    A type that is spelled in the same way everywhere (``Floats``) is one thing.
    """
    places: dict[str, dict[str, str]] = {}
    for module, tree in _modules(package).items():
        for name, line, meaning in _types_in(tree):
            if not name.startswith("_"):
                place = f"{module}:{line}"
                places.setdefault(name, {})[place] = meaning or place
    return [
        f"{name}: {', '.join(sorted(found))}" for name, found in sorted(places.items()) if len({*found.values()}) > 1
    ]


def _types_in(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """The name and line of each class, and of each name of a type at the top, with what that stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno, ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name):
                yield name, node.lineno, ast.unparse(node.value)


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("click." in ast.unparse(decorator) for decorator in node.decorator_list)


def _private_attributes_of_libraries(tree: ast.Module) -> Iterator[str]:
    """Attributes with a leading underscore that belong to a library: in a file that imports one, those of any object
    but self; in a subclass of a library's class, also those of self that the library's class uses."""
    libraries = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.split(".")[0] not in ("astica_sync", *sys.stdlib_module_names)
    }
    if not libraries:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_of_self(node):
            yield ast.unparse(node)
        if isinstance(node, ast.ClassDef):
            own = _private_names_of_self(node)
            for base in node.bases:
                if isinstance(base, ast.Attribute) and ast.unparse(base.value) in libraries:
                    library = importlib.import_module(libraries[ast.unparse(base.value)])
                    yield from (f"{node.name}.{name}" for name in sorted(own & _names_used_by(library, base.attr)))


def _names_used_by(library: ModuleType, name: str) -> set[str]:
    return {
        used
        for kind in getattr(library, name).__mro__
        for function in vars(kind).values()
        if inspect.isfunction(function)
        for used in function.__code__.co_names
        if _is_private(used)
    }


def _private_names_of_self(tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and _is_of_self(node)
    }


def _is_of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in ("_make", "_replace")  # of a NamedTuple


def test_every_import_goes_along_the_arrows() -> None:
    assert find_faults(PACKAGE) == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert find_circles(PACKAGE) == []


def test_no_folder_has_more_than_twelve_files() -> None:
    assert find_crowded_folders(PACKAGE) == []


def test_a_function_with_many_parameters_gives_its_reason() -> None:
    assert find_long_signatures(PACKAGE) == []


def test_a_name_stands_for_one_class() -> None:
    assert find_repeated_names(PACKAGE) == []


@pytest.mark.parametrize("importing", ["from pack.b import f", "    import pack.b", "import pack.b.c"])
def test_a_circle_is_found(tmp_path: Path, importing: str) -> None:
    package = tmp_path / "pack"
    (package / "b").mkdir(parents=True)
    (package / "a.py").write_text(f"def late():\n{importing}\n" if importing.startswith(" ") else f"{importing}\n")
    back = "from pack import a\n"
    (package / "b" / "__init__.py").write_text("" if importing.endswith(".c") else back)
    (package / "b" / "c.py").write_text(back if importing.endswith(".c") else "")
    assert len(find_circles(package)) == 1
    (package / "a.py").write_text(f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {importing.strip()}\n")
    assert find_circles(package) == []


def test_a_crowded_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for number in range(MOST_FILES + 1):
        (tmp_path / "inner" / f"file{number}.py").touch()
    assert find_crowded_folders(tmp_path) == ["inner: 13 files"]
    (tmp_path / "inner" / "file0.py").rename(tmp_path / "inner" / "__init__.py")
    assert find_crowded_folders(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(a, b, c, d, e, f, *, g): ...", ["f: 7 parameters"]),
        ("class A:\n    def f(self, a, b, c, d, e, f): ...", []),
        ("class A:\n    def f(self, a, b, c, *, d, e, f, g): ...", ["A.f: 7 parameters"]),
        ("class A:\n    @classmethod\n    def f(cls, a, b, c, d, e, f): ...", []),
        ("class A:\n    @staticmethod\n    def f(a, b, c, d, e, f, g): ...", ["A.f: 7 parameters"]),
        ("class A:\n    def __init__(self, a, b, c, d, e, f, g): ...", ["A.__init__: 7 parameters"]),
        ("def f(*, a, b, c, d, e, f, g): ...", ["f: 7 parameters"]),
        ("def f(a, b, c, /, d, e, f, g): ...", ["f: 7 parameters"]),
        ("async def f(a, b, c, d, e, f, g): ...", ["f: 7 parameters"]),
        ("def g():\n    if g:\n        def f(a, b, c, d, e, f, g): ...", ["f: 7 parameters"]),
        ('class A:\n    """Seven parameters: why."""\n    def __init__(self, a, b, c, d, e, f, g): ...', []),
        ('def f(a, b, c, d, e, f, g):\n    """Does it."""', ["f: 7 parameters"]),
        ('def f(a, b, c, d, e, f, g):\n    """Does it. The seven parameters are independent."""', []),
        ("@click.command()\ndef f(a, b, c, d, e, f, g): ...", []),
    ],
)
def test_a_long_signature_is_found(tmp_path: Path, source: str, found: list[str]) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "a.py").write_text(source)
    assert find_long_signatures(package) == [f"pack.a:{one}" for one in found]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("class Row: ...", "class Row: ...", ["Row: pack.a:1, pack.b:1"]),
        ("class Row: ...", "def f():\n    class Row: ...", ["Row: pack.a:1, pack.b:2"]),
        ("class Row: ...", "Row = tuple[int, str]", ["Row: pack.a:1, pack.b:1"]),
        ("Row = tuple[int, int]", "Row = tuple[int, str]", ["Row: pack.a:1, pack.b:1"]),
        ("Row = tuple[int, str]", "Row = tuple[int, str]", []),
        ("class _Row: ...", "class _Row: ...", []),
        ("ROW = 1", "ROW = 2", []),
        ("class Row: ...", "class Rows: ...", []),
    ],
)
def test_a_repeated_name_is_found(tmp_path: Path, first: str, second: str, found: list[str]) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "a.py").write_text(first)
    (package / "b.py").write_text(second)
    assert find_repeated_names(package) == found


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
        for name in _imports(parse(file.read_text("utf-8")))
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
        ("local/scan/changed_files.py", "from astica_sync import remote", "local must not know remote"),
        ("local/scan/changed_files.py", "    import astica_sync.config", "local must not know config"),
        ("local/filesystem.py", "import httpx", "httpx belongs to"),
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
        ("sandbox/image_input.py", "import httpx", "httpx belongs to"),
        ("remote/connection_pool.py", "    client._transport = None", "client._transport is private to a library"),
        (
            "remote/connection_pool.py",
            "class Own(httpx.HTTPTransport):\n    def __init__(self) -> None:\n        self._pool = None",
            "Own._pool is private to a library",
        ),
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
        ("local/scanner_2.py", "", "a name that says nothing"),
        ("sync/push/rest.py", "", "a name that says nothing"),
        ("weather/rain.py", "", "weather has no place in the architecture"),
        ("sync/long.py", "\n" * MOST_LINES, "601 lines"),
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


OPENING_IMAGES = re.compile(r"\bImage\.open\(|\bImageFile\.Parser\b|\b\w*ImagePlugin\b|\bcv2\b|\bimageio\b")
IMPORTING_PROCESS = re.compile(
    r"^\s*(?:from|import) astica_sync\.local\.image\."
    r"(?:\w+_process|check_and_render|prepare\.(?:\w+_process|open_source))",
    re.MULTILINE,
)
IMAGE_OPENERS = {
    "local/image/decoder_process",
    "local/image/prepare/open_source",
    "local/image/prepare/prepare_process",
    "local/image/raster_process",
    "local/image/thumbnail_process",
    "sandbox/image_input",
}
"""The bounded worker processes, and the service that the sandbox is."""


def test_images_of_users_are_opened_in_the_bounded_processes_alone() -> None:
    texts = {
        path.relative_to(ROOT / "astica_sync").with_suffix("").as_posix(): path.read_text("utf-8")
        for path in (ROOT / "astica_sync").rglob("*.py")
    }
    assert {place for place, text in texts.items() if OPENING_IMAGES.search(text)} == IMAGE_OPENERS
    importing = {place for place, text in texts.items() if IMPORTING_PROCESS.search(text)}
    inside = {"local/image/prepare/plain_colours", "local/image/check_and_render", "inspect/measure_process"}
    assert importing <= IMAGE_OPENERS | inside, "a decoder would run in the program itself"
