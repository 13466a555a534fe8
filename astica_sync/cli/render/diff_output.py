"""What differs between the data of two versions."""

from typing import Any

from astica_sync.cli.render.text import safe
from astica_sync.core.versions.snapshot import Diff


def diff_counts(changed: Diff) -> dict[str, Any]:
    """How much differs, in all and in each class that changed."""
    return {
        "added": len(changed.added),
        "removed": len(changed.removed),
        "moved": len(changed.moved),
        "classes": {
            title: dict(zip(("added", "removed", "moved_in", "moved_out"), counts, strict=True))
            for title, counts in changed.per_class().items()
        },
    }


def diff_lines(changed: Diff) -> list[str]:
    """What changed in each class: ``Can: 3 added, 1 moved in``."""
    words = ("added", "removed", "moved in", "moved out")
    lines = []
    for title, counts in changed.per_class().items():
        told = ", ".join(f"{count:,} {word}" for count, word in zip(counts, words, strict=True) if count)
        lines.append(f"{safe(title)}: {told}")
    return lines
