"""Takes what was sent out of the texts of the service, so that only its own words are read (promise 9).

A service repeats titles, uids, names and the key in its errors: quoted, in another case, cut, or escaped for HTML, URLs
or JSON. A class "Gateway" must not turn an error into a failure of the service.
"""

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import quote, quote_plus, unquote

LONGEST_READ = 4000
"""Characters of a text that are read; the rest of a longer one is ignored."""

REMOVED = "\ufffc"
"""Stands where something was taken out, so that the words on both sides do not join."""

ONLY_KEY = "(a text with the key in it)"
"""Instead of a text that writes the key in a way of its own."""

SHORTEST_KEY = 8
"""A shorter key is a word such as "photo": in data it stays, and in errors it is taken out as a whole word only."""

_PIECE = 1 << 20
_LONGEST_ESCAPE = 6
_ASCII_ESCAPE = re.compile(rb"\\(?:u00([2-7][0-9a-f])|([\"\\/]))", re.IGNORECASE)
_ESCAPED_AT_MOST = 3
_SHORTEST_CUT = 3
_MOST_CUTS = 8
_SHORTEST_OF_KEY = 5
_SHORTEST_MIDDLE, _LONGEST_MIDDLE = 12, 32
_JSON_ESCAPE = re.compile(r"\\u([0-9a-f]{4})|\\([\"'\\/nrtbf])", re.IGNORECASE)
# Images are sent in base64; an echo of one is no text.
_BASE64 = re.compile(r"data:[\w/+.-]+;base64,|[A-Za-z0-9+/=]{60,}")
_SEPARATORS = re.compile(r"[\s+_-]+")
_NAMES_FOLLOW = re.compile(
    r"(?:\b(?:class|title|label|name|model|category|sample|version|uid|id)\s|[\"'“”«»`:=\[(<])\s*$"
)
_CUT = re.compile(r"\.\.\.")
_QUOTE = re.compile(r"[\"'“”‘’«»`\])>]")  # noqa: RUF001


def plain(text: str) -> str:
    """The text without escapes, accents and invisible characters, with small letters and single spaces."""
    text = text[:LONGEST_READ]
    for _ in range(_ESCAPED_AT_MOST):
        unescaped = _JSON_ESCAPE.sub(_unescape, unquote(html.unescape(text)))
        if unescaped == text:
            break
        text = unescaped
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    shown = "".join(char for char in letters if unicodedata.category(char) not in ("Mn", "Cf", "Cs"))
    return _SEPARATORS.sub(" ", shown).strip()


def without_echoes(text: str, sent: Iterable[str]) -> str:
    """The service's own words in a text, as ``plain`` writes them.

    Args:
        sent: what was sent, and what the service has shown before; the longest are taken out first.
    """
    own = plain(_BASE64.sub(REMOVED, text[:LONGEST_READ]))
    for value in sorted({plain(value) for value in sent} - {""}, key=len, reverse=True):
        own = _without_cut(_without_whole(own, value), value)
    return own


def without_key(text: str, key: str) -> str:
    """The text without the key in any form, nor the beginning or the end of it where the rest is hidden; nothing of a
    text with half of the key in it."""
    if not key:
        return text
    forms = {key, html.escape(key), quote(key), quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1]}
    forms |= {key.encode().hex(), base64.b64encode(key.encode()).decode().rstrip("=")[:-1] or key}
    # A short key may be a part of any word.
    start, end = (r"(?<!\w)", r"(?!\w)") if len(key) < SHORTEST_KEY else ("", "")
    for form in sorted(forms, key=len, reverse=True):
        text = re.sub(start + re.escape(form) + end, "(the key)", text, flags=re.IGNORECASE)
    for length in range(len(key) - 1, _SHORTEST_OF_KEY - 1, -1):
        shown = text.casefold()
        # Asked first, since a search for each part of a long key takes minutes.
        if key[:length].casefold() not in shown and key[-length:].casefold() not in shown:
            continue
        start, end = re.escape(key[:length]), re.escape(key[-length:])
        text = re.sub(rf"(?<!\w){start}(?=\W|_|$)|(?<![^\W_]){end}(?!\w)", "(the key)", text, flags=re.IGNORECASE)
    shown, folded = text.casefold(), key.casefold()
    part = min(max(_SHORTEST_MIDDLE, len(folded) // 2), _LONGEST_MIDDLE)
    if any(folded[at : at + part] in shown for at in range(len(folded) - part + 1)):
        return ONLY_KEY
    return ONLY_KEY if re.search(start + re.escape(plain(key)) + end, plain(text)) else text


def redact_key(body: bytes, key: str) -> bytes:
    """The bytes of an answer without the key, in any case and however JSON writes it: answers are stored, and titles
    shown. A key shorter than ``SHORTEST_KEY`` stays, since titles and uids may contain it by chance."""
    if len(key) < SHORTEST_KEY or not _may_contain(body, key):
        return body
    return re.sub(b"".join(map(_json_forms, key)), b"(the key)", body, flags=re.IGNORECASE)


def _may_contain(body: bytes, key: str) -> bool:
    """Whether the answer may contain the key. In pieces, since a copy of a large answer is half of all memory."""
    if not key.isascii():
        return True
    wanted, most = key.lower().encode(), 2 * _LONGEST_ESCAPE * len(key)
    for at in range(0, len(body), _PIECE):
        piece = body[at : at + _PIECE + most]
        if b"\\" in piece:
            piece = _ASCII_ESCAPE.sub(_decode, piece)
        if wanted in piece.lower():
            return True
    return False


def _decode(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if match[1] else match[2]


def _json_forms(char: str) -> bytes:
    """A pattern for every way in which JSON may write a character, in small and capital letters."""
    forms = {re.escape(char.encode())}
    for letter in {char, char.lower(), char.upper()}:
        forms.add(re.escape(letter.encode()))
        # Beyond the first plane it is two escapes.
        units = letter.encode("utf-16-be")
        forms.add(b"".join(b"\\\\u%04x" % int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)))
    if char in '"\\/':
        forms.add(re.escape(b"\\" + char.encode()))
    return b"(?:" + b"|".join(sorted(forms)) + b")"


def _without_whole(text: str, value: str) -> str:
    start = r"(?<!\w)" if value[0].isalnum() else ""
    end = r"(?!\w)" if value[-1].isalnum() else ""
    return re.sub(start + re.escape(value) + end, REMOVED, text)


def _without_cut(text: str, value: str) -> str:
    """Takes out beginnings and ends of ``value`` next to the sign that something was cut, beginnings in quotes, and
    those at the end of the text, where the text itself was cut."""
    signs = [*_CUT.finditer(text)]
    # A piece lies between two signs, which keeps this linear: a text may be nothing but signs. Only where the value
    # itself contains the sign, a piece may be longer, and few of them are read.
    whole = _CUT.search(value) is not None
    if whole:
        signs = signs[-_MOST_CUTS:]
    for place in range(len(signs) - 1, -1, -1):
        sign = signs[place]
        following = -1 if whole else text.find("...", sign.end())
        after = len(text) if following < 0 else following
        text = text[: sign.end()] + _without_end(text[sign.end() :], value, after - sign.end())
        before = 0 if whole or place == 0 else signs[place - 1].end()
        text = _without_start(text[: sign.start()], value, sign.start() - before) + text[sign.start() :]
    for opening, closing in reversed([*pairwise(_QUOTE.finditer(text))]):
        inside = text[opening.end() : closing.start()]
        if len(inside) >= _SHORTEST_CUT and value.startswith(inside):
            text = text[: opening.end()] + REMOVED + text[closing.start() :]
    shortened = _without_start(text, value)
    return shortened if _NAMES_FOLLOW.search(shortened.removesuffix(REMOVED)) else text


def _without_start(text: str, value: str, most: int = LONGEST_READ) -> str:
    """``text`` without the longest beginning of ``value`` that it ends with, of ``most`` characters."""
    stripped = text.rstrip()
    for length in range(min(len(value), len(stripped), most), _SHORTEST_CUT - 1, -1):
        start = len(stripped) - length
        if stripped.startswith(value[:length], start) and not (start and stripped[start - 1].isalnum()):
            return stripped[:start] + REMOVED
    return text


def _without_end(text: str, value: str, most: int) -> str:
    """``text`` without the longest end of ``value`` that it begins with, of ``most`` characters."""
    stripped = text.lstrip()
    for length in range(min(len(value), len(stripped), most), _SHORTEST_CUT - 1, -1):
        if stripped.startswith(value[-length:]) and not stripped[length : length + 1].isalnum():
            return REMOVED + stripped[length:]
    return text


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}.get(match[2].lower(), match[2])
