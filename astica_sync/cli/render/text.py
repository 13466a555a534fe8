"""Text for the terminal: counts, durations, tables, and names without control characters."""

import codecs
import csv
import io
import json
import math
import os
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from astica_sync.clock import duration as duration
from astica_sync.core.hidden_characters import has_hidden, split_hidden

if TYPE_CHECKING:
    from astica_sync.core.plan.guard import Refusal
    from astica_sync.core.plan.plan import RemoveSample

LINES = 10
"""How many lines of a long list are printed."""
IN_BOTH_UNTIL = "What was moved is in both classes on the service now, until these samples are removed."
_RESTORE = "astica-sync backup restore --since 1d"
SHORTEST_CUT = 6
"""A column is made no narrower than this to fit a table."""
# The last four are full-width forms, which are formulas in some locales.
_FORMULA_SIGNS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def number(count: int, thing: str, things: str = "") -> str:
    """``1 sample``, ``2 samples``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {things or thing + 's'}"


def countdown(seconds: float) -> str:
    """A duration to the second, so that it is seen to pass: ``43 s``, ``21 min 18 s``, ``3 h 05 min 18 s``."""
    # The last second is shown until it is over.
    left = max(0, math.ceil(seconds))
    if left < 100:
        return f"{left} s"
    minutes, left = divmod(left, 60)
    if minutes < 100:
        return f"{minutes} min {left:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min {left:02} s"
    return f"{hours // 24} d {hours % 24} h {minutes:02} min {left:02} s"


def safe(name: str) -> str:
    """A name for the terminal: control, direction and undecodable characters are printed as escapes, and so are those
    that are not seen, outside of emoji, and those that its encoding lacks."""
    return printed(_escaped(name))


def _escaped(name: str) -> str:
    if not has_hidden(name):
        return name
    return "".join(_escape(part) if hidden else part for part, hidden in split_hidden(name))


def printed(text: str) -> str:
    """The text as standard output prints it: a character that its encoding lacks becomes an escape."""
    if text.isascii():
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        # A byte of a file name that is not UTF-8, as ls -b and JSON show it.
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def json_line(value: object) -> str:
    """JSON in one line, for standard output. Control and direction characters, which a terminal would obey, are written
    as escapes; so is all that is not ASCII where the output is not UTF-8: it is the same JSON in every locale."""
    text = json.dumps(value, ensure_ascii=not _is_output_utf8())
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _is_output_utf8() -> bool:
    encoding = getattr(sys.stdout, "encoding", None)
    # A stream without an encoding keeps the text.
    return not encoding or codecs.lookup(encoding).name == "utf-8"


def csv_line(*cells: object) -> str:
    """One line of comma-separated values. A text that a spreadsheet would take for a formula gets an apostrophe before
    it, and control and direction characters are written as escapes."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(_csv_cell(cell) for cell in cells)
    return line.getvalue()


def _csv_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # In many locales the semicolon separates cells, so that each part of the text may begin one.
    parts = cell.split(";")
    return ";".join(f"'{_escaped(part)}" if _is_formula(part) else _escaped(part) for part in parts)


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet would compute the text. What it does not show before the first sign, it leaves out."""
    for char in text:
        if char in _FORMULA_SIGNS:
            return True
        if not (char.isspace() or char == '"' or unicodedata.category(char) in ("Cc", "Cf")):
            return False
    return False


def json_name(name: str) -> str:
    """A name for JSON: bytes that are not UTF-8 become ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def table(
    rows: Sequence[Sequence[str]], right: Collection[int] = (), room: int | None = None, cut: int = 0
) -> list[str]:
    """Lines with aligned columns; those in ``right``, counted from 0, are aligned right. Where they are wider than
    ``room``, the cells of the column ``cut`` are shortened."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    excess = 0 if room is None else sum(widths) + 2 * (len(widths) - 1) - room
    if excess > 0:
        widths[cut] = min(widths[cut], max(SHORTEST_CUT, widths[cut] - excess))
        rows = [[*row[:cut], shorten(row[cut], widths[cut]), *row[cut + 1 :]] for row in rows]
    lines = []
    for row in rows:
        cells = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (width - display_width(cell))
            cells.append(padding + cell if place in right else cell + padding)
        lines.append("  ".join(cells).rstrip())
    return lines


def shorten(text: str, width: int) -> str:
    """The beginning of a text that is too long, with an ellipsis."""
    if display_width(text) <= width:
        return text
    left, kept = width - display_width("…"), ""
    for sign in signs(text):
        if display_width(kept + sign) > left:
            break
        kept += sign
    return f"{kept}…"


def signs(text: str) -> list[str]:
    """The text in parts that are seen as one sign each: a letter with its marks, a joined emoji, a flag, an escape."""
    if text.isascii() and "\\" not in text:
        return list(text)
    found: list[str] = []
    for part in _ESCAPE_OR_CHAR.findall(text):
        if found and _continues(found[-1], part):
            found[-1] += part
        else:
            found.append(part)
    return found


_ESCAPE_OR_CHAR = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|.", re.DOTALL)
_ZERO_WIDTH_JOINER = "\u200d"
_VIRAMA = 9
"""The combining class of the mark that joins two consonants of Indic scripts."""


def _continues(sign: str, part: str) -> bool:
    """Whether a part is of the sign before it: the rules of Unicode (annex 29) that names need."""
    if len(part) > 1 or (len(sign) > 1 and sign[0] == "\\"):
        return False
    last = sign[-1]
    if last == _ZERO_WIDTH_JOINER or part == _ZERO_WIDTH_JOINER:
        return True
    if _is_half_flag(part):
        return _is_half_flag(sign)
    if unicodedata.combining(last) == _VIRAMA and unicodedata.category(part) == "Lo":
        return True
    return _width_of_char(part) == 0 or unicodedata.category(part) == "Mc" or _is_tone(part) or part in "\u0e33\u0eb3"


def _is_half_flag(text: str) -> bool:
    """Whether this is one of the letters of which two make a flag."""
    return "\U0001f1e6" <= text <= "\U0001f1ff" and len(text) == 1


def _is_tone(char: str) -> bool:
    return "\U0001f3fb" <= char <= "\U0001f3ff"


def display_width(text: str) -> int:
    """How many columns of this terminal a text takes. Most terminals, and programs in them such as tmux, give each
    character none, one or two; some draw what is joined in one place. An escape takes as many as it has characters."""
    text = printed(text)
    if text.isascii() or text == "·":
        return len(text)
    if _joins_signs(os.environ):
        from rich.cells import cell_len

        return sum(
            min(2, cell_len(sign)) if len(sign) > 1 and sign[0] != "\\" else cell_len(sign) for sign in signs(text)
        )
    return sum(map(_width_of_char, text))


def _width_of_char(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _joins_signs(environ: Mapping[str, str]) -> bool:
    """Whether the terminal gives a joined emoji, a flag or a letter with marks the place of one sign. It says so by
    its name; tmux and screen, which draw in its place, do not."""
    if environ.get("TMUX") or environ.get("STY"):
        return False
    return (
        environ.get("TERM") in ("xterm-kitty", "xterm-ghostty", "foot", "foot-extra", "wezterm")
        or environ.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm", "ghostty")
        or bool(environ.get("WT_SESSION"))
    )


def first(lines: Iterable[str], total: int, most: int = LINES, where_all: str = "--json lists all") -> list[str]:
    """The first lines of a long list, and how many are left out. One more line is printed in place of that count."""
    most += total == most + 1
    chosen = [line for line, _ in zip(lines, range(most), strict=False)]
    return [*chosen, f"… and {total - most:,} more ({where_all})"] if total > most else chosen


def has_moved(sample: "RemoveSample") -> bool:
    """Whether a sample is to be removed from a class since another one has its image now."""
    # Loaded here: most commands remove nothing.
    from astica_sync.core.plan.decision_table import RemovalReason

    return sample.why in (RemovalReason.MOVED, RemovalReason.DUPLICATE)


def _is_deleted(sample: "RemoveSample") -> bool:
    from astica_sync.core.plan.decision_table import RemovalReason

    return sample.why is RemovalReason.ABSENT


def is_overwritten(sample: "RemoveSample") -> bool:
    """Whether a sample is to be removed since its file is another image now."""
    from astica_sync.core.plan.decision_table import RemovalReason

    return sample.why in (RemovalReason.REPLACED, RemovalReason.OVERWRITTEN)


def how_to_allow(refusals: "Sequence[Refusal]", *, uploaded: bool = True) -> str:
    """What to do where the guard refused a plan; ``uploaded``: its uploads are done."""
    if any(upload.reconverted for refusal in refusals for upload in refusal.uploads):
        return (
            "If that is intended: astica-sync push --yes. If not, set max_side, quality, background, frame and metadata"
            " in astica-sync.toml back to what they were."
        )
    if any(refusal.uploads for refusal in refusals):
        return "Check the model on the service's page. If it was emptied there: astica-sync push --yes"
    if any(refusal.given_up for refusal in refusals):
        return "If that is intended: astica-sync push --yes. If not, correct owns in astica-sync.toml."
    allow = "If that is intended: astica-sync push --yes, or --max-remove N."
    if any(has_moved(sample) for refusal in refusals for sample in refusal.samples):
        both = " What was moved is in both classes on the service now." if uploaded else ""
        back = (
            f"{allow}{both} If the move was a mistake and is not undone yet, this moves it back: {_RESTORE} --move-back"
        )
        if any(_is_deleted(sample) for refusal in refusals for sample in refusal.samples):
            back += f". What was deleted, this lists: {_RESTORE} --dry-run"
        return back
    if all(is_overwritten(sample) for refusal in refusals for sample in refusal.samples):
        return f"{allow} If not, this lists what brings the former images back: {_RESTORE} --overwritten --dry-run"
    return f"{allow} If not, this lists what can be brought back: {_RESTORE} --dry-run"
