"""docs/watching.md explains every state, every message and every metric of the watcher."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.core.watch.watch_status import WatchState, WatchStatus

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs" / "watching.md").read_text("utf-8").split())
MESSAGE_CALLS = {"_set_state", "_notify", "restart", "asks", "_report_polling", "waits"}
"""Methods that are called with a message for the user."""
MESSAGE_NAMES = {"self.polling_reason", "polling_reason", "text", "_LIMIT", "LIMIT_HINT"}
"""Names to which messages are assigned."""
MESSAGE_FUNCTIONS = {"_start_failure", "_similar_title_text"}
"""Functions that return messages."""


def messages(file: Path) -> Iterator[str]:
    """The fixed parts of every message of the watcher in this file."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MESSAGE_CALLS:
            for argument in node.args:
                yield from fixed_parts(argument)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in MESSAGE_NAMES:
            yield from fixed_parts(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name in MESSAGE_FUNCTIONS:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from fixed_parts(inner.value)


def fixed_parts(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            found = part.value.strip(" :;.,'")
            if len(found) >= 8 and " " in found:
                yield found


FILES = [
    "sync/watch/watcher_lifecycle.py",
    "sync/watch/run_watchers.py",
    "sync/watch/fs_events.py",
    "sync/watch/store_watcher.py",
    "cli/render/watch_output.py",
    "cli/render/watch_status_output.py",
    "cli/daily/watch.py",
    "cli/watch/run_watch.py",
]
MESSAGES = sorted({(file, text) for file in FILES for text in messages(ROOT / "astica_sync" / file)})


def test_known_messages_are_found_in_the_source() -> None:
    texts = [text for _, text in MESSAGES]
    for known in ("the machine was suspended, or its clock was set", "--poll was given", "nothing is"):
        assert any(known in text for text in texts), texts


@pytest.mark.parametrize(("file", "text"), MESSAGES)
def test_every_message_is_explained(file: str, text: str) -> None:
    assert text in PAGE, f"docs/watching.md does not explain this message of {file}"


@pytest.mark.parametrize("state", WatchState)
def test_every_state_is_explained(state: WatchState) -> None:
    assert re.search(rf"^\|[^|]*\b{state}\b[^|]*\|", (ROOT / "docs/watching.md").read_text("utf-8"), re.MULTILINE)


def test_every_metric_is_explained() -> None:
    pytest.importorskip("prometheus_client")
    from astica_sync.cli.watch.watch_metrics import WatchMetrics

    status = WatchStatus("here", 1, 0.0)
    exporter = WatchMetrics([status], port=None, file=None, wall=lambda: 0.0)
    for metric in exporter.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert f"`{name}`" in PAGE, name
