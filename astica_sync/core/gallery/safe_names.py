"""Names for files and classes that come from outside: what an upload is called never becomes a path by itself."""

import re
import unicodedata
from collections.abc import Iterator

MOST_BYTES = 200
"""Of a file name, in UTF-8: file systems allow 255, and a free name needs a few more."""
MOST_TITLE_BYTES = 255
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\..*)?", re.IGNORECASE | re.DOTALL)
"""Names of devices on Windows, where a store may be copied to."""
SETTINGS_NAME = "astica-sync.toml"
"""A folder of this name would stand where a store has its settings, and every command would refuse the store."""
ENDINGS = {
    "jpg": ("jpg", "jpeg"),
    "png": ("png",),
    "heic": ("heic", "heif"),
    "avif": ("avif",),
    "webp": ("webp",),
    "tif": ("tif", "tiff"),
    "bmp": ("bmp",),
    "gif": ("gif",),
    "jp2": ("jp2", "jpx", "jpf", "j2k", "j2c"),
}
"""The extensions of each kind of image, by its usual one."""
_OF_IMAGES = {ending for endings in ENDINGS.values() for ending in endings}
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def safe_file_name(given: str, extension: str) -> str:
    """A plain name for an uploaded image, near the given one, with the extension that its bytes have: ``extension`` is
    one of ``ENDINGS``."""
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    name = "".join(letter for letter in name if unicodedata.category(letter) not in _HIDDEN_CATEGORIES)
    name = _FORBIDDEN.sub("_", name).strip(" .")
    stem, point, end = name.rpartition(".")
    if not point or end.lower() not in _OF_IMAGES:
        stem, end = name, extension
    if end.lower() not in ENDINGS[extension]:
        end = extension
    stem = _cut(stem.rstrip(" ."), MOST_BYTES - len(end) - 1) or "image"
    name = f"{stem}.{end}"
    return f"image-{name}" if _RESERVED.fullmatch(name) else name


def free_names(name: str) -> Iterator[str]:
    """The name, then the same with a number, without end: ``a.jpg``, ``a-2.jpg``, ``a-3.jpg``."""
    yield name
    stem, point, end = name.rpartition(".")
    if not stem:
        stem, point, end = name, "", ""
    number = 2
    while True:
        ending = f"-{number}{point}{end}"
        yield _cut(stem, 255 - len(ending.encode("utf-8", "surrogateescape"))) + ending
        number += 1


def title_fault(title: str) -> str:
    """Why a new class cannot have this title; "" where it can."""
    if not title.strip():
        return "a class needs a title"
    if title != title.strip():
        return "a title has no spaces at its ends"
    if title.startswith("."):
        return "a title that begins with a dot would be a hidden folder, which is never a class"
    if is_settings_name(title):
        return "this is the name of the store's settings file"
    if "/" in title or "\\" in title:
        return "a title is the name of a folder, so it has no slash"
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in title):
        return "a title has no control characters"
    if len(unicodedata.normalize("NFC", title).encode("utf-8", "replace")) > MOST_TITLE_BYTES:
        return f"a title has at most {MOST_TITLE_BYTES} bytes, as names of folders have"
    if _RESERVED.fullmatch(title):
        return "this is the name of a device on Windows, where the store could not be copied to"
    return ""


def is_settings_name(name: str) -> bool:
    """Whether a folder of this name would stand in the place of the store's settings file, also on a disk that takes
    names for the same that differ in case, in their Unicode form, or in letters that are not seen."""
    seen = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", seen).casefold() == SETTINGS_NAME


def is_sample_path(path: str) -> bool:
    """Whether a scan could find a file of a class there: below a class folder, with no hidden part. One in a folder in
    the place of the settings file would make the store unusable."""
    parts = path.split("/")
    if len(parts) < 2 or "\0" in path or is_settings_name(parts[0]):
        return False
    return all(part and not part.startswith(".") for part in parts)


def _cut(text: str, most: int) -> str:
    """The beginning of a text, at most so many bytes of UTF-8, with no character split."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) <= most:
        return text
    end = most
    while end and data[end] & 0xC0 == 0x80:
        end -= 1
    return data[:end].decode("utf-8", "surrogateescape")
