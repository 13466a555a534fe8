"""Quoting of names in the commands of hints."""

import shlex
import unicodedata


def quote(text: str, *, always: bool = False) -> str:
    """The text as one word of a shell command that means the same bytes when it is pasted.

    With ``always`` it has quotes where the shell needs none as well: a comma or a full stop after it is then no part of
    it.

    Letters that a terminal obeys or does not show (control and direction characters, zero-width joiners, bytes that are
    not UTF-8) are written as escapes, which bash, zsh and ksh read in ``$'...'``.
    """
    if text.isprintable() and not any(_is_hidden(letter) for letter in text):
        word = shlex.quote(text)
        return f"'{word}'" if always and word == text else word
    return "$'" + "".join(_escape(letter) for letter in text) + "'"


def quote_path(path: str, *, always: bool = False) -> str:
    """As ``quote``, for the path of a file or folder: one that begins with a hyphen is no option of the command."""
    return quote(f"./{path}" if path.startswith("-") else path, always=always)


def _is_hidden(letter: str) -> bool:
    return not letter.isprintable() or unicodedata.category(letter) in ("Cc", "Cf", "Cs")


def _escape(letter: str) -> str:
    if _is_hidden(letter):
        return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
    return f"\\{letter}" if letter in "\\'" else letter
