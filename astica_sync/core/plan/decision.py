"""The decision table: what follows for one sample from what store, journal and service say of it."""

from enum import StrEnum

from astica_sync.core.model import MarkState, Presence


class Verdict(StrEnum):
    """What the decision table says of one sample."""

    UPLOAD = "upload"
    WAIT = "wait"
    KEEP = "keep"
    ADOPT = "adopt"
    DROP_EXTRAS = "drop extras"
    LEAVE = "leave"
    REMOVE = "remove"
    FORGET = "forget"
    HOLD = "hold"


def decide(local: Presence, mark: MarkState | None, copies: int, *, settled: bool) -> Verdict:
    """The decision table of the design, section 4.

    Args:
        local: what the scan knows of the sample.
        mark: the journal's word on it.
        copies: samples with this identity, in place, in the observation (for an absent sample: in any place).
        settled: nothing about the sample was sent within the quarantine before the observation was asked for.
    """
    if local is Presence.UNKNOWN:
        return Verdict.HOLD
    if local is Presence.PRESENT:
        if copies == 0:
            return Verdict.UPLOAD if settled else Verdict.WAIT
        if copies > 1:
            return Verdict.DROP_EXTRAS
        return Verdict.KEEP if mark is MarkState.AGREED else Verdict.ADOPT
    if mark is None:
        return Verdict.LEAVE
    if copies > 0:
        return Verdict.REMOVE
    return Verdict.FORGET if settled else Verdict.WAIT
