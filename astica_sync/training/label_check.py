"""Finds images whose class the other images contradict."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from astica_sync.features.ridge_head import Verdicts

LEAST_CERTAINTY = 0.2
"""Below this a contradiction is no better than chance and is not listed."""


class ContradictedLabel(NamedTuple):
    """An image that looks more like another class."""

    place: int
    """Its index."""
    label: str
    suggested: str
    certainty: float
    """From ``LEAST_CERTAINTY`` to 1: the share of the other class minus that of its own."""


def find_contradicted(verdicts: "Verdicts") -> list[ContradictedLabel]:
    """The images whose label a model that was trained without them contradicts, the most certain first."""
    certainty, suggested = verdicts.contradiction(), verdicts.suggested()
    found = [
        ContradictedLabel(place, verdicts.labels[own], verdicts.labels[suggested[place]], float(certainty[place]))
        for place, own in enumerate(verdicts.own)
        if certainty[place] >= LEAST_CERTAINTY
    ]
    return sorted(found, key=lambda one: (-one.certainty, one.place))
