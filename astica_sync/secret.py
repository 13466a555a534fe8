"""The API key, in an object that cannot be printed by accident (promise 10)."""

from typing import NoReturn
from weakref import WeakSet


class Secret:
    """A text that only ``reveal`` returns; ``str``, ``repr``, a format or a traceback hide it, pickling fails."""

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        _alive.add(self)

    def reveal(self) -> str:
        """The text itself; for the one place that writes the request body."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


_alive: WeakSet[Secret] = WeakSet()


def known_secrets() -> list[str]:
    """The texts of all secrets that this process still has; for the one place that takes them out of a traceback."""
    return [secret.reveal() for secret in tuple(_alive)]


class SecretAddress(Secret):
    """An address with a password in it. ``str`` and a format show it without."""

    __slots__ = ("shown",)

    def __init__(self, text: str, shown: str) -> None:
        super().__init__(text)
        self.shown: str = shown

    def __repr__(self) -> str:
        return self.shown

    __str__ = __repr__
