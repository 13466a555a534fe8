"""Whether a converted image is within the limits of the service, and which setting makes it fit."""

from astica_sync.core.recipe import LARGEST_SIDE, SMALLEST_SIDE, Recipe
from astica_sync.local.image.format import MAX_BYTES, MAX_SIDE, OR_IGNORE, judge_sides

MOST_PIXELS = 400_000_000
"""An image of more pixels is decoded in no memory that is given to it."""
_ROUND = 100


def judge_converted(size: int, width: int, height: int, recipe: Recipe) -> str | None:
    """Why an image of these bytes and dimensions, made by the recipe, cannot be sent, or None."""
    if size <= MAX_BYTES:
        return judge_source(width, height, recipe)
    # Bytes grow about with the number of pixels; a tenth less is room for what does not.
    side = int(max(width, height) * (0.9 * MAX_BYTES / size) ** 0.5)
    limit = f"{size / 1e6:.1f} MB when it is converted, more than the service's limit of {MAX_BYTES >> 20} MB"
    return f"{limit}: {_set(max(SMALLEST_SIDE, side - side % _ROUND or side))}"


def judge_source(width: int, height: int, recipe: Recipe) -> str | None:
    """Why an image of these dimensions is not converted by the recipe, or None."""
    reason = judge_sides(width, height)
    if min(width, height) < 1 or width * height > MOST_PIXELS or max(width, height) <= MAX_SIDE:
        return reason
    if recipe.max_side:
        return None
    return f"{width} x {height} pixels, more than the service's limit of {MAX_SIDE} on a side: {_set(LARGEST_SIDE)}"


def _set(side: int) -> str:
    return f"set max_side = {side} in astica-sync.toml, which astica-sync prepare --show shows, {OR_IGNORE}"
