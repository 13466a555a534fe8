"""Which formats can be converted with what is installed."""

from dataclasses import replace
from importlib.util import find_spec

from astica_sync.core.recipe import FORMAT_NAMES, Recipe
from astica_sync.local.image.format import needs_extra, not_converted

HEIC = "heic"
CONVERTED_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
"""What an image that was converted by hand is called after its stem."""


def usable_recipe(wanted: Recipe | None = None) -> Recipe:
    """The recipe without the formats whose decoder is not installed."""
    recipe = wanted or Recipe()
    if HEIC in recipe.formats and find_spec("pi_heif") is None:
        return replace(recipe, formats=recipe.formats - {HEIC})
    return recipe


def why_not_converted(image_format: str) -> str:
    """Why an image of this format is neither converted nor sent, and what to do."""
    if image_format == HEIC and find_spec("pi_heif") is None:
        return needs_extra("HEIC image", "astica-sync[heic]", "heif-convert IMAGE.HEIC IMAGE.jpg")
    return not_converted(f"{FORMAT_NAMES[image_format]} image, which the setting convert leaves out")


def why_converted_already(image_format: str) -> str:
    """Why an image with a PNG or JPEG of the same name beside it is not sent as well, and what to do."""
    return (
        f"{FORMAT_NAMES[image_format]} image: a PNG or JPEG of the same name is beside it, and is sent in its place;"
        " list this file in .astica-ignore, or rename it to have both sent"
    )
