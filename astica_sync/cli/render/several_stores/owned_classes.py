"""What is shown where several stores divide the classes of a model: the setting ``owns``."""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from astica_sync.cli.render.text import json_name, number, safe, shorten
from astica_sync.core.model import RemoteSample, fold_title
from astica_sync.core.owned_classes import OwnedClasses
from astica_sync.core.plan.decision_table import NOT_OWNED
from astica_sync.core.plan.plan import GivenUp, InOtherStore, Plan

MOST_TITLES = 5
"""So many class titles are named."""
_TITLE_WIDTH = 60


def named(titles: Collection[str]) -> str:
    """Class titles, the first of them where they are many."""
    shown = list(map(_shown, itertools.islice(titles, MOST_TITLES)))
    more = len(titles) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _shown(title: str) -> str:
    # The setting of a store from elsewhere may have titles of any length, and to measure one takes time.
    most = 4 * _TITLE_WIDTH
    return shorten(safe(title if len(title) <= most else f"{title[:most]}…"), _TITLE_WIDTH)


def not_sent_lines(not_owned: Mapping[str, int], owned: OwnedClasses) -> list[str]:
    """That images of the store are not sent, since their classes are those of other stores; none where there are
    none."""
    if not not_owned:
        return []
    (first, count), *rest = sorted(not_owned.items())
    parts = [f"{number(count, 'image')} of {_shown(first)}", *(f"{more:,} of {_shown(title)}" for title, more in rest)]
    shown = ", ".join(parts[:MOST_TITLES]) + (f", {len(parts) - MOST_TITLES} more classes" * (len(parts) > MOST_TITLES))
    are = "is" if count == 1 and not rest else "are"
    return [f"{shown} {are} not sent: this store owns {named(owned.titles)}"]


def unknown_titles(owned: OwnedClasses, known: Collection[str]) -> list[str]:
    """The titles of the setting that neither the store nor the model has: they may be misspelled."""
    folded = set(map(fold_title, known))
    return [title for title in owned.titles if fold_title(title) not in folded]


def unknown_titles_lines(owned: OwnedClasses, known: Collection[str]) -> list[str]:
    unknown = unknown_titles(owned, known)
    if not unknown:
        return []
    return [f"owns names {named(unknown)}, and neither the store nor the model has such a class: is it misspelled?"]


def in_other_classes(plan: Plan) -> list[str]:
    """A line for each class of the model that another store manages, with how many samples it has there."""
    counts = Counter(one.class_title for one in plan.unmanaged if is_not_owned(plan, one))
    return [f"? {number(count, 'sample')} of {_shown(title)}" for title, count in sorted(counts.items())]


def is_not_owned(plan: Plan, sample: RemoteSample) -> bool:
    """Whether an unmanaged sample is in a class that the store does not manage."""
    return plan.unmanaged_reasons.get(sample.sample_id) == NOT_OWNED


def given_up_line(one: GivenUp) -> str:
    ids = ", ".join(f"#{sample_id}" for sample_id in one.sample_ids)
    return f"~ {safe(one.path or one.class_title)}  ({ids})"


def gave_up_lines(given_up: Sequence[GivenUp]) -> list[str]:
    """What a push has given up."""
    if not given_up:
        return []
    titles = sorted({one.class_title for one in given_up})
    stay = "it stays" if len(given_up) == 1 else "they stay"
    return [f"Gave up {number(len(given_up), 'sample')} of {named(titles)}: {stay} on the service"]


def in_other_store_line(one: InOtherStore) -> str:
    return f"= {safe(one.path)}  (also in {safe(one.sample.class_title)}, sample #{one.sample.sample_id})"


def owned_data(plan: Plan, owned: OwnedClasses) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "owns": [json_name(title) for title in owned.titles] if owned else None,
        "not_owned": [{"class": json_name(title), "images": count} for title, count in sorted(plan.not_owned.items())],
        "give_up": [
            {"class": one.class_title, "path": json_name(one.path), "uid": one.uid, "sample_ids": list(one.sample_ids)}
            for one in plan.given_up
        ],
        "in_other_stores": [
            {
                "class": one.class_title,
                "path": json_name(one.path),
                "other_class": one.sample.class_title,
                "sample_id": one.sample.sample_id,
            }
            for one in plan.in_other_stores
        ],
    }
