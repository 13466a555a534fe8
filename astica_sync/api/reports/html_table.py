"""Tables for notebooks. Every text in them may come from a file name or the service, and is escaped."""

from collections.abc import Iterable, Sequence

from astica_sync.training.evaluation.html_names import name_html

MOST_ROWS = 10
"""So many rows of a list are shown."""
_NO_FORMULAS = "tex2jax_ignore mathjax_ignore"
"""The classes by which a notebook leaves dollar signs alone, of either version of its typesetter."""

Cell = str | int | float | None


def html_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str = "", more: int = 0) -> str:
    """A table with a line for the ``more`` rows that it leaves out, and without the columns that have nothing."""
    listed = list(rows)
    kept = [place for place in range(len(columns)) if any(row[place] not in (None, "") for row in listed)]
    parts = [f"<p><b>{name_html(title)}</b></p>"] if title else []
    parts.append("<table><thead><tr>")
    parts += [f"<th>{name_html(columns[place]) if columns[place] else ''}</th>" for place in kept]
    parts.append("</tr></thead><tbody>")
    for row in listed:
        parts.append("<tr>")
        parts += [_cell(row[place]) for place in kept]
        parts.append("</tr>")
    parts.append("</tbody></table>")
    if more > 0:
        parts.append(f"<p>and {more:,} more</p>")
    return "".join(parts)


def notebook_html(*parts: str) -> str:
    """The output of a notebook's cell."""
    return f"<div class='{_NO_FORMULAS}'>{''.join(parts)}</div>"


def paragraph(text: str) -> str:
    """One line of text."""
    return f"<p>{name_html(text)}</p>"


def _cell(cell: Cell) -> str:
    if cell is None or cell == "":
        return "<td></td>"
    if isinstance(cell, str):
        return f"<td style='text-align:left'>{name_html(cell)}</td>"
    return f"<td style='text-align:right'>{cell:,}</td>"
