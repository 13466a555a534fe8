"""Which files of the store are ignored: hidden ones, files that operating systems create, and the ignore file."""

import functools
import hashlib
import shlex
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.errors import StoreError
from astica_sync.local.layout import IGNORE_FILE

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# Thumbnails and folder settings of Windows and macOS; names that start with a dot are hidden anyway.
_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})


LITTER_LENGTHS = frozenset(map(len, _LITTER))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is always ignored."""
    return name.startswith(".") or name.lower() in _LITTER


class Ignore:
    """The rules of one ignore file, in the syntax of ``.gitignore``, relative to the store.

    Names are compared in Unicode NFC, so that a rule typed on one system matches a name stored on another.
    """

    def __init__(self, text: str = "") -> None:
        """
        Raises:
            StoreError: a line is not a valid rule; the message quotes it.
        """
        self._lines = [unicodedata.normalize("NFC", line) for line in text.removeprefix("\ufeff").splitlines()]
        self._lines = [line for line in self._lines if line.strip() and not line.startswith("#")]
        self.digest = hashlib.blake2s(
            "\n".join(self._lines).encode("utf-8", "surrogateescape"), digest_size=8
        ).hexdigest()
        for line in self._lines:
            _compile([line])

    @classmethod
    def load(cls, root: Path) -> "Ignore":
        """The rules of the store at ``root``; without an ignore file there are none.

        Raises:
            StoreError: the file exists and cannot be read or is invalid. Without its rules, files that the user has
                excluded would be uploaded.
        """
        try:
            with open(f"{root}/{IGNORE_FILE}", "rb", buffering=0) as file:
                data = file.read()
        except FileNotFoundError:
            return _no_rules()
        except OSError as error:
            raise StoreError(
                f"cannot read {root / IGNORE_FILE}: {error.strerror}",
                f"fix the permissions: chmod u+r {shlex.quote(str(root / IGNORE_FILE))}",
            ) from error
        return cls(data.decode("utf-8", "surrogateescape"))

    def __bool__(self) -> bool:
        return bool(self._lines)

    def skips(self, path: str, *, folder: bool) -> bool:
        """Whether the file or folder is ignored; the files in an ignored folder are not asked about."""
        if not self._lines:
            return False
        path = unicodedata.normalize("NFC", path)
        return self._rules.match_file(f"{path}/" if folder else path)

    def skips_below(self, path: str) -> bool:
        """Whether the file is ignored for its own name or for any folder above it, hidden ones included."""
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


def _compile(lines: list[str]) -> "GitIgnoreSpec":
    import re

    from pathspec import GitIgnoreSpec

    try:
        # The other backends are optional; this one accepts names that are not valid UTF-8.
        return GitIgnoreSpec.from_lines(lines, backend="simple")
    except (ValueError, re.error) as error:
        raise StoreError(
            f"{IGNORE_FILE}: not a valid rule: {lines[0]!r}",
            "correct the line; the syntax is that of .gitignore",
        ) from error
