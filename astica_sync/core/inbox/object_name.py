"""The names of objects in an inbox: ``CLASS/CONTENT_HASH.EXTENSION``.

A name chooses neither a folder nor a file on the machine that takes the object in: the class is checked as a title, and
the rest has letters and digits alone.
"""

import re
import unicodedata
from dataclasses import dataclass

from astica_sync.core.gallery.safe_names import ENDINGS, title_fault

_FILE = re.compile(rf"(?P<content>[0-9a-f]{{32}})\.(?P<ending>{'|'.join(ENDINGS)})")
_ENDING_OF = {"jpeg": "jpg", "png": "png", "tiff": "tif", "jpeg2000": "jp2"}
MOST_NAME = 1024
"""Bytes of a name; object stores take no longer key."""


@dataclass(frozen=True, slots=True)
class ObjectName:
    """An image in an inbox: its class, the content hash of its bytes, and the extension of its kind."""

    title: str
    content: str
    ending: str

    @property
    def text(self) -> str:
        return f"{self.title}/{self.content}.{self.ending}"

    @property
    def file(self) -> str:
        return f"{self.content}.{self.ending}"


def name_object(title: str, content: str, kind: str) -> ObjectName:
    """The name of an image. ``kind`` is "png", "jpeg", or the word of ``core.recipe`` for its format."""
    return ObjectName(unicodedata.normalize("NFC", title), content, _ENDING_OF.get(kind, kind))


def parse_name(name: str) -> ObjectName | str:
    """The image that an object of this name is, or why it is none."""
    if len(name) > MOST_NAME:
        return f"its name has more than {MOST_NAME} characters"
    title, slash, file = name.partition("/")
    found = _FILE.fullmatch(file)
    if not slash or found is None:
        return "its name is not CLASS/CONTENT_HASH.jpg, as astica-sync watch --to writes it"
    title = unicodedata.normalize("NFC", title)
    if fault := title_fault(title):
        return f"its class cannot be one: {fault}"
    return ObjectName(title, found["content"], found["ending"])
