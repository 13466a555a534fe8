"""Seeded bugs where several stores divide the classes of a model."""

from typing import Any

from astica_sync.core.plan.decision_table import GiveUp, RemovalReason, RemoveCopies
from tests.simulation.mutants.plan import DECISION, with_facts
from tests.simulation.mutants.seams import mutant, wrap


def remove_instead_of_give_up(original: Any, facts: Any) -> Any:
    for action in original(facts):
        is_given_up = isinstance(action, GiveUp)
        yield RemoveCopies(action.sample_ids, RemovalReason.ABSENT) if is_given_up else action


OWNER_MUTANTS = (
    mutant("images of other stores' classes are sent", with_facts(class_not_owned=False), quick=200),
    mutant("a sample in the class of another store is an extra", with_facts(not_owned=())),
    mutant(
        "what is not owned any more is removed",
        wrap(DECISION + "_decide_not_owned", remove_instead_of_give_up),
    ),
)
