"""Seeded bugs in what the mark of a sample says after its removal was requested: confirmed, in doubt, or over."""

from typing import Any

from astica_sync.core.model import MarkState
from astica_sync.core.plan.decision_table import ForgetMark, KeepMark
from tests.simulation.mutants.plan import DECISION, FACTS, with_facts
from tests.simulation.mutants.seams import mutant, replace, within, wrap

JOURNAL = "astica_sync.local.db.journal:Journal."


def confirmed_is_all(original: Any, facts: Any) -> Any:
    return original(facts._replace(upload_open=False) if facts.mark is MarkState.REMOVED else facts)


def open_while_marked(original: Any, mark: Any, asked_at: float, context: Any) -> bool:
    return original(mark, asked_at, context) or (mark is not None and mark.upload_open)


def kept_after_a_removal(original: Any, facts: Any) -> Any:
    action = original(facts)
    is_removal = facts.removed and not facts.upload_open and facts.mark is MarkState.ATTEMPTED
    return KeepMark() if is_removal and isinstance(action, ForgetMark) else action


def dropped(self: Any, uids: Any, at: float, upload_open: bool = False) -> None:
    self.forget(uids)


REMOVAL_MUTANTS = (
    # An upload in doubt, and then a confirmed removal.
    mutant(
        "a confirmed removal ends the doubt about an earlier upload",
        wrap(DECISION + "decide", confirmed_is_all),
        quick=200,
    ),
    mutant(
        "the doubt about an upload before a removal never ends",
        wrap(FACTS + "upload_open", open_while_marked),
        quick=300,
    ),
    # A removal in doubt.
    mutant(
        "a removal of unknown outcome is forgotten at once",
        within(FACTS + "absent_facts", FACTS + "_sent_long_ago", lambda original, scope, mark, asked_at, context: True),
        quick=50,
    ),
    mutant(
        "a removal of unknown outcome is never forgotten",
        wrap(DECISION + "_decide_absent", kept_after_a_removal),
        quick=50,
    ),
    mutant(
        "what a removal in doubt has named is adopted at once",
        replace(DECISION + "_doubted_last", lambda facts: facts),
        quick=100,
    ),
    mutant("each restart prolongs a removal of unknown outcome", with_facts(removal_is_over=False)),
    # A removal that is confirmed.
    mutant("a confirmed removal drops the mark", replace(JOURNAL + "confirm_removed", dropped), quick=50),
)
