"""Names from files and the service in a page of HTML: escaped, without characters that a browser would obey."""

import unicodedata
from html import escape


def name_html(text: str) -> str:
    """A name from a file or the service, escaped and isolated from the text around it."""
    return f"<bdi>{escape(plain_text(text))}</bdi>" if text else "<i>(no name)</i>"


def plain_text(text: str) -> str:
    """Replaces control characters, bytes that are not UTF-8, and characters that change the writing direction."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unsafe(char) else char for char in text)


def _is_unsafe(char: str) -> bool:
    changes_direction = unicodedata.bidirectional(char) in (
        "LRE",
        "LRO",
        "RLE",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    )
    return changes_direction or unicodedata.category(char) in ("Cc", "Cs")
