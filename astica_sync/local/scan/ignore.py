"""Which files of the store are left out: hidden ones, litter, and what the ignore file names."""

import codecs
import errno
import functools
import hashlib
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.errors import StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import IGNORE_FILE
from astica_sync.local.scan.litter import is_litter, litter_digest
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import remedy

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# More rules than anyone writes: each is compared with each name.
MAX_BYTES = 256 * 1024
# A name of 255 letters can be divided among so many * within a second.
_MAX_STARS = 4

# The longer mark first: that of UTF-16 is the beginning of that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_AS_UTF8 = "save it as text in UTF-8"


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, and always left out."""
    return name.startswith(".")


class Ignore:
    """The rules of one ignore file, in the syntax of ``.gitignore``, relative to the store.

    Litter is left out unless a rule takes it in. Names are compared in Unicode NFC, so that a rule typed on one system
    matches a name stored on another.
    """

    def __init__(self, text: str = "") -> None:
        """
        Raises:
            StoreError: a line is not a valid rule; the message quotes it.
        """
        lines = (unicodedata.normalize("NFC", line) for line in re.split("\r\n|\r|\n", text))
        self._lines = [line for line in lines if line.strip() and not line.startswith("#")]
        rules = "\n".join([litter_digest(), *self._lines])
        self.digest: str = hashlib.blake2s(rules.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        for line in self._lines:
            _check(line)

    @classmethod
    def load(cls, root: Path) -> "Ignore":
        """The rules of the store at ``root``; without an ignore file there are none.

        Raises:
            StoreError: the file exists and cannot be read or is invalid. Without its rules, files that the user has
                excluded would be uploaded.
        """
        path = root / IGNORE_FILE
        try:
            _, data, _ = FileSystem().read_small(path, MAX_BYTES)
        except FileNotFoundError:
            return _no_rules()
        except OSError as error:
            raise _cannot_read(path, error) from error
        if data is None:
            raise StoreError(
                f"{path} has more than {MAX_BYTES // 1024} KB, which is no list of rules",
                "shorten it: one rule can name a whole folder (drafts/) or all files of a kind (*.gif)",
            )
        return cls(_decode(path, data))

    def __bool__(self) -> bool:
        return bool(self._lines)

    def skips(self, path: str, *, folder: bool) -> bool:
        """Whether the file or folder is left out; the files in a folder that is left out are not asked about."""
        return self.reason(path, folder=folder) is not None

    def reason(self, path: str, *, folder: bool) -> str | None:
        """Why the file or folder is left out, for its own sake; None if it is not. Hidden ones are not asked about."""
        litter = is_litter(path[path.rfind("/") + 1 :], folder=folder)
        if self._lines:
            path = unicodedata.normalize("NFC", path)
            result = self._rules.check_file(f"{path}/" if folder else path)
            if result.include:
                return f"listed in {IGNORE_FILE}"
            if litter and result.index is not None and _takes_in(self._lines[result.index]):
                return None
        return "litter" if litter else None

    def skips_below(self, path: str) -> bool:
        """Whether the file is left out for its own name or for any folder above it, hidden ones included."""
        parts = path.split("/")
        return any(
            is_hidden(part) or self.skips("/".join(parts[: number + 1]), folder=number + 1 < len(parts))
            for number, part in enumerate(parts)
        )

    @functools.cached_property
    def _rules(self) -> "GitIgnoreSpec":
        return _compile(self._lines)


@functools.cache
def _no_rules() -> Ignore:
    return Ignore()


def _takes_in(rule: str) -> bool:
    """Whether a rule that begins with ``!`` is meant for litter. ``!*/``, which takes in all folders after a rule that
    leaves out everything, is not."""
    return bool(rule.rstrip().rstrip("/").rpartition("/")[2].lstrip("!").strip("*"))


def _check(line: str) -> None:
    parts = line.split("/")
    if max(len(re.findall(r"\*+", part)) for part in parts) > _MAX_STARS or parts.count("**") > _MAX_STARS:
        raise StoreError(
            f"{IGNORE_FILE}: more than {_MAX_STARS} * in one name, which may take forever to compare: {line[:200]!r}",
            "write it with fewer of them, or as several rules",
        )
    _compile([line])


def _compile(lines: list[str]) -> "GitIgnoreSpec":
    import warnings

    from pathspec import GitIgnoreSpec

    try:
        # A set like [[a] may mean something else in later versions of Python's expressions, and not in rules.
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            # The other backends are optional; this one accepts names that are not valid UTF-8.
            return GitIgnoreSpec.from_lines(lines, backend="simple")
    except (ValueError, re.error) as error:
        raise StoreError(
            f"{IGNORE_FILE}: not a valid rule: {lines[0][:200]!r}",
            "correct the line; the syntax is that of .gitignore",
        ) from error


def _decode(path: Path, data: bytes) -> str:
    """The text of an ignore file in UTF-8, or in the encoding that its byte-order mark names.

    Raises:
        StoreError: it is in another encoding. A rule that is read wrongly has no effect, so the run stops.
    """
    encoding, start = next(((name, len(mark)) for mark, name in _MARKS if data.startswith(mark)), ("utf-8", 0))
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, start + error.start) + 1
        raise StoreError(f"{path}, line {line}: not valid {encoding.upper()}", _AS_UTF8) from error
    if "\0" in text:
        raise StoreError(f"{path} has NUL characters, so it is not text in UTF-8", _AS_UTF8)
    return text


def _cannot_read(path: Path, error: OSError) -> StoreError:
    name = quote_path(str(path))
    if error.errno == errno.ELOOP:
        return StoreError(
            f"{path} is a symbolic link, which is not followed",
            f"replace it by the file itself, or remove it: rm {name}",
        )
    if error.errno == errno.EINVAL:
        return StoreError(f"cannot read {path}: {error.strerror}", "replace it by a text file, or move it away")
    return StoreError(f"cannot read {path}: {error.strerror}", remedy(error, path, writing=False))
