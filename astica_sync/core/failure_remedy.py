"""What helps a sample that failed: another try, or only another image. Pure."""

import re

LEAVE_OUT = "or list it in .astica-ignore"
"""How a reason of this program ends where the image itself has to change; the reason begins that sentence."""
SMALLER = f"save it smaller, {LEAVE_OUT}"
RETRY = "try it again: astica-sync push --retry"

_IMAGE = r"\b(image|file|picture|photo|input|payload|body|entity|upload|content)\b"
_TOO_LARGE = re.compile(
    # What services and the servers before them say of an image over a limit of theirs.
    rf"{_IMAGE}.{{0,40}}\b(too (large|big|long)|larger than|bigger than)\b"
    rf"|{_IMAGE}.{{0,20}}\b(size|dimensions?|resolution|width|height|pixels)\b.{{0,30}}"
    r"\b(exceed|over|above|limit|max|more than)"
    r"|\b(too many|more than \d[\d ,.]*) ?(pixels|mega ?pixels|mp|mb|mib|megabytes|bytes)\b"
    rf"|\b(exceed|over|above)\w*\b.{{0,30}}\b(max(imum)? )?{_IMAGE[2:-2]} (size|dimensions?|resolution)\b"
    r"|\banswered 413\b",
    re.IGNORECASE,
)


def is_over_a_limit(text: str) -> bool:
    """Whether the service refused an image since it is too large."""
    return _TOO_LARGE.search(text) is not None


def retry_helps(reason: str) -> bool:
    """Whether the same bytes may be accepted when they are sent again. What this program finds in an image, and what
    the service says of its size, stays as it is until the file changes."""
    return LEAVE_OUT not in reason and not is_over_a_limit(reason)


def remedy_of(reason: str) -> str:
    """What to do about a failed sample; "" where the reason contains it."""
    if LEAVE_OUT in reason:
        return ""
    return SMALLER if is_over_a_limit(reason) else RETRY
