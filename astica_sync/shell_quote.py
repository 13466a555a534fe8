"""Quoting of names in the commands of hints."""

import shlex

from astica_sync.core.hidden_characters import has_hidden, split_hidden


def quote(text: str, *, always: bool = False) -> str:
    """The text as one word of a shell command that means the same bytes when it is pasted.

    With ``always`` it has quotes where the shell needs none as well: a comma or a full stop after it is then no part of
    it.

    Letters that a terminal obeys or does not show (control and direction characters, zero-width joiners outside of
    emoji, bytes that are not UTF-8) are written as escapes, which bash, zsh and ksh read in ``$'...'``.
    """
    if not has_hidden(text):
        word = shlex.quote(text)
        return f"'{word}'" if always and word == text else word
    return "$'" + "".join(_escape(part, hidden) for part, hidden in split_hidden(text)) + "'"


def quote_path(path: str, *, always: bool = False) -> str:
    """As ``quote``, for the path of a file or folder: one that begins with a hyphen is no option of the command."""
    return quote(f"./{path}" if path.startswith("-") else path, always=always)


def _escape(part: str, hidden: bool) -> str:
    if hidden:
        return "".join(f"\\x{byte:02x}" for byte in part.encode("utf-8", "surrogateescape"))
    return f"\\{part}" if part in "\\'" else part
