"""The page about watching names every state, every sentence and every number of the watcher."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.core.watch.watch_status import State, WatchStatus

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs" / "watching.md").read_text("utf-8").split())
SPOKEN = {"_say", "_tell", "begin_anew", "asks", "_note_polls", "waits"}
"""What is called with a sentence for a person."""


def sentences(file: Path) -> Iterator[str]:
    """The fixed words of everything that the watcher says of its own accord in this part of the program."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SPOKEN:
            for argument in node.args:
                yield from words(argument)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in (
            "self.silent",
            "polls",
            "asked",
            "wait",
            "text",
        ):
            yield from words(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name == "_why":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from words(inner.value)


def words(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            found = part.value.strip(" :;.,'")
            if len(found) >= 8 and " " in found:
                yield found


FILES = [
    "sync/watch/supervisor.py",
    "sync/watch/loop.py",
    "sync/watch/fs_events.py",
    "sync/watch/watcher.py",
    "cli/render/watch_output.py",
    "cli/daily/watch.py",
]
SAID = sorted({(file, text) for file in FILES for text in sentences(ROOT / "astica_sync" / file)})


def test_the_sentences_are_found() -> None:
    texts = [text for _, text in SAID]
    for known in ("the machine slept, or its clock was set", "--poll was given", "nothing is"):
        assert any(known in text for text in texts), texts


@pytest.mark.parametrize(("file", "text"), SAID)
def test_every_sentence_is_explained(file: str, text: str) -> None:
    assert text in PAGE, f"docs/watching.md does not say what this of {file} means"


@pytest.mark.parametrize("state", State)
def test_every_state_is_explained(state: State) -> None:
    assert re.search(rf"^\|[^|]*\b{state}\b[^|]*\|", (ROOT / "docs/watching.md").read_text("utf-8"), re.MULTILINE)


def test_every_number_is_explained() -> None:
    pytest.importorskip("prometheus_client")
    from astica_sync.cli.render.metrics import WatchMetrics

    report = WatchStatus("here", 1, 0.0)
    numbers = WatchMetrics([report], port=None, file=None, wall=lambda: 0.0)
    for metric in numbers.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert f"`{name}`" in PAGE, name
