"""Seeded bugs in the plan: the decision table, the quarantine, class removals and the guard."""

from collections import Counter
from dataclasses import replace as changed
from typing import Any

from astica_sync.core.model import MarkState, Presence
from astica_sync.core.plan.decision_table import ForgetMark, KeepMark, LeaveUnmanaged, RemovalReason, RemoveCopies
from astica_sync.core.plan.guard import NO_REMOVALS
from tests.simulation.mutants.seams import Change, change_argument, mutant, replace, wrap

PLAN = "astica_sync.core.plan.planner:"
FACTS = "astica_sync.core.plan.gather_facts:"
DECISION = "astica_sync.core.plan.decision_table:"
STATUS = "astica_sync.sync.plan.find_status:"
GUARD = "astica_sync.core.plan.guard:"


def half_as_long(original: Any, mark: Any, context: Any) -> Any:
    return original(mark, changed(context, quarantine=context.quarantine / 2))


def by_any_clock(original: Any, mark: Any, context: Any) -> Any:
    return original(mark, context) if mark.state is MarkState.ATTEMPTED else mark.sent_at


def forget_instead_of_keep(original: Any, facts: Any) -> Any:
    action = original(facts)
    return ForgetMark() if isinstance(action, KeepMark) else action


def with_facts(**wrong: Any) -> Change:
    """The decision is made on facts of which some are wrong."""
    return wrap(DECISION + "decide", lambda original, facts: original(facts._replace(**wrong)))


def misplaced_are_copies(original: Any, facts: Any) -> Any:
    if facts.local is Presence.PRESENT and facts.misplaced:
        facts = facts._replace(copies=tuple(sorted(facts.copies + facts.misplaced)), misplaced=())
    return original(facts)


def unmanaged_are_removed(
    original: Any, draft: Any, row: Any, title: str, actions: Any, replaced_by: str = "", *, reconverted: bool = False
) -> Any:
    if any(isinstance(action, LeaveUnmanaged) for action in actions) and row.remote:
        title = row.remote[0].class_title
        actions = (RemoveCopies(tuple(sample.sample_id for sample in row.remote), RemovalReason.ABSENT),)
    return original(draft, row, title, actions, replaced_by, reconverted=reconverted)


def no_extras(original: Any, facts: Any) -> Any:
    return original(facts._replace(copies=facts.copies[:1]))


def keep_the_highest(original: Any, facts: Any) -> Any:
    return original(facts._replace(copies=facts.copies[-1:] + facts.copies[:-1]))


def as_large_as_what_is_removed(original: Any, removals: Any, observation: Any, busy: Any, context: Any) -> Any:
    counts = Counter(removal.class_id for removal in removals)
    classes = tuple(changed(entry, samples=counts[entry.class_id]) for entry in observation.classes)
    return original(removals, changed(observation, classes=classes), busy, context)


WHOLE_CLASS_OF_OTHERS = wrap(PLAN + "fold_into_class_removals", as_large_as_what_is_removed)


def gone_unless_equal(original: Any, layout: Any, index: Any, files: Any, path: str, replaced_by: str) -> Any:
    """Whatever is there, as long as it is a file."""
    return original(layout, index, files, path, replaced_by) or files.lstat(layout.root / path).st_mode & 0o100000 != 0


def without_replacement(original: Any, removal: Any, planned: Any) -> Any:
    return original(changed(removal, replaced_by=""), planned)


def removal_is_an_attempt(original: Any, facts: Any) -> Any:
    if facts.mark is MarkState.REMOVED:
        facts = facts._replace(mark=MarkState.ATTEMPTED)
    return original(facts)


def forgotten_when_shown(original: Any, facts: Any) -> Any:
    *rest, last = original(facts)
    gone = facts.asked_at >= facts.removed_at and not set(facts.copies) & set(facts.removed)
    return (*rest, ForgetMark() if gone else last)


PLAN_MUTANTS = (
    mutant("no quarantine", replace(DECISION + "is_settled", lambda facts: True), quick=400),
    mutant("half a quarantine", wrap(FACTS + "quarantine_end", half_as_long)),
    mutant(
        "a restart does not begin the quarantine again",
        replace(FACTS + "last_sending", lambda mark, context: mark.sent_at),
        quick=1000,
    ),
    mutant("the clock of an earlier run is believed", wrap(FACTS + "last_sending", by_any_clock)),
    mutant(
        "what others made again after a removal is ours",
        wrap(DECISION + "decide", removal_is_an_attempt),
    ),
    mutant("the sizes of samples are not compared", with_facts(other_size=())),
    mutant(
        "what was removed and is still shown is a copy",
        wrap(DECISION + "_without", lambda original, facts, sample_ids: facts),
    ),
    mutant(
        "a sample is that of an image whatever the size of its conversion",
        replace(DECISION + "_depends_on_size", lambda facts: False),
    ),
    mutant(
        "the mark of a removed sample is forgotten by the first view that lacks it",
        wrap(DECISION + "_decide_removed", forgotten_when_shown),
    ),
    mutant("a mark is forgotten at once", wrap(DECISION + "_decide_absent", forget_instead_of_keep)),
    mutant(
        "a file without a good image is absent",
        with_facts(file_problem=""),
        wrap("astica_sync.local.scan.recheck_absence:_is_gone", gone_unless_equal),
        quick=300,
    ),
    mutant(
        "a replaced image is removed before its replacement is sure",
        wrap("astica_sync.core.plan.upload_before_removal:uploads_before", without_replacement),
        with_facts(replacement_pending=""),
    ),
    mutant("bad samples are tried again", with_facts(failed_before=False), quick=1000),
    mutant("unmanaged samples are removed", wrap(PLAN + "_take", unmanaged_are_removed), quick=300),
    mutant("extras are not dropped", wrap(DECISION + "_remove_extras", no_extras)),
    mutant("of extras the highest id is kept", wrap(DECISION + "_remove_extras", keep_the_highest)),
    mutant("a misplaced sample counts as a copy", wrap(DECISION + "decide", misplaced_are_copies)),
    mutant(
        "class_remove although samples go there",
        change_argument(PLAN + "fold_into_class_removals", "busy", lambda busy: ()),
    ),
    mutant(
        "the old place goes while the new one is in doubt",
        replace(DECISION + "secures_image", lambda actions: True),
    ),
    mutant(
        "a remembered comparison forgets what was touched since",
        change_argument("astica_sync.core.plan.unchanged_samples:recheck_contents", "contents", lambda contents: ()),
        quick=100,
    ),
    mutant(
        "what could not be seen counts as equal",
        wrap(PLAN + "_Draft.finish", lambda original, *args: changed(original(*args), incomplete=False)),
    ),
    mutant("the guard is off", replace(GUARD + "check_removals", lambda plan, allowance, recent: []), quick=500),
    mutant("the guard forgets the classes", replace(GUARD + "check_classes", lambda plan, allowance, recent: [])),
    mutant(
        "the guard has no memory", replace(STATUS + "_recent_removals", lambda session, plan: NO_REMOVALS), quick=100
    ),
    mutant("the guard forgets after an hour", replace(STATUS + "MEMORY_SECONDS", 3600.0)),
    mutant("most of all is sent again unasked", replace(GUARD + "check_repeats", lambda plan, allowance: [])),
)
