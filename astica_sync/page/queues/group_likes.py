"""The one call by which the page finds pictures that are nearly the same."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from astica_sync.core.recipe import Recipe
from astica_sync.local.db.detections import Detections
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.training.near_duplicates import Fingerprints, group_similar


def group_likes(
    images: Sequence[tuple[str, Path]], cache: Path, recipe: Recipe, on_progress: Callable[[int], None]
) -> list[list[str]]:
    """The groups of two or more contents that show nearly the same picture. ``images`` are content hashes and files,
    ``cache`` is where fingerprints are kept; ``recipe`` says how images are converted.

    Raises:
        Unworkable: no worker can be started.
    """
    with contextlib.closing(Detections(cache)) as detections, contextlib.closing(Rasterizer(recipe)) as rasterizer:
        prints = Fingerprints(detections, rasterizer, on_progress).of_all(images)
    groups: dict[int, list[str]] = {}
    for content, group in zip(prints, group_similar(list(prints.values())), strict=True):
        groups.setdefault(group, []).append(content)
    return [group for group in groups.values() if len(group) > 1]
