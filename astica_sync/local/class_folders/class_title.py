"""Which class a folder of the store is."""

import os
import unicodedata

from astica_sync.core.model import Problem


def class_title_of(name: str) -> str | None:
    """The class of a first-level folder of this name; None where the name cannot be a class title. The bytes of the
    name are UTF-8, whatever the locale of this process."""
    title = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "surrogateescape"))
    if not title.strip() or any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in title):
        return None
    return title


def why_no_title(name: str) -> str:
    """For people; of a name for which ``class_title_of`` returns None."""
    text = os.fsencode(name).decode("utf-8", "surrogateescape")
    if not text.strip():
        return "the folder name has nothing but spaces, which cannot be a class title; rename the folder"
    if any(unicodedata.category(letter) == "Cs" for letter in text):
        return (
            "the folder name is not UTF-8, as a system with another encoding (Latin-1) writes it, and cannot be a class"
            " title; rename the folder"
        )
    return "the folder name has a line break or another control character; rename the folder"


def is_untitled(problem: Problem) -> bool:
    """Whether a scan leaves out a whole first-level folder because its name cannot be a class title."""
    name = problem.path
    return "/" not in name and class_title_of(name) is None and problem.reason == why_no_title(name)
