"""Which files of the store are none of our business: hidden ones, what systems litter, and the ignore file."""

import functools
import hashlib
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.errors import StoreError
from astica_sync.local.layout import IGNORE_FILE

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# Thumbnails and folder settings of Windows and macOS; whatever starts with a dot is hidden anyway.
_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})


LITTER_LENGTHS = frozenset(map(len, _LITTER))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is never looked at, whatever the ignore file says."""
    return name.startswith(".") or name.lower() in _LITTER


class Ignore:
    """The rules of one ignore file, in the syntax of ``.gitignore``, relative to the store.

    Names are compared in Unicode NFC, so that a rule typed on one system fits a name stored on another.
    """

    def __init__(self, text: str = "") -> None:
        """
        Raises:
            StoreError: a line is no rule; the message names it.
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
        """The rules of the store at ``root``; no ignore file is no rules.

        Raises:
            StoreError: the file is there and cannot be read or understood. Without its rules, files that a person
                wanted kept out would go up.
        """
        try:
            with open(f"{root}/{IGNORE_FILE}", "rb", buffering=0) as file:
                data = file.read()
        except FileNotFoundError:
            return _no_rules()
        except OSError as error:
            raise StoreError(
                f"cannot read {root / IGNORE_FILE}: {error.strerror}", "mend its rights, or remove it"
            ) from error
        return cls(data.decode("utf-8", "surrogateescape"))

    def __bool__(self) -> bool:
        return bool(self._lines)

    def skips(self, path: str, *, folder: bool) -> bool:
        """Whether the file or folder is left out; of an ignored folder nothing inside is asked about."""
        if not self._lines:
            return False
        path = unicodedata.normalize("NFC", path)
        return self._rules.match_file(f"{path}/" if folder else path)

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


def _compile(lines: list[str]) -> "GitIgnoreSpec":
    import re

    from pathspec import GitIgnoreSpec

    try:
        # The other backends are optional engines; this one takes names that are no UTF-8.
        return GitIgnoreSpec.from_lines(lines, backend="simple")
    except (ValueError, re.error) as error:
        raise StoreError(
            f"{IGNORE_FILE}: not a rule: {lines[0]!r}", "correct the line; the syntax is that of .gitignore"
        ) from error
