"""Which formats can be converted with what is installed."""

import contextlib
import os
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from astica_sync.core.recipe import FORMAT_NAMES, TAKEN_AS_THEY_ARE, Recipe
from astica_sync.local.filesystem import Kind, kind_of
from astica_sync.local.image.format import HEAD_BYTES, needs_extra, not_converted, sniff

if TYPE_CHECKING:
    from astica_sync.local.db.index import Index
    from astica_sync.local.filesystem import FileSystem

HEIC = "heic"
CONVERTED_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
"""What an image that was converted by hand is called after its stem."""


def samples_in_two_formats(index: "Index", most: int) -> list[tuple[str, str]]:
    """So many samples at the most that are converted before they are sent, each with the PNG or JPEG of the same name
    beside it that is a sample as well: the file beside it came after it was sent."""
    return index.in_two_formats(CONVERTED_SUFFIXES, TAKEN_AS_THEY_ARE, most)


def png_or_jpeg_beside(files: "FileSystem", path: str) -> str:
    """The path of a PNG or JPEG of the same name beside a file; "" where there is none."""
    stem = os.path.splitext(path)[0]  # noqa: PTH122 - a name of any bytes
    for suffix in CONVERTED_SUFFIXES:
        with contextlib.suppress(OSError):
            if path.endswith(suffix) or kind_of(files.lstat(stem + suffix)) is not Kind.FILE:
                continue
            with files.open_read(stem + suffix) as file:
                if sniff(file.read(HEAD_BYTES)) is not None:
                    return stem + suffix
    return ""


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
