"""What differs between the data of two versions."""

from typing import Any

from astica_sync.cli.render.text import safe
from astica_sync.core.versions.snapshot import SnapshotDiff


def diff_counts(changed: SnapshotDiff) -> dict[str, Any]:
    """The number of changes, in total and for each changed class, as JSON."""
    return {
        "added": len(changed.added),
        "removed": len(changed.removed),
        "moved": len(changed.moved),
        "classes": {
            title: dict(zip(("added", "removed", "moved_in", "moved_out"), counts, strict=True))
            for title, counts in changed.per_class().items()
        },
    }


def diff_lines(changed: SnapshotDiff) -> list[str]:
    """One line for each changed class: ``Can: 3 added, 1 moved in``."""
    changes = ("added", "removed", "moved in", "moved out")
    lines = []
    for title, counts in changed.per_class().items():
        described = ", ".join(f"{count:,} {change}" for count, change in zip(counts, changes, strict=True) if count)
        lines.append(f"{safe(title)}: {described}")
    return lines
