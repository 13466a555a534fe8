"""The quarantine that a service needs by what is known of it."""

from astica_sync.core.service_facts.fact import FactsByName

FACTOR = 2.0
"""A view may be later than the one that was measured."""


def quarantine_for(facts: FactsByName, usual: float) -> float:
    """The usual seconds, or more where the service shows its changes later: a view that lacks an upload proves nothing
    before that."""
    return max(usual, FACTOR * sum(_seconds(facts, name) for name in ("view_lag", "sample_list_lag")))


def _seconds(facts: FactsByName, name: str) -> float:
    fact = facts.get(name)
    if fact is None:
        return 0.0
    return float(fact.value) if isinstance(fact.value, int | float) else fact.least or 0.0
