"""What to do about a file of the store that cannot be a sample, where its name says more than its first bytes."""

import re

from astica_sync.core.model import Problem

_IMAGE_ENDINGS = frozenset(
    [".png", ".jpg", ".jpeg", ".heic", ".heif", ".avif", ".webp", ".gif", ".bmp", ".tif", ".tiff"]
)
_MISPLACED = "not in a class folder; move it into one, "
_TEXT = re.compile(r"(text file|web page): the service accepts .*; convert it, ")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_OR_IGNORE = "or list it in .astica-ignore"


def advise(problem: Problem) -> str:
    """The reason of a problem with the remedy that helps: a text cannot be converted to an image, and is no better in
    another folder."""
    found = _ENDING.search(problem.path)
    ending = "" if found is None else found[0]
    named_as_image = ending.lower() in _IMAGE_ENDINGS
    rule = f" (a line *{ending} leaves out all such files)" if ending and not named_as_image else ""
    if text := _TEXT.match(problem.reason):
        if named_as_image:
            return f"{text[1]}: not an image, although its name ends in {ending}; copy the image again, {_OR_IGNORE}"
        return f"{text[1]}: not an image; move it out of the store, {_OR_IGNORE}{rule}"
    if problem.reason.startswith(_MISPLACED) and rule:
        return f"not in a class folder, and by its name not an image: move it out of the store, {_OR_IGNORE}{rule}"
    return problem.reason
