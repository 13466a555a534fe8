"""How the recall of each class differs between two versions, with its interval, as a table with a small plot."""

from collections.abc import Iterator

from astica_sync.core.evaluation.percent_text import percent
from astica_sync.training.evaluation.comparison import SIGNIFICANCE_LEVEL, Comparison, Difference
from astica_sync.training.evaluation.html_names import name_html

MAX_CLASSES = 100
"""Of more classes, those with the largest differences are listed."""


def class_differences(comparison: Comparison) -> Iterator[str]:
    """The table of one comparison."""
    by_size = sorted(comparison.classes, key=lambda one: (-abs(one[1].value), one[0]))
    listed = sorted(by_size[:MAX_CLASSES])
    before, after = name_html(comparison.before), name_html(comparison.after)
    yield f"<details open><summary>The classes, from {before} to {after}</summary>\n"
    yield f"<div class='wide'><table><thead><tr><th>class<th>images<th>right by {before}<th>right by {after}"
    yield "<th>difference<th>95 % interval<th><th>p, corrected</tr></thead><tbody>\n"
    rows = [("<b>all</b>", comparison.overall), *((name_html(title), difference) for title, difference in listed)]
    reach = max(abs(bound) for _, difference in rows for bound in difference.interval)
    for name, difference in rows:
        yield from _row(name, difference, reach)
    yield "</tbody></table></div>\n"
    note = "Intervals are of each class alone; the p-values are corrected for all classes and comparisons."
    if len(comparison.classes) > len(listed):
        note += f" Of {len(comparison.classes):,} classes, the {len(listed)} with the largest differences are listed."
    yield f"<p class='faint'>{note}</p></details>\n"


def _row(name: str, difference: Difference, reach: float) -> Iterator[str]:
    counts, (low, high) = difference.counts, difference.interval
    total = max(1, counts.total)
    yield f"<tr><td>{name}<td>{counts.total:,}<td>{percent((counts.both + counts.only_before) / total)}"
    yield f"<td>{percent((counts.both + counts.only_after) / total)}<td>{percent(difference.value, signed=True)}"
    yield f"<td>{percent(low, signed=True)} to {percent(high, signed=True)}<td class='plot'>{_plot(difference, reach)}"
    p = "&lt; 0.001" if difference.corrected < 0.001 else f"{difference.corrected:.3f}"
    yield f"<td>{f'<b>{p}</b>' if difference.corrected < SIGNIFICANCE_LEVEL else p}</tr>\n"


def _plot(difference: Difference, reach: float) -> str:
    """The interval as a line and the difference as a dot, from ``-reach`` to ``reach``."""
    low, value, high = (
        100 * share / reach for share in (difference.interval[0], difference.value, difference.interval[1])
    )
    kind = ("up" if difference.value > 0 else "down") if difference.significant else "unclear"
    return (
        "<svg viewBox='-104 -8 208 16' aria-hidden='true'><line class='zero' x1='0' x2='0' y1='-8' y2='8'/>"
        f"<g class='{kind}'><line x1='{low:.1f}' x2='{high:.1f}' y1='0' y2='0'/>"
        f"<circle cx='{value:.1f}' cy='0' r='4'/></g></svg>"
    )
