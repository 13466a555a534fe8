"""Whether a converted image is within the limits of the service, and which setting makes it fit."""

from dataclasses import dataclass

from astica_sync.core.recipe import LARGEST_SIDE, SMALLEST_SIDE, Recipe
from astica_sync.local.image.format import MAX_BYTES, MAX_SIDE, OR_IGNORE, judge_sides, not_converted

MOST_PIXELS = 400_000_000
"""An image of more pixels is decoded in no memory that is given to it."""
_ROUND = 100


@dataclass(frozen=True, slots=True)
class TooLarge:
    """An image is above a limit of the service. ``limit`` is which one, and ``side`` the ``max_side`` with which it may
    fit."""

    limit: str
    side: int = LARGEST_SIDE

    def with_setting(self) -> str:
        """The reason against the image, where it fits with this ``max_side``."""
        return (
            f"{self.limit}: set max_side = {self.side} in astica-sync.toml, which astica-sync prepare --show shows, "
            f"{OR_IGNORE}"
        )

    def without_setting(self) -> str:
        """The reason against an image that no ``max_side`` makes small enough."""
        return not_converted(self.limit)


def name_limit(size: int, sides: tuple[int, int] | None) -> str:
    """Which limit a file of this many bytes and dimensions exceeds."""
    if size > MAX_BYTES or sides is None:
        return f"{size / 1e6:.1f} MB, more than the service's limit of {MAX_BYTES >> 20} MB"
    return f"{sides[0]} x {sides[1]} pixels, more than the service's limit of {MAX_SIDE} on a side"


def judge_converted(size: int, width: int, height: int, recipe: Recipe) -> TooLarge | str | None:
    """Why an image of these bytes and dimensions, made by the recipe, cannot be sent, or None."""
    if size <= MAX_BYTES:
        return judge_source(width, height, recipe)
    # Bytes grow about with the number of pixels; a tenth less is room for what does not.
    side = int(max(width, height) * (0.9 * MAX_BYTES / size) ** 0.5)
    limit = f"{size / 1e6:.1f} MB when it is converted, more than the service's limit of {MAX_BYTES >> 20} MB"
    return TooLarge(limit, max(SMALLEST_SIDE, side - side % _ROUND or side))


def judge_source(width: int, height: int, recipe: Recipe) -> TooLarge | str | None:
    """Why an image of these dimensions is not converted by the recipe, or None."""
    reason = judge_sides(width, height)
    if min(width, height) < 1 or width * height > MOST_PIXELS or max(width, height) <= MAX_SIDE:
        return reason
    return None if recipe.max_side else TooLarge(name_limit(0, (width, height)))
