"""docs/page.md has every key of the page, in the words of the page."""

import re
from pathlib import Path

from astica_sync.core.gallery.image_state import LABELS

ROOT = Path(__file__).parents[2]
COMMANDS = (ROOT / "astica_sync/page/static/js/changes/commands.js").read_text("utf-8")
TEXT = (ROOT / "docs" / "page.md").read_text("utf-8")


def test_every_key_is_documented() -> None:
    commands = [(keys, title) for title, keys in re.findall(r'title: "([^"]+)", keys: "([^"]+)"', COMMANDS)]
    rows = (
        re.search(r"GRID_KEYS = \[(.*?)\];", COMMANDS, re.DOTALL),
        re.search(r"QUEUE_KEYS = \[(.*?)\];", COMMANDS, re.DOTALL),
        re.search(r"IMAGE_KEYS = \[(.*?)\];", COMMANDS, re.DOTALL),
    )
    others = [pair for found in rows if found for pair in re.findall(r'\["([^"]+)", "([^"]+)"\]', found[1])]
    assert len(commands) > 15 and len(others) > 9
    missing = [(keys, title) for keys, title in commands + others if f"| {keys} | {title}" not in TEXT]
    assert missing == []


def test_every_state_is_documented() -> None:
    assert [label for label in LABELS.values() if f"| {label} |" not in TEXT] == []
