"""What is shown of the stores of a model that announce themselves on the budget server."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import click

from astica_sync.cli.render.several_stores.owned_classes import named
from astica_sync.cli.render.text import number, safe
from astica_sync.clock import duration, local_time
from astica_sync.core.fleet.store_claim import Contradiction, StoreClaim, contradictions_of

MOST_STORES = 10
"""So many other stores of a model are listed in a status."""
MOST_CONTRADICTIONS = 100
"""So many contradictions are in JSON."""


def store_name(claim: StoreClaim) -> str:
    return f"{safe(claim.store) or 'a store'} on {safe(claim.machine)}"


def managed_classes(claim: StoreClaim) -> str:
    """The classes that a store manages."""
    if claim.owns_all:
        return "all classes"
    more = number(claim.more, "more class", "more classes")
    return named(claim.titles) + (f" and {more}, not compared" if claim.more else "")


def agreed_text(claim: StoreClaim) -> str:
    """When the store was last in sync."""
    return "not in sync yet" if claim.agreed_ago is None else f"in sync {duration(claim.agreed_ago)} ago"


def other_store_lines(others: Sequence[StoreClaim], own: StoreClaim, now: float) -> list[str]:
    """The other stores of the model, and where they claim what this one claims."""
    shown = [
        f"{store_name(one)} manages {managed_classes(one)} since {local_time(now - one.since_now)}, {agreed_text(one)}"
        for one in others[:MOST_STORES]
    ]
    if len(others) > MOST_STORES:
        shown.append(f"{len(others) - MOST_STORES:,} more; for all: astica-sync fleet")
    lines = [f"{'Stores' if not number else '':<9}{text}" for number, text in enumerate(shown)]
    found = [one for other in others[:MOST_STORES] for one in contradictions_of([own, other])]
    return lines + [click.style(f"{'':<9}{contradiction_text(one, own)}", fg="yellow") for one in found]


def contradiction_text(found: Contradiction, own: StoreClaim | None = None) -> str:
    """That two stores claim the same classes; ``own`` is the store of the command."""
    own_id = None if own is None else own.store_id
    names = ["this store" if one.store_id == own_id else store_name(one) for one in (found.one, found.other)]
    both = f"{names[0]} and {names[1]} both manage {named(found.titles) if found.titles else 'all classes'}"
    return f"{both}: set owns in each, so that each class has one store"


def first_contradictions(claims: Iterable[StoreClaim], most: int) -> tuple[list[Contradiction], int]:
    """The first pairs of stores that claim the same classes, and how many more there are."""
    found = contradictions_of(claims)
    return list(itertools.islice(found, most)), sum(1 for _ in found)


def store_data(claim: StoreClaim) -> dict[str, Any]:
    """A store as JSON."""
    return {
        "machine": claim.machine,
        "store": claim.store,
        "id": claim.store_id,
        "model": claim.model,
        "classes": None if claim.owns_all else list(claim.titles),
        "more_classes": claim.more,
        "since_seconds": round(claim.since_now, 1),
        "agreed_seconds_ago": None if claim.agreed_ago is None else round(claim.agreed_ago, 1),
        "seen_seconds_ago": round(claim.seen, 1),
    }


def contradiction_data(found: Contradiction) -> dict[str, Any]:
    """Two stores that claim the same classes as JSON, None for all classes."""
    return {"classes": list(found.titles) or None, "stores": [found.one.store_id, found.other.store_id]}
