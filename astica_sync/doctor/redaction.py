"""Takes names out of texts that leave this machine: paths, class titles, users, hosts, addresses, the key."""

import re
from collections.abc import Iterable, Mapping

_ADDRESS = r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"(),;]+"
# A path from the root, and the rest of one that begins with a word put in here. Its names may have spaces in them.
_PATH = r"(?<![\w<>/.])~?/[^\s'\"(),;:]+(?: [^\s'\"(),;:/]*/[^\s'\"(),;:]*)*"
_PLACE = re.compile(f"{_ADDRESS}|{_PATH}")
# Not a settings file before the name of what it sets.
_OWN_FILE = r"(?:(?:\.config/)?astica-sync/)?(?:astica-sync|config)\.toml"
_REST = re.compile(rf"(class-\d+|<[\w ]+>)/(?!{_OWN_FILE} sets )[^,;:)\n]+")
_KNOWN_PATHS = ("/etc/passwd", "/proc/", "/sys/")


class Redactor:
    """Replaces each known name by a word of its kind, the same word each time.

    Args:
        names: the word for each name, for example ``{"/data/photos": "<store>"}``.
        addresses: those that are no secret, such as the usual ones of the service.
    """

    def __init__(self, names: Mapping[str, str], addresses: Iterable[str] = ()) -> None:
        self._names = {name: word for name, word in names.items() if name.strip()}
        self.addresses: frozenset[str] = frozenset(addresses)
        # The longest first: a path is taken out before the user's name in it.
        longest = sorted(self._names, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern, longest))) if longest else None

    def text(self, text: str) -> str:
        """The text without the names, and without any other path or address."""
        if self._known is not None:
            text = self._known.sub(lambda found: self._names[found[0]], text)
        return _REST.sub(r"\1/...", _PLACE.sub(self._place, text))

    def _place(self, found: re.Match[str]) -> str:
        if "://" in found[0]:
            return found[0] if found[0] in self.addresses else "<address>"
        return found[0] if found[0].startswith(_KNOWN_PATHS) else "<path>"

    def value(self, value: object) -> object:
        """The same for every text in what JSON can hold."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(name)): self.value(one) for name, one in value.items()}
            case list() | tuple():
                return [self.value(one) for one in value]
            case _:
                return value


def _pattern(name: str) -> str:
    """A name where it stands alone: ``Can`` is not in ``Cannot``."""
    before = r"(?<!\w)" if name[0].isalnum() else ""
    after = r"(?!\w)" if name[-1].isalnum() else ""
    return f"{before}{re.escape(name)}{after}"
